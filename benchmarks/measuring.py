"""Shared by all benchmarks: timing in turn, a description of the machine, tables as Markdown and JSON."""

import argparse
import json
import platform
import re
import shlex
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from edgeconnect_hf import CompletionGenerator, EdgeConnectPipeline, EdgeGenerator

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # `training` is not installed
RESULTS = Path(__file__).parent / "results"

Call = Callable[[], Any]
Clock = Callable[[], float]
Row = dict[str, Any]


def paper_size_pipeline(dtype: torch.dtype) -> EdgeConnectPipeline:
    """A pipeline of the paper's size, with random weights, which are as fast as trained ones."""
    torch.manual_seed(0)
    networks = EdgeGenerator().eval(), CompletionGenerator().eval()
    for network in networks:
        nn.Module.to(network, dtype)
    return EdgeConnectPipeline(*networks)


def add_cpu_time(parser: argparse.ArgumentParser) -> None:
    """The flag of `choose_clock`."""
    parser.add_argument(
        "--cpu_time", action="store_true", help="one thread, and its time on the CPU: for a machine with other work"
    )


def choose_clock(cpu_time: bool) -> tuple[Clock, str]:
    """What to time by, with a remark for the tables' titles: the wall clock, or the CPU time of one thread."""
    if not cpu_time:
        return time.perf_counter, ""
    torch.set_num_threads(1)
    return time.process_time, ", CPU time of one thread"


def time_in_turn(calls: Mapping[str, Call], repeats: int, clock: Clock = time.perf_counter) -> dict[str, list[float]]:
    """Seconds of each call by name, `repeats` times after a warm-up.

    The calls take turns, so that other load of the machine affects all of them.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            start = clock()
            call()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if turn:
                seconds[name].append(clock() - start)
    return seconds


def times_as_fast(slow: list[float], fast: list[float]) -> float:
    """The median over the turns of the speed of `fast` relative to `slow`."""
    return statistics.median(one / other for one, other in zip(slow, fast, strict=True))


def count_operations(call: Call) -> int:
    """Additions and multiplications of the convolutions and matrix products of `call`."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


@torch.no_grad()
def convolution_speed(dtype: torch.dtype, clock: Clock = time.perf_counter) -> float:
    """Operations per second of a single 3x3 convolution, 256 channels at 64x64 in channels_last, for the floors."""
    conv = nn.Conv2d(256, 256, 3, padding=1, bias=False).to(dtype=dtype)
    conv = conv.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    hidden = torch.randn(1, 256, 64, 64, dtype=dtype).contiguous(memory_format=torch.channels_last)
    operations = count_operations(lambda: conv(hidden))
    return operations / statistics.median(time_in_turn({"": lambda: conv(hidden)}, 25, clock)[""])


KINDS = {  # kinds of operations, by a pattern of their names; the first match counts
    "convolution": "convolution",
    "normalisation": "norm",
    "padding": "pad",
    "activation": "clamp|relu|tanh|sigmoid|threshold",
    "copies and conversions": "copy|cat",
}


def profile_shares(call: Call, repeats: int) -> dict[str, str]:
    """Percent of the time by kind of operation, over `repeats` calls."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(repeats):
            call()
    microseconds: dict[str, float] = defaultdict(float)
    for event in profiler.key_averages():
        kind = next((kind for kind, pattern in KINDS.items() if re.search(pattern, event.key)), "the rest")
        microseconds[kind] += event.self_cpu_time_total
    total = sum(microseconds.values())
    return {kind: f"{100 * microseconds[kind] / total:.1f} %" for kind in (*KINDS, "the rest")}


def describe_machine() -> dict[str, Any]:
    """Processor, instructions that matter for bf16, threads, GPU, PyTorch."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    named = {line.split(":")[0].strip(): line.split(":", 1)[1].strip() for line in lines if ":" in line}
    flags = set(named.get("flags", "").split())
    return {
        "processor": named.get("model name", platform.processor() or platform.machine()),
        "instructions": [name for name in ("avx512f", "avx512_bf16", "amx_bf16") if name in flags],
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
    }


def publish(name: str, tables: dict[str, list[Row]]) -> None:
    """Prints the tables with their titles as Markdown, and writes them to `benchmarks/results/<name>.json`."""
    machine = describe_machine()
    command = shlex.join(["python", f"benchmarks/{name}.py", *map(_without_folders_elsewhere, sys.argv[1:])])
    print(f"\n`{command}`: " + ", ".join(f"{key} {value}" for key, value in machine.items() if value is not None))
    for title, rows in tables.items():
        print(f"\n{title}\n\n{_markdown(rows)}")
    RESULTS.mkdir(exist_ok=True)
    result = {"command": command, "machine": machine, "tables": tables}
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")


def _without_folders_elsewhere(argument: str) -> str:
    """An argument as it is, but of a path that leads out of this checkout the last part only: others may read it."""
    path = Path(argument)
    return path.name if path.is_absolute() or ".." in path.parts else argument


def _markdown(rows: list[Row]) -> str:
    header = list(rows[0])
    align = ["---:" if isinstance(value, int | float) else "---" for value in rows[0].values()]
    cells = [header, align, *([_text(value) for value in row.values()] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return "" if value is None else str(value)
