"""What each operator of an exact graph does to the range of its values: the steps of the proof in `exact`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from aecodec.errors import ModelError

MOST_BYTE = 64  # twice it times 255 stays below 2**15


@dataclass(frozen=True)
class Range:
    """What is known of a tensor that depends on the input: magnitude at most `bound`, at least `low`, multiples of 2**grain."""

    bound: float
    grain: int = 0
    low: float = -np.inf


@dataclass
class Known:
    """What is known so far of a graph's tensors, by name.

    `families` are constants of which an input picks one: their first axis numbers the choices.
    """

    constants: dict[str, np.ndarray] = field(default_factory=dict)
    families: dict[str, np.ndarray] = field(default_factory=dict)
    ranges: dict[str, Range] = field(default_factory=dict)

    def constant(self, label: str, name: str) -> np.ndarray:
        """The constant of this name, or ModelError."""
        if name not in self.constants:
            raise ModelError(f"{label}: {name!r} must be a constant")
        return self.constants[name]

    def range(self, label: str, name: str) -> Range:
        """The range of the tensor of this name, or ModelError."""
        if name not in self.ranges:
            raise ModelError(f"{label}: {name!r} must depend on the input")
        return self.ranges[name]

    def choices(self, label: str, name: str) -> np.ndarray:
        """A constant or family as float64 with the choices along the first axis."""
        if name in self.families:
            return doubles(self.families[name])
        return doubles(self.constant(label, name))[None]


def doubles(values: np.ndarray) -> np.ndarray:
    """A constant as float64; a NaN that signals is one like others, which the checks refuse."""
    with np.errstate(invalid="ignore"):
        return values.astype(np.float64)


def grain_of(values: np.ndarray) -> int:
    """Largest power of two (its exponent) that all finite `values` are multiples of, at least -60."""
    nonzero = doubles(values[values != 0])
    if not np.isfinite(nonzero).all():
        raise ModelError("constants of an exact decoder must be finite")
    for grain in range(0, -61, -1):
        scaled = nonzero * 2.0**-grain
        if np.array_equal(scaled, np.rint(scaled)):
            return grain
    raise ModelError("constants of an exact decoder must be multiples of 2**-60")


def _matmul(known: Known, label: str, inputs: list[str]) -> Range:
    left = inputs[0] in known.constants
    weights = doubles(known.constant(label, inputs[0 if left else 1]))
    if weights.ndim != 2:
        raise ModelError(f"{label}: weights must have 2 dimensions, not {weights.ndim}")
    source = known.range(label, inputs[1 if left else 0])
    reach = float(np.abs(weights).sum(axis=1 if left else 0).max(initial=0.0))
    return Range(reach * source.bound, source.grain + grain_of(weights))


def _conv(known: Known, label: str, inputs: list[str]) -> Range:
    weights = known.choices(label, inputs[1])
    if weights.ndim < 4:
        raise ModelError(f"{label}: weights must have 3 dimensions or more, not {weights.ndim - 1}")
    source = known.range(label, inputs[0])
    reach = np.abs(weights).sum(axis=tuple(range(2, weights.ndim)))
    bound, grain = reach * source.bound, source.grain + grain_of(weights)
    if len(inputs) > 2:
        bias = known.choices(label, inputs[2])
        if len({len(bias), len(reach)} - {1}) > 1:
            raise ModelError(f"{label}: weights of {len(reach)} choices, bias of {len(bias)}")
        if bias.shape[1:] != reach.shape[1:]:
            raise ModelError(f"{label}: bias of {bias.shape[1:]} for {reach.shape[1:]} output channels")
        bound, grain = bound + np.abs(bias), min(grain, grain_of(bias))
    return Range(float(bound.max(initial=0.0)), grain)


def _byte_conv(known: Known, label: str, inputs: list[str]) -> Range:
    source = known.range(label, inputs[0])
    weights = doubles(known.constant(label, inputs[3]))
    if weights.size and np.abs(weights).max() > MOST_BYTE:
        raise ModelError(f"{label}: weights up to {np.abs(weights).max():g}; over {MOST_BYTE} sums of 16 bits might saturate")
    if any(known.constant(label, inputs[at]).any() for at in (2, 5, 7)):
        raise ModelError(f"{label}: zero points must be 0")
    for at in (1, 4, 6):
        mantissa, _ = np.frexp(doubles(known.constant(label, inputs[at])))
        if not (mantissa == 0.5).all():
            raise ModelError(f"{label}: scales must be powers of two")
    bound = np.abs(weights).sum(axis=tuple(range(1, weights.ndim)))[None] * source.bound
    if len(inputs) > 8:
        bound = bound + np.abs(known.choices(label, inputs[8]))
    if not bound.max(initial=0.0) < 2.0**24:
        raise ModelError(f"{label}: sums up to {bound.max():g} need more than the 24 bits of the float32 that scales them")
    return Range(255.0, 0, 0.0)


def _conv_transpose(known: Known, label: str, inputs: list[str]) -> Range:
    # Weights are (inputs, outputs, ...): a convolution's with the channels swapped; an output sums each at most once.
    known = Known(known.constants, dict(known.families), known.ranges)
    weights = known.choices(label, inputs[1])
    if weights.ndim < 4:
        raise ModelError(f"{label}: weights must have 3 dimensions or more, not {weights.ndim - 1}")
    known.families[inputs[1]] = weights.swapaxes(1, 2)
    return _conv(known, label, inputs)


def _add(known: Known, label: str, inputs: list[str]) -> Range:
    if all(name in known.ranges for name in inputs):
        a, b = (known.ranges[name] for name in inputs)
        return Range(a.bound + b.bound, min(a.grain, b.grain))
    first = 0 if inputs[0] in known.constants else 1
    bias = known.constant(label, inputs[first])
    source = known.range(label, inputs[1 - first])
    return Range(source.bound + float(np.abs(bias).max(initial=0)), min(source.grain, grain_of(bias)))


def _mul(known: Known, label: str, inputs: list[str]) -> Range:
    if all(name in known.ranges for name in inputs):
        a, b = (known.ranges[name] for name in inputs)
        return Range(a.bound * b.bound, a.grain + b.grain, 0.0 if min(a.low, b.low) >= 0 else -np.inf)
    first = 0 if inputs[0] in known.constants else 1
    factor = known.constant(label, inputs[first])
    source = known.range(label, inputs[1 - first])
    if factor.size == 1 and float(factor.reshape(-1)[0]) > 0:
        mantissa, exponent = np.frexp(float(factor.reshape(-1)[0]))
        if mantissa == 0.5:
            return Range(source.bound * 2.0 ** (int(exponent) - 1), source.grain + int(exponent) - 1)
    return Range(source.bound * float(np.abs(factor).max(initial=0)), source.grain + grain_of(factor))


def _round(known: Known, label: str, inputs: list[str]) -> Range:
    source = known.range(label, inputs[0])
    return Range(float(np.rint(source.bound)) + 1.0, 0) if source.grain < 0 else source


def _magnitude(known: Known, label: str, inputs: list[str]) -> Range:
    source = known.range(label, inputs[0])
    return Range(source.bound, source.grain, 0.0)


def _clip(known: Known, label: str, inputs: list[str]) -> Range:
    if len(inputs) != 3:
        raise ModelError(f"{label}: both limits must be given")
    low, high = (known.constant(label, name) for name in inputs[1:])
    if low.size != 1 or high.size != 1 or not low.item() <= high.item():
        raise ModelError(f"{label}: limits must be two numbers, the lower first")
    source = known.range(label, inputs[0])
    limits = float(low.item()), float(high.item())
    # Limits that leave out the source's range lift it to the nearer one.
    bound = max(min(source.bound, max(map(abs, limits))), limits[0], -limits[1])
    return Range(bound, min(source.grain, grain_of(np.array([low.item(), high.item()]))), float(low.item()))


def _cast(known: Known, label: str, inputs: list[str]) -> Range:
    source = known.range(label, inputs[0])
    if source.grain < 0 or source.bound >= 2.0**24:
        raise ModelError(f"{label}: values up to {source.bound:g} in steps of 2**{source.grain} do not survive a cast")
    return source


def _gather(known: Known, label: str, inputs: list[str]) -> Range:
    if inputs[0] in known.ranges:
        return _same(known, label, inputs)
    table, entry = known.constant(label, inputs[0]), known.range(label, inputs[1])
    if not (entry.low >= 0 and entry.grain >= 0 and entry.bound <= table.shape[0] - 1):
        raise ModelError(f"{label}: entries must be clipped to 0..{table.shape[0] - 1}, the table's")
    return Range(float(np.abs(doubles(table)).max(initial=0.0)), grain_of(table))


def _concat(known: Known, label: str, inputs: list[str]) -> Range:
    parts = [known.range(label, name) for name in inputs]
    return Range(max(p.bound for p in parts), min(p.grain for p in parts), min(p.low for p in parts))


def _same(known: Known, label: str, inputs: list[str]) -> Range:
    for name in inputs[1:]:
        known.constant(label, name)
    return known.range(label, inputs[0])


def _pad(known: Known, label: str, inputs: list[str]) -> Range:
    if len(inputs) != 2:
        raise ModelError(f"{label}: only zeros and the input's own values may be put around it")
    source = _same(known, label, inputs)
    return Range(source.bound, source.grain, min(source.low, 0.0))


RULES: dict[str, Callable[[Known, str, list[str]], Range]] = {
    "Abs": _magnitude,
    "Add": _add,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gather": _gather,
    "MatMul": _matmul,
    "Mul": _mul,
    "Pad": _pad,
    "QLinearConv": _byte_conv,
    "Relu": _magnitude,
    "Reshape": _same,
    "Round": _round,
    "Slice": _same,
    "Transpose": _same,
}

# What a cast that depends on the input may make: types that hold all whole numbers below 2**24.
CASTS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT32, TensorProto.INT64)

FOLDS: dict[str, Callable[[list[np.ndarray], dict[str, Any]], np.ndarray]] = {
    "Cast": lambda a, k: a[0].astype(onnx.helper.tensor_dtype_to_np_dtype(k["to"])),
    "Mul": lambda a, k: np.asarray(a[0] * a[1]),
    "Round": lambda a, k: np.rint(a[0]),
    "Reshape": lambda a, k: a[0].reshape(a[1].tolist()),
    "Transpose": lambda a, k: a[0].transpose(k["perm"]),
}

FAMILY_FOLDS: dict[str, Callable[[list[np.ndarray], dict[str, Any]], np.ndarray]] = {
    "Cast": FOLDS["Cast"],
    "Reshape": lambda a, k: a[0].reshape(len(a[0]), *a[1].tolist()),
}
