"""The proof that a decoder's arithmetic is exact, so that every executor gives the same bits.

Each tensor that depends on the input is known to be a multiple of 2**grain with magnitude at most `bound`. A float64 sum of
such numbers is exact in any order while the sum of magnitudes stays under 2**53 grains. The walk below follows that
invariant through the graph and refuses any operator or constant for which it cannot be shown.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from aecodec.errors import ModelError
from aecodec.models.exact_rules import CASTS, FAMILY_FOLDS, FOLDS, RULES, Known, Range
from aecodec.models.graph import constant_array, parse_graph

__all__ = ["Range", "prove_exact", "prove_maps", "prove_predictor"]

MANTISSA = {"float64": 53, "float32": 24}
MAX_CONSTANT = 1 << 26


def prove_exact(graph: bytes, input_limit: int) -> Range:
    """Prove the decoder for integer inputs of magnitude up to `input_limit`; ModelError names the node that fails.

    Returns the range of the output. Only graphs of one input and one output are accepted.
    """
    model = parse_graph(graph)
    inputs, outputs = model.graph.input, model.graph.output
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError(f"a decoder has one input and one output, this graph has {len(inputs)} and {len(outputs)}")
    return _prove(model, {inputs[0].name: Range(float(input_limit))}, None, None)


def prove_predictor(graph: bytes, input_ranges: Mapping[str, Range], choice: str, rows: int | None = None) -> Range:
    """Prove a graph of several inputs; the input named `choice` is an index that only picks among `rows` constants each."""
    model = parse_graph(graph)
    names = [value.name for value in model.graph.input]
    if sorted(names) != sorted([*input_ranges, choice]) or len(model.graph.output) != 1:
        raise ModelError(f"a predictor has the inputs {', '.join([*input_ranges, choice])} and one output; found {names}")
    return _prove(model, input_ranges, choice, rows)


def prove_maps(graph: bytes, source: str, input_limit: int, kinds: int) -> Range:
    """Prove a decoder or prior of maps, whose input `source` has magnitudes up to `input_limit`, for all `kinds` of steps."""
    return prove_predictor(graph, {source: Range(float(input_limit))}, "kind", kinds)


def _prove(model: onnx.ModelProto, input_ranges: Mapping[str, Range], choice: str | None, rows: int | None) -> Range:
    dtypes = {
        onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name
        for value in model.graph.input
        if value.name != choice
    }
    if len(dtypes) != 1 or not dtypes <= set(MANTISSA):
        raise ModelError(f"decoder input is {', '.join(sorted(dtypes))}; an exact decoder computes in float64 or float32")
    walk = _Walk(MANTISSA[dtypes.pop()], choice, rows)
    for tensor in model.graph.initializer:
        walk.known.constants[tensor.name] = constant_array(tensor)
    for name, found in input_ranges.items():
        walk.known.ranges[name] = walk.checked(f"input {name!r}", found)
    for node in model.graph.node:
        walk.visit(node)
    output = model.graph.output[0].name
    if output not in walk.known.ranges:
        raise ModelError(f"decoder output {output!r} does not depend on the input")
    return walk.known.ranges[output]


class _Walk:
    def __init__(self, mantissa: int, choice: str | None, rows: int | None) -> None:
        self.mantissa, self.choice, self.rows = mantissa, choice, rows
        self.known = Known()
        self.doubles: set[str] = set()  # tensors in float64 of a graph whose inputs are float32

    def visit(self, node: onnx.NodeProto) -> None:
        label = f"{node.op_type} node {node.name or node.output[0]!r}"
        if len(node.output) != 1 or node.domain not in ("", "ai.onnx"):
            raise ModelError(f"{label}: only single-output operators of the standard domain can be proven exact")
        inputs, known = list(node.input), self.known
        if self.choice is not None and self.choice in inputs:
            self._choose(label, node)
        elif inputs and inputs[0] in known.families and all(name in known.constants for name in inputs[1:]):
            self._fold(label, node, FAMILY_FOLDS, known.families)
        elif all(name in known.constants for name in inputs):
            self._fold(label, node, FOLDS, known.constants)
        else:
            self._rule(label, node)

    def _choose(self, label: str, node: onnx.NodeProto) -> None:
        inputs, axis = list(node.input), _attributes(node).get("axis", 0)
        if node.op_type != "Gather" or inputs[1:] != [self.choice] or axis != 0 or inputs[0] not in self.known.constants:
            raise ModelError(f"{label}: {self.choice!r} may only pick rows of constants (Gather, axis 0)")
        found = self.known.constants[inputs[0]]
        if found.ndim == 0 or (self.rows is not None and len(found) != self.rows):
            raise ModelError(f"{label}: {self.choice!r} picks one of {self.rows} rows, the constant has shape {found.shape}")
        self.known.families[node.output[0]] = found

    def _fold(self, label: str, node: onnx.NodeProto, folds: Mapping[str, Any], target: dict[str, np.ndarray]) -> None:
        fold = folds.get(node.op_type)
        if fold is None:
            raise ModelError(f"{label}: this operator is not allowed on constants of an exact decoder")
        sources = [self.known.families.get(name, self.known.constants.get(name)) for name in node.input]
        size = _folded_size(node.op_type, [s for s in sources if s is not None])
        if size > MAX_CONSTANT:
            raise ModelError(f"{label}: constant of {size} elements, at most {MAX_CONSTANT} are allowed")
        try:
            target[node.output[0]] = fold(sources, _attributes(node))
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise ModelError(f"{label}: malformed: {error}") from None

    def _rule(self, label: str, node: onnx.NodeProto) -> None:
        rule = RULES.get(node.op_type)
        if rule is None:
            raise ModelError(f"{label}: exactness of this operator cannot be shown; allowed are {', '.join(sorted(RULES))}")
        if node.op_type == "Cast" and not self._holds(node):
            raise ModelError(f"{label}: only float32, float64, int32, int64 hold all that may come, uint8 what is in 0..255")
        known = self.known
        if node.op_type == "Gather" and node.input[0] in known.constants and _attributes(node).get("axis", 0) != 0:
            raise ModelError(f"{label}: a table is looked up along axis 0")
        for name in node.input:
            if not any(name in names for names in (known.constants, known.families, known.ranges)):
                raise ModelError(f"{label}: input {name!r} is not defined before it")
        to = _attributes(node).get("to") if node.op_type == "Cast" else None
        if to == TensorProto.DOUBLE or (to is None and not self.doubles.isdisjoint(node.input)):
            self.doubles.add(node.output[0])
        mantissa = MANTISSA["float64"] if node.output[0] in self.doubles else self.mantissa
        known.ranges[node.output[0]] = self.checked(label, rule(known, label, list(node.input)), mantissa)

    def _holds(self, node: onnx.NodeProto) -> bool:
        """True if a cast's target holds all that its source may be."""
        to, source = _attributes(node).get("to"), self.known.ranges.get(node.input[0])
        bytes_enough = source is not None and source.low >= 0 and source.bound <= 255
        return to in CASTS or (to == TensorProto.UINT8 and bytes_enough)

    def checked(self, label: str, found: Range, mantissa: int | None = None) -> Range:
        mantissa = mantissa or self.mantissa
        if not found.bound < 2.0 ** (mantissa + found.grain):
            raise ModelError(
                f"{label}: values up to {found.bound:g} in steps of 2**{found.grain} need more than {mantissa} bits; "
                "lower the latent limit or the precision of the weights"
            )
        return found


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
