"""What a bundle must pass before it ships: size, graphs, proof, executors, and files that every executor decodes alike."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import aecodec
from aecodec.errors import AecodecError
from aecodec.models.bundle import Bundle
from export.errors import ExportError
from export.executors import BATCHES, LEVELS, THREADS, check_agreement, check_batches, reference, sessions
from export.graphs import Graph, graphs_of

MOST_BYTES = 4_000_000
_SAMPLE_VALUES = 1 << 14  # the reference executor takes its time


def check_size(bundle: Bundle) -> int:
    """Bytes of the file; ExportError if they are too many."""
    size = len(bundle.to_bytes())
    if size > MOST_BYTES:
        raise ExportError(f"the model has {size} bytes, at most {MOST_BYTES} are shipped; make it narrower or less deep")
    return size


def check_bundle(bundle: Bundle) -> dict[str, Any]:
    """All that needs no data; what was shown, for the provenance. ExportError says what failed."""
    check_size(bundle)
    if not bundle.manifest.exact:
        raise ExportError("the model does not declare itself exact: its files would not decode everywhere")
    if bundle.encoder is None:
        raise ExportError("the model has no encoder: nothing could be written with it")
    proven = {}
    try:
        aecodec.Model(bundle, "cpu")  # hashes, operators, sizes, and the proofs that readers repeat
        graphs = graphs_of(bundle)
        for graph in graphs:
            if graph.limit is not None:
                found = graph.proven()
                proven[graph.name] = f"inputs to {graph.limit}, outputs to {found.bound:.6g} in steps of 2**{found.grain}"
    except AecodecError as error:
        raise ExportError(f"the model is not sound: {error}") from None
    for graph in graphs:
        _check_executors(graph)
    return {
        "exact": proven,
        "executors": f"onnx.reference; ONNX Runtime at {', '.join(LEVELS)} with {' and '.join(map(str, THREADS))} threads",
        "batches": list(BATCHES),
    }


def _check_executors(graph: Graph) -> None:
    expected, runs = reference(graph.content), sessions(graph.content)
    for what, inputs in graph.trials(max(BATCHES)):
        check_agreement(f"{graph.name} on {what}", expected, runs, inputs, graph.tolerance)
        for how, run in runs.items():
            check_batches(f"{graph.name} ({how}) on {what}", run, inputs, graph.tolerance)


def check_files(bundle: Bundle, held_out: Sequence[np.ndarray], axes: str, fidelities: Sequence[Mapping[str, Any]]) -> None:
    """ExportError unless a file of a sample of what was held out decodes to the same bits by every executor."""
    # A reference field belongs to whole rows and columns.
    sample = cropped(held_out[0], axes, "tz" if bundle.manifest.reference else "tzyx")
    models = {
        f"{provider}, {threads} threads": aecodec.Model(bundle, provider, threads)
        for provider, threads in (("cpu", 1), ("cpu", 2), ("reference", 1))
    }
    first = next(iter(models.values()))
    for fidelity in fidelities:
        data = aecodec.compress(sample, first, axes, embed_model=False, **fidelity)
        decoded = {how: aecodec.decompress(data, model=model) for how, model in models.items()}
        if len({array.tobytes() for array in decoded.values()}) > 1:
            raise ExportError(f"a file of {dict(fidelity)} decodes differently by {'; '.join(decoded)}")


def cropped(array: np.ndarray, axes: str, letters: str) -> np.ndarray:
    """The first half along the longest of the axes among `letters`, until there are few enough values."""
    while array.size > _SAMPLE_VALUES:
        sizes = {at: array.shape[at] for at, letter in enumerate(axes) if letter in letters and array.shape[at] > 1}
        if not sizes:
            break
        longest = max(sizes, key=lambda at: sizes[at])
        array = array[(slice(None),) * longest + (slice(0, (sizes[longest] + 1) // 2),)]
    return np.ascontiguousarray(array)
