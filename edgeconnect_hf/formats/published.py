"""Convert published EdgeConnect checkpoints (knazeri/edge-connect) to our generators."""

import re
import traceback
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file

from ..hub.card import write_model_card
from ..models import CompletionGenerator, EdgeGenerator
from ..pipeline import EdgeConnectPipeline

_Generator = TypeVar("_Generator", EdgeGenerator, CompletionGenerator)

# Published layer -> ours. The layers' numbers count the paddings, norms and activations between them.
_LAYERS = {
    "encoder.1": "conv_in",
    "encoder.4": "down.0",
    "encoder.7": "down.1",
    r"middle.(\d+).conv_block.1": r"residual_blocks.\1.conv1",
    r"middle.(\d+).conv_block.5": r"residual_blocks.\1.conv2",
    "decoder.0": "up.0",
    "decoder.3": "up.1",
    "decoder.7": "conv_out",
}


def convert_checkpoints(
    edge_checkpoint: str | Path,
    completion_checkpoint: str | Path,
    output_dir: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    sample_size: int = 256,
) -> EdgeConnectPipeline:
    """Convert the two published generators into a pipeline folder.

    Spectral norm is folded with the vectors stored in the checkpoint, biases in front of an instance norm (which
    subtracts them again) are left out, width and depth are read from the shapes. The card written with the weights
    says CC BY-NC 4.0, the licence of the published weights.

    Args:
        edge_checkpoint (`str` or `Path`): `EdgeModel_gen.pth`, or the same keys as `.safetensors`.
        completion_checkpoint (`str` or `Path`): `InpaintingModel_gen.pth`, likewise.
        output_dir (`str` or `Path`): the folder to write; made where it is missing.
        dtype (`torch.dtype`): of the written weights.
        sample_size (`int`): side of the pictures the weights were trained on, in pixels.

    Returns:
        The pipeline, as written.

    Raises:
        ValueError: a file is not such a checkpoint, or its keys or shapes are not those of the network.
    """
    pipeline = EdgeConnectPipeline(
        edge_generator=convert_generator(edge_checkpoint, EdgeGenerator, dtype, sample_size),
        completion_generator=convert_generator(completion_checkpoint, CompletionGenerator, dtype, sample_size),
    )
    pipeline.save_pretrained(output_dir)
    write_model_card(
        output_dir,
        summary="Converted from the weights that were published with the paper's code (knazeri/edge-connect).",
        license="cc-by-nc-4.0",
        sections={
            "Licence": "The published weights are under CC BY-NC 4.0: attribution, no commercial use. "
            "Conversion does not change that.",
        },
    )
    return pipeline


def convert_generator(
    path: str | Path, network: type[_Generator], dtype: torch.dtype = torch.float32, sample_size: int = 256
) -> _Generator:
    """Read one published generator into `network`. Arguments and errors as in `convert_checkpoints`."""
    state = _fold_spectral_norm(_read(Path(path)))
    renamed = {}
    for key, tensor in state.items():
        layer, _, parameter = key.rpartition(".")
        name = _rename(layer)
        if name is None or parameter not in ("weight", "bias"):
            raise ValueError(f"{str(path)!r} holds the key {key!r}, which is not one of a published generator.")
        if parameter == "bias" and name != "conv_out":
            continue  # subtracted again by the instance norm behind it
        renamed[f"{name}.{parameter}"] = tensor
    if "conv_in.weight" not in renamed:
        raise ValueError(f"{str(path)!r} lacks 'encoder.1.weight', the first layer of a published generator.")

    depth = len({name.split(".")[1] for name in renamed if name.startswith("residual_blocks")})
    width, in_channels = renamed["conv_in.weight"].shape[:2]
    generator = network(base_channels=width, num_residual_blocks=depth, sample_size=sample_size)
    expected = generator.state_dict()
    if in_channels != expected["conv_in.weight"].shape[1]:
        raise ValueError(
            f"{str(path)!r} takes {in_channels} input channels, {network.__name__} takes "
            f"{expected['conv_in.weight'].shape[1]}: the edge checkpoint comes first, the completion checkpoint second."
        )
    if missing := sorted(expected.keys() - renamed.keys()):
        raise ValueError(f"{str(path)!r} lacks weights of {network.__name__}: {', '.join(missing)}.")
    if unexpected := sorted(renamed.keys() - expected.keys()):
        raise ValueError(f"{str(path)!r} holds weights that {network.__name__} does not have: {', '.join(unexpected)}.")
    for name, tensor in renamed.items():
        if tensor.shape != expected[name].shape:
            raise ValueError(
                f"{str(path)!r} holds {name!r} of shape {list(tensor.shape)}, "
                f"{network.__name__} of this width expects {list(expected[name].shape)}."
            )
    generator.load_state_dict(renamed)
    torch.nn.Module.to(generator, dtype)  # diffusers' own `to` warns of fp32 modules even where there are none
    return generator.eval()


def _rename(layer: str) -> str | None:
    for published, ours in _LAYERS.items():
        if match := re.fullmatch(published, layer):
            return match.expand(ours)
    return None


def _read(path: Path) -> dict[str, torch.Tensor]:
    """The generator's tensors under their published names; nothing in the file is executed."""
    state: Any
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"{str(path)!r} does not exist.") from None
    except Exception as error:  # a file that is not a pickle may raise anything: IndexError, KeyError, struct.error, …
        reason = traceback.format_exception_only(error)[0].splitlines()[0]
        raise ValueError(f"{str(path)!r} is not a checkpoint that can be read safely: {reason}") from error
    state = state.get("generator", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise ValueError(f"{str(path)!r} holds no generator: expected a dictionary of tensors.")
    return {key.removeprefix("module."): tensor.float() for key, tensor in state.items()}


def _fold_spectral_norm(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`weight = weight_orig / (u^T W v)` with the stored vectors, as the published code computes in eval mode."""
    folded = {}
    for key, tensor in state.items():
        if key.endswith(("weight_u", "weight_v")):
            continue
        if key.endswith("weight_orig"):
            stem = key.removesuffix("_orig")
            if f"{stem}_u" not in state or f"{stem}_v" not in state:
                raise ValueError(f"the checkpoint lacks {stem}_u or {stem}_v, the spectral norm of {key!r}.")
            is_transposed = key.startswith("decoder")  # ConvTranspose2d keeps its outputs in dimension 1
            matrix = (tensor.transpose(0, 1) if is_transposed else tensor).flatten(1)
            folded[stem] = tensor / torch.dot(state[f"{stem}_u"], matrix @ state[f"{stem}_v"])
        else:
            folded[key] = tensor
    return folded
