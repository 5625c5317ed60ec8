"""The linear autoencoder as ONNX graphs: KLT across the steps and channels of a tile, DCT across its rows and columns.

Both graphs hold the same integer constants; the encoder uses their transposes, so it is the decoder's inverse up to rounding.

    encoder: x (tiles, T, C, Y, X) float32 -> y (tiles, latents) float32
    decoder: y_hat (tiles, latents) float64, integers -> x_hat (tiles, T, C, Y, X) float64, integers, in latent units
"""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17  # the lowest with all that is used; IR version 8 goes with it
IR_VERSION = 8
AXIS_BITS = 20  # precision of the one-dimensional DCT constants


@dataclass(frozen=True)
class LinearWeights:
    """Integer constants of both graphs.

    `channel_basis` (K, K) int32 with K = T * C, rows are latents, scaled by 2**bits; `row_basis` (Y, Y) and `column_basis`
    (X, X) int32, rows are frequencies, scaled by 2**AXIS_BITS; `order` (latents,) int32: the natural index (frequency major,
    then KLT component) of each latent, latents sorted by falling spread.
    """

    tile: tuple[int, int, int, int]
    bits: int
    channel_basis: np.ndarray
    row_basis: np.ndarray
    column_basis: np.ndarray
    order: np.ndarray

    @property
    def latents(self) -> int:
        """Latents of a tile."""
        return int(np.prod(self.tile))


def dct_matrix(size: int) -> np.ndarray:
    """Orthonormal DCT-II, rows are frequencies; float64 (size, size)."""
    k, n = np.arange(size)[:, None], np.arange(size)[None, :]
    basis = np.cos(np.pi * (2 * n + 1) * k / (2 * size)) * np.sqrt(2.0 / size)
    basis[0] /= np.sqrt(2.0)
    return np.asarray(basis)


def encoder_graph(weights: LinearWeights) -> bytes:
    """encoder.onnx."""
    tile = weights.tile
    k, f = tile[0] * tile[1], tile[2] * tile[3]
    nodes, constants = _bases(weights, TensorProto.FLOAT)
    constants += [_shape("x_shape", [-1, k, f]), _shape("y_shape", [-1, weights.latents]), _order("order", weights.order)]
    # Two dimensions before each MatMul: one large product, where a fused transpose would make one small one per tile.
    constants.append(_shape("vector_shape", [-1, k]))
    scale = np.float32(2.0 ** (-2 * weights.bits))
    constants.append(numpy_helper.from_array(np.array(scale), "scale"))
    nodes += [
        helper.make_node("Transpose", ["space"], ["space_t"], perm=[1, 0]),
        helper.make_node("Transpose", ["channels"], ["channels_t"], perm=[1, 0]),
        helper.make_node("Reshape", ["x", "x_shape"], ["x_flat"]),
        helper.make_node("MatMul", ["x_flat", "space_t"], ["frequencies"]),
        helper.make_node("Transpose", ["frequencies"], ["transposed"], perm=[0, 2, 1]),
        helper.make_node("Reshape", ["transposed", "vector_shape"], ["by_frequency"]),
        helper.make_node("MatMul", ["by_frequency", "channels_t"], ["components"]),
        helper.make_node("Reshape", ["components", "y_shape"], ["natural"]),
        helper.make_node("Gather", ["natural", "order"], ["ordered"], axis=1),
        helper.make_node("Mul", ["ordered", "scale"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["tiles", *tile])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["tiles", weights.latents])
    return _model("encoder", nodes, constants, x, y)


def decoder_graph(weights: LinearWeights) -> bytes:
    """decoder.onnx; every sum in it is one of integers."""
    tile = weights.tile
    k, f = tile[0] * tile[1], tile[2] * tile[3]
    nodes, constants = _bases(weights, TensorProto.DOUBLE)
    constants += [_shape("y_shape", [-1, f, k]), _shape("x_shape", [-1, *tile]), _shape("vector_shape", [-1, f])]
    constants += [_order("position", np.argsort(weights.order)), _double("descale", 2.0**-weights.bits)]
    nodes += [
        helper.make_node("Gather", ["y_hat", "position"], ["natural"], axis=1),
        helper.make_node("Reshape", ["natural", "y_shape"], ["components"]),
        helper.make_node("MatMul", ["components", "channels"], ["scaled_channels"]),
        helper.make_node("Mul", ["scaled_channels", "descale"], ["exact_channels"]),
        helper.make_node("Round", ["exact_channels"], ["by_frequency"]),
        helper.make_node("Transpose", ["by_frequency"], ["transposed"], perm=[0, 2, 1]),
        helper.make_node("Reshape", ["transposed", "vector_shape"], ["frequencies"]),
        helper.make_node("MatMul", ["frequencies", "space"], ["scaled_space"]),
        helper.make_node("Mul", ["scaled_space", "descale"], ["exact_space"]),
        helper.make_node("Round", ["exact_space"], ["x_flat"]),
        helper.make_node("Reshape", ["x_flat", "x_shape"], ["x_hat"]),
    ]
    y = helper.make_tensor_value_info("y_hat", TensorProto.DOUBLE, ["tiles", weights.latents])
    x = helper.make_tensor_value_info("x_hat", TensorProto.DOUBLE, ["tiles", *tile])
    return _model("decoder", nodes, constants, y, x)


def _bases(weights: LinearWeights, element: int) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Nodes that make "space" (frequency, pixel) and "channels" (component, channel) from the stored integers."""
    y, x = weights.tile[2], weights.tile[3]
    constants = [
        numpy_helper.from_array(weights.row_basis.astype(np.int32), "row_basis"),
        numpy_helper.from_array(weights.column_basis.astype(np.int32), "column_basis"),
        numpy_helper.from_array(weights.channel_basis.astype(np.int32), "channel_basis"),
        _double("space_scale", 2.0 ** (weights.bits - 2 * AXIS_BITS)),
        _shape("row_shape", [y, 1, y, 1]),
        _shape("column_shape", [1, x, 1, x]),
        _shape("space_shape", [y * x, y * x]),
    ]
    nodes = [
        helper.make_node("Cast", ["row_basis"], ["row_float"], to=TensorProto.DOUBLE),
        helper.make_node("Cast", ["column_basis"], ["column_float"], to=TensorProto.DOUBLE),
        helper.make_node("Reshape", ["row_float", "row_shape"], ["rows"]),
        helper.make_node("Reshape", ["column_float", "column_shape"], ["columns"]),
        helper.make_node("Mul", ["rows", "columns"], ["space_fine"]),
        helper.make_node("Mul", ["space_fine", "space_scale"], ["space_scaled"]),
        helper.make_node("Round", ["space_scaled"], ["space_rounded"]),
        helper.make_node("Cast", ["space_rounded"], ["space_4d"], to=element),
        helper.make_node("Reshape", ["space_4d", "space_shape"], ["space"]),
        helper.make_node("Cast", ["channel_basis"], ["channels"], to=element),
    ]
    return nodes, constants


def _shape(name: str, sizes: list[int]) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(sizes, np.int64), name)


def _order(name: str, indices: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(indices.astype(np.int32), name)


def _double(name: str, value: float) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(value, np.float64), name)


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
