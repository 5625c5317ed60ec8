"""Small files that declare or expand to far more than they hold: a typed error, or the array, and never the memory declared."""

import dataclasses
import functools
import io
import json
import subprocess
import sys

import numpy as np
import pytest
from graphs import floats, graph_of, ints, node
from test_trust import WEIGHTS, inexact

import aecodec
from aecodec.container.layout import (
    ARRAY_FILE,
    END_SIZE,
    Index,
    Kind,
    create_end,
    create_index,
    create_prefix,
    create_record,
)
from aecodec.container.writer import ContainerWriter
from aecodec.packing import zstd
from aecodec.packing.varint import put_varint

GROWTH_ALLOWED_MB = 160
ZEROS = 1 << 30
HEADER = {"axes": "tyx", "dtype": "<i2", "fidelity": {"kind": "lossless"}, "model": None, "shape": [None, 3, 4]}

READ = """
import io, json, resource, sys
import aecodec
from aecodec.errors import AecodecError

def ways(data, limits):
    yield lambda: aecodec.decompress(data, limits=limits)
    yield lambda: [None for _ in aecodec.open(io.BytesIO(data), limits=limits, threads=1).slabs()]
    yield lambda: aecodec.open(io.BytesIO(data), limits=limits)[0]
    yield lambda: aecodec.Decompressor(limits=limits).decompress(data)
    yield lambda: aecodec.load_model(data, limits=limits)

def outcome(way):
    try:
        way()
    except AecodecError as error:
        return type(error).__name__
    return "read"

results = {}
before = None
for name, path, limits in json.load(sys.stdin):
    data = open(path, "rb").read()
    before = before or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = [outcome(way) for way in ways(data, aecodec.Limits(**limits))]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    results[name] = [found, grown >> 10]
    if name == "sound":
        before = None  # everything is imported now
print(json.dumps(results))
"""


def written(header=HEADER, chunks=(), model=None):
    """An array file of these records, its frames sound."""
    out = io.BytesIO()
    writer = ContainerWriter(out)
    writer.begin(header, model, None)
    for start, count, body in chunks:
        writer.chunk(start, count, body)
    writer.finish()
    return out.getvalue()


def section(content):
    out = bytearray()
    put_varint(out, len(content))
    return bytes(out) + content


@functools.cache
def bomb():
    """A zstd frame of some kilobytes that expands to a gibibyte."""
    frame = zstd.compress(bytes(ZEROS), 3)
    assert len(frame) < 1 << 17
    return frame


def latents_chunk(bundle):
    """A file whose one chunk wants `bundle`'s decoder: all symbols zero."""
    header = {**HEADER, "dtype": "<f4", "model": bundle.id, "fidelity": {"kind": "psnr", "value": 40, "ranges": [[0, 1]]}}
    groups = bytes([1, 48]) + b"\x00"
    return written(header, [(0, 2, b"\x03\x00\x01" + section(groups))], bundle.to_bytes())


def with_parts(joined_size, frame):
    """A model file whose parts are another frame."""
    bundle = inexact(graph_of([node("MatMul", "x w", "a"), node("Reshape", "a s")], WEIGHTS))
    data = bundle.to_bytes()
    length = int.from_bytes(data[24:32], "little")
    out = bytearray()
    put_varint(out, joined_size)
    return data[: 44 + length] + create_record(Kind.PART, 1, bytes(out) + frame)


def huge_reference():
    """A model of a few hundred bytes that declares a reference field of 512 MiB."""
    bundle = inexact(graph_of([node("MatMul", "x w", "a"), node("Reshape", "a s")], WEIGHTS))
    part = np.ones(1).tobytes() + b"\x00\x00"
    manifest = dataclasses.replace(bundle.manifest, reference=(1, 1 << 13, 1 << 13))
    return dataclasses.replace(bundle, manifest=manifest, stored_reference=part, reference=np.zeros((1, 1, 1))).sealed().to_bytes()


def far_graph(op):
    """A decoder with an intermediate tensor of 100 GB, or constants that grow to it."""
    if op == "Pad":
        nodes = [node("Pad", "x p", "b"), node("Slice", "b z e i", "c"), node("MatMul", "c w", "a"), node("Reshape", "a s")]
        return inexact(graph_of(nodes, {**WEIGHTS, "p": ints(0, 0, 0, 25 * 10**9), "z": ints(0), "e": ints(4), "i": ints(1)}))
    nodes = [node("Concat", "c0 c0", "c1", axis=0)]
    nodes += [node("Concat", f"c{i} c{i}", f"c{i + 1}", axis=0) for i in range(1, 34)]
    nodes += [node("Gather", "c34 o", "w", axis=0), node("MatMul", "x w", "a"), node("Reshape", "a s")]
    return inexact(graph_of(nodes, {"c0": floats(4, 6), "o": ints(0, 1, 2, 3), "s": WEIGHTS["s"]}))


def index_bomb():
    """A sound file whose index lists a million chunks that are not there."""
    count = 1 << 20
    whole = written(chunks=[(0, 1, CONSTANT)])
    body = whole[: whole.index(b"\xe7REC\x05")]
    columns = Index(np.zeros(count, np.int64), np.arange(count), np.ones(count, np.int64))
    record = create_record(Kind.INDEX, 2, create_index(columns))
    return body + record + create_record(Kind.END, 3, create_end(len(body), len(body) + len(record) + END_SIZE))


def one(body, shape=(None, 3, 4), count=1, **header):
    """A file of one chunk."""
    return written({**HEADER, "shape": list(shape), **header}, [(0, count, body)])


def stream_bomb():
    return one(b"\x02\x00" + np.float64(1).tobytes() + b"\x00" + section(b"\x00\x01" + section(bomb())))


def index_frames():
    whole = written(chunks=[(0, 1, CONSTANT)])
    record = create_record(Kind.INDEX, 3, b"\x01" + section(b"\x00" + bomb()) * 3)
    at = len(whole) - END_SIZE
    return whole[:at] + record + create_record(Kind.END, 4, create_end(at, at + len(record) + END_SIZE))


def json_bomb():
    return create_prefix(ARRAY_FILE) + create_record(Kind.HEADER, 0, b'{"a":[' + b"[]," * (1 << 23) + b"[]]}")


def many_constants():
    return written({**HEADER, "shape": [None, 1 << 11, 1 << 11]}, [(i, 1, CONSTANT) for i in range(99)])


def zeros(side):
    """A chunk of some bytes that is a large array of zeros by summing them."""
    return one(b"\x02\x00" + np.float64(1).tobytes() + b"\x0f" + section(b"\x00\x00"), (None, side, 1 << 12), dtype="|u1")


CONSTANT, EMPTY = b"\x01\x07\x00", b"\x00\x03"
SMALL = {"chunk_bytes": 1 << 24, "array_bytes": 1 << 24}
REFUSED = None
READ_ALL = ["read"] * 4
# name -> bytes, limits, and what decompress, slabs, an item and the stream give: REFUSED is an error from all
CASES = {
    "2**60 values": (lambda: one(CONSTANT, (None, 1 << 30, 1 << 29), 2), {}, REFUSED),
    "2**60 steps": (lambda: one(CONSTANT, count=1 << 60), {}, REFUSED),
    "2**60 steps of nothing": (lambda: one(EMPTY, (None, 0, 4), 1 << 60), {}, REFUSED),
    "2**60 channels of nothing": (lambda: one(EMPTY, (None, 1 << 60, 0), axes="tcy"), {}, REFUSED),
    "a constant chunk": (lambda: one(CONSTANT, (None, 1 << 12, 1 << 11)), SMALL, READ_ALL),
    "constant chunks": (many_constants, SMALL, ["LimitError", "read", "read", "LimitError"]),
    "a lattice of zeros": (lambda: zeros(1 << 12), {"work_bytes": (1 << 24) * 48}, READ_ALL),
    "a lattice of zeros, just too large": (lambda: zeros((1 << 12) + 1), {"work_bytes": (1 << 24) * 48}, REFUSED),
    "a chunk just too large": (lambda: one(CONSTANT, (None, 1 << 12, (1 << 11) + 1)), SMALL, REFUSED),
    "bytes that expand": (lambda: one(b"\x00\x00" + bomb()), {}, REFUSED),
    "bytes that expand as declared": (lambda: one(b"\x00\x00" + bomb(), (None, 1 << 14, 1 << 15)), SMALL, REFUSED),
    "a stream that expands": (stream_bomb, {}, REFUSED),
    "an index of what is not there": (index_bomb, {}, READ_ALL),
    "an index that expands": (index_frames, {}, READ_ALL),
    "model parts that expand": (lambda: with_parts(100, bomb()), {}, REFUSED),
    "model parts that declare": (lambda: with_parts(1 << 40, bomb()), {}, REFUSED),
    "a reference field": (huge_reference, {"reference_values": 1 << 16}, REFUSED),
    "a decoder with a huge tensor": (lambda: latents_chunk(far_graph("Pad")), {}, REFUSED),
    "a decoder with huge constants": (lambda: latents_chunk(far_graph("Concat")), {}, REFUSED),
    "a header of many things": (json_bomb, {}, REFUSED),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What a process of its own made of every case, and by how many MB its peak memory had grown by then."""
    folder = tmp_path_factory.mktemp("hostile")
    files = [("sound", aecodec.compress(np.arange(100.0), axes="t", max_error=0.1), {})]
    files += [(name, make(), limits) for name, (make, limits, _) in CASES.items()]
    for number, (_, data, _) in enumerate(files):
        (folder / str(number)).write_bytes(data)
    listed = json.dumps([(name, str(folder / str(number)), limits) for number, (name, _, limits) in enumerate(files)])
    done = subprocess.run([sys.executable, "-c", READ], input=listed, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["sound"][0] == [*READ_ALL, "FormatError"]
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read in Linux's unit")
@pytest.mark.parametrize("name", CASES)
def test_what_is_declared_is_not_allocated(results, name):
    found, grown = results[name]
    expected = CASES[name][2]
    assert grown < GROWTH_ALLOWED_MB, found
    assert found[:4] == expected if expected else "read" not in found, found
