"""Rows of the bench of tasks: one figure of one method on one set, and the CSV that names all that it depends on."""

import csv
import datetime
import os
import platform
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from environment import source_digest
from rich.console import Console
from rich.table import Table

import aecodec

PACKAGES = ("numpy", "onnxruntime", "scikit-learn", "scipy", "torch", "matplotlib")


@dataclass(frozen=True)
class Row:
    """`figure`: what was measured; `spread`: its standard deviation over draws; `source`: "measured here", or who published it."""

    section: str
    data: str
    method: str
    figure: str
    value: float
    spread: float | None = None
    setting: str = ""
    source: str = "measured here"


def show(rows: list[Row]) -> None:
    """One table for each section and figure."""
    for section in dict.fromkeys(row.section for row in rows):
        part = [row for row in rows if row.section == section]
        names = list(dict.fromkeys(row.figure for row in part))
        table = Table("method", *names, "setting", "source", title=section)
        for method, data in dict.fromkeys((row.method, row.data) for row in part):
            mine = {row.figure: row for row in part if (row.method, row.data) == (method, data)}
            first = next(iter(mine.values()))
            table.add_row(method, *(_text(mine.get(name)) for name in names), first.setting, first.source)
        Console(width=170).print(table)


def _text(row: Row | None) -> str:
    if row is None:
        return ""
    return f"{row.value:.4g}" + (f" +- {row.spread:.2g}" if row.spread is not None else "")


def write_csv(rows: list[Row], path: Path) -> None:
    """The rows, each with the machine and the versions, in place of those of the same sections; others stay; sorted by section."""
    about = {"date": datetime.date.today().isoformat(), "machine": _machine(), "versions": _versions()}
    kept: list[dict[str, object]] = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            kept = [dict(row) for row in csv.DictReader(file)]
    mine = {row.section for row in rows}
    made = [{k: f"{v:.6g}" if isinstance(v, float) else v for k, v in asdict(row).items()} for row in rows]
    kept = [row for row in kept if row["section"] not in mine] + [{**row, **about} for row in made]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*(f.name for f in fields(Row)), *about], lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(kept, key=lambda row: str(row["section"])))


def _machine() -> str:
    models = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    ]
    name = models[0] if models else platform.processor()
    return f"{name}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def _versions() -> str:
    found = [f"aecodec {aecodec.__version__} of sources {source_digest()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} absent")
    return ", ".join(found)
