"""The command line: `edgeconnect inpaint | edges | convert | export | push | demo`."""

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from .. import __version__
from ..demo.limits import Limits

if TYPE_CHECKING:
    import torch

    from ..pipeline import EdgeConnectPipeline

_EXPECTED_ERRORS = (ValueError, TypeError, OSError, Image.DecompressionBombError)

# How each format keeps known pixels as they are; JPEG cannot.
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    ".png": {},
    ".tif": {},
    ".tiff": {},
    ".webp": {"lossless": True, "exact": True},
    ".jpg": {"quality": 95},
    ".jpeg": {"quality": 95},
}
_JPEG = (".jpg", ".jpeg")

_EXAMPLES = """
examples:
  edgeconnect inpaint photo.jpg mask.png -o repaired.png
      repaint what is white in mask.png; every other pixel stays as it is

  edgeconnect edges photo.jpg mask.png -o lines.png      (then edit lines.png in any paint program)
  edgeconnect inpaint photo.jpg mask.png --edges lines.png -o repaired.png
      decide yourself what stands in the hole: white lines on black

  edgeconnect inpaint photos/ masks/ -o repaired/
      all pictures of a folder; finished ones are skipped when it is started again

  edgeconnect convert EdgeModel_gen.pth InpaintingModel_gen.pth my-model/
  edgeconnect inpaint photo.jpg mask.png --model my-model/ -o repaired.png
      use weights published in the original format

  edgeconnect export my-model/ my-model/ --format onnx
  edgeconnect push my-model/ user/model
      share a model on the Hub, with ONNX files beside its weights

  edgeconnect demo
      the web page: paint a mask, see the lines, edit them, complete
"""


@dataclass(frozen=True)
class _Job:
    """One picture to work on, and where its results go."""

    image: Path
    mask: Path
    maps: dict[str, Path]  # `edges`, `known_edges`, `edge_hints`: line maps read
    outputs: dict[str, Path]  # `images`, `edges`: results written

    def is_done(self) -> bool:
        return all(path.exists() for path in self.outputs.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0: all is well; 1: some pictures of a folder failed, the others are done; 2: the arguments do not fit.
    """
    parser = _parser()
    args = parser.parse_args(arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = _show_warning
        try:
            return args.run(args)
        except _EXPECTED_ERRORS as error:
            print(f"edgeconnect: error: {_one_line(error)}", file=sys.stderr)
            return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgeconnect",
        description="Repair photos: draw the missing lines of a hole, then paint between them.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    inpaint = commands.add_parser("inpaint", help="repair a picture, or a folder of them", **_command_text("inpaint"))
    inpaint.set_defaults(run=_inpaint)
    _add_picture_arguments(inpaint, "the repaired picture: .png, .webp, .tif (exact) or .jpg; for a folder, one")
    inpaint.add_argument(
        "--edges", type=Path, metavar="E", help="paint from these lines (the whole map, white on black)"
    )
    inpaint.add_argument("--save-edges", type=Path, metavar="E", help="write the lines it painted from")

    edges = commands.add_parser("edges", help="draw the lines only, to edit them", **_command_text("edges"))
    edges.set_defaults(run=_edges, edges=None)
    _add_picture_arguments(edges, "the lines, white on black, of the picture's size; for a folder, one")

    convert = commands.add_parser("convert", help="turn published .pth weights into a model folder")
    convert.set_defaults(run=_convert)
    convert.add_argument("edge_checkpoint", type=Path, metavar="EDGE", help="EdgeModel_gen.pth (or .safetensors)")
    convert.add_argument("completion_checkpoint", type=Path, metavar="COMPLETION", help="InpaintingModel_gen.pth")
    convert.add_argument("output", type=Path, metavar="OUT", help="folder to write")
    convert.add_argument("--dtype", choices=("fp32", "fp16", "bf16"), default="fp32", help="of the written weights")

    export = commands.add_parser("export", help="write both generators for another runtime")
    export.set_defaults(run=_export)
    export.add_argument("model", metavar="MODEL", help="model folder, or user/model on the Hub")
    export.add_argument("output", type=Path, metavar="OUT", help="folder to write; may be the model folder itself")
    export.add_argument("--format", choices=("onnx",), required=True, help="onnx: any batch, height and width")

    push = commands.add_parser("push", help="push a model folder to the Hub")
    push.set_defaults(run=_push)
    push.add_argument("folder", type=Path, metavar="FOLDER", help="written by training, convert or save_pretrained")
    push.add_argument("repo_id", metavar="REPO", help="user/model; made where it is missing")
    push.add_argument("--private", action="store_true", help="make it private, if it is made now")
    push.add_argument("--message", metavar="M", help="commit message")
    push.add_argument(
        "--push-validation-pictures",
        action="store_true",
        help="push validation.png, too: the pictures a training run validated on, yours as a rule",
    )

    demo = commands.add_parser("demo", help="start the web page on this machine")
    demo.set_defaults(run=_demo)
    demo.add_argument("--port", type=int, metavar="P", help="default: the first free one from 7860")
    Limits.add_flags(demo)
    _add_model_arguments(demo)
    return parser


def _command_text(command: str) -> dict[str, Any]:
    examples = {
        "inpaint": "edgeconnect inpaint photo.jpg mask.png -o repaired.png --save-edges lines.png",
        "edges": "edgeconnect edges photo.jpg mask.png -o lines.png",
    }
    return {
        "epilog": f"example:\n  {examples[command]}\n\n"
        "IMAGE and MASK may be folders paired by file name (photo.jpg, photo.png), or a folder and one mask for all.\n"
        "A folder's finished pictures are skipped; broken ones are reported and the rest go on (exit code 1).\n"
        "Under `torchrun` or `accelerate launch` a folder is divided among the processes.",
        "formatter_class": argparse.RawDescriptionHelpFormatter,
    }


def _add_picture_arguments(parser: argparse.ArgumentParser, output_help: str) -> None:
    parser.add_argument("image", type=Path, metavar="IMAGE", help="picture, or folder of pictures")
    parser.add_argument("mask", type=Path, metavar="MASK", help="white where to repaint, of the picture's size")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help=output_help)
    parser.add_argument("--resize-mask", action="store_true", help="scale a mask of another size to the picture")
    lines = parser.add_argument_group("lines")
    lines.add_argument("--known-edges", type=Path, metavar="E", help="lines of the known part, in place of Canny's")
    lines.add_argument("--edge-hints", type=Path, metavar="E", help="a few lines drawn in the hole, to be continued")
    lines.add_argument("--sigma", type=float, default=2.0, help="Canny's sigma; larger: fewer lines (default: 2)")
    parser.add_argument(
        "--strategy",
        choices=("auto", "original", "crop", "resize"),
        default="auto",
        help="on the whole picture (original), in windows around the holes (crop), in windows made as small as the "
        "training pictures (resize), or windows made smaller only around large holes (auto, the default)",
    )
    _add_model_arguments(parser)


def _add_model_arguments(parser: argparse.ArgumentParser) -> None:
    model = parser.add_argument_group("model")
    model.add_argument("--model", metavar="M", help="model folder, or user/model on the Hub (default: the bundled one)")
    model.add_argument(
        "--dtype",
        choices=("auto", "fp32", "bf16", "fp16"),
        default="auto",
        help="arithmetic; auto (the default) takes the fastest on this machine",
    )
    model.add_argument("--device", default="auto", help="auto (the default), cpu, cuda, cuda:1, mps, …")


def _inpaint(args: argparse.Namespace) -> int:
    outputs = {"images": args.output} | ({"edges": args.save_edges} if args.save_edges else {})

    def work(pipeline: "EdgeConnectPipeline", image: Image.Image, mask: Image.Image, maps: dict[str, Any]) -> Any:
        return pipeline(image, mask, sigma=args.sigma, strategy=args.strategy, **maps)

    return _run(args, outputs, work)


def _edges(args: argparse.Namespace) -> int:
    def work(pipeline: "EdgeConnectPipeline", image: Image.Image, mask: Image.Image, maps: dict[str, Any]) -> Any:
        edges = pipeline.generate_edges(image, mask, sigma=args.sigma, strategy=args.strategy, **maps)
        return {"edges": edges}

    return _run(args, {"edges": args.output}, work)


def _convert(args: argparse.Namespace) -> int:
    from ..formats.published import convert_checkpoints

    convert_checkpoints(args.edge_checkpoint, args.completion_checkpoint, args.output, dtype=_dtypes()[args.dtype])
    print(f"{args.output}: ready for `--model {args.output}`")
    return 0


def _export(args: argparse.Namespace) -> int:
    try:
        from ..formats.onnx import export_onnx
    except ModuleNotFoundError as error:
        if error.name not in ("onnx", "onnxscript"):
            raise
        raise ValueError("`edgeconnect export` needs ONNX: pip install 'edgeconnect-hf[onnx]'.") from None
    from ..pipeline import EdgeConnectPipeline

    _silence_diffusers()
    for path in export_onnx(EdgeConnectPipeline.from_pretrained(args.model), args.output):
        print(path)
    return 0


def _push(args: argparse.Namespace) -> int:
    from ..hub import push_folder

    url = push_folder(
        args.folder,
        args.repo_id,
        private=args.private or None,
        commit_message=args.message,
        push_validation_pictures=args.push_validation_pictures,
    )
    print(url)
    return 0


def _demo(args: argparse.Namespace) -> int:
    try:
        from ..demo import build_demo, launch
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise ValueError("`edgeconnect demo` needs Gradio: pip install 'edgeconnect-hf[demo]'.") from None

    limits = Limits.from_flags(args)
    launch(build_demo(_load_pipeline(args), limits=limits), host="127.0.0.1", port=args.port)
    return 0


def _run(args: argparse.Namespace, outputs: dict[str, Path], work: Callable[..., Any]) -> int:
    """Do `work` on one picture, whose errors end the command, or on a folder of them, whose errors are collected."""
    maps = {
        name: path
        for name, path in (
            ("edges", args.edges),
            ("known_edges", args.known_edges),
            ("edge_hints", args.edge_hints),
        )
        if path is not None
    }
    rank, world_size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if not args.image.is_dir():
        if rank == 0:
            job = _single_job(args.image, args.mask, maps, outputs)
            _do(job, _load_pipeline(args), work, args.resize_mask)
        return 0

    jobs = _folder_jobs(args.image, args.mask, maps, outputs)[rank::world_size]
    waiting = [job for job in jobs if not job.is_done()]
    if skipped := len(jobs) - len(waiting):
        print(f"{skipped} of {len(jobs)} pictures are finished already")
    failures = []
    if waiting:
        pipeline = _load_pipeline(args)
        for job in tqdm(waiting, unit="picture", disable=rank != 0):
            try:
                _do(job, pipeline, work, args.resize_mask)
            except (*_EXPECTED_ERRORS, RuntimeError, MemoryError) as error:  # the last two: no memory for this one
                failures.append(f"{job.image}: {_one_line(error)}")
                tqdm.write(f"edgeconnect: {failures[-1]}", file=sys.stderr)
    if failures:
        print(
            f"edgeconnect: {len(failures)} of {len(waiting)} pictures failed:", *failures, sep="\n  ", file=sys.stderr
        )
    if world_size > 1 and "MASTER_ADDR" in os.environ:
        _wait_for_all_processes()
    return 1 if failures else 0


def _wait_for_all_processes() -> None:
    """Return once every process is here: where one ends with an error, `torchrun` kills those still at work."""
    from torch import distributed

    distributed.init_process_group("gloo", timeout=timedelta(days=365))  # longer than any folder takes
    distributed.barrier()
    distributed.destroy_process_group()


def _single_job(image: Path, mask: Path, maps: dict[str, Path], outputs: dict[str, Path]) -> _Job:
    outputs = {kind: path / f"{image.stem}.png" if path.is_dir() else path for kind, path in outputs.items()}
    for path in outputs.values():
        if path.suffix.lower() not in _SAVE_OPTIONS:
            raise ValueError(f"the output {str(path)!r} should end in one of {', '.join(_SAVE_OPTIONS)}.")
        if not path.parent.is_dir():
            raise ValueError(f"the output {str(path)!r} lies in a folder that does not exist.")
    _check_apart(outputs.values(), (image, mask, *maps.values()))
    return _Job(image, mask, maps, outputs)


def _folder_jobs(images: Path, masks: Path, maps: dict[str, Path], outputs: dict[str, Path]) -> list[_Job]:
    """One job a picture of the folder `images`; results are written as PNG under the pictures' names."""
    for path in outputs.values():
        if path.exists() and not path.is_dir():
            raise ValueError(f"the output {str(path)!r} is a file, the input {str(images)!r} a folder; a folder fits.")
    _check_apart(outputs.values(), (images, masks, *maps.values()))
    pictures = _pictures_by_stem(images)
    if not pictures:
        raise ValueError(f"the folder {str(images)!r} holds no pictures.")
    mask_of = _paired(masks, pictures)
    maps_of = {name: _paired(path, pictures) for name, path in maps.items()}
    for path in outputs.values():
        path.mkdir(parents=True, exist_ok=True)
    return [
        _Job(
            image,
            mask_of[stem],
            {name: paths[stem] for name, paths in maps_of.items()},
            {kind: path / f"{stem}.png" for kind, path in outputs.items()},
        )
        for stem, image in pictures.items()
    ]


def _check_apart(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """No result is written over another, nor among the inputs, whose files would pass for finished results."""
    taken = {path.resolve(): f"the input {str(path)!r}" for path in inputs}
    for path in outputs:
        if other := taken.get(path.resolve()):
            raise ValueError(f"{other} and the output {str(path)!r} are the same place; different ones fit.")
        taken[path.resolve()] = f"the output {str(path)!r}"


def _paired(path: Path, pictures: dict[str, Path]) -> dict[str, Path]:
    """The file of each picture: the one of its name in a folder, or one file for all."""
    if not path.is_dir():
        return dict.fromkeys(pictures, path)
    # A missing one is an error of its picture alone: opening it says so.
    return {stem: path / f"{stem}.png" for stem in pictures} | _pictures_by_stem(path)


def _pictures_by_stem(folder: Path) -> dict[str, Path]:
    extensions = Image.registered_extensions()
    pictures: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in extensions and not path.name.startswith("."):
            if path.stem in pictures:
                raise ValueError(
                    f"{str(folder)!r} holds both {pictures[path.stem].name!r} and {path.name!r}; "
                    "files are paired by name without ending, which must be unique."
                )
            pictures[path.stem] = path
    return pictures


def _do(job: _Job, pipeline: "EdgeConnectPipeline", work: Callable[..., Any], resize_mask: bool) -> None:
    image, mask = _open(job.image, "image"), _open(job.mask, "mask")
    if resize_mask and mask.size != image.size:
        mask = mask.resize(image.size, Image.Resampling.NEAREST)
    if "images" in job.outputs and job.outputs["images"].suffix.lower() in _JPEG:
        if image.mode in ("RGBA", "LA"):
            raise ValueError(f"JPEG holds no transparency, which {str(job.image)!r} has; .png fits.")
        warnings.warn("JPEG recompresses the known pixels too; .png keeps them exactly.", stacklevel=2)
    maps = {name: _open(path, name) for name, path in job.maps.items()}
    results = work(pipeline, image, mask, maps)
    for kind, path in job.outputs.items():
        _save(results[kind][0], path)


def _open(path: Path, name: str) -> Image.Image:
    """Read a picture wholly, upright."""
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image)
    except FileNotFoundError:
        raise ValueError(f"the {name} {str(path)!r} does not exist.") from None
    except UnidentifiedImageError:
        raise ValueError(f"the {name} {str(path)!r} is not a picture of a known format.") from None
    except Exception as error:  # Pillow's decoders, and its reader of EXIF, may raise anything
        raise ValueError(f"the {name} {str(path)!r} cannot be decoded: {_one_line(error)}.") from error


def _save(image: Image.Image, path: Path) -> None:
    """Write beside the target, then rename: no half-written picture under its name."""
    part = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        image.save(part, icc_profile=image.info.get("icc_profile"), **_SAVE_OPTIONS[path.suffix.lower()])
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _load_pipeline(args: argparse.Namespace) -> "EdgeConnectPipeline":
    import torch

    from ..pipeline import EdgeConnectPipeline

    _silence_diffusers()
    device = _pick_device(args.device)
    try:
        torch.zeros(1).to(device).cpu()  # there and back: "meta" takes a tensor and gives none
        dtype = fastest_dtype(device) if args.dtype == "auto" else _dtypes()[args.dtype]
        return EdgeConnectPipeline.from_pretrained(args.model, dtype=dtype).to(device)
    except (RuntimeError, AssertionError, ModuleNotFoundError) as error:  # torch's words for a device that is not there
        raise ValueError(f"`--device` is {args.device!r}: {_one_line(error)}") from error


def _silence_diffusers() -> None:
    from diffusers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()


def _pick_device(name: str) -> "torch.device":
    import torch

    if name != "auto":
        try:
            return torch.device(name)
        except RuntimeError:
            raise ValueError(f"`--device` is {name!r}; auto, cpu, cuda, cuda:1 or mps fits.") from None
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def fastest_dtype(device: "torch.device") -> "torch.dtype":
    """The fastest arithmetic of `device`: bf16 on GPUs since Ampere, fp16 on older ones; on CPUs with AMX or
    AVX512-BF16 what a convolution takes less time in, bf16 or fp32; else fp32."""
    import torch

    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    has_bf16 = device.type == "cpu" and (torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
    # Having it is not enough: it doubles the speed of AMD's Zen 4 and halves that of Intel's Xeons without AMX.
    if has_bf16 and _convolution_seconds(torch.bfloat16) < 0.8 * _convolution_seconds(torch.float32):
        return torch.bfloat16
    return torch.float32


def _convolution_seconds(dtype: "torch.dtype") -> float:
    """Time on the CPU of a convolution of the kind that the generators' time goes to: the best of a few."""
    import torch

    convolution: torch.nn.Module = torch.nn.Conv2d(128, 128, 3, padding=1, dtype=dtype)
    convolution.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    features = torch.zeros(1, 128, 32, 32, dtype=dtype).contiguous(memory_format=torch.channels_last)
    seconds = []
    with torch.inference_mode():
        for _ in range(5):
            start = time.perf_counter()
            convolution(features)
            seconds.append(time.perf_counter() - start)
    return min(seconds)


def _dtypes() -> "dict[str, torch.dtype]":
    import torch

    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    tqdm.write(f"edgeconnect: warning: {message}", file=sys.stderr)
