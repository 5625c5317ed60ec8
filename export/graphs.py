"""The graphs of a bundle, each with the inputs that it is tried on and what must hold of its output."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx

from aecodec.models.bundle import Bundle
from aecodec.models.exact import Range, prove_exact, prove_predictor
from aecodec.phases import INPUT_LIMIT
from export.errors import ExportError

ENCODER_TOLERANCE = 1e-3  # of the largest output: the sums of encoders and restorers are floats, in any order
KIND = "kind"  # the input that picks constants
_FREE = 6  # what sizes that a graph leaves open are set to, but for the batch; the next one is one more, and so on
_TYPICAL = 8.0  # mean magnitude of what an encoder sees, and of symbols
_TYPICAL_PLANE = 60.0
_TYPICAL_UNIT = 0.3  # of the range, which a restorer sees as 0 to 1


@dataclass(frozen=True)
class Graph:
    """A graph whose first input is `source`, of magnitude up to `limit` (None: any real number), `spread` on average.

    `kinds`: how many constants its other input, if it has one, picks among. `tolerance`: 0 where all must be the same bits.
    """

    name: str
    content: bytes
    source: str
    shape: tuple[int, ...]
    dtype: np.dtype
    limit: int | None
    spread: float
    kinds: int | None

    @property
    def tolerance(self) -> float:
        """Of the largest value, by which executors may differ."""
        return ENCODER_TOLERANCE if self.limit is None else 0.0

    def trials(self, batch: int) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        """(what they are, inputs): typical ones and the largest, with the first, the middle and the last kind."""
        random = np.random.default_rng(0)
        shape = (batch, *self.shape[1:])
        typical = random.laplace(0.0, self.spread, shape)
        values = {"typical": typical}
        if self.limit is not None:
            values["typical"] = np.clip(np.rint(typical), -self.limit, self.limit)
            values["largest"] = random.choice([-1.0, 1.0], shape) * float(self.limit)
        for what, array in values.items():
            inputs = {self.source: array.astype(self.dtype)}
            if self.kinds is None:
                yield f"{what} input", inputs
                continue
            for kind in sorted({0, self.kinds // 2, self.kinds - 1}):
                yield f"{what} input of kind {kind}", {**inputs, KIND: np.array([kind])}

    def proven(self) -> Range:
        """The range of its output, proven to be exact; ModelError names the node that fails."""
        assert self.limit is not None
        if self.kinds is None:
            return prove_exact(self.content, self.limit)
        return prove_predictor(self.content, {self.source: Range(float(self.limit))}, KIND, self.kinds)


def graphs_of(bundle: Bundle) -> list[Graph]:
    """All graphs of a bundle; ExportError for inputs that nothing is known of."""
    return [_graph(name, content, bundle) for name, content in bundle.graphs.items()]


def _graph(name: str, content: bytes, bundle: Bundle) -> Graph:
    model = onnx.load_model_from_string(content)
    source, *others = model.graph.input
    if [value.name for value in others] not in ([], [KIND]):
        found = ", ".join(value.name for value in model.graph.input)
        raise ExportError(f"the {name} has the inputs {found}; one is due, or one and {KIND}")
    tensor = source.type.tensor_type
    shape = tuple(dim.dim_value or _FREE + at for at, dim in enumerate(tensor.shape.dim))
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    manifest = bundle.manifest
    limit, spread = manifest.latent_limit, _TYPICAL * max(1.0, 1.0 / manifest.latent_unit)
    if source.name == "planes":
        limit, spread = INPUT_LIMIT, _TYPICAL_PLANE
    if name == "restorer" and manifest.restores is not None:
        rows, columns = (times * size for times, size in zip((2, 3), manifest.restores.multiple, strict=True))
        return Graph(name, content, source.name, (*shape[:2], rows, columns), dtype, None, _TYPICAL_UNIT, None)
    kinds = _kinds(name, model) if others else None
    if name == "encoder":
        return Graph(name, content, source.name, shape, dtype, None, _TYPICAL, kinds)
    return Graph(name, content, source.name, shape, dtype, limit, spread, kinds)


def _kinds(name: str, model: onnx.ModelProto) -> int:
    """How many rows the constants have that the kind picks from; all have as many, or the proof fails."""
    rows = {tensor.name: tensor.dims[0] for tensor in model.graph.initializer if tensor.dims}
    made = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "Cast"}
    for node in model.graph.node:
        if node.op_type == "Gather" and list(node.input[1:]) == [KIND]:
            table = made.get(node.input[0], node.input[0])
            if table in rows:
                return rows[table]
    raise ExportError(f"the {name} has an input {KIND} that picks no constants")
