"""The proof that a decoder's arithmetic is exact, so that every executor gives the same bits.

Each tensor that depends on the input is known to be a multiple of 2**grain with magnitude at most `bound`. A float64 sum of
such numbers is exact in any order while the sum of magnitudes stays under 2**53 grains. The walk below follows that
invariant through the graph and refuses any operator or constant for which it cannot be shown.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from aecodec.errors import ModelError

MANTISSA = {"float64": 53, "float32": 24}
MAX_CONSTANT = 1 << 26


@dataclass(frozen=True)
class Range:
    """What is known of a tensor that depends on the input."""

    bound: float
    grain: int = 0


def prove_exact(graph: bytes, input_limit: int) -> Range:
    """Prove the decoder for integer inputs of magnitude up to `input_limit`; ModelError names the node that fails.

    Returns the range of the output. Only graphs of one input and one output are accepted.
    """
    model = onnx.load_model_from_string(graph)
    inputs, outputs = model.graph.input, model.graph.output
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError(f"a decoder has one input and one output, this graph has {len(inputs)} and {len(outputs)}")
    dtype = onnx.helper.tensor_dtype_to_np_dtype(inputs[0].type.tensor_type.elem_type).name
    if dtype not in MANTISSA:
        raise ModelError(f"decoder input is {dtype}; an exact decoder computes in float64 or float32")
    walk = _Walk(MANTISSA[dtype])
    for tensor in model.graph.initializer:
        walk.constants[tensor.name] = numpy_helper.to_array(tensor)
    walk.ranges[inputs[0].name] = walk.checked("input", Range(float(input_limit)))
    for node in model.graph.node:
        walk.visit(node)
    if outputs[0].name not in walk.ranges:
        raise ModelError(f"decoder output {outputs[0].name!r} does not depend on the input")
    return walk.ranges[outputs[0].name]


class _Walk:
    def __init__(self, mantissa: int) -> None:
        self.mantissa = mantissa
        self.constants: dict[str, np.ndarray] = {}
        self.ranges: dict[str, Range] = {}

    def visit(self, node: onnx.NodeProto) -> None:
        label = f"{node.op_type} node {node.name or node.output[0]!r}"
        if len(node.output) != 1 or node.domain not in ("", "ai.onnx"):
            raise ModelError(f"{label}: only single-output operators of the standard domain can be proven exact")
        if all(name in self.constants for name in node.input):
            fold = _FOLDS.get(node.op_type)
            if fold is None:
                raise ModelError(f"{label}: this operator is not allowed on constants of an exact decoder")
            sources = [self.constants[name] for name in node.input]
            size = _folded_size(node.op_type, sources)
            if size > MAX_CONSTANT:
                raise ModelError(f"{label}: constant of {size} elements, at most {MAX_CONSTANT} are allowed")
            try:
                self.constants[node.output[0]] = fold(sources, _attributes(node))
            except (ValueError, TypeError, KeyError, IndexError) as error:
                raise ModelError(f"{label}: malformed: {error}") from None
            return
        rule = _RULES.get(node.op_type)
        if rule is None:
            raise ModelError(f"{label}: exactness of this operator cannot be shown; allowed are {', '.join(sorted(_RULES))}")
        missing = [n for n in node.input if n not in self.constants and n not in self.ranges]
        if missing:
            raise ModelError(f"{label}: input {missing[0]!r} is not defined before it")
        self.ranges[node.output[0]] = self.checked(label, rule(self, label, list(node.input)))

    def checked(self, label: str, found: Range) -> Range:
        if not found.bound < 2.0 ** (self.mantissa + found.grain):
            raise ModelError(
                f"{label}: values up to {found.bound:g} in steps of 2**{found.grain} need more than {self.mantissa} bits; "
                "lower the latent limit or the precision of the weights"
            )
        return found

    def constant(self, label: str, name: str) -> np.ndarray:
        if name not in self.constants:
            raise ModelError(f"{label}: {name!r} must be a constant")
        return self.constants[name]


def _folded_size(op_type: str, sources: list[np.ndarray]) -> int:
    """Elements of a folded constant, known before it is made."""
    if op_type != "Mul":
        return int(sources[0].size) if sources else 0
    try:
        return math.prod(np.broadcast_shapes(*(source.shape for source in sources)))
    except ValueError as error:
        raise ModelError(f"malformed Mul of constants: {error}") from None


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def _grain(values: np.ndarray) -> int:
    """Largest power of two (its exponent) that all finite `values` are multiples of, at least -60."""
    nonzero = values[values != 0].astype(np.float64)
    if not np.isfinite(nonzero).all():
        raise ModelError("constants of an exact decoder must be finite")
    for grain in range(0, -61, -1):
        scaled = nonzero * 2.0**-grain
        if np.array_equal(scaled, np.rint(scaled)):
            return grain
    raise ModelError("constants of an exact decoder must be multiples of 2**-60")


def _matmul(walk: _Walk, label: str, inputs: list[str]) -> Range:
    left = inputs[0] in walk.constants
    weights = walk.constant(label, inputs[0 if left else 1]).astype(np.float64)
    if weights.ndim != 2:
        raise ModelError(f"{label}: weights must have 2 dimensions, not {weights.ndim}")
    source = walk.ranges[inputs[1 if left else 0]]
    reach = float(np.abs(weights).sum(axis=1 if left else 0).max(initial=0.0))
    return Range(reach * source.bound, source.grain + _grain(weights))


def _add(walk: _Walk, label: str, inputs: list[str]) -> Range:
    if all(name in walk.ranges for name in inputs):
        a, b = (walk.ranges[name] for name in inputs)
        return Range(a.bound + b.bound, min(a.grain, b.grain))
    first = 0 if inputs[0] in walk.constants else 1
    bias = walk.constant(label, inputs[first])
    source = walk.ranges[inputs[1 - first]]
    return Range(source.bound + float(np.abs(bias).max(initial=0)), min(source.grain, _grain(bias)))


def _mul(walk: _Walk, label: str, inputs: list[str]) -> Range:
    first = 0 if inputs[0] in walk.constants else 1
    factor = walk.constant(label, inputs[first])
    source = walk.ranges[inputs[1 - first]]
    if factor.size == 1 and float(factor.reshape(-1)[0]) > 0:
        mantissa, exponent = np.frexp(float(factor.reshape(-1)[0]))
        if mantissa == 0.5:
            return Range(source.bound * 2.0 ** (int(exponent) - 1), source.grain + int(exponent) - 1)
    return Range(source.bound * float(np.abs(factor).max(initial=0)), source.grain + _grain(factor))


def _round(walk: _Walk, label: str, inputs: list[str]) -> Range:
    source = walk.ranges[inputs[0]]
    return Range(float(np.rint(source.bound)) + 1.0, 0) if source.grain < 0 else source


def _same(walk: _Walk, label: str, inputs: list[str]) -> Range:
    for name in inputs[1:]:
        walk.constant(label, name)
    return walk.ranges[inputs[0]]


_RULES: dict[str, Callable[[_Walk, str, list[str]], Range]] = {
    "MatMul": _matmul,
    "Add": _add,
    "Mul": _mul,
    "Round": _round,
    "Gather": _same,
    "Reshape": _same,
    "Transpose": _same,
}

_FOLDS: dict[str, Callable[[list[np.ndarray], dict[str, Any]], np.ndarray]] = {
    "Cast": lambda a, k: a[0].astype(onnx.helper.tensor_dtype_to_np_dtype(k["to"])),
    "Mul": lambda a, k: np.asarray(a[0] * a[1]),
    "Round": lambda a, k: np.rint(a[0]),
    "Reshape": lambda a, k: a[0].reshape(a[1].tolist()),
    "Transpose": lambda a, k: a[0].transpose(k["perm"]),
}
