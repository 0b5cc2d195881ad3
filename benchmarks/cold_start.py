"""Cost of the first image of a new process: seconds, and memory over a process that has imported torch.

python benchmarks/cold_start.py
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile

import torch
from measuring import ROOT, Row, publish

from edgeconnect_hf import CompletionGenerator, EdgeConnectPipeline, EdgeGenerator

PROCESS = """
import json, re, sys, time
from pathlib import Path
steps, start = [], time.perf_counter()

def done(step):
    memory = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
    steps.append((step, time.perf_counter() - start, memory))

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="processes per model")
    args = parser.parse_args()
    tables = {}
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        EdgeConnectPipeline(EdgeGenerator(), CompletionGenerator()).save_pretrained(folder)
        for name, model in (
            ("bundled model", ROOT / "edgeconnect_hf/checkpoints/facades"),
            ("paper size", folder),
        ):
            command = [sys.executable, "-c", PROCESS, str(model)]
            runs = [
                json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
                for _ in range(args.repeats)
            ]
            rows: list[Row] = []
            for steps in zip(*runs, strict=True):
                seconds, memory = (statistics.median(step[place] for step in steps) for place in (1, 2))
                over_torch = memory - statistics.median(run[0][2] for run in runs)
                rows.append({"": steps[0][0], "seconds": seconds, "MB at the peak, over torch": over_torch})
            tables[f"A new process, {name}; median of {args.repeats}"] = rows
    publish("cold_start", tables)


if __name__ == "__main__":
    main()
