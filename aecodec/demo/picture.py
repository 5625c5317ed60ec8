"""The demo's picture: original, reconstruction and error side by side, each with its range in words."""

from pathlib import Path

import numpy as np

from aecodec.errors import require_extra
from aecodec.evaluation.colours import DIVERGING, SEQUENTIAL, colours

_ZOOM = 8
_GAP = 12
_CAPTION = 18


def draw(original: np.ndarray, restored: np.ndarray, bound: float, path: Path) -> None:
    """Write a PNG of three panels."""
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        raise require_extra("Pillow", "images", "drawing the demo's picture") from None
    low, high = float(original.min()), float(original.max())
    error = restored.astype(np.float64) - original
    panels = [
        (f"original: {low:.1f} to {high:.1f} K", colours(original, low, high, SEQUENTIAL)),
        ("reconstruction, same colours", colours(restored, low, high, SEQUENTIAL)),
        (f"error: -{bound:.2g} to {bound:.2g} K, worst {np.abs(error).max():.2g}", colours(error, -bound, bound, DIVERGING)),
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
