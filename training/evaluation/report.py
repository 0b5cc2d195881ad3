"""Results of an evaluation: means by hole size and method, as rows, as Markdown, and as an image grid."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Row: TypeAlias = dict[str, Any]

MEANS = ("l1", "psnr", "ssim", "feature_distance")

_HEADINGS = {
    "hole": "hole %",
    "method": "method",
    "model": "model",
    "l1": "L1 %",
    "psnr": "PSNR dB",
    "ssim": "SSIM",
    "feature_distance": "VGG19 distance",
    "fid": "FID",
    "seconds": "seconds",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "all_ones_precision": "all ones: precision",
    "all_ones_f1": "all ones: F1",
}
_FORMATS = {"l1": ".2f", "psnr": ".2f", "ssim": ".4f", "fid": ".2f", "seconds": ".3f"}
_TEXT = ("hole", "method", "model")
_TITLE_HEIGHT = 18  # pixels


def image_row(results: Sequence[Mapping[str, Any]]) -> Row:
    """Means of one method's results at one hole size; of the seconds the median, as the first call is slow."""
    row: Row = {name: results[0][name] for name in _TEXT}
    row["pictures"] = len(results)
    row["hole_share"] = statistics.fmean(result["hole_share"] for result in results)
    for name in MEANS:
        if name in results[0]:
            row[name] = statistics.fmean(result[name] for result in results)
    row["seconds"] = statistics.median(result["seconds"] for result in results)
    return row


def line_row(results: Sequence[Mapping[str, Any]]) -> Row:
    """G1's lines against the true ones, over the holes of all images together, and the scores of an all-ones map.

    Args:
        results: numbers of line pixels in the hole (`line_hits`, `lines_drawn`, `lines_true`) and of `hole_pixels`.
    """
    hits, drawn, true, pixels = (
        sum(result[name] for result in results) for name in ("line_hits", "lines_drawn", "lines_true", "hole_pixels")
    )
    return {
        **{name: results[0][name] for name in _TEXT},
        "pictures": len(results),
        "precision": hits / max(1, drawn),
        "recall": hits / max(1, true),
        "f1": 2 * hits / max(1, drawn + true),
        "all_ones_precision": true / pixels,
        "all_ones_f1": 2 * true / (pixels + true),
    }


def markdown_report(report: Mapping[str, Any]) -> str:
    """The tables of an evaluation, with its settings in the first line.

    Args:
        report: `settings` and the rows `table` and `lines`; the latter may be empty.
    """
    settings = report["settings"]
    text = (
        f"{settings['pictures']} images of {settings['dataset']}, {settings['resolution']}x{settings['resolution']}, "
        f"{settings['masks']} masks, protocol {settings['protocol']}; the hole in % of the image.\n\n"
    )
    text += markdown_table(report["table"])
    if report["lines"]:
        text += "\nThe edge generator's lines in the hole, exact to the pixel:\n\n" + markdown_table(report["lines"])
    return text


def markdown_table(rows: Sequence[Row]) -> str:
    """Rows of one kind as a Markdown table of the columns in `_HEADINGS`."""
    columns = [name for name in _HEADINGS if name in rows[0]]
    lines = [[_HEADINGS[name] for name in columns], ["---" if name in _TEXT else "---:" for name in columns]]
    lines += [[_cell(name, row[name]) for name in columns] for row in rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def _cell(name: str, value: Any) -> str:
    return str(value) if name in _TEXT else format(value, _FORMATS.get(name, ".3f"))


def image_grid(columns: Mapping[str, Sequence[npt.NDArray[np.uint8]]]) -> Image.Image:
    """Images side by side under their titles.

    Args:
        columns: title -> images from top to bottom, `[H,W,3]` or `[H,W]` uint8, all of one size.
    """
    height, width = next(iter(columns.values()))[0].shape[:2]
    rows = len(next(iter(columns.values())))
    grid = Image.new("RGB", (len(columns) * width, _TITLE_HEIGHT + rows * height), "white")
    draw = ImageDraw.Draw(grid)
    for column, (title, images) in enumerate(columns.items()):
        draw.text((column * width + 4, 3), title, fill="black")
        for row, image in enumerate(images):
            grid.paste(Image.fromarray(image), (column * width, _TITLE_HEIGHT + row * height))
    return grid
