"""What a small network as residual predictor saves: test splits coded by the fit alone, and by a network trained beside it.

    pip install "aecodec[bench,train]" && python bench/networks.py --data DIR [--minutes 10] [--sets SET...] [--keep]

One thread; `core_seconds` tells how much of its time training had on a busy machine. Both codings are of level 9 under the
same bound, 1e-3 of the test array's range, rounded down to whole numbers for integers, where 0 is lossless. Neither model's
bytes are in the sizes; they stand beside. Every output is decoded and compared. `--width` and `--depth` of the networks were
chosen on validation parts.
"""

import argparse
import os
import time
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from environment import environment
from fields import SPLITS, FieldSet, load_sets
from fitting import fit, value_range
from peers import worst_error
from series import SERIES, load_series

import aecodec
from aecodec.axes import parse_axes
from aecodec.canonical import ArraySpec
from aecodec.training.config import Settings
from aecodec.training.loop import run
from aecodec.training.monitor import Snapshot
from aecodec.training.predictor_network import NetworkShape
from aecodec.training.predictor_objective import FIELD_SHAPE, SERIES_SHAPE, PredictorObjective, PredictorSettings

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
    parser.add_argument("--width", type=int, default=FIELD_SHAPE.width, help="of the networks")
    parser.add_argument("--depth", type=int, default=len(FIELD_SHAPE.kernels), help="hidden layers")
    parser.add_argument("--keep", action="store_true", help="rows of other sets that the CSV has already")
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_name("networks.csv"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.data is None:
        parser.error("--data DIR, or AECODEC_BENCH_DATA, must name the folder that holds fields/ and series/")
    loaded = [
        *load_sets(options.data, [name for name in options.sets if name in SPLITS]),
        *(load_series(options.data, name) for name in options.sets if name in SERIES),
    ]
    rows = kept(options.csv) if options.keep else {}
    for each in loaded:
        if isinstance(each, str):
            print(each)
            continue
        usual = FIELD_SHAPE if each.name in SPLITS else SERIES_SHAPE
        found = measure(each, options.minutes, NetworkShape(options.width, usual.kernels[:1] * options.depth))
        print(found, flush=True)
        rows[found.name] = ",".join(str(value) for value in astuple(found))
        write(options.csv, rows)


def measure(field: FieldSet, minutes: float, shape: NetworkShape) -> Result:
    """Fit, train, code, check."""
    test, axes = field.test, field.axes
    bound = FRACTION * value_range(test)
    bound = bound if test.dtype.kind == "f" else float(np.floor(bound))
    fitted = fit(field, bound)
    alone, *_ = coded(test, axes, fitted, bound)
    train, held = parts(canonical(field.train, axes))
    # Of integers without a bound 0.5 is the largest error that a rounded residual leaves.
    errors = np.full(fitted.manifest.channels, bound)
    objective = PredictorObjective(fitted, train, held, errors, PredictorSettings(shape))
    worked = time.process_time()
    settings = Settings(time_budget=60 * minutes, learning_rate=_RATE, device="cpu")
    outcome = run(objective, settings, monitor=told)
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


def told(about: Snapshot) -> None:
    """Each validation in a line."""
    if about.fresh:
        score = about.validation["score"]
        print(f"{about.phase} step {about.step} {about.seconds:.0f} s: {score:.4f} bits a value held out", flush=True)


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


def kept(path: Path) -> dict[str, str]:
    """Rows of the CSV by their sets; none if there is no such file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    rows = [line for line in lines if not line.startswith("#")]
    return {line.split(",")[0]: line for line in rows[1:]}


def write(path: Path, rows: dict[str, str]) -> None:
    """The CSV: what it was measured with, then a row per set."""
    facts = [
        *environment(),
        f"torch: {torch.__version__}",
        f"training: AdamW at {_RATE:g}, otherwise the loop's defaults, for train_seconds on one thread of a busy machine",
    ]
    lines = [f"# {fact}" for fact in facts]
    lines += [",".join(field.name for field in fields(Result)), *rows.values()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
