"""How a model answers to edited lines: scripted edits, and what they change in the picture, near them and elsewhere.

    python training/evaluation/editing.py --dataset data/street_fronts data/rooms --model FOLDER

Each edit has a photo, a square hole of a quarter of it, and the photo's own lines in the hole, so that it is the same
for every model: a window's frame is added, a known line is continued across the hole, or a line is erased.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a script: its siblings are imported as `training.…`, from anywhere
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from edgeconnect_hf import EdgeConnectPipeline
from training.evaluation.config import read_named
from training.evaluation.holes import Example, Samples, chance, with_hole
from training.evaluation.report import Row, image_grid

KINDS = ("window", "cornice", "erase")
NEAR = 8  # pixels around a changed line that count as edited

_HOLE = (25, 25)  # percent: squares of a quarter
_MARGIN = 1 / 12  # of the hole's side: between what is drawn and the hole's rim
_CLEARED = 6  # pixels around what is drawn from which the photo's own lines are taken first


@dataclass(frozen=True)
class Edit:
    """Lines before and after: `[S,S]` uint8, values {0,255}; they differ in the hole only."""

    kind: str
    before: npt.NDArray[np.uint8]
    after: npt.NDArray[np.uint8]


def make_edit(kind: str, example: Example, rng: np.random.Generator) -> Edit:
    """An edit of the photo's own lines.

    Args:
        kind (`str`): one of `KINDS`.
        example (`Example`): with a rectangular hole.
        rng (`np.random.Generator`): source of randomness.
    """
    rows, columns = np.flatnonzero(example.mask.any(axis=1)), np.flatnonzero(example.mask.any(axis=0))
    box = (int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1]))  # left, top, right, bottom
    if kind == "erase":
        return Edit(kind, example.edges, _without_longest(example))
    drawn = np.zeros_like(example.edges)
    if kind == "window":
        _draw_window(drawn, box, rng)
    else:
        _draw_cornice(drawn, example.edges, box, rng)
    drawn[~example.mask] = 0
    before = example.edges.copy()
    before[_near(drawn > 0, _CLEARED) & example.mask] = 0
    return Edit(kind, before, np.maximum(before, drawn))


def _draw_window(lines: npt.NDArray[np.uint8], box: tuple[int, int, int, int], rng: np.random.Generator) -> None:
    """A frame with a mullion, inside the hole, half as large as it at most."""
    left, top, right, bottom = box
    margin = round(_MARGIN * (right - left))
    width, height = (int(rng.integers(side // 4, side // 2)) for side in (right - left, bottom - top))
    x = int(rng.integers(left + margin, right - margin - width))
    y = int(rng.integers(top + margin, bottom - margin - height))
    cv2.rectangle(lines, (x, y), (x + width, y + height), color=255)
    cv2.line(lines, (x + width // 2, y), (x + width // 2, y + height), color=255)


def _draw_cornice(
    lines: npt.NDArray[np.uint8], edges: npt.NDArray[np.uint8], box: tuple[int, int, int, int], rng: np.random.Generator
) -> None:
    """From a line that meets the hole's left side to the one on its right side that is nearest in height."""
    left, top, right, bottom = box
    margin = round(_MARGIN * (right - left))
    ends = []
    for x in (max(0, left - 3), min(edges.shape[1] - 1, right + 3)):  # Canny leaves no line at the very rim
        heights = np.flatnonzero(edges[top + margin : bottom - margin, x])
        ends.append(heights + top + margin if len(heights) else np.array([(top + bottom) // 2]))
    start = int(rng.choice(ends[0]))
    end = int(ends[1][np.abs(ends[1] - start).argmin()])
    if abs(end - start) > (right - left) // 8:  # another line: go straight on
        end = start
    cv2.line(lines, (left, start), (right, end), color=255)


def _without_longest(example: Example) -> npt.NDArray[np.uint8]:
    """The lines without the longest one in the hole."""
    inside = np.where(example.mask, example.edges, np.uint8(0))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    if len(stats) == 1:
        return example.edges  # there is none
    longest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return np.where(labels == longest, np.uint8(0), example.edges)


def _near(pixels: npt.NDArray[np.bool_], within: int) -> npt.NDArray[np.bool_]:
    return cv2.dilate(pixels.astype(np.uint8), np.ones((2 * within + 1, 2 * within + 1), np.uint8)) > 0


def measure(
    edit: Edit, mask: npt.NDArray[np.bool_], before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]
) -> dict[str, float]:
    """What an edit changes in the picture.

    Args:
        edit (`Edit`): the lines.
        mask (`np.ndarray`): `[S,S]` bool, True in the hole.
        before, after (`np.ndarray`): `[S,S,3]` uint8 RGB, painted from the lines before and after.

    Returns:
        Mean absolute differences, in levels of 255: `near`, within `NEAR` pixels of a changed line, and `elsewhere` in
        the hole; `outside`, the largest difference outside the hole.
    """
    near = _near(edit.before != edit.after, NEAR)
    change = np.abs(after.astype(int) - before).mean(axis=2)  # [S,S]
    parts = {"near": mask & near, "elsewhere": mask & ~near}
    figures = {name: float(change[part].mean()) if part.any() else 0.0 for name, part in parts.items()}
    return {**figures, "outside": float(change[~mask].max(initial=0))}


def run(pipeline: EdgeConnectPipeline, sets: Mapping[str, Samples], edits: int, seed: int) -> tuple[list[Row], Any]:
    """Makes `edits` edits, kinds and sets in turn, on images spread over each set.

    Returns:
        A row for each edit: `set`, `picture`, `kind` and the figures of `measure`; and the grid of images.
    """
    rows: list[Row] = []
    titles = ("masked", "lines before", "lines after", "picture before", "picture after", "difference x4")
    columns: dict[str, list[npt.NDArray[np.uint8]]] = {title: [] for title in titles}
    places = [(name, number) for number in range(edits) for name in sets]
    for turn, (set_name, number) in enumerate(places[:edits]):
        samples = sets[set_name]
        number %= len(samples.names)
        rng = chance(seed, samples.names[number], _HOLE)
        example = with_hole(samples.read(number), "rectangle", _HOLE, rng)
        edit = make_edit(KINDS[(turn // len(sets) + turn % len(sets)) % len(KINDS)], example, rng)
        photo, hole = Image.fromarray(example.image), Image.fromarray(example.mask)
        before, after = (
            np.asarray(pipeline(photo, hole, edges=Image.fromarray(lines), strategy="original").images[0])
            for lines in (edit.before, edit.after)
        )
        figures = measure(edit, example.mask, before, after)
        rows.append({"set": set_name, "picture": samples.names[number], "kind": edit.kind, **figures})
        masked = np.where(example.mask[..., None], np.uint8(128), example.image)
        difference = np.minimum(255, 4 * np.abs(after.astype(int) - before)).astype(np.uint8)
        shown = (masked, edit.before, edit.after, before, after, difference)
        for title, image in zip(titles, shown, strict=True):
            columns[title].append(image)
    return rows, image_grid(columns)


def markdown(rows: Sequence[Row]) -> str:
    """A table of the means by kind, and of all."""
    lines = ["| edits | | near | elsewhere | ratio | outside |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for kind in (*KINDS, "all"):
        of_kind = [row for row in rows if kind in ("all", row["kind"])]
        if of_kind:
            near, elsewhere = (statistics.fmean(row[name] for row in of_kind) for name in ("near", "elsewhere"))
            outside = max(row["outside"] for row in of_kind)
            ratio = f"{near / elsewhere:.1f}" if elsewhere else ""
            lines.append(f"| {kind} | {len(of_kind)} | {near:.2f} | {elsewhere:.2f} | {ratio} | {outside:g} |")
    return "\n".join(lines) + "\n"


def main(command_line: Sequence[str] | None = None) -> None:
    """The command line: prints the table, and writes `editing.json`, `editing.md` and `editing.png`."""
    parser = argparse.ArgumentParser(
        prog="editing.py",
        description=(__doc__ or "").split("\n\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--dataset", nargs="+", required=True, metavar="[NAME=]FOLDER", help="sets of photos")
    parser.add_argument("--model", help="pipeline folder or Hub model; by default the bundled one")
    parser.add_argument("--edits", type=int, default=20, help="number of edits")
    parser.add_argument("--resolution", type=int, default=256, help="side of the images in pixels")
    parser.add_argument("--seed", type=int, default=0, help="of holes and edits")
    parser.add_argument("--output_dir", type=Path, default=Path("runs/editing"), help="folder to write to")
    arguments = parser.parse_args(command_line)
    try:
        folders = read_named("dataset", arguments.dataset)
        most = -(-arguments.edits // len(folders))
        sets = {name: Samples(folder, arguments.resolution, 2.0, most) for name, folder in folders.items()}
        pipeline = EdgeConnectPipeline.from_pretrained(arguments.model)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    rows, grid = run(pipeline, sets, arguments.edits, arguments.seed)
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    (arguments.output_dir / "editing.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    (arguments.output_dir / "editing.md").write_text(markdown(rows), encoding="utf-8")
    grid.save(arguments.output_dir / "editing.png")
    print(markdown(rows))


if __name__ == "__main__":
    main()
