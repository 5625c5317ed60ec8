"""Latents that come in slices, coded with means and scales from the slices before (FORMAT.md, "Latents of slices")."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from aecodec.codec.grouping import put_symbols, take_symbols
from aecodec.codec.maps import MapNetworks, map_shape
from aecodec.errors import FormatError
from aecodec.lattice import lorenzo_residual, lorenzo_restore
from aecodec.models.prior_layout import FINE, LARGEST_INDEX, SHIFT
from aecodec.packing.contexts import decode_residual, encode_residual
from aecodec.packing.estimate import residual_bits
from aecodec.packing.groups import GroupedSymbols, encode_groups
from aecodec.packing.scale import INDICES
from aecodec.packing.varint import Cursor, put_section
from aecodec.phases import Phase, base_grid, targets
from aecodec.prediction import run_phases
from aecodec.tiling import Tiling

_BASE_AXES = (0, 0b11000, 0b00010, 0b11010)
_BASE_CELL = 16
COMPLETE = 32  # flag beside the base grid's axes: symbols of index 0 are coded, too
_MOST_LOST = 0.004  # squared error, in steps, for each latent, that is worth as many bits as all those zeros take
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


@dataclass(frozen=True)
class CodedMap:
    """Latents coded in memory: what the section holds, and the latents as a decoder will know them, float32 (N, latents, a, b)."""

    base: np.ndarray
    head: int
    groups: list[list[np.ndarray]]
    known: np.ndarray

    def pack(self, thorough: bool) -> bytes:
        """The section's bytes."""
        out = bytearray([self.head])
        put_section(out, encode_residual(self.base, _BASE_CELL, thorough))
        put_section(out, encode_groups(self.groups, thorough))
        return bytes(out)


def encode_map(latents: np.ndarray, networks: MapNetworks, step: int) -> CodedMap | None:
    """Latents in steps, float32 (N, latents, a, b) -> what codes them; None if one is beyond the model's limit."""
    latents = latents * np.float32(FINE)
    limit = networks.manifest.latent_limit
    if not (np.abs(latents).max(initial=0.0) <= limit - FINE):
        return None
    coded, lost = _encode(latents, networks, step, complete=False)
    if lost > _MOST_LOST * latents.size:
        coded, _ = _encode(latents, networks, step, complete=True)
    return coded if np.abs(coded.known).max(initial=0.0) <= limit else None


def _encode(latents: np.ndarray, networks: MapNetworks, step: int, complete: bool) -> tuple[CodedMap, float]:
    """Latents in sixteenths -> what codes them, and the squares, in steps, of what an index of 0 leaves out."""
    known = np.zeros(latents.shape, np.float32)
    groups: list[list[np.ndarray]] = [[] for _ in range(INDICES)]
    ends, lost = networks.prior.ends, 0.0
    coarse, known[:, : ends[0]] = _encode_first(latents[:, : ends[0]], networks, groups)
    for k, (start, end) in enumerate(pairwise(ends), 1):
        mean, index = _expected(k, known[:, :start], networks, step, complete)
        residual = latents[:, start:end] if mean is None else latents[:, start:end] - mean
        exact = residual * np.float32(1.0 / FINE)
        zone = _DEAD_ZONES[index]
        symbols = np.rint(exact - np.clip(exact, -zone, zone)).astype(np.int32)
        coded = index > 0
        whole = np.rint(exact[~coded])
        lost += float(np.dot(whole, whole))
        symbols *= coded
        _put_slice(groups, symbols, index, coded)
        _fill(known[:, start:end], symbols, mean)
    tried = {axes: lorenzo_residual(coarse, axes).reshape(-1) for axes in _BASE_AXES}
    best = min(tried, key=lambda axes: residual_bits(tried[axes], 0))
    return CodedMap(tried[best], best | COMPLETE * complete, groups, known), lost


def decode_map(cursor: Cursor, tiling: Tiling, networks: MapNetworks, step: int) -> np.ndarray:
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

    def code(phase: Phase, mean: np.ndarray, index: np.ndarray) -> np.ndarray:
        return take_symbols(grouped, index.reshape(-1)).reshape(mean.shape)

    run_phases(found, prior.layout, FINE, networks.predict, code)
    known[:, : prior.ends[0]] = found[0]
    _check(known[:, : prior.ends[0]], limit)
    for k, (start, end) in enumerate(pairwise(prior.ends), 1):
        mean, index = _expected(k, known[:, :start], networks, step, complete)
        symbols = np.zeros(index.shape, np.int32)
        coded = np.flatnonzero(index)
        symbols.reshape(-1)[coded] = take_symbols(grouped, index.reshape(-1)[coded] + np.uint8(SHIFT))
        _fill(known[:, start:end], symbols, mean)
        _check(known[:, start:end], limit)
    grouped.end()
    section.end()
    return known


def _encode_first(reals: np.ndarray, networks: MapNetworks, groups: list[list[np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Code the first slice, real (N, latents, rows, columns) in sixteenths: the base grid in steps, and what is found."""
    frames = reals[None]
    found = np.zeros(frames.shape, np.int32)
    grid = base_grid(frames.shape)
    coarse = np.rint(frames[grid] / FINE).astype(np.int32)
    found[grid] = coarse * np.int32(FINE)

    def code(phase: Phase, mean: np.ndarray, index: np.ndarray) -> np.ndarray:
        residual = np.rint((targets(frames, phase) - mean) * (1.0 / FINE)).astype(np.int32)
        put_symbols(groups, residual.reshape(-1), index.reshape(-1))
        return residual

    run_phases(found, networks.prior.layout, FINE, networks.predict, code)
    return coarse, found[0]


def _expected(k: int, known: np.ndarray, networks: MapNetworks, step: int, complete: bool) -> tuple[np.ndarray | None, np.ndarray]:
    """Means, clipped, and scale indices, uint8, of slice k; none is 0 if all symbols are to be coded."""
    mean, index = networks.expect(k, known, step)
    limit = float(networks.manifest.latent_limit)
    clipped = None if mean is None else np.clip(mean, -limit, limit)
    return clipped, np.clip(index, float(complete), LARGEST_INDEX).astype(np.uint8)


def _put_slice(groups: list[list[np.ndarray]], symbols: np.ndarray, index: np.ndarray, coded: np.ndarray) -> None:
    place = np.flatnonzero(coded)
    put_symbols(groups, symbols.reshape(-1)[place], index.reshape(-1)[place] + np.uint8(SHIFT))


def _fill(known: np.ndarray, symbols: np.ndarray, mean: np.ndarray | None) -> None:
    """Latents U of a slice."""
    np.multiply(symbols, FINE, out=known, casting="unsafe")
    if mean is not None:
        known += mean


def _check(known: np.ndarray, limit: int) -> None:
    if known.size and not max(known.max(), -known.min()) <= limit:
        raise FormatError(f"a latent is beyond the model's limit of {limit} sixteenths of a step")
