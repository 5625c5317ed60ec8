"""`aecodec train`."""

import os
from typing import Any

from aecodec.cli.inputs import parse_dtype, parse_shape, read_source
from aecodec.cli.outputs import refuse_existing
from aecodec.cli.progress import say, size_text
from aecodec.errors import UsageError

_ENDS = {
    "steps": "all steps done",
    "time": "time used up",
    "early": "stopped early, as nothing got better",
    "diverged": "stopped by divergence; the best state is kept",
    "interrupted": "interrupted; the best state is kept",
}


def train_files(
    inputs: list[str], output: str, raw: tuple[str | None, str | None], options: dict[str, Any], force: bool, quiet: bool
) -> None:
    """Train one model on all inputs and write it; under torchrun, the first process writes."""
    refuse_existing(output, force)
    from aecodec.training import train

    model = train(training_inputs(inputs, raw, options["axes"]), **options, progress=not quiet)
    if os.environ.get("RANK", "0") != "0":
        return
    model.save(output, overwrite=force)
    about = model.manifest.provenance
    runs = [(name, about[name]) for name in about["networks"]]
    text = "; ".join(f"{name}: {r['steps']} steps, held out {r['score']:.4g}, {_ENDS[r['ended']]}" for name, r in runs)
    say(f"{output} : {size_text(len(model.stored))}, {text}, {model.id[:12]}", quiet)


def training_inputs(inputs: list[str], raw: tuple[str | None, str | None], axes: str | None) -> list[Any]:
    """Files and folders by name; raw files as the memory maps that --dtype and --shape make of them."""
    dtype, shape = parse_dtype(raw[0]), parse_shape(raw[1])
    if dtype is None and shape is None:
        return list(inputs)
    return [read_source(name, dtype, shape, axes).array for name in inputs]


def parse_tile(text: str | None) -> tuple[int, ...] | None:
    """ "1,3,8,8" or "1x3x8x8"."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        raise UsageError(f"--tile {text!r} is not four sizes such as 1,3,8,8: steps, channels, rows, columns") from None


def parse_networks(text: str | None) -> tuple[str, ...] | None:
    """ "predictor", "autoencoder" or both with a comma."""
    return None if text is None else tuple(part.strip() for part in text.split(",") if part.strip())
