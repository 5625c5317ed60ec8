"""Files put one behind the other read as one array, by index, by scan and as a stream."""

import io

import numpy as np
import pytest
from chunked import chunked, flipped, skipping, spans, steps

import aecodec
from aecodec import MissingError, MissingWarning
from aecodec.container.layout import FRAME_SIZE, Kind
from aecodec.errors import ChecksumError, FormatError, TruncatedError

A, B, C = steps(12), steps(7) + 1000, steps(9) + 2000
FILES = [chunked(A, "tx", 5), chunked(B, "tx", 5, max_error=2, metadata={"n": 2}), chunked(C.astype(">i4"), "tx", 4)]
JOINED, ARRAY = b"".join(FILES), np.concatenate([A, B, C])


def streamed(data, portion):
    decompressor = aecodec.Decompressor()
    slabs = [slab for at in range(0, len(data), portion) for slab in decompressor.decompress(data[at : at + portion])]
    decompressor.finish()
    return np.concatenate(slabs)


def test_parts_read_as_one_array():
    with aecodec.open(io.BytesIO(JOINED)) as f:
        assert (f.shape, f.dtype, f.complete, f.missing) == ((28, 6), np.dtype("<i4"), True, [])
        assert np.abs(f[:] - ARRAY).max() <= 2
        assert np.array_equal(f[:12], A)
        assert np.array_equal(f[19:], C)
        assert np.abs(f[[27, 13, 0]] - ARRAY[[27, 13, 0]]).max() <= 2
        assert [start for start, _ in f.slabs()] == [0, 5, 10, 12, 17, 19, 23, 27]
        assert {slab.dtype for _, slab in f.slabs()} == {np.dtype("<i4")}
        assert [part.base for part in f.container.parts] == [0, len(FILES[0]), len(FILES[0]) + len(FILES[1])]
        assert [chunk.start for chunk in map(f.container.chunk, range(8))] == [0, 5, 10, 0, 5, 0, 4, 8]
    assert np.abs(aecodec.decompress(JOINED) - ARRAY).max() <= 2


@pytest.mark.parametrize("portion", [1, 13, 100_000])
def test_parts_come_out_of_a_stream(portion):
    assert np.abs(streamed(JOINED, portion) - ARRAY).max() <= 2
    assert streamed(JOINED, portion).dtype == np.dtype("<i4")


def test_a_stream_whose_part_was_cut_off_is_refused():
    ends = spans(FILES[0], Kind.END)[0][0]
    with pytest.raises(TruncatedError, match="part 1 of the stream has no end: it was cut off before the next one"):
        aecodec.Decompressor().decompress(FILES[0][:ends] + FILES[2])
    decompressor = aecodec.Decompressor()
    decompressor.decompress(FILES[0] + FILES[2][:-1])
    with pytest.raises(TruncatedError):
        decompressor.finish()


def test_each_part_has_its_own_model_and_fidelity(field, model):
    other = aecodec.fit(field[:6] * 3, axes="tcyx", max_error=0.2, provider="cpu")
    files = [
        aecodec.compress(field, model, "tcyx", max_error=0.05),
        aecodec.compress(field * 3, other, "tcyx", max_error=0.2),
        aecodec.compress(field[:2], False, "tcyx"),
    ]
    assert model.id != other.id
    expected = np.concatenate([field, field * 3, field[:2]])
    for given in (None, model, other):
        with aecodec.open(io.BytesIO(b"".join(files)), model=given) as f:
            assert np.abs(f[:24] - expected[:24]).max() <= 0.05
            assert np.abs(f[24:48] - expected[24:48]).max() <= 0.2
            assert np.array_equal(f[48:], expected[48:])
            assert f.fidelity.value == 0.05
    assert np.abs(streamed(b"".join(files), 10_000) - expected).max() <= 0.2


@pytest.mark.parametrize("lost", [1, 56, 200])
def test_a_part_that_was_cut_off_keeps_its_chunks_before_a_whole_one(lost):
    cut = FILES[0][:-lost]
    chunks = sum(end <= len(cut) for _, end in spans(FILES[0], Kind.CHUNK))
    kept = min(12, 5 * chunks)
    with aecodec.open(io.BytesIO(cut + FILES[2])) as f:
        assert not f.complete
        assert len(f) == kept + len(C)
        assert np.array_equal(f[:kept], A[:kept])
        for read in (lambda: f[kept:], lambda: f[kept], lambda: f[[0, kept]], f.read, lambda: list(f)):
            with pytest.raises(
                MissingError, match=f"lost its end, so that an unknown number of steps is missing before step {kept} "
            ):
                read()
    with aecodec.open(io.BytesIO(cut + FILES[2]), on_error="skip") as f:
        assert np.array_equal(f[:], np.concatenate([A[:kept], C]))
        assert np.array_equal(f.read(), f[:])
    with pytest.raises(FormatError):
        aecodec.decompress(cut + FILES[2])
    with pytest.raises(FormatError):
        streamed(cut + FILES[2], 1000)


def test_parts_without_ends_are_found_by_their_beginnings():
    for end in range(len(FILES[0]) + len(FILES[1]), len(JOINED), 7):
        with aecodec.open(io.BytesIO(JOINED[:end])) as f:
            assert len(f) >= 19
            assert np.abs(f[:] - ARRAY[: len(f)]).max() <= 2


def test_damage_in_one_part_leaves_the_others():
    at = len(FILES[0]) + spans(FILES[1], Kind.CHUNK)[1][1] - 1
    with skipping(flipped(JOINED, at)) as f, pytest.warns(MissingWarning, match="steps 17 to 18 of axis 't'"):
        assert np.abs(f.read() - np.delete(ARRAY, [17, 18], axis=0)).max() <= 2
    header = len(FILES[0]) + 12 + FRAME_SIZE + 3
    with skipping(flipped(JOINED, header)) as f:
        assert f.missing == [(12, 19)]
        assert np.array_equal(f[19:], C)
        with pytest.raises(MissingError):
            f[12]
        with pytest.warns(MissingWarning, match="steps 12 to 18 of axis 't'"):
            assert np.array_equal(f.read(), np.concatenate([A, C]))
    with pytest.raises(ChecksumError, match="the header record at byte 12 is damaged"):
        aecodec.decompress(flipped(FILES[0], 12 + FRAME_SIZE + 3))


@pytest.mark.parametrize(
    ("other", "axes", "described"),
    [
        (steps(5, "i8"), "tx", "dtype int64, axes 'tx' and sizes (any, 6)"),
        (steps(5), "tc", "dtype int32, axes 'tc' and sizes (any, 6)"),
        (steps(5)[:, :4], "tx", "dtype int32, axes 'tx' and sizes (any, 4)"),
    ],
)
def test_parts_that_do_not_agree_are_refused_by_both_names(other, axes, described):
    data = FILES[0] + chunked(np.ascontiguousarray(other), axes, 5)
    with pytest.raises(FormatError) as caught:
        aecodec.decompress(data)
    assert str(caught.value) == (
        f"the part of the file that begins at byte {len(FILES[0])} has {described}, but those before it have dtype int32, "
        "axes 'tx' and sizes (any, 6); only arrays that agree can be joined along the stream axis: split the file there"
    )
    with pytest.raises(FormatError, match=r"^part 2 of the stream has dtype"):
        aecodec.Decompressor().decompress(data)


def test_arrays_without_a_stream_axis_cannot_be_joined():
    data = aecodec.compress(np.arange(3), axes="c")
    with pytest.raises(FormatError, match="the file has 2 parts, but arrays with axes='c' have no axis to be joined along"):
        aecodec.decompress(data + data)
    with pytest.raises(FormatError, match="arrays with axes='c' have no axis to be joined along"):
        aecodec.Decompressor().decompress(data + data)


def test_a_second_header_in_one_part_is_refused_by_a_stream():
    at, end = spans(FILES[0], Kind.HEADER)[0]
    with pytest.raises(FormatError, match="a second header record in one part"):
        aecodec.Decompressor().decompress(FILES[0][:end] + FILES[0][at:end])
