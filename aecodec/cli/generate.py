"""`aecodec generate`: samples, ways between two, and reconstructions, as one picture or as .npy."""

from pathlib import Path

import numpy as np

from aecodec.api.files import load_npy
from aecodec.api.options import as_model
from aecodec.cli.outputs import completed, refuse_existing
from aecodec.cli.progress import say
from aecodec.codec.model import Model
from aecodec.container.durable import resolved
from aecodec.errors import UsageError
from aecodec.integrations.images import save_image
from aecodec.integrations.kinds import IMAGE_SUFFIXES
from aecodec.tasks.generate import generate, interpolate, reconstruct
from aecodec.tasks.pictures import grid


def generate_file(
    output: str,
    name: str,
    drawing: tuple[int, int, float],
    between: str | None,
    shown: str | None,
    provider: str,
    flags: tuple[bool, bool],
) -> None:
    """Write what was asked for. `drawing`: count, seed, spread; `flags`: force, quiet."""
    count, seed, spread = drawing
    force, quiet = flags
    suffix = Path(output).suffix.lower()
    if suffix != ".npy" and suffix not in IMAGE_SUFFIXES:
        raise UsageError(f"{output}: samples are written as an image or as .npy; name the output so")
    if between is not None and shown is not None:
        raise UsageError("--between and --reconstruct are two things to draw; ask for one at a time")
    refuse_existing(output, force)
    model = as_model(name, provider)
    if model is None:
        raise UsageError("-m names no model")
    columns = 0
    if between is not None:
        file, first, last = _ends(between)
        tiles, columns = interpolate(model, file[first], file[last], count), min(count, 8)
    elif shown is not None:
        tiles, columns = _reconstructed(model, load_npy(Path(shown)), count)
    else:
        tiles = generate(model, count, seed, spread=spread)
    with completed(resolved(output)) as partial:
        if suffix == ".npy":
            with partial.open("wb") as file_:
                np.lib.format.write_array(file_, tiles, allow_pickle=False)
        else:
            picture = grid(tiles, model, columns)
            save_image(picture, "yxc"[: picture.ndim], {}, partial, suffix)
    say(f"{output} : {len(tiles)} tiles of {'x'.join(map(str, model.manifest.tile))} (t c y x), {model.id[:12]}", quiet)


def _reconstructed(model: Model, array: np.ndarray, count: int) -> tuple[np.ndarray, int]:
    """Rows of originals, each above a row of what comes back of them, and how many there are in a row."""
    originals = np.asarray(array[:count], np.float32).reshape(-1, *model.manifest.tile)
    made = reconstruct(model, list(originals))
    columns = int(np.ceil(np.sqrt(2 * len(originals))))
    blank = -len(originals) % columns  # of the last row
    rows = [np.concatenate([part, part[-1:].repeat(blank, 0)]).reshape(-1, columns, *part.shape[1:]) for part in (originals, made)]
    return np.stack(rows, 1).reshape(-1, *originals.shape[1:]), columns


def _ends(text: str) -> tuple[np.ndarray, int, int]:
    """ "FILE:A,B": the array and two of its samples."""
    name, _, numbers = text.rpartition(":")
    try:
        first, last = (int(part) for part in numbers.split(","))
    except ValueError:
        raise UsageError(f"--between {text!r} is not FILE:A,B, a .npy file and two of its samples") from None
    array = load_npy(Path(name))
    if not all(-len(array) <= at < len(array) for at in (first, last)):
        raise UsageError(f"--between {text!r}: {name} has {len(array)} samples")
    return array, first, last
