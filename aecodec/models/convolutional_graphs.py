"""The convolutional autoencoder in closed form as ONNX graphs: rectified, normalised, pooled filters, then a linear map; and back.

encoder: x (n, 1, C, Y, X) float32 -> responses of filters, both signs -> divided by their mean square -> means of cells,
         rooted, with the cells' means of x -> y (n, latents) float32
decoder: y_hat (n, latents) float64, integers -> x_hat (n, 1, C, Y, X) float64, integers, in latent units
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from aecodec.models.linear import IR_VERSION, OPSET


@dataclass(frozen=True)
class Filters:
    """`weight` (filters, C, size, size) float32; `floor`: added to the root mean square of a place; `cell`: what is pooled."""

    weight: np.ndarray
    floor: float
    cell: tuple[int, int]


def feature_graph(tile: tuple[int, int, int, int], filters: Filters) -> bytes:
    """x -> features (n, count), before any linear map."""
    nodes, constants = _features(tile, filters)
    return _model("features", nodes, constants, _x(tile), helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", None]))


def encoder_graph(tile: tuple[int, int, int, int], filters: Filters, mean: np.ndarray, projection: np.ndarray) -> bytes:
    """encoder.onnx. `mean` (count,), `projection` (count, latents): y = (features - mean) @ projection."""
    nodes, constants = _features(tile, filters)
    constants.append(numpy_helper.from_array(projection.astype(np.float32), "projection"))
    constants.append(numpy_helper.from_array((-mean @ projection).astype(np.float32), "middle"))
    nodes += [
        helper.make_node("MatMul", ["features", "projection"], ["projected"]),
        helper.make_node("Add", ["projected", "middle"], ["y"]),
    ]
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", projection.shape[1]])
    return _model("encoder", nodes, constants, _x(tile), y)


def decoder_graph(tile: tuple[int, int, int, int], weight: np.ndarray, bias: np.ndarray, bits: int) -> bytes:
    """decoder.onnx. `weight` (latents, values), `bias` (values,): whole numbers, scaled by 2**bits; every sum is of integers."""
    constants = [
        numpy_helper.from_array(weight.astype(np.int32), "whole_weight"),
        numpy_helper.from_array(bias.astype(np.float64), "bias"),
        numpy_helper.from_array(np.array(2.0**-bits), "descale"),
        numpy_helper.from_array(np.array([-1, *tile], np.int64), "x_shape"),
    ]
    nodes = [
        helper.make_node("Cast", ["whole_weight"], ["weight"], to=TensorProto.DOUBLE),
        helper.make_node("MatMul", ["y_hat", "weight"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["sum"]),
        helper.make_node("Mul", ["sum", "descale"], ["exact"]),
        helper.make_node("Round", ["exact"], ["flat"]),
        helper.make_node("Reshape", ["flat", "x_shape"], ["x_hat"]),
    ]
    y = helper.make_tensor_value_info("y_hat", TensorProto.DOUBLE, ["n", len(weight)])
    x = helper.make_tensor_value_info("x_hat", TensorProto.DOUBLE, ["n", *tile])
    return _model("decoder", nodes, constants, y, x)


def _features(tile: tuple[int, int, int, int], filters: Filters) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    pad, (rows, columns) = filters.weight.shape[-1] // 2, filters.cell
    both = np.concatenate([filters.weight, -filters.weight]).astype(np.float32)
    constants = [
        numpy_helper.from_array(both, "filters"),
        numpy_helper.from_array(np.array(filters.floor, np.float32), "floor"),
        numpy_helper.from_array(np.array([-1, *tile[1:]], np.int64), "image_shape"),
        numpy_helper.from_array(np.array([0, -1], np.int64), "flat_shape"),
    ]
    # Cells of responses overlap, so that what moves a little stays in one.
    margin = [rows // 4, columns // 4]
    wide: dict[str, Any] = {"kernel_shape": [rows + 2 * margin[0], columns + 2 * margin[1]], "strides": [rows, columns]}
    wide |= {"pads": _pads(tile, filters.cell, margin), "count_include_pad": 1}
    plain: dict[str, Any] = {"kernel_shape": [rows, columns], "strides": [rows, columns], "count_include_pad": 1}
    plain["pads"] = _pads(tile, filters.cell, [0, 0])
    nodes = [
        helper.make_node("Reshape", ["x", "image_shape"], ["image"]),
        helper.make_node("Conv", ["image", "filters"], ["responses"], pads=[pad] * 4),
        helper.make_node("Relu", ["responses"], ["rectified"]),
        helper.make_node("Mul", ["rectified", "rectified"], ["energy"]),
        helper.make_node("ReduceMean", ["energy"], ["mean_energy"], axes=[1], keepdims=1),
        helper.make_node("Sqrt", ["mean_energy"], ["strength"]),
        helper.make_node("Add", ["strength", "floor"], ["divisor"]),
        helper.make_node("Div", ["rectified", "divisor"], ["normalised"]),
        helper.make_node("AveragePool", ["normalised"], ["pooled"], **wide),
        helper.make_node("Sqrt", ["pooled"], ["rooted"]),
        helper.make_node("Reshape", ["rooted", "flat_shape"], ["shapes"]),
        helper.make_node("AveragePool", ["image"], ["coarse"], **plain),
        helper.make_node("Reshape", ["coarse", "flat_shape"], ["levels"]),
        helper.make_node("Concat", ["shapes", "levels"], ["features"], axis=1),
    ]
    return nodes, constants


def _pads(tile: tuple[int, int, int, int], cell: tuple[int, int], margin: list[int]) -> list[int]:
    """Top, left, bottom, right: the margin, and what completes the last cell."""
    missing = [-size % side for size, side in zip(tile[2:], cell, strict=True)]
    return [*margin, *(m + more for m, more in zip(margin, missing, strict=True))]


def _x(tile: tuple[int, int, int, int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *tile])


def _model(
    name: str,
    nodes: list[onnx.NodeProto],
    constants: list[onnx.TensorProto],
    source: onnx.ValueInfoProto,
    target: onnx.ValueInfoProto,
) -> bytes:
    graph = helper.make_graph(nodes, name, [source], [target], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))
