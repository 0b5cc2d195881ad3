"""EdgeConnect from picture to picture: the paper, top to bottom."""

import os
from typing import Any, ClassVar, Literal, overload

import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.utils.import_utils import is_accelerate_available

from .edges import check_sigma
from .extension import extend_pictures, find_margins
from .holes import check_known, check_padding, grow
from .loading import check_dtype, check_model_name, explained, present_name
from .models import CompletionGenerator, EdgeGenerator
from .pictures import OUTPUT_TYPES, ImageInput, check_differ, check_one_size, read_images, read_masks, write_images
from .pipeline_output import EdgeConnectPipelineOutput as EdgeConnectPipelineOutput
from .registration import register
from .session import EditSession
from .windows import STRATEGIES


class EdgeConnectPipeline(DiffusionPipeline):
    """Repairs photos: draws the missing lines, then paints between them (Nazeri et al., 2019, arXiv 1901.00212).

    `pipe(image, mask_image)` does both. To edit the lines: `edges = pipe.generate_edges(image, mask_image)`, then
    `pipe.complete(image, mask_image, edges)`; for edit after edit, use the session of `pipe.open`.

    Args:
        edge_generator (`EdgeGenerator`, *optional*): G1; without it, `edges` must be given to the pipeline.
        completion_generator (`CompletionGenerator`, *optional*): G2; without it, the pipeline draws lines only.
        match_colours (`bool`): shift the hole's colours by what those of G2 lack at the known pixels around it, so that
            they meet at its border. Not in the paper; helps models that were trained briefly, as the bundled one. Saved
            with the pipeline.
        match_texture (`bool`): give the hole detail from elsewhere in the photo, where it fits what G2 painted. Not in
            the paper. Saved with the pipeline.
    """

    model_cpu_offload_seq = "edge_generator->completion_generator"  # type: ignore[assignment]  # declared as None
    _optional_components: ClassVar[list[str]] = ["edge_generator", "completion_generator"]  # type: ignore[misc]

    def __init__(
        self,
        edge_generator: EdgeGenerator | None = None,
        completion_generator: CompletionGenerator | None = None,
        match_colours: bool = False,
        match_texture: bool = False,
    ):
        super().__init__()
        if not (
            isinstance(edge_generator, EdgeGenerator | None)
            and isinstance(completion_generator, CompletionGenerator | None)
        ):
            raise TypeError(
                "`edge_generator` must be an EdgeGenerator and `completion_generator` a CompletionGenerator: got "
                f"{type(edge_generator).__name__} and {type(completion_generator).__name__}."
            )
        self.register_modules(edge_generator=edge_generator, completion_generator=completion_generator)
        self.register_to_config(match_colours=match_colours, match_texture=match_texture)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str] | None = None, **kwargs: Any
    ) -> "EdgeConnectPipeline":
        """Load a pipeline.

        Args:
            pretrained_model_name_or_path (`str` or `Path`, *optional*): a pipeline folder, or a model on the Hub
                (`"user/model"`). By default the bundled model, which needs no network.
            kwargs: as `DiffusionPipeline.from_pretrained`: `dtype`, `variant`, `revision`, `cache_dir`, `token`,
                `local_files_only`, … and `match_colours`, `match_texture`, otherwise than saved. Safetensors only.

        Raises:
            ValueError: it is not a pipeline folder, nor a Hub id.
            OSError: the Hub does not have it, or cannot be reached.
        """
        name = present_name(pretrained_model_name_or_path)
        check_model_name(name)
        check_dtype(kwargs)
        with explained(name):
            # By default, diffusers asks for accelerate where it is not installed.
            kwargs = {"low_cpu_mem_usage": is_accelerate_available(), **kwargs, "use_safetensors": True}
            return super().from_pretrained(name, **kwargs)

    # fmt: off
    @overload
    def __call__(
        self, image: ImageInput, mask_image: ImageInput, edges: ImageInput | None = ...,
        known_edges: ImageInput | None = ..., edge_hints: ImageInput | None = ..., sigma: float = ...,
        blend_edges: bool = ..., strategy: str = ..., output_type: str = ..., return_dict: Literal[True] = ...,
        mask_padding: int = ..., colour_hints: ImageInput | None = ...,
    ) -> EdgeConnectPipelineOutput: ...

    @overload
    def __call__(
        self, image: ImageInput, mask_image: ImageInput, edges: ImageInput | None = ...,
        known_edges: ImageInput | None = ..., edge_hints: ImageInput | None = ..., sigma: float = ...,
        blend_edges: bool = ..., strategy: str = ..., output_type: str = ..., *, return_dict: Literal[False],
        mask_padding: int = ..., colour_hints: ImageInput | None = ...,
    ) -> tuple[Any, Any]: ...

    # fmt: on
    @torch.no_grad()
    def __call__(
        self,
        image: ImageInput,
        mask_image: ImageInput,
        edges: ImageInput | None = None,
        known_edges: ImageInput | None = None,
        edge_hints: ImageInput | None = None,
        sigma: float = 2.0,
        blend_edges: bool = True,
        strategy: str = "auto",
        output_type: str = "pil",
        return_dict: bool = True,
        mask_padding: int = 0,
        colour_hints: ImageInput | None = None,
    ) -> EdgeConnectPipelineOutput | tuple[Any, Any]:
        """Repair `image` where `mask_image` is white.

        The same as `complete(image, mask_image, generate_edges(image, mask_image))`, both with the same strategy.

        Args:
            image: one photo or a list: a file (path, bytes, file object), PIL, NumPy `[H,W]`, `[H,W,C]`, `[N,H,W,C]` or
                torch `[H,W]`, `[C,H,W]`, `[N,C,H,W]`; uint8, uint16, or float in [0,1]. RGB, RGBA, gray, gray with
                alpha keep their mode, other PIL modes become RGB or RGBA. 16 bits a channel stay so, except as colours
                with `output_type="pil"`; the hole holds 8 bits' worth of detail. Photos of one size run as a batch.
            mask_image: one for each photo, or one for all, of the same size; an array with one channel, `[N,H,W]` too.
                Values of 0.5 (128) and above are the hole, or those of 1 where all are 0 or 1, in any dtype; of a PIL
                picture's luminance, except where it is transparent.
            edges: the whole line map, white on black, used as given inside and outside the hole, without Canny
                and without the edge generator.
            known_edges: lines of the known part from another detector, in place of Canny's.
            edge_hints: a few lines drawn in the hole. The edge generator takes them as known and continues them; they
                stay in the result's lines.
            sigma (`float`): Canny's sigma in pixels, above 0, at most 100. Larger: fewer lines.
            blend_edges (`bool`): known lines outside the hole and the generator's inside (the paper). False: the
                generator's lines everywhere (the published code's test mode).
            strategy (`str`): where to work. `"original"`: on the whole photo. `"crop"`: in a window around each group
                of holes. `"resize"`: in such windows, those larger than the training scale made smaller.
                `"auto"`: in such windows, made smaller only around holes larger than the training scale. Windows of up
                to 2048 pixels a side are not made so small that over half of what is known would be lost, as between
                the bars of a fence. `"auto"` and `"crop"` divide long thin holes, such as a scratch, into tiles.
            output_type (`str`): `"pil"`, `"np"` (float32 in [0,1]) or `"pt"` (float32 in [0,1]).
            return_dict (`bool`): an `EdgeConnectPipelineOutput`, or the tuple `(images, edges)`.
            mask_padding (`int`): pixels by which the hole grows first, from 0 to 256. A mask that is cut tightly around
                an object leaves its rim in the photo.
            colour_hints: colours laid into the hole, RGBA of the photo's size: the result takes them up as far as alpha
                says, and keeps its texture. What lies outside the hole is ignored.

        Returns:
            Photos of the input's size, every pixel outside the hole bit-identical to it, and the lines used.

        Raises:
            FileNotFoundError, TypeError, ValueError: an argument is not as expected; the message names it.
        """
        # 1. Check the arguments and open a session: windows, reduced photos.
        if self.completion_generator is None:
            raise ValueError("This pipeline has no completion generator: `generate_edges` draws lines without one.")
        if edges is not None and not (known_edges is None and edge_hints is None):
            raise ValueError("`edges` is the whole line map: `known_edges` and `edge_hints` cannot be added to it.")
        session = self.open(image, mask_image, sigma, strategy, output_type, mask_padding)

        # 2. Draw the missing lines, unless they are given.
        if edges is None:
            session.generate_edges(known_edges, edge_hints, blend_edges)

        # 3. Paint between the lines.
        images = session.complete(edges, colour_hints)
        return EdgeConnectPipelineOutput(images, session.edges) if return_dict else (images, session.edges)

    # fmt: off
    def generate_edges(
        self, image: ImageInput, mask_image: ImageInput, known_edges: ImageInput | None = None,
        edge_hints: ImageInput | None = None, sigma: float = 2.0, blend_edges: bool = True, strategy: str = "auto",
        output_type: str = "pil", mask_padding: int = 0, num_proposals: int = 1,
        generator: torch.Generator | None = None,
    ) -> Any:
        # fmt: on
        """The first half: known lines around the holes and the edge generator's in them, for a person to edit.

        Arguments as in `__call__`, and

        Args:
            num_proposals (`int`): from 1 to 4, to choose from: others vary what the edge generator sees.
            generator (`torch.Generator`, *optional*): of these variations; the same seed gives the same proposals.

        Returns:
            The line maps, at full size, white on black: a list of PIL pictures of mode L, `[N,H,W,1]` float32 or
            `[N,1,H,W]` float32. With several proposals, a list of as many of these, of which the first is what one
            alone would be. Outside the hole they are the same if `blend_edges`.
        """
        session = self.open(image, mask_image, sigma, strategy, output_type, mask_padding)
        return session.generate_edges(known_edges, edge_hints, blend_edges, num_proposals, generator)

    def complete(
        self,
        image: ImageInput,
        mask_image: ImageInput,
        edges: ImageInput,
        strategy: str = "auto",
        output_type: str = "pil",
        mask_padding: int = 0,
        colour_hints: ImageInput | None = None,
    ) -> Any:
        """The second half: paint the holes from the lines in `edges` and the colours around.

        Arguments as in `__call__`. Give the strategy and the padding that the lines were drawn with: with another
        strategy, windows are reduced differently, lines become wider or finer than the networks expect, and the result
        differs.

        Returns:
            The repaired photos: a list of PIL pictures, `[N,H,W,C]` float32 or `[N,C,H,W]` float32.
        """
        session = self.open(image, mask_image, strategy=strategy, output_type=output_type, mask_padding=mask_padding)
        return session.complete(edges, colour_hints)

    # fmt: off
    def extend(
        self, image: ImageInput, left: int = 0, right: int = 0, top: int = 0, bottom: int = 0,
        aspect_ratio: float | str | None = None, output_type: str = "pil", **options: Any,
    ) -> EdgeConnectPipelineOutput | tuple[Any, Any]:
        # fmt: on
        """Extend photos outward: the new part is a hole at the border.

        Args:
            image: as in `__call__`.
            left, right, top, bottom (`int`): pixels to add, up to 4096 on each side.
            aspect_ratio (`float` or `str`, *optional*): width by height, as 1.5 or "3:2", instead of pixels: the photo
                becomes wider or higher, by the same on both sides.
            output_type (`str`): as in `__call__`.
            options: further arguments of `__call__`; line maps and colour hints of the extended size.

        Returns:
            As `__call__`: the extended photos, and the lines used.
        """
        sides = {"left": left, "right": right, "top": top, "bottom": bottom}
        _check_word("output_type", output_type, OUTPUT_TYPES)
        pictures = read_images(image, output_type)
        margins = [find_margins(picture.size, sides, aspect_ratio) for picture in pictures]
        extended, masks = extend_pictures(pictures, margins)
        check_one_size(extended, output_type)
        return self(write_images(extended, output_type), masks, output_type=output_type, **options)

    def open(
        self,
        image: ImageInput,
        mask_image: ImageInput,
        sigma: float = 2.0,
        strategy: str = "auto",
        output_type: str = "pil",
        mask_padding: int = 0,
    ) -> EditSession:
        """Open photos for editing: `session.generate_edges()`, edit, `session.complete(edges)`, edit, and so on.

        Arguments as in `__call__`.

        Returns:
            The session, which computes windows, reduced photos and known lines once, and repaints only the windows
            whose lines changed.
        """
        _check_word("strategy", strategy, STRATEGIES)
        _check_word("output_type", output_type, OUTPUT_TYPES)
        check_sigma(sigma)
        check_padding(mask_padding)
        check_differ(image, mask_image)
        pictures = read_images(image, output_type)
        check_one_size(pictures, output_type)
        masks = [grow(mask, int(mask_padding)) for mask in read_masks(mask_image, pictures)]
        for picture, mask in zip(pictures, masks, strict=True):
            check_known(mask, picture.alpha)
        return EditSession(self, pictures, masks, float(sigma), strategy, output_type)

    @property
    def components(self) -> dict[str, Any]:
        """The networks and the settings: `EdgeConnectPipeline(**pipe.components)` is the same again."""
        return {**super().components, **{name: self.config[name] for name in ("match_colours", "match_texture")}}

    def compile(self, **kwargs: Any) -> None:
        """Compile both generators in place, for many photos of one size; `kwargs` as for `torch.compile`.

        The first photo of a size takes up to a minute more. Needs a C++ compiler (CPU) or Triton (GPU).
        """
        for generator in (self.edge_generator, self.completion_generator):
            if generator is not None:
                generator.compile(**kwargs)

    def push_to_hub(self, repo_id: str, **options: Any) -> Any:  # type: ignore[override]  # other options
        """Save and push in one commit, with a card of our own: `edgeconnect_hf.hub.push_model` has the options."""
        from .hub import push_model  # the Hub is above

        return push_model(self, repo_id, **options)


def _check_word(name: str, value: str, expected: tuple[str, ...]) -> None:
    if value not in expected:
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, expected))}: got {value!r}.")


register(EdgeConnectPipeline)
