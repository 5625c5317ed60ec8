"""The commands. Errors are one line on standard error; the exit status is 0, 1 (failed) or 2 (wrong usage)."""

import os
from typing import Annotated

import typer

from aecodec.cli.commands import completing, demo, evaluating, files, learning, models, restoring, tasks
from aecodec.version import __version__

app = typer.Typer(
    name="aecodec",
    help="Numeric arrays made many times smaller with trained autoencoders, every value within the error asked for.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
models_app = typer.Typer(help="Models that ship with the library or are installed.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(models_app, name="models")

for command in (
    *(files.compress, files.decompress, files.info, files.verify, files.recover),
    *(learning.fit, learning.train, learning.tune, evaluating.evaluate),
    *(tasks.anomalies, tasks.features, restoring.restore, restoring.generate),
    *(demo.demo, completing.completion),
):
    app.command()(command)
models_app.command("list")(models.list_)
models_app.command("show")(models.show)
models_app.command("export")(models.export)


def main() -> None:
    """Entry point of the installed command."""
    if completing.VARIABLE in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]  # not in its __all__

        completion_init()
    app(prog_name="aecodec")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"aecodec {__version__}")  # noqa: T201  # what the user asked for
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")] = False,
) -> None:
    """Options of the command itself."""
