"""Makes the body of predicted_mode.py: a chunk's residuals, each predicted from what a decoder will have."""

from dataclasses import dataclass

import numpy as np

from aecodec.codec.fine_lattice import FineValues, fine_lattice, fine_values
from aecodec.codec.finite import FiniteValues
from aecodec.codec.grouping import put_phases
from aecodec.codec.model import Model, Origin
from aecodec.codec.predicted_mode import (
    CLASSES,
    CONSTANT,
    EXCEPTIONS,
    PER_CHANNEL,
    lattice_base,
    restore,
    union,
)
from aecodec.codec.sections import encode_classes, encode_exceptions, encode_steps
from aecodec.codec.zeros import ZerosPut, put_but, skipped_of
from aecodec.compiled.path import compiled_serves
from aecodec.compiled.room import Room, room
from aecodec.compiled.values import all_within
from aecodec.lattice import lattice_steps, lorenzo_residual, within_bound
from aecodec.packing.estimate import residual_bits
from aecodec.packing.groups import encode_groups
from aecodec.packing.residuals import encode_residual
from aecodec.packing.scale import INDICES
from aecodec.packing.varint import put_section
from aecodec.phases import Phase, base_grid, targets
from aecodec.prediction import frames_shape, from_frames, run_phases, to_frames, zero_frames

_BASE_AXES = (0, 0b11000, 0b00010, 0b11010)
_BASE_CELL = 16
_DEAD_ZONE = 0.1  # of a lattice step; chosen on train splits
_FEW = 0.01  # of the constant sites may differ from what they are expected to be, and are then stored exactly


@dataclass(frozen=True)
class Predicted:
    """A chunk coded in memory: the residuals by scale index, in coding order, what tells the zeros by their odds, if the layout has
    them, and what else the body holds; and what a decoder will find, where no bound tells that."""

    body: bytes
    base: np.ndarray
    base_axes: int
    groups: list[list[np.ndarray]]
    told: list[list[np.ndarray]] | None
    tail: bytes
    restored: np.ndarray | None

    def pack(self, thorough: bool) -> bytes:
        """The chunk's body."""
        out = bytearray(self.body)
        out.append(self.base_axes)
        put_section(out, encode_residual(self.base, _BASE_CELL if thorough else 0, thorough))
        put_section(out, encode_groups(self.groups, thorough))
        if self.told is not None:
            put_section(out, encode_groups(self.told, thorough))
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
    base = lattice_base(model, array.shape, origin, array.dtype)
    fine = fine_values(seen.values, base, lattice, seen.peaks)
    if fine is None:
        return None
    sites = model.constant_sites(array.shape, origin)
    if sites is not None and not (sites.any() and (np.abs(fine.sites(sites)) > lattice.spacing / 2).mean() < _FEW):
        sites = None
    free = union(classes, sites, array.shape)
    zero = zero_frames(base, lattice.units, array.shape)
    with room() as mine:
        coded = _code_phases(fine, free, lattice.spacing, model, 0.0 if bounded else _DEAD_ZONE, zero, mine)
        out = mine.empty(array.shape, array.dtype) if bounded else None
        zeros = None if coded.zeros is None else coded.zeros.frames
        restored = restore(from_frames(coded.found, array.shape), lattice, array.dtype, base, sites, zeros, out)
        exceptions = _exceptions(seen, restored, errors) if bounded else None

    stored, per_channel = encode_steps(steps)
    flags = PER_CHANNEL * per_channel | CLASSES * (classes is not None) | CONSTANT * (sites is not None)
    tail = bytearray()
    if classes is not None:
        put_section(tail, encode_classes(classes))
    if exceptions is not None:
        flags |= EXCEPTIONS
        put_section(tail, exceptions)
    axes, left = _coarse_residual(coded.coarse)
    told = None if coded.zeros is None else coded.zeros.groups
    return Predicted(bytes([flags]) + stored, left, axes, coded.groups, told, bytes(tail), None if bounded else restored)


def _exceptions(seen: FiniteValues, restored: np.ndarray, errors: np.ndarray) -> bytes | None:
    """The values that a decoder would not find within their channel's error; None if there are none."""
    if all_within(seen.array, restored, errors):
        return None
    sound = within_bound(seen.array, restored, errors)
    sound |= False if seen.classes is None else seen.classes != 0
    return None if sound.all() else encode_exceptions(seen.array, np.flatnonzero(~sound))


@dataclass(frozen=True)
class _Coded:
    """A walk's outcome: the base grid in lattice steps; what a decoder will find, int32 frames of fine units; symbols by scale
    index; and, where the layout has them, the zeros that were told.
    """

    coarse: np.ndarray
    found: np.ndarray
    groups: list[list[np.ndarray]]
    zeros: ZerosPut | None


def _code_phases(
    fine: FineValues, free: np.ndarray | None, spacing: int, model: Model, dead_zone: float, zero: np.ndarray, room: Room
) -> _Coded:
    """Code `fine` but where it is `free`; what is found lies in `room`."""
    layout = model.manifest.predictor
    assert layout is not None
    shape = frames_shape(fine.values.shape)
    found = room.empty(shape, np.int32)
    grid = base_grid(shape)
    coarse = np.rint(fine.frames(grid) / spacing).astype(np.int32)
    found[grid] = coarse * np.int32(spacing)
    groups: list[list[np.ndarray]] = [[] for _ in range(INDICES)]
    if model.linear is not None and compiled_serves(shape, layout):
        source = (to_frames(fine.values), fine.base, fine.scales)
        put_phases(groups, found, layout, spacing, model.linear, source, dead_zone, free)
        return _Coded(coarse, found, groups, None)
    reals = to_frames(fine.all())
    inverse = 1.0 / spacing
    zeros = ZerosPut(reals, free, zero, spacing) if layout.zeros else None

    def code(phase: Phase, mean: np.ndarray, index: np.ndarray, known: np.ndarray | None) -> np.ndarray:
        exact = (targets(reals, phase) - mean) * inverse
        if dead_zone:
            exact -= np.clip(exact, -dead_zone, dead_zone)
        residual = np.rint(exact).astype(np.int32)
        skipped = skipped_of(free, known, phase)
        if skipped is not None:
            residual[skipped] = 0
        put_but(groups, residual, index, skipped)
        return residual

    run_phases(found, layout, spacing, model.predict, code, zero, None if zeros is None else zeros.tell)
    return _Coded(coarse, found, groups, zeros)


def _coarse_residual(coarse: np.ndarray) -> tuple[int, np.ndarray]:
    """The Lorenzo axes that suit the base grid, and what they leave."""
    tried = {axes: lorenzo_residual(coarse, axes).reshape(-1) for axes in _BASE_AXES}
    best = min(tried, key=lambda axes: residual_bits(tried[axes], 0))
    return best, tried[best]
