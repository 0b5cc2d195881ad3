"""The networks of a stage: new or from the result of the stage before, and saved for the next one."""

import dataclasses
import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from huggingface_hub import snapshot_download
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from edgeconnect_hf import CompletionGenerator, EdgeConnectPipeline, EdgeGenerator
from training.config import TrainingConfig
from training.discriminator import PatchDiscriminator, load_discriminator
from training.vgg import load_vgg

GENERATORS = {"edge_generator": EdgeGenerator, "completion_generator": CompletionGenerator}
PIPELINE_SETTINGS = ("match_colours", "match_texture")
DISCRIMINATORS = {"edge_discriminator": 2, "completion_discriminator": 3}  # input channels

_SETTLING_STEPS = 100  # of the power iteration, after loading weights into a spectral norm

logger = logging.getLogger(__name__)


def inherit_settings(config: TrainingConfig) -> TrainingConfig:
    """`config` with the pipeline's settings resolved: where one is None, from the model that the run starts from."""
    unset = [name for name in PIPELINE_SETTINGS if getattr(config, name) is None]
    model = config.pretrained_model_name_or_path
    index = _load_index(model) if model is not None and unset else {}
    return dataclasses.replace(config, **{name: index.get(name, False) for name in unset})


def pipeline_settings(config: TrainingConfig) -> dict[str, bool]:
    """The settings that are saved with the pipeline, by name."""
    return {name: bool(getattr(config, name)) for name in PIPELINE_SETTINGS}


def needed_generators(config: TrainingConfig) -> set[str]:
    """The generators that a stage does not begin itself."""
    if config.stage == "joint":
        return {*GENERATORS}
    return {"edge_generator"} if config.stage == "completion" and config.edge_source != "canny" else set()


def needs_vgg(config: TrainingConfig) -> bool:
    """Whether a stage has a loss by VGG19's features."""
    weights = config.completion_loss_weights
    return config.stage != "edge" and bool(weights.perceptual or weights.style)


def find_generators(model: str | None) -> set[str]:
    """The names of the generators in a pipeline folder or a Hub model; none for None.

    Raises:
        ValueError: there is no such model.
    """
    if model is None:
        return set()
    index = _load_index(model)
    return {name for name in GENERATORS if any(index.get(name) or ())}


def make_networks(config: TrainingConfig, trained: Collection[str]) -> dict[str, nn.Module]:
    """The networks of a stage by name: those in `trained` in training mode, all others frozen.

    Generators and discriminators are loaded from `pretrained_model_name_or_path` where it has them, otherwise new.
    Loaded networks that the stage does not use are kept: they belong to its result.

    Raises:
        ValueError: the stage needs a trained generator to start from, and there is none.
    """
    networks = {} if config.pretrained_model_name_or_path is None else _load(config.pretrained_model_name_or_path)
    if missing := sorted(needed_generators(config) - networks.keys()):
        raise ValueError(
            f"`pretrained_model_name_or_path` is {config.pretrained_model_name_or_path!r} and has no "
            f"{' and no '.join(missing)}, which `stage` {config.stage} with `edge_source` {config.edge_source} needs."
        )
    for name in trained:
        if name in GENERATORS:
            networks[name] = _generator_to_train(name, networks.get(name), config)
        elif name not in networks:
            networks[name] = PatchDiscriminator(DISCRIMINATORS[name], config.discriminator_channels)
            if config.pretrained_model_name_or_path is not None:
                logger.info("The pretrained model has no %s: starting with a new one.", name)
    if needs_vgg(config):
        networks["vgg"] = load_vgg(config.vgg_weights, config.vgg_normalize)
    for name, network in networks.items():
        network.requires_grad_(name in trained).train(name in trained)
    return networks


def save_networks(networks: Mapping[str, nn.Module], output_dir: Path, **settings: Any) -> None:
    """Writes the discriminators, then the pipeline with its `settings` and the generators' spectral norm folded.

    `model_index.json`, which marks a finished stage, is the last file written.
    """
    for name in DISCRIMINATORS.keys() & networks.keys():
        networks[name].save_pretrained(output_dir / name)  # type: ignore[operator]  # a PatchDiscriminator
    generators: dict[str, Any] = dict.fromkeys(GENERATORS)
    for name in GENERATORS.keys() & networks.keys():
        generators[name] = fold_spectral_norm(networks[name])
    EdgeConnectPipeline(**generators, **settings).save_pretrained(output_dir)


@torch.no_grad()
def fold_spectral_norm(generator: Any) -> Any:
    """A copy of a generator, on the CPU, in evaluation mode and float32, with equivalent plain convolutions."""
    folded = type(generator)(**{**_architecture(generator), "use_spectral_norm": False})
    was_training = generator.training
    _copy_weights(generator.eval(), folded)  # in training mode each access to a weight would move its norm
    generator.train(was_training)
    return folded.eval()


def _load(model: str) -> dict[str, nn.Module]:
    """Generators and discriminators of a pipeline folder or a Hub model.

    The discriminators are in the folder or, as `<folder>_edge_discriminator`, beside it.

    Raises:
        ValueError: there is no such model, or its weights cannot be used.
    """
    folder = _find(model)
    try:
        pipeline = EdgeConnectPipeline.from_pretrained(folder)
    except (OSError, ValueError, RuntimeError) as error:  # a torn or foreign file
        raise _unusable(model, error) from error
    networks = {name: getattr(pipeline, name) for name in GENERATORS if getattr(pipeline, name) is not None}
    if not networks:
        raise ValueError(f"`pretrained_model_name_or_path` is {model!r}, which holds none of {', '.join(GENERATORS)}.")
    for name, network in networks.items():
        bad = [weight for weight, tensor in network.state_dict().items() if not torch.isfinite(tensor).all()]
        if bad:
            raise ValueError(
                f"`pretrained_model_name_or_path` is {model!r}, whose {name} holds {bad[0]!r} with values that are "
                "infinite or not a number."
            )
    for name, in_channels in DISCRIMINATORS.items():
        places = (folder / name, folder.resolve().with_name(f"{folder.resolve().name}_{name}"))
        found = next((place for place in places if place.is_dir()), None)
        if found is not None:
            networks[name] = load_discriminator(found, in_channels)
    return networks


def _load_index(model: str) -> dict[str, Any]:
    """The content of a pipeline's model_index.json."""
    try:
        return cast(dict[str, Any], EdgeConnectPipeline.load_config(_find(model)))
    except OSError as error:
        raise _unusable(model, error) from error


def _unusable(model: str, error: Exception) -> ValueError:
    reason = " ".join(str(error).split())
    return ValueError(f"`pretrained_model_name_or_path` is {model!r}, which is not a whole pipeline folder: {reason}")


def _find(model: str) -> Path:
    """The pipeline folder, or the cached folder of a Hub model.

    Raises:
        ValueError: there is no such folder or model.
    """
    try:
        return Path(model) if Path(model).is_dir() else Path(snapshot_download(model))
    except (OSError, ValueError) as error:  # the Hub's message does not mention folders
        raise ValueError(
            f"`pretrained_model_name_or_path` is {model!r}, which is neither a local folder nor a model on the Hub: "
            f"{error}"
        ) from error


@torch.no_grad()
def _generator_to_train(name: str, pretrained: Any, config: TrainingConfig) -> nn.Module:
    """G1 is spectrally normalised during training, G2 is not (the paper's section 3)."""
    architecture = {"base_channels": config.base_channels, "num_residual_blocks": config.num_residual_blocks}
    if pretrained is not None:
        architecture = _architecture(pretrained)
    generator: Any = GENERATORS[name](
        **{**architecture, "use_spectral_norm": name == "edge_generator", "sample_size": config.resolution}
    )
    if pretrained is not None:
        _copy_weights(pretrained.eval(), generator.train())
        for module in generator.modules():
            if is_parametrized(module, "weight"):
                for _ in range(_SETTLING_STEPS):
                    module.weight  # noqa: B018  # each access is a step of the power iteration
    return generator


def _architecture(generator: Any) -> dict[str, Any]:
    return {name: value for name, value in generator.config.items() if not name.startswith("_")}


def _copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Copies the effective weights of `source`'s convolutions to `target`'s, normalised or not."""
    for name, conv in source.named_modules():
        if not isinstance(conv, nn.Conv2d | nn.ConvTranspose2d):
            continue
        copy: Any = target.get_submodule(name)
        weight = copy.parametrizations.weight.original if is_parametrized(copy, "weight") else copy.weight
        weight.copy_(conv.weight)
        if conv.bias is not None:
            copy.bias.copy_(conv.bias)
