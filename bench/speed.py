"""Speed both ways under a checked error bound: python bench/speed.py --data DIR [--threads 2] [--level 5].

aecodec (model fitted before, not timed) and SZ3 in turn, in one process, medians of several runs over the same array: the test
field repeated along its steps to about 90 MB. Ratios between codecs are what holds; absolute speeds depend on the machine.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pysz import sz, szConfig, szErrorBoundMode

import aecodec

REPEATS = 8
FRACTIONS = (1e-2, 1e-3, 1e-4)


def timed(function: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def measure(x: np.ndarray, fraction: float, threads: int, level: int, runs: int) -> list[str]:
    """Two lines of the table."""
    bound = fraction * float(np.ptp(x))
    model = aecodec.fit(x[: len(x) // REPEATS], axes="tcyx", max_error=bound)
    config = szConfig(*x.shape)
    config.absErrorBound, config.errorBoundMode = bound, szErrorBoundMode.ABS
    ours = aecodec.compress(x, model, axes="tcyx", max_error=bound, threads=threads, level=level)
    theirs = sz.compress(x, config)[0]
    worst = float(np.abs(aecodec.decompress(ours, threads=threads).astype(np.float64) - x).max())
    seconds: dict[str, list[float]] = {"in": [], "out": [], "SZ3 in": [], "SZ3 out": []}
    for _ in range(runs):
        seconds["in"].append(timed(lambda: aecodec.compress(x, model, "tcyx", max_error=bound, threads=threads, level=level)))
        seconds["SZ3 in"].append(timed(lambda: sz.compress(x, config)))
        seconds["out"].append(timed(lambda: aecodec.decompress(ours, threads=threads)))
        seconds["SZ3 out"].append(timed(lambda: sz.decompress(theirs, np.float32, x.shape)))
    speed = {key: x.nbytes / 1e6 / statistics.median(values) for key, values in seconds.items()}
    ours_line = (
        f"{fraction:<8g} aecodec level {level}, {threads} threads: in {speed['in']:6.1f} MB/s, out {speed['out']:6.1f} MB/s, "
        f"{x.nbytes / len(ours):5.2f}:1, worst error / bound {worst / bound:.6f}"
    )
    theirs_line = (
        f"{'':8} SZ3, one thread:            in {speed['SZ3 in']:6.1f} MB/s, out {speed['SZ3 out']:6.1f} MB/s, "
        f"{x.nbytes / theirs.nbytes:5.2f}:1"
    )
    return [ours_line, theirs_line]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds fields/navy_winds_uv.npy")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--level", type=int, default=5)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    x = np.tile(np.load(options.data / "fields" / "navy_winds_uv.npy"), (REPEATS, 1, 1, 1))
    print(f"{x.nbytes / 1e6:.0f} MB of float32, shape {x.shape}")
    for fraction in FRACTIONS:
        print("\n".join(measure(x, fraction, options.threads, options.level, options.runs)), flush=True)


if __name__ == "__main__":
    main()
