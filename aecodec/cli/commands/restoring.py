"""Commands that restore arrays and make new ones: restore, generate."""

from typing import Annotated

import typer

from aecodec.cli import options
from aecodec.cli.report import reported


@reported
def restore(
    source: Annotated[str, typer.Argument(help=".npy, image, .aecz, video, or raw binary with --dtype and --shape")],
    output: Annotated[str, typer.Option("-o", "--output", help=".npy, image, .aecz or video, by its suffix")],
    model: Annotated[str, typer.Option("-m", "--model", help="a .aecm file, or name or id of an installed model")] = "restore",
    task: Annotated[str, typer.Option("-t", "--task", help="denoise, inpaint, deblur or upscale (by 2)")] = "denoise",
    noise: Annotated[float | None, typer.Option(help="standard deviation in the array's units; estimated to denoise")] = None,
    mask: Annotated[str | None, typer.Option(help="image or .npy that is not 0 where values are missing, to inpaint")] = None,
    blur: Annotated[float | None, typer.Option(help="standard deviation of the Gaussian blur in values, to deblur")] = None,
    value_range: Annotated[str | None, typer.Option(help="LOW,HIGH that the model sees as its own range")] = None,
    axes: options.Axes = None,
    dtype: options.Dtype = None,
    shape: options.Shape = None,
    provider: options.Provider = "auto",
    threads: options.Threads = None,
    no_embedded_model: options.NoEmbeddedModel = False,
    max_memory: options.MaxMemory = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Take noise away, fill gaps, sharpen or double in size, by a model that was trained to. Memory stays at a few frames."""
    from aecodec.cli.inputs import parse_trust
    from aecodec.cli.numbers import fidelity_of
    from aecodec.cli.restore import restore_file

    pair = fidelity_of(None, None, None, None, None, False, value_range).get("value_range")
    strengths = {"noise": noise, "blur": blur, "value_range": pair, "provider": provider, "threads": threads}
    trust = parse_trust(no_embedded_model, max_memory)
    restore_file(source, output, model, task, mask, strengths, (axes, dtype, shape), trust, (force, quiet))


@reported
def generate(
    output: Annotated[str, typer.Option("-o", "--output", help="an image of all of them, or .npy")],
    model: Annotated[str, typer.Option("-m", "--model", help="a variational model: a .aecm file, or name or id")],
    count: Annotated[int, typer.Option("-n", "--count", help="how many")] = 64,
    seed: options.Seed = 0,
    spread: Annotated[float, typer.Option(help="of the draws; less than 1 gives more usual ones")] = 1.0,
    between: Annotated[str | None, typer.Option(help="FILE:A,B: what lies between two samples of a .npy file")] = None,
    reconstruct: Annotated[
        str | None, typer.Option(help="FILE: the first samples of a .npy file, each above what comes back")
    ] = None,
    provider: options.Provider = "auto",
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Draw new samples from a variational model, or show what lies between two, or what comes back of some."""
    from aecodec.cli.generate import generate_file

    generate_file(output, model, (count, seed, spread), between, reconstruct, provider, (force, quiet))
