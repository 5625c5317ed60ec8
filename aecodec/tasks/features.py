"""Latents as features: of any array or .aecz file, piece by piece, pooled to one vector a sample if that is wanted."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from aecodec.codec.model import Model
from aecodec.container.durable import replace_durably
from aecodec.errors import OutputExistsError, UsageError
from aecodec.tasks.latent_space import LatentSpace
from aecodec.tasks.pieces import Pieces

Pool = Literal["sample", "mean", "tile"]
POOLS = ("sample", "mean", "tile")
_MOST = 1 << 24  # features of a sample


def feature_pieces(data: Any, model: Model, axes: str | None = None, pool: Pool = "sample") -> Iterator[np.ndarray]:
    """Features, float32, of one piece after the other: (rows, features), as `features` gives them together."""
    if pool not in POOLS:
        raise UsageError(f"pool={pool!r} is unknown; use {', '.join(POOLS)}")
    pieces = Pieces(data, model, axes)
    space = LatentSpace(model, pieces.spec.channels)
    if pool != "tile":
        _check_samples(pieces, model)
    for piece in pieces:
        y = space.encode(piece.x, piece.origin).astype(np.float32)
        if pool != "tile":
            steps = space.grid(piece.shape)[0]
            samples = steps // pieces.spec.steps_per_sample if model.manifest.tile[0] == 1 else steps
            y = y.reshape(samples, -1, space.width)
            y = y.mean(axis=1) if pool == "mean" else y.reshape(samples, -1)
        yield y


def features(data: Any, model: Model, axes: str | None = None, pool: Pool = "sample") -> np.ndarray:
    """Latents of an array, an .aecz file or a Reader as a table, float32 (rows, features).

    pool: "sample": all latents of a sample, one row for each index of the stream axis (or for each of a model's tiles of several
    steps along it); "mean": their mean over the sample's tiles; "tile": one row for each tile place, in C order of (steps, rows,
    columns), all channels together.
    """
    parts = list(feature_pieces(data, model, axes, pool))
    return np.concatenate(parts) if parts else np.zeros((0, model.manifest.latents), np.float32)


def save_features(
    data: Any, model: Model, path: str | os.PathLike[str], axes: str | None = None, pool: Pool = "sample", overwrite: bool = False
) -> tuple[int, int]:
    """Write the features to a .npy file as they come, in bounded memory; (rows, features)."""
    target = Path(path)
    if target.suffix != ".npy":
        raise UsageError(f"{target}: features are written as .npy")
    if target.exists() and not overwrite:
        raise OutputExistsError(f"{target} exists; choose another name, or overwrite it on purpose")
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    rows, width = 0, 0
    try:
        with partial.open("wb") as file:
            _put_header(file, 0, 0)
            for part in feature_pieces(data, model, axes, pool):
                file.write(np.ascontiguousarray(part).tobytes())
                rows, width = rows + len(part), part.shape[1]
            file.seek(0)
            _put_header(file, rows, width)
        replace_durably(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    return rows, width


def _put_header(file: Any, rows: int, width: int) -> None:
    """A header of one length, whatever the numbers: numpy leaves room for the first to grow."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (rows, width)}
    text = repr(header).ljust(_HEADER - 11) + "\n"
    file.write(b"\x93NUMPY\x01\x00" + (_HEADER - 10).to_bytes(2, "little") + text.encode())


_HEADER = 192


def _check_samples(pieces: Pieces, model: Model) -> None:
    spec, tile = pieces.spec, model.manifest.tile
    if pieces.axis != 0:
        raise UsageError(f"an array with axes {spec.axes.letters!r} is one sample; use pool='tile', or name its first axis t")
    if tile[0] > 1 and spec.steps_per_sample > 1:
        raise UsageError(f"the model's tiles of {tile[0]} steps mix samples along z; use pool='tile'")
    grid = model.tiling(spec.canonical_shape).grid
    width = grid[1] * grid[2] * grid[3] * model.manifest.latents
    if width > _MOST:
        raise UsageError(f"a sample has {width} latents, more than {_MOST}; use pool='mean' or 'tile'")
