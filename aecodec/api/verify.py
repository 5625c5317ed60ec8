"""Checking a file: every checksum by decoding every chunk, and every bound against the original."""

from dataclasses import dataclass

import numpy as np

from aecodec.api.reader import Reader
from aecodec.errors import AecodecError, UsageError
from aecodec.lattice import within_bound


@dataclass(frozen=True)
class Verdict:
    """What verification found. `bad`: (start, count, reason) of chunks that fail. `worst_error`: None without the original."""

    chunks: int
    bad: list[tuple[int, int, str]]
    worst_error: float | None = None
    psnr: float | None = None

    @property
    def sound(self) -> bool:
        """True if nothing failed."""
        return not self.bad


def verify(reader: Reader, original: np.ndarray | None = None) -> Verdict:
    """Decode every chunk of `reader`; with `original` (same shape and dtype), hold each value against what was promised."""
    if original is not None and (original.shape != reader.shape or original.dtype != reader.dtype):
        raise UsageError(
            f"the original has shape {original.shape} and dtype {original.dtype}, the file {reader.shape} and {reader.dtype}"
        )
    index = reader.container.index
    bad: list[tuple[int, int, str]] = []
    check = _Check(reader) if original is not None else None
    for number, (start, count) in enumerate(zip(index.starts.tolist(), index.counts.tolist(), strict=True)):
        try:
            slab = reader.chunk_array(number)
        except AecodecError as error:
            bad.append((start, count, str(error)))
            continue
        if check is not None and original is not None:
            stream = reader.header.spec.axes.stream
            part = original if stream is None else original[(slice(None),) * stream + (slice(start, start + count),)]
            wrong = check.compare(part, slab)
            if wrong:
                bad.append((start, count, f"{wrong} value(s) outside {reader.fidelity.kind}"))
    if check is not None:
        whole = check.whole_array_failure()
        if whole:
            bad.append((0, sum(index.counts.tolist()), whole))
        return Verdict(index.starts.size, bad, check.worst, check.psnr())
    return Verdict(index.starts.size, bad)


class _Check:
    """Compares slabs with the original and remembers the worst error and the mean square."""

    def __init__(self, reader: Reader) -> None:
        self._spec, self._fidelity = reader.header.spec, reader.fidelity
        self.worst = 0.0
        self._squares = np.zeros(self._spec.channels)
        self._counts = np.zeros(self._spec.channels)
        self._low, self._high = np.inf, -np.inf

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
        self._squares += (error * error).sum(axis=(0, 2, 3))
        self._counts += (~special).sum(axis=(0, 2, 3))
        finite = a[~special]
        if finite.size:
            self._low, self._high = min(self._low, float(finite.min())), max(self._high, float(finite.max()))
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

    def whole_array_failure(self) -> str | None:
        """Why the array as a whole breaks its promise of a PSNR, if it does."""
        if self._fidelity.kind != "psnr" or not self._counts.any():
            return None
        allowed = self._fidelity.allowed_rms(self._spec.channels)
        found = np.sqrt(self._squares / np.maximum(self._counts, 1.0))
        sound = (found <= allowed * (1.0 + 1e-12)).all()  # the sums here go over chunks in another order
        return None if sound else f"root mean square error {found.max():g} is above the {allowed.min():g} allowed"

    def psnr(self) -> float | None:
        """Over all channels, relative to the range of the finite values; None if lossless or constant."""
        mse = float(self._squares.sum()) / max(1.0, float(self._counts.sum()))
        span = self._high - self._low
        return 10.0 * float(np.log10(span * span / mse)) if mse > 0 and span > 0 else None
