"""What is sound goes into a new file byte for byte, and what is lost is named; what is not sound is found and listed."""

import io
import itertools
import json
import os
import threading

import numpy as np
import pytest
from chunked import chunked, flipped, skipping, spans, steps
from conftest import smooth_field
from hypothesis import given, settings
from hypothesis import strategies as st

import aecodec
from aecodec import MissingError, MissingWarning
from aecodec.container.layout import FRAME_SIZE, Index, Kind, create_end, create_index, create_record
from aecodec.container.reader import ContainerReader
from aecodec.errors import AecodecError, ChecksumError, LockedError, NotAecodecError, OutputExistsError, UsageError

ARRAY = steps(30)
WHOLE = chunked(ARRAY, "tx", 5, metadata={"k": 1})
CHUNKS = spans(WHOLE, Kind.CHUNK)


def recovered(data, **options):
    out = io.BytesIO()
    report = aecodec.recover(io.BytesIO(data), out, **options)
    return report, out.getvalue()


def test_a_sound_file_is_recovered_as_it_is():
    report, data = recovered(WHOLE)
    assert data == WHOLE
    assert report == aecodec.Recovery(parts=1, chunks=6, kept=[(0, 30)], lost=[], end_unknown=False)
    assert report.everything


@pytest.mark.parametrize("also", [[], [len(WHOLE) - 1]])
def test_damaged_chunks_are_left_out_and_named(also):
    places = [CHUNKS[1][1] - 1, CHUNKS[4][0] + 8, *also]
    report, data = recovered(flipped(WHOLE, places))
    assert (report.kept, report.lost, report.chunks) == ([(0, 5), (10, 20), (25, 30)], [(5, 10), (20, 25)], 4)
    assert report.end_unknown is bool(also)
    assert not report.everything
    with aecodec.open(io.BytesIO(data)) as f:
        assert (f.complete, f.missing) == (True, [])
        assert np.array_equal(f[:], np.concatenate([ARRAY[a:b] for a, b in report.kept]))
        assert f.metadata == {
            "k": 1,
            "recovered": {"lost": [[5, 10], [20, 25]], "end_unknown": bool(also), "from": None},
        }
    bodies = [ContainerReader(source).chunk(n).body for source, n in ((data, 0), (data, 1), (WHOLE, 0), (WHOLE, 2))]
    assert bodies[:2] == bodies[2:]
    again, twice = recovered(flipped(data, spans(data, Kind.CHUNK)[0][1] - 1))
    assert again.lost == [(0, 5)]
    with aecodec.open(io.BytesIO(twice)) as f:
        assert f.metadata["recovered"]["before"]["lost"] == [[5, 10], [20, 25]]


def test_a_file_that_was_cut_off_gets_its_index_and_end():
    for size in range(CHUNKS[0][1], len(WHOLE), 11):
        report, data = recovered(WHOLE[:size])
        whole = sum(end <= size for _, end in CHUNKS)
        assert np.array_equal(aecodec.decompress(data), ARRAY[: 5 * whole])
        assert (report.kept, report.lost, report.end_unknown) == ([(0, 5 * whole)], [], True)


def test_records_other_than_chunks_that_are_lost_are_noted():
    at = spans(WHOLE, Kind.METADATA)[0][0]
    report, data = recovered(flipped(WHOLE, at + FRAME_SIZE + 2))
    assert report.notes == ["the metadata record is damaged: record 1 is damaged: its checksum does not match"]
    assert np.array_equal(aecodec.decompress(data), ARRAY)
    with aecodec.open(io.BytesIO(data)) as f:
        assert f.metadata == {"recovered": {"lost": [], "end_unknown": False, "from": None}}


def test_a_damaged_magic_is_mended():
    report, data = recovered(flipped(WHOLE, 3))
    assert data == WHOLE
    assert report.everything
    with pytest.raises(NotAecodecError):
        recovered(b"not an array file, and nothing like one")


def test_parts_stay_parts():
    data = WHOLE + chunked(ARRAY + 1, "tx", 10, max_error=1, metadata={"n": 2})
    joined = np.concatenate([ARRAY, ARRAY + 1])
    at = len(WHOLE) + spans(data[len(WHOLE) :], Kind.CHUNK)[1][0]
    report, again = recovered(flipped(data, [CHUNKS[0][1] - 1, at + 3]))
    assert (report.parts, report.lost) == (2, [(0, 5), (40, 50)])
    kept = np.concatenate([joined[a:b] for a, b in report.kept])
    assert np.abs(aecodec.decompress(again) - kept).max() <= 1
    with aecodec.open(io.BytesIO(again)) as f:
        notes = [part.preamble.metadata["recovered"]["lost"] for part in f.container.parts]
    assert notes == [[[0, 5]], [[10, 20]]]
    report, again = recovered(flipped(data, 12 + FRAME_SIZE + 3))
    assert (report.parts, report.lost) == (1, [(0, 30)])
    assert report.notes[0].startswith("the header record is damaged: ")
    assert np.abs(aecodec.decompress(again) - ARRAY - 1).max() <= 1


def test_models_are_copied_and_are_not_needed(field, model):
    data = chunked(field, "tcyx", 6, model=model, max_error=0.05)
    at, end = spans(data, Kind.CHUNK)[1]
    report, again = recovered(flipped(data, end - 1))
    assert report.lost == [(6, 12)]
    expected = np.delete(aecodec.decompress(data), range(6, 12), axis=0)
    assert np.array_equal(aecodec.decompress(again), expected)
    place = spans(data, Kind.MODEL)[0][0] + 100
    report, without = recovered(flipped(data, [place, at + 2]))
    assert report.notes == ["the model record is damaged: record 1 is damaged: its checksum does not match"]
    with pytest.raises(AecodecError, match="the file needs model"):
        aecodec.decompress(without)
    assert np.array_equal(aecodec.decompress(without, model=model), expected)


def test_chunks_that_depend_on_their_place_keep_their_values():
    array = smooth_field((2, 96, 40)) + 50 * smooth_field((1, 96, 40), seed=3)
    model = aecodec.fit(array, axes="cyx", max_error=0.1, reference=True, tile=(1, 2, 8, 8), provider="cpu")
    assert model.manifest.reference is not None
    data = chunked(array, "cyx", 24, model=model, max_error=0.1)
    chunks = spans(data, Kind.CHUNK)
    assert len(chunks) == 4
    report, again = recovered(flipped(data, chunks[1][1] - 1))
    assert report.lost == [(24, 48)]
    expected = np.delete(aecodec.decompress(data), range(24, 48), axis=1)
    assert np.array_equal(aecodec.decompress(again), expected)


def test_what_cannot_be_recovered_is_an_error_and_leaves_no_file(tmp_path):
    (tmp_path / "a.aecz").write_bytes(flipped(WHOLE, [end - 1 for _, end in CHUNKS]))
    with pytest.raises(MissingError, match=r"nothing can be recovered: none of 6 chunk\(s\) is sound"):
        aecodec.recover(tmp_path / "a.aecz", tmp_path / "b.aecz")
    (tmp_path / "a.aecz").write_bytes(flipped(WHOLE, 12 + FRAME_SIZE + 3))
    with pytest.raises(ChecksumError, match="the header record at byte 12 is damaged"):
        aecodec.recover(tmp_path / "a.aecz", tmp_path / "b.aecz")
    (tmp_path / "a.aecz").write_bytes(WHOLE)
    with pytest.raises(UsageError, match="is the damaged file itself, which is kept: name another output"):
        aecodec.recover(tmp_path / "a.aecz", tmp_path / "a.aecz", overwrite=True)
    (tmp_path / "b.aecz").write_bytes(b"precious")
    with pytest.raises(OutputExistsError, match="exists; choose another name, or overwrite it on purpose"):
        aecodec.recover(tmp_path / "a.aecz", tmp_path / "b.aecz")
    assert (tmp_path / "b.aecz").read_bytes() == b"precious"
    assert aecodec.recover(tmp_path / "a.aecz", tmp_path / "b.aecz", overwrite=True).everything
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.aecz", "b.aecz"]


@pytest.mark.parametrize("there", [True, False])
def test_a_file_that_is_being_written_is_not_replaced(tmp_path, there):
    target = tmp_path / "b.aecz"
    if there:
        target.write_bytes(WHOLE)
    with aecodec.open(target, "a" if there else "w", model=False, axes="tx") as f:
        f.write(ARRAY[:5])
        with pytest.raises(LockedError, match=r"b\.aecz is being written by another writer; wait until it is closed"):
            aecodec.recover(io.BytesIO(WHOLE), target, overwrite=True)
        f.write(ARRAY[5:])
    assert np.array_equal(aecodec.open(target)[-30:], ARRAY)
    assert aecodec.recover(io.BytesIO(flipped(WHOLE, CHUNKS[0][1] - 1)), target, overwrite=True).lost == [(0, 5)]
    assert np.array_equal(aecodec.open(target)[:], ARRAY[5:])
    assert [path.name for path in tmp_path.iterdir()] == ["b.aecz"]


def test_what_a_crashed_run_left_is_recovered_to_its_name(tmp_path):
    left = tmp_path / "b.aecz.partial"
    left.write_bytes(WHOLE[: CHUNKS[2][1]])
    assert aecodec.recover(left, tmp_path / "b.aecz").kept == [(0, 15)]
    assert left.read_bytes() == WHOLE[: CHUNKS[2][1]]


def test_links_are_followed_and_pipes_written_to(tmp_path):
    (tmp_path / "there.aecz").write_bytes(b"old")
    (tmp_path / "link.aecz").symlink_to("there.aecz")
    aecodec.recover(io.BytesIO(WHOLE), tmp_path / "link.aecz", overwrite=True)
    assert (tmp_path / "link.aecz").is_symlink()
    assert (tmp_path / "there.aecz").read_bytes() == WHOLE
    os.mkfifo(tmp_path / "pipe")
    found = []
    thread = threading.Thread(target=lambda: found.append((tmp_path / "pipe").read_bytes()))
    thread.start()
    aecodec.recover(io.BytesIO(WHOLE), tmp_path / "pipe")
    thread.join()
    assert found == [WHOLE]


@given(st.lists(st.integers(0, len(WHOLE) - 1), max_size=5), st.integers(0, len(WHOLE)))
@settings(deadline=None, max_examples=100)
def test_whatever_is_damaged_the_recovered_file_is_sound_and_its_report_true(places, size):
    damaged = flipped(WHOLE, [place for place in places if place > 200 and place < size])[:size]
    try:
        report, data = recovered(damaged)
    except AecodecError:
        return
    verdict = aecodec.verify(data)
    assert verdict.sound, verdict
    expected = np.concatenate([ARRAY[:0], *(ARRAY[a:b] for a, b in report.kept)])
    assert np.array_equal(aecodec.decompress(data), expected)
    spans_of_steps = sorted([*report.kept, *report.lost])
    assert all(a[1] == b[0] for a, b in itertools.pairwise(spans_of_steps))


def test_verify_finds_nothing_in_a_sound_file():
    verdict = aecodec.verify(WHOLE, ARRAY)
    assert verdict.sound
    assert (verdict.chunks, verdict.worst_error, verdict.psnr) == (6, 0.0, None)
    assert json.loads(json.dumps(verdict.to_json()))["sound"] is True
    assert aecodec.verify(WHOLE + WHOLE, np.concatenate([ARRAY, ARRAY])).sound


def test_verify_finds_every_changed_byte():
    """Also in records that reading has no use for: those of unknown kind, and indexes and ends that were appended behind."""
    out = io.BytesIO()
    for i in range(2):
        with aecodec.open(out, "a" if i else "w", axes="tx", metadata={"k": 1}) as f:
            f.write(ARRAY)
    data = out.getvalue()
    assert aecodec.verify(data).sound
    for at in (at for at in range(len(data)) if at != 9):  # the minor version, where others are as good
        try:
            assert not aecodec.verify(flipped(data, at), threads=1).sound, at
        except AecodecError:
            assert at < 12 + FRAME_SIZE + 200, at


def test_verify_goes_on_after_a_bad_chunk_and_names_all():
    damaged = flipped(WHOLE, [CHUNKS[1][1] - 1, CHUNKS[4][0] + 8])
    verdict = aecodec.verify(damaged)
    assert [(bad.number, bad.start, bad.stop) for bad in verdict.bad] == [(1, 5, 10), (4, 20, 25)]
    assert "its checksum does not match" in verdict.bad[0].reason
    assert verdict.records == []
    without = aecodec.verify(flipped(damaged, len(WHOLE) - 1))
    assert ([bad.number for bad in without.bad], without.missing, without.complete) == ([1], [(20, 25)], False)
    assert [record.offset for record in without.records] == [CHUNKS[4][0], len(WHOLE) - 56]


def test_verify_holds_each_part_against_its_own_bound(field):
    data = aecodec.compress(field, False, "tcyx", max_error=0.5) + aecodec.compress(field, False, "tcyx", max_error=0.01)
    original = np.concatenate([field, field])
    assert aecodec.verify(data, original).sound
    original[30, 0, 3, 4] += 0.1
    verdict = aecodec.verify(data, original)
    assert [(bad.start, bad.stop, bad.reason) for bad in verdict.bad] == [(24, 48, "1 value(s) outside max_error")]


def test_verify_tells_chunks_that_an_index_leaves_out():
    at = spans(WHOLE, Kind.INDEX)[0][0]
    columns = [[CHUNKS[n][0] for n in (0, 1, 3, 4, 5)], [0, 5, 15, 20, 25], [5] * 5]
    index = create_record(Kind.INDEX, 8, create_index(Index(*(np.array(column, np.int64) for column in columns))))
    data = WHOLE[:at] + index + create_record(Kind.END, 9, create_end(at, at + len(index) + 56))
    verdict = aecodec.verify(data)
    assert verdict.missing == [(10, 15)]
    assert [(record.offset, record.reason) for record in verdict.records] == [
        (CHUNKS[2][0], "a chunk that the index does not name")
    ]
    with skipping(data) as f, pytest.warns(MissingWarning):
        assert len(f.read()) == 25
