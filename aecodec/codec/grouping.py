"""Symbols into groups by scale index, and out of them, in coding order: of one phase at a time, or compiled, of all."""

import numpy as np

from aecodec.compiled.kernels import kernels
from aecodec.compiled.path import Source, decode_phases, encode_phases, sort_by_index, spread_by_index
from aecodec.models.linear_predictor import LinearPredictor
from aecodec.packing.groups import GroupedSymbols
from aecodec.packing.scale import INDICES
from aecodec.packing.stream import zigzag
from aecodec.phases import PhaseLayout
from aecodec.workers import ALONE, Workers

_RANGE = 1 << 17  # symbols that are sorted at once


def put_symbols(groups: list[list[np.ndarray]], symbols: np.ndarray, index: np.ndarray) -> None:
    """Append 1-D symbols, zigzagged, to the groups that `index`, uint8, names, in order."""
    ordered = zigzag(symbols[np.argsort(index, kind="stable")])
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


def sort_symbols(symbols: np.ndarray, index: np.ndarray, workers: Workers = ALONE) -> list[list[np.ndarray]]:
    """The pieces, zigzagged, of each group that `index`, uint8 like `symbols`, names, in coding order; of group 0 perhaps none."""
    symbols, index = symbols.reshape(-1), index.reshape(-1)

    def sort(part: slice) -> list[list[np.ndarray]]:
        groups: list[list[np.ndarray]] = [[] for _ in range(INDICES)]
        here, chosen = symbols[part], index[part]
        if kernels is not None:
            _put_sorted(groups, *sort_by_index(here, chosen, least=1))
            return groups
        used = np.flatnonzero(chosen) if np.count_nonzero(chosen) < chosen.size / 2 else None
        if used is not None:  # most are in group 0, which is of no use to anybody
            here, chosen = here[used], chosen[used]
        put_symbols(groups, here, chosen)
        return groups

    sorted_parts = workers.map(sort, _ranges(index.size))
    return [[piece for groups in sorted_parts for piece in groups[i]] for i in range(INDICES)]


def take_all(grouped: GroupedSymbols, index: np.ndarray, workers: Workers = ALONE) -> np.ndarray:
    """The next symbols of the groups that `index`, uint8, names, int32 of its shape; of group 0 there are none, but zeros."""
    flat = index.reshape(-1)
    symbols = np.zeros(flat.size, np.int32)
    ranges = _ranges(flat.size)
    counts = np.array(workers.map(lambda part: np.bincount(flat[part], minlength=INDICES), ranges)).reshape(-1, INDICES)
    counts[:, 0] = 0
    if kernels is not None:
        _take_compiled(grouped, flat, symbols, counts, workers)
        return symbols.reshape(index.shape)
    pieces = {i: np.split(grouped.take(i, int(counts[:, i].sum())), np.cumsum(counts[:-1, i])) for i in _filled(counts.sum(axis=0))}

    def put(number: int) -> None:
        part = ranges[number]
        here, chosen = symbols[part], flat[part]
        parts = [pieces[i][number] for i in _filled(counts[number])]
        total = int(counts[number].sum())
        if total < chosen.size / 2:
            used = np.flatnonzero(chosen)
            order = used[np.argsort(chosen[used], kind="stable")]
        else:
            order = np.argsort(chosen, kind="stable")[chosen.size - total :]
        if parts:
            here[order] = np.concatenate(parts)

    workers.map(put, range(len(ranges)))
    return symbols.reshape(index.shape)


def _take_compiled(grouped: GroupedSymbols, index: np.ndarray, symbols: np.ndarray, counts: np.ndarray, workers: Workers) -> None:
    """Fill `symbols`; `counts`: how many each range needs of each index."""
    joined, begins, ends = grouped.joined()
    after = begins + np.cumsum(counts, axis=0)
    short = np.flatnonzero(after[-1:].max(axis=0, initial=0) > ends)
    if short.size:
        raise grouped.too_few(int(short[0]))
    ranges = _ranges(index.size)

    def put(number: int) -> None:
        part = ranges[number]
        spread_by_index(joined, index[part], after[number] - counts[number], ends, symbols[part])

    workers.map(put, range(len(ranges)))
    if len(after):
        grouped.leave(ends - after[-1])


def _ranges(size: int) -> list[slice]:
    return [slice(start, min(start + _RANGE, size)) for start in range(0, size, _RANGE)]


def _filled(counts: np.ndarray) -> list[int]:
    return list(np.flatnonzero(counts).tolist())


def put_phases(
    groups: list[list[np.ndarray]],
    values: np.ndarray,
    layout: PhaseLayout,
    spacing: int,
    predictor: LinearPredictor,
    source: Source,
    dead_zone: float,
    free: np.ndarray | None,
) -> None:
    """Code the `source` by compiled functions, as `encode_phases` does, into `groups`."""
    _put_sorted(groups, *encode_phases(values, layout, spacing, predictor, source, dead_zone, free))


def _put_sorted(groups: list[list[np.ndarray]], symbols: np.ndarray, ends: np.ndarray) -> None:
    """Append symbols that lie ordered by index, each group's up to its end."""
    for group, start, end in zip(groups, [0, *ends.tolist()], ends.tolist(), strict=False):
        if end > start:
            group.append(symbols[start:end])


def take_phases(
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
