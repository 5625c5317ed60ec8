"""The options that commands share: their types, flags and help."""

from pathlib import Path
from typing import Annotated

import typer

Output = Annotated[str | None, typer.Option("-o", "--output", help="output, or a folder for several; - is standard output")]
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

# Of training.
TrainingData = Annotated[list[str], typer.Argument(help=".npy, .aecz, zarr, images, folders of them, raw with --dtype and --shape")]
Family = Annotated[str, typer.Option(help="vanilla, sparse, denoising or variational: of autoencoders")]
Networks = Annotated[str | None, typer.Option(help="predictor, autoencoder, restorer, or several with commas")]
Tile = Annotated[str | None, typer.Option(help="T,C,Y,X: what an autoencoder sees at once, e.g. 1,3,8,8")]
TimeBudget = Annotated[str | None, typer.Option(help="e.g. 90s, 10m, 2h")]
Steps = Annotated[int | None, typer.Option(help="at most so many")]
BatchSize = Annotated[int | None, typer.Option(help="of all processes together")]
Report = Annotated[Path | None, typer.Option(help="folder for a report against the closed form and other codecs")]
Validation = Annotated[float, typer.Option(help="share of the data that is held out")]
FillMissing = Annotated[bool, typer.Option("--fill-missing", help="fill NaN with the value before it instead of refusing it")]
Seed = Annotated[int, typer.Option(help="of all that is random")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda")]
