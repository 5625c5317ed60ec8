"""Training data: checked, measured, split into training and validation, and drawn from as crops."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from aecodec.errors import UsageError
from aecodec.training.config import digest
from aecodec.training.measure import measure
from aecodec.training.samples import Samples, Window, extent, fits, split, text
from aecodec.training.sources import DEFAULT_MEMORY, Source, canonical_pieces, open_sources


@dataclass(frozen=True)
class TrainingData:
    """Two sets of samples of one kind, and what was measured of them.

    `mean`, `spread` (standard deviation), `low`, `high`: float64 of each channel, over all finite values. `grid`: rows and
    columns, or None if the pieces differ. `about`: for reports. `fingerprint`: of the content, for checkpoints.
    """

    training: Samples
    validation: Samples
    axes: str
    dtype: np.dtype
    channels: int
    grid: tuple[int, int] | None
    mean: np.ndarray
    spread: np.ndarray
    low: np.ndarray
    high: np.ndarray
    about: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""


def open_data(
    data: Any,
    axes: str | None = None,
    *,
    window: Window = (1, 1, 1),
    validation: float = 0.1,
    seed: int = 0,
    missing: Literal["refuse", "fill"] = "refuse",
    memory: int = DEFAULT_MEMORY,
) -> TrainingData:
    """Training data from arrays and files of one kind.

    Args:
        data: an array, memory map, zarr array or open .aecz file; a .npy, .aecz, .zarr or image file; a folder of such; or any
            iterable of these.
        axes: one letter per dimension of each array, as for `compress`; files that know their axes need none.
        window: the smallest (steps, rows, columns) that will be cut out.
        validation: the share that is held out: whole arrays or files, a run of them, where there are enough; else a
            contiguous part of each along its stream axis. `seed` says which.
        missing: what to do about NaN and infinite values: "refuse", or "fill" with the value before them, as `fit` does.
        memory: how many bytes of what cannot be mapped are held; of more than that a random sample.

    Raises:
        UsageError: nothing to train on, too little to hold some out, arrays that differ, values that are not finite.
    """
    if not 0 < validation < 1:
        raise UsageError(f"validation={validation} must be a share between 0 and 1")
    checked = _Checked()
    pieces = [piece for piece in canonical_pieces(checked.each(open_sources(data, axes)), seed, memory) if piece.values.size]
    first = checked.first
    if not pieces or first is None:
        raise UsageError("nothing to train on: the data are empty; give at least one array that is not")
    pieces.sort(key=lambda piece: (piece.source, piece.start))
    measured = measure(pieces, missing == "fill")
    usable = [piece for piece in pieces if fits(piece.values, window)]
    if not usable:
        largest = max((p.values.shape for p in pieces), key=math.prod)
        raise UsageError(
            f"a tile of {text(window)} does not fit the data, whose largest array has {text(extent(largest))}; use smaller tiles"
        )
    training, held_out = split(usable, window, validation, np.random.default_rng([seed, 3]))
    grids = {piece.values.shape[2:] for piece in pieces}
    about = {
        "arrays": checked.count,
        "values": sum(piece.values.size for piece in pieces),
        "read": checked.values,
        "training_values": sum(part.size for part in training),
        "validation_values": sum(part.size for part in held_out),
        "too_small": len(pieces) - len(usable),
    }
    content = [first.spec.axes.letters, str(first.spec.real_dtype), [p.values.shape for p in pieces]]
    return TrainingData(
        Samples(training, missing == "fill"),
        Samples(held_out, missing == "fill"),
        first.spec.axes.letters,
        first.spec.real_dtype,
        first.spec.channels,
        grids.pop() if len(grids) == 1 else None,
        *measured,
        about=about,
        fingerprint=digest([*content, [[float(v) for v in part] for part in measured]]),
    )


class _Checked:
    """Sources as they pass, each held against the first."""

    def __init__(self) -> None:
        self.first: Source | None = None
        self.count = self.values = 0

    def each(self, sources: Any) -> Any:
        for source in sources:
            if self.first is None:
                self.first = source
            self._compare(self.first, source)
            self.count += 1
            self.values += math.prod(source.spec.shape)
            yield source

    def _compare(self, first: Source, source: Source) -> None:
        a, b = first.spec, source.spec
        if b.axes != a.axes and sorted(b.axes.letters) != sorted(a.axes.letters):
            raise UsageError(
                f"{source.name} has the axes {b.axes.letters!r}, {first.name} {a.axes.letters!r}; train on arrays of one kind"
            )
        if b.channels != a.channels:
            raise UsageError(f"{source.name} has {b.channels} channel(s), {first.name} {a.channels}; train on arrays of one kind")
        if b.real_dtype != a.real_dtype:
            raise UsageError(f"{source.name} is of {b.dtype}, {first.name} of {a.dtype}; convert them to one dtype")
        # Pictures differ in size; a field that has a time axis has a grid of its own.
        if a.stream_axis == 0 and a.axes.stream is not None and b.canonical_shape[2:] != a.canonical_shape[2:]:
            raise UsageError(
                f"arrays differ in shape: {source.name} has {b.canonical_shape[2]} x {b.canonical_shape[3]} rows and columns, "
                f"{first.name} {a.canonical_shape[2]} x {a.canonical_shape[3]}; train one model per shape"
            )
