"""A convolutional autoencoder in closed form: features of images that a linear model of pixels has not, in seconds, no torch.

Filters are the principal axes of patches (PCANet, Chan et al. 2015), their responses rectified, normalised by their neighbours
(Heeger 1992) and pooled; principal components of these are the latents; the decoder is the ridge regression of pixels on them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from aecodec.axes import guess_axes, parse_axes
from aecodec.canonical import ArraySpec, as_array, fill_missing
from aecodec.codec.model import Model
from aecodec.errors import UsageError
from aecodec.models.bundle import Bundle
from aecodec.models.candidates import make_bands
from aecodec.models.convolutional_graphs import Filters, decoder_graph, encoder_graph, feature_graph
from aecodec.models.exact import prove_exact
from aecodec.models.manifest import Manifest
from aecodec.runtime import load_executor

_SIZE, _FILTERS = 5, 12
_CELLS = 7  # along each side that responses are pooled to
_FLOOR = 0.4  # of the patches' root mean square response
_LEAST_SIDE = 8
_PATCHES, _BATCH, _MOST = 1 << 16, 256, 1 << 15
_RIDGE = 1e-3  # of the latents' mean variance
_WEIGHT_BITS, _UNIT_BITS, _HEADROOM = 20, 10, 4.0


def fit_convolutional(samples: Any, axes: str | None = None, *, latents: int = 64, seed: int = 0, provider: str = "auto") -> Model:
    """A model of whole images of one size, whose `latents` are features of shapes rather than of pixels.

    Args:
        samples: images (t, y, x), (t, c, y, x) or the like; what is beyond 32,768 of them is thinned out.
        axes: one letter per dimension, as for `compress`.
        latents: of an image, at most as many as samples and features.
        seed: of the choice of patches.

    Decoding is exact; the encoder is not, and need not be. Raises UsageError for what are no images.
    """
    array = as_array(samples)
    found = parse_axes(axes, array.ndim) if axes is not None else guess_axes(array.shape, array.dtype, False)
    spec = ArraySpec(array.dtype, found, array.shape)
    count, channels, rows, columns = spec.canonical_shape
    if spec.stream_axis != 0 or min(rows, columns) < _LEAST_SIDE or count < 2:
        raise UsageError(
            f"axes {found.letters!r} of shape {array.shape} are {count} image(s) of {rows} x {columns}: a convolutional model "
            f"needs 2 images or more, of {_LEAST_SIDE} x {_LEAST_SIDE} or larger, along t; use aecodec.fit for others"
        )
    if not 1 <= latents < count:
        raise UsageError(f"latents={latents} must be 1 or more, and fewer than the {count} samples")
    x = fill_missing(spec.to_canonical(array))[:: -(-count // _MOST)]
    low, high = (each(x.reshape(*x.shape[:2], -1), axis=(0, 2)).astype(np.float64) for each in (np.min, np.max))
    scale = np.where(high > low, high - low, 1.0)

    def units(part: np.ndarray) -> np.ndarray:
        shape = (1, -1, 1, 1)
        return ((part - low.reshape(shape)) / scale.reshape(shape)).astype(np.float32)

    tile = (1, channels, rows, columns)
    filters = _filters(x, units, np.random.default_rng(seed))
    run = load_executor(feature_graph(tile, filters), provider).run
    seen = np.concatenate([run(units(x[i : i + _BATCH])[:, None]) for i in range(0, len(x), _BATCH)])
    if latents > seen.shape[1]:
        raise UsageError(
            f"latents={latents}: images of {rows} x {columns} give {seen.shape[1]} features, of which there are no more"
        )
    mean = seen.mean(axis=0, dtype=np.float64)
    seen -= mean.astype(np.float32)
    _, vectors = np.linalg.eigh((seen.T @ seen).astype(np.float64) / len(seen))
    projection = vectors[:, ::-1][:, :latents]
    return Model(
        _bundle(
            tile,
            filters,
            (mean, projection),
            (seen @ projection.astype(np.float32)).astype(np.float64),
            units(x),
            (low, scale),
            found.letters,
        ),
        provider,
    )


def _filters(x: np.ndarray, units: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator) -> Filters:
    """Principal axes of patches without their means, each divided by the root of its spread, so that fine ones count, too."""
    _, channels, rows, columns = x.shape
    per = max(1, _PATCHES // min(len(x), 2048))
    chosen = np.sort(rng.choice(len(x), min(len(x), 2048), replace=False))
    parts = []
    for image in units(x[chosen]):
        places = zip(rng.integers(rows - _SIZE + 1, size=per), rng.integers(columns - _SIZE + 1, size=per), strict=True)
        parts += [image[:, r : r + _SIZE, c : c + _SIZE].reshape(-1) for r, c in places]
    patches = np.stack(parts).astype(np.float64)
    patches -= patches.reshape(len(patches), channels, -1).mean(axis=2).repeat(_SIZE**2, axis=1)
    patches = patches[np.abs(patches).max(axis=1) > 1e-3]
    if len(patches) < 2:
        raise UsageError("the images are flat: there are no shapes in them to find filters for")
    values, vectors = np.linalg.eigh(patches.T @ patches / len(patches))
    count = min(_FILTERS * channels, int((values > 1e-9 * values[-1]).sum()))
    values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
    weight = (vectors / values**0.25).T
    responses = np.maximum(np.concatenate([patches @ weight.T, -patches @ weight.T], axis=1), 0.0)
    floor = _FLOOR * float(np.sqrt(np.square(responses).mean()))
    cell = (-(-rows // _CELLS), -(-columns // _CELLS))
    return Filters(weight.reshape(count, channels, _SIZE, _SIZE).astype(np.float32), floor, cell)


def _bundle(
    tile: tuple[int, int, int, int],
    filters: Filters,
    linear: tuple[np.ndarray, np.ndarray],
    y: np.ndarray,
    x: np.ndarray,
    units: tuple[np.ndarray, np.ndarray],
    axes: str,
) -> Bundle:
    """Decoder by ridge regression, whole weights, proof, manifest."""
    target = x.reshape(len(x), -1)
    middle = target.mean(axis=0, dtype=np.float64)
    gram = y.T @ y
    ridge = _RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    weight = np.linalg.solve(gram + ridge, y.T @ (target - middle))
    unit = 2.0 ** (np.floor(np.log2(max(float(y.std(axis=0).min()), 1e-12))) - _UNIT_BITS)
    limit = int(_HEADROOM * float(np.abs(y).max()) / unit) + 1
    whole, bias = np.rint(weight * 2.0**_WEIGHT_BITS), np.rint(middle / unit * 2.0**_WEIGHT_BITS)
    decoder = decoder_graph(tile, whole, bias, _WEIGHT_BITS)
    prove_exact(decoder, limit)
    manifest = Manifest(
        family="convolutional",
        axes=axes,
        tile=tile,
        offset=tuple(units[0].tolist()),
        scale=tuple(units[1].tolist()),
        bands=make_bands(np.abs(y).mean(axis=0)),
        latent_unit=unit,
        latent_limit=limit,
        exact=True,
        provenance={"fitted_steps": len(x), "method": "closed-form convolutional features, PCA, ridge regression"},
    )
    return Bundle(manifest, decoder, encoder_graph(tile, filters, *linear)).sealed()
