"""How far around a position of a map a graph looks, so that a map can be run in bands that overlap by no more than that."""

from dataclasses import dataclass, replace

from aecodec.models.graph import Graph, Node

_EACH = ("Abs", "Cast", "Ceil", "Clip", "Floor", "Identity", "Neg", "Relu", "Round", "Sign")
_JOINED = ("Add", "Concat", "Mul", "Sub")
_SPACE = 2  # the axis of rows; columns follow
_FLAT_SHAPE = (0, -1)  # first and last of what a map is reshaped to where its positions become one axis


@dataclass(frozen=True)
class _Reach:
    """A map that depends on `radius` positions around each, has `margin` more on all sides, and is `flat` if they are one axis."""

    radius: int = 0
    margin: int = 0
    flat: bool = False


def reach(graph: Graph) -> int | None:
    """Positions around each, in rows and columns, that the output there depends on; None if that cannot be seen.

    The first input is a map (n, channels, rows, columns). What is beyond a map's border must look the same to all positions at
    that border: padding only, the same on all sides.
    """
    return _Walk(graph).output()


class _Walk:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._shapes = {name: value.shape for name, value in graph.constants.items()}
        self._found: dict[str, _Reach | None] = {next(iter(graph.inputs)): _Reach()}

    def output(self) -> int | None:
        """What is found of the output."""
        for node in self._graph.nodes:
            if any(name in self._found for name in node.inputs):
                self._found[node.output] = self._made(node)
            else:
                self._shapes[node.output] = self._constant_shape(node)
        found = self._found.get(self._graph.output_name)
        return found.radius if found is not None and not found.margin else None

    def _constant_shape(self, node: Node) -> tuple[int | None, ...] | None:
        """The shape of what depends on no map, as far as it matters here: weights may be cast, biases picked."""
        return self._shapes.get(node.inputs[0]) if node.op == "Cast" else None

    def _made(self, node: Node) -> _Reach | None:
        sources = [self._found[name] for name in node.inputs if name in self._found]
        first = sources[0]
        if first is None or any(other is None or replace(other, radius=first.radius) != first for other in sources):
            return None
        first = replace(first, radius=max(source.radius for source in sources if source is not None))
        if node.op in _EACH:
            return first if len(sources) == 1 else None
        if node.op in _JOINED:
            return self._joined(node, first)
        if node.op in ("Conv", "QLinearConv"):
            return self._convolved(node, first, node.inputs[1 if node.op == "Conv" else 3])
        if node.op == "MatMul":  # a constant times channels
            return first if first.flat and node.inputs[0] not in self._found else None
        return {"Pad": self._padded, "Slice": self._sliced, "Reshape": self._flattened}.get(node.op, _unknown)(node, first)

    def _joined(self, node: Node, first: _Reach) -> _Reach | None:
        if node.op == "Concat":
            return first if node.attributes.get("axis") == 1 else None
        alone = all(name in self._found or self._shapes.get(name) in ((), (1,)) for name in node.inputs)
        return first if alone else None

    def _convolved(self, node: Node, first: _Reach, weight: str) -> _Reach | None:
        shape, attributes = self._shapes.get(weight), node.attributes
        if shape is None or len(shape) != 4 or shape[2] != shape[3] or not isinstance(shape[2], int) or shape[2] % 2 == 0:
            return None
        usual = {"pads", "kernel_shape", "group"} >= {
            name for name, value in attributes.items() if not (isinstance(value, list) and all(v == 1 for v in value))
        }
        pads, others = attributes.get("pads", [0] * 4), node.inputs[1:]
        if first.flat or not usual or any(name in self._found for name in others) or len(set(pads)) != 1:
            return None
        radius = shape[2] // 2
        return replace(first, radius=first.radius + radius, margin=first.margin + pads[0] - radius)

    def _padded(self, node: Node, first: _Reach) -> _Reach | None:
        pads = self._small(node, 1)
        around = node.attributes.get("mode", b"constant") in (b"constant", b"edge", b"reflect")
        if first.flat or not around or len(node.inputs) > 3 or pads is None or len(pads) != 8:
            return None
        ends = [*pads[_SPACE:4], *pads[4 + _SPACE :]]
        if len(set(ends)) != 1 or any(pads[:_SPACE]) or any(pads[4 : 4 + _SPACE]) or ends[0] < 0:
            return None
        return replace(first, margin=first.margin + ends[0])

    def _sliced(self, node: Node, first: _Reach) -> _Reach | None:
        return first if self._small(node, 3) == [1] else None

    def _flattened(self, node: Node, first: _Reach) -> _Reach | None:
        shape = self._small(node, 1)
        flat = shape is not None and len(shape) == 3 and (shape[0], shape[2]) == _FLAT_SHAPE and shape[1] > 0
        return replace(first, flat=True) if flat and not first.flat and not first.margin else None

    def _small(self, node: Node, at: int) -> list[int] | None:
        value = self._graph.constants.get(node.inputs[at]) if at < len(node.inputs) else None
        return None if value is None or value.small is None else [int(n) for n in value.small.reshape(-1).tolist()]


def _unknown(_node: Node, _first: _Reach) -> None:
    return None
