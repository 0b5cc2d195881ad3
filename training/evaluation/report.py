"""Results of an evaluation: means by hole size and method, as rows, as Markdown, and as an image grid."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Row: TypeAlias = dict[str, Any]

MEANS = ("l1", "psnr", "ssim", "feature_distance", "lpips")

_HEADINGS = {
    "set": "set",
    "hole": "hole %",
    "method": "method",
    "model": "model",
    "l1": "L1 %",
    "psnr": "PSNR dB",
    "ssim": "SSIM",
    "feature_distance": "VGG19 distance",
    "lpips": "LPIPS",
    "fid": "FID",
    "seconds": "seconds",
    "threshold": "above",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "precision_1": "precision ±1",
    "recall_1": "recall ±1",
    "f1_1": "F1 ±1",
    "precision_2": "precision ±2",
    "recall_2": "recall ±2",
    "f1_2": "F1 ±2",
    "all_ones_precision": "all ones: precision",
    "all_ones_f1": "all ones: F1",
    "chance_f1": "chance: F1",
    "chance_f1_1": "chance: F1 ±1",
    "chance_f1_2": "chance: F1 ±2",
}
_FORMATS = {"l1": ".2f", "psnr": ".2f", "ssim": ".4f", "lpips": ".4f", "threshold": "g", "fid": ".2f", "seconds": ".3f"}
_TEXT = ("set", "hole", "method", "model")
_SUFFIXES = ("", "_1", "_2")  # of figures of lines: off by at most so many pixels
_TITLE_HEIGHT = 18  # pixels


def image_row(results: Sequence[Mapping[str, Any]]) -> Row:
    """Means of one method's results at one hole size; of the seconds the median, as the first call is slow."""
    row: Row = {name: results[0][name] for name in _TEXT}
    row["pictures"] = len(results)
    row["hole_share"] = statistics.fmean(result["hole_share"] for result in results)
    for name in MEANS:
        if name in results[0]:
            row[name] = statistics.fmean(result[name] for result in results)
    if "seconds" in results[0]:
        row["seconds"] = statistics.median(result["seconds"] for result in results)
    return row


def line_row(results: Sequence[Mapping[str, Any]], threshold: float) -> Row:
    """G1's lines against the true ones, over the holes of all images together, and the scores of an all-ones map.

    With `chance_counts` in all results, the F1 of the same lines against another image's true ones, too.

    Args:
        results: with the counts of `scores.count_lines`.
        threshold (`float`): one of `scores.THRESHOLDS`; a pixel is a line above it.

    Returns:
        `precision`, `recall` and `f1` exact to the pixel, `precision_1` … `f1_2` within one and two pixels.
    """
    drawn, *hits = _counts(results, "line_counts", threshold)
    true, pixels = (sum(result[name] for result in results) for name in ("lines_true", "hole_pixels"))
    row = {name: results[0][name] for name in _TEXT} | {"pictures": len(results), "threshold": threshold}
    for suffix, count in zip(_SUFFIXES, hits, strict=True):
        row[f"precision{suffix}"] = count / max(1, drawn)
        row[f"recall{suffix}"] = count / max(1, true)
        row[f"f1{suffix}"] = 2 * count / max(1, drawn + true)
    row |= {"all_ones_precision": true / pixels, "all_ones_f1": 2 * true / (pixels + true)}
    if all("chance_counts" in result for result in results):
        drawn, *hits = _counts(results, "chance_counts", threshold)
        true = sum(result["chance_true"] for result in results)
        row |= {f"chance_f1{s}": 2 * count / max(1, drawn + true) for s, count in zip(_SUFFIXES, hits, strict=True)}
    return row


def best_threshold(results: Sequence[Mapping[str, Any]]) -> float:
    """The threshold with the highest F1 within two pixels, over all `results` together."""
    return max(map(float, results[0]["line_counts"]), key=lambda threshold: line_row(results, threshold)["f1_2"])


def _counts(results: Sequence[Mapping[str, Any]], name: str, threshold: float) -> list[int]:
    """Sums over `results` of the counts of `scores.count_lines`: drawn, then hits."""
    return [sum(counts) for counts in zip(*(result[name][str(threshold)] for result in results), strict=True)]


def markdown_report(report: Mapping[str, Any]) -> str:
    """The tables of an evaluation, with its settings in the first line.

    Args:
        report: `settings` and the rows `table`, `lines` and `calibrated_lines`; the latter two may be missing or empty.
    """
    settings = report["settings"]
    text = (
        f"{settings['pictures']} images of {settings['dataset']}, {settings['resolution']}x{settings['resolution']}, "
        f"{settings['masks']} masks, protocol {settings['protocol']}; the hole in % of the image.\n\n"
    )
    text += markdown_table(report["table"])
    if report["lines"]:
        text += "\nThe edge generator's lines in the hole, exact to the pixel"
        text += " and within one and two" if "f1_2" in report["lines"][0] else ""
        text += ":\n\n" + markdown_table(report["lines"])
    if report.get("calibrated_lines"):
        text += "\nAbove the threshold with the best F1 within two pixels, found for each model on these images:\n\n"
        text += markdown_table(report["calibrated_lines"])
    return text


def markdown_table(rows: Sequence[Row]) -> str:
    """Rows of one kind as a Markdown table of the columns in `_HEADINGS`; what a row lacks stays empty."""
    columns = [name for name in _HEADINGS if any(name in row for row in rows)]
    lines = [[_HEADINGS[name] for name in columns], ["---" if name in _TEXT else "---:" for name in columns]]
    lines += [[_cell(name, row[name]) if name in row else "" for name in columns] for row in rows]
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
