"""Latents that come in slices, coded with means and scales from the slices before (FORMAT.md, "Latents of slices")."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from aecodec.codec.bands import Part
from aecodec.codec.grouping import put_phases, put_symbols, sort_symbols, take_all, take_phases, take_symbols
from aecodec.codec.maps import MapNetworks, map_shape
from aecodec.compiled.path import compiled_serves
from aecodec.compiled.values import nearest_symbols
from aecodec.errors import FormatError
from aecodec.lattice import lorenzo_residual, lorenzo_restore
from aecodec.models.prior_layout import FINE, LARGEST_INDEX, SHIFT
from aecodec.packing.estimate import residual_bits
from aecodec.packing.groups import GroupedSymbols, encode_groups
from aecodec.packing.residuals import decode_residual, encode_residual
from aecodec.packing.scale import INDICES
from aecodec.packing.varint import Cursor, put_section
from aecodec.phases import Phase, Shape5, base_grid, targets
from aecodec.prediction import run_phases
from aecodec.tiling import Tiling
from aecodec.workers import ALONE, Workers

_BASE_AXES = (0, 0b11000, 0b00010, 0b11010)
_BASE_CELL = 16
COMPLETE = 32  # flag beside the base grid's axes: symbols of index 0 are coded, too
_MOST_LOST = 0.004  # squared error, in steps, for each latent, that is worth as many bits as all those zeros take
_LATE = 0.25  # of that
_BITS_PER_ERROR = 8.0  # what a squared error of one step is worth; chosen on training photos
_WIDEST = 0.5


def _dead_zones() -> np.ndarray:
    """By scale index, how far beyond 1/2 a residual must lie for the next symbol to be worth its bits, in steps.

    One more in magnitude takes log2(e) / b bits if symbols follow a Laplace density of decay b, and saves 2 * distance - 1 of
    squared error. Source: rate-distortion optimized quantization, as in video encoders (Karczewicz et al. 2008).
    """
    s = 2.0 ** ((np.arange(LARGEST_INDEX + 1) - 14) / 2)
    bits = -2.0 * np.log2(2 * s / (1 + np.sqrt(1 + 4 * s * s)))
    return np.minimum(bits / (2 * _BITS_PER_ERROR), _WIDEST).astype(np.float32)


_DEAD_ZONES = _dead_zones()
_DEAD_ZONES[0] = _DEAD_ZONES[1]  # of what is coded as if it were expected to be larger


@dataclass
class CodedMap:
    """Latents coded in memory: what the section holds."""

    base: np.ndarray
    head: int
    groups: list[list[np.ndarray]]
    _known: np.ndarray
    _last: "_Slice"

    @cached_property
    def known(self) -> np.ndarray:
        """The latents as a decoder will know them, float32 (N, latents, a, b)."""
        start = self._known.shape[1] - self._last.symbols.shape[1]
        _fill(self._known[:, start:], self._last.symbols, self._last.mean)
        return self._known

    def pack(self, thorough: bool, workers: Workers = ALONE) -> bytes:
        """The section's bytes."""
        out = bytearray([self.head])
        put_section(out, encode_residual(self.base, _BASE_CELL if thorough else 0, thorough))
        put_section(out, encode_groups(self.groups, thorough, workers))
        return bytes(out)


@dataclass
class _Slice:
    """Symbols of a slice, their scale indices as the prior says them, and its means, if any; (N, width, a, b).

    `lost`: squares, in steps, of what is lost where an index of 0 leaves the symbols out, as it does in all but the last slice.
    """

    symbols: np.ndarray
    index: np.ndarray
    mean: np.ndarray | None
    lost: float

    def leave_out(self) -> None:
        """Make symbols 0 where the index is."""
        self.symbols *= self.index > 0


def _groups(index: np.ndarray, complete: bool) -> np.ndarray:
    """By scale index as the prior says it, uint8, which group a symbol is in; 0 if in none."""
    index = np.maximum(index, np.uint8(complete))
    return (index + np.uint8(SHIFT)) * (index > 0)


def encode_map(latents: np.ndarray, networks: MapNetworks, step: int, workers: Workers = ALONE) -> CodedMap | None:
    """Latents in sixteenths of a step, float32 (N, latents, a, b) -> what codes them; None if one is beyond the model's limit.

    What is known of them is within a step, and so within the limit.
    """
    limit = networks.manifest.latent_limit - FINE
    if not (latents.max(initial=0.0) <= limit and latents.min(initial=0.0) >= -limit):
        return None
    coded, spoiled = _encode(latents, networks, step, workers)
    return _encode(latents, networks, step, workers, complete=True)[0] if spoiled else coded


def _encode(
    latents: np.ndarray, networks: MapNetworks, step: int, workers: Workers, complete: bool = False
) -> tuple[CodedMap, bool]:
    """Latents in sixteenths -> what codes them, and whether it was too late that it turned out to be better `complete`.

    Symbols of index 0 are coded if so, or if too much would be lost without them. That is known at the last slice, which has most
    of them; what the slices before it have lost by then is lost, unless it is much.
    """
    known = np.empty(latents.shape, np.float32)
    groups: list[list[np.ndarray]] = [[] for _ in range(INDICES)]
    ends = networks.prior.ends
    coarse, known[:, : ends[0]] = _encode_first(latents[:, : ends[0]], networks, groups)
    slices: list[_Slice] = []
    for k, (start, end) in enumerate(pairwise(ends), 1):
        found = _encode_slice(k, latents[:, start:end], known[:, :start], networks, step, workers)
        slices.append(found)
        if end < ends[-1]:
            if not complete:
                found.leave_out()
            _fill(known[:, start:end], found.symbols, found.mean)
    most, early = _MOST_LOST * latents.size, sum(found.lost for found in slices[:-1])
    lossy = early + slices[-1].lost > most
    spoiled = lossy and not complete and early > _LATE * most
    complete = complete or lossy
    if not complete:
        slices[-1].leave_out()
    for found in slices:
        _put_slice(groups, found, complete, workers)
    tried = {axes: lorenzo_residual(coarse, axes).reshape(-1) for axes in _BASE_AXES}
    best = min(tried, key=lambda axes: residual_bits(tried[axes], 0))
    return CodedMap(tried[best], best | COMPLETE * complete, groups, known, slices[-1]), spoiled


def _encode_slice(k: int, latents: np.ndarray, known: np.ndarray, networks: MapNetworks, step: int, workers: Workers) -> _Slice:
    """Slice k of latents, in sixteenths, after what is known of those before."""
    symbols, index = np.empty(latents.shape, np.int32), np.empty(latents.shape, np.uint8)
    mean = np.empty(latents.shape, np.float32) if networks.prior.means[k - 1] else None

    def encode(part: Part) -> float:
        expected, scale = _expected(k, part, known, networks, step)
        exact = part.place(latents) * np.float32(1.0 / FINE)
        if expected is not None and mean is not None:
            part.place(mean)[...] = expected
            exact -= expected * np.float32(1.0 / FINE)
        part.place(index)[...] = scale
        found, lost = nearest_symbols(exact, scale, _DEAD_ZONES)
        part.place(symbols)[...] = found
        return lost

    lost = sum(workers.map(encode, networks.prior_parts(k, known.shape, workers)))
    return _Slice(symbols, index, mean, lost)


def decode_map(cursor: Cursor, tiling: Tiling, networks: MapNetworks, step: int, workers: Workers = ALONE) -> np.ndarray:
    """The section -> latents U, float32 (N, latents, a, b)."""
    head = cursor.byte()
    if head >> 6:
        raise FormatError(f"chunk begins its latents with unknown flags {head:#x}")
    base_axes, complete = head & 0b11111, bool(head & COMPLETE)
    prior, limit = networks.prior, networks.manifest.latent_limit
    known = np.zeros(map_shape(tiling, prior.ends[-1]), np.float32)
    if not known.size:
        raise FormatError(f"chunk has latents of slices, but no values: its map is {known.shape}")
    found = np.zeros((1, known.shape[0], prior.ends[0], *known.shape[2:]), np.int32)
    grid = base_grid(found.shape)
    section = cursor.section()
    coarse = decode_residual(section, found[grid].size).reshape(found[grid].shape)
    section.end()
    found[grid] = lorenzo_restore(coarse, base_axes) * np.int32(FINE)
    section = cursor.section()
    grouped = GroupedSymbols(section, known.size)

    def code(phase: Phase, mean: np.ndarray, index: np.ndarray, _: np.ndarray | None) -> np.ndarray:
        return take_symbols(grouped, index.reshape(-1)).reshape(mean.shape)

    if networks.linear is not None and compiled_serves(found.shape, prior.layout):
        take_phases(grouped, found, prior.layout, FINE, networks.linear, None)
    else:
        run_phases(found, prior.layout, FINE, networks.predict, code)
    known[:, : prior.ends[0]] = found[0]
    _check(known[:, : prior.ends[0]], limit)
    for k, (start, end) in enumerate(pairwise(prior.ends), 1):
        mean, index = _expected_slice(k, known[:, :start], networks, step, complete, workers)
        symbols = take_all(grouped, index, workers)
        _fill(known[:, start:end], symbols, mean)
        _check(known[:, start:end], limit)
    grouped.end()
    section.end()
    return known


def _encode_first(reals: np.ndarray, networks: MapNetworks, groups: list[list[np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Code the first slice, real (N, latents, rows, columns) in sixteenths: the base grid in steps, and what is found."""
    frames = reals[None]
    shape: Shape5 = frames.shape
    found = np.zeros(shape, np.int32)
    grid = base_grid(shape)
    coarse = np.rint(frames[grid] / FINE).astype(np.int32)
    found[grid] = coarse * np.int32(FINE)

    layout, channels = networks.prior.layout, reals.shape[1]
    if networks.linear is not None and compiled_serves(shape, layout):
        source = (frames, np.zeros((channels, 1, 1)), np.ones(channels))
        put_phases(groups, found, layout, FINE, networks.linear, source, 0.0, None)
        return coarse, found[0]
    residuals: list[np.ndarray] = []
    indices: list[np.ndarray] = []

    def code(phase: Phase, mean: np.ndarray, index: np.ndarray, _: np.ndarray | None) -> np.ndarray:
        residual = np.rint((targets(frames, phase) - mean) * (1.0 / FINE)).astype(np.int32)
        residuals.append(residual.reshape(-1))
        indices.append(index.reshape(-1))
        return residual

    run_phases(found, layout, FINE, networks.predict, code)
    if residuals:
        put_symbols(groups, np.concatenate(residuals), np.concatenate(indices))
    return coarse, found[0]


def _expected(k: int, part: Part, known: np.ndarray, networks: MapNetworks, step: int) -> tuple[np.ndarray | None, np.ndarray]:
    """Means, clipped, if any, and scale indices, uint8, of a part of slice k."""
    mean, index = networks.expect(k, part.take(known), step)
    limit = float(networks.manifest.latent_limit)
    clipped = None if mean is None else np.clip(part.crop(mean), -limit, limit)
    return clipped, np.clip(part.crop(index), 0, LARGEST_INDEX).astype(np.uint8)


def _expected_slice(
    k: int, known: np.ndarray, networks: MapNetworks, step: int, complete: bool, workers: Workers
) -> tuple[np.ndarray | None, np.ndarray]:
    """Means, if any, and groups of all of slice k; a group of 0 has symbols that are not coded."""
    n, _, rows, columns = known.shape
    shape = (n, networks.prior.widths[k], rows, columns)
    groups = np.empty(shape, np.uint8)
    mean = np.empty(shape, np.float32) if networks.prior.means[k - 1] else None

    def expect(part: Part) -> None:
        expected, index = _expected(k, part, known, networks, step)
        if expected is not None and mean is not None:
            part.place(mean)[...] = expected
        part.place(groups)[...] = _groups(index, complete)

    workers.map(expect, networks.prior_parts(k, known.shape, workers))
    return mean, groups


def _put_slice(groups: list[list[np.ndarray]], found: _Slice, complete: bool, workers: Workers) -> None:
    for group, part in zip(groups[1:], sort_symbols(found.symbols, _groups(found.index, complete), workers)[1:], strict=True):
        group += part


def _fill(known: np.ndarray, symbols: np.ndarray, mean: np.ndarray | None) -> None:
    """Latents U of a slice."""
    np.multiply(symbols, FINE, out=known, casting="unsafe")
    if mean is not None:
        known += mean


def _check(known: np.ndarray, limit: int) -> None:
    if known.size and not max(known.max(), -known.min()) <= limit:
        raise FormatError(f"a latent is beyond the model's limit of {limit} sixteenths of a step")
