"""The reference executor's own operators give what onnx's do, bit for bit on whole numbers."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from aecodec.runtime.reference import ReferenceRun


def graph_of(weights, bias, **attributes):
    names = ["x", "w", "b"][: 3 if bias is not None else 2]
    node = helper.make_node("ConvTranspose", names, ["y"], **attributes)
    constants = [numpy_helper.from_array(weights, "w")]
    if bias is not None:
        constants.append(numpy_helper.from_array(bias, "b"))
    source = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", weights.shape[0], "h", "w"])
    target = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "g", [source], [target], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    "attributes",
    [
        {"pads": [1, 1, 1, 1]},
        {"pads": [0, 1, 2, 0]},
        {"pads": [1, 1, 1, 1], "strides": [2, 2]},
        {},
    ],
)
def test_transposed_convolutions(attributes, bias):
    random = np.random.default_rng(0)
    weights = random.integers(-99, 100, (4, 2, 3, 3)).astype("f4")
    model = graph_of(weights, random.integers(-9, 10, 2).astype("f4") if bias else None, **attributes)
    x = random.integers(-999, 1000, (2, 4, 5, 7)).astype("f4")
    expected = ReferenceEvaluator(model).run(None, {"x": x})[0]
    found = ReferenceRun(model.SerializeToString())(x)
    assert found.shape == expected.shape
    assert np.array_equal(found, expected)
