"""Networks of tiles as ONNX graphs: encoder, decoder and priors of slices, from plain arrays of weights.

All but the encoder compute with whole numbers. Inputs are maps (n, latents, rows, columns) of latents in sixteenths of a step,
and the kind of the step, which picks the biases. Hidden activations are whole numbers from 0 to HIDDEN_LIMIT.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from aecodec.models.linear import IR_VERSION, OPSET

HIDDEN_BITS, HIDDEN_LIMIT = 3, 255
FEATURE_BITS, FEATURE_LIMIT = 4, 2047
OUTPUT_BITS = 6
SYNTHESIS_BITS = 20
NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


@dataclass(frozen=True)
class WholeConv:
    """Whole weights (outputs, inputs, size, size) of 2**-bits, and biases (kinds, outputs) of 2**-(bits + the input's bits).

    `bits`: one number, or one for each output of a layer of bytes.
    """

    weight: np.ndarray
    bias: np.ndarray
    bits: np.ndarray


class _Builder:
    """Collects nodes and constants of one graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants[name] = numpy_helper.from_array(value, name)
        return name

    def scalar(self, name: str, value: float, dtype: type[np.generic] = np.float32) -> str:
        return self.constant(name, np.array(value, dtype))

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def ramp(self, source: str, name: str, layer: WholeConv, unit: int) -> str:
        """A hidden layer: convolution, scaled to hidden units, rounded, clipped."""
        made = self.conv(source, name, layer)
        whole = self.rounded(made, f"{name}_whole", HIDDEN_BITS - unit - int(layer.bits))
        limits = [self.scalar("least", 0.0), self.scalar("most", float(HIDDEN_LIMIT))]
        return self.node("Clip", [whole, *limits], f"{name}_out")

    def byte_ramp(self, source: str, name: str, layer: WholeConv) -> str:
        """A hidden layer of bytes: sums of 32 bits, scaled by powers of two, rounded, clipped."""
        cast = self.node("Cast", [source], f"{name}_bytes", to=TensorProto.UINT8)
        bias = self.constant(f"{name}_bias", layer.bias.astype(np.int32))
        bias = self.node("Gather", [bias, "kind"], f"{name}_bias_row", axis=0)
        shape = self.constant(f"{name}_bias_shape", np.array([layer.bias.shape[1]], np.int64))
        bias = self.node("Reshape", [bias, shape], f"{name}_bias_k")
        one, zero = self.scalar("one", 1.0), self.scalar("zero", 0, np.uint8)
        weight = self.constant(f"{name}_weight", layer.weight.astype(np.int8))
        scale = self.constant(f"{name}_scale", np.exp2(-layer.bits.astype(np.float32)))
        zeros = self.constant(f"{name}_zeros", np.zeros(len(layer.weight), np.int8))
        pad = layer.weight.shape[-1] // 2
        inputs = [cast, one, zero, weight, scale, zeros, one, zero, bias]
        made = self.node("QLinearConv", inputs, f"{name}_made", pads=[pad] * 4)
        return self.node("Cast", [made], f"{name}_out", to=TensorProto.FLOAT)

    def rounded(self, source: str, name: str, bits: int) -> str:
        """`source` times 2**bits as whole numbers."""
        scaled = self.node("Mul", [source, self.scalar(f"{name}_unit", 2.0**bits)], f"{name}_exact")
        return self.node("Round", [scaled], name)

    def conv(self, source: str, name: str, layer: WholeConv) -> str:
        """The sum itself, of whole numbers."""
        weight = self.constant(f"{name}_weight", _small(layer.weight))
        weight = self.node("Cast", [weight], f"{name}_weight_float", to=TensorProto.FLOAT)
        bias = self.constant(f"{name}_bias", layer.bias.astype(np.float32))
        bias = self.node("Gather", [bias, "kind"], f"{name}_bias_row", axis=0)
        shape = self.constant(f"{name}_bias_shape", np.array([layer.bias.shape[1]], np.int64))
        bias = self.node("Reshape", [bias, shape], f"{name}_bias_k")
        pad = layer.weight.shape[-1] // 2
        return self.node("Conv", [source, weight, bias], f"{name}_sum", pads=[pad] * 4)

    def features(self, first: int, known: int) -> str:
        """What networks see of the latents known: how the first slice differs from the tiles around, and the rest, clipped."""
        means = self._part("means", 0, first, known)
        pads = self.constant("pads", np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
        padded = self.node("Pad", [means, pads], "padded", mode="edge")
        weight = np.zeros((len(NEIGHBOURS), first, first, 3, 3), np.float32)
        for i, (row, column) in enumerate(NEIGHBOURS):
            weight[i, range(first), range(first), 1 + row, 1 + column] = 1.0
            weight[i, range(first), range(first), 1, 1] = -1.0
        around = self.constant("around", weight.reshape(-1, first, 3, 3))
        parts = [self.node("Conv", [padded, around], "differences")]
        if known > first:
            parts.append(self._part("rest", first, known, known))
        joined = self.node("Concat", parts, "joined", axis=1) if len(parts) > 1 else parts[0]
        limits = [self.scalar("lowest", -float(FEATURE_LIMIT)), self.scalar("highest", float(FEATURE_LIMIT))]
        return self.node("Clip", [joined, *limits], "features")

    def _part(self, name: str, start: int, stop: int, known: int) -> str:
        if (start, stop) == (0, known):
            return "known"
        bounds = [
            self.constant(f"{name}_{key}", np.array([value], np.int64))
            for key, value in (("start", start), ("stop", stop), ("axis", 1))
        ]
        return self.node("Slice", ["known", *bounds], name)

    def finish(self, name: str, source: onnx.ValueInfoProto, target: onnx.ValueInfoProto) -> bytes:
        kind = helper.make_tensor_value_info("kind", TensorProto.INT64, [1])
        graph = helper.make_graph(self.nodes, name, [source, kind], [target], list(self.constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))


def prior_graph(first: int, known: int, means: bool, layers: tuple[WholeConv, WholeConv, WholeConv]) -> bytes:
    """prior-k.onnx: (n, known, rows, columns) -> means in sixteenths, if any, and scale indices, (n, outputs, rows, columns)."""
    build = _Builder()
    hidden = build.ramp(build.features(first, known), "first", layers[0], FEATURE_BITS)
    hidden = build.byte_ramp(hidden, "second", layers[1])
    last, unit = layers[2], HIDDEN_BITS + int(layers[2].bits)
    outputs = last.weight.shape[0]
    if means:  # they and the indices have units of their own, and what is rounded to a unit must have one
        halves = zip(np.split(last.weight, 2), np.split(last.bias, 2, axis=1), strict=True)
        split = [WholeConv(weight, bias, last.bits) for weight, bias in halves]
        parts = [
            build.rounded(build.conv(hidden, "mean", split[0]), "mean", FEATURE_BITS - unit),
            build.rounded(build.conv(hidden, "index", split[1]), "index", -unit),
        ]
        build.node("Concat", parts, "expected", axis=1)
    else:
        build.rounded(build.conv(hidden, "index", last), "expected", -unit)
    return build.finish("prior", _map("known", known), _map("expected", outputs))


def decoder_graph(first: int, synthesis: np.ndarray, layers: tuple[WholeConv, WholeConv, WholeConv]) -> bytes:
    """decoder.onnx: (n, latents, rows, columns) -> (n, values, rows * columns) float64, in sixty-fourths of a step.

    `synthesis` (values, latents): the linear map, in steps.
    """
    build = _Builder()
    values, latents = synthesis.shape
    seen = build.features(first, latents)
    first_hidden = build.ramp(seen, "first", layers[0], FEATURE_BITS)
    second = build.byte_ramp(first_hidden, "second", layers[1])
    both = build.node("Concat", [first_hidden, second], "both", axis=1)
    made = build.conv(both, "last", layers[2])
    whole = build.rounded(made, "last_whole", OUTPUT_BITS - HIDDEN_BITS - int(layers[2].bits))
    correction = build.node("Reshape", [whole, build.constant("flat_shape", np.array([0, values, -1], np.int64))], "last_flat")
    correction = build.node("Cast", [correction], "correction", to=TensorProto.DOUBLE)

    weight = build.constant("synthesis", np.rint(synthesis * 2.0**SYNTHESIS_BITS).astype(np.int32))
    weight = build.node("Cast", [weight], "synthesis_double", to=TensorProto.DOUBLE)
    flat = build.node("Reshape", ["known", build.constant("known_shape", np.array([0, latents, -1], np.int64))], "known_flat")
    double = build.node("Cast", [flat], "known_double", to=TensorProto.DOUBLE)
    linear = build.node("MatMul", [weight, double], "linear_sum")
    unit = build.scalar("linear_unit", 2.0 ** (OUTPUT_BITS - FEATURE_BITS - SYNTHESIS_BITS), np.float64)
    linear = build.node("Round", [build.node("Mul", [linear, unit], "linear_exact")], "linear")
    build.node("Add", [linear, correction], "values")
    target = helper.make_tensor_value_info("values", TensorProto.DOUBLE, ["n", values, "tiles"])
    return build.finish("decoder", _map("known", latents), target)


def encoder_graph(
    analysis: np.ndarray, first: int, ends: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]], middle: WholeConv
) -> bytes:
    """encoder.onnx: (n, values, rows, columns) in steps -> (n, latents, rows, columns) in steps, float32.

    `analysis` (latents, values): the linear map. `ends`: real weights and biases of the correction's first and last layer, between
    which lies one of bytes; the `first` latents are left as they are.
    """
    build = _Builder()
    latents, values = analysis.shape
    unit = 2.0**HIDDEN_BITS
    limit = FEATURE_LIMIT * 2.0**-FEATURE_BITS
    clipped = build.node("Clip", ["values", build.scalar("lowest", -limit), build.scalar("highest", limit)], "clipped")
    (weight, bias), (last, last_bias) = ends
    made = build.node("Round", [build.conv(clipped, "first", WholeConv(weight * unit, bias * unit, np.array(0)))], "first_whole")
    hidden = build.node("Clip", [made, build.scalar("least", 0.0), build.scalar("most", float(HIDDEN_LIMIT))], "first_out")
    both = build.node("Concat", [hidden, build.byte_ramp(hidden, "second", middle)], "both", axis=1)
    wide, biases = np.zeros((latents, *last.shape[1:])), np.zeros((len(last_bias), latents))
    wide[first:], biases[:, first:] = last / unit, last_bias
    correction = build.conv(both, "last", WholeConv(wide, biases, np.array(0)))
    weight_name = build.constant("analysis", analysis.astype(np.float32)[:, :, None, None])
    linear = build.node("Conv", ["values", weight_name], "linear")
    build.node("Add", [linear, correction], "latents")
    return build.finish("encoder", _map("values", values), _map("latents", latents))


def _small(weight: np.ndarray) -> np.ndarray:
    """Weights in the narrowest type that holds them."""
    if weight.dtype.kind == "f" and not np.array_equal(weight, np.rint(weight)):
        return weight.astype(np.float16)
    most = np.abs(weight).max(initial=0)
    return weight.astype(np.int8 if most < 128 else np.int16 if most < 32768 else np.int32)


def _map(name: str, channels: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", channels, "rows", "columns"])
