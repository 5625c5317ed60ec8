"""Compression ratios under a checked error bound: aecodec against SZ3, SPERR and ZFP, all bytes counted.

    pip install "aecodec[bench]" && python bench/ratio.py [--data DIR]

Bounds are fractions of the test array's value range; those of integers are rounded down to whole numbers. "fitted" is a
model of the train split, not counted; "with model" counts its bytes too; "embedded" is fitted on the test array itself
and counted, as anybody gets it who names no model. Every output is decoded and compared with the array in float64.
"""

import argparse
import io
import math
import os
from pathlib import Path

import numpy as np
from fields import SPLITS, FieldSet, load_sets
from peers import SETTINGS, peer_results, worst_error
from report import GAINS, Row, show, source_digest, write_csv

import aecodec

BOUNDS = (1e-2, 1e-3, 1e-4)


def absolute_bound(test: np.ndarray, fraction: float) -> float | None:
    """The bound as a number, whole for integers; None where that would be below 1."""
    bound = fraction * (float(test.max()) - float(test.min()))
    if test.dtype.kind not in "iu":
        return bound
    return float(math.floor(bound)) or None


def measure(field: FieldSet, fraction: float, bound: float, level: int) -> list[Row]:
    """Rows of all codecs; the first three are aecodec's, as in GAINS."""
    test = field.test
    results: list[tuple[str, str, int, int, float]] = []

    model = fit(field, bound)
    packed = aecodec.compress(test, model, field.axes, level=level, max_error=bound, embed_model=False)
    worst = worst_error(test, aecodec.decompress(packed, model=model))
    model_size = len(model.bundle.to_bytes())
    results.append(("aecodec fitted", _describe(model), len(packed), 0, worst))
    results.append(("aecodec with model", _describe(model), len(packed) + model_size, model_size, worst))

    packed = aecodec.compress(test, None, field.axes, level=level, max_error=bound, embed_model=True)
    worst = worst_error(test, aecodec.decompress(packed))
    with aecodec.open(io.BytesIO(packed)) as file:
        own = file.model
    own_size = len(own.bundle.to_bytes()) if own is not None else 0
    results.append(("aecodec embedded", _describe(own), len(packed), own_size, worst))

    peers = peer_results(test, field.axes, bound)
    results += [(codec, coded.setting, coded.size, 0, coded.worst) for codec, coded in peers.items()]
    best = min(coded.size for coded in peers.values())
    from_mean = _distance_from_train_mean(field) / bound
    about = (field.name, field.precision, field.axes, "x".join(map(str, test.shape)), str(test.dtype), fraction, bound, from_mean)
    return [
        Row(*about, codec, setting, size, inside, test.nbytes / size, best / size, worst / bound)
        for codec, setting, size, inside, worst in results
    ]


def fit(field: FieldSet, bound: float) -> aecodec.Model:
    """A model of the train split; where rows are the stream, in pieces that `fit` takes as equals, and no mean field."""
    if "t" in field.axes:
        return aecodec.fit(field.train, axes=field.axes, max_error=bound)
    half = len(field.train) // 2
    return aecodec.fit([field.train[:half], field.train[half : 2 * half]], axes=field.axes, reference=False, max_error=bound)


def _distance_from_train_mean(field: FieldSet) -> float:
    """Largest distance of the test array from the mean of the train samples; infinite for one scene cut in two."""
    if "t" not in field.axes:
        return math.inf
    return worst_error(field.test, np.broadcast_to(field.train.mean(axis=0, dtype=np.float64), field.test.shape))


def _describe(model: aecodec.Model | None) -> str:
    if model is None:
        return "no model"
    reference = ", reference field" if model.manifest.reference else ""
    return f"tile {'x'.join(map(str, model.manifest.tile))}{reference}"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("AECODEC_BENCH_DATA"), help="folder that holds fields/*.npy")
    parser.add_argument("--level", type=int, default=5)
    parser.add_argument("--sets", nargs="+", choices=list(SPLITS), default=list(SPLITS), metavar="SET")
    parser.add_argument("--bounds", nargs="+", type=float, default=list(BOUNDS))
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_suffix(".csv"))
    arguments = parser.parse_args()
    data = Path(arguments.data) if arguments.data else None
    source = source_digest()
    rows: list[Row] = []
    notes: list[str] = []
    for field in load_sets(data, arguments.sets):
        if isinstance(field, str):
            notes.append(field)
            print(field)
            continue
        for fraction in arguments.bounds:
            bound = absolute_bound(field.test, fraction)
            if bound is None:
                notes.append(f"{field.name} is left out at {fraction:g}: the bound of its integers would be below 1")
                print(notes[-1])
                continue
            rows += measure(field, fraction, bound, arguments.level)
            print(f"{field.name} at {fraction:g}: gain {rows[-len(GAINS) - len(SETTINGS)].gain_over_best_peer:.2f}", flush=True)
    if rows:
        show(rows, arguments.level)
        write_csv(arguments.csv, rows, arguments.level, notes, source)


if __name__ == "__main__":
    main()
