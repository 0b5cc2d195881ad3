"""The generators as ONNX, for runtimes other than PyTorch."""

import copy
import logging
import warnings
from pathlib import Path

import onnx
import onnx_ir
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from torch.export import Dim

from ..edges import GRAY_WEIGHTS
from ..hub.card import with_section
from ..models import MIN_SIZE, SIZE_MULTIPLE, CompletionGenerator, EdgeGenerator, blend
from ..pipeline import EdgeConnectPipeline
from .onnx_colours import OPSET, colours_model

_INPUTS = {
    EdgeGenerator: {"masked_gray": 1, "masked_edges": 1, "mask": 1},
    CompletionGenerator: {"masked_image": 3, "comp_edges": 1},
}
_OUTPUTS = {EdgeGenerator: "pred_edges", CompletionGenerator: "pred_image"}


def export_onnx(
    pipeline: EdgeConnectPipeline,
    output_dir: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    end_to_end: bool = False,
) -> list[Path]:
    """Write each generator to `<output_dir>/<its name>/model.onnx`, and both in one to `<output_dir>/end_to_end.onnx`.

    Inputs and outputs of the generators have the names and shapes of their `forward`; batch, height and width are free,
    height and width multiples of 4 and at least 16. All are float32, whatever the dtype within. What lies between the
    networks is in the third file: `image` `[N,3,H,W]`, `mask` `[N,1,H,W]` and `known_edges` `[N,1,H,W]` (the lines
    outside the hole) to `repaired` and `comp_edges`, which is the pipeline with `strategy="original"` and without
    `match_texture`. Canny, windows and texture are in none.

    Args:
        pipeline (`EdgeConnectPipeline`): its generators are exported and not changed.
        output_dir (`str` or `Path`): made where it is missing; a pipeline folder keeps its other files.
        dtype (`torch.dtype`): of weights and networks, float32 or float16. The names of float16 files end in `_fp16`.
        end_to_end (`bool`): also write the third file.

    A card (`README.md`) in the folder gets a section that lists them.

    Returns:
        The paths written.

    Raises:
        ValueError: `dtype` is another one, or `end_to_end` needs a generator that the pipeline lacks.
    """
    if dtype not in (torch.float32, torch.float16):
        raise ValueError(f"`dtype` is {dtype}, expected torch.float32 or torch.float16.")
    generators = {name: getattr(pipeline, name) for name in ("edge_generator", "completion_generator")}
    if end_to_end and (missing := [name for name, generator in generators.items() if generator is None]):
        raise ValueError(f"`end_to_end` is True, which needs both generators: the pipeline has no {missing[0]}.")
    output_dir, ending = Path(output_dir), "_fp16.onnx" if dtype == torch.float16 else ".onnx"
    models = {}
    for name, generator in generators.items():
        if generator is not None:
            generators[name] = torch.nn.Module.to(copy.deepcopy(generator), "cpu", dtype).eval()
            kind = type(generator)
            model = _export(_Generator(generators[name]), _INPUTS[kind], [_OUTPUTS[kind]])
            models[output_dir / name / f"model{ending}"] = model
    if end_to_end:
        both = _export(_Both(**generators), {"image": 3, "mask": 1, "known_edges": 1}, ["painted", "comp_edges"])
        models[output_dir / f"end_to_end{ending}"] = _with_colours(both, pipeline.config["match_colours"])
    for path, model in models.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, path)
    card = output_dir / "README.md"
    if card.is_file():
        text = with_section(card.read_text(encoding="utf-8"), "ONNX", _describe(output_dir))
        card.write_text(text, encoding="utf-8")
    return list(models)


def _describe(folder: Path) -> str:
    """For the card: the ONNX files in a model's folder, of earlier exports too."""
    rows = []
    for path in sorted(folder.rglob("*.onnx")):
        model = onnx.load(path)
        names = [", ".join(value.name for value in values) for values in (model.graph.input, model.graph.output)]
        halves = any(weight.data_type == onnx.TensorProto.FLOAT16 for weight in model.graph.initializer)
        name, size = path.relative_to(folder).as_posix(), path.stat().st_size / 1e6
        rows.append(f"| `{name}` | {'fp16' if halves else 'fp32'} | {size:.1f} | {names[0]} | {names[1]} |")
    table = "\n".join(("| file | weights | MB | inputs | outputs |", "| --- | --- | ---: | --- | --- |", *rows))
    return f"Opset {OPSET}; all inputs and outputs float32, height and width multiples of 4.\n\n{table}"


class _Generator(torch.nn.Module):
    """A generator from float32 to the bare tensor in float32, whatever it computes in."""

    def __init__(self, generator: EdgeGenerator | CompletionGenerator):
        super().__init__()
        self.generator = generator

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        dtype = self.generator.dtype
        output: torch.Tensor = self.generator(*(each.to(dtype) for each in inputs), return_dict=False)[0]
        return output.float()


class _Both(torch.nn.Module):
    """From the known lines to the painted image, as the pipeline goes (section 3 of the paper)."""

    def __init__(self, edge_generator: EdgeGenerator, completion_generator: CompletionGenerator):
        super().__init__()
        self.draw, self.paint = _Generator(edge_generator), _Generator(completion_generator)

    def forward(
        self, image: torch.Tensor, mask: torch.Tensor, known_edges: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        gray = (image * torch.tensor(GRAY_WEIGHTS).view(3, 1, 1)).sum(1, keepdim=True)  # [N,1,H,W]
        pred_edges = self.draw(blend(gray, 1, mask), blend(known_edges, 0, mask), mask)
        comp_edges = blend(known_edges, pred_edges, mask)
        return self.paint(blend(image, 1, mask), comp_edges), comp_edges


def _with_colours(both: onnx.ModelProto, match_colours: bool) -> onnx.ModelProto:
    """Let the image that `_Both` paints go on to `match_colours`, or into the hole as it is."""
    graph = both.graph
    if match_colours:
        rest = onnx.compose.add_prefix(colours_model(), "colours_").graph
        (repaired,) = rest.output
        graph.node.extend(rest.node)
        graph.initializer.extend(rest.initializer)
        ours = {"colours_image": "image", "colours_mask": "mask", "colours_painted": "painted"}
        for node in graph.node:
            node.input[:] = [ours.get(name, name) for name in node.input]
            node.output[:] = ["repaired" if name == repaired.name else name for name in node.output]
    else:
        zero = onnx.helper.make_tensor("nothing", onnx.TensorProto.FLOAT, [], [0.0])
        graph.initializer.append(zero)
        graph.node.append(onnx.helper.make_node("Greater", ["mask", "nothing"], ["in_hole"]))
        graph.node.append(onnx.helper.make_node("Where", ["in_hole", "painted", "image"], ["repaired"]))
    graph.output[0].name = "repaired"
    onnx.checker.check_model(both, full_check=True)
    return both


def _export(module: torch.nn.Module, inputs: dict[str, int], outputs: list[str]) -> onnx.ModelProto:
    """A module as ONNX: by the names and channels of its inputs, all of them `[N,C,H,W]` float32."""
    examples = tuple(torch.zeros(2, channels, 4 * MIN_SIZE, 5 * MIN_SIZE) for channels in inputs.values())
    smallest = MIN_SIZE // SIZE_MULTIPLE
    height, width = (SIZE_MULTIPLE * Dim(side, min=smallest, max=2**12) for side in ("quarter_height", "quarter_width"))
    free = {0: Dim("batch", min=1, max=2**10), 2: height, 3: width}
    is_variadic = isinstance(module, _Generator)
    shapes = (tuple(free for _ in inputs),) if is_variadic else tuple(free for _ in inputs)
    with warnings.catch_warnings():
        # About torch's own deprecations, axes that share a name on purpose, and the absence of torchvision.
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
        program = torch.onnx.export(
            module.eval(),
            examples,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes=shapes,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # as `dynamo` is given
    # It writes each operator's place in the source along: paths of this machine.
    ClearMetadataAndDocStringPass()(program.model)
    return onnx_ir.to_proto(program.model)
