"""The canvas: a component whose page is in `static/`, and what that page asks of Python.

A handler's parameters are what the page sends, by name. Photos are files that this server received or wrote; masks and
lines are `planes.Packed`.
"""

import base64
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from ..holes import grow, tight
from ..pictures import read_images, read_map
from ..proposals import MAX_PROPOSALS
from ..selection import select_object
from ..serving.door import Door
from ..serving.jobs import Gate
from ..serving.refusals import UNEXPECTED, as_refusals, refusal
from .model import Drawing, Model, Opened
from .photos import Photos, opaque
from .planes import Bools, pack, unpack

STATIC = Path(__file__).parent / "static"
_SUFFIXES = {"png": ".png", "jpeg": ".jpg"}


class Canvas:
    """The page's handlers.

    Args:
        models: by the names under which the page offers them.
        photos (`Photos`): reads uploads, writes results.
        gate (`Gate`): admits one job at a time; what decodes a photo waits for its turn, too.
        select: `select_object`, with the segmenter to use.
    """

    def __init__(
        self, models: dict[str, Model], photos: Photos, gate: Gate, select: Callable[..., Any] = select_object
    ):
        self.models, self.photos, self.gate, self.select = models, photos, gate, select

    def open_photo(self, photo: Any) -> dict[str, Any]:
        """Check a photo; how large it is, upright, and a copy for browsers that would show it otherwise."""
        with self.gate.turn(1), as_refusals():
            image = self.photos.read(_path(photo), "photo")
            read_images(image, "pil")  # the modes that the pipeline takes
            shown = None
            if not self.photos.is_shown_alike(_path(photo)):
                shown = self.photos.write(opaque(image), "shown.jpg", quality=95, subsampling=0)
            return {"width": image.width, "height": image.height, "shown": shown}

    def read_mask(self, file: Any, width: int, height: int) -> dict[str, Any]:
        """An uploaded mask, resized to the photo without blur."""
        with self.gate.turn(1):
            mask = Image.fromarray(self.photos.read_mask(_path(file), "mask"))
            return {"mask": pack(np.asarray(mask.resize(self._size(width, height), Image.Resampling.NEAREST)))}

    def read_lines(self, file: Any, width: int, height: int) -> dict[str, Any]:
        """An uploaded line map of the photo's size."""
        with self.gate.turn(1), as_refusals():
            image = self.photos.read(_path(file), "line map")
            if image.size != self._size(width, height):
                raise refusal(f"The line map is {image.width}x{image.height}; the photo is {width}x{height}.")
            return {"edges": pack(np.asarray(read_map(image, "edges")))}

    def grow_mask(self, mask: Any, width: int, height: int, by: int) -> dict[str, Any]:
        """Grow the hole by so many pixels, or shrink it."""
        with self.gate.turn(1):
            return {"mask": pack(grow(self._unpack_mask(mask, width, height), int(np.clip(by, -256, 256))))}

    def repair(
        self,
        photo: Any,
        width: int,
        height: int,
        mask: Any,
        touched: Any,
        edges: Any = None,
        colours: Any = None,
        sigma: float = 2.0,
        strategy: str = "auto",
        model: Any = None,
        draft: bool = False,
    ) -> dict[str, Any]:
        """Draw the lines in the hole, or keep those in `edges`, and paint it.

        `touched` is 1 where a person drew a line and 2 where they erased one; `colours` are RGBA in 32 bits. A
        `draft` is without texture; where there would be one, the answer says that it is not final.
        """
        hole, chosen = self._unpack_hole(mask, width, height), self._model(model)
        with chosen.turn(hole, strategy, halves=2):
            drawing = _unpack_drawing(hole.shape, touched, edges, colours)
            is_draft = draft is True and chosen.pipeline.config["match_texture"]
            settings = {"sigma": sigma, "strategy": strategy}
            read = functools.partial(self._read, photo, width, height)
            output = chosen.edit(Opened.repair, _path(photo), read, hole, drawing, is_draft, **settings)
            (repaired,), (lines,) = output.images, output.edges
            top, left, bottom, right = tight(hole)
            patch = repaired.crop((left, top, right, bottom))
            patch.info = {key: value for key, value in repaired.info.items() if key == "icc_profile"}
            box = [left, top, right, bottom]
            return {"edges": pack(lines), "patch": self.photos.encode(patch), "box": box, "isDraft": is_draft}

    def propose_lines(
        self,
        photo: Any,
        width: int,
        height: int,
        mask: Any,
        touched: Any,
        sigma: float = 2.0,
        strategy: str = "auto",
        model: Any = None,
    ) -> dict[str, Any]:
        """Several line maps for the hole, to choose from. Parameters as in `repair`."""
        hole, chosen = self._unpack_hole(mask, width, height), self._model(model)
        with chosen.turn(hole, strategy, halves=MAX_PROPOSALS):
            drawing, read = _unpack_drawing(hole.shape, touched), functools.partial(self._read, photo, width, height)
            ideas = chosen.edit(Opened.propose, _path(photo), read, hole, drawing, sigma=sigma, strategy=strategy)
            top, left, bottom, right = tight(hole)
            return {"ideas": [pack(lines) for lines in ideas], "box": [left, top, right, bottom]}

    def extend(self, photo: Any, aspect_ratio: Any = None, **sides: Any) -> dict[str, Any]:
        """A larger photo, and the part of it that is new. Arguments as in `EdgeConnectPipeline.extend`."""
        with self.gate.turn(1):
            larger = self.photos.extend(self.photos.read(_path(photo), "photo"), sides, aspect_ratio)
            path = self.photos.write_png(larger.photo, "extended")
            return {"path": path, "mask": pack(larger.mask), "left": larger.left, "top": larger.top}

    def select_object(
        self,
        photo: Any,
        width: int,
        height: int,
        mask: Any,
        mode: str,
        points: Any = None,
        box: Any = None,
        scribble: Any = None,
    ) -> dict[str, Any]:
        """The mask with the object that a click, a box or a scribble tells, or without it."""
        before = self._unpack_mask(mask, width, height)
        strokes = None if scribble is None else self._unpack_mask(scribble, width, height)
        with self.gate.turn(1), as_refusals():
            image = self.photos.read(_path(photo), "photo")
            selected = self.select(image, points=points, box=box, scribble=strokes, mask=before, mode=mode)
            return {"mask": pack(np.asarray(selected))}

    def save(self, photo: Any, mask: Any, patch: str, name: str, kind: str) -> dict[str, Any]:
        """The photo with the hole from `patch`, what `repair` gave, as a file; nothing else of it is changed."""
        with self.gate.turn(1):
            image = self.photos.read(_path(photo), "photo")
            hole = self._unpack_mask(mask, *image.size)
            top, left, bottom, right = tight(hole) if hole.any() else (0, 0, 0, 0)
            if hole.any():
                painted = self.photos.read(base64.b64decode(patch), "result")
                if (painted.mode, painted.size) != (image.mode, (right - left, bottom - top)):
                    raise refusal("This result belongs to another photo. Please repair it again.")
                image.paste(painted, (left, top), Image.fromarray(hole[top:bottom, left:right]))
            stem = "".join(letter for letter in Path(str(name)).stem[:80] if letter.isalnum() or letter in " -_()")
            if kind == "jpeg" and image.mode in ("RGBA", "LA"):
                image = opaque(image)
            options = {"compress_level": 1} if kind == "png" else {}
            return {"path": self.photos.write(image, f"{stem or 'photo'}_repaired{_SUFFIXES[kind]}", **options)}

    def _size(self, width: int, height: int) -> tuple[int, int]:
        if not (isinstance(width, int) and isinstance(height, int) and 0 < width * height <= self.photos.max_pixels):
            raise refusal("The photo is too large.")
        return width, height

    def _model(self, name: Any) -> Model:
        return self.models.get(str(name)) or next(iter(self.models.values()))

    def _read(self, photo: Any, width: int, height: int) -> Image.Image:
        image = self.photos.read(_path(photo), "photo")
        if image.size != (width, height):
            raise refusal("This drawing is not of the size of the photo.")
        return image

    def _unpack_hole(self, mask: Any, width: int, height: int) -> Bools:
        """A mask to repair."""
        hole = self._unpack_mask(mask, width, height)
        if not hole.any():
            raise refusal("Paint over something in the photo first.")
        if hole.all():
            raise refusal("The hole covers the whole photo. Leave a part of it to repair the rest from.")
        return hole

    def _unpack_mask(self, mask: Any, width: int, height: int) -> Bools:
        width, height = self._size(width, height)
        return unpack(mask, (height, width)) > 0


def _unpack_drawing(size: tuple[int, int], touched: Any, edges: Any = None, colours: Any = None) -> Drawing:
    hands = unpack(touched, size)
    kept = None if edges is None else unpack(edges, size)
    rgba = None if colours is None else unpack(colours, size, "u4").view(np.uint8).reshape(*size, 4)
    return Drawing(hands == 1, hands == 2, kept, rgba)


def _path(file: Any) -> str:
    """Of a file that `Files.check_inputs` has seen as one."""
    if not (isinstance(file, dict) and isinstance(file.get("path"), str)):
        raise refusal(UNEXPECTED)
    return str(file["path"])


def add_canvas(canvas: Canvas, door: Door, examples: Sequence[tuple[Path, Path]]) -> gr.HTML:
    """Add the component to the current `gr.Blocks`."""
    # These ask about the state that the page is in; what was asked about an earlier one is void.
    about_state: tuple[Callable[..., Any], ...] = (
        *(canvas.read_mask, canvas.read_lines, canvas.grow_mask, canvas.select_object),
        *(canvas.propose_lines, canvas.extend, canvas.repair),
    )
    void = {handler.__name__ for handler in about_state}
    functions = [door.call(handler, void) for handler in about_state]
    functions += [door.call(canvas.open_photo, {"open_photo"}), door.call(canvas.save)]
    return gr.HTML(
        html_template=(STATIC / "canvas.html").read_text("utf-8"),
        js_on_load="import(`${window.gradio_config.root}/canvas/app.js`)"
        ".then(({ App }) => new App(element, props, server, upload))",
        apply_default_css=False,
        elem_id="canvas",
        server_functions=functions,
        models=list(canvas.models),
        examples=[[photo.name, mask.name] for photo, mask in examples],
        max_megapixels=door.limits.max_megapixels,
        max_megabytes=door.limits.max_megabytes,
    )
