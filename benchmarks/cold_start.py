"""Cost of the first image of a new process: CPU seconds, and memory over a process that has imported torch.

    python benchmarks/cold_start.py

Processes read compiled modules, as those of an installed package do, whatever PYTHONDONTWRITEBYTECODE says.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from measuring import ROOT, Row, publish, times_as_fast
from PIL import Image

from edgeconnect_hf import CompletionGenerator, EdgeConnectPipeline, EdgeGenerator
from edgeconnect_hf.loading import BUNDLED_MODEL

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

PROCESS = """
import json, re, sys, time
from pathlib import Path
steps, start = [], time.process_time()

def done(step):
    memory = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
    steps.append((step, time.process_time() - start, memory))

import torch
done("torch imported")
from PIL import Image
from edgeconnect_hf import EdgeConnectPipeline
from edgeconnect_hf.cli.device import fastest_dtype
done("the package imported")
pipeline = EdgeConnectPipeline.from_pretrained(sys.argv[1], dtype=fastest_dtype(torch.device("cpu")))
done("weights loaded")
mask = Image.new("L", (256, 256))
mask.paste(255, (64, 64, 192, 192))
pipeline(Image.open("examples/facade.jpg").crop((200, 100, 456, 356)), mask)
done("first image, 256x256")
print(json.dumps(steps))
"""


def run(*arguments: object) -> str:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=True, capture_output=True, text=True).stdout


def whole_processes(folder: Path, repeats: int) -> list[Row]:
    """From start to exit: the command, and the imports that it cannot do without."""
    facade = Image.open(ROOT / "examples" / "facade.jpg")
    calls = {
        "`import torch`": partial(run, "-c", "import torch"),
        "`from diffusers import DiffusionPipeline`": partial(run, "-c", "from diffusers import DiffusionPipeline"),
    }
    for side in (64, 256):
        photo, mask, output = (folder / f"{name}{side}.png" for name in ("photo", "mask", "repaired"))
        facade.crop((200, 100, 200 + side, 100 + side)).save(photo)
        hole = Image.new("L", (side, side))
        hole.paste(255, (side // 4, side // 4, side * 3 // 4, side * 3 // 4))
        hole.save(mask)
        command = ("-m", "edgeconnect_hf.cli", "inpaint", photo, mask, "-o", output, "--overwrite")
        calls[f"`edgeconnect inpaint`, {side}x{side}"] = partial(run, *command)
    turns = [{name: cpu_seconds(call) for name, call in calls.items()} for _ in range(repeats + 1)][1:]
    alone = [turn["`import torch`"] for turn in turns]
    rows: list[Row] = []
    for name in calls:
        seconds = [turn[name] for turn in turns]
        ratio = 1 / times_as_fast(alone, seconds)
        rows.append({"": name, "CPU seconds": statistics.median(seconds), "times torch alone": ratio})
    return rows


def cpu_seconds(call: Callable[[], object]) -> float:
    """Of the processes that `call` starts; other load of the machine hardly counts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    call()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="processes of each kind")
    args = parser.parse_args()
    tables = {}
    with tempfile.TemporaryDirectory() as folder:
        title = f"A whole process; median of {args.repeats}"
        tables[title] = whole_processes(Path(folder), args.repeats)
        torch.manual_seed(0)
        EdgeConnectPipeline(EdgeGenerator(), CompletionGenerator()).save_pretrained(folder)
        for name, model in (("bundled model", BUNDLED_MODEL), ("paper size", folder)):
            outputs = [json.loads(run("-c", PROCESS, model)) for _ in range(args.repeats)]
            rows: list[Row] = []
            for steps in zip(*outputs, strict=True):
                seconds, memory = (statistics.median(step[place] for step in steps) for place in (1, 2))
                over_torch = memory - statistics.median(output[0][2] for output in outputs)
                rows.append({"": steps[0][0], "CPU seconds": seconds, "MB at the peak, over torch": over_torch})
            tables[f"A new process, {name}; median of {args.repeats}"] = rows
    publish("cold_start", tables)


if __name__ == "__main__":
    main()
