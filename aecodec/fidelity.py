"""What the user asks of the reconstruction, and what that allows each channel."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aecodec.errors import FidelityError

KINDS = ("max_error", "max_range_error", "max_point_error", "psnr", "quality", "lossless")


@dataclass(frozen=True)
class Fidelity:
    """Exactly one demand. `value` is a number, or a tuple of one number per channel for `max_error`.

    `ranges` holds (low, high) of each channel, or one pair for all, where the demand is relative to the value range.
    """

    kind: str = "lossless"
    value: float | tuple[float, ...] = 0.0
    ranges: tuple[tuple[float, float], ...] | None = None

    @property
    def needs_range(self) -> bool:
        """True while a range-relative demand still lacks the range."""
        return self.kind in ("max_range_error", "psnr", "quality") and self.ranges is None

    def with_ranges(self, low: np.ndarray, high: np.ndarray) -> "Fidelity":
        """The same demand with the value range of each channel filled in."""
        pairs = tuple((float(a), float(b)) for a, b in zip(low, high, strict=True))
        return Fidelity(self.kind, self.value, pairs)

    def spans(self, channels: int) -> np.ndarray:
        """Value range of each channel, float64 of shape (channels,)."""
        if self.ranges is None:
            raise FidelityError(f"{self.kind} needs the value range; pass value_range=(low, high)")
        return _per_channel([high - low for low, high in self.ranges], channels, "value_range")

    def allowed_errors(self, channels: int) -> np.ndarray | None:
        """Largest absolute error of each channel, float64 of shape (channels,); None if no such bound was asked."""
        if self.kind == "max_error":
            values = self.value if isinstance(self.value, tuple) else (self.value,)
            return _per_channel(values, channels, "max_error")
        if self.kind == "max_range_error":
            return self._number * self.spans(channels)
        return None

    def allowed_rms(self, channels: int) -> np.ndarray:
        """Largest root mean square error of each channel that reaches the PSNR asked for."""
        return np.asarray(self.spans(channels) * 10.0 ** (-self._number / 20.0))

    @property
    def _number(self) -> float:
        return self.value[0] if isinstance(self.value, tuple) else self.value

    def relative_step(self) -> float:
        """Latent step of `quality` as a fraction of the value range: JPEG's scaling of a step of 16 in 255."""
        q = self._number
        return max(50.0 / q if q < 50 else 2.0 - q / 50.0, 1 / 16) * 16.0 / 255.0

    def to_json(self) -> dict[str, Any]:
        """The demand as the container header keeps it."""
        record: dict[str, Any] = {"kind": self.kind}
        if self.kind != "lossless":
            record["value"] = list(self.value) if isinstance(self.value, tuple) else self.value
        if self.ranges is not None:
            record["ranges"] = [list(pair) for pair in self.ranges]
        return record

    @classmethod
    def from_json(cls, record: Any) -> "Fidelity":
        """Parse what `to_json` wrote; the record may be hostile."""
        if not isinstance(record, dict) or record.get("kind") not in KINDS:
            raise FidelityError(f"unknown fidelity record {str(record)[:80]!r}; known kinds are {', '.join(KINDS)}")
        if record["kind"] == "lossless":
            return cls()
        ranges = record.get("ranges")
        if ranges is not None:
            if not isinstance(ranges, list) or not all(isinstance(p, list) and len(p) == 2 for p in ranges):
                raise FidelityError("fidelity ranges must be a list of [low, high] pairs")
            ranges = tuple((_number(low, "range"), _number(high, "range")) for low, high in ranges)
        return cls(record["kind"], _checked_value(record["kind"], record.get("value")), ranges)


def fidelity_from_options(
    *,
    max_error: float | Sequence[float] | None = None,
    max_range_error: float | None = None,
    max_point_error: float | None = None,
    psnr: float | None = None,
    quality: float | None = None,
    lossless: bool | None = None,
    value_range: Sequence[Any] | None = None,
) -> Fidelity:
    """The one fidelity among the keyword arguments; lossless if none is given."""
    given = {
        "max_error": max_error,
        "max_range_error": max_range_error,
        "max_point_error": max_point_error,
        "psnr": psnr,
        "quality": quality,
        "lossless": lossless or None,
    }
    named = [kind for kind, value in given.items() if value is not None]
    if len(named) > 1:
        raise FidelityError(f"two fidelities at once: {' and '.join(named)}; ask for exactly one")
    if not named or named == ["lossless"]:
        return Fidelity()
    kind = named[0]
    return Fidelity(kind, _checked_value(kind, given[kind]), _checked_ranges(value_range))


def _checked_value(kind: str, value: Any) -> float | tuple[float, ...]:
    several = value.ndim == 1 if isinstance(value, np.ndarray) else isinstance(value, (list, tuple))
    if kind == "max_error" and several and len(value):
        numbers = tuple(_number(v, kind) for v in value)
        worst = min(numbers)
    else:
        worst = _number(value, kind)
        numbers = (worst,)
    if worst < 0:
        raise FidelityError(f"{kind}={worst:g} is negative; the error allowed must be 0 or more")
    if kind == "quality" and not 1 <= worst <= 100:
        raise FidelityError(f"quality={worst:g} is outside 1 to 100")
    if kind == "psnr" and not 0 < worst <= 300:
        raise FidelityError(f"psnr={worst:g} dB is outside 0 to 300")
    if kind in ("max_range_error", "max_point_error") and worst >= 1:
        raise FidelityError(f"{kind}={worst:g} is a fraction and must be under 1")
    return numbers if len(numbers) > 1 else worst


def _checked_ranges(value_range: Sequence[Any] | None) -> tuple[tuple[float, float], ...] | None:
    if value_range is None:
        return None
    pairs = np.asarray(value_range, dtype=np.float64)
    pairs = pairs.reshape(1, 2) if pairs.shape == (2,) else pairs
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.isfinite(pairs).all() or (pairs[:, 0] > pairs[:, 1]).any():
        raise FidelityError(f"value_range={value_range!r} must be (low, high) with low <= high, or one such pair per channel")
    return tuple((float(low), float(high)) for low, high in pairs)


def _number(value: Any, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise FidelityError(f"{name}={str(value)[:40]!r} is not a number") from None
    if not math.isfinite(number):
        raise FidelityError(f"{name}={number} is not finite; give a number that is 0 or more")
    return number


def _per_channel(values: Sequence[float], channels: int, name: str) -> np.ndarray:
    if len(values) not in (1, channels):
        raise FidelityError(f"{name} has {len(values)} values but the array has {channels} channel(s); give one, or one each")
    return np.broadcast_to(np.asarray(values, dtype=np.float64), (channels,)).copy()
