"""How many bits a compressed file spends where: what its model did not expect costs more, and is already in the file."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from aecodec.api.facts import chunk_facts
from aecodec.api.reader import Reader
from aecodec.canonical import ArraySpec
from aecodec.codec.chunk import ChunkCoder, Mode
from aecodec.codec.lattice_mode import decode_lattice
from aecodec.codec.model import Origin
from aecodec.codec.predicted_mode import decode_predicted
from aecodec.container.records import Chunk
from aecodec.errors import UsageError
from aecodec.packing.scale import INDICES
from aecodec.packing.varint import Cursor
from aecodec.phases import Phase, targets
from aecodec.prediction import frames_shape, from_frames
from aecodec.tasks.anomaly import top_channels
from aecodec.tasks.results import Scores
from aecodec.tasks.smoothing import smooth
from aecodec.tasks.thresholds import Threshold

Shape4 = tuple[int, int, int, int]
# Mean magnitudes of scale indices, the middles of their half-octaves.
_MAGNITUDES = 2.0 ** ((np.arange(INDICES) - 14 + 0.5) / 2)


@dataclass(frozen=True)
class ChunkRate:
    """A chunk's steps, mode and size in bits a value, of its record's bytes."""

    start: int
    stop: int
    mode: str
    bits: float


def chunk_rates(reader: Reader) -> list[ChunkRate]:
    """The rate of each chunk by its size alone: nothing is decoded, and no model is needed."""
    file = reader.array_file
    found = []
    for facts in chunk_facts(file):
        shape = file.spec.with_length(facts.stop - facts.start).canonical_shape
        found.append(ChunkRate(facts.start, facts.stop, facts.mode, 8.0 * facts.bytes / max(1, int(np.prod(shape)))))
    return found


def stored_bits(reader: Reader) -> Iterator[tuple[int, np.ndarray]]:
    """(first canonical step, bits a value float64 (steps, channels)) of each chunk, which together are exactly its bytes.

    Residuals of predicted chunks are given what they cost under the scale that they were coded with, and what else the chunk
    holds is spread evenly. Lattice chunks share their bytes out by universal code lengths (Elias 1975) of their residuals;
    those of other modes evenly.
    """
    file = reader.array_file
    if file.spec.stream_axis != 0:
        raise UsageError(f"a file with axes {file.spec.axes.letters!r} has no steps whose bits could be told apart; use t")
    sizes = [facts.bytes for facts in chunk_facts(file)]
    for number, (start, stop) in enumerate(map(file.span, range(file.chunks))):
        reader.chunk_array(number)  # says what is damaged, and knows the part's model
        header = file.headers[file.container.part_number(number)]
        assert header is not None
        coder = file.coders[file.container.part_number(number)]
        costs = _costs(file.container.chunk(number), header.spec, coder, file.spec.with_length(stop - start).canonical_shape)
        rest = (8.0 * sizes[number] - float(costs.sum())) / costs.size
        yield start * file.spec.steps_per_sample, np.maximum(costs + rest, 0.0).mean(axis=(2, 3))


def _costs(chunk: Chunk, spec: ArraySpec, coder: ChunkCoder, shape: Shape4) -> np.ndarray:
    """Bits of each value's residual, canonical; 0 where the mode has none."""
    cursor = Cursor(chunk.body)
    mode = cursor.byte()
    origin: Origin = (0, 0)
    if mode == Mode.PREDICTED:
        frames = np.zeros(frames_shape(shape))

        def phase_costs(phase: Phase, index: np.ndarray, residual: np.ndarray) -> None:
            targets(frames, phase)[...] = geometric_bits(residual, _MAGNITUDES[index])

        decode_predicted(cursor, shape, coder.dtype, coder.model, origin, phase_costs)
        return np.asarray(from_frames(frames, shape))
    costs = np.zeros(shape)
    if mode == Mode.LATTICE:

        def lattice_costs(residual: np.ndarray) -> None:
            costs[...] = 1.0 + 2.0 * np.log2(1.0 + np.abs(residual.astype(np.float64)))
            costs[...] *= 8.0 * len(chunk.body) / costs.sum()

        decode_lattice(cursor, shape, coder.dtype, coder.model, origin, lattice_costs)
    return costs


def geometric_bits(residual: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Bits of whole numbers under two-sided geometric distributions of these mean magnitudes (Merhav et al. 2000)."""
    decay = (np.sqrt(1.0 + mean * mean) - 1.0) / mean
    return np.asarray(np.log2((1.0 + decay) / (1.0 - decay)) - np.abs(residual) * np.log2(decay))


def stored_scores(reader: Reader, threshold: Threshold | None = None, window: int = 1) -> Scores:
    """Scores of steps by the bits that the file spends on them, worst channels by their share of these.

    Steps that are coded first, far from any that is known, cost more than those between them: smooth over some 64 steps.
    """
    each = reader.array_file.spec.steps_per_sample
    parts: list[tuple[Any, ...]] = []
    for _, bits in stored_bits(reader):
        energy = bits.reshape(-1, each, bits.shape[1]).mean(axis=1)
        parts.append((energy.mean(axis=1), *top_channels(energy)))
    if not parts:
        raise UsageError("the file has no steps to score")
    scores, worst, shares = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Scores(smooth(scores, window), worst, shares, "stored rate", "step", threshold, {"window": window})
