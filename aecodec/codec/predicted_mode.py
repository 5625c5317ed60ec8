"""The predicted path: residuals of the learned predictor on the error lattice (normative: FORMAT.md, "Mode 7, predicted").

Body: flags byte; lattice steps; axes of the base grid's Lorenzo prediction; base grid; grouped residuals; then the sections
that the flags name.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aecodec.codec.fine_lattice import LARGEST_SPACING, FineLattice, FineValues, fine_lattice, fine_values
from aecodec.codec.finite import FiniteValues
from aecodec.codec.grouping import put_phases, put_symbols, take_phases, take_symbols
from aecodec.codec.model import Model, Origin
from aecodec.codec.sections import (
    apply_exceptions,
    decode_classes,
    decode_steps,
    encode_classes,
    encode_exceptions,
    encode_steps,
    put_back,
)
from aecodec.compiled.path import compiled_serves
from aecodec.compiled.values import all_within
from aecodec.errors import FormatError, ModelError
from aecodec.lattice import from_lattice, lattice_steps, lorenzo_residual, lorenzo_restore, within_bound
from aecodec.packing.contexts import decode_residual, encode_residual
from aecodec.packing.estimate import residual_bits
from aecodec.packing.groups import GroupedSymbols, encode_groups
from aecodec.packing.scale import INDICES
from aecodec.packing.varint import Cursor, put_section
from aecodec.phases import Phase, base_grid, targets
from aecodec.prediction import frames_shape, from_frames, run_phases, to_frames, zero_frames

CLASSES, EXCEPTIONS, PER_CHANNEL, CONSTANT = 2, 4, 16, 32
_ALL_FLAGS = CLASSES | EXCEPTIONS | PER_CHANNEL | CONSTANT
_BASE_AXES = (0, 0b11000, 0b00010, 0b11010)
_BASE_CELL = 16
_DEAD_ZONE = 0.1  # of a lattice step; chosen on train splits
Watch = Callable[[Phase, np.ndarray, np.ndarray], None]  # told each phase's scale indices and residuals, of one shape

_FEW = 0.01  # of the constant sites may differ from what they are expected to be, and are then stored exactly


@dataclass(frozen=True)
class Predicted:
    """A chunk coded in memory: the residuals by scale index, in coding order, and what else the body holds."""

    body: bytes
    base: np.ndarray
    base_axes: int
    groups: list[list[np.ndarray]]
    tail: bytes
    restored: np.ndarray

    def pack(self, thorough: bool) -> bytes:
        """The chunk's body."""
        out = bytearray(self.body)
        out.append(self.base_axes)
        put_section(out, encode_residual(self.base, _BASE_CELL if thorough else 0, thorough))
        put_section(out, encode_groups(self.groups, thorough))
        return bytes(out) + self.tail


def encode_predicted(
    seen: FiniteValues, errors: np.ndarray, model: Model, origin: Origin, bounded: bool = True
) -> Predicted | None:
    """A chunk -> what its body holds; None if the lattice does not serve it. `errors`: largest of each channel.

    If not `bounded`, more residuals than the nearest are 0, and some values err by more: fewer bytes for the same mean error.
    """
    array, classes = seen.array, seen.classes
    steps = lattice_steps(errors, seen.peaks, array.dtype)
    lattice = fine_lattice(steps, array.dtype) if steps.all() else None
    if model.manifest.predictor is None or lattice is None:
        return None
    base = _base(model, array.shape, origin, array.dtype)
    fine = fine_values(seen.values, base, lattice, seen.peaks)
    if fine is None:
        return None
    sites = model.constant_sites(array.shape, origin)
    if sites is not None and not (sites.any() and (np.abs(fine.sites(sites)) > lattice.spacing / 2).mean() < _FEW):
        sites = None
    free = _union(classes, sites, array.shape)
    groups: list[list[np.ndarray]] = [[] for _ in range(INDICES)]
    zero = zero_frames(base, lattice.units, array.shape)
    coarse, found = _code_phases(fine, free, lattice.spacing, model, groups, 0.0 if bounded else _DEAD_ZONE, zero)
    restored = _restore(found, lattice, array.dtype, base, sites)

    stored, per_channel = encode_steps(steps)
    flags = PER_CHANNEL * per_channel | CLASSES * (classes is not None) | CONSTANT * (sites is not None)
    tail = bytearray()
    if classes is not None:
        put_section(tail, encode_classes(classes))
    if bounded and not all_within(array, restored, errors):
        sound = within_bound(array, restored, errors)
        sound |= False if classes is None else classes != 0
        if not sound.all():
            flags |= EXCEPTIONS
            put_section(tail, encode_exceptions(array, np.flatnonzero(~sound)))
    axes, left = _coarse_residual(coarse)
    return Predicted(bytes([flags]) + stored, left, axes, groups, bytes(tail), restored)


def _code_phases(
    fine: FineValues,
    free: np.ndarray | None,
    spacing: int,
    model: Model,
    groups: list[list[np.ndarray]],
    dead_zone: float,
    zero: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Code `fine` but where it is `free`, into `groups` by scale index.

    Returns the base grid in lattice steps, and what a decoder will find in fine units, canonical int32.
    """
    layout = model.manifest.predictor
    assert layout is not None
    shape = frames_shape(fine.values.shape)
    found = np.empty(shape, np.int32)
    grid = base_grid(shape)
    coarse = np.rint(fine.frames(grid) / spacing).astype(np.int32)
    found[grid] = coarse * np.int32(spacing)
    if model.linear is not None and compiled_serves(shape, layout):
        source = (to_frames(fine.values), fine.base, fine.scales)
        put_phases(groups, found, layout, spacing, model.linear, source, dead_zone, free)
        return coarse, from_frames(found, fine.values.shape)
    reals = to_frames(fine.all())
    inverse = 1.0 / spacing

    def code(phase: Phase, mean: np.ndarray, index: np.ndarray) -> np.ndarray:
        exact = (targets(reals, phase) - mean) * inverse
        if dead_zone:
            exact -= np.clip(exact, -dead_zone, dead_zone)
        residual = np.rint(exact).astype(np.int32)
        if free is None:
            put_symbols(groups, residual.reshape(-1), index.reshape(-1))
        else:
            skipped = targets(free, phase)
            residual[skipped] = 0
            put_symbols(groups, residual[~skipped], index[~skipped])
        return residual

    run_phases(found, layout, spacing, model.predict, code, zero)
    return coarse, from_frames(found, fine.values.shape)


def _union(classes: np.ndarray | None, sites: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray | None:
    """Where nothing is coded, in frames: values with a class, and constant sites."""
    known = None if classes is None else classes != 0
    if sites is not None:
        known = np.broadcast_to(sites, shape) if known is None else known | sites
    return None if known is None else to_frames(known)


def decode_predicted(
    cursor: Cursor,
    shape: tuple[int, int, int, int],
    dtype: np.dtype,
    model: Model | None,
    origin: Origin,
    watch: Watch | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Body -> canonical array, in `out` if given.

    `watch` is told each phase, its scale indices and residuals (never by compiled loops).
    """
    flags = cursor.byte()
    if flags & ~_ALL_FLAGS:
        raise FormatError(f"chunk uses unknown flags {flags:#x}")
    if model is None or model.manifest.predictor is None:
        raise ModelError("the chunk is predicted, but the file names no model with a predictor")
    if 0 in shape:
        raise FormatError(f"chunk of shape {shape} is predicted, but has no values")
    layout = model.manifest.predictor
    model.check_fits(shape, whole=False)
    steps = decode_steps(cursor, shape[1], bool(flags & PER_CHANNEL), dtype)
    lattice = fine_lattice(steps, dtype)
    if lattice is None:
        raise FormatError(f"chunk has lattice steps {steps[:4]} that are not equal whole numbers up to {LARGEST_SPACING}")
    base_axes = cursor.byte()
    if base_axes >> 5:
        raise FormatError(f"chunk names unknown axes {base_axes:#x} of its base grid")
    base = _base(model, shape, origin, dtype)
    found = np.empty(frames_shape(shape), np.int32)
    grid = base_grid(frames_shape(shape))
    section = cursor.section()
    coarse = decode_residual(section, found[grid].size).reshape(found[grid].shape)
    section.end()
    found[grid] = lorenzo_restore(coarse, base_axes) * np.int32(lattice.spacing)

    section = cursor.section()
    grouped = GroupedSymbols(section, found.size)
    classes = decode_classes(cursor.section(), shape) if flags & CLASSES else None
    sites = model.constant_sites(shape, origin) if flags & CONSTANT else None
    if flags & CONSTANT and sites is None:
        raise FormatError("chunk leaves out constant sites, but its model names none")
    free = _union(classes, sites, shape)

    def code(phase: Phase, mean: np.ndarray, index: np.ndarray) -> np.ndarray:
        if free is None:
            residual = take_symbols(grouped, index.reshape(-1)).reshape(mean.shape)
        else:
            residual = np.zeros(mean.shape, np.int32)
            wanted = ~targets(free, phase)
            residual[wanted] = take_symbols(grouped, index[wanted])
        if watch is not None:
            watch(phase, index, residual)
        return residual

    if watch is None and model.linear is not None and compiled_serves(frames_shape(shape), layout):
        take_phases(grouped, found, layout, lattice.spacing, model.linear, free)
    else:
        run_phases(found, layout, lattice.spacing, model.predict, code, zero_frames(base, lattice.units, shape))
    grouped.end()
    section.end()
    array = _restore(from_frames(found, shape), lattice, dtype, base, sites, out)
    if classes is not None:
        put_back(array, classes)
    if flags & EXCEPTIONS:
        apply_exceptions(cursor.section(), array)
    cursor.end()
    return array


def _base(model: Model, shape: tuple[int, ...], origin: Origin, dtype: np.dtype) -> np.ndarray:
    """What the lattice starts from, float64 broadcastable to `shape`; whole numbers for integers."""
    centre = model.centre(shape, origin)
    return centre if dtype.kind == "f" else np.rint(centre)


def _restore(
    found: np.ndarray,
    lattice: FineLattice,
    dtype: np.dtype,
    base: np.ndarray,
    constant: np.ndarray | None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Values of fine units `found` (canonical, written to), in `out` if given; those of `constant` sites are the base."""
    if constant is not None:
        found[:, constant] = 0
    return from_lattice(found, lattice.units, dtype, np.broadcast_to(base, found.shape), out)


def _coarse_residual(coarse: np.ndarray) -> tuple[int, np.ndarray]:
    """The Lorenzo axes that suit the base grid, and what they leave."""
    tried = {axes: lorenzo_residual(coarse, axes).reshape(-1) for axes in _BASE_AXES}
    best = min(tried, key=lambda axes: residual_bits(tried[axes], 0))
    return best, tried[best]
