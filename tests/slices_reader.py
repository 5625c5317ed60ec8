"""A second reader of latents in slices, written from FORMAT.md alone (2.3, 3.8, 4.4): slow, graphs on onnx.reference."""

import itertools
import math
from types import SimpleNamespace

import numpy as np
from mode7_reader import Bytes, Walk, graph, groups, residual, stream, wrap


def first_slice(section, shape, layout, predictor, pending):
    """U of slice 0, (N, latents, a, b); its base grid is in `section`, the rest in `pending`."""
    n, latents, a, b = shape
    (head,) = section.take(1)
    assert head < 64
    lorenzo = head & 31
    walk = Walk(shape, 16, SimpleNamespace(layout=layout, graph=predictor), None)
    stride = 2 ** min(6, math.floor(math.log2(max(a, b))))
    grid = np.zeros((1, n, latents, a, b), object)[..., ::stride, ::stride]
    inner = section.section()
    grid = np.array(residual(inner, grid.size), object).reshape(grid.shape)
    inner.end()
    for axis in range(5):
        if lorenzo >> axis & 1:
            grid = grid.cumsum(axis=axis)
    for place in np.ndindex(*grid.shape[1:]):
        f, c, y, x = place
        walk.x[f, c, y * stride, x * stride] = wrap(wrap(grid[(0, *place)]) * 16)
    inner = section.section()
    pending += [iter(symbols) for symbols in groups(inner)]
    inner.end()
    walk.run(lambda where, index: next(pending[index]))
    return walk.x.astype(np.float32), head >> 5


def prediction(section, step, shape, manifest, parts, base):
    """p of modes 2 and 3, f64 of canonical `shape`; `base` is the sum of offset and reference."""
    prior, (t, c, y, x) = manifest["prior"], manifest["tile"]
    kind = np.array([sum(start <= step for start in prior["kinds"])])
    tiles = [-(-size // part) for size, part in zip(shape, manifest["tile"], strict=True)]
    series = shape[2] == shape[3] == 1
    space = (1, tiles[0]) if series else (tiles[2], tiles[3])
    n = 1 if series else tiles[0]
    ends = prior["ends"]
    pending = []
    known, complete = first_slice(section, (n, ends[0], *space), prior["layout"], graph(parts["prior-0"]), pending)
    section.end()
    for k, (start, end) in enumerate(itertools.pairwise(ends), 1):
        width = end - start
        (made,) = graph(parts[f"prior-{k}"]).run(None, {"known": known, "kind": kind})
        mean = np.clip(made[:, :width], -manifest["latent_limit"], manifest["latent_limit"]) if prior["means"][k - 1] else 0
        index = np.clip(made[:, -width:], complete, 45).astype(int)
        symbols = np.array([next(pending[i + 2]) if i else 0 for i in index.reshape(-1)], np.float32).reshape(index.shape)
        known = np.concatenate([known, mean + 16 * symbols], 1).astype(np.float32)
    assert all(next(symbols, None) is None for symbols in pending), "symbols left over"
    (out,) = graph(parts["decoder"]).run(None, {"known": known, "kind": kind})
    out = out.reshape(n, t, c, y, x, *space)

    found = np.zeros(shape)
    for s, ch, row, column in np.ndindex(*shape):
        tile = (0, 0, s // t) if series else (s // t, row // y, column // x)
        value = out[tile[0], s % t, ch, row % y, column % x, tile[1], tile[2]]
        factor = manifest["scale"][ch] * manifest["latent_unit"] * (step / 64)
        found[s, ch, row, column] = float(value) * factor + base[s, ch, row, column]
    return found


def decode(body, shape, dtype, manifest, parts):
    """The canonical array of a chunk body of mode 3 that has latents of slices; `shape` (steps, channels, rows, columns)."""
    source = Bytes(body)
    mode, flags = source.take(2)
    assert mode == 3
    step = source.varint()
    base = np.broadcast_to(np.array(manifest["offset"]).reshape(1, -1, 1, 1), shape)
    real = prediction(source.section(), step, shape, manifest, parts, base)
    if dtype.kind == "f":
        array = real.astype(dtype)
    else:
        info = np.iinfo(dtype)
        array = np.rint(real).clip(info.min, info.max).astype(dtype)
    if flags & 2:
        classes = np.array(stream(source.section(), math.prod(shape))).reshape(shape)
        for number, value in ((1, np.nan), (2, np.inf), (3, -np.inf)):
            array[classes == number] = value
    source.end()
    return array
