"""The families of damage: for each sample and number a damaged input, what to do with it, and what may come of it.

Plain damage must be noticed: the right array or a typed error. An attacker who makes all checksums right again may get any
array of the shape declared, or a typed error. The number tells all, so that a case can be run again.
"""

import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import aecodec
from aecodec.codec.chunk import ChunkCoder
from aecodec.limits import Limits
from aecodec.models.bundle import Bundle

from . import change, files
from .judge import Verdict, judge
from .samples import Body, ModelSample, Sample, arrays, bodies, models

_END_MAGIC = b"AECEND\r\n"
_DTYPES = ("f2", "f4", "f8", "u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8")
_LARGEST = 1 << 18
_SIZES = (0, 1, 2, 3, 5, 16, 40, 70)
_SYNC = b"\xe7REC"
# Above all samples, and low enough that an attacker's header that stays below it costs a test little.
OPTIONS = {"limits": Limits(chunk_bytes=1 << 18, array_bytes=1 << 20, model_bytes=1 << 20, reference_values=1 << 17)}
_DECLARED = 1 << 18  # values that attackers' headers may declare within these limits


@dataclass(frozen=True)
class Family:
    """`size`: how many cases a sample has if all are to be run; None where they are random and without end."""

    samples: Callable[[], Sequence[Any]]
    run: Callable[[Any, int], Verdict]
    size: Callable[[Any], int | None] = lambda _: None


def _random(name: str, number: int) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(name.encode()), number])


# --- damage that checksums see


def _flip(sample: Sample, number: int) -> Verdict:
    at, xor = divmod(number, len(change.XORS))
    return _read(sample, change.flipped(sample.data, at, change.XORS[xor]), number)


def _cut(sample: Sample, number: int) -> Verdict:
    return _read(sample, sample.data[:number], number)


def _damage(sample: Sample, number: int) -> Verdict:
    random = _random(sample.name, number)
    others = arrays()
    # Whole records of another file, which nothing binds to that file, would be an attack: see `_record`.
    other = others[int(random.integers(len(others)))].data.replace(_SYNC, b"\xe7REX")
    return _read(sample, change.damaged(sample.data, random, other), number)


def _read(sample: Sample, data: bytes, number: int) -> Verdict:
    """Read a damaged file in one of the ways there are: at once, lazily, or as a stream."""
    way = (_at_once, _lazily, _as_stream)[number % 3]
    return judge(lambda: way(data), lambda found: _compare(found, sample, data), len(data), sample.array.size)


@dataclass(frozen=True)
class Read:
    """What was read, None if nothing; `whole`: the reader says that it is all there is."""

    array: np.ndarray | None
    whole: bool = True


def _at_once(data: bytes) -> Read:
    return Read(aecodec.decompress(data, threads=1, provider="cpu", **OPTIONS))


def _lazily(data: bytes) -> Read:
    with aecodec.open(io.BytesIO(data), provider="cpu", threads=1, **OPTIONS) as f:
        return Read(f[...], f.complete)


def _as_stream(data: bytes) -> Read:
    decompressor = aecodec.Decompressor(provider="cpu", **OPTIONS)
    middle = len(data) // 2
    slabs = decompressor.decompress(data[:middle]) + decompressor.decompress(data[middle:])
    decompressor.finish()
    if decompressor.header is None or not slabs:
        return Read(None)
    return Read(np.concatenate(slabs, axis=decompressor.header.spec.axes.stream) if len(slabs) > 1 else slabs[0])


def _compare(read: Read, sample: Sample, data: bytes) -> str | None:
    """What is wrong with an array from a damaged file.

    It must be the right one; or its beginning, if the reader says that the end is missing, or if the file is what it was before it
    was appended to. Of joined files, if the reader says that an end is missing, steps may come from another part: whole records
    of one may by chance have come to lie in another, and nothing binds them to theirs.
    """
    array, found = sample.array, read.array
    if found is None or (found.shape == array.shape and found.dtype == array.dtype and found.tobytes() == array.tobytes()):
        return None
    earlier = sample.data.startswith(data) and data.endswith(_END_MAGIC)
    if found.dtype == array.dtype and found.ndim == array.ndim and _shorter(found, array) and (earlier or not read.whole):
        return None
    if sample.parts > 1 and not read.whole and found.shape[1:] == array.shape[1:] and found.dtype == array.dtype:
        known = {step.tobytes() for step in array}
        if all(step.tobytes() in known for step in found):
            return None
    return f"array of {found.shape} {found.dtype} that is not the one of {array.shape} {array.dtype}"


def _shorter(found: np.ndarray, array: np.ndarray) -> bool:
    """True if `found` is the beginning of `array` along one axis."""
    window = tuple(slice(n) for n in found.shape)
    return sum(a != b for a, b in zip(found.shape, array.shape, strict=True)) == 1 and found.tobytes() == array[window].tobytes()


# --- attacks with right checksums


def _body_flip(body: Body, number: int) -> Verdict:
    at, xor = divmod(number, len(change.XORS))
    return _decode(body, change.flipped(body.body, at, change.XORS[xor]))


def _body_cut(body: Body, number: int) -> Verdict:
    return _decode(body, body.body[:number])


def _body_damage(body: Body, number: int) -> Verdict:
    random = _random(body.name, number)
    others = bodies()
    other = others[int(random.integers(len(others)))].body
    return _decode(body, change.damaged(body.body, random, other))


def _body_elsewhere(body: Body, number: int) -> Verdict:
    """A body, damaged or not, in a file of another shape or dtype."""
    random = _random(f"{body.name} elsewhere", number)
    shape = list(body.shape)
    for axis in random.integers(0, 4, random.integers(0, 4)).tolist():
        shape[axis] = int(random.choice(_SIZES))
    while int(np.prod(shape)) > _LARGEST:
        shape[int(np.argmax(shape))] = 3
    n, c, h, w = shape
    dtype = np.dtype(str(random.choice(_DTYPES))) if random.integers(2) else body.coder.dtype
    coder = ChunkCoder(dtype, body.coder.fidelity, body.coder.model)
    origin = (int(random.choice([0, 0, 0, 1, 2**40])), 0)
    moved = replace(body, shape=(n, c, h, w), coder=coder, origin=origin)
    return _decode(moved, change.damaged(body.body, random, b"\0" * 50) if random.integers(3) == 0 else body.body)


def _decode(body: Body, data: bytes) -> Verdict:
    def check(found: np.ndarray | None) -> str | None:
        if found is None or found.shape != body.shape or found.dtype != body.coder.dtype:
            return f"{body.shape} {body.coder.dtype} was declared, found {None if found is None else (found.shape, found.dtype)}"
        return None

    return judge(lambda: body.decode(data), check, len(data), int(np.prod(body.shape)))


def _record(sample: Sample, number: int) -> Verdict:
    """One record's payload changed, or records gone, twice or in another order."""
    random = _random(f"{sample.name} records", number)
    prefix, records = files.split(sample.data)
    at = int(random.integers(len(records)))
    record = records[at]
    kind = int(random.integers(8))
    if kind == 0:
        del records[at]
    elif kind == 1:
        records.insert(int(random.integers(len(records) + 1)), record)
    elif kind == 2:
        other = int(random.integers(len(records)))
        records[at], records[other] = records[other], records[at]
    elif record.kind in (files.HEADER, files.METADATA) and kind < 7:
        records[at] = replace(record, payload=change.damaged_json(record.payload, random))
    else:
        records[at] = replace(record, payload=change.damaged(record.payload, random, b"\xff" * 20))
    data = files.joined(prefix, records, index=bool(random.integers(2)) or records[-1:] != [record])
    return _attack(data, number)


def _attack(data: bytes, number: int) -> Verdict:
    way = (_at_once, _lazily, _as_stream)[number % 3]

    def check(read: Read) -> str | None:
        return None if read.array is None or isinstance(read.array, np.ndarray) else f"{type(read.array).__name__} returned"

    return judge(lambda: way(data), check, len(data), _DECLARED)


def _model_parts(sample: ModelSample, number: int) -> Verdict:
    """A part of a model damaged, its hash, the model's id and all checksums made right."""
    random = _random(f"{sample.name} parts", number)
    model = files.ModelFile.parse(sample.data)
    part = int(random.choice(list(model.parts)))
    made = model.with_part(part, change.damaged(model.parts[part], random, b"\0\1\2\xff" * 9))
    return _attack(files.with_model(sample.file.data, made.to_bytes(), made.id), 0)


def _model_part_flip(sample: ModelSample, number: int) -> Verdict:
    """Every byte of every part in turn, bit by bit."""
    model = files.ModelFile.parse(sample.data)
    at, xor = divmod(number, len(change.XORS))
    for part, data in model.parts.items():
        if at < len(data):
            made = model.with_part(part, change.flipped(data, at, change.XORS[xor]))
            return _attack(files.with_model(sample.file.data, made.to_bytes(), made.id), 0)
        at -= len(data)
    raise IndexError(number)


def _part_flips(sample: ModelSample) -> int:
    return len(change.XORS) * sum(map(len, files.ModelFile.parse(sample.data).parts.values()))


def _manifest(sample: ModelSample, number: int) -> Verdict:
    """A manifest with other values, its id right."""
    random = _random(f"{sample.name} manifest", number)
    model = files.ModelFile.parse(sample.data)
    made = replace(model, manifest=change.damaged_json(model.manifest, random))
    try:
        model_id = Bundle.from_bytes(made.to_bytes()).id
    except Exception:  # noqa: BLE001  # the verdict is for what reading the file does
        model_id = made.id
    return _attack(files.with_model(sample.file.data, made.to_bytes(), model_id), 0)


def _model_file(sample: ModelSample, number: int) -> Verdict:
    """A model file with damage that its checksums see."""
    random = _random(f"{sample.name} file", number)
    others = models()
    if number < len(sample.data):
        data = change.flipped(sample.data, number, int(random.integers(1, 256)))
    elif number < 2 * len(sample.data):
        data = sample.data[: number - len(sample.data)]
    else:
        data = change.damaged(sample.data, random, others[int(random.integers(len(others)))].data)
    known = {other.data for other in others}

    def check(found: aecodec.Model) -> str | None:
        return None if found.id == sample.id or data in known else f"model {found.id} instead of {sample.id}"

    return judge(lambda: aecodec.load_model(data, "cpu", **OPTIONS), check, len(data), 0)


FAMILIES = {
    "flip": Family(arrays, _flip, lambda sample: len(change.XORS) * len(sample.data)),
    "cut": Family(arrays, _cut, lambda sample: len(sample.data)),
    "damage": Family(arrays, _damage),
    "body-flip": Family(bodies, _body_flip, lambda body: len(change.XORS) * len(body.body)),
    "body-cut": Family(bodies, _body_cut, lambda body: len(body.body)),
    "body-damage": Family(bodies, _body_damage),
    "body-elsewhere": Family(bodies, _body_elsewhere),
    "record": Family(lambda: [sample for sample in arrays() if sample.parts == 1], _record),
    "model-file": Family(models, _model_file),
    "model-part-flip": Family(models, _model_part_flip, _part_flips),
    "model-parts": Family(models, _model_parts),
    "manifest": Family(models, _manifest),
}


def numbers(family: Family, sample: Any, most: int, offset: int = 0) -> Iterator[int]:
    """At most `most` cases of a sample, which is 1 or more: all, if there are no more, else evenly spread from `offset` on."""
    size = family.size(sample)
    if size is None:
        return iter(range(offset, offset + most))
    stride = max(1, -(-size // most))
    return iter(range(offset % stride, size, stride))
