"""Commands that make models: fit, train, tune."""

from pathlib import Path
from typing import Annotated

import typer

from aecodec.cli import options
from aecodec.cli.numbers import fidelity_of
from aecodec.cli.report import reported


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

    fidelity = fidelity_of(max_error, max_range_error, None, None, None, False, value_range)
    fit_files(inputs, output, (dtype, shape), axes, fidelity, False if no_reference else None, seed, force, quiet)


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
        **fidelity_of(max_error, max_range_error, None, psnr, quality, lossless, value_range),
    }
    train_files(inputs, output, (dtype, shape), given, force, quiet)


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
        **fidelity_of(max_error, max_range_error, None, psnr, quality, lossless, value_range),
    }
    tune_files(inputs, folder, output, (dtype, shape), given, (force, quiet, as_json))
