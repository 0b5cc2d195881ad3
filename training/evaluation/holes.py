"""The images of an evaluation and their holes: the same for every method."""

import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.config import DataConfig
from training.data.masks import irregular_mask, rectangle_mask
from training.data.rows import load_folder
from training.data.samples import SampleMaker, draw_hints

SMALLEST_HOLE = 0.01  # share of the image, for hole sizes that start at 0 %


@dataclass(frozen=True)
class Sample:
    """A whole image: `image` `[S,S,3]` uint8 RGB, and its lines `edges` `[S,S]` uint8."""

    image: npt.NDArray[np.uint8]
    edges: npt.NDArray[np.uint8]


class Samples:
    """A folder's images by number, as in the trainer's validation: the middle square, resized.

    Args:
        dataset (`str`): the folder, or one with a folder `validation` in it.
        resolution (`int`): side of the squares in pixels.
        sigma (`float`): Canny's.
        most (`int`, *optional*): use at most so many images, spread evenly over the folder.
        line_column (`str`, *optional*): column with line maps to take in place of Canny's.

    Attributes:
        names (`list[str]`): of the images, unique and valid as file names; the same whatever `most` is.
    """

    def __init__(
        self, dataset: str, resolution: int, sigma: float, most: int | None = None, line_column: str | None = None
    ):
        settings = DataConfig(train_data_dir=dataset, resolution=resolution, sigma=sigma, edge_column=line_column)
        rows = list(load_folder("dataset", dataset, "validation", settings))
        numbers = range(len(rows)) if most is None else np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)
        self.rows = [rows[number] for number in numbers]
        self.make_sample = SampleMaker(settings, for_validation=True)
        files = [row["image"]["path"] or "picture" for row in self.rows]
        self.names = [f"{number:04d}_{Path(file).stem}" for number, file in zip(numbers, files, strict=True)]

    def fingerprint(self) -> str:
        """Twelve hex digits that identify the images, and their line maps if there are any."""
        digest = hashlib.sha256()
        columns = filter(None, ("image", self.make_sample.config.edge_column))
        for value in [row[column] for column in columns for row in self.rows]:
            digest.update(hashlib.sha256(value["bytes"] or Path(value["path"]).read_bytes()).digest())
        return digest.hexdigest()[:12]

    def read(self, number: int) -> Sample:
        sample = self.make_sample(self.rows[number], np.random.default_rng(0))  # the mask is not used
        return Sample(sample["image"].permute(1, 2, 0).numpy(), sample["edges"][0].numpy())


@dataclass(frozen=True)
class Example:
    """An image with a hole.

    Args:
        image (`np.ndarray`): `[S,S,3]` uint8 RGB, whole.
        mask (`np.ndarray`): `[S,S]` bool, True in the hole.
        edges (`np.ndarray`): `[S,S]` uint8: lines of the whole image, Canny's in {0,255} or another detector's.
        hints (`np.ndarray`): `[S,S]` uint8, values {0,255}: some of these lines, in the hole.
    """

    image: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    edges: npt.NDArray[np.uint8]
    hints: npt.NDArray[np.uint8]


def with_hole(sample: Sample, masks: str, hole: tuple[int, int], rng: np.random.Generator) -> Example:
    """A sample with a hole of the wanted size, and with hints to the lines in it.

    Args:
        sample (`Sample`): the image.
        masks (`str`): `"irregular"` or `"rectangle"`.
        hole (`tuple[int, int]`): smallest and largest share of the hole in percent.
        rng (`np.random.Generator`): source of randomness.
    """
    size = sample.image.shape[0]
    low, high = (percent / 100 for percent in hole)
    if masks == "rectangle":
        mask = rectangle_mask(size, rng)
    else:
        mask = irregular_mask(size, rng, (max(low, SMALLEST_HOLE), high))
    pixel = 1 / mask.size  # the wanted share is rounded to it
    if not low - pixel <= mask.mean() <= high + pixel:
        raise RuntimeError(f"a mask covers {mask.mean():.2%} of the image, outside {hole[0]}-{hole[1]} %.")
    hints = draw_hints(sample.edges, mask, rng)
    return Example(sample.image, mask, sample.edges, hints)


def chance(seed: int, name: str, hole: tuple[int, int]) -> np.random.Generator:
    """A random generator for an image and a hole size, independent of what else is evaluated."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), *hole])
