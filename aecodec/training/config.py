"""What a run is told: lengths, rates, seeds; durations as people write them; and the fingerprint that a resumed run must match."""

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass
from typing import Any

from aecodec.errors import UsageError

DEFAULT_BUDGET = 600.0  # seconds, where neither steps nor time are given
_FEWEST_STEPS = 4  # between validations
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+")


@dataclass(frozen=True)
class Settings:
    """Of one run of the loop.

    `steps` and `time_budget` (seconds): the run ends when the first of them is used up. `learning_rate`: the peak of AdamW's
    (Loshchilov and Hutter 2019). `warmup`, `frozen`: shares of the run that rise to it, and that train with integer weights.
    `average`: decay of the moving average of the weights that is validated and exported. `validations`: how many a run of full
    length has; `patience`: after how many without a better score it goes on to its last part early.
    """

    steps: int | None = None
    time_budget: float | None = None
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warmup: float = 0.02
    clip: float = 2.0
    average: float = 0.998
    frozen: float = 0.2
    validations: int = 40
    patience: int = 16
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        checks = {
            f"steps={self.steps} must be 1 or more": self.steps is None or self.steps >= 1,
            f"time_budget={self.time_budget} must be more than 0 seconds": self.time_budget is None or self.time_budget > 0,
            "a run needs steps or a time_budget": self.steps is not None or self.time_budget is not None,
            f"learning_rate={self.learning_rate} must be more than 0 and at most 1": 0 < self.learning_rate <= 1,
            f"warmup={self.warmup} and frozen={self.frozen} are shares of the run, together less than 1": self.warmup >= 0
            and self.frozen >= 0
            and self.warmup + self.frozen < 1,
            f"average={self.average} must be 0 or more and under 1": 0 <= self.average < 1,
            f"validations={self.validations} and patience={self.patience} must be 1 or more": self.validations >= 1
            and self.patience >= 1,
            f"seed={self.seed} must be 0 or more": self.seed >= 0,
            f"device={self.device!r} is unknown; use 'auto', 'cpu' or 'cuda'": self.device in ("auto", "cpu", "cuda"),
        }
        for rule, holds in checks.items():
            if not holds:
                raise UsageError(rule)

    @property
    def often(self) -> int:
        """Validations of a run of full length, of which there are no more than one in a few steps."""
        return self.validations if self.steps is None else max(1, min(self.validations, self.steps // _FEWEST_STEPS))

    def to_json(self) -> dict[str, Any]:
        """As checkpoints and reports keep it."""
        return asdict(self)


def parse_duration(text: str | float) -> float:
    """Seconds of "90s", "10m", "2h", "1h30m" or a plain number; UsageError for anything else."""
    try:
        seconds = float(text)
    except ValueError:
        found = str(text).strip().lower().replace(" ", "")
        if not _DURATION.fullmatch(found):
            raise UsageError(f"time budget {text!r} is not a duration such as 90s, 10m, 2h or 1h30m") from None
        seconds = sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([\d.]+)([smhd])", found))
    if not (math.isfinite(seconds) and seconds > 0):
        raise UsageError(f"time budget {text!r} must be more than 0 seconds")
    return seconds


def digest(record: Any) -> str:
    """SHA-256 of a JSON value, hexadecimal; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs between two records, as "key was a, is b", nested keys with dots."""
    found = []
    for key in sorted(before.keys() | now.keys()):
        a, b = before.get(key), now.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found += [f"{key}.{line}" for line in differences(a, b)]
        elif a != b:
            found.append(f"{key} was {_short(a)}, is {_short(b)}")
    return found


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."
