"""The endpoints for programs: `/generate_edges`, `/complete` and `/inpaint`, as in the pipeline."""

import functools
from abc import ABCMeta
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import gradio as gr
from gradio.component_meta import ComponentMeta
from PIL import Image

from ..edges import MAX_SIGMA
from ..windows import STRATEGIES
from .door import JOB
from .files import Files
from .jobs import Supervisor
from .model import Model
from .planes import Bools, Bytes


class _WithoutStub(ComponentMeta):
    """Makes a component's subclass without the `.pyi` that Gradio writes beside its source."""

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> Any:
        return ABCMeta.__new__(cls, name, bases, attributes)


class FileImage(gr.Image, metaclass=_WithoutStub):
    """An image whose value is the path of its file: the job that needs it reads it, within limits."""

    is_template = True  # to the page it is a gr.Image

    def preprocess(self, payload: Any) -> str | None:
        return None if payload is None else payload.path


class Results(TypedDict, total=False):
    """Paths of an endpoint's results, by the components of `add_endpoints`."""

    repaired: str
    lines: str


class Endpoints:
    """The endpoints' handlers. Their docstrings and parameters are what programs see.

    Args:
        model (`Model`): runs the jobs.
        files (`Files`): reads uploads, writes results.
    """

    def __init__(self, model: Model, files: Files):
        self.model, self.files = model, files

    def generate_edges(
        self, image: str, mask_image: str, sigma: float = 2.0, strategy: str = "auto", edge_hints: str | None = None
    ) -> Results:
        """Draw the missing lines: the whole line map, for a program or a person to edit."""
        mask = self.files.read_mask(mask_image, "mask_image")
        with self.model.turn(mask, strategy):
            photo = self.files.read(image, "image")
            edges = self._draw(photo, mask, sigma, strategy, edge_hints)
        return {"lines": self._save_lines(edges)}

    def complete(self, image: str, mask_image: str, edges: str, strategy: str = "auto") -> Results:
        """Paint the holes, following the lines in `edges` and the colours around the holes."""
        mask = self.files.read_mask(mask_image, "mask_image")
        with self.model.turn(mask, strategy):
            photo, lines = self.files.read(image, "image"), self.files.read(edges, "edges")
            repaired = self.model.complete(photo, mask, lines, strategy=strategy)
        return {"repaired": self.files.save_png(repaired, "repaired")}

    def inpaint(
        self, image: str, mask_image: str, sigma: float = 2.0, strategy: str = "auto", edge_hints: str | None = None
    ) -> Results:
        """Draw the missing lines, then paint between them. Returns the repaired photo and the lines."""
        mask = self.files.read_mask(mask_image, "mask_image")
        with self.model.turn(mask, strategy, halves=2):
            photo = self.files.read(image, "image")
            edges = self._draw(photo, mask, sigma, strategy, edge_hints)
            repaired = self.model.complete(photo, mask, edges, strategy=strategy)
        return {"repaired": self.files.save_png(repaired, "repaired"), "lines": self._save_lines(edges)}

    def _draw(
        self, photo: Image.Image, mask: Bools, sigma: float, strategy: str, edge_hints: str | None
    ) -> Bytes:
        hints = {} if edge_hints is None else {"edge_hints": self.files.read(edge_hints, "edge_hints")}
        return self.model.generate_edges(photo, mask, sigma=sigma, strategy=strategy, **hints)

    def _save_lines(self, edges: Bytes) -> str:
        return self.files.save_png(Image.fromarray(edges), "lines")


def add_endpoints(endpoints: Endpoints, supervisor: Supervisor) -> None:
    """Add the endpoints to the current `gr.Blocks`. Their components only give types; no page shows them."""
    components = {
        "image": FileImage(label="photo"),
        "mask_image": FileImage(label="white where to repaint, of the photo's size"),
        "edges": FileImage(label="the whole line map, white on black, of the photo's size"),
        "edge_hints": FileImage(label="a few lines in the hole for the edge generator to continue, white on black"),
        "sigma": gr.Number(2.0, label=f"Canny's sigma, above 0, at most {MAX_SIGMA}; larger, fewer lines"),
        "strategy": gr.Dropdown(STRATEGIES, value="auto", label="where to work"),
        "lines": FileImage(label="lines, white on black, of the photo's size"),
        "repaired": FileImage(label="the repaired photo, PNG"),
    }
    button = gr.Button()
    for handler, inputs, outputs in (
        (endpoints.generate_edges, "image mask_image sigma strategy edge_hints", "lines"),
        (endpoints.complete, "image mask_image edges strategy", "repaired"),
        (endpoints.inpaint, "image mask_image sigma strategy edge_hints", "repaired lines"),
    ):
        button.click(
            supervisor.job(_by_component(handler, components)),
            [components[name] for name in inputs.split()],
            [components[name] for name in outputs.split()],
            api_name=handler.__name__,
            **JOB,
        )


def _by_component(
    handler: Callable[..., Mapping[str, Any]], components: Mapping[str, Any]
) -> Callable[..., dict[Any, Any]]:
    """`handler`, returning its values by component, as Gradio expects them."""

    @functools.wraps(handler)
    def run(*inputs: Any) -> dict[Any, Any]:
        return {components[name]: value for name, value in handler(*inputs).items()}

    return run
