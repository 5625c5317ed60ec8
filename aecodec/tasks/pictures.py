"""Tiles as one picture: a grid of images, or of curves where they are series."""

import numpy as np

from aecodec.codec.model import Model
from aecodec.errors import UsageError

_CURVE = 48  # rows of a curve's picture
_GAP = 2


def grid(tiles: np.ndarray, model: Model, columns: int = 0) -> np.ndarray:
    """Tiles (n, steps, channels, rows, columns) as a uint8 picture, (rows, columns) or with 3 channels at the end.

    Of several steps the first is shown. Values of a model of 8-bit images are shown as they are, others stretched to their range.
    """
    if not len(tiles):
        raise UsageError("there are no tiles to draw")
    images = _curves(tiles) if tiles.shape[3] * tiles.shape[4] == 1 else _images(tiles[:, 0], model)
    n, height, width = images.shape[:3]
    across = columns or int(np.ceil(np.sqrt(n)))
    down = -(-n // across)
    canvas = np.full((down * (height + _GAP) - _GAP, across * (width + _GAP) - _GAP, images.shape[3]), 255, np.uint8)
    for at, image in enumerate(images):
        row, column = (at // across) * (height + _GAP), (at % across) * (width + _GAP)
        canvas[row : row + height, column : column + width] = image
    return canvas[..., 0] if canvas.shape[2] == 1 else canvas


def _images(frames: np.ndarray, model: Model) -> np.ndarray:
    """(n, channels, rows, columns) -> uint8 (n, rows, columns, 1 or 3): three channels as red, green, blue, else the first."""
    shown = frames if frames.shape[1] == 3 else frames[:, :1]
    manifest = model.manifest
    if set(manifest.offset) != {128.0} or set(manifest.scale) != {1.0}:  # what trained models of 8-bit images have
        low, high = float(shown.min()), float(shown.max())
        shown = (shown - low) * (255.0 / max(high - low, 1e-30))
    return np.asarray(np.clip(np.rint(shown), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1))


def _curves(tiles: np.ndarray) -> np.ndarray:
    """(n, steps, channels, 1, 1) -> uint8 (n, _CURVE, steps, 1): a dark dot for each step of each channel."""
    n, steps, channels = tiles.shape[:3]
    values = tiles.reshape(n, steps, channels)
    low, high = values.min((0, 1)), values.max((0, 1))
    rows = np.rint((_CURVE - 1) * (1.0 - (values - low) / np.maximum(high - low, 1e-30))).astype(int)
    images = np.full((n, _CURVE, steps, 1), 240, np.uint8)
    for channel in range(channels):
        images[np.arange(n)[:, None], rows[:, :, channel], np.arange(steps)] = 60 + 120 * channel // channels
    return images
