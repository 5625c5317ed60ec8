"""The first look at an ONNX graph: its protobuf fields against an allow-list, before any parser of ONNX sees the bytes.

What is not listed is refused: control flow and other subgraphs, functions, external data, sparse and text tensors, training
info. Nothing is recursive, nothing is allocated, and the number of fields, which parsers turn into objects, is capped.
Source of the encoding: the Protocol Buffers wire format; of the field numbers: onnx.proto.
"""

from dataclasses import dataclass

from aecodec.errors import ModelError
from aecodec.limits import Limits

_MAX_NAME = 1024
_FIELDS_PER_NODE = 64
_MAX_VARINT = 10  # bytes: negative numbers take all ten
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIRE_TYPES = {"int": _VARINT, "float": _FIXED32, "double": _FIXED64}  # of all other kinds: _BYTES
_MANY = "*"  # marks fields that may come more than once

# message -> field number -> (name, kind); kinds are int, float, double, name (short text), text, octets (few),
# raw, or a message.
ALLOWED: dict[str, dict[int, tuple[str, str]]] = {
    "ModelProto": {
        1: ("ir_version", "int"),
        2: ("producer_name", "name"),
        3: ("producer_version", "name"),
        4: ("domain", "name"),
        5: ("model_version", "int"),
        6: ("doc_string", "text"),
        7: ("graph", "GraphProto"),
        8: ("opset_import*", "OperatorSetIdProto"),
        14: ("metadata_props*", "StringStringEntryProto"),
    },
    "OperatorSetIdProto": {1: ("domain", "name"), 2: ("version", "int")},
    "StringStringEntryProto": {1: ("key", "name"), 2: ("value", "text")},
    "GraphProto": {
        1: ("node*", "NodeProto"),
        2: ("name", "name"),
        5: ("initializer*", "TensorProto"),
        10: ("doc_string", "text"),
        11: ("input*", "ValueInfoProto"),
        12: ("output*", "ValueInfoProto"),
        13: ("value_info*", "ValueInfoProto"),
        16: ("metadata_props*", "StringStringEntryProto"),
    },
    "NodeProto": {
        1: ("input*", "name"),
        2: ("output*", "name"),
        3: ("name", "name"),
        4: ("op_type", "name"),
        5: ("attribute*", "AttributeProto"),
        6: ("doc_string", "text"),
        7: ("domain", "name"),
        9: ("metadata_props*", "StringStringEntryProto"),
    },
    "AttributeProto": {
        1: ("name", "name"),
        2: ("f", "float"),
        3: ("i", "int"),
        4: ("s", "octets"),
        5: ("t", "TensorProto"),
        7: ("floats*", "float"),
        8: ("ints*", "int"),
        13: ("doc_string", "text"),
        20: ("type", "int"),
    },
    "TensorProto": {
        1: ("dims*", "int"),
        2: ("data_type", "int"),
        4: ("float_data*", "float"),
        5: ("int32_data*", "int"),
        7: ("int64_data*", "int"),
        8: ("name", "name"),
        9: ("raw_data", "raw"),
        10: ("double_data*", "double"),
        12: ("doc_string", "text"),
        14: ("data_location", "int"),  # 0: here; see `_check_value`
        16: ("metadata_props*", "StringStringEntryProto"),
    },
    "ValueInfoProto": {
        1: ("name", "name"),
        2: ("type", "TypeProto"),
        3: ("doc_string", "text"),
        4: ("metadata_props*", "StringStringEntryProto"),
    },
    "TypeProto": {1: ("tensor_type", "TypeProto.Tensor"), 6: ("denotation", "name")},
    "TypeProto.Tensor": {1: ("elem_type", "int"), 2: ("shape", "TensorShapeProto")},
    "TensorShapeProto": {1: ("dim*", "TensorShapeProto.Dimension")},
    "TensorShapeProto.Dimension": {1: ("dim_value", "int"), 2: ("dim_param", "name"), 3: ("denotation", "name")},
}

REFUSED = {
    ("ModelProto", 20): "training info",
    ("ModelProto", 25): "functions",
    ("ModelProto", 26): "a device configuration",
    ("GraphProto", 14): "quantization annotations",
    ("GraphProto", 15): "sparse initializers",
    ("NodeProto", 8): "functions",
    ("NodeProto", 10): "a device configuration",
    ("AttributeProto", 6): "a subgraph (control flow)",
    ("AttributeProto", 9): "lists of text",
    ("AttributeProto", 10): "lists of tensors",
    ("AttributeProto", 11): "subgraphs (control flow)",
    ("AttributeProto", 14): "types as attributes",
    ("AttributeProto", 15): "types as attributes",
    ("AttributeProto", 21): "functions",
    ("AttributeProto", 22): "sparse tensors",
    ("AttributeProto", 23): "sparse tensors",
    ("TensorProto", 3): "tensors in segments",
    ("TensorProto", 6): "text tensors",
    ("TensorProto", 11): "uint64 tensors",
    ("TensorProto", 13): "external data",
    ("TypeProto", 4): "sequences",
    ("TypeProto", 5): "maps",
    ("TypeProto", 7): "opaque types",
    ("TypeProto", 8): "sparse tensors",
    ("TypeProto", 9): "optional types",
}


def check_wire(graph: bytes, limits: Limits) -> None:
    """ModelError unless `graph` is protobuf with only the fields that a plain graph of tensors needs; LimitError for too many."""
    limits.check("model_bytes", len(graph), f"an ONNX graph has {len(graph)} bytes")
    walk = _Walk(memoryview(graph), limits)
    walk.message("ModelProto", 0, len(graph))


@dataclass
class _Walk:
    data: memoryview
    limits: Limits
    fields: int = 0

    def message(self, kind: str, at: int, end: int) -> None:
        """Every field of one message in `data[at:end]`."""
        allowed, seen = ALLOWED[kind], set()
        while at < end:
            tag, at = self._varint(at, end)
            number, wire = tag >> 3, tag & 7
            if number not in allowed:
                what = REFUSED.get((kind, number), f"field {number} of {kind}, which is unknown")
                raise ModelError(f"ONNX graph uses {what}; export a plain graph of dense tensors of the standard domain")
            name, field_kind = allowed[number]
            if number in seen and name[-1] != _MANY:
                raise ModelError(f"malformed ONNX graph: {kind}.{name} comes twice")
            seen.add(number)
            self._count(1)
            at = self._field(f"{kind}.{name}", field_kind, wire, at, end)

    def _field(self, label: str, kind: str, wire: int, at: int, end: int) -> int:
        """Check one field's content from `at` on; where the next begins."""
        packed = wire == _BYTES and label[-1] == _MANY and kind in _WIRE_TYPES
        if wire != _WIRE_TYPES.get(kind, _BYTES) and not packed:
            raise ModelError(f"malformed ONNX graph: {label} has wire type {wire}")
        if wire == _VARINT:
            value, at = self._varint(at, end)
            if label == "TensorProto.data_location" and value:
                raise ModelError("ONNX graph uses external data; export it with its weights inside")
            return at
        size, start = (self._varint(at, end)) if wire == _BYTES else ({_FIXED64: 8, _FIXED32: 4}[wire], at)
        if size > end - start:
            raise ModelError(f"malformed ONNX graph: {label} declares {size} bytes, {end - start} are left")
        if packed:
            self._count(size // 8)
        elif kind in ("name", "octets") and size > _MAX_NAME:
            raise ModelError(f"ONNX graph: {label} has {size} bytes, at most {_MAX_NAME} are allowed")
        elif kind in ("name", "text"):
            self._check_text(label, self.data[start : start + size])
        elif kind in ALLOWED:
            self.message(kind, start, start + size)
        return start + size

    @staticmethod
    def _check_text(label: str, content: memoryview) -> None:
        try:
            str(content, "utf-8")
        except UnicodeDecodeError:
            raise ModelError(f"malformed ONNX graph: {label} is not UTF-8") from None

    def _count(self, by: int) -> None:
        self.fields += by
        most = self.limits.graph_nodes * _FIELDS_PER_NODE
        if self.fields > most:
            self.limits.check("graph_nodes", self.fields // _FIELDS_PER_NODE + 1, f"an ONNX graph has more than {most} fields")

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 7 * _MAX_VARINT, 7):
            if at >= end:
                raise ModelError("malformed ONNX graph: it ends inside a number")
            byte = self.data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, at
        raise ModelError(f"malformed ONNX graph: a number is longer than {_MAX_VARINT} bytes")
