"""Rows of the restoration bench: CSV, table, picture."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

_GAP = 4


@dataclass(frozen=True)
class Row:
    """`figure`: PSNR in dB. `seconds`: of processor time."""

    task: str
    method: str
    data: str
    figure: float
    seconds: float


def averaged(rows: Sequence[Row]) -> list[Row]:
    """The mean of each method."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.task, row.method), []).append(row)
    return [
        Row(*key, f"mean of {len(group)}", float(np.mean([r.figure for r in group])), float(np.mean([r.seconds for r in group])))
        for key, group in groups.items()
    ]


def show(title: str, rows: Sequence[Row]) -> None:
    """Print a table."""
    table = Table("task", "method", "data", "figure", "seconds", title=title)
    for row in rows:
        table.add_row(row.task, row.method, row.data, f"{row.figure:.2f}", f"{row.seconds:.2f}" if row.seconds else "")
    Console(width=None if Console().is_terminal else 140).print(table)


def write_csv(path: Path, rows: Sequence[Row], facts: Sequence[str]) -> None:
    """Comment lines with all that the figures depend on, then the rows."""
    with path.open("w", newline="", encoding="utf-8") as file:
        file.writelines(f"# {line}\n" for line in facts)
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: f"{v:.6g}" if isinstance(v, float) else v for key, v in asdict(row).items()})


def strips(pictures: Sequence[tuple[str, list[np.ndarray]]]) -> np.ndarray:
    """One row of images of each task and crop: original, spoiled, restored; rows of a task together."""
    ordered = sorted(pictures, key=lambda each: each[0])
    height, width = ordered[0][1][0].shape[:2]
    most = max(len(images) for _, images in ordered)
    canvas = np.full((len(ordered) * (height + _GAP) - _GAP, most * (width + _GAP) - _GAP, 3), 255, np.uint8)
    for row, (_, images) in enumerate(ordered):
        for column, image in enumerate(images):
            top, left = row * (height + _GAP), column * (width + _GAP)
            canvas[top : top + height, left : left + width] = np.clip(np.rint(image), 0, 255)
    return canvas
