"""The command line: `edgeconnect inpaint | edges | extend | convert | export | push | demo`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .. import __version__
from ..serving.limits import Limits
from .commands import run_convert, run_demo, run_export, run_push
from .device import DTYPES
from .errors import EXPECTED_ERRORS, one_line, warnings_on_one_line
from .inpaint import run_edges, run_extend, run_inpaint
from .outputs import FORMATS

_EXAMPLES = """
examples:
  edgeconnect inpaint photo.jpg mask.png -o repaired.png
      repaint the white area of mask.png; all other pixels are kept

  edgeconnect edges photo.jpg mask.png -o lines.png      (edit lines.png in any paint program)
  edgeconnect inpaint photo.jpg mask.png --edges lines.png -o repaired.png
      complete the photo along your own lines, white on black

  edgeconnect inpaint photos/ masks/ -o repaired/
      complete all photos of a folder; run it again to resume, or after a mask has changed

  edgeconnect extend photo.jpg --left 200 -o wider.png
      continue the photo beyond its border

  edgeconnect convert EdgeModel_gen.pth InpaintingModel_gen.pth my-model/
  edgeconnect inpaint photo.jpg mask.png --model my-model/ -o repaired.png
      use weights published in the original format

  edgeconnect export my-model/ my-model/ --format onnx
  edgeconnect push my-model/ user/model
      share a model on the Hub, with ONNX files beside its weights

  edgeconnect demo
      start the web demo: paint a mask, edit the lines, complete the photo
"""

_FOLDERS = """
`image` and `mask_image` may be folders, paired by file name (photo.jpg, photo.png), or a folder and one mask for all.
Finished photos are skipped, those whose inputs or options changed are redone; photos that fail are reported, and the
others are still written (exit code 1). Under `torchrun` or `accelerate launch`, the processes share a folder.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit code: 0 on success, 1 if some photos of a folder failed, 2 for invalid arguments or files, 130 if it
        was interrupted.
    """
    args = _parser().parse_args(arguments)
    with warnings_on_one_line():
        try:
            return args.run(args)
        except EXPECTED_ERRORS as error:
            print(f"edgeconnect: error: {one_line(error)}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:  # Ctrl-C
            print("edgeconnect: interrupted; results written so far are whole", file=sys.stderr)
            return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgeconnect",
        description="Repair photos: draw the missing lines of a hole, then complete the image between them.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    inpaint, lines = _add_photo_command(
        commands,
        "inpaint",
        help="complete a photo, or a folder of photos",
        example="edgeconnect inpaint photo.jpg mask.png -o repaired.png --save-edges lines.png",
        output_help="completed photo: .png, .webp, .tif (lossless) or .jpg; a folder if `image` is one; - for standard "
        "output",
    )
    inpaint.set_defaults(run=run_inpaint)
    lines.add_argument("--edges", type=Path, metavar="PATH", help="complete along these lines, white on black")
    _add_result_arguments(inpaint)

    edges, _ = _add_photo_command(
        commands,
        "edges",
        help="draw the lines only, to edit them",
        example="edgeconnect edges photo.jpg mask.png -o lines.png",
        output_help="lines, white on black, of the photo's size; a folder if `image` is one; - for standard output",
    )
    edges.set_defaults(run=run_edges, edges=None, save_edges=None, format=None, quality=None)

    extend, _ = _add_photo_command(
        commands,
        "extend",
        help="continue a photo, or a folder of photos, beyond the border",
        example="edgeconnect extend photo.jpg --left 200 --right 200 -o wider.png",
        output_help="extended photo, in a format as for inpaint; a folder if `image` is one; - for standard output",
        takes_mask=False,
    )
    extend.set_defaults(
        run=run_extend, mask_image=None, grow=0, resize_mask=False, edges=None, known_edges=None, edge_hints=None
    )
    for side in ("left", "right", "top", "bottom"):
        extend.add_argument(f"--{side}", type=int, default=0, metavar="PX", help="pixels to add there (default: 0)")
    extend.add_argument("--aspect-ratio", metavar="W:H", help="16:9, 1.5, …: widen or heighten to it, on both sides")
    _add_result_arguments(extend)

    convert = commands.add_parser("convert", help="convert published .pth weights to a model folder")
    convert.set_defaults(run=run_convert)
    convert.add_argument("edge_checkpoint", type=Path, help="EdgeModel_gen.pth (or .safetensors)")
    convert.add_argument("completion_checkpoint", type=Path, help="InpaintingModel_gen.pth (or .safetensors)")
    convert.add_argument("output", type=Path, help="folder to write")
    convert.add_argument(
        "--dtype", choices=tuple(DTYPES), default="fp32", help="of the written weights (default: fp32)"
    )

    export = commands.add_parser("export", help="export the generators for another runtime")
    export.set_defaults(run=run_export)
    export.add_argument("model", help="model folder, or user/model on the Hub")
    export.add_argument("output", type=Path, help="folder to write; may be the model folder itself")
    export.add_argument("--format", choices=("onnx",), required=True, help="onnx: any batch size, height and width")
    export.add_argument("--dtype", choices=("fp32", "fp16"), default="fp32", help="of the weights (default: fp32)")
    export.add_argument(
        "--end-to-end", action="store_true", help="also one file of both: photo, mask and known lines to the result"
    )

    push = commands.add_parser("push", help="push a model folder to the Hub")
    push.set_defaults(run=run_push)
    push.add_argument("folder", type=Path, help="written by training, convert or save_pretrained")
    push.add_argument("repo_id", help="user/model; created if it does not exist")
    push.add_argument("--space", metavar="USER/SPACE", help="make or update a Space that shows the model, too")
    push.add_argument("--private", action="store_true", help="make what is created private")
    push.add_argument("--message", help="commit message")
    push.add_argument(
        "--push-validation-pictures",
        action="store_true",
        help="include validation.png, which shows the photos a training run validated on, usually your own",
    )

    demo = commands.add_parser("demo", help="start the web demo on this machine")
    demo.set_defaults(run=run_demo)
    demo.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0: all (default: %(default)s)")
    demo.add_argument("--port", type=int, help="default: the first free port from 7860 on")
    demo.add_argument("--root-path", default="", help="where a reverse proxy serves the page, as /edgeconnect")
    Limits.add_flags(demo)
    _add_model_arguments(demo)
    return parser


def _add_photo_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    *,
    help: str,
    example: str,
    output_help: str,
    takes_mask: bool = True,
) -> tuple[argparse.ArgumentParser, argparse._ArgumentGroup]:
    """Add `inpaint`, `edges` or `extend` with the arguments of all; the parser, and the group of the lines."""
    parser = commands.add_parser(
        name,
        help=help,
        epilog=f"example:\n  {example}\n{_FOLDERS}" if takes_mask else f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=name)
    parser.add_argument("image", type=Path, help="photo, or folder of photos; - for standard input")
    if takes_mask:
        parser.add_argument("mask_image", type=Path, help="mask of the size of the photo, white where it is repainted")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="PATH", help=output_help)
    if takes_mask:
        parser.add_argument(
            "--grow", type=int, default=0, metavar="PX", help="grow the hole by so many pixels (default: 0)"
        )
        parser.add_argument(
            "--resize-mask", action="store_true", help="scale a mask of the photo's proportions to its size"
        )
    parser.add_argument("--frame", type=int, metavar="N", help="which image of an animated or multi-page file, from 0")
    parser.add_argument(
        "--max-megapixels", type=float, default=500, metavar="N", help="largest file to read (default: 500)"
    )
    parser.add_argument(
        "--strategy",
        choices=("auto", "original", "crop", "resize"),
        default="auto",
        help="original: the whole photo at once; crop: windows around the holes; resize: such windows, scaled down to "
        "the size of the training images; auto (default): windows, scaled down only around large holes",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON line for each photo")
    lines = parser.add_argument_group("lines")
    if takes_mask:
        lines.add_argument("--known-edges", type=Path, metavar="PATH", help="lines outside the hole, not Canny's")
        lines.add_argument("--edge-hints", type=Path, metavar="PATH", help="a few lines in the hole, to be continued")
    lines.add_argument("--sigma", type=float, default=2.0, help="sigma of Canny; higher: fewer lines (default: 2)")
    folders = parser.add_argument_group("folders")
    folders.add_argument("--recursive", action="store_true", help="read subfolders, and mirror them in the output")
    folders.add_argument("--overwrite", action="store_true", help="redo all photos, and replace files of other origin")
    folders.add_argument("--suffix", default="", metavar="TEXT", help="added to the names of the results")
    _add_model_arguments(parser)
    return parser, lines


def _add_result_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--save-edges", type=Path, metavar="PATH", help="write the lines that were used")
    parser.add_argument("--format", choices=FORMATS, help="of results in a folder or on standard output (default: png)")
    parser.add_argument(
        "--quality",
        type=int,
        metavar="1-100",
        help="of JPEG (default: the photo's own, or 95) and of WebP (default: lossless)",
    )


def _add_model_arguments(parser: argparse.ArgumentParser) -> None:
    model = parser.add_argument_group("model")
    model.add_argument("--model", help="model folder, or user/model on the Hub (default: the bundled model)")
    model.add_argument(
        "--dtype",
        choices=("auto", *DTYPES),
        default="auto",
        help="precision; auto (default) is the fastest on this machine",
    )
    model.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps, …")
