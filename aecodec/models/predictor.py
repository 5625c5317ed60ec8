"""The residual predictor as an ONNX graph: what a value is expected to be, and how far off that may be, in exact integers.

    planes (N, P, lines, values) float32, magnitudes (N, 1, lines, values) float32, kind (1,) int64
        -> prediction (N, 2, lines, values) float32: mean to be added to the midpoint, and scale index

The interface serves any predictor that keeps to whole numbers, a network's as well as the one here, whose weights are
fitted by least squares: a 3 x 3 convolution for the mean, and for the scale a weighted sum of magnitudes, half of it
smoothed over 3 x 3, looked up in a table. `kind` picks the weights of a phase.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from aecodec.models.linear import IR_VERSION, OPSET
from aecodec.packing.scale import scale_index
from aecodec.phases import INPUT_LIMIT, PhaseLayout

MEAN_BITS = 9  # fraction of the mean's weights
SCALE_UNIT = 64  # table entries to a residual of 1
TABLE = 1 << 14
_LARGEST_SUM = 0.95 * (1 << 24) / INPUT_LIMIT


@dataclass(frozen=True)
class PredictorWeights:
    """Real weights in the units of the inputs.

    `mean` (kinds, P, 3, 3); `near` and `around` (kinds, P + 1): weights of magnitudes at the value and of their mean over
    3 x 3, in residuals per input unit; `floor` (kinds,): the least residual expected.
    """

    mean: np.ndarray
    near: np.ndarray
    around: np.ndarray
    floor: np.ndarray


def predictor_graph(layout: PhaseLayout, weights: PredictorWeights) -> bytes:
    """predictor.onnx: the weights rounded to integers, as fine as 24 bits of sum allow."""
    p, q = layout.inputs, 1
    mean = _within(np.rint(weights.mean * 2.0**MEAN_BITS), (1, 2, 3))
    around = weights.around / 9.0
    # The proof bounds the smoothing by ten times the larger of its two inputs.
    reach = 10.0 * float(np.stack([weights.near, around]).sum(axis=-1).max(initial=1e-9)) * SCALE_UNIT
    scale_bits = int(np.clip(np.floor(np.log2(_LARGEST_SUM / reach)), -6, 10))
    near_around = np.stack([weights.near, around], axis=1) * (SCALE_UNIT * 2.0**scale_bits)
    near_around = _within(np.rint(near_around), (2,), 10.5)
    floor = np.rint(np.clip(weights.floor, 0.0, 4.0) * (SCALE_UNIT * 2.0**scale_bits))
    bias = np.stack([floor, np.zeros_like(floor)], axis=1)
    smooth = np.zeros((1, 2, 3, 3), np.float32)
    smooth[0, 0, 1, 1], smooth[0, 1] = 1.0, 1.0
    table = scale_index(np.maximum(np.arange(TABLE), 0.5) / SCALE_UNIT)

    constants = [
        numpy_helper.from_array(mean.reshape(-1, 1, p, 3, 3).astype(np.int16), "mean_weights"),
        numpy_helper.from_array(near_around.reshape(-1, 2, p + q, 1, 1).astype(np.int16), "scale_weights"),
        numpy_helper.from_array(bias.astype(np.float32), "scale_bias"),
        numpy_helper.from_array(smooth, "smooth"),
        numpy_helper.from_array(table, "table"),
        _shape("mean_weights_shape", [1, p, 3, 3]),
        _shape("scale_weights_shape", [2, p + q, 1, 1]),
        _shape("scale_bias_shape", [2]),
        _scalar("mean_unit", 2.0**-MEAN_BITS),
        _scalar("scale_unit", 2.0**-scale_bits),
        _scalar("least", 0.0),
        _scalar("most", float(TABLE - 1)),
    ]
    node = helper.make_node
    nodes = [
        *_chosen("mean_weights"),
        node("Conv", ["planes", "mean_weights_k"], ["mean_sum"], pads=[1, 1, 1, 1]),
        node("Mul", ["mean_sum", "mean_unit"], ["mean_exact"]),
        node("Round", ["mean_exact"], ["mean"]),
        node("Abs", ["planes"], ["sizes"]),
        node("Concat", ["sizes", "magnitudes"], ["features"], axis=1),
        *_chosen("scale_weights"),
        *_chosen("scale_bias", cast=False),
        node("Conv", ["features", "scale_weights_k", "scale_bias_k"], ["near_around"]),
        node("Conv", ["near_around", "smooth"], ["scale_sum"], pads=[1, 1, 1, 1]),
        node("Mul", ["scale_sum", "scale_unit"], ["scale_exact"]),
        node("Round", ["scale_exact"], ["scale_whole"]),
        node("Clip", ["scale_whole", "least", "most"], ["scale_entry"]),
        node("Cast", ["scale_entry"], ["entry"], to=TensorProto.INT32),
        node("Gather", ["table", "entry"], ["index"], axis=0),
        node("Cast", ["index"], ["scale_index"], to=TensorProto.FLOAT),
        node("Concat", ["mean", "scale_index"], ["prediction"], axis=1),
    ]
    inputs = [
        helper.make_tensor_value_info("planes", TensorProto.FLOAT, ["n", p, "lines", "values"]),
        helper.make_tensor_value_info("magnitudes", TensorProto.FLOAT, ["n", q, "lines", "values"]),
        helper.make_tensor_value_info("kind", TensorProto.INT64, [1]),
    ]
    output = helper.make_tensor_value_info("prediction", TensorProto.FLOAT, ["n", 2, "lines", "values"])
    graph = helper.make_graph(nodes, "predictor", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _chosen(name: str, cast: bool = True) -> list[onnx.NodeProto]:
    """Nodes that make `name`_k, of shape `name`_shape, from the row of the constant `name` that `kind` picks."""
    rows = f"{name}_row" if cast else f"{name}_row_float"
    nodes = [helper.make_node("Gather", [name, "kind"], [rows], axis=0)]
    if cast:
        nodes.append(helper.make_node("Cast", [rows], [f"{name}_row_float"], to=TensorProto.FLOAT))
    return [*nodes, helper.make_node("Reshape", [f"{name}_row_float", f"{name}_shape"], [f"{name}_k"])]


def _within(weights: np.ndarray, axes: tuple[int, ...], gain: float = 1.0) -> np.ndarray:
    """Whole-number weights (kinds, ...), shrunk where the sum over `axes` would leave 24 bits or int16."""
    total = (np.abs(weights) * gain).sum(axis=axes, keepdims=True)
    shrink = np.minimum(1.0, _LARGEST_SUM / np.maximum(total, 1.0))
    return np.asarray(np.clip(np.where(shrink < 1.0, np.trunc(weights * shrink), weights), -32767, 32767))


def _shape(name: str, sizes: list[int]) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(sizes, np.int64), name)


def _scalar(name: str, value: float) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(value, np.float32), name)
