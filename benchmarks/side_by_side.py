"""Training G1 and G2 after each other by two threads, against both at the same time in two processes of one thread.

    python benchmarks/side_by_side.py

Updates as in the second phases of cpu-edge.yaml and cpu-completion.yaml: 32 channels, 128x128, batch 8,
VGG19 (random weights) to conv3_4. By the wall clock: for a machine with two cores that does nothing else.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState
from measuring import ROOT, Row, publish, times_as_fast
from train_step import repeat, write_inputs

from training.flags import parse_training_config
from training.memory import keep_freed_memory
from training.trainer import Trainer

STAGES = ("edge", "completion")
WAYS: dict[str, tuple[int, Sequence[Sequence[str]]]] = {  # threads, and the stages of each process
    "after each other, 2 threads": (2, [STAGES]),
    "side by side, 1 thread each": (1, [[stage] for stage in STAGES]),
}


def make_trainer(stage: str, folder: Path, precision: str) -> Trainer:
    AcceleratorState._reset_state(reset_partial_state=True)
    pictures, recipe = folder / "pictures", ROOT / "training" / "recipes" / f"cpu-{stage}.yaml"
    flags = [f"--recipe={recipe}", f"--train_data_dir={pictures}", f"--validation_data_dir={pictures}"]
    judged = parse_training_config([*flags, f"--vgg_weights={folder / 'vgg.safetensors'}"])[1]  # the second phase
    output_dir = str(folder / f"{stage}-{time.monotonic_ns()}")
    settings: dict[str, Any] = {"output_dir": output_dir, "mixed_precision": precision, "report_to": "none"}
    trainer = Trainer(replace(judged, dataloader_num_workers=0, **settings))
    trainer.batches = repeat(next(trainer.batches))  # loading has a benchmark of its own
    return trainer


def work(stages: Sequence[str], threads: int, folder: Path, precision: str, orders: Connection) -> None:
    """A process: as many updates of each stage, one stage after the other, as each message says.

    The answers are the CPU time of an update, by stage.
    """
    torch.set_num_threads(threads)
    keep_freed_memory()
    trainers = [make_trainer(stage, folder, precision) for stage in stages]
    orders.send("ready")
    while updates := orders.recv():
        seconds = {}
        for stage, trainer in zip(stages, trainers, strict=True):
            start = time.process_time()
            for _ in range(updates):
                trainer._update()
            seconds[stage] = (time.process_time() - start) / updates
        orders.send(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=5, help="of each stage, timed together")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--precision", choices=["no", "bf16"], default="no")
    args = parser.parse_args()

    context = get_context("spawn")
    lines: dict[str, list[Connection]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, 128, depth=8)
        for way, (threads, processes) in WAYS.items():
            lines[way] = []
            for stages in processes:
                line, end = context.Pipe()
                context.Process(target=work, args=(stages, threads, folder, args.precision, end), daemon=True).start()
                end.close()  # so that a process that fails is missed
                lines[way].append(line)
        for line in (line for each in lines.values() for line in each):
            line.recv()
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        of_updates: dict[str, list[float]] = {stage: [] for stage in STAGES}  # by one thread
        for turn in range(args.repeats + 1):
            for way, each in lines.items():
                start = time.perf_counter()
                for line in each:
                    line.send(1 if turn == 0 else args.updates)
                answers = [line.recv() for line in each]
                if turn:
                    seconds[way].append(time.perf_counter() - start)
                    if len(each) > 1:
                        for stage, cpu_seconds in (item for answer in answers for item in answer.items()):
                            of_updates[stage].append(cpu_seconds)
        for line in (line for each in lines.values() for line in each):
            line.send(0)
    rows: list[Row] = []
    first = seconds[next(iter(WAYS))]
    for way, times in seconds.items():
        rows.append({"": way, "seconds": statistics.median(times), "times as fast": times_as_fast(first, times)})
    arithmetic = {"no": "fp32"}.get(args.precision, args.precision)
    size = f"32 channels, 128x128, batch 8, {arithmetic}; median of {args.repeats}"
    updates: list[Row] = []
    for stage, times in of_updates.items():
        median = statistics.median(times)
        updates.append({"": f"{stage} stage", "seconds": median, "pictures a second": 8 / median})
    publish(
        "side_by_side",
        {
            f"{args.updates} updates each of G1 and of G2, {size}": rows,
            f"An update, {size}, CPU time of one thread": updates,
        },
    )


if __name__ == "__main__":
    main()
