"""A second reader of whole array files, written from FORMAT.md alone: frames, models, streams of integers and all chunk modes.

Like its parts for mode 7 and for latents of slices it shares nothing with the library, and is slow. It reads sound files only:
whatever the text forbids is an AssertionError.
"""

import hashlib
import json
import math
import struct
from types import SimpleNamespace

import numpy as np
import slices_reader
import xxhash
import zstandard
from mode7_reader import Bytes, Parts, graph, groups, leaf, planar, residual, scale_index, signed, stream
from mode7_reader import decode as decode_predicted

MAGIC, SYNC = b"\x89AEC\r\n\x1a\n", b"\xe7REC"
HEADER, MODEL, CHUNK, METADATA, INDEX, END, MODEL_PARTS = range(1, 8)
PART_NAMES = ["encoder", "decoder", "reference", "predictor", "constant", *(f"prior-{k}" for k in range(8)), "restorer", "sampler"]
SMALLEST = {2: -24, 4: -149, 8: -1074}
SIGNIFICAND = {2: 10, 4: 23, 8: 52}


# --- 1: files, records, parts


def records(data, kind):
    """(base, offset, kind, payload) of all records; base is the first byte of the record's part."""
    at, base, number = 0, None, 0
    while at < len(data):
        if data[at : at + 8] == MAGIC:
            major, _, letter, reserved = data[at + 8 : at + 12]
            assert (major, letter, reserved) == (1, ord(kind), 0)
            base, at, number = at, at + 12, 0
            continue
        sync, found, flags, reserved, sequence, length, checksum, frame_checksum = struct.unpack_from("<4sBBHIQQI", data, at)
        assert (sync, flags, reserved, sequence) == (SYNC, 0, 0, number)
        assert xxhash.xxh64_intdigest(data[at : at + 28]) & 0xFFFFFFFF == frame_checksum
        payload = data[at + 32 : at + 32 + length]
        assert len(payload) == length
        assert xxhash.xxh64_intdigest(payload) == checksum
        yield base, at, found, payload
        at, number = at + 32 + length, number + 1


def listed(data, base, offset):
    """(offset, start, count) of each chunk of a part, by its index record and those that it leads to."""
    known = {at: (kind, payload) for _, at, kind, payload in records(data, "Z")}
    kind, payload = known[base + offset]
    assert kind == INDEX
    source = Bytes(payload)
    count = source.varint()
    columns = [stored_bytes(source.section(), (count,), np.dtype("i8")) for _ in range(3)]
    earlier = source.varint() if source.at < len(payload) else 0
    source.end()
    assert earlier < offset
    return (listed(data, base, earlier) if earlier else []) + [tuple(map(int, row)) for row in zip(*columns, strict=True)]


def read(data, models=()):
    """The array of a complete file, and the metadata of its first part; `models` are files of those that it does not embed."""
    parts = []
    for base, at, kind, payload in records(data, "Z"):
        if not parts or parts[-1].base != base:
            assert kind == HEADER
            header = json.loads(payload)
            parts.append(SimpleNamespace(base=base, header=header, model=None, metadata={}, chunks=[], places=[], end=None))
        part = parts[-1]
        if kind == MODEL:
            part.model = payload
        elif kind == METADATA:
            part.metadata = json.loads(payload)
        elif kind == CHUNK:
            source = Bytes(payload)
            start, count = source.varint(), source.varint()
            part.chunks.append((start, count, payload[source.at :]))
            part.places.append((at - base, start, count))
        elif kind == END:
            index, length, magic = struct.unpack("<QQ8s", payload)
            assert magic == b"AECEND\r\n"
            assert length == at + 56 - base
            part.end = index
    for part in parts:
        assert listed(data, part.base, part.end) == part.places
    return joined([read_part(part, models) for part in parts], parts[0].header), parts[0].metadata


def joined(arrays, header):
    """Arrays one after the other along the stream axis, in the byte order of the header."""
    axis = stream_axis(header["axes"])
    return (np.concatenate(arrays, axis=axis) if len(arrays) > 1 else arrays[0]).astype(header["dtype"])


def stream_axis(letters):
    return next((letters.index(letter) for letter in "tzyx" if letter in letters), None)


def read_part(part, models):
    header = part.header
    model = None
    if header["model"] is not None:
        stored = part.model or next(each for each in models if Model(each).id == header["model"])
        model = Model(stored)
        assert model.id == header["model"]
    slabs, at = [], 0
    for start, count, body in part.chunks:
        assert start == at
        at += count
        shape = [count if size is None else size for size in header["shape"]]
        slabs.append(read_chunk(body, shape, header, model, start))
    if not slabs:
        return np.zeros([0 if size is None else size for size in header["shape"]], header["dtype"])
    return joined(slabs, header)


def read_chunk(body, shape, header, model, start):
    """The slab of a chunk in the user's axes (1.3)."""
    letters, dtype = header["axes"], np.dtype(header["dtype"])
    order = [i for letter in "tzcyx" for i, each in enumerate(letters) if each == letter]
    sizes = [[shape[i] for i in order if letters[i] == letter] for letter in "tzcyx"]
    pair = [2] if dtype.kind == "c" else []
    real = np.dtype(f"<f{dtype.itemsize // 2}") if pair else np.dtype("u1") if dtype.kind == "b" else dtype.newbyteorder("<")
    canonical = (math.prod(sizes[0] + sizes[1]), math.prod(sizes[2] + pair), math.prod(sizes[3]), math.prod(sizes[4]))
    stream_letter = letters[stream_axis(letters)] if stream_axis(letters) is not None else ""
    origin = (start if stream_letter == "y" else 0, start if stream_letter == "x" else 0)
    array = decode(body, canonical, real, model, origin)
    assert (array.shape, array.dtype) == (canonical, real)
    steps, channels = sizes[0] + sizes[1], sizes[2]
    array = array.reshape(steps + channels + pair + sizes[3] + sizes[4])
    if pair:
        array = np.ascontiguousarray(np.moveaxis(array, len(steps + channels), -1)).view(f"<c{dtype.itemsize}")[..., 0]
    assert dtype.kind != "b" or array.max(initial=0) <= 1
    return np.transpose(array, np.argsort(order)).astype(dtype)


# --- 2: models


class Model:
    """A model file: manifest, id and parts, checked by their hashes."""

    def __init__(self, data):
        (_, _, first, manifest), (_, _, second, payload) = records(data, "M")
        assert (first, second) == (HEADER, MODEL_PARTS)
        self.manifest = json.loads(manifest)
        canonical = json.dumps(self.manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        self.id = hashlib.sha256(canonical).hexdigest()
        source = Bytes(payload)
        size = source.varint()
        inner, self.parts = Bytes(unpacked(payload[source.at :], size)), {}
        while inner.at < size:
            name = PART_NAMES[inner.varint()]
            self.parts[name] = bytes(inner.section().data)
        for name, part in self.parts.items():
            assert hashlib.sha256(part).hexdigest() == self.manifest["parts"][name]

    def base(self, shape, origin):
        """Offset and reference field of each value, f64."""
        return Parts(self.manifest, self.parts).base(shape, origin)

    def prediction(self, source, step, shape, origin):
        """p of modes 2 and 3, f64."""
        if self.manifest.get("prior"):
            return slices_reader.prediction(source, step, shape, self.manifest, self.parts, self.base(shape, origin))
        tile = self.manifest["tile"]
        grid = [-(-size // part) for size, part in zip(shape, tile, strict=True)]
        symbols = latents(source, grid, self.manifest["bands"], step * self.manifest["latent_unit"]) * step
        assert not symbols.size or abs(symbols).max() <= self.manifest["latent_limit"]
        run = graph(self.parts["decoder"])
        (name,), (dtype,) = run.input_names, {1: ("f4",), 11: ("f8",)}[run.input_types[0].tensor_type.elem_type]
        (out,) = run.run(None, {name: symbols.astype(dtype)})
        out = out.reshape(*grid, *tile).transpose(0, 4, 1, 5, 2, 6, 3, 7)
        out = out.reshape([n * size for n, size in zip(grid, tile, strict=True)])[tuple(map(slice, shape))]
        scale = np.array(self.manifest["scale"]).reshape(1, -1, 1, 1)
        return out.astype("f8") * (scale * self.manifest["latent_unit"]) + self.base(shape, origin)


def unpacked(frame, size):
    """The content of a zstd frame."""
    data = zstandard.ZstdDecompressor(format=zstandard.FORMAT_ZSTD1_MAGICLESS).decompress(frame, max_output_size=max(1, size))
    assert len(data) == size
    return data


# --- 3.5 to 3.7


def latents(source, grid, bands, s):
    """Symbols (tiles, latents)."""
    pending = [iter(symbols) for symbols in groups(source)]
    source.end()
    tiles = math.prod(grid)
    found, energy, weight, start = np.zeros((tiles, bands[-1][0]), int), np.full(tiles, 0.5), 0.5, 0
    for end, spread in bands:
        w, x = end - start, max(spread / s, 2.0**-20)
        for tile in range(tiles):
            index = scale_index(max(energy[tile] * (x / weight), 2.0**-8))
            found[tile, start:end] = [next(pending[index]) for _ in range(w)]
        r = abs(found[:, start:end]).sum(axis=1) * (0.8 / max(x, 0.3))
        t, power = min(1.0, x), 1.0
        for _ in range(min(w, 64)):
            power *= 1 - 2.0**-5
        k = max(power, 0.3)
        energy = energy * k + (r + smoothed(r.reshape(grid)).reshape(-1)) * (0.5 * t)
        weight = weight * k + w * t
        start = end
    assert all(next(symbols, None) is None for symbols in pending), "symbols left over"
    return found


def smoothed(r):
    for axis in (0, 2, 3):
        n = r.shape[axis]
        if n > 1:
            before, after = (r.take([min(max(i + by, 0), n - 1) for i in range(n)], axis) for by in (-1, 1))
            r = (before + after) * 0.25 + r * 0.5
    return r


def low_bits(source, widths):
    """Numbers of these widths in bits."""
    found = [0] * len(widths)
    if not source.data:
        return found
    for k in range(max(widths, default=0) // 8):
        chosen = [i for i, w in enumerate(widths) if w >= 8 * (k + 1)]
        for i, byte in zip(chosen, leaf(source, len(chosen)), strict=True):
            found[i] |= byte << 8 * k
    for b in (4, 2, 1):
        chosen = [i for i, w in enumerate(widths) if w & b]
        if chosen:
            each = 8 // b
            for i, digit in zip(chosen, planar(leaf(source, -(-len(chosen) // each)), 1 << b, each, len(chosen)), strict=True):
                found[i] |= digit << widths[i] - widths[i] % (2 * b)
    source.end()
    return found


def integers(source, shape):
    """An int32 array."""
    (layout,) = source.take(1)
    assert layout & 0x0E == 0
    swapped = (1, 0, 2, 3) if layout & 1 else (0, 1, 2, 3)
    body = source.take(len(source.data) - source.at)
    assert body[0] in (0, 1) or (body[0] == 2 and body[1] == 0 and struct.unpack_from("<d", body, 2) == (1.0,))
    found = decode(body, tuple(shape[i] for i in swapped), np.dtype("<i4"))
    for axis in range(4):
        if layout >> 4 + axis & 1:
            found = found.cumsum(axis=axis, dtype="i4")
    return found.transpose(swapped)


# --- 4: chunks


def decode(body, shape, dtype, model=None, origin=(0, 0)):
    """The canonical array of a chunk body; `dtype` is little-endian."""
    if body[0] == 7:
        native = dtype.newbyteorder("=")
        return decode_predicted(body, shape, native, model.manifest, model.parts, origin).astype(dtype)
    source = Bytes(body)
    (mode,) = source.take(1)
    if mode == 0:
        return stored_bytes(source, shape, dtype)
    if mode == 1:
        array = np.full(shape, np.frombuffer(source.take(dtype.itemsize), dtype)[0])
    elif mode in (2, 3):
        array = lattice(source, mode, shape, dtype, model, origin)
    else:
        array = {4: ladder, 5: floats, 6: hidden}[mode](source, shape, dtype)
    source.end()
    return array


def stored_bytes(source, shape, dtype):
    """Mode 0 after its mode byte: the rest of the source."""
    (filter_byte,) = source.take(1)
    rest = source.take(len(source.data) - source.at)
    count = math.prod(shape)
    raw = rest if filter_byte == 3 else unpacked(rest, count * dtype.itemsize)
    if filter_byte in (1, 2):
        raw = np.frombuffer(raw, "u1").reshape(dtype.itemsize, count).T.tobytes()
    if filter_byte == 2:
        raw = np.frombuffer(raw, f"<u{dtype.itemsize}").cumsum(dtype=f"<u{dtype.itemsize}").tobytes()
    assert filter_byte <= 3
    return np.frombuffer(raw, dtype).reshape(shape).copy()


def lattice(source, mode, shape, dtype, model, origin):
    """Modes 2 and 3."""
    (flags,) = source.take(1)
    assert flags < 32 if mode == 2 else flags & ~10 == 0
    if mode == 2:
        d = np.array(source.f64(shape[1] if flags & 16 else 1)).reshape(1, -1, 1, 1)
    p = np.zeros(shape)
    if mode == 3 or flags & 1:
        step = source.varint()
        p = model.prediction(source.section(), step, shape, origin)
    with np.errstate(all="ignore"):
        if mode == 3:
            array = limited(np.rint(p).clip(-(2.0**61), 2.0**61), dtype) if dtype.kind in "iu" else p.astype(dtype)
        else:
            r = summed(source, shape, weighted=True)
            if dtype.kind == "f":
                array = (r * d + p).astype(dtype)
            else:
                whole = np.rint(p).clip(-(2.0**61), 2.0**61).astype("i8")
                array = limited(r.astype("i8") * d.astype("i8") + whole, dtype)
    classes = class_of(source.section(), shape) if flags & 2 else None
    if flags & 8:
        assert source.take(8) == struct.pack("<Q", xxhash.xxh64_intdigest(array.tobytes()))
    if classes is not None:
        set_classes(array, classes)
    if flags & 4:
        set_exceptions(array, source.section())
    return array


def limited(values, dtype):
    """Whole numbers, clipped to an integer dtype."""
    info = np.iinfo(dtype)
    return np.array([min(max(int(v), info.min), info.max) for v in values.reshape(-1)], dtype).reshape(values.shape)


def summed(source, shape, weighted=False):
    """A byte of Lorenzo axes, or 16 and weights, and a residual, summed along them."""
    (axes,) = source.take(1)
    weights = struct.unpack("5b", source.take(5)) if axes == 16 and weighted else None
    section = source.section()
    r = np.array(residual(section, math.prod(shape)), "i8").astype("i4").reshape(shape)
    section.end()
    if weights is not None:
        return with_weights(r, weights).cumsum(axis=3, dtype="i4")
    assert axes < 16
    for axis in range(4):
        if axes >> axis & 1:
            r = r.cumsum(axis=axis, dtype="i4")
    return r


def with_weights(r, weights):
    """Differences along columns of what weighted prediction left of them (4.3)."""
    became = {}

    def before(t, c, y, x):
        return became.get((t, c, y, x), 0)

    for t, c, y, x in np.ndindex(*r.shape):
        places = ((t, c, y - 1, x), (t, c, y - 1, x + 1), (t - 1, c, y, x), (t - 1, c, y, x + 1), (t - 1, c, y - 1, x))
        total = wrapped(sum(w * before(*place) for w, place in zip(weights, places, strict=True)) + 32)
        became[t, c, y, x] = wrapped(int(r[t, c, y, x]) + total // 64)
    return np.array(list(became.values()), "i4").reshape(r.shape)


def wrapped(number):
    """A whole number in 32 bits."""
    return (number + 2**31) % 2**32 - 2**31


def class_of(section, shape):
    classes = np.array(stream(section, math.prod(shape)), int).reshape(shape)
    section.end()
    return classes


def set_classes(array, classes):
    assert set(np.unique(classes)) <= {0, 1, 2, 3}
    for number, value in ((1, np.nan), (2, np.inf), (3, -np.inf)):
        array[classes == number] = value


def set_exceptions(array, section):
    count, at = section.varint(), -1
    for gap in stream(section, count):
        at += gap + 1
        array.reshape(-1)[at] = np.frombuffer(section.take(array.itemsize), array.dtype)[0]
    section.end()


def ladder(source, shape, dtype):
    """Mode 4."""
    (e,) = source.f64(1)
    assert 1e-6 <= e <= 1
    index = summed(source, shape)
    rungs, low = [], 1.0
    while low < 2:
        rungs.append(min(low * (1 + e), 2.0))
        low *= (1 + e) / (1 - e)
    classes = class_of(source.section(), shape)
    array = np.zeros(shape, dtype)
    info = np.iinfo(dtype) if dtype.kind in "iu" else None
    for place in np.ndindex(*shape):
        number, kind = int(index[place]), classes[place]
        if kind in (0, 5):
            with np.errstate(over="ignore", under="ignore"):
                value = np.ldexp(rungs[number % len(rungs)], number // len(rungs) - 1) * (-1 if kind == 5 else 1)
                whole = min(max(int(np.rint(value)), -(2**62)), 2**62) if info is not None else 0
                array[place] = value if info is None else min(max(whole, info.min), info.max)
        elif kind != 4:
            array[place] = {1: np.nan, 2: np.inf, 3: -np.inf}[kind]
    set_exceptions(array, source.section())
    return array


def bits_of(array):
    return array.view(f"<u{array.itemsize}")


def ordered_to_bits(ordered, bits):
    """Bits of the float whose ordered integer, signed, this is."""
    return ordered % (1 << bits) if ordered >= 0 else (ordered % (1 << bits)) ^ ((1 << bits - 1) - 1)


def small_values(section, count, bits):
    """The bits of `count` values."""
    if bits == 64:
        upper, lower = stream(section, count), stream(section, count)
        rotated = [high << 32 | low for high, low in zip(upper, lower, strict=True)]
    else:
        rotated = stream(section, count)
    section.end()
    return [v >> 1 | (v & 1) << bits - 1 for v in rotated]


def floats(source, shape, dtype):
    """Mode 5."""
    (flags,) = source.take(1)
    assert flags in (0, 1, 2, 4, 6)
    (q,) = signed([source.varint()])
    size, bits = dtype.itemsize, 8 * dtype.itemsize
    n = integers(source.section(), shape).reshape(-1).tolist()
    large, small = [v for v in n if v], sum(v == 0 for v in n)
    if flags & 1:
        widths = [q] * len(large)
        heads = [v << q for v in large]
    else:
        c = (np.array(large, "f8") * np.float64(2.0) ** q).astype(dtype)
        exponents = (bits_of(c) >> np.uint8(SIGNIFICAND[size])).astype(int) & (1 << bits - 1 - SIGNIFICAND[size]) - 1
        widths = [min(max(q - SMALLEST[size] + 1 - max(int(e), 1), 0), SIGNIFICAND[size]) for e in exponents]
        heads = bits_of(c).tolist()
    lows = low_bits(source.section(), widths)
    filled = iter([head | low for head, low in zip(heads, lows, strict=True)])
    others = iter(small_values(source.section(), small, bits))
    found = []
    for v in n:
        if flags & 1:
            ordered = next(filled) if v else next(others)
            found.append(ordered_to_bits(ordered if ordered < 1 << bits - 1 else ordered - (1 << bits), bits))
        else:
            found.append(next(filled) if v else next(others))
    array = np.array(found, f"<u{size}").view(dtype).reshape(shape)
    if flags & 2:
        set_classes(array, class_of(source.section(), shape))
    if flags & 4:
        set_exceptions(array, source.section())
    return array


def hidden(source, shape, dtype):
    """Mode 6."""
    (flags,) = source.take(1)
    form, many = flags & 7, shape[1] if flags & 8 else 1
    assert flags < 64
    assert form <= 5
    digits = source.take(1)[0] if form == 3 else 0
    kinds = {0: "B", 1: "dd", 2: "dd", 3: "B", 4: "qq", 5: ""}[form]
    numbers = [struct.unpack(f"<{many}{kind}", source.take(many * struct.calcsize(kind))) for kind in kinds]
    numbers = [[each[c if flags & 8 else 0] for c in range(shape[1])] for each in numbers]
    n = integers(source.section(), shape)
    if form == 3:
        array = by_digits(source.section(), n, digits, numbers[0], dtype)
    elif form == 5:
        high = integers(source.section(), shape)
        halves = zip(high.ravel().tolist(), n.ravel().tolist(), strict=True)
        array = np.array([h % (1 << 32) << 32 | low % (1 << 32) for h, low in halves], "<u8").view(dtype).reshape(shape)
    else:
        array = np.zeros(shape, dtype)
        for place in np.ndindex(*shape):
            own = [each[place[1]] for each in numbers]
            array[place] = number_of(form, int(n[place]), own, dtype)
    if dtype.kind == "f":
        section = source.section()
        added = signed(stream(section, n.size))
        section.end()
        bits = 8 * dtype.itemsize
        found = []
        for pattern, by in zip(bits_of(array).reshape(-1).tolist(), added, strict=True):
            value = pattern if pattern < 1 << bits - 1 else pattern - (1 << bits)
            ordered = value if value >= 0 else value ^ ((1 << bits - 1) - 1)
            ordered = (ordered + by) % (1 << bits)
            found.append(ordered_to_bits(ordered if ordered < 1 << bits - 1 else ordered - (1 << bits), bits))
        array = np.array(found, f"<u{dtype.itemsize}").view(dtype).reshape(shape)
    if flags & 16:
        set_classes(array, class_of(source.section(), shape))
    if flags & 32:
        set_exceptions(array, source.section())
    return array


def number_of(form, n, own, dtype):
    """A value of forms 0, 1, 2 and 4."""
    with np.errstate(all="ignore"):
        if form == 0:
            return np.float64(n) / np.float64(10.0 ** own[0])
        if form == 1:
            return np.float64(n) * np.float64(own[0]) + np.float64(own[1])
        if form == 2:
            native = dtype.newbyteorder("=").type
            return native(native(n) * native(own[0])) + native(own[1])
    bits = 8 * dtype.itemsize
    return np.array([(n * own[0] + own[1]) % (1 << bits)], f"<u{dtype.itemsize}").view(dtype)[0]


def by_digits(section, n, p, places, dtype):
    """Form 3: `p` digits in all; `places` of each channel, the d of the text."""
    values = np.zeros(n.shape)
    lengths = np.array([len(str(abs(v))) if v else 0 for v in n.reshape(-1).tolist()]).reshape(n.shape)
    d = np.broadcast_to(np.array(places).reshape(1, -1, 1, 1), n.shape)
    numerators, exponents = np.abs(n.astype("i8")), d.astype(int)
    for j in range(1, p):
        here = lengths == p - j
        numerators[here] = numerators[here] * 10**j + np.array(stream(section, int(here.sum())), "i8")
        exponents = np.where(here, d + j, exponents)
    zero = n == 0
    m = stream(section, int(zero.sum()))
    k = stream(section, int(zero.sum()))
    section.end()
    negative = n < 0
    numerators[zero] = [v >> 1 for v in m]
    negative[zero] = [bool(v & 1) for v in m]
    exponents[zero] = d[zero] + np.array(k, int)
    assert exponents.max(initial=0) <= 22
    values = numerators.astype("f8") / 10.0 ** exponents.astype("f8")
    return np.where(negative, -values, values).astype(dtype)
