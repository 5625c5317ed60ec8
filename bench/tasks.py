"""What else a trained model gives, in figures: `python bench/tasks.py` prints all, writes bench/tasks.csv and pictures.

A section is a module with `run(data, pictures)`, which gives rows; name it in SECTIONS to have it join.
"""

import one_thread  # noqa: F401  # isort: skip  # before numpy

import argparse
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from tasks_rows import Row, show, write_csv

SECTIONS = {
    "anomalies": "tasks_anomalies",
    "features": "tasks_features",
    "restoration": "tasks_restore",
    "generation": "tasks_generate",
}
HERE = Path(__file__).parent


def main() -> None:
    """Run the sections asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("/work/shared/data"), help="folder of the sets")
    parser.add_argument("--csv", type=Path, default=HERE / "tasks.csv")
    parser.add_argument("--pictures", type=Path, default=HERE)
    parser.add_argument("--sections", nargs="+", choices=sorted(SECTIONS), default=list(SECTIONS))
    asked = parser.parse_args()
    rows: list[Row] = []
    for name in asked.sections:
        module = SECTIONS[name]
        if find_spec(module) is None:
            print(f"{name}: {module}.py is not there")
            continue
        found = import_module(module).run(asked.data, asked.pictures)
        show(found)
        rows += found
    write_csv(rows, asked.csv)


if __name__ == "__main__":
    main()
