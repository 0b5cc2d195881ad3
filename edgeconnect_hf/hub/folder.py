"""A model's folder: whether it loads, and what it has from the folder that it was loaded from."""

import json
import re
from pathlib import Path
from shutil import copyfile
from typing import Any

import torch
from safetensors import safe_open

from ..loading import is_hub_id
from ..models import CompletionGenerator, EdgeGenerator
from ..pipeline import EdgeConnectPipeline

_CLASSES = {each.__name__: each for each in (EdgeGenerator, CompletionGenerator)}

# The names of weights: a variant's name, a shard's number.
WEIGHTS = r"diffusion_pytorch_model(?:\.(?P<variant>\w+))?(?:-\d{5}-of-\d{5})?\.safetensors"

_OF_THE_WEIGHTS = ("README.md", "samples.jpg", "signs.jpg")  # and the ONNX files
_ATTRIBUTION = "ATTRIBUTION.md"  # of the photos; it holds for what is trained on from these weights too


def check_loads(folder: Path) -> None:
    """Load a model from its folder, in each variant, as those who pull it will.

    Raises:
        ValueError: it is no model's folder, or does not load; the message says why.
    """
    cls: Any = EdgeConnectPipeline
    if not (folder / "model_index.json").is_file():
        if not (folder / "config.json").is_file():
            raise ValueError(f"`folder` is {str(folder)!r}, which holds neither model_index.json nor config.json.")
        cls = _CLASSES.get(_class_name(folder / "config.json"))
        if cls is None:
            raise ValueError(f"`folder` is {str(folder)!r}, whose config.json is of none of {', '.join(_CLASSES)}.")
    names = [path.name for parent in ("", "*/") for path in folder.glob(f"{parent}*.safetensors")]
    variants = {match["variant"] for name in names if (match := re.fullmatch(WEIGHTS, name))}  # None: the plain ones
    for variant in sorted(variants or {None}, key=str):
        try:
            cls.from_pretrained(folder, variant=variant, use_safetensors=True, local_files_only=True)
        except Exception as error:  # of whatever kind: who pulls the model would see it
            raise ValueError(
                f"`folder` is {str(folder)!r}, which `from_pretrained` refuses"
                f"{f' with variant {variant!r}' if variant else ''}: {error}"
            ) from error


def _class_name(config: Path) -> str | None:
    try:
        return json.loads(config.read_text(encoding="utf-8")).get("_class_name")
    except (ValueError, AttributeError):
        return None


def origin_of(model: Any) -> Path | str | None:
    """Where a model was loaded from: a folder here, a name on the Hub, or None."""
    name = model.config.get("_name_or_path")
    if not name:
        return None
    return Path(name) if Path(name).is_dir() else name if is_hub_id(name) else None


def take_along(model: Any, folder: Path) -> None:
    """Copy into `folder`, where `model` was saved, what stands beside its weights where it was loaded from."""
    origin = origin_of(model)
    if not (isinstance(origin, Path) and isinstance(model, EdgeConnectPipeline)):
        return
    names = [_ATTRIBUTION]
    if _has_the_weights_of(model, origin):
        names += [*_OF_THE_WEIGHTS, *(path.relative_to(origin).as_posix() for path in origin.glob("**/*.onnx"))]
    for name in names:
        if (origin / name).is_file() and (folder / name).parent.is_dir():
            copyfile(origin / name, folder / name)


def _has_the_weights_of(pipeline: EdgeConnectPipeline, folder: Path) -> bool:
    """Whether its networks, rounded to the dtype in the files, are what `folder` holds."""
    for name in ("edge_generator", "completion_generator"):
        network, path = getattr(pipeline, name), folder / name / "diffusion_pytorch_model.safetensors"
        if (network is None) != (not path.exists()):
            return False
        if network is None:
            continue
        with safe_open(path, "pt") as file:
            saved = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # no mapping
        held = network.state_dict()
        if held.keys() != saved.keys():
            return False
        if not all(torch.equal(held[key].to("cpu", saved[key].dtype), saved[key]) for key in saved):
            return False
    return True
