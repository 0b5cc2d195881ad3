"""The endpoints for programs, as in the pipeline."""

from collections.abc import Callable
from typing import Any

import gradio as gr
import torch
from PIL import Image

from ..edges import MAX_SIGMA
from ..extension import SIDES
from ..pipeline import EdgeConnectPipeline
from ..pipeline_output import EdgeConnectPipelineOutput
from ..proposals import MAX_PROPOSALS
from ..selection import MODES, select_object
from ..serving.components import FileImage
from ..serving.door import Door
from ..serving.refusals import as_refusals
from ..windows import STRATEGIES
from .model import Model
from .photos import Photos


class Endpoints:
    """The endpoints' handlers. Their docstrings and parameters are what programs see; they return paths by name.

    Args:
        model (`Model`): runs the jobs.
        photos (`Photos`): reads uploads, writes results.
        select: `select_object`, with the segmenter to use.
    """

    def __init__(self, model: Model, photos: Photos, select: Callable[..., Image.Image] = select_object):
        self.model, self.photos, self.select = model, photos, select

    def generate_edges(
        self, image: str, mask_image: str, sigma: float = 2.0, strategy: str = "auto", edge_hints: str | None = None
    ) -> dict[str, Any]:
        """Draw the missing lines: the whole line map, for a program or a person to edit."""
        mask = self.photos.read_mask(mask_image, "mask_image")
        with self.model.turn(mask, strategy):
            photo, hints = self.photos.read(image, "image"), self._read_given(edge_hints=edge_hints)
            (lines,) = self.model.run(
                EdgeConnectPipeline.generate_edges, photo, mask, sigma=sigma, strategy=strategy, **hints
            )
        return {"lines": self.photos.write_png(lines, "lines")}

    def complete(self, image: str, mask_image: str, edges: str, strategy: str = "auto") -> dict[str, Any]:
        """Paint the holes, following the lines in `edges` and the colours around the holes."""
        mask = self.photos.read_mask(mask_image, "mask_image")
        with self.model.turn(mask, strategy):
            photo, lines = self.photos.read(image, "image"), self.photos.read(edges, "edges")
            (repaired,) = self.model.run(EdgeConnectPipeline.complete, photo, mask, lines, strategy=strategy)
        return {"repaired": self.photos.write_png(repaired, "repaired")}

    def inpaint(
        self, image: str, mask_image: str, sigma: float = 2.0, strategy: str = "auto", edge_hints: str | None = None
    ) -> dict[str, Any]:
        """Draw the missing lines, then paint between them. Returns the repaired photo and the lines."""
        mask = self.photos.read_mask(mask_image, "mask_image")
        with self.model.turn(mask, strategy, halves=2):
            photo, hints = self.photos.read(image, "image"), self._read_given(edge_hints=edge_hints)
            output = self.model.run(EdgeConnectPipeline.__call__, photo, mask, sigma=sigma, strategy=strategy, **hints)
        return self._write(output, "repaired")

    def propose_lines(
        self, image: str, mask_image: str, sigma: float = 2.0, strategy: str = "auto", seed: int = 0
    ) -> dict[str, Any]:
        """Draw the missing lines in four ways: whole line maps to choose from. A seed gives the same ones each time."""
        mask = self.photos.read_mask(mask_image, "mask_image")
        with self.model.turn(mask, strategy, halves=MAX_PROPOSALS):
            options = {"num_proposals": MAX_PROPOSALS, "generator": torch.Generator().manual_seed(int(seed))}
            photo = self.photos.read(image, "image")
            proposed = self.model.run(
                EdgeConnectPipeline.generate_edges, photo, mask, sigma=sigma, strategy=strategy, **options
            )
        return {"proposals": [self.photos.write_png(lines, "lines") for (lines,) in proposed]}

    def select_object(
        self,
        image: str,
        points: Any = None,
        box: Any = None,
        scribble: str | None = None,
        mask_image: str | None = None,
        mode: str = "replace",
    ) -> dict[str, Any]:
        """The mask of an object, told by points on it, a box around it or a scribble on it; added to another mask or
        taken from it."""
        with self.model.gate.turn(1), as_refusals():
            photo, maps = self.photos.read(image, "image"), self._read_given(scribble=scribble, mask=mask_image)
            selected = self.select(photo, points=points, box=box, mode=mode, **maps)
        return {"selected": self.photos.write_png(selected, "mask")}

    def extend(
        self,
        image: str,
        left: int = 0,
        right: int = 0,
        top: int = 0,
        bottom: int = 0,
        aspect_ratio: str | None = None,
        sigma: float = 2.0,
        strategy: str = "auto",
    ) -> dict[str, Any]:
        """Extend the photo outward by pixels, or to an aspect ratio as 3:2. Returns the larger photo and its lines."""
        sides = {"left": left, "right": right, "top": top, "bottom": bottom}
        with self.model.gate.turn(1):
            photo = self.photos.read(image, "image")
            larger = self.photos.extend(photo, sides, aspect_ratio or None)
        with self.model.turn(larger.mask, strategy, halves=2):
            output = self.model.run(
                EdgeConnectPipeline.__call__, larger.photo, larger.mask, sigma=sigma, strategy=strategy
            )
        return self._write(output, "extended")

    def _read_given(self, **paths: str | None) -> dict[str, Image.Image]:
        """Those of some optional pictures that there are."""
        return {name: self.photos.read(path, name) for name, path in paths.items() if path is not None}

    def _write(self, output: EdgeConnectPipelineOutput, name: str) -> dict[str, Any]:
        return {
            "repaired": self.photos.write_png(output.images[0], name),
            "lines": self.photos.write_png(output.edges[0], "lines"),
        }


def add_endpoints(endpoints: Endpoints, door: Door) -> None:
    """Add the endpoints to the current `gr.Blocks`."""
    components = {
        "image": FileImage(label="photo"),
        "mask_image": FileImage(label="white where to repaint, of the photo's size"),
        "edges": FileImage(label="the whole line map, white on black, of the photo's size"),
        "edge_hints": FileImage(label="a few lines in the hole for the edge generator to continue, white on black"),
        "sigma": gr.Number(2.0, label=f"Canny's sigma, above 0, at most {MAX_SIGMA}; larger, fewer lines"),
        "strategy": gr.Dropdown(STRATEGIES, value="auto", label="where to work"),
        "lines": FileImage(label="lines, white on black, of the photo's size"),
        "repaired": FileImage(label="the repaired photo, PNG"),
        "proposals": gr.File(file_count="multiple", label="line maps, white on black, of the photo's size"),
        "seed": gr.Number(0, precision=0, label="of the variations"),
        "points": gr.JSON(label="pixels on the object, [[x, y], …]"),
        "box": gr.JSON(label="around the object, [left, top, right, bottom]"),
        "scribble": FileImage(label="white strokes on the object, on black, of the photo's size"),
        "mode": gr.Dropdown(MODES, value="replace", label="what happens to mask_image"),
        "selected": FileImage(label="the mask, white on black"),
        "aspect_ratio": gr.Textbox(label="width by height, as 3:2, instead of pixels"),
        **{side: gr.Number(0, precision=0, label=f"pixels to add, {side}") for side in SIDES},
    }
    for handler, outputs in (
        (endpoints.generate_edges, ["lines"]),
        (endpoints.complete, ["repaired"]),
        (endpoints.inpaint, ["repaired", "lines"]),
        (endpoints.propose_lines, ["proposals"]),
        (endpoints.select_object, ["selected"]),
        (endpoints.extend, ["repaired", "lines"]),
    ):
        door.add_endpoint(handler, components, outputs)
