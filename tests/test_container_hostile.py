"""Hostile array files, their checksums sound: refused by name before anything is allocated."""

import io
import warnings

import numpy as np
import pytest

import aecodec
from aecodec.container.writer import ContainerWriter
from aecodec.errors import AecodecError, FormatError

HEADER = {"axes": "tyx", "dtype": "<i2", "fidelity": {"kind": "lossless"}, "model": None, "shape": [None, 3, 4]}


def written(header=HEADER, chunks=(), metadata=None):
    out = io.BytesIO()
    writer = ContainerWriter(out)
    writer.begin(header, None, metadata)
    for start, count, body in chunks:
        writer.chunk(start, count, body)
    writer.finish()
    return out.getvalue()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "<i3"}, "header has unknown dtype '<i3'"),
        ({"dtype": "O"}, "header has unknown dtype 'O'"),
        ({"dtype": 7}, "header has unknown dtype '7'"),
        ({"dtype": "<i16"}, "malformed header: "),
        ({"shape": "abc"}, "header shape must be a list of at most 32 sizes"),
        ({"shape": [1] * 33}, "header shape must be a list of at most 32 sizes"),
        ({"shape": [None, 3, -4]}, "header has shape [None, 3, -4]; sizes must be whole numbers of 0 or more"),
        ({"shape": [None, 3, True]}, "header has shape [None, 3, True]; sizes must be whole numbers of 0 or more"),
        ({"shape": [None, 3, 2**62]}, "sizes must be whole numbers of 0 or more"),
        ({"shape": [None, None, 4]}, "sizes must be whole numbers of 0 or more"),
        ({"shape": [None, 3]}, "malformed header: axes='tyx' names 3 dimension(s) but the array has 2"),
        ({"axes": 3}, "malformed header: axes must be a string"),
        ({"axes": "tyq"}, "malformed header: axes='tyq' has unknown letter(s) q"),
        ({"fidelity": {"kind": "best"}}, "malformed header: unknown fidelity record"),
        ({"model": "abc"}, "header names a model by something other than a SHA-256"),
        ({"model": ["0" * 64]}, "header names a model by something other than a SHA-256"),
    ],
)
def test_hostile_headers_are_refused(change, message):
    with pytest.raises(FormatError) as caught:
        aecodec.decompress(written({**HEADER, **change}))
    assert message in str(caught.value)


@pytest.mark.parametrize("key", ["axes", "dtype", "fidelity", "model", "shape"])
def test_a_header_without_one_of_its_keys_is_refused(key):
    with pytest.raises(FormatError) as caught:
        aecodec.decompress(written({k: v for k, v in HEADER.items() if k != key}))
    assert str(caught.value) == f"header lacks {key!r}"


@pytest.mark.parametrize("shape", [[None, 2**31, 2**31], [None, 2**20, 2**20], [None, 2**61, 2**61], [None, 2**17, 2**17]])
@pytest.mark.parametrize("count", [1, 2**10, 2**62])
def test_declared_sizes_are_refused_before_anything_is_allocated(shape, count):
    constant, stored, lattice = "010000", "0003" + "00" * 8, "0200" + "000000000000f03f" + "00" + "020000"
    for body in (constant, stored, lattice):
        data = written({**HEADER, "shape": shape}, [(0, count, bytes.fromhex(body))])
        with pytest.raises(AecodecError):
            aecodec.decompress(data)
        with pytest.raises(AecodecError):
            aecodec.Decompressor().decompress(data)


@pytest.mark.parametrize("seed", range(6))
def test_hostile_chunk_bodies_give_an_array_or_a_typed_error(seed):
    random = np.random.default_rng(seed)
    for _ in range(150):
        mode = bytes([random.integers(0, 5)])
        lattice = b"\0" + np.float64(random.choice([1.0, 0.5, np.nan, 0.0, -1.0])).tobytes() if mode == b"\2" else b""
        ladder = np.float64(random.choice([0.5, 1e-9, np.inf])).tobytes() if mode == b"\4" else b""
        body = mode + lattice + ladder + random.integers(0, random.choice([3, 256]), random.integers(0, 40)).astype("u1").tobytes()
        header = {**HEADER, "dtype": str(random.choice(["<i2", "<f4", "<u8", "|b1"]))}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            try:
                assert aecodec.decompress(written(header, [(0, 2, body)])).shape == (2, 3, 4)
            except AecodecError:
                continue


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("63", "unknown chunk mode 99"),
        ("0220" + "00" * 20, "chunk uses unknown flags 0x20"),
        ("0200" + "000000000000f07f", "lattice step that is not positive"),
        ("0200" + "0000000000000000", "lattice step that is not positive"),
        ("0200" + "000000000000f03f" + "11", "chunk names unknown predictor 17"),
        ("0200" + "000000000000f03f" + "10" + "0102", None),
        ("0200" + "000000000000f03f" + "10" + "0102030405", None),
        ("0310" + "00" * 20, "chunk uses unknown flags 0x10"),
        ("04" + "000000000000f03f", "ladder error 1.0 is outside 1e-06 to 1"),
        ("04" + "000000000000e03f" + "10", "chunk names unknown predictor 16"),
        ("01" + "000000", "1 unexpected bytes after the end"),
        ("0200" + "000000000000f03f" + "00" + "020000" + "ff", "1 unexpected bytes after the end"),
        ("0200" + "000000000000f03f" + "00" + "03000000", "1 unexpected bytes after the end"),
        ("0202" + "000000000000f03f" + "00" + "020000" + "02010018", None),
        ("0202" + "000000000000f03f" + "00" + "020000" + "0100", "non-finite values in an array of int16"),
        ("0204" + "000000000000f03f" + "00" + "020000" + "020100", None),
    ],
)
def test_each_check_of_a_chunk_has_its_message(body, message):
    with pytest.raises(FormatError) as caught:
        aecodec.decompress(written(chunks=[(0, 2, bytes.fromhex(body))]))
    assert message is None or message in str(caught.value)


def test_a_chunk_with_latents_needs_a_model():
    body = bytes.fromhex("0201" + "000000000000f03f")
    with pytest.raises(AecodecError, match="the chunk has latents, but the file names no model"):
        aecodec.decompress(written(chunks=[(0, 2, body)]))
