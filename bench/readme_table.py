"""Writes the README's table of ratios from bench/ratio.csv: python bench/readme_table.py."""

import csv
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
CODECS = ("SZ3", "SPERR", "ZFP", "aecodec fitted", "aecodec embedded")
MARKER = re.compile(r"(<!-- ratio-table -->\n).*?(<!-- /ratio-table -->)", re.DOTALL)


def rows(lines: list[str]) -> list[dict[str, str]]:
    """Rows of the CSV without its comment lines."""
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def table(found: list[dict[str, str]], bounds: tuple[str, ...] = ("0.01", "0.001")) -> str:
    """Markdown: a row per set and bound, times smaller than the raw array."""
    out = ["| test set | bound / range | " + " | ".join(CODECS) + " | model bytes |", "|---" * (len(CODECS) + 3) + "|"]
    for name in dict.fromkeys(row["name"] for row in found):
        for bound in bounds:
            here = {r["codec"]: r for r in found if r["name"] == name and r["fraction"] == bound}
            if not here:
                continue
            star = "" if next(iter(here.values()))["precision"] == "true" else " *"
            cells = [f"{float(here[codec]['ratio']):.1f}" for codec in CODECS]
            out.append(f"| {name}{star} | {bound} | " + " | ".join(cells) + f" | {here['aecodec with model']['model_size']} |")
    return "\n".join(out) + "\n"


def main() -> None:
    """Replace the table between the README's markers."""
    lines = (ROOT / "bench" / "ratio.csv").read_text().splitlines()
    readme = ROOT / "README.md"
    text, count = MARKER.subn(lambda m: m[1] + table(rows(lines)) + m[2], readme.read_text())
    if count != 1:
        raise SystemExit("README.md lacks the ratio-table markers")
    readme.write_text(text)


if __name__ == "__main__":
    main()
