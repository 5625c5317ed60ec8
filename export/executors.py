"""The executors that must agree on a graph: ONNX Runtime at every optimisation level and thread count, and onnx's reference."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
import onnxruntime

from aecodec.runtime.reference import ReferenceRun
from export.errors import ExportError

Run = Callable[..., np.ndarray]
LEVELS: dict[str, onnxruntime.GraphOptimizationLevel] = dict(onnxruntime.GraphOptimizationLevel.__members__)
THREADS = (1, 2)
BATCHES = (1, 2, 7)
_FREE = 6  # what sizes that a graph leaves open are set to, but for the batch


def sessions(graph: bytes) -> dict[str, Run]:
    """ONNX Runtime's CPU executors by a name that says how they run."""
    found = {}
    for level, value in LEVELS.items():
        for threads in THREADS:
            options = onnxruntime.SessionOptions()
            options.graph_optimization_level = value
            options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
            options.log_severity_level = 4
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
            found[f"{level}, {threads} threads"] = _runner(session)
    return found


def _runner(session: onnxruntime.InferenceSession) -> Run:
    names = [value.name for value in session.get_inputs()]
    return lambda *arrays: np.asarray(session.run(None, dict(zip(names, arrays, strict=True)))[0])


def shapes_of(graph: bytes, batch: int) -> dict[str, tuple[int, ...]]:
    """Shapes of a graph's inputs with `batch` where their first size is open; other open sizes are _FREE, and so on."""
    shapes = {}
    for value in onnx.load_model_from_string(graph).graph.input:
        sizes = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        shapes[value.name] = tuple(size or (batch if at == 0 else _FREE + at) for at, size in enumerate(sizes))
    return shapes


def check_batches(name: str, run: Run, inputs: Mapping[str, np.ndarray], batched: Sequence[str], tolerance: float = 0.0) -> None:
    """ExportError unless runs of 1, 2 and 7 at once equal single runs: bit for bit, or within `tolerance` of the largest value.

    `inputs` have at least 7 entries along the first axis if they are among those `batched`.
    """

    def part(start: int, stop: int) -> np.ndarray:
        return run(*(value[start:stop] if key in batched else value for key, value in inputs.items()))

    single = np.concatenate([part(at, at + 1) for at in range(max(BATCHES))])
    for batch in BATCHES:
        _check_same(f"{name} at batch {batch} and one by one", part(0, batch), single[:batch], tolerance)


def check_agreement(name: str, graph: bytes, inputs: Sequence[np.ndarray], tolerance: float = 0.0) -> None:
    """ExportError unless all executors give the same: bit for bit, or within `tolerance`."""
    expected = ReferenceRun(graph)(*inputs)
    for how, run in sessions(graph).items():
        _check_same(f"{name} by ONNX Runtime ({how}) and by onnx.reference", run(*inputs), expected, tolerance)


def check_same_as_torch(name: str, module: Run, graph: bytes, inputs: Sequence[np.ndarray], tolerance: float = 0.0) -> None:
    """ExportError unless a torch module, called with tensors, gives what ONNX Runtime does: bit for bit, or within `tolerance`."""
    import torch  # only where something was trained

    with torch.no_grad():
        ours = np.asarray(module(*(torch.from_numpy(np.ascontiguousarray(value)) for value in inputs)))
    theirs = next(iter(sessions(graph).values()))(*inputs)
    _check_same(f"{name} by torch and by ONNX Runtime", ours.astype(theirs.dtype), theirs, tolerance)


def _check_same(what: str, found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    if found.shape != expected.shape or found.dtype != expected.dtype:
        raise ExportError(f"{what}: {found.dtype} {found.shape} and {expected.dtype} {expected.shape}")
    if not tolerance:
        if found.tobytes() != expected.tobytes():
            raise ExportError(f"{what}: {int((found != expected).sum())} of {found.size} values differ, all must be the same bits")
        return
    largest = float(np.abs(expected).max(initial=0.0))
    worst = float(np.abs(found.astype(np.float64) - expected).max(initial=0.0))
    if not worst <= tolerance * largest:
        raise ExportError(f"{what}: they differ by up to {worst:g}, values go up to {largest:g}, {tolerance:g} of that is allowed")
