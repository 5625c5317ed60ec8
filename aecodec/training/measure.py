"""One pass over all values to train on: their mean, spread and range, and whether they are finite."""

import numpy as np

from aecodec.errors import UsageError
from aecodec.training.sources import Piece

_SCAN_VALUES = 1 << 22


def measure(pieces: list[Piece], fill: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean, standard deviation, lowest and highest finite value of each channel; UsageError if some are not finite."""
    channels = pieces[0].values.shape[1]
    count, total, squares = (np.zeros(channels) for _ in range(3))
    low, high = np.full(channels, np.inf), np.full(channels, -np.inf)
    bad, place, shift = 0, "", None
    for piece in pieces:
        length = max(1, _SCAN_VALUES * len(piece.values) // piece.values.size)
        for start in range(0, len(piece.values), length):
            part = np.asarray(piece.values[start : start + length], dtype=np.float64)
            finite = np.isfinite(part)
            if not finite.all():
                place = place or _place(piece, start, finite)
                bad += int(part.size - finite.sum())
            shift = np.where(finite, part, 0.0).mean(axis=(0, 2, 3)) if shift is None else shift
            centred = np.where(finite, part - shift[:, None, None], 0.0)
            count += finite.sum(axis=(0, 2, 3))
            total += centred.sum(axis=(0, 2, 3))
            squares += np.square(centred).sum(axis=(0, 2, 3))
            low = np.minimum(low, np.where(finite, part, np.inf).min(axis=(0, 2, 3)))
            high = np.maximum(high, np.where(finite, part, -np.inf).max(axis=(0, 2, 3)))
    if bad and not fill:
        raise UsageError(
            f"{bad} value(s) to train on are not finite, the first at {place}; fill them in, leave those samples out, "
            'or pass missing="fill"'
        )
    if not count.all() or shift is None:
        raise UsageError(f"channel {int(np.argmin(count))} has no finite value at all; leave it out")
    mean = total / count
    return shift + mean, np.sqrt(np.maximum(squares / count - mean**2, 0.0)), low, high


def _place(piece: Piece, start: int, finite: np.ndarray) -> str:
    step, channel, row, column = np.argwhere(~finite)[0].tolist()
    return f"step {piece.start + start + step}, channel {channel}, row {row}, column {column} of {piece.name}"
