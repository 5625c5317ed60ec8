"""What the shipped models save on test splits: no model, the shipped one, one fitted on the very array, one on the train split.

    pip install "aecodec[bench]" && python bench/shipped.py --data DIR [--level 5] [--sets SET...]

*own* is fitted on the array that is coded and embedded in the file, its bytes counted; *fitted* is fitted on the train split and
kept beside, its bytes not counted. `chosen`: what `compress` takes where nothing is named. Every output is decoded and compared.
"""

import argparse
import io
import os
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from environment import environment
from fields import SPLITS, FieldSet, load_sets
from fitting import absolute_bound, fit
from series import load_series

import aecodec
from aecodec.errors import AecodecError

FRACTIONS = (1e-2, 1e-3)
SERIES = ("mitdb_100", "watch")
QUALITIES = (10, 50, 90)


@dataclass(frozen=True)
class Result:
    """Sizes in bytes; 0 where there is none of that kind."""

    name: str
    shape: str
    fidelity: str
    model: str
    none: int
    shipped: int
    own: int
    fitted: int
    chosen: str
    saved_percent: float
    saved_of_own_percent: float


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("AECODEC_BENCH_DATA"))
    parser.add_argument("--level", type=int, default=5)
    parser.add_argument("--sets", nargs="+", choices=[*SPLITS, *SERIES], default=[*SPLITS, *SERIES], metavar="SET")
    parser.add_argument("--csv", type=Path, default=Path(__file__).with_name("shipped.csv"))
    options = parser.parse_args()
    if options.data is None:
        parser.error("--data DIR, or AECODEC_BENCH_DATA, must name the folder that holds fields/ and series/")
    lines = [",".join(field.name for field in fields(Result))]
    for each in _sets(options.data, options.sets):
        for result in measure(each, options.level):
            print(result, flush=True)
            lines.append(",".join(str(value) for value in astuple(result)))
            facts = [
                *environment(),
                f"level: {options.level}",
                *(f"{name}: {_model(name).id}" for name in ("field", "gray", "signal")),
            ]
            options.csv.write_text("\n".join([*(f"# {fact}" for fact in facts), *lines]) + "\n", encoding="utf-8")


def _sets(folder: Path, names: list[str]) -> Iterator[FieldSet]:
    loaded = [*load_sets(folder, [name for name in names if name in SPLITS])]
    for each in (*loaded, *(load_series(folder, name) for name in names if name in SERIES)):
        if isinstance(each, str):
            print(each)
        elif "y" not in each.axes or each.test.dtype.kind == "f" or each.test.dtype == np.uint8:
            yield each  # the spectral scene has many channels of 16 bits, for which no model ships


def measure(field: FieldSet, level: int) -> Iterator[Result]:
    """A row for each fidelity."""
    kind = "signal" if "y" not in field.axes else "gray" if field.test.dtype == np.uint8 else "field"
    for fidelity in _fidelities(field.test):
        shipped = _model(kind)
        sizes = [coded(field, False, level, fidelity), coded(field, shipped, level, fidelity)]
        own = fitted = 0
        if "lossless" not in fidelity:
            own = _own(field, level, fidelity)
            fitted = _beside(field, level, fidelity)
        chosen = aecodec.compress(field.test, axes=field.axes, level=level, **fidelity)
        with aecodec.open(io.BytesIO(chosen)) as file:
            found = file.header.model_id
        taken = "none" if found is None else kind if found == shipped.id else "own"
        yield Result(
            *(field.name, "x".join(map(str, field.test.shape)), _text(fidelity), kind, *sizes, own, fitted, taken),
            *(round(100 * (1 - sizes[1] / size), 2) if size else 0.0 for size in (sizes[0], own)),
        )


def _fidelities(test: np.ndarray) -> Iterator[dict[str, Any]]:
    for fraction in FRACTIONS:
        bound = absolute_bound(test, fraction)
        if bound is not None:
            yield {"max_error": bound}
    if test.dtype.kind in "iu":
        yield {"lossless": True}
    if test.dtype == np.uint8:
        for quality in QUALITIES:
            yield {"quality": quality}


def coded(field: FieldSet, model: aecodec.Model | Literal[False], level: int, fidelity: dict[str, Any]) -> int:
    """Bytes of the file without the model's; decoded and compared where a bound is to be kept."""
    embed = None if model is False else False
    data = aecodec.compress(field.test, model, field.axes, level=level, embed_model=embed, **fidelity)
    if "quality" not in fidelity:
        decoded = aecodec.decompress(data, model=None if model is False else model)
        worst = float(np.abs(decoded.astype(np.float64) - field.test).max())
        if worst > fidelity.get("max_error", 0.0):
            raise RuntimeError(f"{field.name}: {fidelity} was not kept, an error is {worst}")
    return len(data)


def _own(field: FieldSet, level: int, fidelity: dict[str, Any]) -> int:
    """Bytes with a model of the very array, the model's too; 0 where none can be fitted."""
    try:
        model = aecodec.fit(field.test, field.axes, reference=None if "t" in field.axes else False, **fidelity)
    except AecodecError:
        return 0
    return coded(field, model, level, fidelity) + len(model.bundle.to_bytes())


def _beside(field: FieldSet, level: int, fidelity: dict[str, Any]) -> int:
    if "max_error" not in fidelity:
        return 0
    return coded(field, fit(field, fidelity["max_error"]), level, fidelity)


def _model(name: str) -> aecodec.Model:
    return aecodec.load_model(name, "cpu")


def _text(fidelity: dict[str, Any]) -> str:
    return "; ".join(f"{key} {value:g}" if key != "lossless" else key for key, value in fidelity.items())


if __name__ == "__main__":
    main()
