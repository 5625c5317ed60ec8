"""Parts of a chunk that are looked at instead of all of it, where its coding is chosen."""

import numpy as np


def sample_window(shape: tuple[int, ...], tile: tuple[int, int, int, int], budget: int) -> tuple[slice, slice, slice, slice]:
    """Slices of a block of whole tiles from the middle, of about `budget` values; all channels."""
    sizes = list(shape)
    for axis in (0, 2, 3):
        rest = int(np.prod(sizes)) // max(1, sizes[axis])
        fitting = max(1, budget // max(1, rest) // tile[axis]) * tile[axis]
        sizes[axis] = min(sizes[axis], fitting)
        if int(np.prod(sizes)) <= budget:
            break
    slices = []
    for size, kept, t in zip(shape, sizes, tile, strict=True):
        start = (size - kept) // 2 // t * t
        slices.append(slice(start, start + kept))
    return slices[0], slices[1], slices[2], slices[3]


def middle(shape: tuple[int, ...], budget: int) -> tuple[slice, slice, slice, slice]:
    """A block of about `budget` values from the middle, of two of each axis at least; steps are given up before rows."""
    kept = list(shape)
    for axis in (0, 2, 3):
        rest = int(np.prod(kept)) // kept[axis]
        kept[axis] = min(kept[axis], max(2, budget // rest))
    a, b, c, d = (slice((size - k) // 2, (size - k) // 2 + k) for size, k in zip(shape, kept, strict=True))
    return a, b, c, d
