"""The command that shows what a model does to data: evaluate."""

from pathlib import Path
from typing import Annotated

import typer

from aecodec.cli import options
from aecodec.cli.numbers import fidelity_of
from aecodec.cli.report import reported


@reported
def evaluate(
    data: Annotated[str, typer.Argument(help=".npy, .aecz, image, video, sound or URL; raw with --dtype and --shape")],
    model: options.ModelName = None,
    no_model: Annotated[bool, typer.Option("--no-model", help="predict only, fit nothing")] = False,
    report: Annotated[Path | None, typer.Option(help="the page to write, e.g. report.html")] = None,
    axes: options.Axes = None,
    max_error: options.MaxError = None,
    max_range_error: options.MaxRangeError = None,
    psnr: options.Psnr = None,
    quality: options.Quality = None,
    lossless: options.Lossless = False,
    value_range: options.ValueRange = None,
    dtype: options.Dtype = None,
    shape: options.Shape = None,
    level: Annotated[int, typer.Option("-l", "--level", help="1 fastest to 9 smallest")] = 5,
    values: Annotated[int, typer.Option(help="at most so many values are measured: the first steps")] = 1 << 22,
    provider: options.Provider = "auto",
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Measure a model on data beside other codecs, and write one page that shows it: curves, errors, maps, spectra, times."""
    from aecodec.cli.evaluate import evaluate_file

    fidelity = fidelity_of(max_error, max_range_error, None, psnr, quality, lossless, value_range)
    settings = {"level": level, "most_values": values, "provider": provider, "threads": threads}
    chosen = False if no_model else model
    evaluate_file(data, chosen, report, (dtype, shape), axes, settings, fidelity, force, quiet, as_json)
