"""Small ONNX graphs, sound and hostile, for the tests of what may run."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

FLOAT, DOUBLE = TensorProto.FLOAT, TensorProto.DOUBLE


def model_of(nodes, constants=None, x=("n", 4), y=None, element=FLOAT, opset=17, target=None):
    """ModelProto of `nodes` from "x" to "y"; `constants` are arrays by name. `y`: the shape that the output declares, if any."""
    values = [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()]
    source = helper.make_tensor_value_info("x", element, list(x))
    output = helper.make_tensor_value_info("y", element if target is None else target, y)
    made = helper.make_graph(nodes, "g", [source], [output], values)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def graph_of(*arguments, **keywords):
    """The bytes of `model_of`."""
    return model_of(*arguments, **keywords).SerializeToString()


def node(op, inputs="x", output="y", **attributes):
    """A node; `inputs` are names with spaces between, "-" for an absent one."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(op, names, [output], **attributes)


def ints(*numbers):
    """A constant of int64."""
    return np.array(numbers, np.int64)


def floats(*shape):
    """A constant of float32, positive numbers below 1."""
    return np.random.default_rng(0).uniform(0.1, 0.9, shape).astype(np.float32)
