"""Graphs from anywhere: what is not plain tensors of the standard domain is refused by name before any parser or executor."""

import pickle

import numpy as np
import onnx
import pytest
from graphs import DOUBLE, FLOAT, floats, graph_of, ints, model_of, node
from onnx import TensorProto, helper, numpy_helper

from aecodec.errors import LimitError, ModelError
from aecodec.limits import Limits
from aecodec.models.graph import constant_array, parse_graph, read_graph
from aecodec.models.graph_check import SizedGraph, check_coder
from aecodec.models.graph_wire import ALLOWED, REFUSED


def changed(change):
    """The bytes of a sound graph after `change` of its ModelProto."""
    model = model_of([node("Mul", "x c")], {"c": floats(4)})
    change(model)
    return model.SerializeToString()


def subgraph(model):
    inner = helper.make_graph([node("Relu")], "inner", [], [])
    model.graph.node[0].attribute.append(helper.make_attribute("body", inner))


def external(model):
    tensor = model.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, "../../etc/passwd")
    tensor.ClearField("raw_data")


def sparse(model):
    values = numpy_helper.from_array(floats(1), "s")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, numpy_helper.from_array(ints(0)), [9]))


def of_type(model, made):
    model.graph.input[0].type.CopyFrom(made)


def typed(name):
    """A type that is not a plain tensor's."""
    tensor = helper.make_tensor_type_proto(FLOAT, [4])
    return {
        "sequence": helper.make_sequence_type_proto(tensor),
        "map": helper.make_map_type_proto(TensorProto.INT64, tensor),
        "optional": helper.make_optional_type_proto(tensor),
        "sparse": helper.make_sparse_tensor_type_proto(FLOAT, [4]),
    }[name]


PLAIN = "; export a plain graph of dense tensors of the standard domain"
USES = {
    "training info": (lambda m: m.training_info.add(), "training info"),
    "functions": (lambda m: m.functions.add(name="f"), "functions"),
    "a subgraph": (subgraph, "a subgraph (control flow)"),
    "subgraphs": (lambda m: m.graph.node[0].attribute.add(name="a").graphs.add(), "subgraphs (control flow)"),
    "external data": (external, "external data"),
    "sparse initializers": (sparse, "sparse initializers"),
    "sparse tensors": (lambda m: m.graph.node[0].attribute.add(name="a").sparse_tensor.dims.append(1), "sparse tensors"),
    "text": (lambda m: m.graph.initializer[0].string_data.append(b"x"), "text tensors"),
    "lists of text": (lambda m: m.graph.node[0].attribute.add(name="a").strings.append(b"x"), "lists of text"),
    "tensors": (lambda m: m.graph.node[0].attribute.add(name="a").tensors.add(), "lists of tensors"),
    "segments": (lambda m: m.graph.initializer[0].segment.CopyFrom(TensorProto.Segment(begin=1)), "tensors in segments"),
    "uint64": (lambda m: m.graph.initializer[0].uint64_data.append(1), "uint64 tensors"),
    "references": (lambda m: setattr(m.graph.node[0].attribute.add(name="a"), "ref_attr_name", "b"), "functions"),
    "overloads": (lambda m: setattr(m.graph.node[0], "overload", "b"), "functions"),
    "annotations": (lambda m: m.graph.quantization_annotation.add(), "quantization annotations"),
    "sequences": (lambda m: of_type(m, typed("sequence")), "sequences"),
    "maps": (lambda m: of_type(m, typed("map")), "maps"),
    "optionals": (lambda m: of_type(m, typed("optional")), "optional types"),
    "sparse types": (lambda m: of_type(m, typed("sparse")), "sparse tensors"),
}


@pytest.mark.parametrize("name", USES)
def test_what_a_plain_graph_does_not_need_is_refused(name):
    change, found = USES[name]
    with pytest.raises(ModelError) as caught:
        parse_graph(changed(change))
    assert str(caught.value) == f"ONNX graph uses {found}{PLAIN}"


def test_a_location_outside_is_refused_even_without_a_path():
    def away(model):
        model.graph.initializer[0].data_location = TensorProto.EXTERNAL

    with pytest.raises(ModelError, match="ONNX graph uses external data; export it with its weights inside"):
        parse_graph(changed(away))


def test_each_field_of_onnx_is_either_allowed_or_refused_by_name():
    for message, fields in ALLOWED.items():
        kind = onnx
        for part in message.split("."):
            kind = getattr(kind, part)
        known = {field.number: field.name for field in kind.DESCRIPTOR.fields}
        assert {number: name.removesuffix("*") for number, (name, _) in fields.items()}.items() <= known.items()
        assert set(known) - set(fields) == {number for other, number in REFUSED if other == message}


NOTHING = bytes.fromhex("0808" + "3a00" + "42021011")  # IR version 8, a graph of nothing, opset 17
WIRE = [
    (NOTHING, "a model's graph has inputs and one output; found 0 and 0"),
    (b"", "ONNX graph has IR version 0, 4 to "),
    (b"\xff", "malformed ONNX graph: it ends inside a number"),
    (b"\xfa\x07\x00", "ONNX graph uses field 127 of ModelProto, which is unknown"),
    (b"\x0b", "malformed ONNX graph: ModelProto.ir_version has wire type 3"),
    (b"\x0a\x01\x08", "malformed ONNX graph: ModelProto.ir_version has wire type 2"),
    (NOTHING + b"\x08\x08", "malformed ONNX graph: ModelProto.ir_version comes twice"),
    (b"\x3a\x05", "malformed ONNX graph: ModelProto.graph declares 5 bytes, 0 are left"),
    (b"\x3a" + b"\xff" * 9 + b"\x01", "malformed ONNX graph: ModelProto.graph declares 18446744073709551615 bytes, 0 are left"),
    (b"\x08" + b"\xff" * 10 + b"\x01", "malformed ONNX graph: a number is longer than 10 bytes"),
    (b"\x12\x01\xff", "malformed ONNX graph: ModelProto.producer_name is not UTF-8"),
    (b"\x12\x82\x08" + b"A" * 1026, "ONNX graph: ModelProto.producer_name has 1026 bytes, at most 1024 are allowed"),
]


@pytest.mark.parametrize(("stored", "message"), WIRE)
def test_bytes_that_are_no_graph_are_refused(stored, message):
    with pytest.raises(ModelError) as caught:
        read_graph(stored)
    assert str(caught.value).startswith(message)


def test_fields_that_parsers_would_make_objects_of_are_counted():
    nodes = b"\x0a\x00" * (1 << 18 | 1)
    stored = b"\x3a" + bytes([128 | len(nodes) & 127, 128 | len(nodes) >> 7 & 127, len(nodes) >> 14]) + nodes
    with pytest.raises(LimitError, match=r"an ONNX graph has more than 262144 fields, at most 4096 are allowed"):
        parse_graph(stored)
    packed = tensor([1 << 22], float_data=[0.0] * (1 << 22)).SerializeToString()
    with pytest.raises(LimitError, match=r"an ONNX graph has more than 262144 fields"):
        parse_graph(changed(lambda m: m.graph.initializer.add().ParseFromString(packed)))
    with pytest.raises(LimitError, match=r"an ONNX graph has 99 bytes, at most 98 are allowed"):
        parse_graph(stored[:99], Limits(model_bytes=98))


DOMAIN = "only the standard domain is allowed"
TWICE = [helper.make_attribute("a", 1)] * 2
DEFINED = [
    (lambda m, g: setattr(m, "ir_version", 3), "ONNX graph has IR version 3, 4 to "),
    (lambda m, g: setattr(m, "ir_version", 10**6), "ONNX graph has IR version 1000000, 4 to "),
    (lambda m, g: setattr(m.opset_import[0], "version", 12), "ONNX graph has opset 12, 13 to "),
    (lambda m, g: setattr(m.opset_import[0], "version", 10**6), "ONNX graph has opset 1000000, 13 to "),
    (lambda m, g: m.opset_import.add(domain="b", version=1), f"ONNX graph imports operators [('', 17), ('b', 1)], {DOMAIN}"),
    (lambda m, g: setattr(m.opset_import[0], "domain", "b"), f"ONNX graph imports operators [('b', 17)], {DOMAIN}"),
    (lambda m, g: m.ClearField("opset_import"), f"ONNX graph imports operators [], {DOMAIN}"),
    (lambda m, g: setattr(g.node[0], "domain", "b"), "Mul node 'y': only single-output operators of the standard domain"),
    (lambda m, g: g.node[0].output.append("z"), "Mul node 'y': only single-output operators"),
    (lambda m, g: g.node.add().CopyFrom(g.node[0]), "Mul node 'y': its output is defined twice"),
    (lambda m, g: g.node[0].output.__setitem__(0, "c"), "Mul node 'c': its output is defined twice"),
    (lambda m, g: g.node[0].input.__setitem__(0, "later"), "Mul node 'y': input 'later' is not defined before it"),
    (lambda m, g: g.initializer.add().CopyFrom(g.initializer[0]), "ONNX graph: 'c' is defined twice"),
    (lambda m, g: setattr(g.input[0], "name", "c"), "ONNX graph: 'c' is defined twice"),
    (lambda m, g: setattr(g.initializer[0], "name", ""), "ONNX graph: '' is defined twice, or has no name"),
    (lambda m, g: g.output.add().CopyFrom(g.output[0]), "a model's graph has inputs and one output; found 1 and 2"),
    (lambda m, g: setattr(g.output[0], "name", "x"), "ONNX graph: its output 'x' is made by none of its nodes"),
    (lambda m, g: setattr(g.input[0].type.tensor_type, "elem_type", 8), "ONNX graph: 'x' is of type 8 and shape (None, 4), not"),
    (lambda m, g: setattr(g.input[0].type.tensor_type.shape.dim[1], "dim_value", -4), "ONNX graph: 'x' has shape (None, -4), "),
    (lambda m, g: g.node[0].attribute.extend(TWICE), "Mul node 'y': attribute 'a' has type 2, or comes twice"),
]


@pytest.mark.parametrize(("change", "message"), DEFINED)
def test_a_graph_that_is_not_whole_is_refused(change, message):
    with pytest.raises(ModelError) as caught:
        read_graph(changed(lambda m: change(m, m.graph)))
    assert str(caught.value).startswith(message)


def tensor(dims, element=FLOAT, raw_data=b"", **lists):
    """A TensorProto as hostile as asked for."""
    made = TensorProto(name="c", data_type=element, dims=dims, **lists)
    if raw_data:
        made.raw_data = raw_data
    return made


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            tensor([2**39], raw_data=b"abcd"),
            "constant 'c' of shape (549755813888,) and float32 needs 549755813888 values, its data are 4 bytes",
        ),
        (tensor([2**62], raw_data=b"abcd"), "has type 1 and shape (4611686018427387904,), which is not allowed"),
        (tensor([-1], raw_data=b"abcd"), "has type 1 and shape (-1,), which is not allowed"),
        (tensor([1] * 9, raw_data=b"abcd"), "which is not allowed"),
        (tensor([2**32 - 1] * 2 + [2**32], raw_data=b""), "needs "),
        (tensor([1], TensorProto.STRING), "has type 8 and shape (1,), which is not allowed"),
        (tensor([1], 99), "has type 99 and shape (1,), which is not allowed"),
        (tensor([2], raw_data=b"abcd"), "needs 2 values, its data are 4 bytes and 0 single values"),
        (tensor([1], raw_data=b"abcd", float_data=[1.0]), "its data are 4 bytes and 1 single values"),
        (tensor([1], int32_data=[1]), "its data are 0 bytes and 1 single values"),
        (tensor([1], DOUBLE, double_data=[1.0, 2.0]), "of shape (1,) and float64 needs 1 values"),
    ],
)
def test_a_constant_that_is_not_what_its_shape_says_is_refused(made, message):
    with pytest.raises(ModelError) as caught:
        constant_array(made)
    assert message in str(caught.value)


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i1", "u1", "i2", "u2", "i4", "i8", "?"])
@pytest.mark.parametrize("raw", [True, False])
def test_constants_are_read_as_onnx_reads_them(dtype, raw):
    values = np.array([[0, 1, 5], [7, 2, 100]]).astype(dtype)
    element = helper.np_dtype_to_tensor_dtype(values.dtype)
    made = helper.make_tensor("c", element, values.shape, values.tobytes() if raw else values.reshape(-1).tolist(), raw)
    assert np.array_equal(constant_array(made), values)
    assert constant_array(made).dtype == values.dtype == numpy_helper.to_array(made).dtype
    assert constant_array(helper.make_tensor("c", element, (0, 3), b"" if raw else [], raw)).shape == (0, 3)


def test_a_tensor_whose_data_lie_in_a_file_is_refused_though_the_file_is_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").write_bytes(floats(4).tobytes())
    model = model_of([node("Mul", "x c")], {"c": floats(4)})
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "weights")
    model.graph.initializer[0].ClearField("raw_data")
    with pytest.raises(ModelError, match="ONNX graph uses external data"):
        SizedGraph(model.SerializeToString())
    with pytest.raises(ModelError, match="needs 4 values, its data are 0 bytes"):
        constant_array(model.graph.initializer[0])


def test_constant_nodes_serve_as_operands():
    shape = helper.make_node("Constant", [], ["s"], value=numpy_helper.from_array(ints(-1, 2)))
    assert SizedGraph(graph_of([shape, node("Reshape", "x s")])).sizes((3, 4)).output == (6, 2)
    listed = helper.make_node("Constant", [], ["s"], value_ints=[-1, 2])
    with pytest.raises(ModelError, match="a Constant node must have one attribute, the tensor 'value'"):
        SizedGraph(graph_of([listed, node("Reshape", "x s")]))


def coder(nodes, constants=None, **given):
    return check_coder(graph_of(nodes, constants, **given), "decoder", (4,), (1, 1, 2, 3))


SHAPED = [node("MatMul", "x w", "a"), node("Reshape", "a s")]
WEIGHTS = {"w": floats(4, 6), "s": ints(-1, 1, 1, 2, 3)}


def test_a_coder_must_be_what_its_manifest_says():
    assert coder(SHAPED, WEIGHTS).sizes((5, 4)).output == (5, 1, 1, 2, 3)
    assert coder(SHAPED, WEIGHTS, y=("n", 1, 1, 2, 3)).sizes((5, 4)).output == (5, 1, 1, 2, 3)
    cases = [
        ({"x": ("n", 5)}, "ONNX graph: input 'x' is declared as (None, 5), but would be (1, 4)"),
        ({"x": (1, 4)}, "the model's decoder takes (1, 4); export it with a batch of open size first"),
        ({"x": ()}, "the model's decoder takes no shape; export it"),
        ({"y": ("n", 1, 1, 3, 2)}, "ONNX graph: output 'y' is declared as (None, 1, 1, 3, 2), but would be (1, 1, 1, 2, 3)"),
        ({"target": DOUBLE}, "ONNX graph: its output is float32, not what it declares"),
    ]
    for given, message in cases:
        with pytest.raises(ModelError) as caught:
            coder(SHAPED, WEIGHTS, **given)
        assert str(caught.value).startswith(message)
    with pytest.raises(ModelError, match=r"the model's decoder makes \(1, 1, 1, 3, 2\) of \(1, 4\), its manifest promises"):
        coder(SHAPED, {**WEIGHTS, "s": ints(-1, 1, 1, 3, 2)})
    with pytest.raises(ModelError, match=r"the model's decoder makes \(1, 1, 1, 2, 3\) of \(2, 4\)|cannot be reshaped"):
        coder([node("MatMul", "x w", "b"), node("ReduceSum", "b i", "a", keepdims=1), SHAPED[1]], {**WEIGHTS, "i": ints(0)})
    with pytest.raises(ModelError, match="the model's encoder is from float64 to float64, allowed: float32"):
        check_coder(graph_of([node("Relu")], element=DOUBLE), "encoder", (4,), (4,))


def test_operations_per_value_are_limited():
    heavy = {"w": np.zeros((4, 1 << 21), np.float32), "v": np.zeros((1 << 21, 6), np.float32), "s": WEIGHTS["s"]}
    with pytest.raises(LimitError, match=r"the model's decoder takes 3495255 operations a value, at most 262144 are allowed"):
        coder([node("MatMul", "x w", "b"), node("MatMul", "b v", "a"), SHAPED[1]], heavy)


def test_a_checked_graph_pickles():
    sized = pickle.loads(pickle.dumps(SizedGraph(graph_of(SHAPED, WEIGHTS))))
    assert sized.sizes((3, 4)).output == (3, 1, 1, 2, 3)
