"""The predicted path: residuals of the learned predictor on the error lattice (normative: FORMAT.md, "Mode 7, predicted").

Body: flags byte; lattice steps; axes of the base grid's Lorenzo prediction; base grid; grouped residuals; which values are 0, if
the model's layout has zeros; then the sections that the flags name. Here it is decoded; predicted_encoding.py makes it.
"""

from collections.abc import Callable

import numpy as np

from aecodec.codec.fine_lattice import LARGEST_SPACING, FineLattice, fine_lattice
from aecodec.codec.grouping import take_phases
from aecodec.codec.model import Model, Origin
from aecodec.codec.sections import apply_exceptions, decode_classes, decode_steps, put_back
from aecodec.codec.zeros import ZerosTaken, skipped_of, take_but
from aecodec.compiled.path import compiled_serves
from aecodec.compiled.room import room
from aecodec.errors import FormatError, ModelError
from aecodec.lattice import from_lattice, lorenzo_restore
from aecodec.packing.groups import GroupedSymbols
from aecodec.packing.residuals import decode_residual
from aecodec.packing.varint import Cursor
from aecodec.phases import Phase, base_grid
from aecodec.prediction import frames_shape, from_frames, run_phases, to_frames, zero_frames

CLASSES, EXCEPTIONS, PER_CHANNEL, CONSTANT = 2, 4, 16, 32
_ALL_FLAGS = CLASSES | EXCEPTIONS | PER_CHANNEL | CONSTANT
Watch = Callable[[Phase, np.ndarray, np.ndarray], None]  # told each phase's scale indices and residuals, of one shape


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
    base = lattice_base(model, shape, origin, dtype)
    with room() as mine:
        found = mine.empty(frames_shape(shape), np.int32)
        grid = base_grid(frames_shape(shape))
        section = cursor.section()
        coarse = decode_residual(section, found[grid].size).reshape(found[grid].shape)
        section.end()
        found[grid] = lorenzo_restore(coarse, base_axes) * np.int32(lattice.spacing)

        grouped = _groups(cursor.section(), found.size)
        told = _groups(cursor.section(), found.size) if layout.zeros else None
        classes = decode_classes(cursor.section(), shape) if flags & CLASSES else None
        sites = model.constant_sites(shape, origin) if flags & CONSTANT else None
        if flags & CONSTANT and sites is None:
            raise FormatError("chunk leaves out constant sites, but its model names none")
        free = union(classes, sites, shape)
        zeros = None if told is None else ZerosTaken(told, found.shape, free)

        def code(phase: Phase, mean: np.ndarray, index: np.ndarray, known: np.ndarray | None) -> np.ndarray:
            residual = take_but(grouped, index, skipped_of(free, known, phase))
            if watch is not None:
                watch(phase, index, residual)
            return residual

        if watch is None and model.linear is not None and compiled_serves(frames_shape(shape), layout):
            take_phases(grouped, found, layout, lattice.spacing, model.linear, free)
        else:
            place = zero_frames(base, lattice.units, shape)
            run_phases(found, layout, lattice.spacing, model.predict, code, place, None if zeros is None else zeros.tell)
        grouped.end()
        if told is not None:
            told.end()
        array = restore(from_frames(found, shape), lattice, dtype, base, sites, None if zeros is None else zeros.frames, out)
    if classes is not None:
        put_back(array, classes)
    if flags & EXCEPTIONS:
        apply_exceptions(cursor.section(), array)
    cursor.end()
    return array


def _groups(section: Cursor, limit: int) -> GroupedSymbols:
    """All that a section holds."""
    found = GroupedSymbols(section, limit)
    section.end()
    return found


def union(classes: np.ndarray | None, sites: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray | None:
    """Where nothing is coded, in frames: values with a class, and constant sites."""
    known = None if classes is None else classes != 0
    if sites is not None:
        known = np.broadcast_to(sites, shape) if known is None else known | sites
    return None if known is None else to_frames(known)


def lattice_base(model: Model, shape: tuple[int, ...], origin: Origin, dtype: np.dtype) -> np.ndarray:
    """What the lattice starts from, float64 broadcastable to `shape`; whole numbers for integers."""
    centre = model.centre(shape, origin)
    return centre if dtype.kind == "f" else np.rint(centre)


def restore(
    found: np.ndarray,
    lattice: FineLattice,
    dtype: np.dtype,
    base: np.ndarray,
    constant: np.ndarray | None,
    zeros: np.ndarray | None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Values of fine units `found` (canonical, written to), in `out` if given; those of `constant` sites are the base, and those
    that `zeros` names, in frames, are 0.
    """
    if constant is not None:
        found[:, constant] = 0
    array = from_lattice(found, lattice.units, dtype, np.broadcast_to(base, found.shape), out)
    if zeros is not None:
        array[from_frames(zeros, array.shape)] = 0
    return array
