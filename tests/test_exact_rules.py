"""The proof's rules for predictors: several inputs, tables, families of constants that an index picks from."""

import warnings

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from aecodec.errors import ModelError
from aecodec.models.exact import Range, prove_exact, prove_predictor
from aecodec.models.exact_rules import grain_of
from aecodec.runtime.ort import OrtRun
from aecodec.runtime.reference import ReferenceRun

RANGES = {"x": Range(100.0), "m": Range(7.0)}


def graph(nodes, constants=None, output="y", inputs=("x", "m", "kind"), element=TensorProto.FLOAT, declared=TensorProto.FLOAT):
    """Nodes as (operator, inputs, output, attributes)."""
    made = [helper.make_node(op, sources.split(), [target], name=target, **attributes) for op, sources, target, attributes in nodes]
    values = [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()]
    sources = [helper.make_tensor_value_info(n, TensorProto.INT64 if n == "kind" else element, None) for n in inputs]
    target = helper.make_tensor_value_info(output, declared, None)
    made_graph = helper.make_graph(made, "g", sources, [target], values)
    return helper.make_model(made_graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def f4(values):
    return np.asarray(values, "f4")


def proven(nodes, constants=None, **options):
    return prove_predictor(graph(nodes, constants, **options), RANGES, "kind")


TAPS = f4([[[[1, -2, 1]]], [[[0.5, 0, 3]]]])  # (2 outputs, 1 input, 1, 3)
ROWS = f4([[1, 2, 3], [-9, 0.25, 0]])
SHAPE = np.array([1, 1, 1, 3])
PICKED = ("Gather", "w kind", "r", {})
PICKS = "'kind' may only pick rows of constants (Gather, axis 0)"
LOOKED_UP = [("Clip", "x low high", "c", {}), ("Gather", "t c", "y", {})]
SHAPED = ("Reshape", "r s", "k", {})
CLIPPED = {"low": f4(0), "high": f4(3), "t": f4([0, 8, -16, 4])}

BYTES = [
    ("Clip", "x low high", "c", {}),
    ("Cast", "c", "q", {"to": TensorProto.UINT8}),
    ("QLinearConv", "q one zero w scale zeros one zero b", "y", {}),
]
BYTE_CONSTANTS = {
    "low": f4(0),
    "high": f4(255),
    "one": f4(1),
    "zero": np.uint8(0),
    "w": np.array([[[[3]]], [[[-63]]]], "i1"),
    "scale": f4([0.25, 0.5]),
    "zeros": np.zeros(2, "i1"),
    "b": np.array([5, -7], "i4"),
}


@pytest.mark.parametrize(
    ("nodes", "constants", "expected"),
    [
        ([("Abs", "x", "y", {})], {}, Range(100.0, 0, 0.0)),
        ([("Relu", "x", "y", {})], {}, Range(100.0, 0, 0.0)),
        ([("Concat", "x m", "y", {"axis": 1})], {}, Range(100.0, 0)),
        ([("Abs", "x", "a", {}), ("Relu", "m", "b", {}), ("Concat", "a b", "y", {"axis": 1})], {}, Range(100.0, 0, 0.0)),
        ([("Mul", "m h", "a", {}), ("Concat", "x a", "y", {"axis": 1})], {"h": f4(0.25)}, Range(100.0, -2)),
        ([("Conv", "x w", "y", {})], {"w": TAPS}, Range(400.0, -1)),
        ([("Conv", "m w", "y", {})], {"w": TAPS * 4}, Range(112.0, 0)),
        ([("Conv", "x w b", "y", {})], {"w": TAPS, "b": f4([30, 60])}, Range(430.0, -1)),
        ([("Conv", "x w b", "y", {})], {"w": TAPS, "b": f4([0.125, 60])}, Range(410.0, -3)),
        ([("Clip", "x low high", "y", {})], {"low": f4(0), "high": f4(20)}, Range(20.0, 0, 0.0)),
        ([("Clip", "x low high", "y", {})], {"low": f4(-150), "high": f4(20)}, Range(100.0, 0, -150.0)),
        ([("Clip", "x low high", "y", {})], {"low": f4(-3), "high": f4(2.5)}, Range(3.0, -1, -3.0)),
        ([("Cast", "x", "y", {"to": TensorProto.INT32})], {}, Range(100.0, 0)),
        ([("Mul", "x h", "a", {}), ("Round", "a", "y", {})], {"h": f4(0.25)}, Range(26.0, 0)),
        ([("Mul", "x m", "y", {})], {}, Range(700.0, 0)),
        ([("Mul", "m h", "a", {}), ("Mul", "x a", "y", {})], {"h": f4(0.375)}, Range(262.5, -3)),
        ([("Abs", "m", "a", {}), ("Relu", "x", "b", {}), ("Mul", "a b", "y", {})], {}, Range(700.0, 0, 0.0)),
        # An index picks a row of constants: the worst of them counts.
        (
            [("Gather", "w kind", "r", {}), ("Reshape", "r s", "k", {}), ("Conv", "x k", "y", {})],
            {"w": ROWS, "s": SHAPE},
            Range(925.0, -2),
        ),
        (
            [
                ("Gather", "w kind", "r", {"axis": 0}),
                ("Cast", "r", "f", {"to": TensorProto.FLOAT}),
                ("Reshape", "f s", "k", {}),
                ("Conv", "m k", "y", {}),
            ],
            {"w": np.array([[5, 0, -5], [4, 4, 4]], "i2"), "s": SHAPE},
            Range(84.0, 0),
        ),
        (
            [
                ("Gather", "w kind", "r", {}),
                ("Reshape", "r s", "k", {}),
                ("Gather", "c kind", "b", {}),
                ("Reshape", "b one", "bias", {}),
                ("Conv", "x k bias", "y", {}),
            ],
            {"w": ROWS, "s": SHAPE, "c": f4([[1000], [0.5]]), "one": np.array([1])},
            Range(1600.0, -2),
        ),
        ([("Pad", "x p", "y", {"mode": "edge"})], {"p": np.zeros(8, "i8")}, Range(100.0, 0)),
        ([("Abs", "x", "a", {}), ("Pad", "a p", "y", {})], {"p": np.ones(8, "i8")}, Range(100.0, 0, 0.0)),
        ([("Slice", "x p p", "y", {})], {"p": np.ones(1, "i8")}, Range(100.0, 0)),
        ([*BYTES, ("Cast", "y", "f", {"to": TensorProto.FLOAT})], BYTE_CONSTANTS, Range(255.0, 0, 0.0)),
        (
            [("Clip", "x low high", "c", {}), ("Cast", "c", "i", {"to": TensorProto.INT64}), ("Gather", "t i", "y", {})],
            {"low": f4(0), "high": f4(3), "t": f4([0, 8, -16, 4])},
            Range(16.0, 0),
        ),
        (
            [("Clip", "x low high", "c", {}), ("Cast", "c", "i", {"to": TensorProto.INT32}), ("Gather", "t i", "y", {})],
            {"low": f4(1), "high": f4(2), "t": np.array([200, 8, 6], "u1")},
            Range(200.0, 0),
        ),
    ],
)
def test_ranges_follow_the_operators(nodes, constants, expected):
    assert proven(nodes, constants) == expected


@pytest.mark.parametrize(
    ("nodes", "constants", "message"),
    [
        ([("Clip", "x low", "y", {})], {"low": f4(0)}, "Clip node 'y': both limits must be given"),
        ([("Clip", "x low high", "y", {})], {"low": f4(3), "high": f4(2)}, "limits must be two numbers, the lower first"),
        ([("Clip", "x low high", "y", {})], {"low": f4([3, 3]), "high": f4(9)}, "limits must be two numbers, the lower first"),
        ([("Clip", "x low high", "y", {})], {"low": f4(np.nan), "high": f4(9)}, "limits must be two numbers, the lower first"),
        ([("Clip", "x m high", "y", {})], {"high": f4(9)}, "Clip node 'y': 'm' must be a constant"),
        ([("Conv", "x m", "y", {})], {}, "Conv node 'y': 'm' must be a constant"),
        ([("Conv", "w x", "y", {})], {"w": TAPS}, "Conv node 'y': 'x' must be a constant"),
        ([("Conv", "x w b", "y", {})], {"w": TAPS, "b": f4([1, 2, 3])}, "bias of (3,) for (2,) output channels"),
        ([("Conv", "x w", "y", {})], {"w": f4(np.ones((2, 3)))}, "weights must have 3 dimensions or more, not 2"),
        ([("Conv", "x w", "y", {})], {"w": f4(np.full((1, 1, 3, 3), 2.0**20))}, "need more than 24 bits"),
        ([("Conv", "x w", "y", {})], {"w": f4(np.full((1, 1, 1, 1), np.inf))}, "constants of an exact decoder must be finite"),
        ([("Concat", "x w", "y", {"axis": 1})], {"w": TAPS}, "Concat node 'y': 'w' must depend on the input"),
        ([("Cast", "x", "y", {"to": TensorProto.INT8})], {}, "only float32, float64, int32, int64 hold all that may come"),
        ([("Cast", "x", "y", {"to": TensorProto.UINT8})], {}, "uint8 what is in 0..255"),
        ([("Cast", "x", "y", {"to": TensorProto.FLOAT16})], {}, "only float32, float64, int32, int64 hold all that may come"),
        ([("Pad", "x p v", "y", {})], {"p": np.zeros(8, "i8"), "v": f4(9)}, "only zeros and the input's own values"),
        (BYTES, {**BYTE_CONSTANTS, "w": np.array([[[[65]]], [[[1]]]], "i1")}, "weights up to 65; over 64"),
        (BYTES, {**BYTE_CONSTANTS, "zero": np.uint8(1)}, "zero points must be 0"),
        (BYTES, {**BYTE_CONSTANTS, "zeros": np.array([0, 1], "i1")}, "zero points must be 0"),
        (BYTES, {**BYTE_CONSTANTS, "scale": f4([0.25, 0.3])}, "scales must be powers of two"),
        (BYTES, {**BYTE_CONSTANTS, "scale": f4([0.25, -0.5])}, "scales must be powers of two"),
        (BYTES, {**BYTE_CONSTANTS, "one": f4(3)}, "scales must be powers of two"),
        (BYTES, {**BYTE_CONSTANTS, "b": np.array([1 << 24, 0], "i4")}, "need more than the 24 bits"),
        (BYTES, {**BYTE_CONSTANTS, "w": np.full((2, 3000, 1, 1), 60, "i1")}, "need more than the 24 bits"),
        ([("Mul", "x h", "a", {}), ("Cast", "a", "y", {"to": TensorProto.INT32})], {"h": f4(0.5)}, "do not survive a cast"),
        ([("Gather", "t x", "y", {})], CLIPPED, "entries must be clipped to 0..3, the table's"),
        ([("Abs", "m", "a", {}), ("Gather", "t a", "y", {})], CLIPPED, "entries must be clipped to 0..3, the table's"),
        (
            [*LOOKED_UP],
            {**CLIPPED, "high": f4(4)},
            "entries must be clipped to 0..3",
        ),
        (
            [*LOOKED_UP],
            {**CLIPPED, "low": f4(-1)},
            "entries must be clipped to 0..3",
        ),
        (
            [*LOOKED_UP],
            {**CLIPPED, "low": f4(0.5)},
            "entries must be clipped to 0..3",
        ),
        (
            [*LOOKED_UP],
            {**CLIPPED, "t": f4([])},
            "entries must be clipped to 0..-1",
        ),
        ([("Mul", "x h", "a", {}), ("Mul", "a a", "y", {})], {"h": f4(1 + 2.0**-10)}, "Mul node 'y': values up to"),
        ([PICKED, ("Mul", "x r", "y", {})], {"w": ROWS}, "Mul node 'y': 'r' must be a constant"),
        ([PICKED, ("Add", "x r", "y", {})], {"w": ROWS}, "Add node 'y': 'r' must be a constant"),
        ([PICKED, ("Round", "r", "k", {}), ("Add", "x k", "y", {})], {"w": ROWS}, "Round node 'k': this operator is not allowed"),
        ([PICKED], {"w": ROWS}, "decoder output 'y' does not depend on the input"),
        ([("Gather", "w kind", "r", {"axis": 1}), ("Add", "x r", "y", {})], {"w": ROWS}, "'kind' may only pick rows of constants"),
        ([("Gather", "x kind", "y", {})], {}, PICKS),
        (
            [("Cast", "kind", "k", {"to": 1}), ("Add", "x k", "y", {})],
            {},
            PICKS,
        ),
        ([("Gather", "kind w", "y", {})], {"w": np.array([0])}, PICKS),
        ([("Add", "x kind", "y", {})], {}, PICKS),
        ([PICKED, SHAPED, ("Conv", "x k", "y", {})], {"w": ROWS, "s": np.array([2, 2, 2])}, "malformed"),
        (
            [PICKED, ("Gather", "w kind", "r2", {}), ("Reshape", "r r2", "y", {})],
            {"w": ROWS},
            "'r2' must be a constant",
        ),
    ],
)
def test_what_cannot_be_shown_is_refused_by_name(nodes, constants, message):
    with pytest.raises(ModelError) as caught:
        proven(nodes, constants)
    assert message in str(caught.value)


def test_inputs_must_be_those_of_a_predictor():
    nodes = [("Concat", "x m", "y", {"axis": 1})]
    for inputs in (("x", "m"), ("x", "m", "kind", "z"), ("x", "n", "kind")):
        with pytest.raises(ModelError, match="a predictor has the inputs x, m, kind and one output; found"):
            proven([("Abs", "x", "y", {})], inputs=inputs)
    with pytest.raises(ModelError, match="decoder input is float16; an exact decoder computes in float64 or float32"):
        proven(nodes, element=TensorProto.FLOAT16)
    assert proven(nodes) == Range(100.0, 0)
    with pytest.raises(ModelError, match="input 'x': values up to"):
        prove_predictor(graph(nodes), {"x": Range(2.0**24), "m": Range(1.0)}, "kind")


def test_constants_between_indices_are_folded_for_every_choice():
    nodes = [("Mul", "w h", "v", {}), ("Gather", "v kind", "r", {}), ("Reshape", "r s", "k", {}), ("Conv", "x k", "y", {})]
    assert proven(nodes, {"w": ROWS, "h": f4(4), "s": SHAPE}) == Range(3700.0, 0)


@pytest.mark.parametrize("values", [(10.0, 20.0), (-20.0, -10.0)])
def test_a_clip_that_moves_every_value_has_the_range_of_its_limits(values):
    low, high = values
    found = proven([("Clip", "m low high", "y", {})], {"low": f4(low), "high": f4(high)})
    assert found.bound >= 10.0


def test_a_table_looked_up_along_another_axis_is_refused():
    nodes = [("Clip", "x low high", "c", {}), ("Cast", "c", "i", {"to": TensorProto.INT32}), ("Gather", "t i", "y", {"axis": 1})]
    with pytest.raises(ModelError, match="Gather node 'y': a table is looked up along axis 0"):
        proven(nodes, {"low": f4(0), "high": f4(3), "t": f4(np.ones((4, 2)))})


WEIGHTS = {"w": np.random.default_rng(0).integers(-90, 91, (3, 2, 2, 3, 3)), "b": np.random.default_rng(1).integers(-9, 10, (3, 2))}


@pytest.mark.parametrize("optimise", [False, True])
@pytest.mark.parametrize("attributes", [{"pads": [1, 1, 1, 1]}, {"strides": [2, 1]}, {"dilations": [2, 2], "pads": [2, 2, 2, 2]}])
def test_proven_convolutions_give_the_same_bits_by_both_executors(optimise, attributes):
    nodes = [
        ("Concat", "x m", "both", {"axis": 1}),
        ("Gather", "w kind", "w1", {}),
        ("Reshape", "w1 ws", "wk", {}),
        ("Gather", "b kind", "b1", {}),
        ("Reshape", "b1 bs", "bk", {}),
        ("Conv", "both wk bk", "c", attributes),
        ("Mul", "c h", "d", {}),
        ("Round", "d", "y", {}),
    ]
    constants = {name: f4(array) for name, array in WEIGHTS.items()}
    data = graph(nodes, {**constants, "ws": np.array([2, 2, 3, 3]), "bs": np.array([2]), "h": f4(0.125)})
    assert prove_predictor(data, {"x": Range(4095.0), "m": Range(4095.0)}, "kind").grain == 0
    random = np.random.default_rng(3)
    first, second = OrtRun(data, "cpu", 2, optimise), ReferenceRun(data)
    for kind in range(3):
        fed = [random.choice([-4095.0, 4095.0, 1.0], (3, 1, 9, 11)).astype("f4") for _ in range(2)]
        assert first(*fed, np.array([kind])).tobytes() == second(*fed, np.array([kind])).tobytes()


@pytest.mark.parametrize("optimise", [False, True])
def test_proven_convolutions_of_bytes_are_those_of_whole_numbers(optimise):
    random = np.random.default_rng(0)
    weights, bias = random.integers(-64, 65, (6, 5, 3, 3)).astype("i1"), random.integers(-70000, 70000, (3, 6)).astype("i4")
    scale = np.exp2(-random.integers(3, 10, 6)).astype("f4")
    nodes = [
        *BYTES[:2],
        ("Gather", "b kind", "b1", {}),
        ("Reshape", "b1 bs", "bk", {}),
        ("QLinearConv", "q one zero w scale zeros one zero bk", "z", {"pads": [1, 1, 1, 1]}),
        ("Cast", "z", "y", {"to": TensorProto.FLOAT}),
    ]
    constants = {**BYTE_CONSTANTS, "w": weights, "scale": scale, "zeros": np.zeros(6, "i1"), "b": bias, "bs": np.array([6])}
    data = graph(nodes, constants, inputs=("x", "kind"))
    assert prove_predictor(data, {"x": Range(4095.0)}, "kind", 3) == Range(255.0, 0, 0.0)
    x = random.choice([0.0, 1.0, 100.0, 255.0, 300.0, -3.0], (2, 5, 7, 9)).astype("f4")
    padded = np.pad(np.clip(x, 0, 255), ((0, 0), (0, 0), (1, 1), (1, 1))).astype(np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    for kind in range(3):
        sums = np.einsum("ncijkl,ockl->noij", windows, weights.astype(np.int64)) + bias[kind].astype(np.int64)[:, None, None]
        expected = np.clip(np.rint(sums * scale.astype(np.float64)[:, None, None]), 0, 255)
        for run in (OrtRun(data, "cpu", 2, optimise), ReferenceRun(data)):
            np.testing.assert_array_equal(run(x, np.array([kind])), expected)


def test_the_new_rules_serve_decoders_too():
    data = graph([("Abs", "x", "y", {})], inputs=("x",))
    assert prove_exact(data, 9) == Range(9.0, 0, 0.0)


def test_a_signalling_nan_is_refused_without_a_warning():
    signalling = np.array([0x7FA00000], np.uint32).view(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ModelError, match="finite"):
            grain_of(signalling)
