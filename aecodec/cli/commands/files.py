"""Commands on files of arrays: compress, decompress, info, verify, recover."""

from typing import Annotated

import typer

from aecodec.cli import options
from aecodec.cli.numbers import fidelity_of
from aecodec.cli.report import reported


@reported
def compress(
    inputs: Annotated[
        list[str],
        typer.Argument(help=".npy, images, video, sound, folders of them, URLs; raw with --dtype and --shape; - is stdin"),
    ],
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

    fidelity = fidelity_of(max_error, max_range_error, max_point_error, psnr, quality, lossless, value_range)
    chosen = False if no_model else model
    embed = False if no_embed else None
    compress_files(inputs, output, (dtype, shape), (chosen, axes, level, embed, provider, threads), fidelity, force, quiet)


@reported
def decompress(
    inputs: Annotated[list[str], typer.Argument(help=".aecz files, folders of them, URLs, a zarr store; - is standard input")],
    output: options.Output = None,
    model: options.ModelName = None,
    provider: options.Provider = "auto",
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    no_embedded_model: options.NoEmbeddedModel = False,
    max_memory: options.MaxMemory = None,
) -> None:
    """Decompress .aecz files: .npy, an image, video or sound if the output is named so, else raw; a zarr store to NetCDF."""
    from aecodec.cli.decompress import decompress_files
    from aecodec.cli.inputs import parse_trust

    trust = parse_trust(no_embedded_model, max_memory)
    decompress_files(inputs, output, model, provider, threads, force, quiet, trust)


@reported
def info(
    file: Annotated[str, typer.Argument(help="an .aecz or .aecm file")],
    as_json: options.AsJson = False,
    chunks: Annotated[bool, typer.Option("--chunks", help="list every chunk")] = False,
) -> None:
    """Show what a file holds: array, fidelity, model, sizes, chunks, parts, what is missing."""
    from aecodec.cli.info import show_file

    show_file(file, as_json, chunks)


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
