"""The demonstration."""

from pathlib import Path
from typing import Annotated

import typer

from aecodec.cli.report import reported


@reported
def demo(
    folder: Annotated[Path, typer.Option("-o", "--output", help="folder for the files it makes")] = Path("aecodec-demo"),
) -> None:
    """Fit, compress, decompress and verify a real field that ships with the library; write a picture of it."""
    from aecodec.demo import run

    run(folder)
