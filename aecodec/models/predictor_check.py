"""What a predictor's graph must be before it is run: exact, and of the shape that its layout promises."""

import onnx
from onnx import TensorProto

from aecodec.errors import ModelError
from aecodec.models.exact import Range, prove_predictor
from aecodec.models.graph import parse_graph
from aecodec.phases import INPUT_LIMIT, PhaseLayout

_RANK = 4


def check_predictor(graph: bytes, layout: PhaseLayout) -> None:
    """ModelError unless `graph` is an exact predictor for `layout` (FORMAT.md, "Predictor")."""
    model = parse_graph(graph)
    inputs = {value.name: value for value in model.graph.input}
    if list(inputs) != ["planes", "kind"] or len(model.graph.output) != 1:
        raise ModelError(f"a predictor has the inputs planes, kind and one output; found {list(inputs)}")
    _check_maps(inputs["planes"], layout.inputs)
    _check_maps(model.graph.output[0], layout.outputs)
    kind = inputs["kind"].type.tensor_type
    if kind.elem_type != TensorProto.INT64 or [d.dim_value for d in kind.shape.dim] != [1]:
        raise ModelError("the predictor's input 'kind' must be one int64")
    found = prove_predictor(graph, {"planes": Range(float(INPUT_LIMIT))}, "kind", layout.kinds)
    if found.grain < 0:
        raise ModelError(f"the predictor's output is in steps of 2**{found.grain}, but must be whole numbers; end it with Round")


def _check_maps(value: onnx.ValueInfoProto, channels: int) -> None:
    """Float32 of (any, channels, any, any)."""
    tensor = value.type.tensor_type
    sizes = [d.dim_value for d in tensor.shape.dim]
    if tensor.elem_type != TensorProto.FLOAT or len(sizes) != _RANK or sizes != [0, channels, 0, 0]:
        raise ModelError(f"the predictor's {value.name!r} must be float32 of (n, {channels}, lines, values), found {sizes}")
