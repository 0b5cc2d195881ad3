"""A user's pictures, masks and line maps, checked, into arrays the pipeline works on; and back.

Inside the pipeline a picture is `[H,W,C]`, uint8 where the result will be PIL pictures and float32 in [0,1] otherwise,
so that the known pixels of a result are those of the input, bit for bit.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps

ImageInput: TypeAlias = (
    Image.Image
    | npt.NDArray[Any]
    | torch.Tensor
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
        alpha (`np.ndarray`, *optional*): `[H,W,1]` of the same dtype; returned as it came.
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
        image: PIL picture(s) of any mode but I and F; array(s) `[H,W]`, `[H,W,C]`, `[N,H,W,C]` or tensor(s) `[H,W]`,
            `[C,H,W]`, `[N,C,H,W]` with 1 to 4 channels (gray, gray and alpha, RGB, RGBA), uint8, or float in [0,1].
        output_type (`str`): `"pil"` gives uint8, `"np"` and `"pt"` float32.

    Raises:
        TypeError, ValueError: what came is none of these; the message says what did.
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
                stacklevel=5,  # where the pipeline was called, through torch.no_grad
            )
        masks.append(mask)
    return masks


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
    """One picture or many, as a list of single ones: PIL, `[H,W]` or `[H,W,C]`, each array still as it came."""
    if isinstance(value, (list, tuple)):
        if not value:
            raise ValueError(f"`{name}` is an empty list; at least one picture is needed.")
        if any(isinstance(item, (list, tuple)) or getattr(item, "ndim", 0) == 4 for item in value):
            raise ValueError(f"`{name}` is a list of lists or batches; a list of single pictures fits.")
        return [single for item in value for single in _as_list(item, name)]
    if isinstance(value, Image.Image):
        return [value]
    if isinstance(value, torch.Tensor):
        array = value.detach().cpu()
        array = array.float() if array.dtype == torch.bfloat16 else array
        return _split(np.moveaxis(array.numpy(), -3, -1) if array.ndim in (3, 4) else array.numpy(), value, name)
    if isinstance(value, np.ndarray):
        return _split(value, value, name)
    raise TypeError(
        f"`{name}` is a {type(value).__name__}; a PIL picture, a NumPy array, a torch tensor or a list of them fits."
    )


def _split(array: Array, given: Any, name: str) -> list[Array]:
    shape = list(given.shape)
    if array.ndim not in (2, 3, 4) or 0 in shape:
        raise ValueError(f"`{name}` has the shape {shape}; {_layouts(given)} fits.")
    if array.ndim > 2 and array.shape[-1] > 4:
        raise ValueError(f"`{name}` has the shape {shape}, so {array.shape[-1]} channels; {_layouts(given)} fits.")
    if array.dtype.kind == "f":
        low, high = array.min(), array.max()  # a NaN comes through as both
        if not (low >= 0 and high <= 1):
            what = "holds NaN" if np.isnan(low) else f"has values from {low:.6g} to {high:.6g}"
            raise ValueError(f"`{name}` {what}; floats in [0, 1] or uint8 fit.")
        array = array.astype(np.float32, copy=False)
    elif array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    elif array.dtype != np.uint8:
        raise TypeError(f"`{name}` is of dtype {array.dtype}; floats in [0, 1], uint8 or bool fit.")
    return list(array) if array.ndim == 4 else [array]


def _layouts(given: Any) -> str:
    if isinstance(given, torch.Tensor):
        return "[H,W], [C,H,W] or [N,C,H,W] with 1 to 4 channels"
    return "[H,W], [H,W,C] or [N,H,W,C] with 1 to 4 channels"


def _read_image(single: Any, output_type: str) -> Picture:
    icc_profile = None
    if isinstance(single, Image.Image):
        original_mode = single.mode
        single = _load(single, "image")
        # A profile speaks of the channels it was made for: it goes where the colours were converted.
        if original_mode == single.mode or original_mode == "P":
            icc_profile = single.info.get("icc_profile")
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
        raise ValueError(f"`{name}` holds {len(singles)} pictures, `image` holds {len(pictures)}; one each, or one.")
    maps = []
    for single, picture in zip(singles, pictures, strict=True):
        if isinstance(single, Image.Image):
            single = np.asarray(load_map(single, name))
        if single.ndim == 3:
            if single.shape[2] != 1:
                raise ValueError(f"`{name}` has {single.shape[2]} channels; 1 channel fits.")
            single = single[..., 0]
        if single.shape != picture.size:
            (height, width), (want_height, want_width) = single.shape, picture.size
            raise ValueError(
                f"`{name}` is {width}x{height}, `image` is {want_width}x{want_height}; sizes must match"
                + (" (`--resize-mask` scales it at the command line)." if name == "mask_image" else ".")
            )
        maps.append(single)
    return maps


def load_map(image: Image.Image, name: str) -> Image.Image:
    """A mask or line map, `name` being its argument: decoded, upright, mode L; black where it is transparent.

    Raises:
        ValueError: it cannot be decoded, has no pixels, or is of mode I or F.
    """
    image = _load(image, name)
    if image.mode in ("LA", "RGBA"):
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image.convert("RGBA"))
    return image.convert("L")


def _load(image: Image.Image, name: str) -> Image.Image:
    """Decode, turn upright as EXIF says, and bring into RGB, RGBA, L or LA, 8 bits a channel."""
    try:
        image = ImageOps.exif_transpose(image)
    except Exception as error:  # Pillow's decoders, and its reader of EXIF, may raise anything
        raise ValueError(f"`{name}` cannot be decoded: {error}.") from error
    if 0 in image.size:
        raise ValueError(f"`{name}` is {image.width}x{image.height}; it has no pixels.")
    if image.mode in ("RGB", "RGBA", "L", "LA"):
        return image
    if image.mode.startswith("I;16"):
        samples = np.asarray(image).astype(np.uint32)
        gray = ((samples * 255 + 32767) // 65535).astype(np.uint8)  # 0..65535 onto 0..255, rounded
        return Image.fromarray(gray).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError(
            f"`{name}` is a PIL picture of mode {image.mode}, whose range of values is not known; "
            "RGB, RGBA, L, LA, P, CMYK, 1 and I;16 fit."
        )
    return image.convert("RGB")


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
