"""numpy's indexing, taken apart so that only what the stream axis needs is decoded."""

from typing import Any

import numpy as np


def expanded(index: Any, shape: tuple[int, ...]) -> list[Any]:
    """Index items with the ellipsis written out, and boolean arrays as the index arrays that they stand for."""
    items = list(index) if isinstance(index, tuple) else [index]
    widths = [_width(item) for item in items]
    missing = len(shape) - sum(widths)
    if missing < 0:
        raise IndexError(f"too many indices: the array has {len(shape)} dimensions, {sum(widths)} were indexed")
    if sum(item is Ellipsis for item in items) > 1:
        raise IndexError("an index can have only one ellipsis")
    expanded: list[Any] = []
    at = 0
    seen_ellipsis = False
    for item, width in zip(items, widths, strict=True):
        if item is Ellipsis:
            seen_ellipsis = True
            # One that stands for nothing still separates index arrays, as numpy sees it.
            expanded += [slice(None)] * missing if missing else [Ellipsis]
            at += missing
            continue
        mask = _as_mask(item)
        if mask is not None:
            if mask.shape != shape[at : at + width]:
                raise IndexError(f"boolean index of shape {mask.shape} does not match {shape[at : at + width]} of the array")
            expanded += list(mask.nonzero())
        else:
            expanded.append(item)
        at += width
    return expanded if seen_ellipsis else expanded + [slice(None)] * missing


def _width(item: Any) -> int:
    """Dimensions that an index item takes."""
    mask = _as_mask(item)
    return mask.ndim if mask is not None else 0 if item is None or item is Ellipsis else 1


def _as_mask(item: Any) -> np.ndarray | None:
    mask = np.asarray(item) if isinstance(item, (np.ndarray, list)) else None
    return mask if mask is not None and mask.dtype == bool and mask.ndim > 0 else None


def position(items: list[Any], dimension: int) -> int:
    """Which item indexes `dimension` of the array."""
    return [i for i, item in enumerate(items) if item is not None and item is not Ellipsis][dimension]


def needed(item: Any, size: int) -> tuple[np.ndarray, Any]:
    """Positions of the stream axis that `item` touches, rising, and the item that selects the same among them."""
    if isinstance(item, slice):
        chosen = np.arange(*item.indices(size))
        wanted = np.sort(chosen)
        return wanted, slice(None, None, -1) if chosen.size > 1 and chosen[0] > chosen[-1] else slice(None)
    numbers = np.asarray(item)
    if numbers.dtype.kind not in "iu" and numbers.size:
        raise IndexError(f"index {str(item)[:40]!r} is not an integer, slice or array of them")
    numbers = numbers.astype(np.int64)
    if numbers.size and (int(numbers.max()) >= size or int(numbers.min()) < -size):
        raise IndexError(f"index {str(item)[:40]} is out of bounds for the stream axis of size {size}")
    wanted, inverse = np.unique(np.where(numbers < 0, numbers + size, numbers), return_inverse=True)
    place = inverse.reshape(numbers.shape)
    return wanted, int(place) if numbers.ndim == 0 else place
