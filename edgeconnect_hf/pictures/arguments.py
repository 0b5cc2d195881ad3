"""A caller's pictures, masks and line maps <-> the checked arrays that the pipeline works on.

Inside the pipeline a picture is `[H,W,C]`, uint8 where the result will be PIL pictures and float32 in [0,1] otherwise,
so that the known pixels of a result are those of the input, bit for bit.
"""

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from .files import MODES, FileInput, flatten, read_file, to_eight_bits, turn_upright

ImageInput: TypeAlias = (
    FileInput
    | Image.Image
    | npt.NDArray[Any]
    | torch.Tensor
    | Sequence[FileInput]
    | Sequence[Image.Image]
    | Sequence[npt.NDArray[Any]]
    | Sequence[torch.Tensor]
)
Array: TypeAlias = npt.NDArray[Any]

OUTPUT_TYPES = ("pil", "np", "pt")


@dataclass(frozen=True)
class Picture:
    """One checked picture.

    Args:
        colour (`np.ndarray`): `[H,W,3]` RGB or `[H,W,1]` gray; uint8, or float32 in [0,1].
        alpha (`np.ndarray`, *optional*): `[H,W,1]` of the same dtype; returned unchanged.
        icc_profile (`bytes`, *optional*): the profile the colours are meant in.
    """

    colour: Array
    alpha: Array | None = None
    icc_profile: bytes | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.colour.shape[0], self.colour.shape[1]


def read_images(image: ImageInput, output_type: str) -> list[Picture]:
    """Check `image` and bring it into the form the pipeline works on.

    Args:
        image: file(s) by path, bytes or file object; PIL picture(s) of any mode but I and F; array(s) `[H,W]`,
            `[H,W,C]`, `[N,H,W,C]` or tensor(s) `[H,W]`, `[C,H,W]`, `[N,C,H,W]` with 1 to 4 channels (gray, gray and
            alpha, RGB, RGBA), uint8, or float in [0,1].
        output_type (`str`): `"pil"` gives uint8, `"np"` and `"pt"` float32.

    Raises:
        FileNotFoundError, TypeError, ValueError: it is none of these; the message says what it is.
    """
    return [_read_image(single, output_type) for single in _as_list(image, "image")]


def read_masks(mask_image: ImageInput, pictures: list[Picture]) -> list[npt.NDArray[np.bool_]]:
    """Check `mask_image`: one `[H,W]` bool array a picture, True in the hole (white: 0.5 or 128 and above).

    Raises:
        TypeError, ValueError: not a mask, of another size than its picture, or with nothing known left.
    """
    masks = []
    for (height, width), mask_array in zip(
        (picture.size for picture in pictures), _read_maps(mask_image, "mask_image", pictures), strict=True
    ):
        mask = mask_array >= (128 if mask_array.dtype == np.uint8 else 0.5)
        if mask.all():
            raise ValueError(
                f"`mask_image` is white everywhere ({width}x{height}): nothing known is left to complete the picture "
                "from. White is repainted, black is kept."
            )
        if not mask.any():
            low_white = mask_array.dtype == np.uint8 and mask_array.max() == 1
            warnings.warn(
                "`mask_image` has no white pixel: the picture comes back as it was."
                + (" Its values are 0 and 1 of 255; for such a mask pass `mask.astype(bool)`." if low_white else ""),
                stacklevel=_level_of_caller(),
            )
        masks.append(mask)
    return masks


def _level_of_caller() -> int:
    """The `stacklevel` of a warning, for where this package was called from."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals["__name__"].partition(".")[0] in (
        __package__.partition(".")[0],
        "torch",
    ):
        frame, level = frame.f_back, level + 1
    return level


def read_edges(edges: ImageInput, name: str, pictures: list[Picture]) -> list[Array]:
    """Check a line map, `name` being its argument: one `[H,W]` array a picture, uint8 or float32 as the picture is.

    Raises:
        TypeError, ValueError: not a line map, or of another size than its picture.
    """
    return [
        _to_dtype(array, picture.colour.dtype).copy()
        for array, picture in zip(_read_maps(edges, name, pictures), pictures, strict=True)
    ]


def write_images(pictures: list[Picture], output_type: str) -> Any:
    """Back to what the user asked for: a list of PIL pictures, `[N,H,W,C]` float32, or `[N,C,H,W]` float32 tensor."""
    arrays = [
        picture.colour if picture.alpha is None else np.concatenate([picture.colour, picture.alpha], axis=2)
        for picture in pictures
    ]
    if output_type == "pil":
        images = [Image.fromarray(array if array.shape[2] > 1 else array[..., 0]) for array in arrays]
        for image, picture in zip(images, pictures, strict=True):
            if picture.icc_profile is not None:
                image.info["icc_profile"] = picture.icc_profile
        return images
    stacked = np.stack(arrays)  # [N,H,W,C]
    return stacked if output_type == "np" else torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous()


def write_edges(edges: list[Array], output_type: str) -> Any:
    """As `write_images`, for `[H,W]` line maps: PIL mode L, `[N,H,W,1]` or `[N,1,H,W]`."""
    return write_images([Picture(array[..., None]) for array in edges], output_type)


def to_float(array: Array) -> npt.NDArray[np.float32]:
    """uint8 or float32 in, float32 in [0,1] out."""
    return _to_dtype(array, np.dtype(np.float32))


def from_float(array: npt.NDArray[np.float32], dtype: np.dtype[Any]) -> Array:
    """float32 in [0,1] in, uint8 (rounded) or float32 out."""
    return _to_dtype(array, dtype)


def _to_dtype(array: Array, dtype: np.dtype[Any]) -> Array:
    if array.dtype == dtype:
        return array
    if dtype == np.uint8:
        return np.rint(array * np.float32(255)).astype(np.uint8)
    return array / np.float32(255)


def _as_list(value: Any, name: str) -> list[Any]:
    """One picture or many, as a list of single ones: PIL, `[H,W]` or `[H,W,C]`, arrays unchanged."""
    if isinstance(value, (list, tuple)):
        if not value:
            raise ValueError(f"`{name}` must hold at least one picture: got an empty list.")
        if any(isinstance(item, (list, tuple)) or getattr(item, "ndim", 0) == 4 for item in value):
            raise ValueError(f"`{name}` must be a list of single pictures: got a list of lists or batches.")
        return [single for item in value for single in _as_list(item, name)]
    if isinstance(value, Image.Image):
        return [value]
    if isinstance(value, str | Path | bytes) or hasattr(value, "read"):
        which = f" {str(value)!r}" if isinstance(value, str | Path) else ""
        return [read_file(value, f"`{name}`{which}")]
    if isinstance(value, torch.Tensor):
        array = value.detach().cpu()
        array = array.float() if array.dtype == torch.bfloat16 else array
        return _split(np.moveaxis(array.numpy(), -3, -1) if array.ndim in (3, 4) else array.numpy(), value, name)
    if isinstance(value, np.ndarray):
        return _split(value, value, name)
    raise TypeError(
        f"`{name}` must be a file, a PIL picture, a NumPy array, a torch tensor or a list of them: got a "
        f"{type(value).__name__}."
    )


def _split(array: Array, given: Any, name: str) -> list[Array]:
    shape = list(given.shape)
    if array.ndim not in (2, 3, 4) or 0 in shape:
        raise ValueError(f"`{name}` must be {_layouts(given)}: got the shape {shape}.")
    if array.ndim > 2 and array.shape[-1] > 4:
        raise ValueError(
            f"`{name}` must be {_layouts(given)}: got the shape {shape}, which has {array.shape[-1]} channels."
        )
    if array.dtype.kind == "f":
        low, high = array.min(), array.max()  # a NaN makes both NaN
        if not (low >= 0 and high <= 1):
            what = "holds NaN" if np.isnan(low) else f"has values from {low:.6g} to {high:.6g}"
            raise ValueError(f"`{name}` {what}; expected floats in [0, 1] or uint8.")
        array = array.astype(np.float32, copy=False)
    elif array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    elif array.dtype != np.uint8:
        raise TypeError(f"`{name}` is of dtype {array.dtype}; expected floats in [0, 1], uint8 or bool.")
    return list(array) if array.ndim == 4 else [array]


def _layouts(given: Any) -> str:
    if isinstance(given, torch.Tensor):
        return "[H,W], [C,H,W] or [N,C,H,W] with 1 to 4 channels"
    return "[H,W], [H,W,C] or [N,H,W,C] with 1 to 4 channels"


def _read_image(single: Any, output_type: str) -> Picture:
    icc_profile = None
    if isinstance(single, Image.Image):
        decoded = _decode(single, "image")
        has_mode = single.mode in MODES
        # A profile describes the channels it was made for: it is dropped where the colours were converted.
        if has_mode or single.mode == "P":
            icc_profile = decoded.info.get("icc_profile")
        single = decoded if has_mode else decoded.convert("RGB")
        single = np.asarray(single)
    array = single[..., None] if single.ndim == 2 else single
    array = _to_dtype(array, np.dtype(np.uint8 if output_type == "pil" else np.float32))
    colour_channels = 1 if array.shape[2] in (1, 2) else 3
    alpha = array[..., colour_channels:] if array.shape[2] in (2, 4) else None
    return Picture(array[..., :colour_channels], alpha, icc_profile)


def _read_maps(value: ImageInput, name: str, pictures: list[Picture]) -> list[Array]:
    """One single-channel `[H,W]` array a picture, of its size; one map given serves all pictures."""
    singles = _as_list(value, name)
    if len(singles) == 1:
        singles = singles * len(pictures)
    if len(singles) != len(pictures):
        raise ValueError(
            f"`{name}` must hold one picture, or one for each of the {len(pictures)} of `image`: got {len(singles)}."
        )
    maps = []
    for single, picture in zip(singles, pictures, strict=True):
        if isinstance(single, Image.Image):
            single = np.asarray(read_map(single, name))
        if single.ndim == 3:
            if single.shape[2] != 1:
                raise ValueError(f"`{name}` must have one channel: got {single.shape[2]}.")
            single = single[..., 0]
        if single.shape != picture.size:
            (height, width), (want_height, want_width) = single.shape, picture.size
            raise ValueError(
                f"`{name}` must have the size of `image`, {want_width}x{want_height}: got {width}x{height}."
            )
        maps.append(single)
    return maps


def read_map(image: Image.Image, name: str) -> Image.Image:
    """A mask or line map, `name` being its argument: decoded, upright, mode L; black where it is transparent.

    Raises:
        ValueError: it cannot be decoded, has no pixels, or is of mode I or F.
    """
    return flatten(_decode(image, name), "L")


def _decode(image: Image.Image, name: str) -> Image.Image:
    """Decode, turn upright as EXIF says, and bring to 8 bits a channel."""
    try:
        image = turn_upright(image)
    except Exception as error:  # Pillow's decoders, and its reader of EXIF, may raise anything
        raise ValueError(f"`{name}` cannot be decoded: {error}.") from error
    if 0 in image.size:
        raise ValueError(f"`{name}` is {image.width}x{image.height}; it has no pixels.")
    try:
        return to_eight_bits(image)
    except ValueError as error:
        raise ValueError(f"`{name}` is {error}; expected RGB, RGBA, L, LA, P, CMYK, 1 or I;16.") from None


def check_one_size(pictures: list[Picture], output_type: str) -> None:
    """Arrays and tensors are stacked: their pictures must be alike in size and channels."""
    shapes = {(*picture.colour.shape, picture.alpha is None) for picture in pictures}
    if output_type != "pil" and len(shapes) > 1:
        sizes = sorted({f"{width}x{height}" for height, width in (picture.size for picture in pictures)})
        raise ValueError(
            f"`image` holds pictures of several sizes or modes ({', '.join(sizes)}), which "
            f"`output_type={output_type!r}` cannot stack; `output_type='pil'` returns each in its own."
        )


def with_colour(picture: Picture, colour: Array) -> Picture:
    """The same picture with other colours."""
    return replace(picture, colour=colour)
