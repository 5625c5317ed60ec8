"""Container files: cut off anywhere, damaged anywhere, concatenated: the right array or a typed error."""

import io

import numpy as np
import pytest
import xxhash

import aecodec
from aecodec.container.layout import FRAME_SIZE, PREFIX_SIZE, Kind, create_record, parse_frame
from aecodec.container.reader import ContainerReader
from aecodec.container.splitter import RecordSplitter
from aecodec.container.writer import ContainerWriter
from aecodec.errors import AecodecError, FormatError, MissingError, TruncatedError

HEADER = {"axes": "tyx", "dtype": "<i2", "fidelity": {"kind": "lossless"}, "model": None, "shape": [None, 3, 4]}


def written(header=HEADER, chunks=(), metadata=None):
    out = io.BytesIO()
    writer = ContainerWriter(out)
    writer.begin(header, None, metadata)
    for start, count, body in chunks:
        writer.chunk(start, count, body)
    writer.finish()
    return out.getvalue()


def small_file(parts=3):
    """A file of a few chunks, and what it holds."""
    slabs = [np.random.default_rng(i).integers(0, 9, (5, 3, 4)).astype("i2") for i in range(parts)]
    out = io.BytesIO()
    for i, slab in enumerate(slabs):
        with aecodec.open(out, "a" if i else "w", axes="tyx", metadata={"k": 1}) as f:
            f.write(slab)
    return out.getvalue(), np.concatenate(slabs)


def records(data):
    """(offset, kind, end) of each record."""
    at, found = PREFIX_SIZE, []
    while at < len(data):
        frame = parse_frame(data[at : at + FRAME_SIZE])
        found.append((at, frame.kind, at + FRAME_SIZE + frame.length))
        at = found[-1][2]
    return found


def test_a_file_is_its_records_in_order():
    data, array = small_file()
    assert [kind for _, kind, _ in records(data)] == [1, 4, 3, 5, 6, 3, 5, 6, 3, 5, 6]
    assert np.array_equal(aecodec.decompress(data), array)


def test_a_file_cut_off_anywhere_opens_with_its_whole_chunks_or_says_why_not():
    data, array = small_file()
    ends = [end for _, kind, end in records(data) if kind == Kind.CHUNK]
    opened = 0
    for size in range(len(data)):
        try:
            with aecodec.open(io.BytesIO(data[:size])) as f:
                whole = sum(size >= end for end in ends)
                assert f.shape == (5 * whole, 3, 4)
                assert np.array_equal(f[:], array[: 5 * whole])
                assert f.complete == (size in [end for _, kind, end in records(data) if kind == Kind.END])
                opened += 1
        except FormatError:
            assert size < records(data)[1][2], f"cut at {size}: header and metadata are whole"
    assert opened > len(data) // 2


@pytest.mark.parametrize("array", [np.array(3.5), np.arange(3.0)])
def test_an_array_without_a_stream_axis_cut_off_before_its_chunk_is_an_error(array):
    data = aecodec.compress(array, axes="c" * array.ndim)
    end = next(end for _, kind, end in records(data) if kind == Kind.CHUNK)
    for size in range(len(data)):
        if size < end:
            with pytest.raises(FormatError):
                aecodec.decompress(data[:size])
        else:
            assert np.array_equal(aecodec.decompress(data[:size]), array)


def test_every_changed_byte_gives_the_right_array_or_a_typed_error():
    data, array = small_file()
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 0x55
        try:
            restored = aecodec.decompress(bytes(damaged))
        except AecodecError:
            continue
        assert np.array_equal(restored, array[: len(restored)])


def test_a_damaged_index_is_replaced_by_a_scan():
    data, array = small_file()
    offset = [at for at, kind, _ in records(data) if kind == Kind.INDEX][-1]
    damaged = bytearray(data)
    damaged[offset + FRAME_SIZE] ^= 1
    with aecodec.open(io.BytesIO(damaged)) as f:
        assert not f.complete
        assert np.array_equal(f[:], array)


def test_bytes_after_the_end_are_a_typed_error_or_ignored():
    data, array = small_file()
    for tail in (b"\0", b"trailing text", data[:20]):
        try:
            assert np.array_equal(aecodec.decompress(data + tail), array)
        except FormatError:
            continue


def test_records_of_unknown_kind_are_skipped():
    data, array = small_file(1)
    end = next(end for _, kind, end in records(data) if kind == Kind.CHUNK)
    unknown = bytearray(create_record(Kind.CHUNK, 9, b"from the future"))
    unknown[4] = 99
    unknown[28:32] = (xxhash.xxh64_intdigest(bytes(unknown[:28])) & 0xFFFFFFFF).to_bytes(4, "little")
    assert np.array_equal(aecodec.decompress(data[:end] + bytes(unknown), on_error="skip"), array)
    decompressor = aecodec.Decompressor()
    assert np.array_equal(np.concatenate(decompressor.decompress(data[:end] + bytes(unknown) + data[end:])), array)


def test_chunks_that_are_missing_are_refused():
    constant = b"\x01\x00\x00"
    for chunks, gap in (([(5, 5, constant)], "0 to 4"), ([(0, 5, constant), (6, 5, constant)], "5")):
        with pytest.raises(MissingError, match=f"steps {gap} of axis 't' are missing: no sound chunk is there"):
            aecodec.decompress(written(chunks=chunks))
        with pytest.raises(FormatError, match="is next: chunks are missing or out of order"):
            aecodec.Decompressor().decompress(written(chunks=chunks))


def test_an_index_that_disagrees_with_its_chunk_is_refused():
    data = written(chunks=[(0, 5, b"\x01\x00\x00"), (5, 4, b"\x01\x00\x00")])
    reader = ContainerReader(io.BytesIO(data))
    reader.index.counts[1] = 9
    with pytest.raises(FormatError, match=r"chunk 1 holds steps 5\+4, not what the index says"):
        reader.chunk(1)
    reader.index.offsets[0] = 12
    with pytest.raises(FormatError, match="record of kind 1 at offset 12, chunk expected"):
        reader.chunk(0)


@pytest.mark.parametrize("split", [1, 7, 32, 1000])
def test_records_come_out_of_a_stream_in_any_portions(split):
    data, _ = small_file()
    splitter = RecordSplitter()
    found = [record for at in range(0, len(data), split) for record in splitter.feed(data[at : at + split])]
    assert [kind for kind, _ in found] == [kind for _, kind, _ in records(data)]
    assert splitter.pending == 0


def test_a_stream_that_ends_early_is_truncation():
    data, _ = small_file()
    decompressor = aecodec.Decompressor()
    decompressor.decompress(data[:-1])
    with pytest.raises(TruncatedError, match="the stream ended early, with 55 bytes of an unfinished record"):
        decompressor.finish()
    decompressor.decompress(data[-1:])
    decompressor.finish()
