"""The commands. Errors are one line on standard error; the exit status is 0, 1 (failed) or 2 (wrong usage)."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from aecodec.errors import AecodecError, UsageError
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

Output = Annotated[str | None, typer.Option("-o", "--output", help="output; - is standard output")]
Force = Annotated[bool, typer.Option("-f", "--force", help="overwrite outputs")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="no summary, no progress")]
Threads = Annotated[int | None, typer.Option("-T", "--threads", help="chunks at once; default: one per processor")]
Provider = Annotated[str, typer.Option(help="cpu, cuda, auto or reference")]
ModelName = Annotated[str | None, typer.Option("-m", "--model", help="a .aecm file, or name or id of an installed model")]
Axes = Annotated[str | None, typer.Option(help="one letter a dimension: t samples, c channels, z y x space")]
MaxError = Annotated[str | None, typer.Option(help="largest absolute error; one number, or one per channel with commas")]
MaxRangeError = Annotated[float | None, typer.Option(help="largest error as a fraction of each channel's value range")]
MaxPointError = Annotated[float | None, typer.Option(help="largest error as a fraction of each value")]
Psnr = Annotated[float | None, typer.Option(help="at least this PSNR in dB")]
Quality = Annotated[float | None, typer.Option(help="1 (smallest) to 100 (best)")]
Lossless = Annotated[bool, typer.Option("--lossless", help="every bit kept (the default)")]
ValueRange = Annotated[str | None, typer.Option(help="LOW,HIGH: spares the pass that finds the range")]
AsJson = Annotated[bool, typer.Option("--json", help="machine-readable")]
NoEmbeddedModel = Annotated[bool, typer.Option("--no-embedded-model", help="run no model that comes inside a file")]
MaxMemory = Annotated[str | None, typer.Option(help="largest array or chunk to hold at once, e.g. 500M or 4G")]
Dtype = Annotated[str | None, typer.Option(help="of raw binary input, e.g. float32 or >i2")]
Shape = Annotated[str | None, typer.Option(help="of raw binary input, e.g. 240,37,49; the first may be -1")]


def reported(command: Callable[..., None]) -> Callable[..., None]:
    """Turn what goes wrong into one line and an exit status."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except AecodecError as error:
            _fail(_with_notes(error, str(error)), 2 if isinstance(error, UsageError) else 1)
        except BrokenPipeError:
            _fail("the reader of standard output went away", 1)
        except KeyboardInterrupt as error:
            _fail(
                _with_notes(error, "interrupted")
                if hasattr(error, "__notes__")
                else "interrupted; unfinished outputs were removed",
                1,
            )
        except OSError as error:
            _fail(_with_notes(error, f"{error.filename}: {error.strerror}" if error.filename else str(error)), 1)
        except MemoryError:
            _fail("not enough memory for arrays of this size", 1)

    return run


def _with_notes(error: BaseException, message: str, *otherwise: str) -> str:
    """The message, and what was added to the error on its way: where unfinished work is kept; `otherwise` if nothing was."""
    return "; ".join([message, *getattr(error, "__notes__", otherwise)])


def _fail(message: str, status: int) -> None:
    print(f"aecodec: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201  # the one place for errors
    raise typer.Exit(status)


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
    output: Output = None,
    model: ModelName = None,
    no_model: Annotated[bool, typer.Option("--no-model", help="predict only, fit nothing")] = False,
    no_embed: Annotated[bool, typer.Option("--no-embed", help="keep only the hash of the model")] = False,
    axes: Axes = None,
    max_error: MaxError = None,
    max_range_error: MaxRangeError = None,
    max_point_error: MaxPointError = None,
    psnr: Psnr = None,
    quality: Quality = None,
    lossless: Lossless = False,
    value_range: ValueRange = None,
    dtype: Dtype = None,
    shape: Shape = None,
    level: Annotated[int, typer.Option("-l", "--level", help="1 fastest to 9 smallest")] = 5,
    provider: Provider = "auto",
    threads: Threads = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Compress arrays into .aecz files. Inputs are kept."""
    from aecodec.cli.compress import compress_files

    fidelity = _fidelity(max_error, max_range_error, max_point_error, psnr, quality, lossless, value_range)
    chosen = False if no_model else model
    embed = False if no_embed else None
    compress_files(inputs, output, (dtype, shape), (chosen, axes, level, embed, provider, threads), fidelity, force, quiet)


@app.command()
@reported
def decompress(
    inputs: Annotated[list[str], typer.Argument(help=".aecz files; - is standard input")],
    output: Output = None,
    model: ModelName = None,
    provider: Provider = "auto",
    threads: Threads = None,
    force: Force = False,
    quiet: Quiet = False,
    no_embedded_model: NoEmbeddedModel = False,
    max_memory: MaxMemory = None,
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
    as_json: AsJson = False,
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
    model: ModelName = None,
    dtype: Dtype = None,
    shape: Shape = None,
    provider: Provider = "auto",
    threads: Threads = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Check every record and decode every chunk; with --against, check every value. Exit status 1 if anything fails."""
    from aecodec.cli.check import verify_file

    if not verify_file(file, against, (dtype, shape), (model, provider, threads), quiet, as_json):
        raise typer.Exit(1)


@app.command()
@reported
def recover(
    file: Annotated[str, typer.Argument(help="a damaged or cut off .aecz file")],
    output: Annotated[str, typer.Option("-o", "--output", help="the .aecz file to write")],
    force: Force = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write all that is sound of a file to a new one and say what is lost."""
    from aecodec.cli.check import recover_file

    recover_file(file, output, force, quiet, as_json)


@app.command()
@reported
def fit(
    inputs: Annotated[list[str], typer.Argument(help=".npy files, or one raw file with --dtype and --shape")],
    output: Annotated[str, typer.Option("-o", "--output", help="the .aecm file to write")],
    axes: Axes = None,
    max_error: MaxError = None,
    max_range_error: MaxRangeError = None,
    value_range: ValueRange = None,
    no_reference: Annotated[bool, typer.Option("--no-reference", help="subtract no mean field")] = False,
    dtype: Dtype = None,
    shape: Shape = None,
    seed: Annotated[int, typer.Option(help="of the choice of held-out samples")] = 0,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Fit a linear autoencoder to arrays of one kind, in seconds, and write it as a model."""
    from aecodec.cli.fit import fit_files

    fidelity = _fidelity(max_error, max_range_error, None, None, None, False, value_range)
    fit_files(inputs, output, (dtype, shape), axes, fidelity, False if no_reference else None, seed, force, quiet)


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
    as_json: AsJson = False,
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
    force: Force = False,
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
