"""Tables of the READMEs from tasks.csv: a row for each method of one section, a column for each of its figures."""

import csv
from pathlib import Path


def section(path: Path, begins: str) -> str:
    """The section whose name begins so, in Markdown."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["section"].startswith(begins)]
    figures = list(dict.fromkeys(row["figure"] for row in rows))
    lines = [f"| {rows[0]['data']} | {' | '.join(figures)} |", "|---" * (len(figures) + 1) + "|"]
    for method in dict.fromkeys(row["method"] for row in rows):
        cells = {row["figure"]: _cell(row) for row in rows if row["method"] == method}
        lines.append(f"| {method} | {' | '.join(cells.get(figure, '') for figure in figures)} |")
    return "\n".join(lines) + "\n"


def _cell(row: dict[str, str]) -> str:
    digits = {"F1": 3, "Frechet distance": 2}.get(row["figure"], 1)
    spread = f" ± {float(row['spread']):.{digits}f}" if row["spread"] else ""
    return f"{float(row['value']):.{digits}f}{spread}"
