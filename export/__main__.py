"""Makes a model that ships with the library: python -m export NAME [--data DIR] [--from-model PATH].

NAME is a recipe in export/recipes, or the path of one. Whatever fails, nothing is written to aecodec/models.
"""

import argparse
import os
import sys
from pathlib import Path

from aecodec.errors import AecodecError
from export.errors import ExportError
from export.pipeline import SHIPPED, Settings, run
from export.recipe import find_recipe, load_recipe


def main() -> int:
    """The exit status: 0, or 1 with one line on standard error."""
    parser = argparse.ArgumentParser(description=__doc__, prog="export", formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of a recipe, or its path")
    parser.add_argument("--data", type=Path, default=os.environ.get("AECODEC_BENCH_DATA"), help="folder that its paths lie in")
    parser.add_argument("--from-model", type=Path, help="a .aecm file that was trained before; training is skipped")
    parser.add_argument("--work", type=Path, default=Path(".export"), help="for checkpoints and what was trained")
    parser.add_argument("--output", type=Path, default=SHIPPED, help="folder for NAME.aecm, by default aecodec/models")
    parser.add_argument("--check-only", action="store_true", help="write nothing")
    parser.add_argument("--force", action="store_true", help="replace the model that is there")
    options = parser.parse_args()
    if options.data is None:
        parser.error("give --data DIR or AECODEC_BENCH_DATA")
    output = None if options.check_only else options.output
    settings = Settings(Path(options.data), options.work, output, options.from_model, options.force)
    try:
        run(load_recipe(find_recipe(options.name)), settings)
    except (ExportError, AecodecError, OSError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
