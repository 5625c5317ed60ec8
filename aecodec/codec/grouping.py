"""Symbols into groups by scale index, and out of them, in coding order: of one phase at a time, or compiled, of all."""

import numpy as np

from aecodec.compiled.path import decode_phases, encode_phases
from aecodec.models.linear_predictor import LinearPredictor
from aecodec.packing.groups import GroupedSymbols
from aecodec.packing.scale import INDICES
from aecodec.phases import PhaseLayout


def put_symbols(groups: list[list[np.ndarray]], symbols: np.ndarray, index: np.ndarray) -> None:
    """Append 1-D symbols to the groups that `index`, uint8, names, in order."""
    ordered = symbols[np.argsort(index, kind="stable")]
    ends = np.cumsum(np.bincount(index, minlength=INDICES)).tolist()
    for group, start, end in zip(groups, [0, *ends], ends, strict=False):
        if end > start:
            group.append(ordered[start:end])


def take_symbols(grouped: GroupedSymbols, index: np.ndarray) -> np.ndarray:
    """The next symbols of the groups that `index`, uint8, names, int32 in its order."""
    counts = np.bincount(index, minlength=INDICES)
    parts = [grouped.take(i, int(counts[i])) for i in np.flatnonzero(counts).tolist()]
    if len(parts) < 2:
        return parts[0] if parts else np.zeros(0, np.int32)
    symbols = np.empty(index.size, np.int32)
    symbols[np.argsort(index, kind="stable")] = np.concatenate(parts)
    return symbols


def put_all(
    groups: list[list[np.ndarray]],
    values: np.ndarray,
    layout: PhaseLayout,
    spacing: int,
    predictor: LinearPredictor,
    reals: np.ndarray,
    dead_zone: float,
    free: np.ndarray | None,
) -> None:
    """Code `reals` by compiled functions, as `encode_phases` does, into `groups`."""
    symbols, ends = encode_phases(values, layout, spacing, predictor, reals, dead_zone, free)
    for group, part in zip(groups, np.split(symbols, ends[:-1]), strict=True):
        if part.size:
            group.append(part)


def take_all(
    grouped: GroupedSymbols,
    values: np.ndarray,
    layout: PhaseLayout,
    spacing: int,
    predictor: LinearPredictor,
    free: np.ndarray | None,
) -> None:
    """Fill `values` by compiled functions, as `decode_phases` does, from `grouped`."""
    symbols, used, ends = grouped.joined()
    if not decode_phases(values, layout, spacing, predictor, symbols, used, ends, free):
        raise grouped.too_few(int(np.argmax(used >= ends)))
    grouped.leave(ends - used)
