"""The demo's picture: original, reconstruction and error side by side, each with its range in words."""

from pathlib import Path

import numpy as np

from aecodec.errors import require_extra

_ZOOM = 8
_GAP = 12
_CAPTION = 18
# Anchors of perceptually even maps: viridis (van der Walt and Smith 2015), and blue-white-red for signed values.
_SEQUENTIAL = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)], float)
_DIVERGING = np.array([(33, 102, 172), (146, 197, 222), (247, 247, 247), (244, 165, 130), (178, 24, 43)], float)


def colours(values: np.ndarray, low: float, high: float, anchors: np.ndarray) -> np.ndarray:
    """(rows, columns) -> uint8 (rows, columns, 3), `low` and `high` at the ends of the map."""
    place = np.clip((values - low) / max(high - low, 1e-300), 0.0, 1.0) * (len(anchors) - 1)
    channels = [np.interp(place, np.arange(len(anchors)), anchors[:, i]) for i in range(3)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def draw(original: np.ndarray, restored: np.ndarray, bound: float, path: Path) -> None:
    """Write a PNG of three panels."""
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        raise require_extra("Pillow", "images", "drawing the demo's picture") from None
    low, high = float(original.min()), float(original.max())
    error = restored.astype(np.float64) - original
    panels = [
        (f"original: {low:.1f} to {high:.1f} K", colours(original, low, high, _SEQUENTIAL)),
        ("reconstruction, same colours", colours(restored, low, high, _SEQUENTIAL)),
        (f"error: -{bound:.2g} to {bound:.2g} K, worst {np.abs(error).max():.2g}", colours(error, -bound, bound, _DIVERGING)),
    ]
    height, width = (n * _ZOOM for n in original.shape)
    canvas = Image.new("RGB", (3 * width + 4 * _GAP, height + _CAPTION + 2 * _GAP), "white")
    pen = ImageDraw.Draw(canvas)
    for i, (caption, pixels) in enumerate(panels):
        left = _GAP + i * (width + _GAP)
        pen.text((left, _GAP // 2), caption, fill="black")
        enlarged = Image.fromarray(pixels[::-1]).resize((width, height), Image.Resampling.NEAREST)
        canvas.paste(enlarged, (left, _GAP + _CAPTION))
    canvas.save(path)
