"""Finds the hidden lattice of a sample: decimals, significant digits, step and offset; or says that there is none."""

from collections.abc import Iterator

import numpy as np

from aecodec.codec.effort import Effort
from aecodec.codec.hidden import LARGEST_POWER, POWERS, Form, Lattice, from_decimals, to_decimals
from aecodec.codec.hidden_mode import HiddenPlan, plan_on
from aecodec.packing.stream import odd_stride

_PROBE = 512
_ON = 0.98  # share of the values that a lattice must hold exactly
_MOST_CHANNELS = 256
_LARGEST_INDEX = 2.0**31 - 1
_FEWEST = 8
_LARGEST_VALUE = 1e30
_SHORT = (1, 2, 3, 4, 5, 6, 7, 9, 11)
_USUAL = (0.0, 273.15)  # offsets that no fit can tell from their neighbours on the lattice
_EUCLID = 12


def find_lattices(sample: np.ndarray, effort: Effort) -> list[HiddenPlan]:
    """Plans for the lattices that hold the finite float `sample` (steps, channels, rows, columns), best first."""
    plans = [plan_on(sample, lattice, effort) for lattice in _candidates(sample)]
    return sorted((plan for plan in plans if plan is not None), key=lambda plan: plan.bits)


def _candidates(sample: np.ndarray) -> Iterator[Lattice]:
    channels = sample.shape[1]
    columns = [_probe(sample[:, c]) for c in range(channels)] if channels <= _MOST_CHANNELS else []
    everything = _probe(sample)
    lattice = _decimal([everything]) if not columns else _decimal(columns)
    if lattice is not None:
        yield lattice
    if lattice is None or (lattice.places is not None and lattice.places.max() > 4):
        yield from _digits(everything, columns)
    found = _affine(everything)
    if found is None and len(columns) > 1:
        found = _joined([_affine(column) for column in columns])
    if found is not None:
        yield found


def _joined(parts: list[Lattice | None]) -> Lattice | None:
    """One lattice with the steps and offsets of each channel's; None if one has none."""
    sound = [part for part in parts if part is not None and part.steps is not None and part.offsets is not None]
    if len(sound) < len(parts) or len({part.form for part in sound}) > 1:
        return None
    steps = np.concatenate([part.steps for part in sound if part.steps is not None])
    return Lattice(sound[0].form, None, steps, np.concatenate([part.offsets for part in sound if part.offsets is not None]))


def _probe(values: np.ndarray) -> np.ndarray:
    flat = values.reshape(-1)
    stride = odd_stride(flat.size, _PROBE * 8)
    return flat[::stride]


def _decimal(columns: list[np.ndarray]) -> Lattice | None:
    places = [_places(column) for column in columns]
    if any(place is None for place in places):
        return None
    found = np.array(places, np.uint8)
    return Lattice(Form.DECIMAL, found[:1] if (found == found[0]).all() else found)


def _places(values: np.ndarray) -> int | None:
    """Fewest decimal places that hold the values, if they are coarser than the dtype's own precision."""
    few = values[:: odd_stride(values.size, _PROBE)]
    with np.errstate(over="ignore", invalid="ignore"):
        for places in range(LARGEST_POWER + 1):
            if np.abs(few).max(initial=0) * POWERS[places] > _LARGEST_INDEX:
                return None
            if _share(few, places) >= _ON:
                spacing = np.spacing(np.abs(values)).astype(np.float64)
                gain = float(np.maximum(np.log2(0.1**places / spacing), 0).mean())
                return places if gain > 0.25 and _share(values, places) >= _ON else None
    return None


def _share(values: np.ndarray, places: int) -> float:
    whole = np.rint(values.astype(np.float64) * POWERS[places])
    return float(((whole / POWERS[places]).astype(values.dtype) == values).mean())


def _digits(everything: np.ndarray, columns: list[np.ndarray]) -> Iterator[Lattice]:
    """Lattices of few significant digits, their indices of several finenesses."""
    most = {2: 2, 4: 5, 8: 9}[everything.itemsize]
    for digits in range(1, most + 1):
        decimals = to_decimals(everything, digits)
        back = from_decimals(decimals.significands, decimals.powers, decimals.negative, everything.dtype)
        if float((back == everything).mean()) >= _ON:
            break
    else:
        return
    peaks = np.array([float(np.abs(part).max()) for part in columns or [everything]])
    top = np.ceil(np.log10(np.maximum(peaks, 1e-30)))
    for finer in (-1, 0, 1):
        places = np.clip(digits + finer - top, 0, LARGEST_POWER - digits - 1).astype(np.uint8)
        yield Lattice(Form.DIGITS, places[:1] if (places == places[0]).all() else places, digits=digits)


def _affine(values: np.ndarray) -> Lattice | None:
    """Step and offset of values k * step + offset rounded to their dtype."""
    unique = np.unique(values)
    reals = unique.astype(np.float64)
    if unique.size < _FEWEST or not np.abs(reals).max() < _LARGEST_VALUE:
        return None
    noise = float(np.spacing(np.abs(unique).max()))
    step = _common_step(np.diff(reals), noise)
    if step is None or (reals[-1] - reals[0]) / step > _LARGEST_INDEX:
        return None
    step, offset = _fitted(reals, step, noise)
    count = (reals[-1] - reals[0]) / step
    best, best_share = None, 0.0
    for lattice in _spellings(step, offset, count, noise):
        assert lattice.steps is not None
        assert lattice.offsets is not None
        k = np.clip(np.rint((reals - lattice.offsets[0]) / lattice.steps[0]), -_LARGEST_INDEX, _LARGEST_INDEX)
        share = float((lattice.values(k.astype(np.int32).reshape(1, 1, 1, -1), values.dtype).reshape(-1) == unique).mean())
        if share > best_share:
            best, best_share = lattice, share
        if share == 1.0:
            break
    return best


def _fitted(reals: np.ndarray, step: float, noise: float) -> tuple[float, float]:
    """Step and offset by least squares over growing ranges around the median, values off the lattice left out."""
    base = float(reals[reals.size // 2])
    offset = base
    slack = 0.2 * step
    for width in 2.0 ** np.arange(6, 36, 3):
        part = reals[np.abs(reals - base) <= width * step]
        whole = np.rint((part - offset) / step)
        near = np.abs(part - offset - whole * step) < slack
        part, whole = part[near], whole[near]
        centred = whole - whole.mean() if whole.size else whole
        if centred.any():
            step = float((centred * part).sum() / (centred * centred).sum())
            offset = float((part - whole * step).mean())
        slack = max(3 * noise, 0.02 * step)
    return step, offset


def _common_step(differences: np.ndarray, noise: float) -> float | None:
    """The largest step that nearly all `differences` are multiples of, within `noise`; None if it is lost in noise."""
    differences = np.sort(differences)[: max(4, int(0.95 * differences.size))]
    step = float(differences.min())
    for _ in range(_EUCLID):
        for size in (8, 64, 512, differences.size):
            if not step >= 12 * noise:
                return None
            part = differences[:size]
            multiples = np.maximum(np.rint(part / step), 1)
            step = float((part * multiples).sum() / (multiples * multiples).sum())
        rest = np.abs(differences - np.rint(differences / step) * step)
        off = rest > 3 * noise
        if off.mean() <= 0.01:
            return step
        step = float(rest[off].min())
    return None


def _spellings(step: float, offset: float, count: float, noise: float) -> Iterator[Lattice]:
    """The fitted numbers, and the short ones close enough to them that a writer may have had."""
    slack = 8 * noise / count
    steps = [step]
    for digits in _SHORT:
        for short in (float(f"{step:.{digits}g}"), float(np.float32(f"{step:.{digits}g}")), 1 / float(f"{1 / step:.{digits}g}")):
            if abs(short - step) <= slack and short not in steps:
                steps.append(short)
    narrow = float(np.float32(step))
    if abs(narrow - step) <= slack and narrow not in steps:
        steps.append(narrow)
    shifts = np.arange(-(1 << 16), (1 << 16) + 1)
    for s in steps:
        offsets = [offset] + [c for c in _USUAL if abs((offset - c) / s - np.rint((offset - c) / s)) * s <= 8 * noise]
        for digits in _SHORT:
            shifted = offset + shifts * s
            with np.errstate(divide="ignore"):
                unit = 10.0 ** (np.floor(np.log10(np.abs(shifted) + 1e-300)) + 1 - digits)
            short_ones = np.rint(shifted / unit) * unit
            near = np.flatnonzero(np.abs(short_ones - shifted) <= 8 * noise)
            if near.size:
                chosen = near[np.argmin(np.abs(shifts[near]))]
                offsets.append(float(f"{short_ones[chosen]:.{digits}g}"))
        for o in offsets:
            for form in (Form.AFFINE, Form.NARROW):
                yield Lattice(form, None, np.array([s]), np.array([o]))
