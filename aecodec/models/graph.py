"""An ONNX graph as checked, plain values: nodes, constants, inputs and output. The only way from bytes to a graph."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto

from aecodec.errors import ModelError
from aecodec.limits import DEFAULT_LIMITS, Limits
from aecodec.models.graph_wire import check_wire

_OLDEST_IR, _OLDEST_OPSET = 4, 13
_MAX_RANK = 8
_MAX_SIZE = 1 << 40  # of a dimension, so that products stay whole numbers of sensible length
_SMALL = 64  # elements of constants that are kept by value: shapes, axes, pads
_LABEL = 60

_DTYPES: dict[int, str] = {
    TensorProto.FLOAT: "float32",
    TensorProto.UINT8: "uint8",
    TensorProto.INT8: "int8",
    TensorProto.UINT16: "uint16",
    TensorProto.INT16: "int16",
    TensorProto.INT32: "int32",
    TensorProto.INT64: "int64",
    TensorProto.BOOL: "bool",
    TensorProto.FLOAT16: "float16",
    TensorProto.DOUBLE: "float64",
}
_TYPED_DATA = {"float32": "float_data", "float64": "double_data", "int64": "int64_data"}  # others: int32_data
_ATTRIBUTES = {
    AttributeProto.FLOAT: "f",
    AttributeProto.INT: "i",
    AttributeProto.STRING: "s",
    AttributeProto.TENSOR: "t",
    AttributeProto.FLOATS: "floats",
    AttributeProto.INTS: "ints",
}


@dataclass(frozen=True)
class Value:
    """What is known of a tensor beforehand.

    `shape`: None where an output declares none, with None for sizes that are left open. `small`: the value of a short constant.
    """

    dtype: str
    shape: tuple[int | None, ...] | None
    small: np.ndarray | None = None


@dataclass(frozen=True)
class Node:
    """One operator; absent optional inputs are ""."""

    op: str
    label: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Graph:
    """A checked graph of one output. Constants are kept by value only where they are short: a Graph is light, and pickles."""

    opset: int
    nodes: tuple[Node, ...]
    constants: dict[str, Value]
    inputs: dict[str, Value]
    output_name: str
    output: Value


def parse_graph(graph: bytes, limits: Limits = DEFAULT_LIMITS) -> onnx.ModelProto:
    """The model in ONNX's bytes, its fields known to be harmless; ModelError if there is none, LimitError if it is too large."""
    check_wire(graph, limits)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(graph)
    except Exception as error:  # noqa: BLE001  # protobuf's decoding errors are not onnx's to name
        raise ModelError(f"{len(graph)} bytes are no ONNX graph: {str(error)[:200]}") from None
    limits.check("graph_nodes", len(model.graph.node), f"an ONNX graph has {len(model.graph.node)} nodes")
    return model


def read_graph(graph: bytes, limits: Limits = DEFAULT_LIMITS) -> Graph:
    """Parse and check everything that needs no knowledge of operators: versions, names, tensors, one definition each."""
    model = parse_graph(graph, limits)
    opset = _check_versions(model)
    constants: dict[str, Value] = {}
    elements = 0
    nodes: list[Node] = []
    tensors = [(tensor.name, tensor) for tensor in model.graph.initializer]
    literal = [node for node in model.graph.node if node.op_type == "Constant" and not node.input and len(node.output) == 1]
    tensors += [(node.output[0], _constant(node)) for node in literal]
    for name, tensor in tensors:
        _define(name, constants)
        dtype, shape = _described(tensor)
        elements += math.prod(shape)
        limits.check("graph_constants", elements, f"an ONNX graph declares constants of {elements} elements")
        small = constant_array(tensor) if math.prod(shape) <= _SMALL else None
        constants[name] = Value(dtype.name, shape, small)
    inputs: dict[str, Value] = {}
    for value in model.graph.input:
        _define(value.name, constants, inputs)
        inputs[value.name] = _declared(value)
    known = {*constants, *inputs}
    for node in model.graph.node:
        if node.op_type != "Constant":
            nodes.append(_checked(node, known))
            known.add(nodes[-1].output)
    if not inputs or len(model.graph.output) != 1:
        raise ModelError(f"a model's graph has inputs and one output; found {len(inputs)} and {len(model.graph.output)}")
    output = model.graph.output[0]
    if output.name not in {node.output for node in nodes}:
        raise ModelError(f"ONNX graph: its output {output.name[:_LABEL]!r} is made by none of its nodes")
    return Graph(opset, tuple(nodes), constants, inputs, output.name, _declared(output))


def constant_array(tensor: onnx.TensorProto) -> np.ndarray:
    """The value of a tensor of `parse_graph`; ModelError if its bytes are not what its shape says. Reads no other file."""
    dtype, shape = _described(tensor)
    if tensor.raw_data or not math.prod(shape):
        return np.frombuffer(tensor.raw_data, dtype.newbyteorder("<")).astype(dtype, copy=False).reshape(shape)
    stored = getattr(tensor, _typed_data(dtype))
    if dtype == np.float16:
        return np.array(stored, np.int32).astype(np.uint16).view(np.float16).reshape(shape)
    return np.array(stored, dtype if dtype.name in _TYPED_DATA else np.int32).astype(dtype).reshape(shape)


def _check_versions(model: onnx.ModelProto) -> int:
    newest_ir, newest = int(onnx.IR_VERSION), int(onnx.defs.onnx_opset_version())
    if not _OLDEST_IR <= model.ir_version <= newest_ir:
        raise ModelError(f"ONNX graph has IR version {model.ir_version}, {_OLDEST_IR} to {newest_ir} are supported; export it anew")
    imports = [(entry.domain, entry.version) for entry in model.opset_import]
    if len(imports) != 1 or imports[0][0] not in ("", "ai.onnx"):
        raise ModelError(f"ONNX graph imports operators {imports[:4]}, only the standard domain is allowed")
    if not _OLDEST_OPSET <= imports[0][1] <= newest:
        raise ModelError(f"ONNX graph has opset {imports[0][1]}, {_OLDEST_OPSET} to {newest} are supported; export it anew")
    return int(imports[0][1])


def _define(name: str, *places: dict[str, Value]) -> None:
    if not name or any(name in place for place in places):
        raise ModelError(f"ONNX graph: {name[:_LABEL]!r} is defined twice, or has no name")


def _constant(node: onnx.NodeProto) -> onnx.TensorProto:
    if [a.name for a in node.attribute] != ["value"] or node.attribute[0].type != AttributeProto.TENSOR or node.domain:
        raise ModelError("ONNX graph: a Constant node must have one attribute, the tensor 'value'")
    return node.attribute[0].t


def _described(tensor: onnx.TensorProto) -> tuple[np.dtype, tuple[int, ...]]:
    """Dtype and shape of a tensor whose data have just the size that they say."""
    name, shape = _DTYPES.get(tensor.data_type), tuple(tensor.dims)
    label = f"ONNX graph: constant {tensor.name[:_LABEL]!r}"
    if name is None or len(shape) > _MAX_RANK or any(not 0 <= size < _MAX_SIZE for size in shape):
        raise ModelError(f"{label} has type {tensor.data_type} and shape {shape[: _MAX_RANK + 1]}, which is not allowed")
    dtype = np.dtype(name)
    stored = {each: len(getattr(tensor, each)) for each in ("float_data", "int32_data", "int64_data", "double_data")}
    single, raw, needed = stored.pop(_typed_data(dtype)), len(tensor.raw_data), math.prod(shape)
    sound = (single == needed and not raw) if single else raw == needed * dtype.itemsize
    if any(stored.values()) or not sound:
        raise ModelError(
            f"{label} of shape {shape} and {dtype} needs {needed} values, its data are {raw} bytes and "
            f"{single + sum(stored.values())} single values"
        )
    return dtype, shape


def _typed_data(dtype: np.dtype) -> str:
    return _TYPED_DATA.get(dtype.name, "int32_data")


def _declared(value: onnx.ValueInfoProto) -> Value:
    tensor = value.type.tensor_type
    dtype = _DTYPES.get(tensor.elem_type)
    sizes = tuple(d.dim_value if d.HasField("dim_value") and d.dim_value else None for d in tensor.shape.dim)
    if dtype is None or len(sizes) > _MAX_RANK:
        raise ModelError(f"ONNX graph: {value.name[:_LABEL]!r} is of type {tensor.elem_type} and shape {sizes}, not allowed")
    if any(size is not None and not 0 < size < _MAX_SIZE for size in sizes):
        raise ModelError(f"ONNX graph: {value.name[:_LABEL]!r} has shape {sizes}, sizes must be at least 1")
    return Value(dtype, sizes if tensor.HasField("shape") else None)


def _checked(node: onnx.NodeProto, known: set[str]) -> Node:
    label = f"{node.op_type[:_LABEL]} node {(node.name or ''.join(node.output[:1]))[:_LABEL]!r}"
    if len(node.output) != 1 or node.domain not in ("", "ai.onnx"):
        raise ModelError(f"{label}: only single-output operators of the standard domain are allowed")
    if not node.output[0] or node.output[0] in known:
        raise ModelError(f"{label}: its output is defined twice, or has no name")
    for name in node.input:
        if name and name not in known:
            raise ModelError(f"{label}: input {name[:_LABEL]!r} is not defined before it")
    attributes: dict[str, Any] = {}
    for each in node.attribute:
        kind = _ATTRIBUTES.get(each.type)
        if kind is None or each.name in attributes:
            raise ModelError(f"{label}: attribute {each.name[:_LABEL]!r} has type {each.type}, or comes twice")
        found = getattr(each, kind)
        attributes[each.name] = list(found) if kind in ("floats", "ints") else found
    return Node(node.op_type, label, tuple(node.input), node.output[0], attributes)
