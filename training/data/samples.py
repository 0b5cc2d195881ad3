"""From a row of a data set to a training sample: decode, crop, mirror, find lines, draw the hole and the hints."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import fsspec
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, UnidentifiedImageError

from edgeconnect_hf.edges import canny, to_gray
from edgeconnect_hf.pictures import decode, open_file, upright_size
from training.config import DataConfig
from training.data.masks import MaskFolder, MaskMixture, irregular_mask

RANDOM_SIGMA = (1, 4)  # pixels; for `sigma` 0


class UnreadableRowError(Exception):
    """An image of a row is missing or cannot be decoded; the message says which and why."""


@dataclass(frozen=True)
class Crop:
    """A part of an image, in shares of its width and height, optionally mirrored left to right."""

    left: float
    top: float
    width: float
    height: float
    mirrored: bool = False


class SampleMaker:
    """Makes the tensors of one sample from a row and a random generator.

    `image` is the RGB image, `gray` the same in gray, `edges` its lines, `mask` the hole, `hints` the lines in the hole
    that G1 is shown, and `known_edges` the lines around the hole as the pipeline finds them, without looking into it:
    near its border they differ from `edges`, whose smoothing includes the pixels of the hole. With
    `edges_of_whole_image` they are `edges` outside the hole.

    `from_true_edges` says whether a stage with `edge_source` mixed paints this sample from `edges`: a random half of
    the samples, in validation none.

    All but `gray` are bytes, 255 for 1: a quarter of the size of floats to send from a worker.

    A mask without a hole (from a column or a folder, after cropping) is replaced by an irregular one.

    Args:
        config (`DataConfig`): the data settings.
        for_validation (`bool`): crop in the middle, do not mirror, show no hints, use no true lines for `edge_source`
            mixed, and 2 for a random `sigma`.
    """

    def __init__(self, config: DataConfig, for_validation: bool = False):
        if config.edge_column is not None and config.sigma == -1:
            raise ValueError(f"`edge_column` is {config.edge_column!r}, but `sigma` -1 disables the lines.")
        self.config = config
        self.crop = "center" if for_validation and config.crop == "random" else config.crop
        self.flip = config.random_flip and not for_validation
        self.sigma = 2.0 if for_validation and config.sigma == 0 else config.sigma
        self.hint_probability = 0.0 if for_validation else config.hint_probability
        self.plain_probability = 0.0 if for_validation else config.plain_probability
        self.true_edges_probability = 0.0 if for_validation else 0.5
        folder = MaskFolder(config.mask_dataset, config.mask_threshold) if config.mask_dataset is not None else None
        self.mask_mixture = MaskMixture(**config.mask_shares, folder=folder)

    def __call__(self, row: Mapping[str, Any], rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """One sample: `image` `[3,S,S]`, `gray` `[1,S,S]` float32 in [0,1], `from_true_edges` `[1,1,1]`, all others
        `[1,S,S]`.

        Raises:
            UnreadableRowError: an image of the row cannot be decoded.
        """
        # 1. The image, cropped.
        size = self.config.resolution
        with _decoding(row, self.config.image_column):
            opened = _open_image(row[self.config.image_column])
            image_size = upright_size(opened)
        crop = self._draw_crop(image_size, rng)
        with _decoding(row, self.config.image_column):
            image = _read_crop(opened, crop, size, "RGB", Image.Resampling.BILINEAR)  # [S,S,3]
        is_plain = rng.random() < self.plain_probability
        if is_plain:
            image = draw_plain(size, rng)  # [S,S,3]
        gray = to_gray(np.divide(image, 255, dtype=np.float32))  # [S,S]

        # 2. The hole, the lines, and the hints.
        mask = self._make_mask(row, crop, rng)  # [S,S]
        edges = known_edges = np.zeros((size, size), np.uint8)
        if not is_plain:
            edges, known_edges = self._find_edges(row, crop, gray, mask, rng)  # [S,S]
        hints = np.zeros_like(edges)  # [S,S]
        if rng.random() < self.hint_probability:
            hints = draw_hints(edges, mask, rng)
        from_true_edges = to_bytes(rng.random((1, 1)) < self.true_edges_probability)  # [1,1]

        maps = {"edges": edges, "known_edges": known_edges, "mask": to_bytes(mask), "hints": hints}
        maps["from_true_edges"] = from_true_edges
        sample: dict[str, npt.NDArray[Any]] = {"image": image.transpose(2, 0, 1), "gray": gray[None]}
        sample |= {name: array[None] for name, array in maps.items()}
        return {name: torch.from_numpy(array) for name, array in sample.items()}

    def _draw_crop(self, size: tuple[int, int], rng: np.random.Generator) -> Crop:
        mirrored = self.flip and bool(rng.random() < 0.5)
        if self.crop == "none":
            return Crop(0, 0, 1, 1, mirrored)
        width, height = size
        side, left, top = min(size), 0.5, 0.5
        if self.crop == "random":
            # Not smaller than the samples: enlarged images are blurred.
            smallest = max(self.config.min_crop_scale * side, min(self.config.resolution, side))
            side = int(rng.integers(math.ceil(smallest), side, endpoint=True))
            left, top = rng.random(2)
        left, top = round(left * (width - side)), round(top * (height - side))  # pixels
        return Crop(left / width, top / height, side / width, side / height, mirrored)

    def _find_edges(
        self,
        row: Mapping[str, Any],
        crop: Crop,
        gray: npt.NDArray[np.float32],
        mask: npt.NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """All lines, and those known around the hole: Canny's, `edge_column`'s, or with `thin_edges` those of both."""
        sigma = int(rng.integers(*RANDOM_SIGMA, endpoint=True)) if self.sigma == 0 else self.sigma
        if sigma == -1:
            nothing = np.zeros(gray.shape, np.uint8)
            return nothing, nothing
        column, found = self.config.edge_column, None
        if column is not None:
            with _decoding(row, column):
                found = _read_crop(
                    _open_image(row[column]), crop, self.config.resolution, "L", Image.Resampling.BILINEAR
                )  # [S,S]
            if not self.config.thin_edges:
                return found, found * ~mask
        edges = to_bytes(canny(gray, sigma=sigma))
        known_edges = edges * ~mask if self.config.edges_of_whole_image else to_bytes(canny(gray, mask, sigma))
        return (edges, known_edges) if found is None else (found & edges, found & known_edges)

    def _make_mask(self, row: Mapping[str, Any], crop: Crop, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
        size, column = self.config.resolution, self.config.mask_column
        if column is None:
            mask = self.mask_mixture(size, rng)
        else:
            with _decoding(row, column):
                hole = _read_crop(_open_image(row[column]), crop, size, "L", Image.Resampling.NEAREST)  # [S,S]
            mask = hole >= self.config.mask_threshold
        return mask if mask.any() else irregular_mask(size, rng)


def draw_plain(size: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """An image without lines, like a wall or a sky: a colour gradient with a little noise.

    Args:
        size (`int`): side of the image in pixels.
        rng (`np.random.Generator`): source of randomness.

    Returns:
        `[S,S,3]` RGB uint8.
    """
    start = rng.uniform(0, 255, 3)
    stop = start + rng.normal(0, 20, 3)
    direction = rng.uniform(-1, 1, 2)
    y, x = np.mgrid[:size, :size] / size
    way = direction[0] * y + direction[1] * x  # [S,S]
    noise = rng.normal(0, rng.uniform(0, 5), (size, size, 1))
    image = start + way[..., None] * (stop - start) + noise  # [S,S,3]
    return image.clip(0, 255).round().astype(np.uint8)


def draw_hints(
    edges: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_], rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """A random part of the lines in the hole, like a person's sketch: whole lines, from none to all.

    Args:
        edges (`np.ndarray`): `[H,W]` uint8, the true lines; those of at least 128 may be shown.
        mask (`np.ndarray`): `[H,W]` bool, True in the hole.
        rng (`np.random.Generator`): source of randomness.

    Returns:
        `[H,W]` uint8, 0 outside the hole.
    """
    count, labels = cv2.connectedComponents(((edges >= 128) & mask).astype(np.uint8), connectivity=8)
    shown = rng.random(count) < rng.random()
    shown[0] = False  # the background
    return edges * shown[labels]


def to_bytes(marked: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """255 where an array is True or 1, 0 elsewhere."""
    return marked.astype(np.uint8) * 255


@contextmanager
def _decoding(row: Mapping[str, Any], column: str) -> Iterator[None]:
    """Turns a decoder's error into an `UnreadableRowError` that names the column and, if known, the file."""
    try:
        yield
    except Exception as error:  # Pillow's image and EXIF decoders may raise anything
        value = row[column]
        path = value.get("path") if isinstance(value, Mapping) else None
        source = f"column {column!r}" if path is None else f"column {column!r}, {path}"
        # Pillow's own message contains a memory address.
        what = "it is not an image of a known format" if isinstance(error, UnidentifiedImageError) else error
        raise UnreadableRowError(f"{source}: {what}") from error


def _open_image(value: Any) -> Image.Image:
    """Opens an undecoded image of `datasets`: reads its header, not its pixels."""
    if isinstance(value, bytes):
        value = {"bytes": value}
    if not isinstance(value, Mapping) or (value.get("bytes") is None and value.get("path") is None):
        raise ValueError(f"expected an image, got {type(value).__name__}")
    if value.get("bytes") is not None:
        return open_file(value["bytes"])
    if "://" in value["path"]:  # streamed
        with fsspec.open(value["path"]) as file:
            return open_file(file.read())
    return open_file(Path(value["path"]))


def _read_crop(
    image: Image.Image, crop: Crop, size: int, mode: str, resampling: Image.Resampling
) -> npt.NDArray[np.uint8]:
    """Decodes an image, turns it upright, and resizes `crop` of it to `[S,S,3]` (`mode` RGB) or `[S,S]` (L), uint8."""
    width, height = upright_size(image)
    scale = min(1.0, max(size / (crop.width * width), size / (crop.height * height)))  # the crop keeps `size` a side
    image = decode(image, mode, scale)
    left, top = crop.left * image.width, crop.top * image.height
    right = min(image.width, left + crop.width * image.width)
    bottom = min(image.height, top + crop.height * image.height)
    resized = np.asarray(image.resize((size, size), resampling, box=(left, top, right, bottom)))
    return (np.fliplr(resized) if crop.mirrored else resized).copy()
