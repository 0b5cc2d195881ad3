"""Metrics of several methods by hole size (docs/evaluation.md): `python training/evaluation/evaluate.py --dataset …`.

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
from training.evaluation.methods import MODEL_METHODS, Method, opencv_method, pipeline_method
from training.evaluation.metrics import (
    DISTANCE_LAYERS,
    FrechetDistance,
    Protocol,
    count_edges,
    feature_distance,
    image_scores,
    thin,
)
from training.evaluation.report import Row, image_grid, image_row, line_row, markdown_report
from training.evaluation.results_file import ResultsFile
from training.vgg import VGG19Features, load_vgg

NO_MODEL = ""  # the model of a method that has none
HIGHEST_PSNR = 100.0  # decibels; for perfect images, whose PSNR is infinite, in a mean

MethodKey: TypeAlias = tuple[str, str]  # method, model


def evaluate(config: EvaluationConfig) -> dict[str, Any]:
    """Computes missing results; writes `evaluation.json`, `evaluation.md` and a `grid_LOW-HIGH.png` for each hole size.

    Returns:
        The content of `evaluation.json`: `settings`, `table` (a row for each hole size and method) and `lines` (the
        same for G1's lines).

    Raises:
        ValueError: `output_dir` holds results of other settings, the data set holds no images, a model cannot be
            loaded, VGG19's weights lack a layer, or the Inception weights for FID are not available.
        UnreadableRowError: an image cannot be decoded.
    """
    # 1. The methods, the images, and earlier results.
    device = "cuda" if torch.cuda.is_available() else "cpu"
    pipelines = {name: _load_pipeline(name, model).to(device) for name, model in config.models.items()}
    methods = dict(_methods(config, pipelines))
    vgg = None if config.vgg_weights is None else _load_vgg(config.vgg_weights).to(device)
    fid = FrechetDistance() if config.fid else None
    samples = Samples(config.dataset, config.resolution, config.sigma)
    settings = {
        "dataset": "/".join(Path(config.dataset).resolve().parts[-2:]),
        "pictures": len(samples.names),
        "fingerprint of the pictures": samples.fingerprint(),
        **{name: getattr(config, name) for name in ("resolution", "masks", "seed", "sigma", "protocol")},
        "vgg": None if vgg is None else fingerprint(vgg),
        **{f"weights of {name}": fingerprint(*_networks(pipeline)) for name, pipeline in pipelines.items()},
        **{f"match_colours of {name}": pipeline.config["match_colours"] for name, pipeline in pipelines.items()},
    }
    results = ResultsFile(config.output_dir, settings)
    images = ImageFolder(Path(config.output_dir) / "pictures")

    # 2. The missing methods, image by image and hole by hole.
    total = len(samples.names) * len(config.bins) * len(methods)
    with tqdm(total=total, desc="evaluation", unit="result") as progress:
        for number, name in enumerate(samples.names):
            tasks = {
                hole: [key for key in methods if (_label(hole), *key, name) not in results.results]
                for hole in config.bins
            }
            progress.update(len(config.bins) * len(methods) - sum(map(len, tasks.values())))
            if not any(tasks.values()):
                continue
            sample = samples.read(number)
            images.save(sample.image, "original", name)
            real_features = None if vgg is None else _features(vgg, sample.image)
            for hole, missing in tasks.items():
                example = with_hole(sample, config.masks, hole, chance(config.seed, name, hole))
                images.save(_with_gray_hole(example), _label(hole), "masked", name)
                for key in missing:
                    figures = _measure(methods[key], example, config.protocol, vgg, real_features)
                    images.save(figures.pop("picture"), _label(hole), _folder(key), name)
                    if "lines" in figures:
                        images.save(figures.pop("lines"), _label(hole), _lines_folder(key), name)
                    key_fields = {"hole": _label(hole), "method": key[0], "model": key[1], "picture": name}
                    results.add({**key_fields, **figures})
                    progress.update()

    # 3. Means, tables, grids.
    report = {"settings": settings, **_rows(config, list(methods), samples.names, results, images, fid)}
    folder = Path(config.output_dir)
    (folder / "evaluation.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (folder / "evaluation.md").write_text(markdown_report(report), encoding="utf-8")
    shown = samples.names[-config.grid_pictures :] if config.grid_pictures else []
    for hole in config.bins if shown else ():
        _grid(list(methods), shown, hole, images).save(folder / f"grid_{_label(hole)}.png")
    return report


# Models and methods.


def _load_pipeline(name: str, model: str) -> Any:
    try:
        return EdgeConnectPipeline.from_pretrained(model)
    except OSError as error:
        raise ValueError(f"the model {name!r}: {error}") from error


def _load_vgg(weights: str) -> VGG19Features:
    vgg = load_vgg(weights, normalize=True)
    if missing := [name for name in DISTANCE_LAYERS if name not in vgg.layers]:
        raise ValueError(f"`vgg_weights` {weights!r} lack {', '.join(missing)}, expected weights up to conv3_4.")
    return vgg


def _methods(
    config: EvaluationConfig, pipelines: Mapping[str, EdgeConnectPipeline]
) -> Iterator[tuple[MethodKey, Method]]:
    for name in config.methods:
        if name in MODEL_METHODS:
            for model, pipeline in pipelines.items():
                yield (name, model), pipeline_method(pipeline, name, config.sigma)
        else:
            yield (name, NO_MODEL), opencv_method(name)


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
    method: Method,
    example: Example,
    protocol: Protocol,
    vgg: VGG19Features | None,
    real_features: Mapping[str, torch.Tensor] | None,
) -> dict[str, Any]:
    """Runs a method: its `image`, its `lines` if G1 drew any, and metrics by name."""
    start = time.perf_counter()
    repair = method(example)
    seconds = time.perf_counter() - start
    scores = image_scores(_to_tensor(example.image), _to_tensor(repair.image), protocol)
    scores["psnr"] = min(scores["psnr"], HIGHEST_PSNR)
    figures = {"picture": repair.image, "hole_share": float(example.mask.mean()), "seconds": seconds, **scores}
    if vgg is not None and real_features is not None:
        figures["feature_distance"] = feature_distance(real_features, _features(vgg, repair.image))
    if repair.lines is not None:
        edges, lines, mask = (_to_tensor(array) for array in (example.edges, repair.lines, to_bytes(example.mask)))
        counts = count_edges(thin(edges), thin(lines), mask)
        names = ("line_hits", "lines_drawn", "lines_true")
        figures |= {name: int(count) for name, count in zip(names, counts, strict=True)}
        figures |= {"lines": repair.lines, "hole_pixels": int(example.mask.sum())}
    return figures


def _to_tensor(image: npt.NDArray[np.uint8]) -> torch.Tensor:
    """`[S,S,3]` or `[S,S]` uint8 to `[1,3,S,S]` or `[1,1,S,S]` float32 in [0,1]."""
    planes = np.atleast_3d(image).transpose(2, 0, 1)[None]
    return torch.from_numpy(np.divide(planes, 255, dtype=np.float32))


@torch.no_grad()
def _features(vgg: VGG19Features, image: npt.NDArray[np.uint8]) -> dict[str, torch.Tensor]:
    return vgg(_to_tensor(image).to(vgg.mean.device))


def _with_gray_hole(example: Example) -> npt.NDArray[np.uint8]:
    masked = example.image.copy()
    masked[example.mask] = 128
    return masked


# All results together.


def _rows(
    config: EvaluationConfig,
    keys: Sequence[MethodKey],
    names: Sequence[str],
    results: ResultsFile,
    images: ImageFolder,
    fid: FrechetDistance | None,
) -> dict[str, list[Row]]:
    if fid is not None:
        fid.add_originals(images.batches(names, "original"))
    table, lines = [], []
    for hole in map(_label, config.bins):
        for key in keys:
            result_keys = [(hole, *key, name) for name in names]
            of_method = [results.results[result_key] for result_key in result_keys]
            row = image_row(of_method)
            if fid is not None:
                row["fid"] = fid(images.batches(names, hole, _folder(key)))
            table.append(row)
            if "line_hits" in of_method[0]:
                lines.append(line_row(of_method))
    return {"table": table, "lines": lines}


def _grid(keys: Sequence[MethodKey], names: Sequence[str], hole: Bin, images: ImageFolder) -> Image.Image:
    """Columns of originals, masked images, each method's results, and G1's lines."""
    columns = {"original": ("original",), "masked": (_label(hole), "masked")}
    columns |= {_folder(key): (_label(hole), _folder(key)) for key in keys}
    drawn = {_lines_folder(key): (_label(hole), _lines_folder(key)) for key in keys}
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
