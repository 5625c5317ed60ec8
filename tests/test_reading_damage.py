"""Damage: one byte costs one chunk at most, what is missing is named, the rest is read when asked for."""

import contextlib
import io
import pickle
import warnings

import numpy as np
import pytest
import xxhash
from chunked import chunked, flipped, records, skipping, spans, steps
from hypothesis import given, settings
from hypothesis import strategies as st

import aecodec
from aecodec import MissingError, MissingWarning
from aecodec.container.layout import FRAME_SIZE, PREFIX_SIZE, Kind, create_record
from aecodec.container.reader import ContainerReader
from aecodec.container.records import parse_chunk_head
from aecodec.container.walk import Damage, Found, Walk
from aecodec.container.writer import ContainerWriter
from aecodec.errors import AecodecError, ChecksumError, FormatError, ModelError, TruncatedError, UsageError

ARRAY = steps(30)
WHOLE = chunked(ARRAY, "tx", 5, metadata={"k": 1})
CHUNKS = spans(WHOLE, Kind.CHUNK)
FIRST_CHUNK = CHUNKS[0][0]
AFTER_CHUNKS = CHUNKS[-1][1]


def sound(data):
    """The steps that a skipping reader gives, all of them right."""
    with warnings.catch_warnings(), skipping(data) as f:
        warnings.simplefilter("ignore", MissingWarning)
        return {
            step
            for start, slab in f.slabs()
            for step in range(start, start + len(slab))
            if (slab[step - start] == ARRAY[step]).all()
        }


def test_the_file_of_these_tests_has_six_chunks():
    assert len(CHUNKS) == 6
    assert np.array_equal(aecodec.decompress(WHOLE), ARRAY)


def test_every_changed_byte_from_the_first_chunk_on_costs_at_most_its_chunk():
    for at in range(FIRST_CHUNK, len(WHOLE)):
        lost = [n for n, (start, end) in enumerate(CHUNKS) if start <= at < end]
        expected = set(range(30)) - {step for n in lost for step in range(5 * n, 5 * n + 5)}
        assert sound(flipped(WHOLE, at)) == expected, at


@pytest.mark.parametrize("at", [AFTER_CHUNKS + 2, AFTER_CHUNKS + FRAME_SIZE, len(WHOLE) - 50, len(WHOLE) - 3])
def test_every_changed_byte_of_a_chunk_costs_that_chunk_also_without_an_index(at):
    without = flipped(WHOLE, at)
    for place in range(FIRST_CHUNK, AFTER_CHUNKS):
        lost = next(n for n, (_, end) in enumerate(CHUNKS) if place < end)
        assert sound(flipped(without, place)) == set(range(30)) - set(range(5 * lost, 5 * lost + 5)), place


def test_nothing_but_typed_errors_and_right_steps_by_default():
    for at in range(len(WHOLE)):
        try:
            restored = aecodec.decompress(flipped(WHOLE, at))
        except AecodecError:
            continue
        assert np.array_equal(restored, ARRAY), at
    for size in range(len(WHOLE)):
        with pytest.raises(AecodecError):
            aecodec.decompress(WHOLE[:size])


def test_a_damaged_chunk_is_named_with_its_steps_and_the_remedy():
    with aecodec.open(io.BytesIO(flipped(WHOLE, CHUNKS[2][1] - 1)), threads=1) as f:
        assert f.shape == (30, 6)
        assert f.missing == []
        assert np.array_equal(f[15:], ARRAY[15:])
        assert np.array_equal(f[[0, 9, 29]], ARRAY[[0, 9, 29]])
        for read in (lambda: f[:], lambda: f[12], lambda: f.read(), lambda: list(f), lambda: np.asarray(f)):
            with pytest.raises(MissingError) as caught:
                read()
            assert str(caught.value) == (
                "chunk 2, which holds steps 10 to 14 of axis 't', is damaged: record 4 is damaged: its checksum does not match; "
                'read the rest with on_error="skip", or save it to a new file with `aecodec recover`'
            )
            assert (caught.value.start, caught.value.stop, caught.value.chunk) == (10, 15, 2)
        assert f.missing == [(10, 15)]
    travelled = pickle.loads(pickle.dumps(caught.value))
    assert (str(travelled), travelled.start, travelled.stop, travelled.chunk) == (str(caught.value), 10, 15, 2)


def gap():
    """Chunk 2 has no sound frame and there is no end: a scan finds the rest."""
    return flipped(WHOLE, [CHUNKS[2][0] + 9, len(WHOLE) - 1])


def test_a_gap_is_known_when_a_file_is_opened_and_raises_where_it_is_touched():
    with aecodec.open(io.BytesIO(gap()), threads=1) as f:
        assert (f.shape, f.missing, f.complete) == ((30, 6), [(10, 15)], False)
        assert np.array_equal(f[:10], ARRAY[:10])
        assert np.array_equal(f[15::3], ARRAY[15::3])
        assert np.array_equal(f[9:30:6], ARRAY[9:30:6])
        assert np.array_equal(f[29:14:-2], ARRAY[29:14:-2])
        for index in (12, slice(9, 11), slice(None, None, -1), slice(2, 30, 5), [0, 14], slice(29, 0, -5)):
            with pytest.raises(MissingError, match="steps 10 to 14 of axis 't' are missing: no sound chunk is there"):
                f[index]
        with pytest.raises(MissingError):
            f.read()
        assert next(f.slabs())[0] == 0
        with pytest.raises(MissingError):
            list(f.slabs())


def test_skipping_gives_what_is_sound_and_says_what_it_left_out():
    for data in (gap(), flipped(WHOLE, CHUNKS[2][1] - 1)):
        with skipping(data) as f:
            kept = np.delete(ARRAY, range(10, 15), axis=0)
            for read in (f.read, lambda: np.stack(list(f)), lambda: np.asarray(f)):
                with pytest.warns(MissingWarning, match="steps 10 to 14 of axis 't' are damaged or missing and were left out"):
                    assert np.array_equal(read(), kept)
            with pytest.warns(MissingWarning):
                assert [start for start, _ in f.slabs()] == [0, 5, 15, 20, 25]
            assert f.missing == [(10, 15)]
            out = np.full(f.shape, -1)
            with pytest.warns(MissingWarning):
                assert f.read(out) is out
            assert np.array_equal(out[:10], ARRAY[:10])
            assert (out[10:15] == -1).all()
            assert np.array_equal(out[15:], ARRAY[15:])
            with pytest.raises(MissingError):
                f[10]
    with pytest.warns(MissingWarning):
        assert len(aecodec.decompress(gap(), on_error="skip")) == 25


def test_along_an_inner_axis_too():
    array = np.ascontiguousarray(ARRAY.T)
    data = chunked(array, "xt", 5)
    with skipping(flipped(data, spans(data, Kind.CHUNK)[0][1] - 1)) as f, pytest.warns(MissingWarning):
        read = f.read()
    assert read.flags.c_contiguous
    assert np.array_equal(read, array[:, 5:])


def test_bytes_that_end_early_are_an_error_unless_asked_to_be_skipped():
    cut = WHOLE[: CHUNKS[3][1] + 7]
    with pytest.raises(TruncatedError) as caught:
        aecodec.decompress(cut)
    assert str(caught.value) == (
        'the end is missing or damaged: an array of (20, 6) is there, more may have followed; on_error="skip" reads that'
    )
    assert np.array_equal(aecodec.decompress(cut, on_error="skip"), ARRAY[:20])
    with aecodec.open(io.BytesIO(cut)) as f:
        assert np.array_equal(f[:], ARRAY[:20])


def test_on_error_is_raise_or_skip():
    with pytest.raises(UsageError, match="on_error='ignore' is unknown; use 'raise' or 'skip'"):
        aecodec.open(io.BytesIO(WHOLE), on_error="ignore")


def test_without_its_header_a_file_cannot_be_read_and_says_so():
    for at in (PREFIX_SIZE + 3, PREFIX_SIZE + FRAME_SIZE + 5):
        with pytest.raises(ChecksumError) as caught:
            aecodec.open(io.BytesIO(flipped(WHOLE, at)))
        assert str(caught.value).startswith("the header record at byte 12 is damaged (")
        assert "take the file, or at least its beginning up to the first chunk, from a copy" in str(caught.value)


def test_damaged_metadata_hide_nothing_else():
    at = spans(WHOLE, Kind.METADATA)[0][0]
    for place in (at + 2, at + FRAME_SIZE + 1):
        assert np.array_equal(aecodec.decompress(flipped(WHOLE, place)), ARRAY)
        with aecodec.open(io.BytesIO(flipped(WHOLE, place))) as f, pytest.raises(MissingError, match="the metadata are damaged: "):
            _ = f.metadata
        with skipping(flipped(WHOLE, place)) as f:
            assert f.metadata == {}


def test_a_damaged_model_record_does_no_harm_if_the_model_is_given_or_installed(tmp_path, field, model, monkeypatch):
    data = aecodec.compress(field, model, "tcyx", max_error=0.05)
    at, end = spans(data, Kind.MODEL)[0]
    expected = aecodec.decompress(data)
    for place in (at + 5, at + FRAME_SIZE + 40, (at + end) // 2):
        damaged = flipped(data, place)
        with pytest.raises(ModelError, match=r"the model record in the file is damaged \(.*\): the file needs model"):
            aecodec.decompress(damaged)
        assert np.array_equal(aecodec.decompress(damaged, model=model), expected)
    model.save(tmp_path / "m.aecm")
    monkeypatch.setenv("AECODEC_MODELS", str(tmp_path))
    assert np.array_equal(aecodec.decompress(damaged), expected)


def test_a_chunk_whose_start_or_count_is_damaged_is_found_out_by_its_neighbours():
    for byte in (0, 1):
        for n, (at, _) in enumerate(CHUNKS):
            damaged = flipped(WHOLE, [at + FRAME_SIZE + byte, len(WHOLE) - 1])
            with aecodec.open(io.BytesIO(damaged)) as f:
                assert f.missing == ([(5 * n, 5 * n + 5)] if n < 5 else [])
                assert f.shape[0] == (30 if n < 5 else 25)


def test_the_first_bytes_of_a_chunk_are_its_start_and_count():
    assert parse_chunk_head(bytes.fromhex("ac02 07 00 00")) == (300, 7)
    assert parse_chunk_head(bytes.fromhex("ffffffffffffffff7f 00")) == (2**63 - 1, 0)
    for head in ("", "05", "80", "0580", "80" * 9 + "01" + "00"):
        with pytest.raises(FormatError, match="a chunk begins with no start and count"):
            parse_chunk_head(bytes.fromhex(head))


def test_chunks_that_overlap_are_refused():
    for chunks in ([(0, 5), (4, 5)], [(0, 5), (5, 5), (5, 5)], [(5, 5), (0, 5)]):
        out = io.BytesIO()
        writer = ContainerWriter(out)
        writer.begin({"axes": "t", "dtype": "<i2", "fidelity": {"kind": "lossless"}, "model": None, "shape": [None]}, None, None)
        for start, count in chunks:
            writer.chunk(start, count, b"\x01\0\0")
        writer.finish()
        with pytest.raises(FormatError, match=r"chunks are out of order: the one at byte [0-9]+ starts at [0-9], [0-9]+ is next"):
            aecodec.decompress(out.getvalue())


@pytest.mark.parametrize("dtype", ["|u1", "<i2"])
def test_a_file_inside_a_damaged_chunk_is_not_taken_for_a_part(dtype):
    inner = chunked(np.random.default_rng(0).integers(0, 99, 900).astype(dtype), "t", 300)
    inner += bytes(-len(inner) % 2)
    out = io.BytesIO()
    writer = ContainerWriter(out)
    writer.begin({"axes": "t", "dtype": "|u1", "fidelity": {"kind": "lossless"}, "model": None, "shape": [None]}, None, None)
    for n, stored in enumerate((b"ab" * 50, inner, b"cd" * 50)):
        writer.chunk(100 * n if n < 2 else 100 + len(inner), len(stored), b"\0\3" + stored)
    writer.finish()
    _, middle, _ = spans(out.getvalue(), Kind.CHUNK)
    with aecodec.open(io.BytesIO(flipped(out.getvalue(), [middle[0] + 1, len(out.getvalue()) - 1]))) as f:
        assert f.missing == [(100, 100 + len(inner))]
        assert f[100 + len(inner) :].tobytes() == b"cd" * 50
        assert len(f.container.parts) == 1


def test_thousands_of_files_inside_damage_are_no_error():
    """Each may have lain inside a damaged record of the one before."""
    beginning = b"\0" + WHOLE[:FIRST_CHUNK]
    with aecodec.open(io.BytesIO(WHOLE + 2000 * beginning)) as f:
        assert len(f.container.parts) == 2001
        assert np.array_equal(f[:30], ARRAY)


def test_records_found_behind_damage_are_those_that_were_there():
    data = flipped(WHOLE, [CHUNKS[1][0], CHUNKS[3][0] + 30])
    events = list(Walk(ContainerReader(WHOLE).source.__class__(data), PREFIX_SIZE, len(data)))
    assert [e for e in events if isinstance(e, Damage)] == [Damage(*CHUNKS[1]), Damage(*CHUNKS[3])]
    assert [e.offset for e in events if isinstance(e, Found)] == [
        at for at, _, _ in records(WHOLE) if at not in (CHUNKS[1][0], CHUNKS[3][0])
    ]


def test_damage_across_a_block_border_of_the_search_is_passed():
    junk = np.random.default_rng(0).integers(0, 256, (1 << 20) + 100).astype("u1").tobytes()
    at = CHUNKS[2][0]
    for size in range((1 << 20) - 40, (1 << 20) + 40):
        data = WHOLE[:at] + junk[:size] + WHOLE[at:]
        if size % 8 == 0 or size in range((1 << 20) - 12, (1 << 20) + 12):
            assert ContainerReader(data).index.starts.tolist() == [0, 5, 10, 15, 20, 25]


def test_records_one_inside_the_other_do_not_make_a_scan_slow():
    """A scan that read each declared payload again would read some 400 MB here; so it must stop doing so."""
    framed = bytearray()
    for n in range(1000):
        frame = create_record(Kind.CHUNK, n + 1, b"")[:12] + (40_000 - 40 * n).to_bytes(8, "little") + bytes(8)
        framed += frame + (xxhash.xxh64_intdigest(frame) & 0xFFFFFFFF).to_bytes(4, "little") + bytes(8)
    data = WHOLE[:FIRST_CHUNK] + bytes(framed) + bytes(40_000)

    class Counting:
        def __init__(self) -> None:
            self.read_bytes = 0

        def read(self, offset, size):
            self.read_bytes += min(size, max(0, len(data) - offset))
            return data[offset : offset + size]

    source = Counting()
    list(Walk(source, PREFIX_SIZE, len(data)))
    assert source.read_bytes < 100 * len(data)


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=6), st.data())
@settings(deadline=None, max_examples=150)
def test_whatever_is_changed_no_wrong_step_is_given_out(changes, data):
    damaged = bytearray(WHOLE)
    for at, value in changes:
        damaged[at] = value
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(damaged)))
        del damaged[at : at + data.draw(st.integers(0, 400))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingWarning)
        with contextlib.suppress(AecodecError), skipping(bytes(damaged)) as f:
            for start, slab in f.slabs():
                assert np.array_equal(slab, ARRAY[start : start + len(slab)])
        with contextlib.suppress(AecodecError):
            assert np.array_equal(aecodec.decompress(bytes(damaged)), ARRAY)


@pytest.mark.parametrize("array", [np.array(3.5), np.arange(3.0), np.zeros((0, 3)), np.zeros((2, 0))])
def test_arrays_without_a_stream_axis_are_there_or_not(array):
    data = aecodec.compress(array, axes="c" * array.ndim)
    with skipping(data) as f:
        assert np.array_equal(f.read(), array)
    if array.size:
        damaged = flipped(data, spans(data, Kind.CHUNK)[0][1] - 1)
        with skipping(damaged) as f, pytest.warns(MissingWarning), pytest.raises(MissingError, match=r"^the array is missing: no"):
            f.read()
        with pytest.raises(MissingError, match=r"^chunk 0, which holds the array, is damaged: record "):
            aecodec.decompress(damaged)
