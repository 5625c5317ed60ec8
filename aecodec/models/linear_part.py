"""The linear part of an encoder of maps: what is left of it without the network that corrects it."""

import numpy as np
import onnx
from onnx import helper

from aecodec.limits import DEFAULT_LIMITS, Limits
from aecodec.models.graph import constant_array, parse_graph


def linear_part(graph: bytes, limits: Limits = DEFAULT_LIMITS) -> bytes | None:
    """A graph of the same first input, whose output is one 1x1 convolution of it; None if `graph` is no sum of such and more."""
    model = parse_graph(graph, limits)
    source, made = model.graph.input[0], {name: node for node in model.graph.node for name in node.output}
    last = made.get(model.graph.output[0].name)
    if last is None or last.op_type != "Add":
        return None
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in (made[name] for name in last.input if name in made):
        if node.op_type == "Conv" and node.input[0] == source.name and all(name in constants for name in node.input[1:]):
            tensors = [constants[name] for name in node.input[1:]]
            if _is_pointwise(constant_array(tensors[0]), node):
                return _alone(model, node, tensors)
    return None


def _is_pointwise(weight: np.ndarray, node: onnx.NodeProto) -> bool:
    plain = all(set(a.ints) <= {0} if a.name == "pads" else set(a.ints) == {1} for a in node.attribute if a.ints)
    return weight.dtype == np.float32 and weight.shape[2:] == (1, 1) and plain and not any(a.i > 1 for a in node.attribute)


def _alone(model: onnx.ModelProto, node: onnx.NodeProto, tensors: list[onnx.TensorProto]) -> bytes:
    target = helper.make_tensor_value_info(node.output[0], onnx.TensorProto.FLOAT, ["n", tensors[0].dims[0], "rows", "columns"])
    part = helper.make_graph([node], "linear", [model.graph.input[0]], [target], tensors)
    made = helper.make_model(part, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    return bytes(made.SerializeToString(deterministic=True))
