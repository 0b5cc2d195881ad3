"""Large holes in whole photos, repaired with and without the photo's texture: how sharp, how alike, how long.

    python training/evaluation/large_holes.py --dataset data/street_fronts data/rooms --lpips_weights FILE

PSNR and LPIPS are those of the hole's surroundings, 64 pixels around it. Sharpness is the hole's gradient energy as a
share of the truth's.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
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
from training.evaluation.holes import chance
from training.evaluation.report import Row
from training.evaluation.scores import Scorer

Photo = npt.NDArray[np.uint8]  # [H,W,3] RGB
Bools = npt.NDArray[np.bool_]

_AROUND = 64  # pixels that are shown and measured around a hole
_MARGIN = 8  # pixels between a hole and the photo's border
_CORNERS = 12  # of a hole


def round_hole(size: tuple[int, int], width: int, rng: np.random.Generator) -> Bools | None:
    """A hole `[H,W]` with an uneven rim, `width` pixels across at most, somewhere in a photo of `size` (height, width);
    None where it does not fit."""
    height_left, width_left = (side - width - 2 * _MARGIN for side in size)
    if min(height_left, width_left) < 0:
        return None
    middle = np.array([rng.integers(left, endpoint=True) for left in (width_left, height_left)]) + _MARGIN + width // 2
    angles = 2 * np.pi * np.arange(_CORNERS) / _CORNERS
    radii = width / 2 * rng.uniform(0.7, 1, _CORNERS)
    corners = middle + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)  # [K,2] x y
    return cv2.fillPoly(np.zeros(size, np.uint8), [corners.round().astype(np.int32)], 1) > 0


def gradient_energy(image: Photo, hole: Bools) -> float:
    """The mean square of the step from each of the hole's pixels to the next one, across and down."""
    gray = image.mean(axis=2)
    squares = np.diff(gray, axis=1)[:-1] ** 2 + np.diff(gray, axis=0)[:, :-1] ** 2
    return float(squares[hole[:-1, :-1]].mean())


def repairs(
    pipeline: EdgeConnectPipeline, photo: Photo, hole: Bools, scorer: Scorer
) -> Iterator[tuple[str, Photo, Row]]:
    """The photo around the hole, repaired without and with texture: which, the picture, its figures."""
    rows, columns = (
        slice(max(0, lines[0] - _AROUND), lines[-1] + 1 + _AROUND)
        for lines in (np.flatnonzero(hole.any(axis=axis)) for axis in (1, 0))
    )
    true, hole_there = photo[rows, columns], hole[rows, columns]
    for name, is_textured in (("smooth", False), ("texture", True)):
        pipeline.register_to_config(match_texture=is_textured)
        start = time.perf_counter()
        repaired = np.asarray(pipeline(photo, hole).images[0])[rows, columns]
        seconds = time.perf_counter() - start
        figures = scorer(true, repaired, scorer.features(true))
        sharpness = gradient_energy(repaired, hole_there) / max(gradient_energy(true, hole_there), 1e-9)
        yield name, repaired, {**figures, "sharpness": sharpness, "seconds": seconds}


def measure(
    pipeline: EdgeConnectPipeline, photos: Mapping[str, Photo], widths: Sequence[int], scorer: Scorer, folder: Path
) -> list[Row]:
    """Repairs a hole of each width in each photo that it fits in; writes the pictures to `folder`."""
    measured: list[Row] = []
    for place, photo in photos.items():
        for width in widths:
            hole = round_hole(photo.shape[:2], width, chance(0, place, (width, width)))
            if hole is not None:
                for name, repaired, figures in repairs(pipeline, photo, hole, scorer):
                    measured.append({"photo": place, "width": width, "repair": name, **figures})
                    Image.fromarray(repaired).save(folder / f"{place}_{width}_{name}.png")
    return measured


def markdown(measured: Sequence[Row]) -> str:
    """The means by width and repair."""
    names = [name for name in ("psnr", "lpips", "sharpness", "seconds") if name in measured[0]]
    lines = [f"| width | photos | repair | {' | '.join(names)} |", f"| ---: | ---: | --- |{' ---: |' * len(names)}"]
    for width, repair in dict.fromkeys((row["width"], row["repair"]) for row in measured):
        of_both = [row for row in measured if (row["width"], row["repair"]) == (width, repair)]
        means = " | ".join(f"{np.mean([row[name] for row in of_both]):.3f}" for name in names)
        lines.append(f"| {width} | {len(of_both)} | {repair} | {means} |")
    return "\n".join(lines) + "\n"


def read_photos(folders: Mapping[str, str], most: int) -> dict[str, Photo]:
    """Up to `most` photos of each set, spread evenly, by set and file.

    Raises:
        ValueError: a folder holds no photos.
    """
    photos = {}
    for name, folder in folders.items():
        whole = Path(folder, "validation") if Path(folder, "validation").is_dir() else Path(folder)
        files = sorted(path for path in whole.glob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
        if not files:
            raise ValueError(f"`dataset` {folder!r} must be a folder of photos: got none.")
        for number in np.linspace(0, len(files) - 1, min(most, len(files))).astype(int):
            photos[f"{name}_{files[number].stem}"] = np.asarray(Image.open(files[number]).convert("RGB"))
    return photos


def main(command_line: Sequence[str] | None = None) -> None:
    """The command line: prints the table, and writes `large_holes.json` and the pictures."""
    parser = argparse.ArgumentParser(
        prog="large_holes.py",
        description=(__doc__ or "").split("\n\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--dataset", nargs="+", required=True, metavar="[NAME=]FOLDER", help="sets of photos")
    parser.add_argument("--model", help="pipeline folder or Hub model; by default the bundled one")
    parser.add_argument("--widths", type=int, nargs="+", default=[200, 350, 500], help="of the holes, in pixels")
    parser.add_argument("--max_pictures", type=int, default=10, help="photos of each set")
    parser.add_argument("--lpips_weights", help="LPIPS's weights, as in docs/evaluation.md; without, no LPIPS")
    parser.add_argument("--output_dir", type=Path, default=Path("runs/large_holes"), help="folder to write to")
    arguments = parser.parse_args(command_line)
    settings: Any = {"vgg_weights": None, "lpips_weights": arguments.lpips_weights, "device": "cpu"}
    try:
        photos = read_photos(read_named("dataset", arguments.dataset), arguments.max_pictures)
        pipeline = EdgeConnectPipeline.from_pretrained(arguments.model)
        scorer = Scorer("usual", **settings)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    measured = measure(pipeline, photos, arguments.widths, scorer, arguments.output_dir)
    if not measured:
        parser.error(f"`--widths` {arguments.widths}: no photo is as large.")
    (arguments.output_dir / "large_holes.json").write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    print(markdown(measured))


if __name__ == "__main__":
    main()
