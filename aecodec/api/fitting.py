"""`aecodec.fit`: samples of any kind in, a model out."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Unpack

import numpy as np

from aecodec.api.options import FidelityOptions
from aecodec.api.whole import feed, with_range
from aecodec.axes import guess_axes, parse_axes
from aecodec.canonical import ArraySpec, as_array
from aecodec.codec.model import Model
from aecodec.errors import UsageError
from aecodec.fidelity import fidelity_from_options
from aecodec.models.fit import fit_linear


def fit(
    samples: Any,
    axes: str | None = None,
    *,
    reference: bool | None = None,
    tile: Sequence[int] | None = None,
    seed: int = 0,
    provider: str = "auto",
    **fidelity: Unpack[FidelityOptions],
) -> Model:
    """The linear autoencoder of `samples` in closed form: seconds, no torch.

    Args:
        samples: one array, or an iterable of arrays of one shape but for their length along the stream axis; they are read
            once and never held in memory together.
        axes: one letter per dimension of each array, as for `compress`.
        reference: subtract the mean field of the samples; None decides on held-out samples.
        tile: (steps, channels, rows, columns) that are transformed together; None decides on held-out samples.
        seed: of the choice of held-out samples.
        fidelity: `max_error`, or `max_range_error` with `value_range` or with one array, scales channels by what is
            allowed; otherwise by their spread.

    Raises:
        ModelError: nothing to fit, or samples that differ in shape.
    """
    wanted = fidelity_from_options(**fidelity)
    arrays: Iterable[Any] = samples if _is_collection(samples) else [samples]
    iterator = iter(arrays)
    first = next(iterator, None)
    if first is None:
        raise UsageError("nothing to fit: the samples are empty; give at least one array")
    array = as_array(first)
    found = parse_axes(axes, array.ndim) if axes is not None else guess_axes(array.shape, array.dtype, False)
    spec = ArraySpec(array.dtype, found, array.shape)
    if wanted.needs_range and wanted.kind == "max_range_error":
        if _is_collection(samples):
            raise UsageError("max_range_error of several arrays needs their value range; pass value_range=(low, high)")
        wanted = with_range(array, spec, wanted)
    errors = wanted.allowed_errors(spec.channels)

    def slabs() -> Iterable[np.ndarray]:
        for part in _chain(array, iterator):
            part_spec = ArraySpec(part.dtype, parse_axes(found.letters, part.ndim), part.shape)
            collected: list[np.ndarray] = []
            if part_spec.stream_axis == 0:
                feed(collected.append, part, part_spec)
            else:
                collected.append(part)  # fitting sees all rows and columns at once
            for slab in collected:
                yield replace(part_spec, shape=slab.shape).to_canonical(slab)

    shape = None if tile is None else _tile(tile)
    return Model(fit_linear(slabs(), errors, found.letters, reference=reference, tile=shape, seed=seed).bundle, provider)


def _is_collection(samples: Any) -> bool:
    arrayish = isinstance(samples, (np.ndarray, bytes, bytearray, memoryview))
    arrayish = arrayish or hasattr(samples, "__array__") or hasattr(samples, "__dlpack__")
    return not arrayish and isinstance(samples, Iterable) and not _is_nested_numbers(samples)


def _is_nested_numbers(samples: Any) -> bool:
    return isinstance(samples, (list, tuple)) and bool(samples) and isinstance(samples[0], (int, float, complex))


def _chain(first: np.ndarray, rest: Iterable[Any]) -> Iterable[np.ndarray]:
    yield first
    for item in rest:
        yield as_array(item)


def _tile(tile: Sequence[int]) -> tuple[int, int, int, int]:
    if len(tile) != 4 or any(int(n) < 1 for n in tile):
        raise UsageError(f"tile={tuple(tile)} must be four sizes of 1 or more: steps, channels, rows, columns")
    a, b, c, d = (int(n) for n in tile)
    return a, b, c, d
