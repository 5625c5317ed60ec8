"""Commands for what else a model gives: anomalies, features."""

from pathlib import Path
from typing import Annotated

import typer

from aecodec.cli import options
from aecodec.cli.report import reported

_Data = Annotated[str, typer.Argument(help=".npy, image, .aecz, or raw with --dtype and --shape")]
_Needed = Annotated[str, typer.Option("-m", "--model", help=".aecm file, name or id of a model of such arrays")]
_Optional = Annotated[
    str | None,
    typer.Option("-m", "--model", help=".aecm file, name or id; --score stored needs none"),
]


@reported
def anomalies(
    data: _Data,
    model: _Optional = None,
    score: Annotated[
        str,
        typer.Option(help="reconstruction, latent, rate, windows (of a series), or stored: bits that an .aecz file spends already"),
    ] = "reconstruction",
    per: Annotated[str, typer.Option(help="step (a time step, a sample) or tile")] = "step",
    normal: Annotated[str | None, typer.Option(help="normal data to learn and calibrate on; by default DATA itself")] = None,
    normal_steps: Annotated[int | None, typer.Option(help="only so many first steps of the normal data are normal")] = None,
    threshold: Annotated[
        str, typer.Option(help="quantile:Q, quantile:QxFACTOR, pot:RISK (peaks over threshold) or a number")
    ] = "quantile:0.999",
    keep: Annotated[float | None, typer.Option(help="share of the latents' variance that reconstruction keeps")] = None,
    window: Annotated[int | None, typer.Option(help="steps to smooth scores over, 1 by default, or of windows, 60")] = None,
    smoothing: Annotated[str, typer.Option(help="mean, or least: anomalous only where all windows are")] = "mean",
    penalty: Annotated[float, typer.Option(help="of a changepoint: more gives fewer")] = 10.0,
    output: Annotated[str | None, typer.Option("-o", "--output", help=".csv for all scores, .json for the summary")] = None,
    plot: Annotated[str | None, typer.Option(help="picture to draw (.png, .svg, .pdf); needs aecodec[tasks]")] = None,
    axes: options.Axes = None,
    dtype: options.Dtype = None,
    shape: options.Shape = None,
    as_json: options.AsJson = False,
    provider: options.Provider = "auto",
    no_embedded_model: options.NoEmbeddedModel = False,
    max_memory: options.MaxMemory = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Score how unusual steps or tiles are, and say which lie above a threshold, where the level changes, and by which channels."""
    from aecodec.cli.anomalies import Request, find
    from aecodec.cli.inputs import parse_trust

    trust = parse_trust(no_embedded_model, max_memory)
    source = (dtype, shape, axes)
    request = Request(score, per, keep, window, smoothing, threshold, normal, normal_steps, penalty)
    find(data, model, request, source, (provider, trust), (output, plot, force, as_json, quiet))


@reported
def features(
    data: _Data,
    output: Annotated[Path, typer.Option("-o", "--output", help="the .npy file to write: one row of float32 a sample")],
    model: _Needed,
    pool: Annotated[str, typer.Option(help="sample: all its latents; mean: over its tiles; tile: a row for each")] = "sample",
    axes: options.Axes = None,
    dtype: options.Dtype = None,
    shape: options.Shape = None,
    provider: options.Provider = "auto",
    no_embedded_model: options.NoEmbeddedModel = False,
    max_memory: options.MaxMemory = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Write the latents of an array or .aecz file as a table of features."""
    from aecodec.cli.features import write_features
    from aecodec.cli.inputs import parse_trust

    trust = parse_trust(no_embedded_model, max_memory)
    write_features(data, output, model, pool, (dtype, shape, axes), (provider, trust), force, quiet)
