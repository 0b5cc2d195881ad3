"""`match_colours` as an ONNX graph. PyTorch's exporter unrolls loops; here the image's size decides how often they run.

The body of `match_colours_graph` is onnxscript: Python in form, compiled to ONNX operators and never run as Python.
"""

# mypy: ignore-errors

import numpy as np
import onnx
from onnx import numpy_helper
from onnxscript import FLOAT, script
from onnxscript import opset18 as op

from ..colours import RELAXATIONS, TRUST

OPSET = 18

_ONE_CHANNEL, _THREE_CHANNELS = FLOAT["N", 1, "H", "W"], FLOAT["N", 3, "H", "W"]

_BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16
_BLUR = numpy_helper.from_array(np.tile(np.outer(_BINOMIAL, _BINOMIAL), (4, 1, 1, 1)))  # [4,1,5,5]
_NEIGHBOURS = numpy_helper.from_array(
    np.tile(np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32) / 4, (3, 1, 1, 1))
)
_EPSILON = float(np.finfo(np.float32).eps)


@script(default_opset=op)
def match_colours_graph(image: _THREE_CHANNELS, mask: _ONE_CHANNEL, painted: _THREE_CHANNELS) -> _THREE_CHANNELS:
    """`colours.match_colours`, with `colours.spread` as two loops: down an image pyramid, and up again."""
    blur = op.Constant(value=_BLUR)
    neighbours = op.Constant(value=_NEIGHBOURS)
    epsilon = op.Constant(value_float=_EPSILON)
    trust = op.Constant(value_float=TRUST)
    three_of_four_are_zero = op.Constant(value_float=4.0)
    zero = op.Constant(value_float=0.0)
    one = op.Constant(value_float=1.0)

    weights = one - mask
    weighted = (image - painted) * weights
    levels = op.SequenceEmpty()
    is_large = op.ReduceMin(op.Shape(weights, start=2), keepdims=0) > 2
    while is_large:
        level = op.Concat(weighted, weights, axis=1)
        levels = op.SequenceInsert(levels, level)
        small = op.Conv(op.Pad(level, [0, 0, 2, 2, 0, 0, 2, 2], mode="reflect"), blur, group=4, strides=[2, 2])
        shares = op.Slice(small, [3], [4], [1])
        weights = op.Min(shares * trust, one)
        weighted = op.Slice(small, [0], [3], [1]) / op.Max(shares, epsilon) * weights
        is_large = op.ReduceMin(op.Shape(weights, start=2), keepdims=0) > 2
    mean = op.ReduceSum(weighted, [2, 3]) / op.Max(op.ReduceSum(weights, [2, 3]), epsilon)
    filled = weighted + mean * (one - weights)

    count = op.SequenceLength(levels)
    for i in range(count):
        level = op.SequenceAt(levels, count - 1 - i)
        known = op.Slice(level, [0], [3], [1])
        open_share = one - op.Slice(level, [3], [4], [1])
        # Twice as large, zeros in every second row and column, then blurred.
        spaced = op.Pad(op.Unsqueeze(filled, [3, 5]), [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1])  # [N,3,h,2,w,2]
        doubled = op.Concat(op.Shape(filled, end=2), op.Shape(filled, start=2) * 2, axis=0)
        spaced = op.Slice(op.Reshape(spaced, doubled), [0, 0], op.Shape(level, start=2), [2, 3])
        spaced = op.Pad(spaced, [0, 0, 2, 2, 0, 0, 2, 2], mode="reflect")
        blurred = op.Conv(spaced, op.Slice(blur, [0], [3], [0]), group=3) * three_of_four_are_zero
        filled = known + open_share * blurred
        for _ in range(RELAXATIONS):
            filled = known + open_share * op.Conv(
                op.Pad(filled, [0, 0, 1, 1, 0, 0, 1, 1], mode="edge"), neighbours, group=3
            )
    return op.Where(mask > zero, op.Min(op.Max(painted + filled, zero), one), image)


def colours_model() -> onnx.ModelProto:
    """A checked model: `image`, `mask`, `painted` to the repaired image."""
    model = onnx.shape_inference.infer_shapes(match_colours_graph.to_model_proto())
    _give_ranks(model.graph)
    onnx.checker.check_model(model, full_check=True)
    return model


def _give_ranks(graph: onnx.GraphProto) -> None:
    """Inference leaves out the shapes of what passes through loops, images all; the format asks for their rank."""
    del graph.value_info[:]
    for body in (each.g for node in graph.node for each in node.attribute if each.type == onnx.AttributeProto.GRAPH):
        for value in (*body.input, *body.output):
            is_sequence = value.type.HasField("sequence_type")
            tensor = (value.type.sequence_type.elem_type if is_sequence else value.type).tensor_type
            if not tensor.HasField("shape"):
                for _ in range(4):
                    tensor.shape.dim.add()
        _give_ranks(body)
