"""What the ratio bench says: the table on the terminal and the CSV, which names all that the figures depend on."""

import csv
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import imagecodecs
import numpy as np
from peers import SETTINGS
from rich.console import Console
from rich.table import Table

GAINS = ("fitted", "with model", "embedded")


@dataclass(frozen=True)
class Row:
    """One codec's result on one set at one bound; a line of the CSV.

    `train_mean_error_over_bound`: how far the test array is from the train split's mean field. At 1 or less that field alone
    keeps the bound, there is nothing to code, and the gain of a fitted model only says that the model holds the field.
    `nrmse`: root mean square error over the range of the test array. `level`: of aecodec.
    """

    name: str
    precision: str
    axes: str
    shape: str
    dtype: str
    fraction: float
    bound: float
    train_mean_error_over_bound: float
    codec: str
    level: int | None
    setting: str
    size: int
    model_size: int
    ratio: float
    gain_over_best_peer: float
    worst_error_over_bound: float
    nrmse: float
    bits_per_value: float


def show(rows: list[Row], level: int) -> None:
    """Print the table of one level, then geometric mean and worst case of the gains at each bound."""
    table = Table("set", "bound", "SZ3", "SPERR", "ZFP", *GAINS, "model bytes", *(f"gain {g}" for g in GAINS))
    table.title = f"Ratios and gains over the best peer, level {level}"
    table.caption = "* values on a hidden lattice   = the train mean alone keeps the bound   ! bound not kept"
    groups = _grouped([row for row in rows if row.level in (None, level)])
    for group in groups:
        by = {row.codec: row for row in group}
        ours = [by[f"aecodec {g}"] for g in GAINS]
        mark = _mark(group[0])
        ratios = [_ratio(by[c]) for c in SETTINGS] + [_ratio(row) for row in ours]
        gains = [f"{row.gain_over_best_peer:.2f}" for row in ours]
        table.add_row(group[0].name + mark, f"{group[0].fraction:g}", *ratios, f"{ours[1].model_size}", *gains)
    for fraction in sorted({group[0].fraction for group in groups}, reverse=True):
        chosen = [group for group in groups if group[0].fraction == fraction]
        table.add_section()
        largest = max(chosen, key=lambda group: group[0].gain_over_best_peer)
        parts = {
            "all": chosen,
            "unmarked": [group for group in chosen if not _mark(group[0])],
            "without the largest": [group for group in chosen if group is not largest],
        }
        for label, part in parts.items():
            gains = [[group[i].gain_over_best_peer for group in part] for i in range(len(GAINS))]
            if part:
                means = [f"{math.exp(np.mean(np.log(g))):.2f}" for g in gains]
                table.add_row(f"geometric mean, {label} ({len(part)})", f"{fraction:g}", *[""] * 7, *means)
        gains = [[group[i].gain_over_best_peer for group in chosen] for i in range(len(GAINS))]
        table.add_row("worst", f"{fraction:g}", *[""] * 7, *(f"{min(g):.2f}" for g in gains))
    Console(width=None if Console().is_terminal else 170).print(table)


def _mark(row: Row) -> str:
    return ("*" if row.precision.startswith("step") else "") + ("=" if row.train_mean_error_over_bound <= 1 else "")


def _ratio(row: Row) -> str:
    return f"{row.ratio:.2f}" + ("!" if row.worst_error_over_bound > 1 else "")


def _grouped(rows: list[Row]) -> list[list[Row]]:
    groups: dict[tuple[str, float], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.name, row.fraction), []).append(row)
    return list(groups.values())


def write_csv(path: Path, rows: list[Row], notes: list[str], facts: list[str]) -> None:
    """Comment lines that say where and with what the figures came about (`facts`: `environment()`), then the rows."""
    header = {
        "SPERR": imagecodecs.sperr_version(),
        **{f"{codec} settings": setting for codec, setting in SETTINGS.items()},
        "of each peer": "the smallest output of all layouts and algorithms that keeps the bound",
        "integers": "peers get float32 and a bound wider by 0.49, their output is rounded",
    }
    with path.open("w", newline="", encoding="utf-8") as file:
        file.writelines(f"# {line}\n" for line in facts)
        file.writelines(f"# {key}: {value}\n" for key, value in header.items())
        file.writelines(f"# note: {note}\n" for note in notes)
        writer = csv.DictWriter(file, [f.name for f in fields(Row)], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.8g}" if isinstance(v, float) else v for k, v in asdict(row).items()})
