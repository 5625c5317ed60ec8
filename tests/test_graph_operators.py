"""Operators that a model may use: the sizes told beforehand are those that ONNX Runtime gives, and what does not fit is refused."""

from itertools import pairwise

import numpy as np
import pytest
from graphs import FLOAT, floats, graph_of, ints, node
from onnx import TensorProto

from aecodec.errors import LimitError, ModelError
from aecodec.limits import Limits
from aecodec.models.graph_check import OPERATORS, SizedGraph
from aecodec.runtime.ort import OrtRun
from aecodec.runtime.reference import ReferenceRun

IMAGE = ("n", 4, 6, 10)  # batch, channels, rows, columns
K = floats(8, 4, 3, 3)
W8 = np.ones((8, 4, 3, 3), np.int8)
ONE = np.float32(1)
SCALARS = (
    "Abs Ceil Cos Elu Erf Exp Floor HardSigmoid HardSwish Identity LeakyRelu Log Neg Reciprocal Relu Round Selu Sigmoid Sign "
    "Sin Softplus Sqrt Tanh GlobalAveragePool GlobalMaxPool"
)


def case(inputs="x", shape=IMAGE, opset=17, **given):
    """One use of an operator: its inputs, the shape of x, arrays as constants, the rest as attributes."""
    constants = {name: value for name, value in given.items() if isinstance(value, (np.ndarray, np.generic))}
    return inputs, shape, opset, constants, {name: value for name, value in given.items() if name not in constants}


def graph_with(op, case):
    """The graph of one case; its output declares no shape."""
    inputs, shape, opset, constants, attributes = case
    if op == "QLinearConv":  # from bytes to bytes
        nodes = [node("Cast", "x", "q", to=TensorProto.UINT8), node(op, inputs, "r", **attributes), node("Cast", "r", to=FLOAT)]
        return graph_of(nodes, constants, shape, opset=opset)
    return graph_of([node(op, inputs, **attributes)], constants, shape, opset=opset)


POOLS = [case(kernel_shape=[2, 3]), case(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])]
REDUCTIONS = [case(axes=[1, -1]), case(axes=[2], keepdims=0)]
CASES = {
    **{name: [case()] for name in SCALARS.split()},
    **{name: [case("x c", c=floats(4, 1, 1)), case("c x", c=floats(2, 1, 1, 6, 1))] for name in ("Add", "Sub")},
    **{name: [case("x c", c=floats(1, 4, 1, 10)), case("x x")] for name in ("Mul", "Div", "Pow")},
    **{name: [case(), case("x c x", c=floats(10))] for name in ("Max", "Min")},
    "Softmax": [case(), case(axis=1)],
    "Gelu": [case(approximate="tanh", opset=20)],
    "Clip": [case(), case("x a b", a=np.float32(0), b=ONE), case("x - b", b=ONE)],
    "Cast": [case(to=TensorProto.FLOAT)],
    "MatMul": [case("x w", w=floats(10, 3)), case("w x", w=floats(5, 6)), case("x w", w=floats(4, 10, 7))],
    "Gemm": [
        case("x w", ("n", 4), w=floats(4, 3)),
        case("x w b", ("n", 4), transB=1, alpha=2.0, w=floats(3, 4), b=floats(3)),
        case("w x", ("n", 4), transB=1, w=floats(5, 4)),
    ],
    "Conv": [
        case("x w", w=K),
        case("x w b", pads=[1, 1, 1, 1], strides=[2, 3], kernel_shape=[3, 3], w=K, b=floats(8)),
        case("x w", group=2, dilations=[2, 3], auto_pad="NOTSET", w=floats(6, 2, 3, 3)),
        case("x w", ("n", 4, 9), pads=[2, 1], w=floats(3, 4, 5)),
    ],
    "QLinearConv": [
        case("q s z w v u s z", s=ONE, z=np.uint8(0), w=np.ones((8, 4, 3, 3), np.int8), v=ONE, u=np.int8(0)),
        case("q s z w v u s z b", s=ONE, z=np.uint8(0), w=W8, v=floats(8), u=np.zeros(8, np.int8), b=np.ones(8, np.int32)),
        case("q s z w v u s z", group=2, pads=[1, 0, 1, 2], s=ONE, z=np.uint8(0), w=W8[:6, :2], v=ONE, u=np.int8(0)),
    ],
    "ConvTranspose": [
        case("x w", strides=[2, 2], w=floats(4, 3, 4, 4)),
        case("x w b", strides=[2, 3], pads=[1, 0, 1, 2], output_padding=[1, 2], group=2, w=floats(4, 3, 5, 5), b=floats(6)),
    ],
    "AveragePool": POOLS,
    "MaxPool": POOLS,
    "BatchNormalization": [case("x a b c d", epsilon=1e-3, **{name: floats(4) for name in "abcd"})],
    "InstanceNormalization": [case("x a b", a=floats(4), b=floats(4))],
    "Reshape": [case("x s", s=ints(-1, 240)), case("x s", s=ints(0, 2, -1, 5)), case("x s", s=ints(0, 0, 60))],
    "Flatten": [case(), case(axis=3), case(axis=-1), case(axis=0)],
    "Transpose": [case(), case(perm=[0, 2, 3, 1])],
    "Concat": [case("x x", axis=1), case("x x x", axis=-1)],
    "Slice": [
        case("x a b", a=ints(0, 1), b=ints(1, 3)),
        case("x a b c", a=ints(-5), b=ints(2**63 - 1), c=ints(3)),
        case("x a b c d", a=ints(-1, 1), b=ints(-(2**63), 9), c=ints(-1, 2), d=ints(-3, 2)),
    ],
    "Pad": [
        case("x p", p=ints(0, 0, 1, 2, 0, 0, 3, 4)),
        case("x p v", mode="constant", p=ints(0, 1, 0, 0, 0, 0, 0, 0), v=ONE),
        case("x p", mode="reflect", p=ints(0, 0, 5, 9, 0, 0, 5, 9)),
        case("x p", mode="edge", p=ints(0, 0, 9, 0, 0, 0, 0, 30)),
        case("x p - a", opset=18, p=ints(1, 2), a=ints(-1)),
    ],
    "Squeeze": [case("x a", ("n", 1, 5, 1), a=ints(1, -1))],
    "Unsqueeze": [case("x a", a=ints(0, -1)), case("x a", a=ints(2))],
    "Gather": [case("x i", axis=1, i=ints(3, 0, 0)), case("x i", axis=-1, i=np.array([[1, 2]], np.int32))],
    "DepthToSpace": [case(blocksize=2), case(blocksize=2, mode="CRD")],
    "SpaceToDepth": [case(blocksize=2)],
    "Resize": [
        case("x - s", coordinate_transformation_mode="asymmetric", nearest_mode="floor", s=np.float32([1, 1, 2, 3])),
        case("x - s", mode="linear", s=np.float32([1, 1, 2, 2])),
    ],
    "ReduceMax": REDUCTIONS,
    "ReduceMean": REDUCTIONS,
    "ReduceMin": REDUCTIONS,
    "ReduceSum": [case("x a", a=ints(1, -1)), case("x a", keepdims=0, a=ints(3))],
}
ONLY_RUNTIME = ("ConvTranspose",)  # the reference executor has no groups and output padding together


def test_every_operator_that_is_allowed_has_a_case():
    assert set(CASES) == set(OPERATORS)


@pytest.mark.parametrize("op", CASES)
def test_sizes_are_those_that_executors_give(op):
    for each in CASES[op]:
        graph = graph_with(op, each)
        sized = SizedGraph(graph)
        for run in (OrtRun(graph, "cpu", 1), *([] if op in ONLY_RUNTIME else [ReferenceRun(graph)])):
            for n in (2, 6):
                x = floats(n, *each[1][1:])
                found, sizes = run(x), sized.sizes(x.shape)
                assert found.shape == sizes.output, each
                assert found.dtype == np.float32
                assert sizes.elements >= x.size + found.size
                assert sizes.operations >= found.size


def test_products_are_counted_by_their_multiplications():
    def operations(op, *arguments, **given):
        made = case(*arguments, **given)
        return SizedGraph(graph_with(op, made)).sizes((1, *made[1][1:])).operations

    assert operations("MatMul", "x w", w=floats(10, 3)) == 4 * 6 * 3 * 10
    assert operations("Conv", "x w", w=K) == 8 * 4 * 8 * (4 * 9 + 1)
    assert operations("Gemm", "x w", ("n", 4), w=floats(4, 3)) == 3 * 5
    assert operations("ConvTranspose", "x w", strides=[2, 2], w=floats(4, 3, 2, 2)) == 240 * 12 + 3 * 12 * 20


# operator, how it is used, message
REFUSED = [
    ("If", case(), "If node 'y': this operator is not allowed in a model; allowed are Abs, "),
    ("Loop", case(), "Loop node 'y': this operator is not allowed"),
    ("Expand", case("x s", s=ints(9, 9)), "Expand node 'y': this operator is not allowed"),
    ("Tile", case("x s", s=ints(9, 9)), "Tile node 'y': this operator is not allowed"),
    ("Shape", case(), "Shape node 'y': this operator is not allowed"),
    ("Relu", case("x x"), "Relu node 'y' has 2 inputs, 1 to 1 are allowed"),
    ("Relu", case(alpha=1.0), "Relu node 'y' has 1 inputs, 1 to 1 are allowed, and attributes that are not: alpha"),
    ("Add", case("x c", c=ints(1)), "Add node 'y': inputs of float32, int64 are not allowed"),
    ("Add", case("x c", c=floats(3)), "Add node 'y': shapes (1, 4, 6, 10), (3,) do not fit together"),
    ("Add", case("x -"), "Add node 'y': input 1 is missing"),
    ("Cast", case(to=TensorProto.STRING), "Cast node 'y': to what is not allowed; allowed are float16, float32"),
    ("Cast", case(to=10**6), "Cast node 'y': to what is not allowed"),
    ("Clip", case("x c", c=floats(2)), "Clip node 'y': limits must be single numbers"),
    ("MatMul", case("x c", c=floats(9, 2)), "MatMul node 'y': shapes (1, 4, 6, 10) and (9, 2) do not fit"),
    ("Gemm", case("x c", c=floats(9, 2)), "Gemm node 'y': shapes (1, 4, 6, 10) and (9, 2) are not those of matrices"),
    ("Conv", case("x c", c=floats(8, 3, 3, 3)), "does not fit weights of shape (8, 3, 3, 3) in 1 group(s)"),
    ("QLinearConv", case("q s z w v u s z", s=ONE, z=np.int8(0), w=W8, v=ONE, u=np.int8(0)), "are not allowed; uint8, float32"),
    ("QLinearConv", case("q s z w v u s z", s=ONE, z=np.uint8(0), w=W8, v=floats(3), u=np.int8(0)), "must be single numbers"),
    (
        "QLinearConv",
        case("q s z w v u s z b", s=ONE, z=np.uint8(0), w=W8, v=ONE, u=np.int8(0), b=floats(8)),
        "its bias is float32, not int32",
    ),
    ("Conv", case("x c", group=0, c=K), "attribute group is 0, 1 to 65536 are allowed"),
    ("Conv", case("x c", strides=[0, 1], c=K), "attribute strides is [0, 1], 1 to 65536 are allowed"),
    ("Conv", case("x c", pads=[-1, 0, 0, 0], c=K), "attribute pads is [-1, 0, 0, 0], 0 to 65536 are allowed"),
    ("Conv", case("x c", pads=[10**9, 0, 0, 0], c=K), "attribute pads is [1000000000, 0, 0, 0], 0 to 65536 are allowed"),
    ("Conv", case("x c", pads=[1], c=K), "attribute pads is [1], 4 whole numbers are needed"),
    ("Conv", case("x c", dilations=[9, 9], c=K), "a kernel of [3, 3] does not fit into (6, 10)"),
    ("Conv", case("x c", auto_pad="SAME_UPPER", c=K), "attribute auto_pad is b'SAME_UPPER', allowed are NOTSET"),
    ("Conv", case("x c", kernel_shape=[9, 9], c=K), "kernel_shape is not that of the weights"),
    ("Conv", case("x c d", c=K, d=floats(7)), "bias of shape (7,) for 8 channels"),
    ("ConvTranspose", case("x c", output_padding=[5, 5], c=floats(4, 3, 3, 3)), "output_padding must be smaller than strides"),
    ("MaxPool", case(), "kernel_shape None for an input of shape (1, 4, 6, 10)"),
    ("MaxPool", case(kernel_shape=[2, 2], pads=[2, 0, 0, 0]), "pads must be smaller than the kernel"),
    ("MaxPool", case(kernel_shape=[2, 2], ceil_mode=1), "attribute ceil_mode is 1, 0 to 0 are allowed"),
    ("BatchNormalization", case("x c c c d", c=floats(4), d=floats(5)), "do not fit"),
    ("Softmax", case(axis=4), "axis 4 of a tensor of 4 dimensions"),
    ("Reshape", case("x c", c=ints(-1, -1)), "(1, 4, 6, 10) cannot be reshaped to [-1, -1]"),
    ("Reshape", case("x c", c=ints(7, -1)), "(1, 4, 6, 10) cannot be reshaped to [7, -1]"),
    ("Reshape", case("x c", c=ints(-2, 120)), "(1, 4, 6, 10) cannot be reshaped to [-2, 120]"),
    ("Reshape", case("x c", c=ints(2**62, 4, 2**62)), "cannot be reshaped to [4611686018427387904, 4, 4611686018427387904]"),
    ("Reshape", case("x c", allowzero=1, c=ints(240)), "attribute allowzero is 1, 0 to 0 are allowed"),
    ("Reshape", case("x c", c=floats(2)), "input 1 is float32, whole numbers are needed"),
    ("Reshape", case("x c", c=np.ones(100, np.int64)), "input 1 must be a short constant, so that sizes are known beforehand"),
    ("Reshape", case("x c", c=ints(*[1] * 8, 240)), "it would make a tensor of shape (1, 1, 1, 1, 1, 1, 1, 1, 240)"),
    ("Transpose", case(perm=[0, 1, 2, 2]), "perm [0, 1, 2, 2] is no order of 4 dimensions"),
    ("Concat", case("x c", axis=1, c=floats(1, 4, 6, 9)), "differ elsewhere than along axis 1"),
    ("Concat", case("x x"), "attribute axis is"),
    ("Slice", case("x c d", c=ints(0, 0), d=ints(1)), "starts, ends, axes and steps do not fit together"),
    ("Slice", case("x c c", c=ints(1)), "it would make a tensor of shape (0, 4, 6, 10)"),
    ("Slice", case("x c d a s", c=ints(0), d=ints(1), a=ints(0), s=ints(0)), "starts, ends, axes and steps do not fit"),
    ("Slice", case("x c d a", c=ints(0, 0), d=ints(1, 1), a=ints(1, -3)), "axes [1, -3] repeat"),
    ("Pad", case("x c", c=ints(0, 0, 0, -1, 0, 0, 0, 0)), "must be two numbers of at least 0 for each of 4 axes"),
    ("Pad", case("x c", mode="wrap", c=ints(*[1] * 8)), "attribute mode is b'wrap', allowed are constant, reflect, edge"),
    ("Pad", case("x c", mode="reflect", c=ints(0, 0, 6, 0, 0, 0, 0, 0)), "reflect more than there is of (1, 4, 6, 10)"),
    ("Squeeze", case("x c", c=ints(1)), "of (1, 4, 6, 10) are not given, or not of size 1"),
    ("Gather", case("x x"), "Gather node 'y': indices are float32, int32 or int64 are allowed"),
    ("DepthToSpace", case(blocksize=3), "(1, 4, 6, 10) does not divide into blocks of 3"),
    ("DepthToSpace", case(), "attribute blocksize is 0, 1 to 65536 are allowed"),
    ("Resize", case("x - s", s=np.float32([1, 1, 2.5, 2])), "must be whole numbers from 1 to 64, and 1 for batch and channels"),
    ("Resize", case("x - s", s=np.float32([1, 1, 1e9, 2])), "must be whole numbers from 1 to 64"),
    ("Resize", case("x - s", s=np.float32([1, 1, np.nan, 2])), "must be whole numbers from 1 to 64"),
    ("Resize", case("x r s", s=np.float32([1, 1, 2, 2]), r=np.float32([0] * 8)), "a region of interest is not allowed"),
    ("ReduceSum", case(), "the axes must be given"),
    ("ReduceMean", case(axes=[9]), "attribute axes is [9], -8 to 8 are allowed"),
]


@pytest.mark.parametrize(("op", "used", "message"), REFUSED)
def test_what_an_operator_cannot_do_is_refused_before_it_runs(op, used, message):
    with pytest.raises(ModelError) as caught:
        SizedGraph(graph_with(op, used)).sizes((1, *IMAGE[1:]))
    assert message in str(caught.value)


def chain(op, count, first="x", inputs="{0}", **attributes):
    """`count` nodes one after another from `first` to y, each with `inputs` made of the one before."""
    names = [first, *(f"t{i}" for i in range(count - 1)), "y"]
    return [node(op, inputs.format(a), b, **attributes) for a, b in pairwise(names)]


ROWS, COLUMN = node("Reshape", "x s", "a"), node("Reshape", "x t", "b")
BOMBS = {
    "a pad": ([node("Pad", "x p")], {"p": ints(0, 2**40, 0, 0)}),
    "pads upon pads": (chain("Pad", 2, inputs="{0} p"), {"p": ints(0, 2**26, 0, 2**26)}),
    "an outer product": ([ROWS, COLUMN, node("Mul", "a b")], {"s": ints(-1, 1), "t": ints(1, -1)}),
    "a broadcast": ([node("Add", "x a")], {"a": np.zeros((1 << 19, 1, 1), np.float32)}),
    "doubling": (chain("Concat", 30, inputs="{0} {0}", axis=1), {}),
    "many tensors": ([node("Pad", "x p", "a"), *chain("Relu", 99, "a")], {"p": ints(0, 0, 0, 2**21)}),
}


@pytest.mark.parametrize("name", BOMBS)
def test_tensors_too_large_to_make_are_a_limit_error(name):
    nodes, constants = BOMBS[name]
    remedy = r"at most \d+ are allowed; if the source is trusted, raise it: limits=aecodec.Limits\(graph_elements=...\)"
    with pytest.raises(LimitError, match=rf"one run would make tensors of \d+ elements, {remedy}"):
        SizedGraph(graph_of(nodes, constants)).sizes((1 << 12, 4))


def test_constants_that_grow_are_a_limit_error():
    nodes = [*chain("Concat", 40, "c", "{0} {0}", axis=0)[:-1], node("Gather", "x i")]
    with pytest.raises(LimitError, match=r"constants of \d+ elements would be made, at most 134217728 are allowed"):
        SizedGraph(graph_of(nodes, {"c": floats(8), "i": ints(0)})).sizes((1, 4))


def test_limits_are_the_callers():
    graph = graph_of([node("Relu", "x", "a"), node("Relu", "a")])
    assert SizedGraph(graph, Limits(graph_elements=24)).sizes((2, 4)).elements == 24
    with pytest.raises(LimitError, match="Relu node 'y': one run would make tensors of 24 elements, at most 23 are allowed"):
        SizedGraph(graph, Limits(graph_elements=23)).sizes((2, 4))
    with pytest.raises(LimitError, match="an ONNX graph has 2 nodes, at most 1 are allowed"):
        SizedGraph(graph, Limits(graph_nodes=1))


def test_batches_are_as_small_as_what_is_made_on_the_way_takes():
    small = SizedGraph(graph_of([node("Relu")]))
    wide = [node("Pad", "x p", "a"), node("Slice", "a s e i")]
    large = SizedGraph(graph_of(wide, {"p": ints(0, 0, 0, 1 << 22), "s": ints(0), "e": ints(4), "i": ints(1)}))
    assert small.batch((4,), 1000) == 1000
    assert large.batch((4,), 1000) == 3
