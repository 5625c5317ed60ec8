"""Chunks of other stores, as bytes: what FORMAT.md says of them, every dtype, every damage."""

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aecodec.api.trust import Trust
from aecodec.axes import guess_axes, parse_axes
from aecodec.canonical import ArraySpec
from aecodec.errors import AecodecError, ChecksumError, DtypeError, FormatError, LimitError, VersionError
from aecodec.fidelity import Fidelity
from aecodec.integrations.stored_chunk import chunk_facts, decode_chunk, encode_chunk
from aecodec.limits import Limits

LOSSLESS = Fidelity()


def encode(array, axes=None, described=False, fidelity=LOSSLESS):
    found = parse_axes(axes, array.ndim) if axes else guess_axes(array.shape, array.dtype, True)
    return encode_chunk(array, found, fidelity, None, 5, described)


def decode(data, array=None, axes=None):
    if array is None:
        return decode_chunk(data, lambda: None)
    found = parse_axes(axes, array.ndim) if axes else guess_axes(array.shape, array.dtype, True)
    return decode_chunk(data, lambda: None, ArraySpec(array.dtype, found, array.shape))


def test_constant_in_hex():
    data = encode(np.full((2, 3), 7, "<i4"))
    assert data.hex() == "10" + data[1:5].hex() + "01" + "07000000"  # version 1, checksum, mode 1, the value
    assert chunk_facts(data, 2, 4).mode == "constant"
    assert decode(data, np.empty((2, 3), "<i4")).tolist() == [[7, 7, 7], [7, 7, 7]]


def test_described_in_hex():
    data = encode(np.full((2, 3), 7, ">i2"), "tc", described=True)
    assert data[5:].hex() == "03" + b">i2".hex() + "02" + b"tc".hex() + "0203" + "01" + "0700"
    assert decode(data).dtype == np.dtype(">i2")


def test_padding_in_hex():
    x = np.zeros(64, "<f4")
    x[:4] = [1, 2, 4, 8]
    data = encode(x, "t")
    assert data[0] == 0x11
    assert data[5:10].hex() == "04" + "00000000"  # 4 values, all else is 0
    assert decode(data, x, "t").tolist() == x.tolist()
    assert decode(b"\x10" + forged(b"\x10" + data[1:5] + data[10:])[1:], x[:4], "t").tolist() == [1, 2, 4, 8]


def test_negative_zero_is_no_zero():
    x = np.zeros(64, "<f4")
    x[40] = -0.0
    assert decode(encode(x, "t"), x, "t").tobytes() == x.tobytes()


DTYPES = ["?", "i1", "<i2", ">i4", "<u8", "<f2", ">f4", "<f8", "<c8", ">c16"]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_array_comes_back(data):
    dtype = np.dtype(data.draw(st.sampled_from(DTYPES)))
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
    bits = data.draw(st.binary(min_size=int(np.prod(shape)) * dtype.itemsize, max_size=int(np.prod(shape)) * dtype.itemsize))
    x = np.frombuffer(bits, dtype).reshape(shape) if dtype.kind != "b" else (np.frombuffer(bits, "u1") & 1).view("?").reshape(shape)
    if x.size and data.draw(st.booleans()):
        whole = np.full([size + data.draw(st.integers(0, 9)) for size in shape], data.draw(st.integers(0, 1)), dtype)
        whole[tuple(slice(size) for size in shape)] = x
        x = whole
    if data.draw(st.booleans()):
        x = np.asfortranarray(x).reshape(x.shape)
    described = data.draw(st.booleans())
    stored = encode(x, described=described)
    found = decode(stored) if described else decode(stored, x)
    assert (found.dtype, found.shape) == (x.dtype, x.shape)
    assert found.tobytes() == x.tobytes()
    assert found.flags.f_contiguous if described and x.flags.f_contiguous and x.ndim > 1 else found.flags.c_contiguous


def test_every_byte_of_every_change_is_noticed():
    x = np.zeros((6, 20), "<f4")
    x[:4, :12] = np.random.default_rng(0).normal(size=(4, 12))
    for described in (False, True):
        data = encode(x, "yx", described)
        for at in range(len(data)):
            for bit in (1, 16, 128):
                changed = bytearray(data)
                changed[at] ^= bit
                with pytest.raises(AecodecError):
                    decode(bytes(changed), None if described else x, "yx")
            with pytest.raises(AecodecError):
                decode(data[:at], None if described else x, "yx")


def forged(data, **changes):
    """Bytes with a sound checksum."""
    out = bytearray(data)
    for at, value in changes.items():
        out[int(at[1:])] = value
    out[1:5] = (xxhash.xxh64_intdigest(bytes(out[:1] + out[5:])) & 0xFFFFFFFF).to_bytes(4, "little")
    return bytes(out)


def test_forged_chunks_get_typed_errors():
    x = np.zeros((6, 20), "<f4")
    x[:4, :12] = np.random.default_rng(0).normal(size=(4, 12))
    described = encode(x, "yx", True)
    rng = np.random.default_rng(1)
    for _ in range(2000):
        place = f"_{rng.integers(5, len(described))}"
        data = forged(described, **{place: int(rng.integers(256))})
        try:
            found = decode(data)
        except AecodecError:
            continue
        assert found.nbytes <= 1 << 30


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda d: d[:5], FormatError, "stored chunk of 5 bytes is too short"),
        (lambda d: bytes([0x20]) + d[1:], VersionError, "of version 2, this aecodec reads version 1; upgrade"),
        (lambda d: bytes([0x14]) + d[1:], FormatError, "has an order, but does not describe itself"),
        (lambda d: d[:-1] + b"\xff", ChecksumError, "damaged: its checksum does not match"),
        (lambda d: forged(d, _5=7), FormatError, "padded around a part of|above its limit"),
        (lambda d: forged(d, _5=0), FormatError, "padded around a part of"),
    ],
)
def test_messages(change, error, message):
    x = np.zeros((6, 20), "<f4")
    x[:4, :12] = np.random.default_rng(0).normal(size=(4, 12))
    with pytest.raises(error, match=message):
        decode(change(encode(x, "yx")), x, "yx")


def test_descriptions_are_checked():
    x = np.arange(64, dtype="<i4").reshape(8, 8)
    data = encode(x, "yx", True)
    with pytest.raises(FormatError, match=r"is of int32 \(8, 8\), the store says float32 \(8, 8\)"):
        decode(data, x.astype("<f4"), "yx")
    with pytest.raises(FormatError, match="describes itself as 'zi4'"):
        decode(forged(data, _6=ord("z")))
    with pytest.raises(FormatError, match="describes itself in 33 bytes, at most 32"):
        decode(forged(data + bytes(40), _5=33))
    with pytest.raises(FormatError, match="does not describe itself, and the store does not say"):
        decode(encode(x, "yx"))
    with pytest.raises(LimitError, match="a chunk declares 64 values"):
        decode_chunk(data, lambda: None, None, Trust(Limits(chunk_bytes=100)))
    with pytest.raises(DtypeError, match="holds Python objects"):
        encode(np.array([None]))
