"""The residual predictor as an ONNX graph: what a value is expected to be, and how far off that may be, in exact integers.

    planes (N, P, lines, values) float32, kind (1,) int64
        -> prediction (N, 2 or 3, lines, values) float32: mean to be added to the midpoint, magnitude expected, in 64ths, and, where
           the layout has zeros, the index of the odds that the value is 0

The interface serves any predictor that keeps to whole numbers, a network's as well as the one here, whose weights are
fitted by least squares: a 3 x 3 convolution of the planes for the mean, and one of their magnitudes for the scale. `kind`
picks the weights of a phase. Convolutions with one output are written as transposed ones, which ONNX Runtime runs three
times as fast: it multiplies first and shifts then, so that nothing is copied nine times.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from aecodec.models.linear import IR_VERSION, OPSET
from aecodec.phases import INPUT_LIMIT, LARGEST_MAGNITUDE, MAGNITUDE_UNIT, PhaseLayout

MEAN_BITS = 9  # fraction of the mean's weights
_LARGEST_SUM = 0.95 * (1 << 24) / INPUT_LIMIT


@dataclass(frozen=True)
class PredictorWeights:
    """Real weights in the units of the inputs.

    `mean` (kinds, P, 3, 3); `near` and `around` (kinds, P): weights of magnitudes at the value and of their mean over
    3 x 3, in residuals per input unit; `floor` (kinds,): the least residual expected.
    """

    mean: np.ndarray
    near: np.ndarray
    around: np.ndarray
    floor: np.ndarray


@dataclass(frozen=True)
class WholeWeights:
    """The same rounded to integers, as fine as 24 bits of sum allow: units of 2**-MEAN_BITS, and of 2**-`scale_bits` 64ths.

    `mean`, `scale` float64 (kinds, P, 3, 3); `floor` float64 (kinds,).
    """

    mean: np.ndarray
    scale: np.ndarray
    floor: np.ndarray
    scale_bits: int


def whole_weights(weights: PredictorWeights) -> WholeWeights:
    """Round real weights."""
    scale = np.repeat(np.repeat(weights.around[:, :, None, None] / 9.0, 3, axis=2), 3, axis=3)
    scale[:, :, 1, 1] += weights.near
    scale *= MAGNITUDE_UNIT
    reach = float(scale.sum(axis=(1, 2, 3)).max(initial=1e-9))
    bits = int(np.clip(np.floor(np.log2(_LARGEST_SUM / reach)), -6, 10))
    floor = np.rint(np.clip(weights.floor, 0.0, 4.0) * (MAGNITUDE_UNIT * 2.0**bits))
    return WholeWeights(_within(np.rint(weights.mean * 2.0**MEAN_BITS)), _within(np.rint(scale * 2.0**bits)), floor, bits)


def predictor_graph(layout: PhaseLayout, weights: PredictorWeights) -> bytes:
    """predictor.onnx: the weights rounded to integers, as fine as 24 bits of sum allow."""
    return whole_graph(layout, whole_weights(weights))


def whole_graph(layout: PhaseLayout, weights: WholeWeights) -> bytes:
    """The same of weights that are whole numbers already."""
    nodes, constants = linear_nodes(layout, weights)
    node = helper.make_node
    nodes += [
        node("Mul", ["mean_sum", "mean_unit"], ["mean_exact"]),
        node("Round", ["mean_exact"], ["mean"]),
        node("Concat", ["mean", "magnitude"], ["prediction"], axis=1),
    ]
    return finished_graph(layout, nodes, [*constants, scalar("mean_unit", 2.0**-MEAN_BITS)])


def linear_nodes(layout: PhaseLayout, weights: WholeWeights) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Nodes from `planes` and `kind` to `mean_sum` (N, 1, lines, values), in units of 2**-MEAN_BITS, and `magnitude`; constants."""
    constants = [
        numpy_helper.from_array(_transposed(weights.mean), "mean_weights"),
        numpy_helper.from_array(_transposed(weights.scale), "scale_weights"),
        numpy_helper.from_array(weights.floor.astype(np.float32), "scale_bias"),
        shape_of("weights_shape", [layout.inputs, 1, 3, 3]),
        shape_of("bias_shape", [1]),
        scalar("scale_unit", 2.0**-weights.scale_bits),
        scalar("least", 0.0),
        scalar("most", float(LARGEST_MAGNITUDE)),
    ]
    node = helper.make_node
    nodes = [
        *chosen("mean_weights", "weights_shape"),
        node("ConvTranspose", ["planes", "mean_weights_k"], ["mean_sum"], pads=[1, 1, 1, 1]),
        node("Abs", ["planes"], ["sizes"]),
        *chosen("scale_weights", "weights_shape"),
        *chosen("scale_bias", "bias_shape", cast=False),
        node("ConvTranspose", ["sizes", "scale_weights_k", "scale_bias_k"], ["scale_sum"], pads=[1, 1, 1, 1]),
        node("Mul", ["scale_sum", "scale_unit"], ["scale_exact"]),
        node("Round", ["scale_exact"], ["scale_whole"]),
        node("Clip", ["scale_whole", "least", "most"], ["magnitude"]),
    ]
    return nodes, constants


def finished_graph(layout: PhaseLayout, nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto]) -> bytes:
    """The graph from `planes` and `kind` to `prediction`, checked; the same bytes each time."""
    inputs = [
        helper.make_tensor_value_info("planes", TensorProto.FLOAT, ["n", layout.inputs, "lines", "values"]),
        helper.make_tensor_value_info("kind", TensorProto.INT64, [1]),
    ]
    output = helper.make_tensor_value_info("prediction", TensorProto.FLOAT, ["n", layout.outputs, "lines", "values"])
    graph = helper.make_graph(nodes, "predictor", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _transposed(weights: np.ndarray) -> np.ndarray:
    """Weights (kinds, P, 3, 3) of a convolution with one output as those of a transposed one: int16 (kinds, P, 1, 3, 3)."""
    return np.ascontiguousarray(weights[:, :, None, ::-1, ::-1]).astype(np.int16)


def chosen(name: str, shape: str, cast: bool = True) -> list[onnx.NodeProto]:
    """Nodes that make `name`_k, of the shape named, from the row of the constant `name` that `kind` picks."""
    rows = f"{name}_row" if cast else f"{name}_row_float"
    nodes = [helper.make_node("Gather", [name, "kind"], [rows], axis=0)]
    if cast:
        nodes.append(helper.make_node("Cast", [rows], [f"{name}_row_float"], to=TensorProto.FLOAT))
    return [*nodes, helper.make_node("Reshape", [f"{name}_row_float", shape], [f"{name}_k"])]


def _within(weights: np.ndarray) -> np.ndarray:
    """Whole-number weights (kinds, ...), shrunk where their sum over one kind would leave 24 bits or int16."""
    total = np.abs(weights).sum(axis=tuple(range(1, weights.ndim)), keepdims=True)
    shrink = np.minimum(1.0, _LARGEST_SUM / np.maximum(total, 1.0))
    return np.asarray(np.clip(np.where(shrink < 1.0, np.trunc(weights * shrink), weights), -32767, 32767))


def shape_of(name: str, sizes: list[int]) -> onnx.TensorProto:
    """A constant for Reshape."""
    return numpy_helper.from_array(np.array(sizes, np.int64), name)


def scalar(name: str, value: float) -> onnx.TensorProto:
    """A float32 constant without dimensions."""
    return numpy_helper.from_array(np.array(value, np.float32), name)
