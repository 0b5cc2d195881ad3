"""A photo and its hole, opened once: lines and picture again and again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from .batches import batches, pad, to_tensor
from .colours import lay_in, match_colours
from .hints import read_colour_hints
from .models import blend
from .pictures import (
    Array,
    ImageInput,
    Picture,
    from_float,
    read_edges,
    to_float,
    with_colour,
    write_edges,
    write_images,
)
from .proposals import Proposal, check_proposals, proposals
from .texture import match_texture
from .views import Bools, Floats, View
from .windows import Window, find_windows

if TYPE_CHECKING:
    from .pipeline import EdgeConnectPipeline


class EditSession:
    """One photo, or several, with holes, from `EdgeConnectPipeline.open`. Not for several threads at once.

    Windows, reduced photos and Canny's lines are computed once, and `complete` repaints only the windows whose lines
    changed since the last time. All results equal, bit for bit, those of the pipeline's methods of the same names.

    Args:
        pipeline (`EdgeConnectPipeline`): whose networks draw and paint.
        pictures (`list[Picture]`): the checked photos.
        masks (`list[np.ndarray]`): `[H,W]` bool for each, True in the hole.
        sigma (`float`): Canny's.
        strategy (`str`): where to work.
        output_type (`str`): of all that the session returns.
    """

    def __init__(
        self,
        pipeline: "EdgeConnectPipeline",
        pictures: list[Picture],
        masks: list[Bools],
        sigma: float,
        strategy: str,
        output_type: str,
    ):
        self.pipeline = pipeline
        self.pictures, self.masks = pictures, masks
        self.sigma, self.strategy, self.output_type = sigma, strategy, output_type
        self.line_maps: list[Array] | None = None  # the last drawn or given, `[H,W]` uint8 or float32
        self._views: dict[int, list[View]] = {}  # by the size of the pictures that a network was trained on
        self._painted: dict[tuple[int, ...], _Painted] = {}  # by the places of the windows that ran together

    @property
    def edges(self) -> Any:
        """The last lines, drawn or given, in the session's output type; None before there are any."""
        return None if self.line_maps is None else write_edges(self.line_maps, self.output_type)

    @property
    def windows(self) -> list[list[Window]]:
        """For each photo, the windows in which it is repaired."""
        network = self.pipeline.completion_generator or self.pipeline.edge_generator
        windows: list[list[Window]] = [[] for _ in self.pictures]
        for view in self._look(network.config.sample_size):
            windows[view.picture].append(view.window)
        return windows

    @torch.no_grad()
    def generate_edges(
        self,
        known_edges: ImageInput | None = None,
        edge_hints: ImageInput | None = None,
        blend_edges: bool = True,
        num_proposals: int = 1,
        generator: torch.Generator | None = None,
    ) -> Any:
        """Draw the missing lines. Arguments and result as in `EdgeConnectPipeline.generate_edges`."""
        if self.pipeline.edge_generator is None:
            raise ValueError("This pipeline has no edge generator: pass the whole line map as `edges`.")
        check_proposals(num_proposals, generator)
        known_maps = None if known_edges is None else read_edges(known_edges, "known_edges", self.pictures, self.masks)
        hint_maps = None
        if edge_hints is not None:
            hints = read_edges(edge_hints, "edge_hints", self.pictures, self.masks)
            hint_maps = [lines * mask for lines, mask in zip(hints, self.masks, strict=True)]

        def draw(proposal: Proposal) -> list[Array]:
            return self._draw(proposal, known_maps, hint_maps, blend_edges, generator)

        drawn = [draw(proposal) for proposal in proposals(num_proposals)]
        self.line_maps = drawn[0]
        self.pipeline.maybe_free_model_hooks()
        written = [write_edges(line_maps, self.output_type) for line_maps in drawn]
        return written[0] if num_proposals == 1 else written

    def _draw(
        self,
        proposal: Proposal,
        known_maps: list[Array] | None,
        hint_maps: list[Array] | None,
        blend_edges: bool,
        random: torch.Generator | None,
    ) -> list[Array]:
        """The photos' line maps of one proposal."""
        generator = self.pipeline.edge_generator
        views = self._look(generator.config.sample_size)
        line_maps = [np.zeros(picture.size, picture.lines_dtype) for picture in self.pictures]
        shown = {}  # by the view's place; a hole on plain ground needs no line
        for place, view in enumerate(views):
            known = view.known_edges if known_maps is None else view.lines_of(known_maps) * ~view.unknown
            gray, seen = proposal.see(view, known, known_maps is None, random)
            if hint_maps is not None:
                hints = view.lines_of(hint_maps)
                known, seen = np.maximum(known, hints), np.maximum(seen, hints)
            if view.ground(known) is None:
                shown[place] = gray, seen, known, view.unknown
            else:
                self._paste_lines(view, known, line_maps)

        def predict(gray: torch.Tensor, seen: torch.Tensor, known: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            planes = [blend(gray, 1, mask), seen, mask]
            if proposal.mirrored:
                planes = [each.flip(-1) for each in planes]
            pred_edges = generator(*planes, return_dict=False)[0]  # [N,1,h,w]
            pred_edges = pred_edges.flip(-1) if proposal.mirrored else pred_edges
            pred_edges = torch.maximum(pred_edges, known * mask)  # hints stay
            return blend(known, pred_edges, mask) if blend_edges else pred_edges

        for batch in batches(views, shown):
            drawn = self._run(predict, [shown[place] for place in batch], generator.dtype)
            for place, comp_edges in zip(batch, drawn, strict=True):
                self._paste_lines(views[place], comp_edges[..., 0], line_maps)
        return line_maps

    @torch.no_grad()
    def complete(
        self,
        edges: ImageInput | None = None,
        colour_hints: ImageInput | None = None,
        match_texture: bool | None = None,
    ) -> Any:
        """Paint the hole from lines: those in `edges`, by default the session's last ones, drawn first if need be.

        `colour_hints` and `match_texture` (by default the pipeline's) are of this call only; other ones do not repaint
        a window: a first call without texture shows a result early, a second one adds it. Arguments and result as in
        `EdgeConnectPipeline.complete`.
        """
        generator = self.pipeline.completion_generator
        if generator is None:
            raise ValueError("This pipeline has no completion generator: `generate_edges` draws lines without one.")
        hints = None if colour_hints is None else read_colour_hints(colour_hints, self.pictures)
        if edges is None and self.line_maps is None:
            self.generate_edges()
        if edges is not None:
            self.line_maps = read_edges(edges, "edges", self.pictures, self.masks)
        line_maps = cast("list[Array]", self.line_maps)
        is_textured = self.pipeline.config["match_texture"] if match_texture is None else match_texture

        def predict(image: torch.Tensor, comp_edges: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            pred_image = generator(blend(image, 1, mask), comp_edges, return_dict=False)[0]  # [N,3,h,w]
            return match_colours(pred_image, image, mask) if self.pipeline.config["match_colours"] else pred_image

        repaired = [picture.colour.copy() for picture in self.pictures]
        views = self._look(generator.config.sample_size)
        lines = [view.lines_of(line_maps) for view in views]
        grounds = [view.ground(drawn) for view, drawn in zip(views, lines, strict=True)]
        for view, ground in zip(views, grounds, strict=True):
            if ground is not None:
                self._paste_hole(view, ground, 0.0, repaired, hints)
        for batch in batches(views, [place for place, ground in enumerate(grounds) if ground is None]):
            lines_now = [lines[place] for place in batch]
            painted = self._painted.get(batch)
            if painted is None or not all(map(np.array_equal, painted.lines, lines_now)):
                shown = [(views[place].colour, lines[place], views[place].unknown) for place in batch]
                pred_images = self._run(predict, shown, generator.dtype)
                painted = self._painted[batch] = _Painted(lines_now, pred_images)
            if is_textured and painted.details is None:
                pairs = zip(batch, painted.pred_images, strict=True)
                painted.details = [self._detail(views[place], pred_image, line_maps) for place, pred_image in pairs]
            no_details: list[Floats | float] = [0.0] * len(batch)
            details = painted.details if is_textured and painted.details is not None else no_details
            for place, pred_image, detail in zip(batch, painted.pred_images, details, strict=True):
                self._paste_hole(views[place], pred_image, detail, repaired, hints)
        self.pipeline.maybe_free_model_hooks()
        pictures = [with_colour(picture, colour) for picture, colour in zip(self.pictures, repaired, strict=True)]
        return write_images(pictures, self.output_type)

    def _look(self, sample_size: int) -> list[View]:
        if sample_size not in self._views:
            views = self._views[sample_size] = []
            for number, mask in enumerate(self.masks):
                unknown = self._unknown(number)
                for window in find_windows(mask, self.strategy, sample_size, unknown):
                    colour = window.reduce_image(self._colour(number, window))
                    hole = window.reduce_mask(self._hole(number, window))
                    views.append(
                        View(number, window, colour, hole, window.reduce_mask(unknown[window.view_slices]), self.sigma)
                    )
        return self._views[sample_size]

    def _unknown(self, number: int) -> Bools:
        """`[H,W]` of a photo: the holes, and where it is transparent, as colours there are arbitrary."""
        alpha = self.pictures[number].alpha
        return self.masks[number] if alpha is None else self.masks[number] | (alpha[..., 0] == 0)

    def _colour(self, number: int, window: Window) -> Floats:
        """What a window shows of a photo, `[h,w,3]` in [0,1], at full size."""
        colour = to_float(self.pictures[number].colour[window.view_slices])
        return np.repeat(colour, 3, axis=2) if colour.shape[2] == 1 else colour

    def _hole(self, number: int, window: Window) -> Bools:
        """The holes that a window repaints, `[h,w]`, at full size."""
        hole = np.zeros(window.view_size, bool)
        hole[window.hole_in_view] = self.masks[number][window.hole_slices]
        return hole

    def _run(
        self, predict: Callable[..., torch.Tensor], shown: Sequence[tuple[Array, ...]], dtype: torch.dtype
    ) -> list[Floats]:
        """`predict` on views of one size.

        Args:
            predict: takes as many tensors `[N,C,h,w]` as a view has arrays, returns one.
            shown: for each view its arrays, `[h,w]` or `[h,w,C]`.

        Returns:
            For each view `[h,w,C]` float32.
        """
        height, width = shown[0][0].shape[:2]
        device = self.pipeline._execution_device
        planes = zip(*shown, strict=True)
        predicted = predict(*(pad(to_tensor(arrays).to(device, dtype)) for arrays in planes))
        return list(predicted[..., :height, :width].float().cpu().permute(0, 2, 3, 1).numpy())

    def _paste_lines(self, view: View, comp_edges: Floats, line_maps: list[Array]) -> None:
        """Add a view's lines `[h,w]` to those of its photo."""
        window, line_map = view.window, line_maps[view.picture]
        writable = ~self.masks[view.picture][window.view_slices]
        writable[window.hole_in_view] = True  # the view's other holes are other windows'
        lines = from_float(window.enlarge_lines(comp_edges)[writable], line_map.dtype)
        target = line_map[window.view_slices]
        target[writable] = np.maximum(target[writable], lines)  # of another view's, which may see farther

    def _detail(self, view: View, pred_image: Floats, line_maps: list[Array]) -> Floats:
        """What `match_texture` adds to a view's hole, `[h,w,3]`: `[H,W,3]` of the hole's box in the photo."""
        window = view.window
        unknown = self._unknown(view.picture)[window.view_slices]
        enlarged = window.enlarge_image(view.composite(pred_image))
        painted = np.where(unknown[..., None], enlarged, self._colour(view.picture, window))
        lines = to_float(line_maps[view.picture][window.view_slices]) >= 0.5
        hole = self._hole(view.picture, window)
        textured = match_texture(painted, hole, unknown, lines, window.reduction)
        return (textured - painted)[window.hole_in_view]

    def _paste_hole(
        self,
        view: View,
        pred_image: Floats,
        detail: Floats | float,
        repaired: list[Array],
        hints: list[Floats] | None,
    ) -> None:
        """Write a view's hole from `[h,w,3]` into its photo, with `hints` and `detail`; nothing else of it."""
        if hints is not None:
            colours, strength = view.hints_of(hints)
            if strength.any():
                planes = (to_tensor([each]) for each in (pred_image, colours, strength, view.hole.astype(np.float32)))
                pred_image = lay_in(*planes)[0].permute(1, 2, 0).numpy()
        window = view.window
        hole = self.masks[view.picture][window.hole_slices]
        target = repaired[view.picture][window.hole_slices]  # shares the photo's memory
        colour = (window.enlarge_image(view.composite(pred_image))[window.hole_in_view] + detail)[hole]  # [pixels,3]
        target[hole] = from_float(colour[:, : target.shape[2]].clip(0, 1), target.dtype)


@dataclass
class _Painted:
    """What became of windows that ran together: the lines `[h,w]` that G2 saw, its pictures `[h,w,3]`, their detail
    `[H,W,3]` once it was asked for."""

    lines: list[Floats]
    pred_images: list[Floats]
    details: list[Floats] | None = None
