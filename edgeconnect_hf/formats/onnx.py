"""The generators as ONNX, for runtimes other than PyTorch."""

import copy
import logging
import warnings
from pathlib import Path

import onnx  # noqa: F401  # torch's exporter needs both; fail before anything is written
import onnxscript  # noqa: F401
import torch
from torch.export import Dim

from ..models import MIN_SIZE, SIZE_MULTIPLE, CompletionGenerator, EdgeGenerator
from ..pipeline import EdgeConnectPipeline

_INPUTS = {
    EdgeGenerator: {"masked_gray": 1, "masked_edges": 1, "mask": 1},
    CompletionGenerator: {"masked_image": 3, "comp_edges": 1},
}
_OUTPUTS = {EdgeGenerator: "pred_edges", CompletionGenerator: "pred_image"}


def export_onnx(pipeline: EdgeConnectPipeline, output_dir: str | Path) -> list[Path]:
    """Write each generator to `<output_dir>/<its name>/model.onnx`, in fp32.

    Inputs and outputs have the names and shapes of the generators' `forward`; batch, height and width are free, height
    and width multiples of 4 and at least 16. What lies between the networks (Canny, blending, windows) is not part
    of the files: see `EdgeConnectPipeline`.

    Args:
        pipeline (`EdgeConnectPipeline`): its generators are exported and not changed.
        output_dir (`str` or `Path`): made where it is missing; a pipeline folder keeps its other files.

    Returns:
        The paths written.
    """
    paths = []
    for name in ("edge_generator", "completion_generator"):
        if (generator := getattr(pipeline, name)) is not None:
            path = Path(output_dir) / name / "model.onnx"
            path.parent.mkdir(parents=True, exist_ok=True)
            _export(generator, path)
            paths.append(path)
    return paths


class _ReturnsTensor(torch.nn.Module):
    """A generator whose output is the bare tensor."""

    def __init__(self, generator: EdgeGenerator | CompletionGenerator):
        super().__init__()
        self.generator = generator

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.generator(*inputs, return_dict=False)[0]
        return output


def _export(generator: EdgeGenerator | CompletionGenerator, path: Path) -> None:
    inputs = _INPUTS[type(generator)]
    examples = tuple(torch.zeros(2, channels, 4 * MIN_SIZE, 5 * MIN_SIZE) for channels in inputs.values())
    smallest = MIN_SIZE // SIZE_MULTIPLE
    height, width = (SIZE_MULTIPLE * Dim(side, min=smallest, max=2**12) for side in ("quarter_height", "quarter_width"))
    free = {0: Dim("batch", min=1, max=2**10), 2: height, 3: width}
    plain = _ReturnsTensor(copy.deepcopy(generator)).to("cpu", torch.float32).eval()
    with warnings.catch_warnings():
        # About torch's own deprecations, axes that share a name on purpose, and the absence of torchvision.
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
        torch.onnx.export(
            plain,
            examples,
            path,
            input_names=list(inputs),
            output_names=[_OUTPUTS[type(generator)]],
            dynamic_shapes=(tuple(free for _ in inputs),),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
