"""The executors that must agree on a graph: ONNX Runtime at every optimisation level and thread count, and onnx's reference."""

from collections.abc import Callable, Mapping

import numpy as np
import onnxruntime

from aecodec.runtime.reference import ReferenceRun
from export.errors import ExportError

Run = Callable[..., np.ndarray]
LEVELS: dict[str, onnxruntime.GraphOptimizationLevel] = dict(onnxruntime.GraphOptimizationLevel.__members__)
THREADS = (1, 2)
BATCHES = (1, 2, 7)


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


def check_batches(what: str, run: Run, inputs: Mapping[str, np.ndarray], tolerance: float = 0.0) -> None:
    """ExportError unless runs of 1, 2 and 7 at once equal single runs: bit for bit, or within `tolerance` of the largest value.

    The first of `inputs` is what comes in batches, and has at least 7; the others stay as they are.
    """
    batched, *others = inputs.values()
    single = np.concatenate([run(batched[at : at + 1], *others) for at in range(max(BATCHES))])
    for batch in BATCHES:
        check_same(f"{what} at batch {batch} and one by one", run(batched[:batch], *others), single[:batch], tolerance)


def check_agreement(
    what: str, expected_by: Run, runs: Mapping[str, Run], inputs: Mapping[str, np.ndarray], tolerance: float = 0.0
) -> None:
    """ExportError unless all of `runs` give what `expected_by` does: bit for bit, or within `tolerance`."""
    expected = expected_by(*inputs.values())
    for how, run in runs.items():
        check_same(f"{what} by ONNX Runtime ({how}) and by onnx.reference", run(*inputs.values()), expected, tolerance)


def reference(graph: bytes) -> Run:
    """onnx's own executor."""
    return ReferenceRun(graph)


def check_same(what: str, found: np.ndarray, expected: np.ndarray, tolerance: float, slack: float = 0.0) -> None:
    """ExportError unless two outputs are the same: bit for bit, or within `tolerance` of the largest value, and `slack`."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        raise ExportError(f"{what}: {found.dtype} {found.shape} and {expected.dtype} {expected.shape}")
    if not tolerance:
        if found.tobytes() != expected.tobytes():
            raise ExportError(f"{what}: {int((found != expected).sum())} of {found.size} values differ, all must be the same bits")
        return
    largest = float(np.abs(expected).max(initial=0.0))
    worst = float(np.abs(found.astype(np.float64) - expected).max(initial=0.0))
    if not worst <= tolerance * largest + slack:
        raise ExportError(
            f"{what}: they differ by up to {worst:g}, values go up to {largest:g}, {tolerance:g} of that and {slack:g} are allowed"
        )
