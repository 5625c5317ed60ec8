"""What a small network as residual predictor saves: test splits coded by the fit alone, and by a network trained beside it.

    pip install "aecodec[bench,train]" && python bench/networks.py --data DIR [--minutes 10] [--sets SET...]

One thread; `core_seconds` tells how much of its time training had on a busy machine. Both codings are of level 9 under the
same bound, 1e-3 of the test array's range, rounded down to whole numbers for integers, where 0 is lossless. Neither model's
bytes are in the sizes; they stand beside. Every output is decoded and compared.
"""

import argparse
import os
import time
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from fields import SPLITS, FieldSet, load_sets
from fitting import fit, value_range
from peers import worst_error
from report import environment
from series import SERIES, load_series

import aecodec
from aecodec.axes import parse_axes
from aecodec.canonical import ArraySpec
from aecodec.training.config import Settings
from aecodec.training.loop import run
from aecodec.training.predictor_network import NetworkShape
from aecodec.training.predictor_objective import PredictorObjective

FRACTION = 1e-3
_RATE = 4e-3
_HELD = (0.8, 0.9)  # of the train split: scored on, not trained on; its end is most like what follows


@dataclass(frozen=True)
class Result:
    """One set."""

    name: str
    precision: str
    axes: str
    shape: str
    bound: float
    fit_size: int
    network_size: int
    smaller_percent: float
    fit_model: int
    network_model: int
    network: str
    operations: int
    core_seconds: float
    train_seconds: float
    steps: int
    held_bits_linear: float
    held_bits_float: float
    held_bits_whole: float
    encode_seconds: float
    decode_seconds: float


def main() -> None:
    """Train, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("AECODEC_BENCH_DATA"), required=False)
    parser.add_argument("--minutes", type=float, default=10.0, help="to train for each set")
    parser.add_argument("--sets", nargs="+", choices=[*SPLITS, *SERIES], default=[*SPLITS, *SERIES], metavar="SET")
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_name("networks.csv"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.data is None:
        parser.error("--data DIR, or AECODEC_BENCH_DATA, must name the folder that holds fields/ and series/")
    loaded = [
        *load_sets(options.data, [name for name in options.sets if name in SPLITS]),
        *(load_series(options.data, name) for name in options.sets if name in SERIES),
    ]
    found = []
    for each in loaded:
        if isinstance(each, str):
            print(each)
            continue
        found.append(measure(each, options.minutes))
        print(found[-1], flush=True)
        write(options.csv, found, options.minutes)


def measure(field: FieldSet, minutes: float) -> Result:
    """Fit, train, code, check."""
    test, axes = field.test, field.axes
    bound = FRACTION * value_range(test)
    bound = bound if test.dtype.kind == "f" else float(np.floor(bound))
    fitted = fit(field, bound)
    alone, *_ = coded(test, axes, fitted, bound)
    train, held = parts(canonical(field.train, axes))
    objective = PredictorObjective(fitted, train, held, np.full(fitted.manifest.channels, bound))
    worked = time.process_time()
    outcome = run(objective, Settings(time_budget=60 * minutes, learning_rate=_RATE, device="cpu"))
    worked = time.process_time() - worked
    real = min(each["score"] for each in outcome.history if not each["frozen"])
    network = aecodec.Model(objective.export())
    size, encode, decode = coded(test, axes, network, bound)
    return Result(
        *(field.name, field.precision, axes, "x".join(map(str, test.shape)), bound),
        *(alone, size, round(100 * (1 - size / alone), 2)),
        *(len(fitted.bundle.to_bytes()), len(network.bundle.to_bytes())),
        *(described(objective.shape), objective.operations, round(worked, 1), round(outcome.seconds, 1), outcome.step),
        *(round(each, 4) for each in (outcome.history[0]["score"], real, outcome.best["score"])),
        *(round(encode, 2), round(decode, 2)),
    )


def described(shape: NetworkShape) -> str:
    """Width and kernels."""
    return f"{shape.width} wide: {' '.join(f'{rows}x{columns}' for rows, columns in shape.kernels)}"


def coded(test: np.ndarray, axes: str, model: aecodec.Model, bound: float) -> tuple[int, float, float]:
    """Bytes, and seconds each way."""
    start = time.monotonic()
    packed = aecodec.compress(test, model, axes, level=9, max_error=bound, embed_model=False)
    between = time.monotonic()
    decoded = aecodec.decompress(packed, model=model)
    end = time.monotonic()
    if worst_error(test, decoded) > bound:
        raise RuntimeError(f"the bound {bound} was not kept")
    return len(packed), between - start, end - between


def canonical(array: np.ndarray, axes: str) -> np.ndarray:
    """(steps, channels, rows, columns)."""
    return ArraySpec(array.dtype, parse_axes(axes, array.ndim), array.shape).to_canonical(array)


def parts(train: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What to learn from, and what to be scored on: of steps, or, of a single one, columns."""
    axis = 0 if len(train) > 2 else 3
    low, high = (round(share * train.shape[axis]) for share in _HELD)
    first, held, last = np.split(train, [low, max(high, low + 1)], axis=axis)
    return [first, last], [held]


def write(path: Path, found: list[Result], minutes: float) -> None:
    """The CSV: what it was measured with, then a row per set."""
    facts = [
        *environment(),
        f"torch: {torch.__version__}",
        f"training: {minutes:g} minutes a set, AdamW at {_RATE:g}, otherwise the loop's defaults",
    ]
    lines = [f"# {fact}" for fact in facts]
    lines.append(",".join(field.name for field in fields(Result)))
    lines += [",".join(str(value) for value in astuple(result)) for result in found]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
