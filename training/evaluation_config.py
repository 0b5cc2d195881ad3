"""Every setting of an evaluation, its default and its meaning; read from the command line."""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from edgeconnect_hf.pipeline import BUNDLED_MODEL, MAX_SIGMA
from training.methods import METHODS, MODEL_METHODS, check_methods
from training.metrics import Protocol

Bin: TypeAlias = tuple[int, int]  # the least and the largest part of the picture that is hole, in percent
Masks: TypeAlias = Literal["irregular", "rectangle"]

IRREGULAR_BINS: tuple[Bin, ...] = ((0, 10), (10, 20), (20, 30), (30, 40), (40, 50), (50, 60))
RECTANGLE_BINS: tuple[Bin, ...] = ((25, 25),)
MIN_RESOLUTION = 64  # SSIM's window of the published protocol has 51 pixels


@dataclass
class EvaluationConfig:
    """Settings of an evaluation.

    Args:
        dataset (`str`): folder of pictures, of which the middle square is taken.
        methods (`Sequence[str]`): names out of `training.methods.METHODS`.
        models (`Mapping[str, str]`): name -> pipeline folder or Hub model.
        masks (`str`): `"irregular"` (strokes, by hole size) or `"rectangle"` (a quarter of the picture).
        mask_bins (`Sequence[Bin]`, *optional*): hole sizes of irregular masks in percent; by default the paper's six.
        resolution (`int`): side of the squares in pixels; a multiple of 4, at least 64.
        sigma (`float`): Canny's, of the known and of the true lines, above 0, at most 100.
        protocol (`str`): of L1, PSNR and SSIM, see `training.metrics.picture_scores`.
        vgg_weights (`str`, *optional*): file or Hub model for the feature distance; without it there is none.
        fid (`bool`): FID too, which needs torch-fidelity.
        seed (`int`): of the masks.
        grid_pictures (`int`): rows of the picture grid, the last pictures of the dataset; 0 for no grid.
        output_dir (`str`): where results, tables and pictures go.

    Raises:
        ValueError: a value is out of its range, or two do not fit together; the message names them.
    """

    dataset: str
    methods: Sequence[str] = ("model", "true_edges", "no_edges", "telea", "navier_stokes")
    models: Mapping[str, str] = field(default_factory=lambda: {"bundled": str(BUNDLED_MODEL)})
    masks: Masks = "irregular"
    mask_bins: Sequence[Bin] | None = None
    resolution: int = 256
    sigma: float = 2.0
    protocol: Protocol = "usual"
    vgg_weights: str | None = None
    fid: bool = False
    seed: int = 0
    grid_pictures: int = 6
    output_dir: str = "runs/evaluation"

    def __post_init__(self) -> None:
        check_methods(self.methods)
        if not Path(self.dataset).is_dir():
            raise ValueError(f"`dataset` {self.dataset!r} is not a folder.")
        if not self.models and any(name in MODEL_METHODS for name in self.methods):
            raise ValueError("`models` is empty, but some of the `methods` need one.")
        for name, fits in (("masks", get_args(Masks)), ("protocol", get_args(Protocol))):
            if getattr(self, name) not in fits:
                raise ValueError(f"`{name}` is {getattr(self, name)!r}; one of {', '.join(fits)} fits.")
        if self.masks == "rectangle" and self.mask_bins is not None:
            raise ValueError(f"`mask_bins` is {self.mask_bins}, but rectangles all are a quarter of the picture.")
        for low, high in self.mask_bins or ():
            if not 0 <= low < high < 100:
                raise ValueError(f"`mask_bins` holds {low}-{high}; two whole percents, 0 <= low < high < 100, fit.")
        if self.resolution < MIN_RESOLUTION or self.resolution % 4:
            raise ValueError(f"`resolution` is {self.resolution}; a multiple of 4 from {MIN_RESOLUTION} fits.")
        if not 0 < self.sigma <= MAX_SIGMA:
            raise ValueError(f"`sigma` is {self.sigma}; a number above 0 fits, at most {MAX_SIGMA}.")
        if self.grid_pictures < 0:
            raise ValueError(f"`grid_pictures` is {self.grid_pictures}; 0 or more fit.")

    @property
    def bins(self) -> Sequence[Bin]:
        return RECTANGLE_BINS if self.masks == "rectangle" else self.mask_bins or IRREGULAR_BINS


def parse_config(arguments: Sequence[str] | None = None) -> EvaluationConfig:
    """Settings from the command line, by default the process's own; a fault ends the program with status 2."""
    parser = make_parser("evaluate.py", "Measure models and other methods side by side (see training/README.md).")
    parser.add_argument("--sigma", type=float, default=EvaluationConfig.sigma, help="Canny's")
    return read_config(parser, vars(parser.parse_args(arguments)))


def make_parser(prog: str, description: str) -> argparse.ArgumentParser:
    """A parser of all settings but `--sigma`."""
    defaults = EvaluationConfig.__dataclass_fields__
    parser = argparse.ArgumentParser(prog=prog, allow_abbrev=False, description=description)
    parser.add_argument("--dataset", required=True, metavar="FOLDER", help="pictures; the middle square is taken")
    parser.add_argument(
        "--methods",
        type=_names,
        default=defaults["methods"].default,
        metavar="NAME,NAME,…",
        help=f"out of {', '.join(METHODS)}; by default {','.join(defaults['methods'].default)}",
    )
    parser.add_argument(
        "--model",
        type=_named_model,
        nargs="+",
        metavar="[NAME=]MODEL",
        help="pipeline folder or Hub model, called by its last part or NAME; by default the bundled one",
    )
    parser.add_argument("--masks", choices=get_args(Masks), default=defaults["masks"].default)
    parser.add_argument("--mask_bins", type=_bins, metavar="LOW-HIGH,…", help="in percent; by default 0-10 … 50-60")
    parser.add_argument("--resolution", type=int, default=defaults["resolution"].default)
    parser.add_argument("--protocol", choices=get_args(Protocol), default=defaults["protocol"].default)
    parser.add_argument("--vgg_weights", metavar="FILE|MODEL", help="for the feature distance; timm/vgg19.tv_in1k fits")
    parser.add_argument("--fid", action="store_true", help="FID too; needs torch-fidelity")
    parser.add_argument("--seed", type=int, default=defaults["seed"].default, help="of the masks")
    parser.add_argument("--grid_pictures", type=int, default=defaults["grid_pictures"].default)
    parser.add_argument("--output_dir", default=defaults["output_dir"].default)
    return parser


def read_config(parser: argparse.ArgumentParser, settings: dict[str, Any]) -> EvaluationConfig:
    """What `parser` has parsed, as settings; a fault ends the program with status 2."""
    models = settings.pop("model")
    if models is not None:
        settings["models"] = dict(models)
        if len(settings["models"]) < len(models):
            parser.error("two of --model have the same name; give them names of their own: NAME=FOLDER")
    try:
        return EvaluationConfig(**settings)
    except ValueError as error:
        parser.error(str(error))


def _names(text: str) -> list[str]:
    return text.split(",")


def _bins(text: str) -> list[Bin]:
    bins = [re.fullmatch(r"(\d+)-(\d+)", part) for part in text.split(",")]
    if None in bins:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of hole sizes; 20-30,40-50 fits.")
    return [(int(found[1]), int(found[2])) for found in bins if found]


def _named_model(text: str) -> tuple[str, str]:
    name, separator, model = text.partition("=")
    if not separator:
        name, model = Path(text).name, text
    if not re.fullmatch(r"[\w.]+(-[\w.]+)*", name):
        raise argparse.ArgumentTypeError(f"{name!r} is no name for a model; letters, digits, '.', '_' and '-' fit.")
    return name, model
