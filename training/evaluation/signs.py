"""Shop signs removed from held-out street fronts, as one picture: before, the lines in between, after.

    python training/evaluation/signs.py --dataset data/street_fronts/validation --output signs.jpg --model FOLDER

`signs.json` has the signs' boxes `[left, top, right, bottom]`, in pixels of the photos at 1280x720, by photo.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import NamedTuple, TypeAlias

if __name__ == "__main__":  # run as a script: its siblings are imported as `training.…`, from anywhere
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import numpy as np
from PIL import Image, ImageDraw

from edgeconnect_hf import EdgeConnectPipeline
from training.evaluation.report import image_grid

Box: TypeAlias = tuple[int, int, int, int]

SIGNS = Path(__file__).with_name("signs.json")

_SHOWN = (480, 270)  # pixels of each photo, unscaled, around its first sign


class Removal(NamedTuple):
    """A photo without its signs, and the lines that it was painted from; all of the photo's size."""

    before: Image.Image
    lines: Image.Image
    after: Image.Image


def remove_signs(pipeline: EdgeConnectPipeline, photo: Image.Image, boxes: list[Box]) -> Removal:
    """Repairs the photo in the boxes."""
    mask = Image.new("L", photo.size)
    for box in boxes:
        ImageDraw.Draw(mask).rectangle(box, fill=255)
    result = pipeline(photo, mask)
    return Removal(photo, result.edges[0], result.images[0])


def sign_sheet(pipeline: EdgeConnectPipeline, dataset: Path, signs: dict[str, list[Box]]) -> Image.Image:
    """A row for each photo of `signs` (boxes by the file's stem), found as a JPEG in `dataset`.

    Raises:
        FileNotFoundError: a photo is not there.
    """
    columns: dict[str, list[np.ndarray]] = {"before": [], "lines": [], "after": []}
    for name, boxes in signs.items():
        removal = remove_signs(pipeline, Image.open(dataset / f"{name}.jpg").convert("RGB"), boxes)
        shown = _around(boxes[0], removal.before.size)
        for title, picture in removal._asdict().items():
            columns[title].append(np.asarray(picture.crop(shown)))
    return image_grid(columns)


def _around(box: Box, size: tuple[int, int]) -> Box:
    """A box of `_SHOWN` around the middle of `box`, as far as the photo of `size` goes."""
    left, top = (
        int(np.clip((box[axis] + box[axis + 2] - _SHOWN[axis]) // 2, 0, max(0, size[axis] - _SHOWN[axis])))
        for axis in (0, 1)
    )
    return (left, top, left + _SHOWN[0], top + _SHOWN[1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--dataset", type=Path, required=True, help="folder of the photos that signs.json names")
    parser.add_argument("--output", type=Path, default=Path("signs.jpg"), help="picture to write")
    parser.add_argument("--model", help="pipeline folder or Hub model; by default the bundled one")
    arguments = parser.parse_args()
    pipeline = EdgeConnectPipeline.from_pretrained(arguments.model)
    sheet = sign_sheet(pipeline, arguments.dataset, json.loads(SIGNS.read_text(encoding="utf-8")))
    sheet.save(arguments.output, quality=85)
