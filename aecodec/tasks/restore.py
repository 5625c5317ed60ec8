"""Restoring an array: noise taken away, gaps filled, blur undone, resolution doubled, by a model that was trained to."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from aecodec.api.options import ModelLike
from aecodec.axes import guess_axes, parse_axes
from aecodec.canonical import ArraySpec, as_array
from aecodec.tasks.restoration import Restoration

__all__ = ["Restoration", "restore"]


def restore(
    array: Any,
    model: ModelLike = "restore",
    task: str = "denoise",
    *,
    axes: str | None = None,
    noise: float | None = None,
    mask: Any = None,
    blur: float | None = None,
    value_range: Sequence[float] | None = None,
    provider: str = "auto",
    threads: int | None = None,
) -> np.ndarray:
    """`array` restored, of the same shape and dtype; of twice the rows and columns, or steps of a series, if upscaled.

    Args:
        array: an image, stack of frames, field or series; as for `compress`.
        model: one with a restorer, such as the shipped "restore", which is for photographs, or a denoising autoencoder.
        task: "denoise", "inpaint", "deblur" or "upscale".
        axes: one letter per dimension; guessed where that leaves no doubt.
        noise: its standard deviation in the array's units; None: estimated to denoise, else taken to be 0.
        mask: to inpaint, true where values are missing: of the array's shape with or without channels, or (rows, columns) for all.
            NaN is missing anyway.
        blur: to deblur, the standard deviation in values of the Gaussian that blurred it.
        value_range: (low, high) that the model sees as its own range. None: the model's own, or, of a
            model of 8-bit images for other arrays, the array's.

    Raises:
        ModelError: the model has no restorer, was not trained for the task, or not for such arrays.
        UsageError: an unknown task, a mask that does not fit, strengths that cannot be.
    """
    found = as_array(array)
    letters = parse_axes(axes, found.ndim) if axes is not None else guess_axes(found.shape, found.dtype, False)
    spec = ArraySpec(found.dtype, letters, found.shape)
    restoration = Restoration(
        spec, model, task, noise=noise, blur=blur, value_range=value_range, provider=provider, threads=threads
    )
    out = np.empty(restoration.result.shape, found.dtype)
    stream, at = letters.stream, 0
    for slab in restoration.slabs(found, None if mask is None else as_array(mask)):
        place = (slice(None),) * (stream or 0) + (slice(at, at + slab.shape[stream]),) if stream is not None else ()
        out[place] = slab
        at += slab.shape[stream] if stream is not None else 1
    return out
