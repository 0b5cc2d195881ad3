"""`edgeconnect inpaint` and `edgeconnect edges`: read one photo's files, run the pipeline, write the results."""

import argparse
import os
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from PIL import Image

from .batch import pair_folder, run_folder
from .device import load_pipeline
from .jobs import Job, check_paths_differ

if TYPE_CHECKING:
    from ..pipeline import EdgeConnectPipeline

# Options that keep the known pixels exact, which JPEG cannot do.
_WRITE_OPTIONS: dict[str, dict[str, Any]] = {
    ".png": {},
    ".tif": {},
    ".tiff": {},
    ".webp": {"lossless": True, "exact": True},
    ".jpg": {"quality": 95},
    ".jpeg": {"quality": 95},
}
_JPEG = (".jpg", ".jpeg")

_Images: TypeAlias = dict[str, Any]  # PIL images, by argument of the pipeline (read) or of the command line (to write)
_Work: TypeAlias = "Callable[[EdgeConnectPipeline, _Images, Job], _Images]"


def run_inpaint(args: argparse.Namespace) -> int:
    """`edgeconnect inpaint`."""

    def complete(pipeline: "EdgeConnectPipeline", images: _Images, job: Job) -> _Images:
        _check_jpeg(job, images["image"])
        result: Any = pipeline(**images, sigma=args.sigma, strategy=args.strategy)
        return {"--output": result.images[0], "--save-edges": result.edges[0]}

    return _run(args, complete)


def run_edges(args: argparse.Namespace) -> int:
    """`edgeconnect edges`."""

    def draw(pipeline: "EdgeConnectPipeline", images: _Images, job: Job) -> _Images:
        return {"--output": pipeline.generate_edges(**images, sigma=args.sigma, strategy=args.strategy)[0]}

    return _run(args, draw)


def _run(args: argparse.Namespace, work: _Work) -> int:
    inputs = _given(args, "image", "mask_image", "--edges", "--known-edges", "--edge-hints")
    outputs = _given(args, "--output", "--save-edges")
    load = partial(load_pipeline, args.model, args.device, args.dtype)
    run_job = partial(_run_job, work=work, resize_mask=args.resize_mask)
    if args.image.is_dir():
        return run_folder(pair_folder(inputs, outputs), load, run_job)
    if int(os.environ.get("RANK", 0)) == 0:  # under `torchrun`, one process is enough for one photo
        run_job(_single_job(inputs, outputs), load())
    return 0


def _given(args: argparse.Namespace, *arguments: str) -> dict[str, Path]:
    """The paths that the user gave, by argument."""
    paths = {argument: getattr(args, _keyword(argument), None) for argument in arguments}
    return {argument: path for argument, path in paths.items() if path is not None}


def _keyword(argument: str) -> str:
    """The name in Python of an argument: `--edge-hints` is `edge_hints`."""
    return argument.lstrip("-").replace("-", "_")


def _single_job(inputs: dict[str, Path], outputs: dict[str, Path]) -> Job:
    outputs = {
        argument: path / f"{inputs['image'].stem}.png" if path.is_dir() else path for argument, path in outputs.items()
    }
    for argument, path in outputs.items():
        if path.suffix.lower() not in _WRITE_OPTIONS:
            raise ValueError(f"`{argument}` must end in one of {', '.join(_WRITE_OPTIONS)}: got {str(path)!r}.")
        if not path.parent.is_dir():
            raise ValueError(f"`{argument}` must be in a folder that exists: got {str(path)!r}.")
    check_paths_differ(inputs, outputs)
    return Job(inputs, outputs)


def _run_job(job: Job, pipeline: "EdgeConnectPipeline", work: _Work, resize_mask: bool) -> None:
    from ..pictures import read_file, write_file  # imports torch, which `--help` does not need

    images = {_keyword(name): read_file(path, f"`{name}` {str(path)!r}") for name, path in job.inputs.items()}
    image, mask_image = images["image"], images["mask_image"]
    if mask_image.size != image.size:
        if not resize_mask:
            sizes = ["{}x{}".format(*each.size) for each in (image, mask_image)]
            raise ValueError(
                f"`mask_image` must have the size of `image`, {sizes[0]}: got {sizes[1]} (`--resize-mask` scales it)."
            )
        images["mask_image"] = mask_image.resize(image.size, Image.Resampling.NEAREST)
    results = work(pipeline, images, job)
    for argument, path in job.outputs.items():
        write_file(results[argument], path, **_WRITE_OPTIONS[path.suffix.lower()])


def _check_jpeg(job: Job, image: Image.Image) -> None:
    output = job.outputs["--output"]
    if output.suffix.lower() in _JPEG:
        if image.mode in ("RGBA", "LA"):
            raise ValueError(
                f"`--output` is {str(output)!r}, but JPEG has no transparency and {str(job.inputs['image'])!r} does: "
                "use .png."
            )
        warnings.warn("JPEG recompresses the known pixels as well; use .png to keep them exactly.", stacklevel=2)
