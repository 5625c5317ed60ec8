"""The proof of exactness: what it accepts, what it refuses, and what it says."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from aecodec.errors import ModelError
from aecodec.models.exact import Range, prove_exact

FLOATS = {"f8": TensorProto.DOUBLE, "f4": TensorProto.FLOAT}


def graph(nodes, constants, dtype="f8", inputs=("x",), outputs=("y",), element=None):
    """A decoder-like graph; nodes as (operator, inputs, output, attributes), constants as {name: array}."""
    element = FLOATS[dtype] if element is None else element
    made = [helper.make_node(op, list(sources), [target], name=target, **attributes) for op, sources, target, attributes in nodes]
    values = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    sources = [helper.make_tensor_value_info(name, element, None) for name in inputs]
    targets = [helper.make_tensor_value_info(name, element, None) for name in outputs]
    made_graph = helper.make_graph(made, "g", sources, targets, values)
    return helper.make_model(made_graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def one(op, constant, dtype="f8", left=False, **attributes):
    sources = ("w", "x") if left else ("x", "w")
    return graph([(op, sources, "y", attributes)], {"w": np.asarray(constant, dtype)}, dtype)


@pytest.mark.parametrize(
    ("data", "limit", "expected"),
    [
        (one("MatMul", [[3, -4], [5, 1]]), 10, Range(80.0, 0)),
        (one("MatMul", [[3, -4], [5, 1]], left=True), 10, Range(70.0, 0)),
        (one("MatMul", [[0.5], [0.25]]), 8, Range(6.0, -2)),
        (one("Add", [-7.0, 3.0]), 10, Range(17.0, 0)),
        (one("Add", [0.5]), 10, Range(10.5, -1)),
        (one("Mul", 0.125), 8, Range(1.0, -3)),
        (one("Mul", 4.0), 8, Range(32.0, 2)),
        (one("Mul", 3.0), 8, Range(24.0, 0)),
        (one("Mul", [-2.0, 0.5]), 8, Range(16.0, -1)),
        (graph([("Round", ["x"], "y", {})], {}), 8, Range(8.0, 0)),
        (graph([("Add", ["x", "x"], "y", {})], {}), 8, Range(16.0, 0)),
        (graph([("Gather", ["x", "w"], "y", {"axis": 1})], {"w": np.array([1, 0], "i4")}), 8, Range(8.0, 0)),
        (graph([("Reshape", ["x", "w"], "y", {})], {"w": np.array([-1], "i8")}), 8, Range(8.0, 0)),
        (graph([("Transpose", ["x"], "y", {"perm": [1, 0]})], {}), 8, Range(8.0, 0)),
    ],
)
def test_ranges_follow_the_operators(data, limit, expected):
    assert prove_exact(data, limit) == expected


def test_rounding_ends_fractions():
    data = graph([("Mul", ["x", "w"], "m", {}), ("Round", ["m"], "y", {})], {"w": np.array(2.0**-4)})
    assert prove_exact(data, 160) == Range(11.0, 0)


@pytest.mark.parametrize(("dtype", "bits"), [("f8", 53), ("f4", 24)])
def test_sums_must_stay_under_the_mantissa(dtype, bits):
    assert prove_exact(one("MatMul", [[2.0], [1.0]], dtype), (2**bits - 1) // 3).bound < 2.0**bits
    with pytest.raises(ModelError) as caught:
        prove_exact(one("MatMul", [[2.0], [2.0]], dtype), 2 ** (bits - 2))
    assert str(caught.value) == (
        f"MatMul node 'y': values up to {2.0**bits:g} in steps of 2**0 need more than {bits} bits; "
        "lower the latent limit or the precision of the weights"
    )


def test_the_worst_output_of_a_matmul_counts_not_the_mean():
    weights = np.zeros((100, 100))
    weights[:, 37] = 2.0**20
    with pytest.raises(ModelError, match="need more than 53 bits"):
        prove_exact(one("MatMul", weights), 2**30)


def test_fine_weights_cost_bits():
    assert prove_exact(one("MatMul", [[1.0 + 2.0**-20]]), 2**30)
    with pytest.raises(ModelError, match=r"in steps of 2\*\*-30 need more than 53 bits"):
        prove_exact(one("MatMul", [[1.0 + 2.0**-30]]), 2**30)
    with pytest.raises(ModelError, match="need more than 53 bits"):
        prove_exact(one("MatMul", [[0.1]]), 2**10)


def test_the_input_itself_must_fit():
    with pytest.raises(ModelError, match=r"input 'x': values up to 1.67772e\+07 in steps of 2\*\*0 need more than 24 bits"):
        prove_exact(one("Add", [1.0], "f4"), 2**24)


TOO_LARGE = (
    "Mul node 'y': values up to 1e+16 in steps of 2**0 need more than 53 bits; "
    "lower the latent limit or the precision of the weights"
)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            graph([("MatMul", ["x", "x"], "y", {})], {}),
            "MatMul node 'y': 'x' must be a constant",
        ),
        (
            graph([("Mul", ["x", "x"], "a", {}), ("Mul", ["a", "a"], "b", {}), ("Mul", ["b", "b"], "y", {})], {}),
            TOO_LARGE,
        ),
        (
            graph([("Gather", ["x", "x"], "y", {})], {}),
            "Gather node 'y': 'x' must be a constant",
        ),
        (one("MatMul", np.ones((2, 2, 2))), "MatMul node 'y': weights must have 2 dimensions, not 3"),
        (one("Mul", [np.inf, 1.0]), "constants of an exact decoder must be finite"),
        (one("Add", [np.nan]), "constants of an exact decoder must be finite"),
        (one("Mul", 2.0**-70 * 3), "constants of an exact decoder must be multiples of 2**-60"),
        (
            graph([("Add", ["x", "z"], "y", {})], {}),
            "Add node 'y': input 'z' is not defined before it",
        ),
        (
            graph([("Round", ["w"], "y", {})], {"w": np.ones(3)}),
            "decoder output 'y' does not depend on the input",
        ),
        (
            graph([("Add", ["x", "w"], "y", {})], {"w": np.ones(1)}, inputs=("x", "z")),
            "a decoder has one input and one output, this graph has 2 and 1",
        ),
        (
            graph([("Add", ["x", "w"], "y", {})], {"w": np.ones(1)}, outputs=("y", "x")),
            "a decoder has one input and one output, this graph has 1 and 2",
        ),
        (
            graph([("Add", ["x", "w"], "y", {})], {"w": np.ones(1, "f2")}, element=TensorProto.FLOAT16),
            "decoder input is float16; an exact decoder computes in float64 or float32",
        ),
        (
            graph([("Exp", ["w"], "v", {}), ("Mul", ["x", "v"], "y", {})], {"w": np.ones(1)}),
            "Exp node 'v': this operator is not allowed on constants of an exact decoder",
        ),
    ],
)
def test_what_cannot_be_shown_is_refused_by_name(data, message):
    with pytest.raises(ModelError) as caught:
        prove_exact(data, 100)
    assert str(caught.value) == message


@pytest.mark.parametrize("operator", ["Exp", "Tanh", "Sigmoid", "Sqrt", "Softmax", "ReduceSum", "Reciprocal"])
def test_operators_that_differ_between_libraries_are_refused(operator):
    with pytest.raises(ModelError) as caught:
        prove_exact(graph([(operator, ["x"], "y", {})], {}), 100)
    assert str(caught.value).startswith(f"{operator} node 'y': exactness of this operator cannot be shown; allowed are Abs, Add, ")


def test_division_is_refused():
    with pytest.raises(ModelError, match="Div node 'y': exactness of this operator cannot be shown"):
        prove_exact(one("Div", 3.0), 100)


def test_operators_of_other_domains_are_refused():
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="mine", domain="com.example")
    model = onnx.load_model_from_string(one("MatMul", [[1.0]]))
    del model.graph.node[:]
    model.graph.node.append(node)
    with pytest.raises(ModelError) as caught:
        prove_exact(model.SerializeToString(), 100)
    assert str(caught.value) == ("MatMul node 'mine': only single-output operators of the standard domain can be proven exact")


def test_large_folded_constants_are_refused_before_they_are_computed():
    data = graph(
        [("Mul", ["a", "b"], "c", {}), ("Mul", ["x", "c"], "y", {})],
        {"a": np.ones((1 << 20, 1), "f4"), "b": np.ones((1, 1 << 20), "f4")},
        "f4",
    )
    with pytest.raises(ModelError) as caught:
        prove_exact(data, 100)
    assert str(caught.value) == "Mul node 'c': constant of 1099511627776 elements, at most 67108864 are allowed"


def test_casts_and_products_of_constants_are_folded():
    data = graph(
        [
            ("Cast", ["w"], "v", {"to": TensorProto.DOUBLE}),
            ("Mul", ["v", "s"], "u", {}),
            ("Round", ["u"], "r", {}),
            ("Transpose", ["r"], "p", {"perm": [1, 0]}),
            ("Reshape", ["p", "n"], "q", {}),
            ("MatMul", ["x", "q"], "y", {}),
        ],
        {"w": np.array([[5, 7]], "i4"), "s": np.array(0.5), "n": np.array([1, 2])},
    )
    assert prove_exact(data, 10) == Range(40.0, 0)


def test_a_fitted_decoder_is_proven_at_its_own_limit_and_not_far_beyond(model):
    manifest = model.manifest
    assert manifest.exact
    assert prove_exact(model.bundle.decoder, manifest.latent_limit).grain == 0
    with pytest.raises(ModelError, match="need more than 53 bits"):
        prove_exact(model.bundle.decoder, manifest.latent_limit * 2**20)
