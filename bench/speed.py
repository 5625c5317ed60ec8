"""Speed both ways under a checked error bound: python bench/speed.py --data DIR [--threads 2] [--level 5].

aecodec (model fitted before, not timed) and SZ3 in turn, in one process, medians of several runs over the same array: the test
field repeated along its steps to about 90 MB. Ratios between codecs are what holds; absolute speeds depend on the machine.
"""

import argparse
import csv
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pysz import sz, szConfig, szErrorBoundMode
from report import environment

import aecodec

REPEATS = 8
FRACTIONS = (1e-2, 1e-3, 1e-4)
COLUMNS = ("fraction", "codec", "MB/s in", "MB/s out", "ratio", "worst error over bound")
Row = tuple[float, str, float, float, float, float | None]


def timed(function: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def measure(x: np.ndarray, fraction: float, threads: int, level: int, runs: int) -> list[Row]:
    """Rows of aecodec and of SZ3 at one bound."""
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
    name = f"aecodec level {level}, {threads} threads"
    return [
        (fraction, name, speed["in"], speed["out"], x.nbytes / len(ours), worst / bound),
        (fraction, "SZ3, 1 thread", speed["SZ3 in"], speed["SZ3 out"], x.nbytes / theirs.nbytes, None),
    ]


def main() -> None:
    """Print the table and write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds fields/navy_winds_uv.npy")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--level", type=int, default=5)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    x = np.tile(np.load(options.data / "fields" / "navy_winds_uv.npy"), (REPEATS, 1, 1, 1))
    seconds = timed(lambda: aecodec.fit(x, axes="tcyx", max_error=FRACTIONS[1] * float(np.ptp(x))))
    fitted = f"fitting {x.nbytes / 1e6:.0f} MB of float32, shape {x.shape}: {seconds:.2f} s"
    print(fitted)
    rows: list[Row] = []
    for fraction in FRACTIONS:
        rows += measure(x, fraction, options.threads, options.level, options.runs)
        for row in rows[-2:]:
            print(f"{row[0]:<8g} {row[1]:28} in {row[2]:6.1f} MB/s, out {row[3]:6.1f} MB/s, {row[4]:5.2f}:1", flush=True)
    with options.csv.open("w", newline="") as file:
        file.writelines(f"# {line}\n" for line in [*environment(), fitted, f"medians of {options.runs} runs, codecs in turn"])
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([f"{v:.5g}" if isinstance(v, float) else v for v in row] for row in rows)


if __name__ == "__main__":
    main()
