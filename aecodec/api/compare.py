"""Holding decoded slabs against the original: every value against what the fidelity promised."""

import numpy as np

from aecodec.api.header import Header
from aecodec.lattice import within_bound


class Comparison:
    """Compares slabs of one part with the original and remembers the worst error and the mean square."""

    def __init__(self, header: Header) -> None:
        self._spec, self._fidelity = header.spec, header.fidelity
        self.worst = 0.0
        self.squares = np.zeros(self._spec.channels)
        self.counts = np.zeros(self._spec.channels)
        self.low, self.high = np.inf, -np.inf

    def compare(self, original: np.ndarray, restored: np.ndarray) -> int:
        """Number of values of a slab that break the promise."""
        stream = self._spec.axes.stream
        spec = self._spec.with_length(1 if stream is None else original.shape[stream])
        a, b = spec.to_canonical(np.asarray(original)), spec.to_canonical(restored)
        if not a.size:
            return 0
        special = ~np.isfinite(a) if a.dtype.kind == "f" else np.zeros(a.shape, bool)
        with np.errstate(invalid="ignore"):
            error = np.abs(a.astype(np.float64) - b.astype(np.float64))
        error[special] = 0.0
        self.worst = max(self.worst, float(error.max()))
        self.squares += (error * error).sum(axis=(0, 2, 3))
        self.counts += (~special).sum(axis=(0, 2, 3))
        finite = a[~special]
        if finite.size:
            self.low, self.high = min(self.low, float(finite.min())), max(self.high, float(finite.max()))
        kind = self._fidelity.kind
        if kind == "lossless":
            bits = f"u{a.dtype.itemsize}"
            return int((a.view(bits) != b.view(bits)).sum())
        kept = special & ((a == b) | (np.isnan(a) & np.isnan(b))) if special.any() else special
        if kind == "max_point_error":
            value = self._fidelity.value
            number = value[0] if isinstance(value, tuple) else value
            sound = error <= number * np.abs(a.astype(np.float64))
        elif (errors := self._fidelity.allowed_errors(self._spec.channels)) is not None:
            sound = within_bound(a, b, errors)
        else:
            sound = np.ones(a.shape, bool)
        return int((~np.where(special, kept, sound)).sum())

    def whole_part_failure(self) -> str | None:
        """Why the part as a whole breaks its promise of a PSNR, if it does."""
        if self._fidelity.kind != "psnr" or not self.counts.any():
            return None
        allowed = self._fidelity.allowed_rms(self._spec.channels)
        found = np.sqrt(self.squares / np.maximum(self.counts, 1.0))
        sound = (found <= allowed * (1.0 + 1e-12)).all()  # the sums here go over chunks in another order
        return None if sound else f"root mean square error {found.max():g} is above the {allowed.min():g} allowed"


def overall_psnr(comparisons: list[Comparison]) -> float | None:
    """Over all channels, relative to the range of the finite values; None if lossless or constant."""
    squares, counts = sum(float(c.squares.sum()) for c in comparisons), sum(float(c.counts.sum()) for c in comparisons)
    span = max(c.high for c in comparisons) - min(c.low for c in comparisons)
    mse = squares / max(1.0, counts)
    return 10.0 * float(np.log10(span * span / mse)) if mse > 0 and span > 0 else None
