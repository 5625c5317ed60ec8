"""What else a trained model gives, in figures: `python bench/tasks.py` prints all, writes bench/tasks.csv and pictures.

A section is a module with `run(data, pictures, models)`, which gives rows; name it in SECTIONS to have it join. With --sections,
rows of the others stay in the CSV as they are. A model that does not ship: `python -m export fashion`.
"""

import one_thread  # noqa: F401  # isort: skip  # before numpy

import argparse
import os
from importlib import import_module
from pathlib import Path

from tasks_rows import show, write_csv

from aecodec.errors import AecodecError

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
    parser.add_argument("--data", type=Path, default=os.environ.get("AECODEC_BENCH_DATA"), help="folder of the sets")
    parser.add_argument("--csv", type=Path, default=HERE / "tasks.csv")
    parser.add_argument("--pictures", type=Path, default=HERE)
    parser.add_argument("--sections", nargs="+", choices=sorted(SECTIONS), default=list(SECTIONS))
    parser.add_argument("--restorer", default="restore", help="name or path of the model that restores photographs")
    parser.add_argument("--generator", default="fashion", help="name or path of the model that generates Fashion-MNIST")
    asked = parser.parse_args()
    if asked.data is None:
        parser.error("give --data DIR or AECODEC_BENCH_DATA")
    models = {"restorer": asked.restorer, "generator": asked.generator}
    for name in asked.sections:
        try:
            found = import_module(SECTIONS[name]).run(Path(asked.data), asked.pictures, models)
        except (AecodecError, ImportError) as error:
            print(f"{name} is left out: {error}")
            continue
        show(found)
        write_csv(found, asked.csv)


if __name__ == "__main__":
    main()
