"""Every setting of an evaluation beside those it shares with training; read from the command line."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

from jsonargparse import ArgumentParser

from edgeconnect_hf.edges import MAX_SIGMA
from edgeconnect_hf.loading import BUNDLED_MODEL
from training.config import SharedConfig
from training.evaluation.methods import METHODS, MODEL_METHODS, check_methods
from training.evaluation.metrics import Protocol
from training.flags import make_parser

Bin: TypeAlias = tuple[int, int]  # smallest and largest share of the image that is hole, in percent
Masks: TypeAlias = Literal["irregular", "rectangle"]

IRREGULAR_BINS: tuple[Bin, ...] = ((0, 10), (10, 20), (20, 30), (30, 40), (40, 50), (50, 60))
RECTANGLE_BINS: tuple[Bin, ...] = ((25, 25),)

_FLAGS = ("dataset", "methods", "model", "results", "mask_bins")  # that `read_config` reads
_READ_HERE = ("datasets", "methods", "models", "results", "mask_bins")  # the settings that they make


@dataclass(kw_only=True)
class EvaluationConfig(SharedConfig):
    """Settings of an evaluation.

    Raises:
        ValueError: a value is out of its range, or two contradict each other; the message names them.
    """

    MIN_RESOLUTION: ClassVar[int] = 64  # the published protocol's SSIM window is 51 pixels wide

    datasets: Mapping[str, str]
    """Folders of images by the name of the set; the middle square of each image is used."""
    max_pictures: int | None = None
    """Use at most so many images of each set, spread evenly over it."""
    line_column: str | None = None
    """Column with line maps (HED's, say) to take in place of Canny's; `edge_column` of training."""
    methods: Sequence[str] = ("model", "true_edges", "no_edges", "telea", "navier_stokes")
    """Methods to compare, out of `training.evaluation.methods.METHODS`."""
    models: Mapping[str, str] = field(default_factory=lambda: {"bundled": str(BUNDLED_MODEL)})
    """Pipeline folders or Hub models by name."""
    results: Mapping[str, str] = field(default_factory=dict)
    """Folders of other programs' results by name, as `SET/LOW-HIGH/NAME.png`."""
    masks: Masks = "irregular"
    """Shape of the holes: strokes, by hole size, or squares of a quarter of the image."""
    mask_bins: Sequence[Bin] | None = None
    """Hole sizes of irregular masks in percent; by default the paper's six."""
    seed: int = 0
    """Seed of the masks."""
    protocol: Protocol = "usual"
    """How L1, PSNR and SSIM are computed: over RGB, or as the published code does."""
    lpips_weights: str | None = None
    """Compute LPIPS with the weights in this safetensors file; see docs/evaluation.md."""
    fid: bool = False
    """Compute FID too, which needs torch-fidelity."""
    grid_pictures: int = 6
    """Rows of the image grid, which shows the last images of the data set; 0 for no grid."""
    output_dir: str = "runs/evaluation"
    """Folder of results, tables and images."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_methods(self.methods)
        if not self.methods and not self.results:
            raise ValueError(f"`methods` names nothing, expected some of {', '.join(METHODS)}.")
        if twice := sorted(set(self.results).intersection(self.methods)):
            raise ValueError(f"`results` and `methods` both name {', '.join(twice)}: give the results another name.")
        if not self.datasets:
            raise ValueError("`dataset` names no folder.")
        for argument, folders in (("dataset", self.datasets), ("results", self.results)):
            for folder in folders.values():
                if not Path(folder).is_dir():
                    raise ValueError(f"`{argument}` {folder!r} is not a folder.")
        self._check_positive("max_pictures")
        if not self.models and any(name in MODEL_METHODS for name in self.methods):
            raise ValueError("`models` is empty, but some of the `methods` need one.")
        if self.masks == "rectangle" and self.mask_bins is not None:
            raise ValueError(f"`mask_bins` is {self.mask_bins}, but rectangles always cover a quarter of the image.")
        for low, high in self.mask_bins or ():
            if not 0 <= low < high < 100:
                raise ValueError(f"`mask_bins` holds {low}-{high}, expected 0 <= low < high < 100.")
        if not 0 < self.sigma <= MAX_SIGMA:
            raise ValueError(f"`sigma` is {self.sigma}, expected a number above 0, at most {MAX_SIGMA}.")
        if self.grid_pictures < 0:
            raise ValueError(f"`grid_pictures` is {self.grid_pictures}, expected 0 or more.")

    @property
    def bins(self) -> Sequence[Bin]:
        return RECTANGLE_BINS if self.masks == "rectangle" else self.mask_bins or IRREGULAR_BINS


def parse_config(arguments: Sequence[str] | None = None) -> EvaluationConfig:
    """Settings from the command line, by default the process's own; a fault ends the program with status 2."""
    parser = make_evaluation_parser(
        "evaluate.py", "Measure models and other methods side by side (see docs/evaluation.md)."
    )
    return read_config(parser, vars(parser.parse_args(arguments)))


def make_evaluation_parser(prog: str, description: str, skip: Collection[str] = ()) -> ArgumentParser:
    """A parser of all settings that are not in `skip`, to be read by `read_config`."""
    parser = make_parser(EvaluationConfig, prog, description, {*skip, *_READ_HERE})
    parser.add_argument(
        "--dataset",
        nargs="+",
        required=True,
        metavar="[NAME=]FOLDER",
        help="folder of images, or with a folder `validation` of them; called by its last part or NAME",
    )
    parser.add_argument(
        "--methods", metavar="NAME,NAME,…", help=f"out of {', '.join(METHODS)}; by default {_default_methods()}"
    )
    parser.add_argument(
        "--model",
        nargs="+",
        metavar="[NAME=]MODEL",
        help="pipeline folder or Hub model, called by its last part or NAME; by default the bundled one",
    )
    parser.add_argument(
        "--results",
        nargs="+",
        metavar="NAME=FOLDER",
        help="another program's results, FOLDER/SET/LOW-HIGH/NAME.png, to be measured beside the methods",
    )
    parser.add_argument("--mask_bins", metavar="LOW-HIGH,…", help="hole sizes in percent; by default 0-10 … 50-60")
    return parser


def read_config(parser: ArgumentParser, settings: dict[str, Any]) -> EvaluationConfig:
    """What `parser` has parsed, as settings; a fault ends the program with status 2."""
    datasets, methods, models, results, bins = (settings.pop(name) for name in _FLAGS)
    try:
        settings["datasets"] = read_named("dataset", datasets)
        if methods is not None:
            settings["methods"] = methods.split(",")
        if models is not None:
            settings["models"] = read_named("model", models)
        if results is not None:
            settings["results"] = read_named("results", results)
        if bins is not None:
            settings["mask_bins"] = [_read_bin(text) for text in bins.split(",")]
        return EvaluationConfig(**settings)
    except ValueError as error:
        parser.error(str(error))


def _default_methods() -> str:
    return ",".join(EvaluationConfig.methods)


def _read_bin(text: str) -> Bin:
    found = re.fullmatch(r"(\d+)-(\d+)", text)
    if found is None:
        raise ValueError(f"`--mask_bins` holds {text!r}, expected a list of hole sizes such as 20-30,40-50.")
    return int(found[1]), int(found[2])


def read_named(flag: str, texts: Sequence[str]) -> dict[str, str]:
    """Folders or models by the name before `=`, or by their last part (of `street_fronts/validation`, the first)."""
    named: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator:
            path, value = Path(text), text
            name = path.parent.name if flag == "dataset" and path.name == "validation" else path.name
        if not re.fullmatch(r"[\w.]+(-[\w.]+)*", name):
            raise ValueError(f"{name!r} is no name for a {flag}, expected letters, digits, '.', '_' and '-'.")
        if name in named:
            raise ValueError(f"two of `--{flag}` have the same name {name!r}; name them: NAME=FOLDER.")
        named[name] = value
    return named
