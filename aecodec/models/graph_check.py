"""Whether a model's graph may be run, and what a run of it takes, known before it is run.

An operator allow-list, dtypes, and the sizes of all tensors for given sizes of the inputs; nothing of a graph is executed.
"""

import math
from dataclasses import dataclass
from functools import cached_property

from onnx import TensorProto, helper

from aecodec.errors import ModelError
from aecodec.limits import DEFAULT_LIMITS, Limits
from aecodec.models.graph import Node, Value, read_graph
from aecodec.models.graph_arithmetic import ARITHMETIC
from aecodec.models.graph_operators import NUMBERS, Call, Operator, Shape
from aecodec.models.graph_reshaping import RESHAPING
from aecodec.models.reach import reach
from aecodec.phases import PhaseLayout

OPERATORS: dict[str, Operator] = {**ARITHMETIC, **RESHAPING}
_MAX_RANK = 8
_BYTE_CONV = ("float32", "uint8", "int8", "float32", "int8", "float32", "uint8")  # of a QLinearConv's inputs after the first
_INDICES = ("int32", "int64")
_RUN_ELEMENTS = 1 << 24  # of all tensors of a run that batches are made for
_CACHED = 1 << 10
_PREDICTOR_SHARE = 32  # elements of a predictor's tensors for each of its planes, which may be as large as a chunk
MAP_SHARE = 256  # the same for a map, of which a first slice may be a small part
_NOMINAL = 8  # lines and values of the planes that a predictor is tried on


@dataclass(frozen=True)
class Sizes:
    """What a run makes: the output's shape, elements of all tensors that depend on the input, operations."""

    output: Shape
    elements: int
    operations: int


class SizedGraph:
    """A graph that may be run, within `limits`; each run is sized beforehand. Pickles; safe to share between threads."""

    def __init__(self, graph: bytes, limits: Limits = DEFAULT_LIMITS, share: int = 0) -> None:
        self.limits, self._share = limits, share
        self._graph = read_graph(graph, limits)
        self._cache: dict[tuple[Shape, ...], Sizes] = {}
        self._dtypes = {name: value.dtype for name, value in {**self._graph.constants, **self._graph.inputs}.items()}
        self._dependent = set(self._graph.inputs)
        for node in self._graph.nodes:
            self._dtypes[node.output] = self._dtype(node)
            if not self._dependent.isdisjoint(node.inputs):
                self._dependent.add(node.output)
        if self._dtypes[self._graph.output_name] != self._graph.output.dtype:
            raise ModelError(f"ONNX graph: its output is {self._dtypes[self._graph.output_name]}, not what it declares")

    @property
    def inputs(self) -> dict[str, Value]:
        """What the graph declares of its inputs."""
        return self._graph.inputs

    @property
    def output(self) -> Value:
        """What the graph declares of its output."""
        return self._graph.output

    @cached_property
    def reach(self) -> int | None:
        """Of a graph of maps: see `reach`."""
        return reach(self._graph)

    def sizes(self, *shapes: Shape) -> Sizes:
        """What a run on inputs of `shapes` makes; ModelError if it cannot run, LimitError if it is too large."""
        found = self._cache.get(shapes)
        if found is None:
            found = self._sizes(shapes)
            if len(self._cache) >= _CACHED:
                self._cache.clear()
            self._cache[shapes] = found
        return found

    def batch(self, shape: Shape, most: int) -> int:
        """How many of what has `shape` to run at once: 1 to `most`, fewer where what is made on the way is large."""
        return max(1, min(most, _RUN_ELEMENTS // self.sizes((1, *shape)).elements))

    def _dtype(self, node: Node) -> str:
        """Dtype of a node's output, once operator, attributes and inputs are known to be allowed."""
        operator = OPERATORS.get(node.op)
        if operator is None:
            raise ModelError(f"{node.label}: this operator is not allowed in a model; allowed are {', '.join(sorted(OPERATORS))}")
        unknown = sorted(set(node.attributes) - operator.attributes)
        if unknown or not operator.inputs[0] <= len(node.inputs) <= operator.inputs[1]:
            raise ModelError(
                f"{node.label} has {len(node.inputs)} inputs, {operator.inputs[0]} to {operator.inputs[1]} are allowed, "
                f"and attributes that are not: {', '.join(unknown)[:80] or 'none'}"
            )
        kinds = [self._dtypes.get(name, "") for name in node.inputs]
        first = kinds[0]
        if first not in operator.dtypes or any(k not in ("", first) for i, k in enumerate(kinds) if i not in operator.free):
            raise ModelError(f"{node.label}: inputs of {', '.join(kinds)} are not allowed")
        if node.op == "Gather" and kinds[1] not in _INDICES:
            raise ModelError(f"{node.label}: indices are {kinds[1]}, int32 or int64 are allowed")
        if node.op == "QLinearConv" and kinds[1:8] != [*_BYTE_CONV]:
            raise ModelError(f"{node.label}: inputs of {', '.join(kinds)} are not allowed; {', '.join(('uint8', *_BYTE_CONV))} are")
        if node.op == "QLinearConv" and kinds[8:] not in ([], ["int32"]):
            raise ModelError(f"{node.label}: its bias is {kinds[8]}, not int32")
        if node.op != "Cast":
            return first
        made = _cast_target(node)
        if made not in NUMBERS:
            raise ModelError(f"{node.label}: to what is not allowed; allowed are {', '.join(sorted(NUMBERS))}")
        return made

    def _sizes(self, given: tuple[Shape, ...]) -> Sizes:
        graph, limits = self._graph, self.limits
        if len(given) != len(graph.inputs):
            raise ModelError(f"ONNX graph: it has the inputs {', '.join(graph.inputs)[:80]}, but is given {len(given)}")
        shapes: dict[str, Shape] = {name: tuple(n or 0 for n in value.shape or ()) for name, value in graph.constants.items()}
        for (name, value), shape in zip(graph.inputs.items(), given, strict=True):
            _check_fits(f"input {name!r}", value, shape)
            shapes[name] = shape
        elements, operations, workspace = sum(map(math.prod, given)), 0, 0
        constants = sum(math.prod(shapes[name]) for name in graph.constants)
        for node in graph.nodes:
            made = OPERATORS[node.op].rule(Call(graph, node, tuple(shapes[n] if n else None for n in node.inputs)))
            if len(made.shape) > _MAX_RANK or any(n < 1 for n in made.shape):
                raise ModelError(f"{node.label}: it would make a tensor of shape {str(made.shape)[:80]}")
            shapes[node.output] = made.shape
            operations, workspace = operations + made.operations, max(workspace, made.workspace)
            if node.output in self._dependent:
                elements += math.prod(made.shape)
            else:
                constants += math.prod(made.shape)
            limits.check("graph_constants", constants, f"{node.label}: constants of {constants} elements would be made")
            if elements + workspace > limits.graph_elements + self._share * math.prod(given[0]):
                declares = f"{node.label}: one run would make tensors of {elements + workspace} elements"
                limits.check("graph_elements", elements + workspace, declares)
        output = shapes[graph.output_name]
        _check_fits(f"output {graph.output_name!r}", graph.output, output)
        return Sizes(output, elements + workspace, operations)


def check_coder(graph: bytes, part: str, source: Shape, target: Shape, limits: Limits = DEFAULT_LIMITS) -> SizedGraph:
    """The graph of an encoder or decoder, from (n, *source) to (n, *target), checked against what its manifest says."""
    sized = SizedGraph(graph, limits)
    if len(sized.inputs) != 1:
        raise ModelError(f"the model's {part} has {len(sized.inputs)} inputs, 1 is expected")
    (value,) = sized.inputs.values()
    allowed = ("float32",) if part == "encoder" else ("float32", "float64")
    if value.dtype not in allowed or sized.output.dtype != value.dtype:
        raise ModelError(f"the model's {part} is from {value.dtype} to {sized.output.dtype}, allowed: {' or '.join(allowed)}")
    if not value.shape or value.shape[0] is not None:
        raise ModelError(f"the model's {part} takes {value.shape or 'no shape'}; export it with a batch of open size first")
    values = math.prod(target if part == "decoder" else source)
    for n in (1, 2):
        sizes = sized.sizes((n, *source))
        if sizes.output != (n, *target):
            raise ModelError(f"the model's {part} makes {sizes.output} of {(n, *source)}, its manifest promises {(n, *target)}")
        _check_operations(part, sizes, n * values, limits)
    return sized


def check_maps(
    graph: bytes, part: str, inputs: int, outputs: int, limits: Limits = DEFAULT_LIMITS, flat: bool = False
) -> SizedGraph:
    """The graph of a model with a prior, from maps of `inputs` to maps of `outputs` (of one axis if `flat`), checked likewise."""
    sized = SizedGraph(graph, limits, MAP_SHARE)
    if len(sized.inputs) != 2 or list(sized.inputs)[1] != "kind":
        raise ModelError(f"the model's {part} has the inputs {list(sized.inputs)[:4]}, a map and the kind of step are expected")
    value = next(iter(sized.inputs.values()))
    if value.dtype != "float32" or sized.inputs["kind"].dtype != "int64":
        raise ModelError(f"the model's {part} takes {value.dtype} and {sized.inputs['kind'].dtype}, not float32 and int64")
    if sized.output.dtype not in (("float32", "float64") if flat else ("float32",)):
        raise ModelError(f"the model's {part} gives {sized.output.dtype}")
    for n, rows, columns in ((1, 1, 1), (2, 3, 5)):
        sizes = sized.sizes((n, inputs, rows, columns), (1,))
        due = (n, outputs, rows * columns) if flat else (n, outputs, rows, columns)
        if sizes.output != due:
            raise ModelError(f"the model's {part} makes {sizes.output} of {(n, inputs, rows, columns)}, {due} is due")
        _check_operations(part, sizes, n * rows * columns * outputs, limits)
    return sized


def size_predictor(graph: bytes, layout: PhaseLayout, limits: Limits = DEFAULT_LIMITS) -> SizedGraph:
    """The graph of a predictor that `check_predictor` has passed."""
    sized = SizedGraph(graph, limits, _PREDICTOR_SHARE)
    space = (_NOMINAL, _NOMINAL)
    sizes = sized.sizes((1, layout.inputs, *space), (1,))
    if sizes.output != (1, layout.outputs, *space):
        raise ModelError(f"the model's predictor makes {sizes.output} of planes of {space}, not {layout.outputs} for each value")
    _check_operations("predictor", sizes, math.prod(space), limits)
    return sized


def _check_operations(part: str, sizes: Sizes, values: int, limits: Limits) -> None:
    each = -(-sizes.operations // values)
    limits.check("graph_operations", each, f"the model's {part} takes {each} operations a value")


def _check_fits(label: str, declared: Value, shape: Shape) -> None:
    if declared.shape is None:
        return
    if len(declared.shape) != len(shape) or any(d not in (None, n) for d, n in zip(declared.shape, shape, strict=True)):
        raise ModelError(f"ONNX graph: {label} is declared as {declared.shape}, but would be {shape}")


def _cast_target(node: Node) -> str:
    to = node.attributes.get("to")
    known = {int(each) for each in TensorProto.DataType.values()}
    return str(helper.tensor_dtype_to_np_dtype(to).name) if type(to) is int and to in known and to else ""
