"""The READMEs' tables from the CSVs alone: python bench/readme_table.py [--write] [TABLE ...].

Prints them in Markdown; with --write it replaces what stands between `<!-- NAME-table -->` and `<!-- /NAME-table -->` in
README.md and bench/README.md, for every NAME that is marked there. A table whose CSV is missing, or lacks columns, is left out.
"""

import argparse
import re
from collections.abc import Callable
from pathlib import Path

from image_tables import images
from tables import Rows, gains, lossless, networks, nrmse, packing, parsed, ratio, rows_of, shipped, speed
from tasks_readme import section

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", ROOT / "bench" / "README.md")
TABLES: dict[str, tuple[str, Callable[[Path], str]]] = {
    "ratio": ("ratio.csv", lambda path: table(rows_of(path))),
    "ratio-level-9": ("ratio.csv", lambda path: ratio(rows_of(path), "9")),
    "gains": ("ratio.csv", lambda path: gains(rows_of(path))),
    "nrmse": ("nrmse.csv", nrmse),
    "speed": ("speed.csv", speed),
    "packing": ("packing.csv", packing),
    "lossless": ("lossless.csv", lossless),
    "images": ("images.csv", images),
    "networks": ("networks.csv", networks),
    "shipped": ("shipped.csv", shipped),
    "anomalies": ("tasks.csv", lambda path: section(path, "(a)")),
    "features": ("tasks.csv", lambda path: section(path, "(b)")),
    "generation": ("tasks.csv", lambda path: section(path, "(d)")),
}


def rows(lines: list[str]) -> Rows:
    """Rows of the lines of a CSV without its comment lines."""
    return parsed(lines)


def table(found: Rows) -> str:
    """The README's table of ratios: the default level."""
    return ratio(found, "5")


def made(names: list[str]) -> dict[str, str]:
    """Markdown of each table that there is a CSV for."""
    found = {}
    for name in names:
        file, make = TABLES[name]
        path = ROOT / "bench" / file
        try:
            found[name] = make(path)
        except FileNotFoundError:
            print(f"{name} is left out: there is no bench/{file}")
        except KeyError as error:
            print(f"{name} is left out: bench/{file} has no column {error}; make it again")
    return found


def write(tables: dict[str, str]) -> None:
    """Put the tables between the markers of both files."""
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for name, made_table in tables.items():
            marker = re.compile(rf"(<!-- {name}-table -->\n).*?(<!-- /{name}-table -->)", re.DOTALL)
            text, count = marker.subn(lambda match, inside=made_table: match[1] + inside + match[2], text)
            if count:
                print(f"{name}: written to {path.relative_to(ROOT)}")
        path.write_text(text, encoding="utf-8")


def main() -> None:
    """Print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*TABLES, []], metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument("--write", action="store_true", help="into README.md")
    options = parser.parse_args()
    tables = made(options.names or list(TABLES))
    if options.write:
        write(tables)
        return
    for name, text in tables.items():
        print(f"\n### {name}\n{text}")


if __name__ == "__main__":
    main()
