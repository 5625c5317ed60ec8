"""Compression ratios under a checked error bound: aecodec against SZ3, SPERR and ZFP, all bytes counted.

    pip install "aecodec[bench]" && python bench/ratio.py [--data DIR] [--curves | --nrmse]

Bounds are fractions of the test array's value range; those of integers are rounded down to whole numbers. "fitted" is a
model of the train split, not counted; "with model" counts its bytes too; "embedded" is fitted on the test array itself
and counted, as anybody gets it who names no model. Every output is decoded and compared with the array in float64.
"""

import argparse
import io
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import draw
import equal_error
import numpy as np
from environment import environment
from fields import SPLITS, FieldSet, load_sets
from fitting import absolute_bound, fit, value_range
from peers import peer_results, rms_error, worst_error
from report import Row, show, write_csv

import aecodec

BOUNDS = (1e-2, 1e-3, 1e-4)
CURVE_BOUNDS = (3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)


@dataclass(frozen=True)
class _Result:
    codec: str
    level: int | None
    setting: str
    size: int
    model_size: int
    worst: float
    rms: float


def measure(field: FieldSet, fraction: float, bound: float, levels: Sequence[int]) -> list[Row]:
    """Rows of all codecs: for each level aecodec's, as in GAINS, then the peers'."""
    test = field.test
    model = fit(field, bound)
    results = [result for level in levels for result in _ours(field, bound, level, model)]
    peers = peer_results(test, field.axes, bound)
    results += [_Result(name, None, c.setting, c.size, 0, c.worst, c.rms) for name, c in peers.items()]
    best = min(coded.size for coded in peers.values())
    span = value_range(test)
    from_mean = _distance_from_train_mean(field) / bound
    about = (field.name, field.precision, field.axes, "x".join(map(str, test.shape)), str(test.dtype), fraction, bound, from_mean)
    return [
        Row(
            *about,
            *(r.codec, r.level, r.setting, r.size, r.model_size),
            *(test.nbytes / r.size, best / r.size, r.worst / bound, r.rms / span, 8 * r.size / test.size),
        )
        for r in results
    ]


def _ours(field: FieldSet, bound: float, level: int, model: aecodec.Model) -> Iterator[_Result]:
    test = field.test

    def result(kind: str, used: aecodec.Model | None, size: int, inside: int, decoded: np.ndarray) -> _Result:
        errors = (worst_error(test, decoded), rms_error(test, decoded))
        return _Result(f"aecodec {kind}", level, _describe(used), size, inside, *errors)

    packed = aecodec.compress(test, model, field.axes, level=level, max_error=bound, embed_model=False)
    decoded = aecodec.decompress(packed, model=model)
    model_size = len(model.bundle.to_bytes())
    yield result("fitted", model, len(packed), 0, decoded)
    yield result("with model", model, len(packed) + model_size, model_size, decoded)
    packed = aecodec.compress(test, None, field.axes, level=level, max_error=bound, embed_model=True)
    with aecodec.open(io.BytesIO(packed)) as file:
        own = file.model
    own_size = len(own.bundle.to_bytes()) if own is not None else 0
    yield result("embedded", own, len(packed), own_size, aecodec.decompress(packed))


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("AECODEC_BENCH_DATA"), help="folder that holds fields/*.npy")
    parser.add_argument("--level", type=int, nargs="+", help="9 and 5; with --curves or --nrmse only 9")
    parser.add_argument("--sets", nargs="+", choices=list(SPLITS), default=list(SPLITS), metavar="SET")
    parser.add_argument("--bounds", nargs="+", type=float, help="fractions of the range, or NRMSE with --nrmse")
    parser.add_argument("--curves", action="store_true", help="rate against error: curves.csv and a picture per set")
    parser.add_argument("--nrmse", action="store_true", help="no bound: sizes at equal root mean square error, nrmse.csv")
    parser.add_argument("--csv", type=Path, help="where the figures go; pictures go to a folder of that name")
    options = parser.parse_args()
    data = Path(options.data) if options.data else None
    facts = environment()
    fields = load_sets(data, options.sets)
    if options.nrmse:
        equal_error.run(fields, options.bounds, options.level or [9], options.csv, facts)
        return
    bounds = options.bounds or (CURVE_BOUNDS if options.curves else BOUNDS)
    levels = options.level or ([9] if options.curves else [9, 5])
    rows: list[Row] = []
    notes: list[str] = []
    for field in fields:
        if isinstance(field, str):
            notes.append(field)
            print(field)
            continue
        for fraction in bounds:
            bound = absolute_bound(field.test, fraction)
            if bound is None:
                notes.append(f"{field.name} is left out at {fraction:g}: the bound of its integers would be below 1")
                print(notes[-1])
                continue
            found = measure(field, fraction, bound, levels)
            rows += found
            print(f"{field.name} at {fraction:g}, level {levels[0]}: gain {found[0].gain_over_best_peer:.2f}", flush=True)
    path = options.csv or Path(__file__).with_name("curves.csv" if options.curves else "ratio.csv")
    if rows:
        for level in levels:
            show(rows, level)
        write_csv(path, rows, notes, facts)
    if rows and options.curves:
        draw.pictures(path, path.with_suffix(""))


if __name__ == "__main__":
    main()
