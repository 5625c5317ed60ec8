"""Original, reconstruction and error as pictures in the text of a page: PNG by zlib alone, coloured by the maps of colours.py."""

import base64
import struct
import zlib
from dataclasses import dataclass

import numpy as np

from aecodec.evaluation.charts import COLOURS, Line, line_chart
from aecodec.evaluation.colours import DIVERGING, SEQUENTIAL, colours

_LARGEST = 480  # rows or columns shown; of more, the middle at full resolution
_MOST_STEPS, _MOST_CHANNELS = 4, 4
_SERIES = 400  # samples of a curve


@dataclass(frozen=True)
class Panel:
    """One place in the array: pictures as data URIs (or, of series, one chart as SVG), and words on their scales."""

    title: str
    original: str
    restored: str
    error: str
    scale: str
    error_scale: str
    low: str = ""
    high: str = ""
    reach: str = ""
    chart: str = ""


def panels(x: np.ndarray, x_hat: np.ndarray, bounds: list[float] | None) -> list[Panel]:
    """Of a few steps, evenly spaced, and the first channels of canonical (steps, channels, rows, columns)."""
    if min(x.shape[2:]) < 4:
        return _series(x, x_hat)
    steps = np.unique(np.linspace(0, len(x) - 1, _MOST_STEPS).astype(int)).tolist()
    if x.dtype == np.uint8 and x.shape[1] == 3:
        return [_colour(x[n], x_hat[n], n, bounds) for n in steps]
    return [_plane(x, x_hat, n, c, bounds) for c in range(min(x.shape[1], _MOST_CHANNELS)) for n in steps]


def _middle(plane: np.ndarray) -> tuple[np.ndarray, str]:
    """The last two axes cut to what is shown, and words on it."""
    rows, columns = plane.shape[-2:]
    top, left = max(0, rows - _LARGEST) // 2, max(0, columns - _LARGEST) // 2
    cut = plane[..., top : top + _LARGEST, left : left + _LARGEST]
    whole = cut.shape == plane.shape
    return cut, "" if whole else f", rows {top} to {top + cut.shape[-2] - 1}, columns {left} to {left + cut.shape[-1] - 1}"


def _plane(x: np.ndarray, x_hat: np.ndarray, step: int, channel: int, bounds: list[float] | None) -> Panel:
    (a, where), (b, _) = _middle(x[step, channel]), _middle(x_hat[step, channel])
    usable = a[np.isfinite(a)] if a.dtype.kind == "f" else a
    low, high = (float(usable.min()), float(usable.max())) if usable.size else (0.0, 1.0)
    error, reach = _error(a, b, bounds[channel] if bounds is not None else 0.0)
    title = f"step {step}, channel {channel}{where}" if x.shape[1] > 1 else f"step {step}{where}"
    pictures = [_picture(plane, low, high, SEQUENTIAL) for plane in (a, b)]
    worst = float(np.abs(error).max(initial=0.0))
    return Panel(
        title,
        pictures[0],
        pictures[1],
        _picture(np.where(np.isfinite(a.astype(np.float64)), error, np.nan), -reach, reach, DIVERGING),
        "values",
        f"error, largest {worst:.3g}" + (f" of {bounds[channel]:.3g} allowed" if bounds is not None else ""),
        f"{low:.4g}",
        f"{high:.4g}",
        f"{reach:.3g}",
    )


def _colour(x: np.ndarray, x_hat: np.ndarray, step: int, bounds: list[float] | None) -> Panel:
    """A photograph; the error of the channel where it is largest."""
    (a, where), (b, _) = _middle(x), _middle(x_hat)
    errors = b.astype(np.float64) - a
    largest = np.take_along_axis(errors, np.abs(errors).argmax(axis=0)[None], axis=0)[0]
    reach = max(bounds) if bounds is not None and max(bounds) > 0 else float(np.abs(largest).max()) or 1.0
    pictures = [png(np.ascontiguousarray(part.transpose(1, 2, 0))) for part in (a, b)]
    text = f"error of the worst channel, largest {np.abs(largest).max():.3g}"
    error = _picture(largest, -reach, reach, DIVERGING)
    return Panel(f"picture {step}{where}", pictures[0], pictures[1], error, "", text, reach=f"{reach:.3g}")


def _error(a: np.ndarray, b: np.ndarray, bound: float) -> tuple[np.ndarray, float]:
    """What is missing to the original, and the end of its scale: the bound or, without one, the largest."""
    with np.errstate(invalid="ignore"):
        error = b.astype(np.float64) - a
    error = np.where(np.isfinite(error), error, 0.0)
    return error, bound if bound > 0 else float(np.abs(error).max(initial=0.0)) or 1.0


def _picture(values: np.ndarray, low: float, high: float, anchors: np.ndarray) -> str:
    finite = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
    pixels = colours(np.where(finite, values, low).astype(np.float64), low, high, anchors)
    pixels[~finite] = 200
    return png(pixels)


def png(pixels: np.ndarray) -> str:
    """uint8 (rows, columns, 3) as a data URI of a PNG, small images enlarged by whole numbers (PNG, second edition, 2003)."""
    zoom = max(1, 160 // max(pixels.shape[:2]))
    pixels = pixels.repeat(zoom, axis=0).repeat(zoom, axis=1)
    rows, columns = pixels.shape[:2]
    lines = np.zeros((rows, 1 + 3 * columns), np.uint8)  # each line begins with its filter: none
    lines[:, 1:] = pixels.reshape(rows, -1)
    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        data += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return "data:image/png;base64," + base64.b64encode(data).decode()


def _series(x: np.ndarray, x_hat: np.ndarray) -> list[Panel]:
    """Arrays without planes as curves: along the longest axis, a piece from the middle."""
    found = []
    for channel in range(min(x.shape[1], 2 * _MOST_CHANNELS)):
        parts = [part[:, channel].reshape(len(part), -1) for part in (x, x_hat)]
        if parts[0].shape[1] > parts[0].shape[0]:
            parts = [part.T for part in parts]
        start = max(0, len(parts[0]) - _SERIES) // 2
        a, b = (part[start : start + _SERIES, 0].astype(np.float64) for part in parts)
        places = list(range(start, start + len(a)))
        lines = [
            Line("original", places, a.tolist(), COLOURS[0], bold=True),
            Line("reconstruction", places, b.tolist(), COLOURS[1]),
        ]
        chart = line_chart(lines, "sample", "value", f"channel {channel}")
        chart += line_chart([Line("error", places, (b - a).tolist(), COLOURS[2])], "sample", "error", f"error of channel {channel}")
        found.append(Panel(f"channel {channel}", "", "", "", "", "", chart=chart))
    return found
