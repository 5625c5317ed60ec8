"""A second reader of chunk mode 7, written from FORMAT.md alone (3.1 to 3.4, 4.6, 4.7, 4.10): slow, one value at a time.

It shares nothing with the library: numbers are Python's, wrapped to int32 by hand, and graphs run on onnx.reference.
"""

import hashlib
import itertools
import math
import struct

import numpy as np
import onnx
import zstandard
from onnx.reference import ReferenceEvaluator

JOINT = [(2, 8), (3, 5), (3, 4), (4, 4), (4, 3), (5, 3), (6, 3), (8, 2), (12, 2), (16, 2), (24, 1), (48, 1), (96, 1)]
TIME, PYRAMID = ("before", "after"), ("below", "above")
CLASSES, EXCEPTIONS, PER_CHANNEL, CONSTANT = 2, 4, 16, 32


def scale_index(s):
    mantissa, exponent = math.frexp(s)
    return min(max(2 * exponent + (mantissa >= 0.7071067811865476) + 14, 0), 47)


def wrap(value):
    """A whole number as int32 holds it."""
    return (value + 2**31) % 2**32 - 2**31


class Bytes:
    def __init__(self, data):
        self.data, self.at = bytes(data), 0

    def take(self, count):
        assert self.at + count <= len(self.data)
        self.at += count
        return self.data[self.at - count : self.at]

    def varint(self):
        value, shift = 0, 0
        while True:
            (byte,) = self.take(1)
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def f64(self, count):
        return list(struct.unpack(f"<{count}d", self.take(8 * count)))

    def section(self):
        return Bytes(self.take(self.varint()))

    def end(self):
        assert self.at == len(self.data), "bytes left over"


# --- 3.1 to 3.4: streams of integers


def leaf(source, count):
    size = source.varint()
    if not size:
        return source.take(count)
    frame = source.take(size)
    unpacker = zstandard.ZstdDecompressor(format=zstandard.FORMAT_ZSTD1_MAGICLESS)
    data = unpacker.decompress(frame, max_output_size=max(1, count))
    assert len(data) == count
    return data


def planar(data, base, each, count):
    m = -(-count // each)
    return [data[i % m] // base ** (i // m) % base for i in range(count)]


def stream(source, n):
    (op,) = source.take(1)
    if op == 0:
        return [0] * n
    if op == 1:
        return list(leaf(source, n))
    if op == 2:
        k = source.varint()
        gaps, values = stream(source, k), stream(source, k)
        found, at = [0] * n, -1
        for gap, value in zip(gaps, values, strict=True):
            at += gap + 1
            found[at] = value + 1
        return found
    if 4 <= op <= 7:
        r = 1 << (op - 4)
        low = planar(source.take(-(-n * r // 8)), 2**r, 8 // r, n)
        return [(high << r) + digit for high, digit in zip(stream(source, n), low, strict=True)]
    base, each = JOINT[op - 8]
    digits = planar(leaf(source, -(-n // each)), base, each, n)
    large = [i for i, digit in enumerate(digits) if digit == base - 1]
    if large:
        for i, value in zip(large, stream(source, len(large)), strict=True):
            digits[i] += value
    return digits


def signed(values):
    return [v >> 1 if v % 2 == 0 else -(v >> 1) - 1 for v in values]


def groups(source):
    """The symbols of each of 48 scale indices."""
    shape = [(source.varint(), source.varint()) for _ in range(source.varint())]
    found = []
    for width, count in shape:
        symbols = signed(stream(source, count))
        sizes = [source.varint() for _ in range(width - 1)]
        ends = list(itertools.accumulate([*sizes, count - sum(sizes)], initial=0))
        found += [symbols[first:last] for first, last in itertools.pairwise(ends)]
    assert len(found) == 48
    return found


def residual(source, n):
    c = source.varint()
    if c == 0:
        return signed(stream(source, n))
    size = {1: 16, 2: 64, 3: 256}[c]
    cells = list(itertools.accumulate(signed(stream(source, -(-n // size)))))
    pending = [iter(symbols) for symbols in groups(source)]
    values = [next(pending[index]) for index in cells for _ in range(size)]
    assert not any(values[n:])
    return values[:n]


# --- models


def graph(data):
    return ReferenceEvaluator(onnx.load_model_from_string(data))


class Parts:
    """What chunks need of a model besides its decoder: manifest and parts as they are in the file, checked by hash."""

    def __init__(self, manifest, parts):
        for name, data in parts.items():
            assert hashlib.sha256(data).hexdigest() == manifest["parts"][name]
        self.offset, self.layout = manifest["offset"], manifest.get("predictor")
        self.any_channels = manifest.get("any_channels", False)
        self.graph = graph(parts["predictor"]) if self.layout else None
        self.reference = self.sites = None
        if manifest["reference"]:
            shape = tuple(manifest["reference"])
            source = Bytes(parts["reference"])
            steps = source.f64(shape[0])
            index = np.array(residual(source, math.prod(shape)), np.int64).reshape(shape)
            source.end()
            index = index.cumsum(axis=1).cumsum(axis=2)
            self.reference = np.zeros(shape)
            for place in np.ndindex(*shape):
                self.reference[place] = float(wrap(int(index[place]))) * steps[place[0]]
            if "constant" in parts:
                bits = [byte >> (7 - i) & 1 for byte in parts["constant"] for i in range(8)]
                self.sites = np.array(bits[: math.prod(shape)], bool).reshape(shape)

    def base(self, shape, origin):
        found = np.zeros(shape)
        for n, c, y, x in np.ndindex(*shape):
            found[n, c, y, x] = self.offset[0 if self.any_channels else c]
            if self.reference is not None:
                found[n, c, y, x] += self.reference[c, y + origin[0], x + origin[1]]
        return found

    def constant(self, shape, origin):
        part = self.sites[:, origin[0] : origin[0] + shape[2], origin[1] : origin[1] + shape[3]]
        return np.broadcast_to(part, shape)


# --- 4.10


def depths(reach, size):
    """(distance to the known neighbours, indices) of each depth of a pyramid."""
    yield 0, range(0, size, reach)
    for k in range(1, reach.bit_length()):
        yield reach >> k, range(reach >> k, size, reach >> (k - 1))


class Walk:
    """X and the magnitudes min(|r * D|, 2**20) of a chunk seen as (frames, channels, rows, columns)."""

    def __init__(self, shape, spacing, parts, zero):
        self.shape, self.spacing, self.parts, self.zero = shape, spacing, parts, zero
        self.least = 0
        if "spacing" in parts.layout:
            self.least = math.floor((math.floor(math.log2(2 * spacing**2)) - 2 * math.log2(parts.layout["spacing"])) / 2)
        self.x = np.zeros(shape, object)
        self.sizes = np.zeros(shape, object)

    def phases(self):
        """(frames, their distance, channels, their distance or None, kind without the phase of the plane)"""
        layout, (n_frames, n_channels, _, _) = self.parts.layout, self.shape
        if layout["channel_reach"]:
            chosen = [(k, d, list(c)) for k, (d, c) in enumerate(depths(layout["channel_reach"], n_channels))]
            kinds = layout["channel_reach"].bit_length()
        else:
            chosen = [(min(c, layout["classes"] - 1), None, [c]) for c in range(n_channels)]
            kinds = layout["classes"]
        for depth, (distance, frames) in enumerate(depths(layout["reach"], n_frames)):
            for part, apart, channels in chosen:
                if len(frames) and channels:
                    yield list(frames), distance, channels, apart, (depth * kinds + part) * 12

    def place(self, frame, channel, distance, apart, name):
        """Frame and channel of a source, or None if there is no such source."""
        if name == "zero":
            return 0, channel
        if name in TIME and distance:
            there = frame + (distance if name == "after" else -distance)
            return (there if there < self.shape[0] else frame - distance), channel
        if name in PYRAMID and apart:
            there = channel + (apart if name == "above" else -apart)
            return frame, (there if there < self.shape[1] else channel - apart)
        if name not in (*TIME, *PYRAMID) and apart is None and channel >= int(name[-1]):
            return frame, channel - int(name[-1])
        return None

    def run(self, take, tell=None):
        """`take`: the residual of a place with a scale index; `tell`: whether the value of a place with an index of odds is 0."""
        _, _, rows, columns = self.shape
        levels = min(6, math.floor(math.log2(max(rows, columns))))
        for frames, distance, channels, apart, first in self.phases():
            for level in range(levels - 1, -1, -1):
                s = 1 << level
                if rows > s:
                    lines = [[(y, x) for y in range(0, rows, s)] for x in range(0, columns, 2 * s)]
                    self.phase(frames, distance, channels, apart, lines, first + 2 * level, take, tell)
                if columns > s:
                    lines = [[(y, x) for x in range(0, columns, s)] for y in range(0, rows, s)]
                    self.phase(frames, distance, channels, apart, lines, first + 2 * level + 1, take, tell)

    def phase(self, frames, distance, channels, apart, lines, kind, take, tell):
        names = self.parts.layout["sources"]
        wide = range(len(lines[0]) // 2)
        made = []
        for f, c in itertools.product(frames, channels):
            sources = [self.place(f, c, distance, apart, name) for name in names]

            def even(array, where, line, j):
                return array[(*where, *lines[line][2 * j])]

            def odd(array, where, line, j):
                return array[(*where, *lines[line][2 * j + 1])]

            def after(where, line, j):
                return j + 1 if 2 * j + 2 < len(lines[line]) else j

            def mid(array, where, line, j, even=even, after=after):
                return wrap(even(array, where, line, j) + even(array, where, line, after(where, line, j))) >> 1

            each = 2 if self.parts.layout["offsets"] else 1
            planes = np.zeros((3 + each * len(names), len(lines), len(wide)), object)
            middle = np.zeros((len(lines), len(wide)), object)
            for line, j in itertools.product(range(len(lines)), wide):
                here = (f, c)
                middle[line, j] = m = mid(self.x, here, line, j)
                planes[0, line, j] = wrap(even(self.x, here, line, j) - even(self.x, here, line, after(here, line, j)))
                if line + 1 < len(lines):
                    planes[1, line, j] = wrap(m - mid(self.x, here, line + 1, j))
                planes[-1, line, j] = mid(self.sizes, here, line, j)
                for i, there in enumerate(sources):
                    if there is not None:
                        array = self.zero if names[i] == "zero" else self.x
                        theirs = mid(array, there, line, j)
                        planes[2 + each * i, line, j] = wrap(odd(array, there, line, j) - theirs)
                        if each == 2:
                            planes[3 + each * i, line, j] = wrap(m - theirs)
            scaling = np.ones(len(planes) - 1, bool)
            if "zero" in names:
                first = 2 + each * names.index("zero")
                scaling[first : first + each] = False
            seen = planes[:-1][scaling][:, ::4, ::4]
            mean = max(int(abs(plane).sum()) * 16 // plane.size for plane in seen)
            made.append((f, c, middle, max(self.least, mean.bit_length() - 12), planes))

        def limited(values, shift):
            moved = [int(v) >> shift if shift >= 0 else int(v) << -shift for v in values.reshape(-1)]
            return np.array([min(max(v, -4095), 4095) for v in moved], np.float32).reshape(values.shape)

        fed = {
            "planes": np.stack([limited(planes, shift) for *_, shift, planes in made]),
            "kind": np.array([kind], np.int64),
        }
        (output,) = self.parts.graph.run(None, fed)
        told = np.zeros((len(made), len(lines), len(wide)), bool)
        if self.parts.layout.get("zeros"):
            for n, line, j in np.ndindex(*told.shape):
                told[n, line, j] = tell((*made[n][:2], *lines[line][2 * j + 1]), min(max(int(output[n, 2, line, j]), 0), 31))
        for (f, c, middle, shift, _), (means, expected, *_), zeros in zip(made, output, told, strict=True):
            for line, j in itertools.product(range(len(lines)), wide):
                where = (f, c, *lines[line][2 * j + 1])
                said = int(means[line, j])
                moved = said << shift if shift >= 0 else (said + (1 << (-shift - 1))) >> -shift
                mean = wrap(wrap(moved) + middle[line, j])
                index = scale_index(max(min(int(expected[line, j]), 16383), 0.5) / 64)
                if zeros[line, j]:
                    step = wrap(self.zero[(0, *where[1:])] - mean)
                else:
                    step = wrap(take(where, min(index + 2 * (shift - self.least), 47)) * self.spacing)
                self.x[where] = wrap(mean + step)
                self.sizes[where] = min(abs(step), 2**20)


def decode(body, shape, dtype, manifest, parts, origin=(0, 0)):
    """The canonical array of a chunk body that begins with mode 7; `shape` (steps, channels, rows, columns)."""
    parts = Parts(manifest, parts)
    source = Bytes(body)
    mode, flags = source.take(2)
    assert mode == 7
    steps = source.f64(shape[1] if flags & PER_CHANNEL else 1)
    steps = steps * (shape[1] if len(steps) == 1 else 1)
    spacing = 16 if dtype.kind == "f" else int(steps[0])
    (lorenzo,) = source.take(1)

    series = shape[2] == shape[3] == 1
    seen = (1, shape[1], 1, shape[0]) if series else shape
    walk = Walk(seen, spacing, parts, zero_of(parts.base(shape, origin), steps, dtype, series))
    stride = 2 ** min(6, math.floor(math.log2(max(seen[2:]))))
    grid = np.zeros((1, *seen), object)[:, :, :, ::stride, ::stride]
    section = source.section()
    grid = np.array(residual(section, grid.size), object).reshape(grid.shape)
    section.end()
    for axis in range(5):
        if lorenzo >> axis & 1:
            grid = grid.cumsum(axis=axis)
    for place in np.ndindex(*grid.shape[1:]):
        f, c, y, x = place
        walk.x[f, c, y * stride, x * stride] = wrap(wrap(grid[(0, *place)]) * spacing)

    section = source.section()
    pending = [iter(symbols) for symbols in groups(section)]
    section.end()
    odds = None
    if parts.layout.get("zeros"):
        section = source.section()
        odds = [iter(symbols) for symbols in groups(section)]
        section.end()
    classes = np.zeros(shape, int)
    if flags & CLASSES:
        section = source.section()
        classes = np.array(stream(section, math.prod(shape))).reshape(shape)
        section.end()
    sites = parts.constant(shape, origin) if flags & CONSTANT else np.zeros(shape, bool)
    skipped = (classes != 0) | sites

    def outer(where):
        return (where[3], where[1], 0, 0) if series else where

    zeros = np.zeros(shape, bool)

    def tell(where, index):
        if not skipped[outer(where)]:
            symbol = next(odds[index])
            assert symbol in (0, -1)
            zeros[outer(where)] = (index >= 16) != (symbol == -1)
        return zeros[outer(where)]

    walk.run(lambda where, index: 0 if skipped[outer(where)] else next(pending[index]), tell)
    assert all(next(symbols, None) is None for symbols in [*pending, *(odds or [])]), "symbols left over"

    base = parts.base(shape, origin)
    array = np.zeros(shape, dtype)
    for where in np.ndindex(*seen):
        place = outer(where)
        array[place] = final(walk.x[where], steps[place[1]], base[place], dtype, bool(sites[place]))
        if zeros[place]:
            array[place] = 0
        if classes[place]:
            array[place] = {1: np.nan, 2: np.inf, 3: -np.inf}[int(classes[place])]
    if flags & EXCEPTIONS:
        section = source.section()
        count = section.varint()
        at = -1
        gaps = stream(section, count)
        for gap in gaps:
            at += gap + 1
            array.reshape(-1)[at] = np.frombuffer(section.take(dtype.itemsize), dtype.newbyteorder("<"))[0]
        section.end()
    source.end()
    return array


def zero_of(base, steps, dtype, series):
    """X of the value 0, seen as the walk's array; it is the same in all frames."""
    units = np.array(steps) / 16 if dtype.kind == "f" else np.ones(len(steps))
    whole = base if dtype.kind == "f" else np.rint(base)
    found = np.rint(-whole / units.reshape(1, -1, 1, 1)).clip(-(2**28), 2**28).astype(int).astype(object)
    return found.transpose(2, 1, 3, 0) if series else found


def final(x, step, base, dtype, constant):
    """The value of X fine units, or of a constant site."""
    with np.errstate(over="ignore"):
        if dtype.kind == "f":
            real = np.float64(base) if constant else np.float64(x) * (np.float64(step) / 16) + np.float64(base)
            return real.astype(dtype)
    whole = int(min(max(np.rint(base), -(2.0**61)), 2.0**61)) + (0 if constant else int(x))
    info = np.iinfo(dtype)
    return min(max(whole, int(info.min)), int(info.max))
