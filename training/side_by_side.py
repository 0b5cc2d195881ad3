"""Train G1 and G2 at the same time, a process each: for machines without a GPU (docs/training.md)."""

import argparse
import dataclasses
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

if __name__ == "__main__":  # run as a script: its siblings are imported as `training.…`, from anywhere
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import yaml
from diffusers.utils.logging import disable_progress_bar
from tqdm import tqdm

from edgeconnect_hf import EdgeConnectPipeline
from edgeconnect_hf.hub import PushError
from training.config import TrainingConfig
from training.flags import parse_training_config
from training.networks import needed_generators
from training.phases import check_runs, join_results, plan_runs
from training.publish import push, push_line

_TRAIN = Path(__file__).with_name("train.py")
# Of a child: progress bars that are short and rare.
_ENVIRONMENT = {
    **os.environ,
    "TQDM_BAR_FORMAT": "{desc}: {n_fmt}/{total_fmt}{postfix}",
    "TQDM_MININTERVAL": "10",
}
_BAR = re.compile(r".*: \d+/(\d+|\?)(, |$)")


class Child:
    """One stage, trained by `train.py` in a process of its own.

    Its output goes to a log file; of it, messages go to the terminal, and the progress bar to a line that all share.

    Args:
        stage (`str`): edge, completion or joint: the first word of its messages, and of its progress bar's lines.
        flags (`Sequence[str]`): `train.py`'s.
        output_dir (`Path`): where `<stage>.log` is, or begins.
        shared (`tqdm`): the shared line.
        progress (`dict[str, str]`): what the shared line says, by stage; of all children.
    """

    def __init__(
        self, stage: str, flags: Sequence[str], output_dir: Path, shared: "tqdm[NoReturn]", progress: dict[str, str]
    ):
        one_thread = {"OMP_NUM_THREADS": "1"} if len(progress) > 1 else {}  # unless the user wants more
        self.stage = stage
        self.log = output_dir / f"{stage}.log"
        self.last_message = ""
        self.process = subprocess.Popen(
            [sys.executable, str(_TRAIN), *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,  # and a bar's carriage returns end lines
            encoding="utf-8",
            errors="replace",
            env={**one_thread, **_ENVIRONMENT},
            start_new_session=True,  # Ctrl-C reaches this program only, which asks for checkpoints
        )
        self.reader = threading.Thread(target=self._read, args=(shared, progress))
        self.reader.start()

    def _read(self, shared: "tqdm[NoReturn]", progress: dict[str, str]) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output, self.log.open("a", encoding="utf-8") as log:
            for line in filter(str.strip, output):
                log.write(line)
                log.flush()
                text = line.rstrip()
                if _BAR.match(text) is None:
                    self.last_message = text
                    tqdm.write(f"{self.stage}: {text}")
                elif text.startswith(f"{self.stage}: "):
                    progress[self.stage] = ", ".join(text.split(", ")[:2])  # updates and time left
                    shared.set_description_str(" | ".join(progress.values()))

    def say_failure(self, status: int) -> str:
        """How the process ended, with a status that is not 0, and what it said last."""
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        return f"{self.stage}: ended {how} (its output is in {self.log}): {self.last_message}"


class SideBySide:
    """Runs children, passes SIGTERM and Ctrl-C on to them as requests for a checkpoint, and ends all if one fails.

    Args:
        output_dir (`Path`): of the whole training; it holds the logs.
    """

    def __init__(self, output_dir: Path):
        self.output_dir = output_dir
        self.signal: int | None = None  # the first that was received
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._record)

    def _record(self, number: int, _: object) -> None:
        self.signal = self.signal or number

    def run(self, flags: dict[str, list[str]]) -> None:
        """Runs a child for each stage in `flags` until all have ended.

        Raises:
            SystemExit: one has failed (status 1, with a message), or a signal has ended them (status 0 after SIGTERM).
        """
        progress = {stage: f"{stage}: starting" for stage in flags}
        with tqdm(bar_format="{desc}") as shared:
            children = [Child(stage, own, self.output_dir, shared, progress) for stage, own in flags.items()]
            statuses: dict[str, int] = {}
            failed: Child | None = None
            is_stopped = False
            while len(statuses) < len(children):
                for child in children:
                    status = child.process.poll()
                    if status is not None and child.stage not in statuses:
                        child.reader.join()
                        statuses[child.stage] = status
                        is_expected = is_stopped and status == -signal.SIGTERM  # before it could train
                        failed = failed or (child if status and not is_expected else None)
                if (self.signal or failed) and not is_stopped:
                    is_stopped = True
                    for child in children:
                        child.process.terminate()
                time.sleep(0.1)
        rest = "Continue with `--resume_from_checkpoint latest`."
        if failed is not None:
            others = " and ".join(child.stage for child in children if child is not failed)
            stopped = f"{others} was stopped, with a checkpoint if it had begun. " if others else ""
            raise SystemExit(f"{failed.say_failure(statuses[failed.stage])}\n{stopped}{rest}")
        if self.signal is not None:
            print(f"Stopped. {rest}")
            raise SystemExit(0 if self.signal == signal.SIGTERM else 128 + self.signal)


def count_early(phases: Sequence[TrainingConfig]) -> int:
    """How many of G2's phases can be trained before G1 is, the first of them."""
    return next((number for number, phase in enumerate(phases) if needed_generators(phase)), len(phases))


def _divide_phases(recipe: str, early: int) -> tuple[list[str], list[str]]:
    """Flags for the first `early` phases of a recipe, and for the others."""
    listed = yaml.safe_load(Path(recipe).read_text(encoding="utf-8")).get("phases", [])
    return [f"--phases={json.dumps(listed[:early])}"], [f"--phases={json.dumps(listed[early:])}"]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line: G1 and G2 beside each other, then what needs both, or the joined pipeline."""
    parser = argparse.ArgumentParser(
        prog="side_by_side.py",
        allow_abbrev=False,
        description="Train G1 and G2 at the same time, a process each. All other flags of train.py are for both. "
        "Without the two recipes, they are those of train.py with `--stage all`, whose joint stage follows.",
    )
    parser.add_argument("--edge_recipe", metavar="FILE", help="a recipe of the edge stage")
    parser.add_argument(
        "--completion_recipe",
        metavar="FILE",
        help="a recipe of the completion stage; its phases from the first that uses G1's lines follow when G1 is done",
    )
    parser.add_argument("--output_dir", required=True, type=Path, metavar="FOLDER", help="for the result and both runs")
    parser.add_argument("--resume_from_checkpoint", choices=["latest"], help="continue what was interrupted")
    own, flags = parser.parse_known_args(arguments)
    if (own.edge_recipe is None) != (own.completion_recipe is None):
        parser.error("one of `edge_recipe` and `completion_recipe` is missing.")
    output_dir: Path = own.output_dir
    if own.resume_from_checkpoint is not None:
        flags.append(f"--resume_from_checkpoint={own.resume_from_checkpoint}")

    # 1. The settings: all is checked before anything begins.
    folders = {stage: output_dir / stage for stage in ("edge", "completion")}
    joined = output_dir / "joined"
    is_all = own.edge_recipe is None
    if is_all and {config.stage for config in parse_training_config(flags)} != {"all"}:
        parser.error("without `edge_recipe` and `completion_recipe`, `stage` must be all.")
    kinds = ("--stage=edge", "--stage=completion")
    if not is_all:
        kinds = (f"--recipe={own.edge_recipe}", f"--recipe={own.completion_recipe}")
    of_edge, of_completion = (
        [*flags, kind, f"--output_dir={folder}"] for kind, folder in zip(kinds, folders.values(), strict=True)
    )
    edge, completion = parse_training_config(of_edge), parse_training_config(of_completion)
    for stage, phases in (("edge", edge), ("completion", completion)):
        if others := {phase.stage for phase in phases} - {stage}:
            parser.error(f"`{stage}_recipe` trains stage {', '.join(sorted(others))}, expected {stage}.")
    early = count_early(completion)
    if early == 0:
        parser.error("`completion_recipe` must begin with `edge_source` canny: G2 learns while there is no G1 yet.")
    late = [
        dataclasses.replace(phase, output_dir=str(output_dir), pretrained_model_name_or_path=str(joined))
        for phase in ([dataclasses.replace(completion[0], stage="joint")] if is_all else completion[early:])
    ]
    logging.basicConfig(level=logging.ERROR)  # the children say the rest
    disable_progress_bar()
    try:
        check_runs([*plan_runs(edge), *plan_runs(completion[:early]), *(plan_runs(late) if late else ())])
    except (ValueError, OSError) as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from error

    # 2. Both, then what needs both.
    output_dir.mkdir(parents=True, exist_ok=True)
    side_by_side = SideBySide(output_dir)
    before, after = ([], ["--stage=joint"]) if is_all else _divide_phases(own.completion_recipe, early)
    side_by_side.run(
        {
            "edge": [*of_edge, "--push_to_hub=false"],
            "completion": [*of_completion, "--push_to_hub=false", *(before if late else [])],
        }
    )
    try:
        join_results(folders["edge"], folders["completion"], joined if late else output_dir)
    except OSError as error:  # a full disk; no result, where one stage alone was told to stop
        raise SystemExit(f"{type(error).__name__}: {error}") from error
    if late:
        own_flags = [f"--output_dir={output_dir}", f"--pretrained_model_name_or_path={joined}", *after]
        side_by_side.run({late[0].stage: [*of_completion, *own_flags]})
    elif completion[-1].push_to_hub:
        config = dataclasses.replace(completion[-1], output_dir=str(output_dir))
        try:
            print("Pushed:", push(output_dir, config))
        except PushError as error:
            raise SystemExit(f"PushError: {error}") from error
    if (output_dir / EdgeConnectPipeline.config_name).exists():  # not where the last child was told to stop
        print(f"G1 and G2 are one pipeline in {output_dir}.")
        print(f"To share it, with a page that shows it: {push_line(output_dir, completion[-1])}")


if __name__ == "__main__":
    main()
