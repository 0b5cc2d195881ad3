"""A caller's pictures -> the checked arrays that the pipeline works on.

Inside the pipeline a picture is `[H,W,C]`, uint8 or uint16 where the result will be PIL pictures and float32 in [0,1]
otherwise, so that the known pixels of a result are those of the input, bit for bit.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from .decoding import to_array, to_plain_mode, turn_upright
from .deep import DeepImage
from .files import FileInput, read_file
from .metadata import read_info
from .picture import Array, Picture, convert

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

# Takes an array, whether it is a tensor's, and the argument's name; returns single pictures.
Split: TypeAlias = Callable[[Array, bool, str], list[Array]]


def read_images(image: ImageInput, output_type: str) -> list[Picture]:
    """Check `image` and bring it into the form the pipeline works on.

    Args:
        image: file(s) by path, bytes or file object; PIL picture(s) of any mode but I and F; array(s) `[H,W]`,
            `[H,W,C]`, `[N,H,W,C]` or tensor(s) `[H,W]`, `[C,H,W]`, `[N,C,H,W]` with 1 to 4 channels (gray, gray and
            alpha, RGB, RGBA), uint8, uint16, or float in [0,1].
        output_type (`str`): `"pil"` gives uint8 or uint16, `"np"` and `"pt"` float32.

    Raises:
        FileNotFoundError, TypeError, ValueError: it is none of these; the message says what it is.
    """
    return [_read_image(single, output_type) for single in as_list(image, "image", _split_photos)]


def check_differ(image: ImageInput, mask_image: ImageInput) -> None:
    """Refuse a photo that is given as its own mask, or a file of one.

    Raises:
        ValueError: they are one object, or one file; in two lists, at one place.
    """
    pairs = [(image, mask_image)]
    if isinstance(image, list | tuple) and isinstance(mask_image, list | tuple):
        pairs += zip(image, mask_image, strict=False)
    for one, other in pairs:
        if one is other or (isinstance(one, str | Path) and isinstance(other, str | Path) and _is_one_file(one, other)):
            which = f": got {str(one)!r} for both" if isinstance(one, str | Path) else ""
            raise ValueError(
                f"`image` and `mask_image` must be different pictures{which}. White in the mask is repainted."
            )


def _is_one_file(one: str | Path, other: str | Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):  # reading it will tell
        return False


def as_list(value: Any, name: str, split: Split) -> list[Any]:
    """One picture or many, as a list of single ones: PIL, `DeepImage`, or what `split` makes of an array or tensor."""
    if isinstance(value, (list, tuple)):
        if not value:
            raise ValueError(f"`{name}` must hold at least one picture: got an empty list.")
        if any(isinstance(item, (list, tuple)) or getattr(item, "ndim", 0) == 4 for item in value):
            raise ValueError(f"`{name}` must be a list of single pictures: got a list of lists or batches.")
        return [single for item in value for single in as_list(item, name, split)]
    if isinstance(value, Image.Image | DeepImage):
        return [value]
    if isinstance(value, str | Path | bytes) or hasattr(value, "read"):
        which = f" {str(value)!r}" if isinstance(value, str | Path) else ""
        return [read_file(value, f"`{name}`{which}")]
    if isinstance(value, torch.Tensor):
        array = value.detach().cpu()
        return split((array.float() if array.dtype == torch.bfloat16 else array).numpy(), True, name)
    if isinstance(value, np.ndarray):
        return split(value, False, name)
    raise TypeError(
        f"`{name}` must be a file, a PIL picture, a NumPy array, a torch tensor or a list of them: got "
        f"{'None' if value is None else f'a {type(value).__name__}'}."
    )


def as_list_of(number: int, value: Any, name: str, split: Split) -> list[Any]:
    """`as_list` for `number` photos: one picture serves them all."""
    singles = as_list(value, name, split)
    if len(singles) == 1:
        return singles * number
    if len(singles) != number:
        raise ValueError(
            f"`{name}` must hold one picture, or one for each of the {number} of `image`: got {len(singles)}."
        )
    return singles


def check_size(size: tuple[int, int], expected: tuple[int, int], name: str) -> None:
    """Refuse a picture of another `(height, width)` than its photo."""
    if size != expected:
        cure = (
            ", as if `image` were turned by 90 degrees. A photo is turned upright as its EXIF says: turn this one, "
            "too, or make it from the upright photo"
            if size == expected[::-1]
            else ""
        )
        raise ValueError(
            f"`{name}` must have the size of `image`, {expected[1]}x{expected[0]}: got {size[1]}x{size[0]}{cure}."
        )


def _split_photos(array: Array, is_tensor: bool, name: str) -> list[Array]:
    """Checked pictures, `[H,W]` or `[H,W,C]`."""
    shape = list(array.shape)
    layouts = f"{'[H,W], [C,H,W] or [N,C,H,W]' if is_tensor else '[H,W], [H,W,C] or [N,H,W,C]'} with 1 to 4 channels"
    if array.ndim not in (2, 3, 4) or 0 in shape:
        raise ValueError(f"`{name}` must be {layouts}: got the shape {shape}.")
    if is_tensor and array.ndim > 2:
        array = np.moveaxis(array, -3, -1)
    if array.ndim > 2 and array.shape[-1] > 4:
        raise ValueError(f"`{name}` must be {layouts}: got the shape {shape}, which has {array.shape[-1]} channels.")
    if array.dtype.kind == "f":
        low, high = array.min(), array.max()  # a NaN makes both NaN
        if not (low >= 0 and high <= 1):
            what = "holds NaN" if np.isnan(low) else f"has values from {low:.6g} to {high:.6g}"
            raise ValueError(f"`{name}` {what}; expected floats in [0, 1], uint8 or uint16.")
        array = array.astype(np.float32, copy=False)
    elif array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    elif array.dtype not in (np.uint8, np.uint16):
        raise TypeError(f"`{name}` is of dtype {array.dtype}; expected floats in [0, 1], uint8, uint16 or bool.")
    return list(array) if array.ndim == 4 else [array]


def _read_image(single: Any, output_type: str) -> Picture:
    info = getattr(single, "info", {})
    if isinstance(single, Image.Image):
        upright = decode_argument(single, "image")
        info = read_info(single, "`image`")
        try:
            plain = to_plain_mode(upright)
        except ValueError as error:
            raise not_plain("image", error) from None
        if isinstance(plain, Image.Image) and plain.mode != single.mode and _channels_of(single) != _channels_of(plain):
            info.pop("icc_profile", None)  # it describes the channels it was made for
        single = plain if isinstance(plain, DeepImage) else to_array(plain)
    array = np.asarray(single)
    array = array[..., None] if array.ndim == 2 else array
    dtype = array.dtype if output_type == "pil" and array.dtype != np.float32 else np.dtype(np.uint8)
    array = convert(array, dtype if output_type == "pil" else np.dtype(np.float32))
    colour_channels = 1 if array.shape[2] in (1, 2) else 3
    alpha = array[..., colour_channels:] if array.shape[2] in (2, 4) else None
    return Picture(array[..., :colour_channels], alpha, info)


def _channels_of(image: Image.Image) -> str:
    """What a colour profile of a picture describes: RGB, gray, or what its mode says."""
    return {"P": "RGB", "PA": "RGB", "RGBA": "RGB", "RGBa": "RGB", "LA": "L", "La": "L"}.get(image.mode, image.mode)


def decode_argument(image: Image.Image, name: str) -> Image.Image:
    """Decode a PIL picture, `name` being its argument, and turn it upright as EXIF says.

    Raises:
        ValueError: it cannot be decoded, or has no pixels.
    """
    if 0 in image.size:
        raise ValueError(f"`{name}` is {image.width}x{image.height}; it has no pixels.")
    try:
        return turn_upright(image, f"`{name}`")
    except UserWarning:
        raise  # of ours, where a filter makes errors of warnings
    except Exception as error:  # Pillow's decoders may raise anything
        raise ValueError(f"`{name}` cannot be decoded: {error}.") from error


def not_plain(name: str, error: ValueError) -> ValueError:
    """The error for a PIL picture that `to_plain_mode` refuses."""
    return ValueError(f"`{name}` is {error}; expected RGB, RGBA, L, LA, P, CMYK, 1 or I;16.")


def check_one_size(pictures: list[Picture], output_type: str) -> None:
    """Arrays and tensors are stacked: their pictures must be alike in size and channels."""
    shapes = {(*picture.colour.shape, picture.alpha is None) for picture in pictures}
    if output_type != "pil" and len(shapes) > 1:
        sizes = sorted({f"{width}x{height}" for height, width in (picture.size for picture in pictures)})
        raise ValueError(
            f"`image` holds pictures of several sizes or modes ({', '.join(sizes)}), which "
            f"`output_type={output_type!r}` cannot stack; `output_type='pil'` returns each in its own."
        )
