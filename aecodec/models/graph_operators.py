"""What a rule is that gives the shape and cost of an operator's output, and how it reads attributes and constant operands."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aecodec.errors import ModelError
from aecodec.models.graph import Graph, Node

Shape = tuple[int, ...]
_MOST = 1 << 16  # of pads, strides, dilations, block sizes
FLOATS = frozenset(("float16", "float32", "float64"))
NUMBERS = FLOATS | {"int8", "uint8", "int16", "uint16", "int32", "int64"}


@dataclass(frozen=True)
class Made:
    """What an operator makes: its shape, the multiplications and additions it takes, and elements of working memory."""

    shape: Shape
    operations: int
    workspace: int = 0


@dataclass(frozen=True)
class Call:
    """One operator with the shapes of its inputs (None for absent ones)."""

    graph: Graph
    node: Node
    shapes: tuple[Shape | None, ...]

    def fail(self, reason: str) -> ModelError:
        """The error to raise."""
        return ModelError(f"{self.node.label}: {reason}")

    def shape(self, at: int) -> Shape:
        """Shape of input number `at`, which must be there."""
        found = self.shapes[at] if at < len(self.shapes) else None
        if found is None:
            raise self.fail(f"input {at} is missing")
        return found

    def number(self, name: str, default: int, low: int = 0, high: int = _MOST) -> int:
        """An integer attribute between `low` and `high`."""
        found = self.node.attributes.get(name, default)
        if not isinstance(found, int) or not low <= found <= high:
            raise self.fail(f"attribute {name} is {str(found)[:40]}, {low} to {high} are allowed")
        return found

    def numbers(self, name: str, default: list[int], low: int, high: int = _MOST) -> list[int]:
        """A list of integers, as long as `default`."""
        found = self.node.attributes.get(name, default)
        if not isinstance(found, list) or len(found) != len(default) or any(type(n) is not int for n in found):
            raise self.fail(f"attribute {name} is {str(found)[:40]}, {len(default)} whole numbers are needed")
        if any(not low <= n <= high for n in found):
            raise self.fail(f"attribute {name} is {str(found)[:40]}, {low} to {high} are allowed")
        return found

    def word(self, name: str, default: str, *others: str) -> str:
        """A text attribute, one of a few."""
        found = self.node.attributes.get(name, default.encode())
        allowed = (default, *others)
        if not isinstance(found, bytes) or found.decode("latin1") not in allowed:
            raise self.fail(f"attribute {name} is {str(found)[:40]}, allowed are {', '.join(allowed)}")
        return found.decode()

    def operand(self, at: int) -> np.ndarray | None:
        """The constant that input number `at` must be; None if it is absent."""
        name = self.node.inputs[at] if at < len(self.node.inputs) else ""
        if not name:
            return None
        value = self.graph.constants.get(name)
        if value is None or value.small is None or value.small.ndim > 1:
            raise self.fail(f"input {at} must be a short constant, so that sizes are known beforehand; export static shapes")
        return value.small.reshape(-1)

    def integers(self, at: int) -> list[int] | None:
        """A constant list of whole numbers, or None if it is absent."""
        found = self.operand(at)
        if found is not None and found.dtype.kind != "i":
            raise self.fail(f"input {at} is {found.dtype}, whole numbers are needed")
        return None if found is None else [int(n) for n in found.tolist()]

    def axis(self, found: int, rank: int) -> int:
        """An axis from 0 on."""
        if not -rank <= found < rank:
            raise self.fail(f"axis {found} of a tensor of {rank} dimensions")
        return found % rank

    def axes(self, found: list[int], rank: int) -> list[int]:
        """Axes from 0 on, each once."""
        axes = [self.axis(a, rank) for a in found]
        if len(set(axes)) != len(axes):
            raise self.fail(f"axes {found[:8]} repeat")
        return axes


Rule = Callable[[Call], Made]


@dataclass(frozen=True)
class Operator:
    """A rule, the attributes allowed, how many inputs, and dtypes: of the first input, which others share unless in `free`."""

    rule: Rule
    attributes: frozenset[str] = frozenset()
    inputs: tuple[int, int] = (1, 1)
    dtypes: frozenset[str] = NUMBERS
    free: frozenset[int] = frozenset()  # inputs with a dtype of their own: indices, shapes


def operator(
    rule: Rule, attributes: str = "", inputs: tuple[int, int] = (1, 1), free: tuple[int, ...] = (), dtypes: frozenset[str] = NUMBERS
) -> Operator:
    """An Operator with its attributes in one text."""
    return Operator(rule, frozenset(attributes.split()), inputs, dtypes, frozenset(free))


def joined(call: Call, shapes: list[Shape]) -> Shape:
    """The shape that `shapes` broadcast to."""
    rank = max(map(len, shapes))
    sizes = []
    for column in zip(*[(1,) * (rank - len(shape)) + shape for shape in shapes], strict=True):
        different = set(column) - {1}
        if len(different) > 1:
            raise call.fail(f"shapes {', '.join(map(str, shapes))} do not fit together")
        sizes.append(different.pop() if different else 1)
    return tuple(sizes)
