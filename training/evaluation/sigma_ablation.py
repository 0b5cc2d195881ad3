"""Ablation of Canny's sigma against PSNR, feature distance and LPIPS, as in the paper: a plot and its values.

    python training/evaluation/sigma_ablation.py --sigmas 0.5,1,2,4,6 --dataset FOLDER --output_dir runs/sigma …

Each sigma is an evaluation of its own in `output_dir/sigma_…`; `evaluate.py` explains the settings.
"""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a script: its siblings are imported as `training.…`, from anywhere
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from matplotlib.figure import Figure

from training.data.samples import UnreadableRowError
from training.evaluation.config import EvaluationConfig, make_evaluation_parser, read_config
from training.evaluation.evaluate import evaluate
from training.evaluation.report import Row

_AXES = {"psnr": "PSNR, dB", "feature_distance": "VGG19 distance", "lpips": "LPIPS"}


def ablate(config: EvaluationConfig, sigmas: Sequence[float]) -> list[Row]:
    """Evaluates with each sigma; writes `sigma.json` and `sigma.png` to `output_dir`.

    Args:
        config (`EvaluationConfig`): all other settings; its `sigma` is not used.
        sigmas (`Sequence[float]`): Canny's Gaussians in pixels, above 0, at most 100.

    Returns:
        The rows of all tables, each with its `sigma`.

    Raises:
        ValueError, UnreadableRowError: see `evaluate`.
    """
    folder = Path(config.output_dir)
    configs = [
        dataclasses.replace(config, sigma=sigma, output_dir=str(folder / f"sigma_{sigma:g}")) for sigma in sigmas
    ]
    rows: list[Row] = []
    for one in configs:
        rows += [{"sigma": one.sigma, **row} for row in evaluate(one)["table"]]
    (folder / "sigma.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    plot(rows).savefig(folder / "sigma.png", dpi=120)
    return rows


def plot(rows: Sequence[Row]) -> Figure:
    """A line for each set, method and hole size over sigma, in one plot for each of `_AXES` that the rows have."""
    shown = [name for name in _AXES if name in rows[0]]
    several = len({row["set"] for row in rows}) > 1
    figure = Figure(figsize=(5.5 * len(shown), 4.5), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        lines: dict[tuple[Any, ...], list[Row]] = {}
        for row in rows:
            lines.setdefault((row["set"] if several else "", row["method"], row["model"], row["hole"]), []).append(row)
        for parts, of_line in lines.items():
            label = " ".join(filter(None, parts)) + " %"
            axes.plot([row["sigma"] for row in of_line], [row[name] for row in of_line], marker="o", label=label)
        axes.set(xlabel="Canny's sigma, pixels", ylabel=_AXES[name])
        axes.legend(fontsize="small")
    return figure


def main() -> None:
    """The command line: `--sigmas`, and the settings of `training/evaluation/evaluate.py` but `--sigma`."""
    parser = make_evaluation_parser(
        "sigma_ablation.py",
        "Canny's sigma against PSNR and feature distance (see docs/evaluation.md).",
        skip=["sigma"],
    )
    parser.add_argument("--sigmas", default="0.5,1,2,3,4,6", metavar="SIGMA,…", help="of Canny, in pixels")
    settings = vars(parser.parse_args())
    text = settings.pop("sigmas")
    try:
        sigmas = [float(number) for number in text.split(",")]
    except ValueError:
        parser.error(f"`--sigmas` is {text!r}, expected a list of numbers such as 1,2,4.")
    config = read_config(parser, settings)
    try:
        ablate(config, sigmas)
    except (ValueError, FileNotFoundError, UnreadableRowError) as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from error
    print(f"Wrote {Path(config.output_dir) / 'sigma.png'} and sigma.json.")


if __name__ == "__main__":
    main()
