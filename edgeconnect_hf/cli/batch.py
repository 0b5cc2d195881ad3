"""Folders: skip finished photos, redo changed ones, collect errors, share the work among processes."""

import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from tqdm import tqdm

from .device import Model
from .errors import EXPECTED_ERRORS, NO_MORE_WRITES, one_line, warnings_on_one_line
from .jobs import Job, listed
from .record import Record
from .report import Report

if TYPE_CHECKING:
    from ..pipeline import EdgeConnectPipeline


def run_folder(
    jobs: list[Job],
    notes: list[str],
    model: Model,
    run_job: Callable[[Job, "EdgeConnectPipeline"], int],
    record: Record,
    report: Report,
    *,
    overwrite: bool,
) -> int:
    """Run this process's share of `jobs`. A photo that fails is reported, and the next one follows.

    Args:
        jobs (`list[Job]`): the folder's photos.
        notes (`list[str]`): what else the folder holds; said at the end.
        model (`Model`): loaded if there is work.
        run_job: writes the results of a job; returns the number of windows repainted.
        record (`Record`): what made the results that are there.
        report (`Report`): says what happens.
        overwrite (`bool`): redo all photos, finished or not.

    Returns:
        The exit code: 1 if a photo failed or none could be written any more, else 0.
    """
    rank, world_size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    jobs = jobs[rank::world_size]
    waiting = jobs if overwrite else _choose(jobs, record, report)
    failures = []
    stopped = None
    if waiting:
        pipeline = model.pipeline
        for place, job in enumerate(tqdm(waiting, unit="photo", disable=rank != 0)):
            start = time.perf_counter()
            try:
                with warnings_on_one_line(job.name):
                    windows = _run(job, pipeline, run_job, record)
            except (*EXPECTED_ERRORS, RuntimeError, MemoryError) as error:  # the last two: out of memory
                message = one_line(error)
                report.photo(job, "failed", seconds=time.perf_counter() - start, error=message)
                if isinstance(error, OSError) and error.errno in NO_MORE_WRITES:
                    stopped = f"stopped at {job.name}, with {len(waiting) - place} photos to do: {message}"
                    break
                failures.append(f"{job.name}: {message}")
                report.warn(failures[-1])
            else:
                report.photo(job, "done", seconds=time.perf_counter() - start, windows=windows)
    if failures:
        print(f"edgeconnect: {len(failures)} of {len(waiting)} photos failed:", *failures, sep="\n  ", file=sys.stderr)
    if rank == 0:
        for note in notes:
            report.warn(note)
    if stopped:
        report.warn(stopped)
    if world_size > 1 and "MASTER_ADDR" in os.environ:
        _wait_for_all_processes()
    return 1 if failures or stopped else 0


def _choose(jobs: list[Job], record: Record, report: Report) -> list[Job]:
    """The jobs to run: those without results, and those whose results were made from something else."""
    chosen, finished, foreign = [], [], []
    changed: defaultdict[str, list[str]] = defaultdict(list)
    for job in jobs:
        verdict = record.judge(job)
        if verdict.state == "finished" and not job.problem:
            finished.append(job)
        elif verdict.state == "foreign" and not job.problem:
            foreign.append(job)
        else:
            chosen.append(job)
        if verdict.state == "changed":
            changed[verdict.reason].append(job.name)
    if finished:
        report.say(f"skipping {len(finished)} of {len(jobs)} photos: finished already")
    for reason, names in changed.items():
        report.warn(f"redoing {len(names)} of {len(jobs)} photos, {reason}: {listed(names)}")
    unknown = "the result is not from this command, or was changed since; `--overwrite` replaces it"
    if foreign:
        results = listed(job.outputs["--output"] for job in foreign)
        report.warn(f"skipping {len(foreign)} of {len(jobs)} photos, {unknown}: {results}")
    for job in finished:
        report.photo(job, "skipped")
    for job in foreign:
        report.photo(job, "skipped", error=unknown)
    return chosen


def _run(
    job: Job, pipeline: "EdgeConnectPipeline", run_job: Callable[[Job, "EdgeConnectPipeline"], int], record: Record
) -> int:
    if job.problem:
        raise ValueError(job.problem)
    inputs = record.begin(job)
    windows = run_job(job, pipeline)
    record.finish(job, inputs)
    return windows


def _wait_for_all_processes() -> None:
    """Wait until every process is done: `torchrun` kills the others when one exits with an error."""
    from torch import distributed

    distributed.init_process_group("gloo", timeout=timedelta(days=365))  # longer than any folder takes
    distributed.barrier()
    distributed.destroy_process_group()
