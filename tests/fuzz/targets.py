"""What arbitrary bytes are put to. Each target takes bytes and may raise AecodecError and nothing else.

The first bytes often choose what is not in the bytes themselves (a count, a shape, a dtype); the rest is parsed.
"""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

import aecodec
from aecodec.api.header import Header
from aecodec.codec.chunk import ChunkCoder
from aecodec.codec.hidden import read_lattice
from aecodec.codec.integers import decode_integers
from aecodec.codec.sections import apply_exceptions, decode_classes, decode_steps
from aecodec.container.layout import MODEL_FILE, parse_end, parse_frame, parse_index, parse_json, parse_prefix
from aecodec.container.splitter import RecordSplitter
from aecodec.errors import AecodecError
from aecodec.fidelity import Fidelity
from aecodec.models.exact import Range, prove_exact, prove_predictor
from aecodec.models.manifest import Manifest
from aecodec.packing import zstd
from aecodec.packing.contexts import decode_latents, encode_latents
from aecodec.packing.groups import GroupedSymbols
from aecodec.packing.lossless import decode_bytes
from aecodec.packing.refinement import decode_low_bits
from aecodec.packing.residuals import decode_residual
from aecodec.packing.scale import INDICES
from aecodec.packing.stream import decode_stream
from aecodec.packing.varint import Cursor

if __package__.startswith("tests"):
    from tests.damage import files, samples
else:
    from damage import files, samples

_SHAPES = ((1, 1, 1, 1), (3, 2, 4, 5), (40, 1, 1, 1), (1, 3, 0, 2), (2, 1, 16, 16), (0, 1, 1, 1), (7, 5, 1, 3))
_BANDS = ((1, 40.0), (4, 3.0), (9, 0.0))
_DTYPES = ("f2", "f4", "f8", "u1", "i2", "u4", "i8", "u8")


@dataclass(frozen=True)
class Target:
    """`run` takes bytes; `seeds` are inputs that it accepts."""

    run: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]] = lambda: [b"", b"\0" * 8]
    longest: int = 1 << 12


def _count(data: bytes) -> tuple[int, Cursor]:
    return (data[0] | data[1] << 8) % 1000 if len(data) > 1 else 0, Cursor(data[2:])


def _varint(data: bytes) -> None:
    cursor = Cursor(data)
    while cursor.remaining:
        before = cursor.remaining
        assert 0 <= cursor.varint() < 2**63
        assert before - cursor.remaining <= 9


def _stream(data: bytes) -> None:
    count, cursor = _count(data)
    found = decode_stream(cursor, count)
    assert found.shape == (count,)
    assert found.dtype in (np.uint8, np.uint16, np.uint32)


def _groups(data: bytes) -> None:
    count, cursor = _count(data)
    groups = GroupedSymbols(cursor, count)
    for index in range(INDICES):
        groups.take(index, 0)
    groups.take(0, 1)
    groups.end()


def _residual(data: bytes) -> None:
    count, cursor = _count(data)
    found = decode_residual(cursor, count)
    assert (found.shape, found.dtype) == ((count,), np.int32)


def _latents(data: bytes) -> None:
    count, cursor = _count(data)
    grid = (count % 5, 1 + count % 2, 1 + count % 3, 2)
    found = decode_latents(cursor, grid, _BANDS, 1.0 + count)
    assert (found.shape, found.dtype) == ((int(np.prod(grid)), 9), np.int32)


def _low_bits(data: bytes) -> None:
    count, cursor = _count(data)
    widths = np.arange(count, dtype=np.uint8) % 53 if count % 2 else count % 53
    into = np.zeros(count, np.uint64)
    decode_low_bits(cursor, into, widths)
    if count:
        assert (into >> np.asarray(widths, np.uint64)).max() == 0


def _bytes(data: bytes) -> None:
    count, cursor = _count(data)
    dtype = np.dtype(f"<{_DTYPES[count % len(_DTYPES)]}")
    assert decode_bytes(cursor, dtype, count).shape == (count,)


def _zstd(data: bytes) -> None:
    size = int.from_bytes(data[:4], "little")
    assert len(zstd.decompress(data[4:], size)) == size


def _integers(data: bytes) -> None:
    shape = _SHAPES[data[0] % len(_SHAPES)] if data else _SHAPES[0]
    found = decode_integers(Cursor(data[1:]), shape)
    assert (found.shape, found.dtype) == (shape, np.int32)


def _sections(data: bytes) -> None:
    """Steps, classes, exceptions and hidden lattices."""
    if not data:
        return
    kind, cursor = data[0], Cursor(data[1:])
    shape, dtype = _SHAPES[kind % len(_SHAPES)], np.dtype(_DTYPES[kind % len(_DTYPES)])
    if kind % 4 == 0:
        assert decode_steps(cursor, shape[1], bool(kind & 64), dtype).shape == (shape[1],)
    elif kind % 4 == 1:
        assert decode_classes(cursor, shape).shape == shape
    elif kind % 4 == 2:
        apply_exceptions(cursor, np.zeros(shape, dtype))
    else:
        read_lattice(cursor, kind >> 5, shape[1])


def _chunk(data: bytes) -> None:
    """A chunk's body: the first byte chooses shape and dtype."""
    if not data:
        return
    shape, dtype = _SHAPES[data[0] % len(_SHAPES)], np.dtype(_DTYPES[data[0] // 32])
    found = ChunkCoder(dtype, Fidelity()).decode(data[1:], shape)
    assert (found.shape, found.dtype) == (shape, dtype)


def _chunk_with_model(data: bytes) -> None:
    """The body of a chunk that needs a model: the first byte chooses which."""
    bodies = [body for body in samples.bodies() if body.coder.model is not None]
    if data:
        body = bodies[data[0] % len(bodies)]
        found = body.decode(data[1:])
        assert (found.shape, found.dtype) == (body.shape, body.coder.dtype)


def _layout(data: bytes) -> None:
    """All parsers of the container's own structures, each of which may refuse."""
    parsers: tuple[Callable[[bytes], object], ...] = (
        lambda d: parse_prefix(d[:12], b"Z"),
        lambda d: parse_prefix(d[:12], MODEL_FILE),
        lambda d: parse_frame(d[:32]),
        parse_end,
        parse_index,
    )
    if data:
        parsers[data[0] % len(parsers)](data[1:])


def _header(data: bytes) -> None:
    again = Header.from_json(parse_json(data)).to_json()
    assert Header.from_json(again).to_json() == again


def _manifest(data: bytes) -> None:
    manifest = Manifest.from_json(parse_json(data))
    assert Manifest.from_json(manifest.to_json()) == manifest


def _model(data: bytes) -> None:
    """A model file, loaded."""
    aecodec.load_model(data, "cpu")


def _sealed_model(data: bytes) -> None:
    """A manifest, a 0 byte, and a graph that becomes its decoder, all checksums and hashes right."""
    manifest, _, graph = data.partition(b"\0")
    model = files.ModelFile(manifest, {1: graph})
    try:
        model = model.with_part(1, graph)
    except (ValueError, TypeError, KeyError, RecursionError):
        return
    aecodec.load_model(model.to_bytes(), "cpu")


def _sealed_part(data: bytes) -> None:
    """Model and part by the first two bytes; the rest takes its place, its hash made right."""
    if len(data) > 1:
        models = _parts()
        model = models[data[0] % len(models)]
        part = list(model.parts)[data[1] % len(model.parts)]
        aecodec.load_model(model.with_part(part, data[2:]).to_bytes(), "cpu")


def _sealed_parts() -> list[bytes]:
    return [bytes([i, k]) + part for i, model in enumerate(_parts()) for k, part in enumerate(model.parts.values())]


def _graph(data: bytes) -> None:
    """ONNX bytes, to the proof of exactness."""
    if b"planes" in data:
        prove_predictor(data, {"planes": Range(4095.0)}, "kind")
    elif b"kind" in data:  # of maps
        prove_predictor(data, {"known": Range(1000.0)}, "kind")
    else:
        prove_exact(data, 1000)


def _file(data: bytes) -> None:
    aecodec.decompress(data, threads=1, provider="cpu")


def _lazy(data: bytes) -> None:
    with aecodec.open(io.BytesIO(data), provider="cpu", threads=1) as f:
        assert f[...].shape == f.shape


def _incremental(data: bytes) -> None:
    """The incremental parser, fed in two portions."""
    decompressor = aecodec.Decompressor(provider="cpu")
    cut = len(data) // 3
    decompressor.decompress(data[:cut])
    decompressor.decompress(data[cut:])
    decompressor.finish()


def _splitter(data: bytes) -> None:
    splitter = RecordSplitter()
    for at in range(0, len(data), 50):
        splitter.feed(data[at : at + 50])


def _records(data: bytes) -> None:
    """An array file with sound frames around what is between 0xFF bytes: kinds from 1 on."""
    parts = data.split(b"\xff")[:8]
    _file(files.joined(b"\x89AEC\r\n\x1a\n\x01\x01Z\0", [files.Record(i + 1, part) for i, part in enumerate(parts)], index=False))


def _latents_seeds() -> list[bytes]:
    """Symbols on the grid that a count of 7 chooses."""
    symbols = np.random.default_rng(0).integers(-9, 9, (16, 9)).astype(np.int32)
    return [b"\7\0" + encode_latents(part, (2, 2, 2, 2), _BANDS, 8.0, False) for part in (symbols, symbols // 9, symbols << 20)]


def _array_files() -> list[bytes]:
    return [sample.data for sample in samples.arrays()]


def _payloads(kind: int) -> list[bytes]:
    return [record.payload for data in _array_files() for record in files.split(data)[1] if record.kind == kind]


def _bodies() -> list[bytes]:
    return [b"\1" + body.body for body in samples.bodies() if body.coder.model is None]


def _bodies_with_models() -> list[bytes]:
    bodies = [body for body in samples.bodies() if body.coder.model is not None]
    return [bytes([number]) + body.body for number, body in enumerate(bodies)]


def _models() -> list[bytes]:
    return [sample.data for sample in samples.models()]


@cache
def _parts() -> list[files.ModelFile]:
    return [files.ModelFile.parse(data) for data in _models()]


def _manifests() -> list[bytes]:
    """Those of the models, and of one that may be taken unasked."""
    found = [parts.manifest for parts in _parts()]
    suits = b'{"suits":{"axes":["yxc","tyxc"],"dtypes":["uint8"],"fidelity":["quality"],"later":[1]},'
    return [*found, suits + found[0].removeprefix(b"{")]


def _after_count(seeds: list[bytes]) -> Callable[[], list[bytes]]:
    return lambda: [b"\x07\0" + seed for seed in seeds]


_TREES = [
    bytes.fromhex(text) for text in ("00", "010001020304050607", "072c01010001000000", "0203010001010001", "0885000b00c4010009")
]

TARGETS = {
    "varint": Target(_varint),
    "stream": Target(_stream, _after_count(_TREES)),
    "groups": Target(
        _groups, _after_count([b"\1\x30\1\1\0\5\1" + b"\0" * 46] + [b"\1\x30\7" + tree + b"\0" * 47 for tree in _TREES])
    ),
    "residual": Target(_residual, _after_count([b"\0" + tree for tree in _TREES] + [b"\1\0\1\x30\x10\0" + b"\0" * 47])),
    "latents": Target(_latents, _latents_seeds),
    "low-bits": Target(_low_bits, _after_count([b"", b"\0" * 40])),
    "bytes": Target(_bytes, _after_count([b"\3" + b"\0" * 56, b"\0", b"\1", b"\2"])),
    "zstd": Target(_zstd, lambda: [b"\x64\0\0\0" + bytes.fromhex("000045000010616101003f012c")]),
    "integers": Target(_integers, lambda: [b"\0\0\1\7\0\0\0", b"\1\x10\2\0" + np.float64(1).tobytes() + b"\0\2\0\0"]),
    "sections": Target(_sections),
    "chunk": Target(_chunk, _bodies, 1 << 13),
    "chunk-with-model": Target(_chunk_with_model, _bodies_with_models, 1 << 13),
    "layout": Target(_layout, lambda: [b"\4" + p for p in _payloads(files.INDEX)] + [b"\3" + p for p in _payloads(files.END)]),
    "header": Target(_header, lambda: _payloads(files.HEADER)),
    "manifest": Target(_manifest, _manifests),
    "graph": Target(_graph, lambda: [parts.parts[k] for parts in _parts() for k in (1, 3, 5, 6) if k in parts.parts], 1 << 14),
    "sealed-model": Target(_sealed_model, lambda: [p.manifest + b"\0" + p.parts[1] for p in _parts()], 1 << 14),
    "sealed-part": Target(_sealed_part, _sealed_parts, 1 << 14),
    "model": Target(_model, _models, 1 << 14),
    "records": Target(_records, lambda: [b"\xff".join(r.payload for r in files.split(d)[1][:1]) for d in _array_files()]),
    "file": Target(_file, _array_files, 1 << 13),
    "lazy": Target(_lazy, _array_files, 1 << 13),
    "incremental": Target(_incremental, _array_files, 1 << 13),
    "splitter": Target(_splitter, _array_files, 1 << 13),
}


def run(name: str, data: bytes) -> bool:
    """Put `data` to a target; True if it was accepted. Anything but AecodecError comes through, warnings too."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            TARGETS[name].run(data)
        except AecodecError:
            return False
    return True
