"""Chains of indexes: bounded memory while writing, short chains after many appends, right offsets throughout."""

import io
import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aecodec
from aecodec.container import chain
from aecodec.container import writer as writing
from aecodec.container.layout import FRAME_SIZE, PREFIX_SIZE, Kind, parse_frame, parse_index
from aecodec.container.reader import ContainerReader
from aecodec.container.tail import find_tail
from aecodec.container.writer import ContainerWriter
from aecodec.errors import ChecksumError, FormatError

HEADER = {"axes": "t", "dtype": "<i8", "fidelity": {"kind": "lossless"}, "model": None, "shape": [None]}


class Void:
    """Takes all and keeps nothing but the count."""

    def __init__(self):
        self.size = 0

    def write(self, data):
        self.size += len(data)


def constant(value=0):
    return b"\1" + value.to_bytes(8, "little")


def appended(out, chunks):
    """`chunks` chunks of one step each at the end of `out`, which may be empty."""
    writer = ContainerWriter(out)
    if out.getbuffer().nbytes:
        tail = find_tail(out)
        writer.continue_from(tail)
        out.seek(tail.base + tail.length)
    else:
        writer.begin(HEADER, None, None)
    for start in range(writer.steps, writer.steps + chunks):
        writer.chunk(start, 1, constant(start))
    writer.finish()


def index_records(data):
    """(offset, chunks, previous) of every index record."""
    found, at = [], PREFIX_SIZE
    while at < len(data):
        frame = parse_frame(data[at : at + FRAME_SIZE])
        if frame.kind == Kind.INDEX:
            index, previous = parse_index(data[at + FRAME_SIZE : at + FRAME_SIZE + frame.length])
            found.append((at, index.starts.size, previous))
        at += FRAME_SIZE + frame.length
    return found


def chain_of(data):
    """Sizes of the records that the last one leads to, the oldest first."""
    records = {at: (size, previous) for at, size, previous in index_records(data)}
    at, sizes = max(records), []
    while at:
        size, at = records[at]
        sizes.append(size)
    return sizes[::-1]


def test_a_record_is_written_every_65536_chunks():
    out = io.BytesIO()
    appended(out, 2 * 65_536 + 5)
    data = out.getvalue()
    assert [size for _, size, _ in index_records(data)] == [65_536, 65_536, 5]
    assert chain_of(data) == [65_536, 65_536, 5]
    reader = ContainerReader(out)
    assert reader.complete
    assert np.array_equal(reader.index.starts, np.arange(2 * 65_536 + 5))
    for number in (0, 65_535, 65_536, 131_071, 131_072, 131_076):
        assert bytes(reader.chunk(number).body) == constant(number)


def test_a_file_of_just_65536_chunks_has_one_index():
    out = io.BytesIO()
    appended(out, 65_536)
    assert [size for _, size, _ in index_records(out.getvalue())] == [65_536]


def test_memory_is_bounded_whatever_the_number_of_chunks(monkeypatch):
    for module in (chain, writing):
        monkeypatch.setattr(module, "RECORD_CHUNKS", 4096)
    sink = Void()
    writer = ContainerWriter(sink)
    writer.begin(HEADER, None, None)
    peaks = []
    tracemalloc.start()
    try:
        for block in range(3):
            tracemalloc.reset_peak()
            for start in range(block * 10_000, (block + 1) * 10_000):
                writer.chunk(start, 1, b"\1")
            peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    writer.finish()
    assert writer.offset == sink.size
    assert max(peaks) < 1 << 20
    assert peaks[2] < 1.1 * peaks[1] + (1 << 16)


def test_a_million_chunks_wait_in_no_list():
    index = chain.IndexChain()
    taken = 0
    for number in range(1_000_000):
        if len(index) >= chain.RECORD_CHUNKS:
            columns, previous = index.take()
            assert previous == taken
            taken += 1
            index.listed(taken)
            assert columns.starts.size == 65_536
        index.add(number, number, 1)
    assert (taken, len(index)) == (15, 1_000_000 - 15 * 65_536)


def test_chains_of_many_short_appends_stay_logarithmic():
    out = io.BytesIO()
    for number in range(200):
        appended(out, 1)
        sizes = chain_of(out.getvalue())
        assert sum(sizes) == number + 1
        assert len(sizes) <= (number + 1).bit_length()
    listed = sum(size for _, size, _ in index_records(out.getvalue()))
    assert listed < 200 * 9
    assert np.array_equal(aecodec.decompress(out.getvalue()), np.arange(200))


def test_appends_that_get_shorter_by_one_do_not_make_a_long_chain():
    out = io.BytesIO()
    for chunks in range(60, 0, -1):
        appended(out, chunks)
    assert len(chain_of(out.getvalue())) < 12
    assert np.array_equal(ContainerReader(out).index.starts, np.arange(60 * 61 // 2))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=12), st.integers(1, 20))
def test_any_appends_list_every_chunk_once_in_order(appends, limit):
    with pytest.MonkeyPatch.context() as patch:
        for module in ("chain", "writer", "tail"):
            patch.setattr(f"aecodec.container.{module}.RECORD_CHUNKS", limit)
        out = io.BytesIO()
        for chunks in appends:
            appended(out, chunks)
    reader = ContainerReader(out)
    assert reader.complete
    assert np.array_equal(reader.index.starts, np.arange(sum(appends)))
    sizes = chain_of(out.getvalue())
    assert max(sizes) <= limit
    for older, newer in itertools.pairwise(sizes):
        assert older >= min(limit, 2 * newer) or newer == limit or older == limit
    for number in range(sum(appends)):
        assert bytes(reader.chunk(number).body) == constant(number)


def test_a_full_record_is_never_listed_again():
    out = io.BytesIO()
    appended(out, 65_536)
    before = out.getbuffer().nbytes
    appended(out, 1)
    assert out.getbuffer().nbytes - before < 200
    assert chain_of(out.getvalue()) == [65_536, 1]


def test_a_finished_file_that_gets_nothing_more_stays_as_it_is():
    out = io.BytesIO()
    appended(out, 3)
    before = out.getvalue()
    appended(out, 0)
    assert out.getvalue() == before


def test_a_chain_that_leads_nowhere_is_replaced_by_the_records_themselves():
    out = io.BytesIO()
    for chunks in (4, 1):
        appended(out, chunks)
    data = bytearray(out.getvalue())
    first = index_records(bytes(data))[0][0]
    data[first + FRAME_SIZE + 2] ^= 1
    with pytest.raises(ChecksumError, match=f"the file is damaged at offset {first} "):
        find_tail(io.BytesIO(data))
    assert ContainerReader(io.BytesIO(out.getvalue())).complete


def test_an_index_that_names_a_later_one_is_refused():
    sound = io.BytesIO()
    appended(sound, 2)
    tail = find_tail(sound)
    out = io.BytesIO(sound.getvalue())
    writer = ContainerWriter(out)
    writer.continue_from(tail)
    out.seek(tail.length)
    writer._chain.resume(10**6, [], writer._chain.take()[0])
    writer.chunk(2, 1, constant(2))
    writer.finish()
    again = find_tail(out)  # by its records
    assert (again.complete, again.steps, again.unlisted.starts.tolist()) == (False, 3, [0, 1, 2])


def test_the_tail_of_what_is_no_array_file_is_refused():
    with pytest.raises(FormatError, match="not an aecodec file"):
        find_tail(io.BytesIO(b"something else, long enough"))
    with pytest.raises(FormatError, match="the file ends before its header does"):
        find_tail(io.BytesIO(b"\x89AEC\r\n\x1a\n\1\1Z\0"))
