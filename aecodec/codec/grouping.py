"""Symbols into groups by scale index, and out of them, in coding order."""

import numpy as np

from aecodec.packing.groups import GroupedSymbols
from aecodec.packing.scale import INDICES


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
