"""`edgeconnect inpaint`, `edges` and `extend`: one photo or a folder, from the arguments to the exit code."""

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from .batch import run_folder
from .device import Model
from .errors import EXPECTED_ERRORS, one_line
from .folders import pair_folder
from .jobs import STREAM, Job, check_inputs_differ
from .outputs import check_quality, check_transparency, ending_of, single_job, warn_if_lossy, write_result
from .record import Record
from .report import Report

if TYPE_CHECKING:
    from ..pipeline import EdgeConnectPipeline

# The pipeline, its arguments -> the repaired photo, or None where only lines are drawn; the lines.
_Work: TypeAlias = "Callable[..., tuple[Any, Any]]"


def run_inpaint(args: argparse.Namespace) -> int:
    """`edgeconnect inpaint`."""

    def complete(pipeline: "EdgeConnectPipeline", **arguments: Any) -> tuple[Any, Any]:
        result: Any = pipeline(**arguments)
        return result.images[0], result.edges[0]

    return _run(args, complete)


def run_edges(args: argparse.Namespace) -> int:
    """`edgeconnect edges`."""

    def draw(pipeline: "EdgeConnectPipeline", **arguments: Any) -> tuple[Any, Any]:
        return None, pipeline.generate_edges(**arguments)[0]

    return _run(args, draw)


def run_extend(args: argparse.Namespace) -> int:
    """`edgeconnect extend`."""
    from ..extension import find_margins

    find_margins((1, 1), _sides(args), args.aspect_ratio)  # refuses wrong ones before anything is read
    return run_inpaint(args)


def _run(args: argparse.Namespace, work: _Work) -> int:
    from ..holes import MAX_PADDING

    inputs = _given(args, "image", "mask_image", "--edges", "--known-edges", "--edge-hints")
    outputs = _given(args, "--output", "--save-edges")
    if not 0 <= args.grow <= MAX_PADDING:
        raise ValueError(f"`--grow` must be 0 to {MAX_PADDING} pixels: got {args.grow}.")
    _check_streams(args, inputs, outputs)
    check_inputs_differ(inputs)
    model = Model(args.model, args.device, args.dtype)
    report = Report(args.json)
    run_job = partial(_run_job, work=work, args=args)
    ending = ending_of(args.output, args.format)
    if args.image.is_dir():
        ending = f".{args.format or 'png'}"
        check_quality(args.quality, ending)
        jobs, notes = pair_folder(inputs, outputs, recursive=args.recursive, suffix=args.suffix, ending=ending)
        warn_if_lossy(args.quality, ending)
        for path in outputs.values():
            path.mkdir(parents=True, exist_ok=True)
        record = Record(args.output, _settings(args, model))
        return run_folder(jobs, notes, model, run_job, record, report, overwrite=args.overwrite)
    job = single_job(inputs, outputs, args.format, args.suffix)
    check_quality(args.quality, ending)
    if int(os.environ.get("RANK", 0)) == 0:  # under `torchrun`, one process is enough for one photo
        _run_single(job, model, run_job, report)
        warn_if_lossy(args.quality, ending)
    return 0


def _given(args: argparse.Namespace, *arguments: str) -> dict[str, Path]:
    """The paths that the user gave, by argument."""
    paths = {argument: getattr(args, argument.lstrip("-").replace("-", "_"), None) for argument in arguments}
    return {argument: path for argument, path in paths.items() if path is not None}


def _check_streams(args: argparse.Namespace, inputs: dict[str, Path], outputs: dict[str, Path]) -> None:
    """Check what is read from standard input and written to standard output."""
    read = [argument for argument, path in inputs.items() if path == STREAM]
    if len(read) > 1:
        raise ValueError(f"`{read[0]}` and `{read[1]}` cannot both be - (standard input).")
    if (read or STREAM in outputs.values()) and args.image.is_dir():
        raise ValueError(f"- (standard input or output) is for one photo; `image` is the folder {str(args.image)!r}.")
    if args.json and args.output == STREAM:
        raise ValueError("`--json` and `--output -` cannot both write to standard output.")


def _settings(args: argparse.Namespace, model: Model) -> dict[str, Any]:
    """The options that shape a result, beside its inputs and its name."""
    names = ("sigma", "strategy", "grow", "frame", "quality")
    settings = {name: getattr(args, name) for name in names} | {"command": args.command, "model": model.digest}
    if args.command == "extend":
        settings |= {**_sides(args), "aspect_ratio": args.aspect_ratio}
    return settings


def _sides(args: argparse.Namespace) -> dict[str, int]:
    return {side: getattr(args, side) for side in ("left", "right", "top", "bottom")}


def _run_single(job: Job, model: Model, run_job: Callable[[Job, "EdgeConnectPipeline"], int], report: Report) -> None:
    start = time.perf_counter()
    try:
        windows = run_job(job, model.pipeline)
    except EXPECTED_ERRORS as error:
        report.photo(job, "failed", seconds=time.perf_counter() - start, error=one_line(error))
        raise
    report.photo(job, "done", seconds=time.perf_counter() - start, windows=windows)


def _run_job(job: Job, pipeline: "EdgeConnectPipeline", work: _Work, args: argparse.Namespace) -> int:
    """Read a photo's files, work on the part around its holes, write the results; the number of windows."""
    from .photo import read_extended, read_photo, repair  # imports torch, which `--help` does not need

    check_inputs_differ(job.inputs)
    ending = ending_of(job.outputs["--output"], args.format)
    limits = {"frame": args.frame, "max_pixels": args.max_megapixels * 1e6}
    if args.command == "extend":
        photo = read_extended(job.inputs["image"], _sides(args), args.aspect_ratio, **limits)
    else:
        photo = read_photo(job.inputs, resize_mask=args.resize_mask, **limits)
    check_transparency(job, photo.has_alpha and args.command != "edges", ending)
    drawn, box, windows = repair(photo, pipeline, work, sigma=args.sigma, strategy=args.strategy, padding=args.grow)
    result = photo.full_lines(drawn, box) if args.command == "edges" else photo.image
    write_result(result, job.outputs["--output"], ending, args.quality)
    if edges_path := job.outputs.get("--save-edges"):
        write_result(photo.full_lines(drawn, box), edges_path, edges_path.suffix.lower())
    return windows
