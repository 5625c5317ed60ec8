"""The commands. Errors are one line on standard error; the exit status is 0, 1 (failed) or 2 (wrong usage)."""

from pathlib import Path
from typing import Annotated, Any

import typer

from aecodec.cli import options
from aecodec.cli.report import reported
from aecodec.errors import UsageError
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


def main() -> None:
    """Entry point of the installed command."""
    app()


def _version(wanted: bool) -> None:
    if wanted:
        print(f"aecodec {__version__}")  # noqa: T201  # what the user asked for
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")] = False,
) -> None:
    """Options of the command itself."""


@app.command()
@reported
def compress(
    inputs: Annotated[list[str], typer.Argument(help=".npy, images, raw binary with --dtype and --shape; - is standard input")],
    output: options.Output = None,
    model: options.ModelName = None,
    no_model: Annotated[bool, typer.Option("--no-model", help="predict only, fit nothing")] = False,
    no_embed: Annotated[bool, typer.Option("--no-embed", help="keep only the hash of the model")] = False,
    axes: options.Axes = None,
    max_error: options.MaxError = None,
    max_range_error: options.MaxRangeError = None,
    max_point_error: options.MaxPointError = None,
    psnr: options.Psnr = None,
    quality: options.Quality = None,
    lossless: options.Lossless = False,
    value_range: options.ValueRange = None,
    dtype: options.Dtype = None,
    shape: options.Shape = None,
    level: Annotated[int, typer.Option("-l", "--level", help="1 fastest to 9 smallest")] = 5,
    provider: options.Provider = "auto",
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Compress arrays into .aecz files, or a dataset (NetCDF, GRIB) into a .zarr store. Inputs are kept."""
    from aecodec.cli.compress import compress_files
    from aecodec.cli.dataset import compress_dataset, is_dataset

    if output is not None and is_dataset(output):
        others = {"max_range_error": max_range_error, "max_point_error": max_point_error, "psnr": psnr, "quality": quality}
        compress_dataset(inputs, output, max_error, others, False if no_model else model, level, force, quiet)
        return

    fidelity = _fidelity(max_error, max_range_error, max_point_error, psnr, quality, lossless, value_range)
    chosen = False if no_model else model
    embed = False if no_embed else None
    compress_files(inputs, output, (dtype, shape), (chosen, axes, level, embed, provider, threads), fidelity, force, quiet)


@app.command()
@reported
def decompress(
    inputs: Annotated[list[str], typer.Argument(help=".aecz files; - is standard input")],
    output: options.Output = None,
    model: options.ModelName = None,
    provider: options.Provider = "auto",
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    no_embedded_model: options.NoEmbeddedModel = False,
    max_memory: options.MaxMemory = None,
) -> None:
    """Decompress .aecz files: .npy or an image if the output is named so, raw binary otherwise."""
    from aecodec.cli.decompress import decompress_files
    from aecodec.cli.inputs import parse_trust

    trust = parse_trust(no_embedded_model, max_memory)
    decompress_files(inputs, output, model, provider, threads, force, quiet, trust)


@app.command()
@reported
def info(
    file: Annotated[str, typer.Argument(help="an .aecz or .aecm file")],
    as_json: options.AsJson = False,
    chunks: Annotated[bool, typer.Option("--chunks", help="list every chunk")] = False,
) -> None:
    """Show what a file holds: array, fidelity, model, sizes, chunks, parts, what is missing."""
    from aecodec.cli.info import show_file

    show_file(file, as_json, chunks)


@app.command()
@reported
def verify(
    file: Annotated[str, typer.Argument(help="an .aecz file")],
    against: Annotated[str | None, typer.Option(help="the original, to hold every value against its bound")] = None,
    model: options.ModelName = None,
    dtype: options.Dtype = None,
    shape: options.Shape = None,
    provider: options.Provider = "auto",
    threads: options.Threads = None,
    no_embedded_model: options.NoEmbeddedModel = False,
    max_memory: options.MaxMemory = None,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Check every record and decode every chunk; with --against, check every value. Exit status 1 if anything fails."""
    from aecodec.cli.check import verify_file
    from aecodec.cli.inputs import parse_trust

    settings = (model, provider, threads, parse_trust(no_embedded_model, max_memory))
    if not verify_file(file, against, (dtype, shape), settings, quiet, as_json):
        raise typer.Exit(1)


@app.command()
@reported
def recover(
    file: Annotated[str, typer.Argument(help="a damaged or cut off .aecz file")],
    output: Annotated[str, typer.Option("-o", "--output", help="the .aecz file to write")],
    no_embedded_model: options.NoEmbeddedModel = False,
    max_memory: options.MaxMemory = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Write all that is sound of a file to a new one and say what is lost."""
    from aecodec.cli.check import recover_file
    from aecodec.cli.inputs import parse_trust

    recover_file(file, output, parse_trust(no_embedded_model, max_memory), force, quiet, as_json)


@app.command()
@reported
def fit(
    inputs: Annotated[list[str], typer.Argument(help=".npy files, or one raw file with --dtype and --shape")],
    output: Annotated[str, typer.Option("-o", "--output", help="the .aecm file to write")],
    axes: options.Axes = None,
    max_error: options.MaxError = None,
    max_range_error: options.MaxRangeError = None,
    value_range: options.ValueRange = None,
    no_reference: Annotated[bool, typer.Option("--no-reference", help="subtract no mean field")] = False,
    dtype: options.Dtype = None,
    shape: options.Shape = None,
    seed: Annotated[int, typer.Option(help="of the choice of held-out samples")] = 0,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit a linear autoencoder to arrays of one kind, in seconds, and write it as a model."""
    from aecodec.cli.fit import fit_files

    fidelity = _fidelity(max_error, max_range_error, None, None, None, False, value_range)
    fit_files(inputs, output, (dtype, shape), axes, fidelity, False if no_reference else None, seed, force, quiet)


@app.command()
@reported
def train(
    inputs: options.TrainingData,
    output: Annotated[str, typer.Option("-o", "--output", help="the .aecm file to write")],
    axes: options.Axes = None,
    family: options.Family = "vanilla",
    networks: options.Networks = None,
    tile: options.Tile = None,
    width: Annotated[int | None, typer.Option(help="of the networks' layers")] = None,
    depth: Annotated[int | None, typer.Option(help="layers of the networks")] = None,
    latents: Annotated[int | None, typer.Option(help="latents of a tile of an autoencoder")] = None,
    time_budget: options.TimeBudget = None,
    steps: options.Steps = None,
    batch_size: options.BatchSize = None,
    learning_rate: Annotated[float | None, typer.Option(help="the peak")] = None,
    distortion_weight: Annotated[float | None, typer.Option(help="bits for a squared error of one step")] = None,
    max_error: options.MaxError = None,
    max_range_error: options.MaxRangeError = None,
    psnr: options.Psnr = None,
    quality: options.Quality = None,
    lossless: options.Lossless = False,
    value_range: options.ValueRange = None,
    checkpoint: Annotated[Path | None, typer.Option(help="folder to keep a checkpoint in, and to go on from")] = None,
    no_resume: Annotated[bool, typer.Option("--no-resume", help="start over, whatever the checkpoint")] = False,
    report: options.Report = None,
    log_dir: Annotated[Path | None, typer.Option(help="folder for TensorBoard's log")] = None,
    validation: options.Validation = 0.1,
    fill_missing: options.FillMissing = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    dtype: options.Dtype = None,
    shape: options.Shape = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Train networks on arrays of one kind, within a time budget, and write them as a model. Needs aecodec[train]."""
    from aecodec.cli.train import parse_networks, parse_tile, train_files

    given = {
        "axes": axes,
        "family": family,
        "networks": parse_networks(networks),
        "tile": parse_tile(tile),
        "width": width,
        "depth": depth,
        "latents": latents,
        "time_budget": time_budget,
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "distortion_weight": distortion_weight,
        "checkpoint": checkpoint,
        "resume": not no_resume,
        "report": report,
        "log_dir": log_dir,
        "validation": validation,
        "missing": "fill" if fill_missing else "refuse",
        "seed": seed,
        "device": device,
        **_fidelity(max_error, max_range_error, None, psnr, quality, lossless, value_range),
    }
    train_files(inputs, output, (dtype, shape), given, force, quiet)


@app.command()
@reported
def tune(
    inputs: options.TrainingData,
    folder: Annotated[Path, typer.Option("--folder", help="where the search is kept, and goes on from")],
    output: Annotated[str | None, typer.Option("-o", "--output", help="the .aecm file of --final-budget")] = None,
    search: Annotated[list[str] | None, typer.Option(help="NAME=LOW:HIGH of width, depth, latents, ...; repeatable")] = None,
    trials: Annotated[int, typer.Option(help="in the end, earlier ones included")] = 20,
    final_budget: Annotated[str | None, typer.Option(help="train the best settings for so long, e.g. 20m")] = None,
    axes: options.Axes = None,
    family: options.Family = "vanilla",
    networks: options.Networks = None,
    tile: options.Tile = None,
    time_budget: options.TimeBudget = None,
    steps: options.Steps = None,
    batch_size: options.BatchSize = None,
    max_error: options.MaxError = None,
    max_range_error: options.MaxRangeError = None,
    psnr: options.Psnr = None,
    quality: options.Quality = None,
    lossless: options.Lossless = False,
    value_range: options.ValueRange = None,
    report: options.Report = None,
    validation: options.Validation = 0.1,
    fill_missing: options.FillMissing = False,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    dtype: options.Dtype = None,
    shape: options.Shape = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Search for the networks' settings that make held-out data smallest. Needs aecodec[train]."""
    from aecodec.cli.train import parse_networks, parse_tile
    from aecodec.cli.tune import parse_ranges, tune_files

    given = {
        "axes": axes,
        "family": family,
        "networks": parse_networks(networks),
        "tile": parse_tile(tile),
        "ranges": parse_ranges(search),
        "trials": trials,
        "time_budget": time_budget,
        "steps": steps,
        "final_budget": final_budget,
        "batch_size": batch_size,
        "report": report,
        "validation": validation,
        "missing": "fill" if fill_missing else "refuse",
        "seed": seed,
        "device": device,
        **_fidelity(max_error, max_range_error, None, psnr, quality, lossless, value_range),
    }
    tune_files(inputs, folder, output, (dtype, shape), given, (force, quiet, as_json))


@app.command()
@reported
def demo(
    folder: Annotated[Path, typer.Option("-o", "--output", help="folder for the files it makes")] = Path("aecodec-demo"),
) -> None:
    """Fit, compress, decompress and verify a real field that ships with the library; write a picture of it."""
    from aecodec.demo import run

    run(folder)


@models_app.command("list")
@reported
def models_list() -> None:
    """List the models that are installed."""
    from aecodec.cli.models import list_models

    list_models()


@models_app.command("show")
@reported
def models_show(
    name: Annotated[str, typer.Argument(help="a name, an id or a .aecm file")],
    as_json: options.AsJson = False,
) -> None:
    """Show a model's manifest."""
    from aecodec.cli.models import show_model
    from aecodec.models.registry import load_bundle

    show_model(load_bundle(name), as_json)


@models_app.command("export")
@reported
def models_export(
    name: Annotated[str, typer.Argument(help="a name, an id, a .aecm file, or an .aecz file that embeds a model")],
    folder: Annotated[Path, typer.Option("-o", "--output", help="folder for manifest.json, encoder.onnx, decoder.onnx")],
    force: options.Force = False,
) -> None:
    """Write a model's parts as files, the graphs as plain ONNX."""
    from aecodec.cli.models import export_model

    export_model(name, folder, force)


def _fidelity(
    max_error: str | None,
    max_range_error: float | None,
    max_point_error: float | None,
    psnr: float | None,
    quality: float | None,
    lossless: bool,
    value_range: str | None,
) -> dict[str, Any]:
    return {
        "max_error": _numbers(max_error, "--max-error"),
        "max_range_error": max_range_error,
        "max_point_error": max_point_error,
        "psnr": psnr,
        "quality": quality,
        "lossless": lossless or None,
        "value_range": _numbers(value_range, "--value-range"),
    }


def _numbers(text: str | None, option: str) -> float | list[float] | None:
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{option} {text!r} is not a number, or numbers with commas") from None
    return numbers if len(numbers) > 1 else numbers[0]
