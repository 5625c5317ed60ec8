"""What is paid once or per small message: start of the command, calls on 4 KiB, and fitting."""

import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
from fields import FieldSet
from timing import Times

import aecodec

VALUES = 1024
_WARM_UP = 20


@dataclass(frozen=True)
class Latency:
    """Median milliseconds; `ms_out` is None where there is one direction."""

    kind: str
    what: str
    ms_in: float
    ms_out: float | None = None
    ratio: float | None = None


def start_up(runs: int) -> list[Latency]:
    """Wall time of `python -m aecodec --version` and of the bare interpreter, in turn."""
    commands = {"python -m aecodec --version": ["-m", "aecodec", "--version"], "python -c pass": ["-c", "pass"]}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, arguments in commands.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - start)
    return [Latency("start-up", name, 1e3 * statistics.median(values)) for name, values in seconds.items()]


def message(field: FieldSet, calls: int) -> list[Latency]:
    """Warm calls on float32 (1024,) out of the test split, bound 1e-3 of its range, one thread."""
    messages = field.train.astype(np.float32).reshape(-1)[: field.train.size // VALUES * VALUES].reshape(-1, VALUES)
    x = field.test.reshape(-1)[:VALUES].astype(np.float32)
    bound = 1e-3 * float(np.ptp(x))
    fitted = aecodec.fit(messages, axes="tx", max_error=bound)
    return [
        _calls("float32 (1024,), no model", x, "x", False, bound, calls),
        _calls("float32 (1, 1024), fitted model", x[None], "tx", fitted, bound, calls),
    ]


def _calls(what: str, x: np.ndarray, axes: str, model: aecodec.Model | bool, bound: float, calls: int) -> Latency:
    there, back = Times(), Times()
    given = model or None

    def encode() -> bytes:
        return aecodec.compress(x, model, axes, max_error=bound, threads=1, embed_model=False)

    data = encode()
    assert np.abs(aecodec.decompress(data, model=given, threads=1).astype(np.float64) - x).max() <= bound
    for number in range(_WARM_UP + calls):
        if number == _WARM_UP:
            there, back = Times(), Times()
        there.call(encode)
        back.call(lambda: aecodec.decompress(data, model=given, threads=1))
    return Latency("message of 4 KiB", what, there.milliseconds(), back.milliseconds(), x.nbytes / len(data))


def fitting(x: np.ndarray, axes: str, bound: float, runs: int) -> Times:
    """Times of `fit` on the array."""
    times = Times()
    for _ in range(runs):
        times.call(lambda: aecodec.fit(x, axes=axes, max_error=bound))
    return times
