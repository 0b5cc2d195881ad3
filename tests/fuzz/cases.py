"""What `make fuzz` tries: photos, masks and options of every form, right and wrong, as Hypothesis strategies.

A case is drawn as a few numbers, which shrink well; the pixels follow from its seed.
"""

from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from PIL import Image

FILES = {  # by Pillow's name of the format: the modes it is written in
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "GIF": ("L", "P", "RGB", "RGBA"),
    "JPEG": ("L", "RGB", "CMYK"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "LAB"),
    "WEBP": ("RGB", "RGBA"),
    "BMP": ("1", "L", "P", "RGB"),
    "PPM": ("L", "RGB", "I;16"),
}
MODES = tuple(sorted({mode for modes in FILES.values() for mode in modes} | {"HSV", "YCbCr", "PA", "I", "F"}))
DTYPES = ("uint8", "uint16", "float32", "float64", "float16", "bool", "int64")
FAULTS = (
    *("size", "turned", "channels", "photo", "missing", "all"),
    *("image", "sigma", "strategy", "output_type", "mask_padding"),
)
EXIF = (None, None, *range(10), "broken")  # the orientation, also numbers that do not exist


@dataclass(frozen=True)
class Case:
    """One call: all that it depends on."""

    seed: int
    height: int
    width: int
    content: str
    form: str
    file: tuple[str, str]
    mode: str
    transparency: bool
    frames: int
    exif: Any
    dtype: str
    channels: int
    batch: bool
    hole: str
    mask_form: str
    mask_dtype: str
    fault: str | None
    call: str
    edges: str
    strategy: str
    sigma: float
    mask_padding: int
    output_type: str

    @property
    def random(self) -> np.random.Generator:
        """The same numbers at each call."""
        return np.random.default_rng(self.seed)


def sides() -> st.SearchStrategy[int]:
    """Small ones as often as large ones: the small are the odd ones."""
    return st.one_of(st.integers(1, 40), st.integers(5, 200), st.integers(50, 600))


def cases() -> st.SearchStrategy[Case]:
    """Mostly right in each part, so that most cases get as far as the networks."""
    often = st.sampled_from
    return st.builds(
        Case,
        seed=st.integers(0, 2**32 - 1),
        height=sides(),
        width=sides(),
        content=often(("noise", "flat", "white", "gradient", "gray")),
        form=often(("pil", "bytes", "path", "numpy", "torch", "command line")),
        file=often([(name, mode) for name, modes in FILES.items() for mode in modes]),
        mode=often(MODES),
        transparency=st.booleans(),
        frames=often((1, 1, 1, 3)),
        exif=often(EXIF),
        dtype=often((*DTYPES[:3], *DTYPES)),
        channels=often((3, 3, 3, 1, 4, 2, 0)),
        batch=often((False, False, True)),
        hole=often(("box", "box", "box", "strokes", "strokes", "specks", "frame", "none")),
        mask_form=often(("pil", "pil", "file", "numpy", "torch", "alpha", "palette")),
        mask_dtype=often((*DTYPES, "uint8", "bool")),
        fault=often((None,) * 2 * len(FAULTS) + FAULTS),
        call=often(("call", "call", "halves", "session")),
        edges=often((None, None, None, "hints", "known", "whole", "photo")),
        strategy=often(("auto", "auto", "original", "crop", "resize")),
        sigma=often((2.0, 2.0, 1.0, 0.5, 5.0)),
        mask_padding=often((0, 0, 0, 1, 7)),
        output_type=often(("pil", "pil", "np", "pt")),
    ).map(with_fault)


def with_fault(case: Case) -> Case:
    """A fault of the options is one of their values; those of photo and mask are made where they are."""
    wrong: dict[str, Any] = {
        "sigma": {"sigma": (0.0, -1.0, float("nan"))[case.seed % 3]},
        "strategy": {"strategy": "best"},
        "output_type": {"output_type": "jpg"},
        "mask_padding": {"mask_padding": -1},
        "all": {"hole": "all"},
        "image": {"channels": 5, "form": "numpy"},
    }
    return replace(case, **wrong.get(case.fault, {}))


def pixels(case: Case, height: int, width: int, channels: int) -> np.ndarray:
    """`[H,W,channels]` uint8."""
    random = case.random
    shape = height, width, channels
    if case.content == "noise":
        return random.integers(0, 256, shape, dtype=np.uint8)
    if case.content == "gray":
        return np.repeat(random.integers(0, 256, (height, width, 1), dtype=np.uint8), channels, axis=2)
    if case.content == "gradient":
        ramp = np.linspace(40, 200, width)[None, :, None] + np.linspace(0, 30, height)[:, None, None]
        return np.broadcast_to(ramp, shape).astype(np.uint8)
    return np.full(shape, 255 if case.content == "white" else random.integers(0, 256, channels), np.uint8)


def pil_image(case: Case, mode: str) -> Image.Image:
    """An image of `mode`; 16 bits and floats are filled as arrays, the others by conversion."""
    if mode == "I;16":
        return Image.fromarray(case.random.integers(0, 2**16, (case.height, case.width), dtype=np.uint16))
    if mode in ("I", "F"):
        return Image.fromarray(pixels(case, case.height, case.width, 1)[..., 0]).convert(mode)
    image = Image.fromarray(pixels(case, case.height, case.width, 4), "RGBA")
    if mode in ("HSV", "YCbCr", "CMYK", "LAB"):
        bands = Image.getmodebands(mode)
        return Image.frombytes(mode, image.size, pixels(case, case.height, case.width, bands).tobytes())
    return image.convert("RGB").convert(mode) if mode == "P" else image.convert(mode)


def file_bytes(case: Case) -> bytes:
    """The photo as a file: transparency that is no alpha channel, frames and EXIF where the format has them."""
    name, mode = case.file
    image, options = pil_image(case, mode), {}
    if case.transparency and (name, mode) in (("PNG", "P"), ("PNG", "L"), ("PNG", "RGB"), ("GIF", "P"), ("GIF", "L")):
        first = image.getpixel((0, 0))
        options["transparency"] = first
    if case.frames > 1 and name in ("GIF", "TIFF", "WEBP", "PNG") and mode in ("L", "P", "RGB", "RGBA"):
        options |= {
            "save_all": True,
            "append_images": [image.transpose(Image.Transpose.ROTATE_180)] * (case.frames - 1),
        }
    if case.exif is not None and name in ("PNG", "JPEG", "WEBP", "TIFF"):
        exif = Image.Exif()
        exif[0x0112] = case.exif if isinstance(case.exif, int) else 6
        exif[0x010F] = "maker"
        data = exif.tobytes()
        options["exif"] = data if isinstance(case.exif, int) else data[:-9]
    if name == "WEBP":
        options |= {"lossless": True, "exact": True}
    file = BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def array(case: Case) -> np.ndarray:
    """The photo as an array of `case.dtype`, `[H,W]` where `channels` is 0, a batch of two where `batch`."""
    shown = pixels(case, case.height, case.width, max(1, case.channels))
    if case.dtype.startswith("float"):
        shown = (shown / 255).astype(case.dtype)
    elif case.dtype == "uint16":
        shown = shown.astype(np.uint16) * 257
    elif case.dtype == "bool":
        shown = shown > 127
    else:
        shown = shown.astype(case.dtype)
    if case.channels == 0:
        return shown[..., 0]
    return np.stack([shown, shown[::-1]]) if case.batch else shown


def hole(case: Case, height: int, width: int) -> np.ndarray:
    """`[H,W]` bool."""
    random, mask = case.random, np.zeros((height, width), bool)
    if case.hole == "all":
        return ~mask
    if case.hole == "specks":
        return random.random((height, width)) < 0.05
    if case.hole == "frame":
        mask[: height // 3 + 1] = mask[:, : width // 4] = True
    elif case.hole == "strokes":
        for _ in range(3):
            top, left = random.integers(0, height), random.integers(0, width)
            mask[top : top + 3] |= random.random(width) < 0.7
            mask[:, left : left + 2] = True
    elif case.hole == "box":
        top, left = random.integers(0, height), random.integers(0, width)
        mask[top : top + 1 + height // 3, left : left + 1 + width // 3] = True
    return mask


def mask_image(case: Case, mask: np.ndarray) -> Any:
    """`mask` in the form and with the fault of the case."""
    if case.fault == "missing":
        return None
    if case.fault == "size":
        mask = np.pad(mask, ((0, 1), (0, 0)))
    elif case.fault == "turned":
        mask = np.rot90(mask)
    gray = mask.astype(np.uint8) * np.uint8(255)
    if case.fault == "photo":
        gray = case.random.integers(0, 256, gray.shape, dtype=np.uint8)
    if case.mask_form in ("numpy", "torch"):
        values = gray if case.mask_dtype == "uint8" else mask.astype(case.mask_dtype)
        values = np.repeat(values[..., None], 3, axis=2) if case.fault == "channels" else values
        if case.mask_form == "numpy":
            return values
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(values, -1, 0) if values.ndim == 3 else values))
    if case.mask_form == "alpha":  # the hole is opaque white, the rest transparent white
        return Image.merge("LA", [Image.new("L", gray.shape[::-1], 255), Image.fromarray(gray)])
    if case.mask_form == "palette":  # white twice, once transparent
        image = Image.fromarray(gray // 255).convert("P")
        image.putpalette([255, 255, 255] * 2)
        return file_of(image, transparency=0)
    image = Image.fromarray(gray).convert("RGB" if case.fault == "channels" else "L")
    return image if case.mask_form == "pil" else file_of(image)


def file_of(image: Image.Image, **options: Any) -> bytes:
    """`image` as a PNG."""
    file = BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()
