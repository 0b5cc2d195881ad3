"""Metrics of several methods by set and hole size: `python training/evaluation/evaluate.py --dataset …`.

Every method gets the same images with the same holes. Each result is saved to `--output_dir` at once: a run that was
stopped, or that is repeated with more methods, models or hole sizes, computes only the missing results.
"""

import hashlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

if __name__ == "__main__":  # run as a script: its siblings are imported as `training.…`, from anywhere
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn
from tqdm import tqdm

from edgeconnect_hf import EdgeConnectPipeline
from training.data.samples import UnreadableRowError, to_bytes
from training.evaluation.config import Bin, EvaluationConfig, parse_config
from training.evaluation.holes import Example, Samples, chance, with_hole
from training.evaluation.image_folder import ImageFolder
from training.evaluation.methods import (
    MODEL_METHODS,
    Method,
    Place,
    Repair,
    ResultsOf,
    pipeline_method,
    plain_method,
)
from training.evaluation.metrics import FrechetDistance
from training.evaluation.report import Row, best_threshold, image_grid, image_row, line_row, markdown_report
from training.evaluation.results_file import KEY_FIELDS, ResultsFile
from training.evaluation.scores import Features, Scorer, count_lines
from training.networks import PIPELINE_SETTINGS

NO_MODEL = ""  # the model of a method that has none

MethodKey: TypeAlias = tuple[str, str]  # method, model


def evaluate(config: EvaluationConfig) -> dict[str, Any]:
    """Computes missing results; writes `evaluation.json`, `evaluation.md`, and a `grid_SET_LOW-HIGH.png` for each set
    and hole size.

    Returns:
        The content of `evaluation.json`: `settings`, `table` (a row for each set, hole size and method), `lines` (the
        same for G1's lines above 0.5) and `calibrated_lines` (above each model's best threshold).

    Raises:
        ValueError: `output_dir` holds results of other settings, a data set holds no images, a model cannot be
            loaded, weights lack a layer, `results` lack an image, or the Inception weights for FID are not available.
        UnreadableRowError: an image cannot be decoded.
    """
    # 1. The methods, the images, and earlier results.
    device = "cuda" if torch.cuda.is_available() else "cpu"
    models = config.models if any(name in MODEL_METHODS for name in config.methods) else {}
    pipelines = {name: _load_pipeline(name, model).to(device) for name, model in models.items()}
    methods = dict(_methods(config, pipelines))
    scorer = Scorer(config.protocol, config.vgg_weights, config.lpips_weights, device)
    fid = FrechetDistance() if config.fid else None
    sets = {
        name: Samples(folder, config.resolution, config.sigma, config.max_pictures, config.line_column)
        for name, folder in config.datasets.items()
    }
    settings: dict[str, Any] = {
        **{name: getattr(config, name) for name in ("resolution", "masks", "seed", "sigma", "line_column", "protocol")},
        **{f"pictures of {name}": len(samples.names) for name, samples in sets.items()},
        **{f"fingerprint of {name}": samples.fingerprint() for name, samples in sets.items()},
        "vgg": None if scorer.vgg is None else fingerprint(scorer.vgg),
        "lpips": None if scorer.lpips is None else fingerprint(scorer.lpips),
        **{f"weights of {name}": fingerprint(*_networks(pipeline)) for name, pipeline in pipelines.items()},
        **{
            f"{setting} of {name}": pipeline.config[setting]
            for name, pipeline in pipelines.items()
            for setting in PIPELINE_SETTINGS
        },
    }
    results = ResultsFile(config.output_dir, settings)
    images = ImageFolder(Path(config.output_dir) / "pictures")

    # 2. The missing results, image by image and hole by hole.
    total = sum(len(samples.names) for samples in sets.values()) * len(config.bins) * len(methods)
    with tqdm(total=total, desc="evaluation", unit="result") as progress:
        for set_name, number, name in [
            (set_name, number, name) for set_name, samples in sets.items() for number, name in enumerate(samples.names)
        ]:
            tasks = {hole: _missing(methods, results, (set_name, _label(hole)), name) for hole in config.bins}
            progress.update(len(config.bins) * len(methods) - sum(map(len, tasks.values())))
            if not any(tasks.values()):
                continue
            sample = sets[set_name].read(number)
            images.save(sample.image, "original", set_name, name)
            real_features = scorer.features(sample.image)
            other_edges = _edges_of_another(sets[set_name], number)
            for hole, missing in tasks.items():
                example = with_hole(sample, config.masks, hole, chance(config.seed, name, hole))
                place = (set_name, _label(hole), name)
                images.save(_with_gray_hole(example), "masked", *place)
                images.save(to_bytes(example.mask), "mask", *place)
                for key in missing:
                    repair, figures = _measure(methods[key], example, place, scorer, real_features, other_edges)
                    images.save(repair.image, _folder(key), *place)
                    if repair.lines is not None:
                        images.save(repair.lines, _lines_folder(key), *place)
                    fields = (*place[:2], *key, name)
                    results.add({**dict(zip(KEY_FIELDS, fields, strict=True)), **figures})
                    progress.update()

    # 3. Means, tables, grids.
    names = {name: samples.names for name, samples in sets.items()}
    of_all: dict[str, Any] = {"dataset": ", ".join(names), "pictures": sum(map(len, names.values()))}
    report = {"settings": of_all | settings, **_rows(config, list(methods), names, results, images, fid)}
    folder = Path(config.output_dir)
    (folder / "evaluation.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (folder / "evaluation.md").write_text(markdown_report(report), encoding="utf-8")
    for set_name, of_set in names.items() if config.grid_pictures else ():
        for label in map(_label, config.bins):
            grid = _grid(list(methods), of_set[-config.grid_pictures :], (set_name, label), images)
            grid.save(folder / f"grid_{set_name}_{label}.png")
    return report


# Models and methods.


def _load_pipeline(name: str, model: str) -> Any:
    try:
        return EdgeConnectPipeline.from_pretrained(model)
    except OSError as error:
        raise ValueError(f"the model {name!r}: {error}") from error


def _methods(
    config: EvaluationConfig, pipelines: Mapping[str, EdgeConnectPipeline]
) -> Iterator[tuple[MethodKey, Method | ResultsOf]]:
    sigma = config.sigma if config.line_column is None else None
    for name in config.methods:
        if name in MODEL_METHODS:
            for model, pipeline in pipelines.items():
                yield (name, model), pipeline_method(pipeline, name, sigma)
        else:
            yield (name, NO_MODEL), plain_method(name)
    for name, folder in config.results.items():
        yield (name, NO_MODEL), ResultsOf(name, folder)


def _missing(
    methods: Mapping[MethodKey, Method | ResultsOf], results: ResultsFile, place: tuple[str, str], name: str
) -> list[MethodKey]:
    """The methods whose result is not there yet. Those read from a folder are read again, as they may have changed."""
    return [
        key
        for key, method in methods.items()
        if isinstance(method, ResultsOf) or (*place, *key, name) not in results.results
    ]


def _networks(pipeline: EdgeConnectPipeline) -> list[nn.Module]:
    return [network for network in pipeline.components.values() if isinstance(network, nn.Module)]


def fingerprint(*networks: nn.Module) -> str:
    """Twelve hex digits that identify the weights."""
    digest = hashlib.sha256()
    for network in networks:
        for name, tensor in network.state_dict().items():
            digest.update(name.encode() + tensor.float().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


# One result.


def _measure(
    method: Method | ResultsOf,
    example: Example,
    place: Place,
    scorer: Scorer,
    real_features: Features,
    other_edges: npt.NDArray[np.uint8] | None,
) -> tuple[Repair, dict[str, Any]]:
    """Runs a method, or reads its result from `place` in its folder: the result, and its figures by name."""
    if isinstance(method, ResultsOf):
        repair, timing = method.read(example, place), {}
    else:
        start = time.perf_counter()
        repair = method(example)
        timing = {"seconds": time.perf_counter() - start}
    figures = {"hole_share": float(example.mask.mean()), **timing}
    figures |= scorer(example.image, repair.image, real_features)
    return repair, figures if repair.lines is None else {**figures, **count_lines(example, repair.lines, other_edges)}


def _edges_of_another(samples: Samples, number: int) -> npt.NDArray[np.uint8] | None:
    """The lines of the image half the set away, as neighbours may show the same place; of one image, `None`."""
    size = len(samples.names)
    return samples.read((number + size // 2) % size).edges if size > 1 else None


def _with_gray_hole(example: Example) -> npt.NDArray[np.uint8]:
    masked = example.image.copy()
    masked[example.mask] = 128
    return masked


# All results together.


def _rows(
    config: EvaluationConfig,
    keys: Sequence[MethodKey],
    names: Mapping[str, Sequence[str]],
    results: ResultsFile,
    images: ImageFolder,
    fid: FrechetDistance | None,
) -> dict[str, list[Row]]:
    table, line_results = [], []
    for set_name, of_set in names.items():
        if fid is not None:
            fid.use_originals(images.batches(of_set, "original", set_name))
        for hole in map(_label, config.bins):
            for key in keys:
                of_method = [results.results[set_name, hole, key[0], key[1], name] for name in of_set]
                row = image_row(of_method)
                if fid is not None:
                    row["fid"] = fid(images.batches(of_set, _folder(key), set_name, hole))
                table.append(row)
                if "line_counts" in of_method[0]:
                    line_results.append((key, of_method))
    best = {
        key: best_threshold([result for other, of_method in line_results if other == key for result in of_method])
        for key, _ in line_results
    }
    return {
        "table": table,
        "lines": [line_row(of_method, 0.5) for _, of_method in line_results],
        "calibrated_lines": [line_row(of_method, best[key]) for key, of_method in line_results],
    }


def _grid(keys: Sequence[MethodKey], names: Sequence[str], place: tuple[str, str], images: ImageFolder) -> Image.Image:
    """Columns of originals, masked images, each method's results, and G1's lines."""
    columns = {"original": ("original", place[0]), "masked": ("masked", *place)}
    columns |= {_folder(key): (_folder(key), *place) for key in keys}
    drawn = {_lines_folder(key): (_lines_folder(key), *place) for key in keys}
    columns |= {title: parts for title, parts in drawn.items() if images.path(*parts, names[0]).exists()}
    return image_grid({title: [images.load(*parts, name) for name in names] for title, parts in columns.items()})


def _label(hole: Bin) -> str:
    return f"{hole[0]}-{hole[1]}"


def _folder(key: MethodKey) -> str:
    return "-".join(part for part in key if part != NO_MODEL)


def _lines_folder(key: MethodKey) -> str:
    return f"lines-{_folder(key)}"


def main() -> None:
    """The command line: prints the tables; an error ends it with a message and status 1."""
    config = parse_config()
    try:
        report = evaluate(config)
    except (ValueError, FileNotFoundError, UnreadableRowError) as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from error
    print(markdown_report(report))


if __name__ == "__main__":
    main()
