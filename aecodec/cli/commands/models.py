"""Commands on models: list, show, export."""

from pathlib import Path
from typing import Annotated

import typer

from aecodec.cli import options
from aecodec.cli.report import reported


@reported
def list_() -> None:
    """List the models that are installed."""
    from aecodec.cli.models import list_models

    list_models()


@reported
def show(
    name: Annotated[str, typer.Argument(help="a name, an id or a .aecm file")],
    as_json: options.AsJson = False,
) -> None:
    """Show a model's manifest."""
    from aecodec.cli.models import show_model
    from aecodec.models.registry import load_bundle

    show_model(load_bundle(name), as_json)


@reported
def export(
    name: Annotated[str, typer.Argument(help="a name, an id, a .aecm file, or an .aecz file that embeds a model")],
    folder: Annotated[Path, typer.Option("-o", "--output", help="folder for manifest.json, encoder.onnx, decoder.onnx")],
    force: options.Force = False,
) -> None:
    """Write a model's parts as files, the graphs as plain ONNX."""
    from aecodec.cli.models import export_model

    export_model(name, folder, force)
