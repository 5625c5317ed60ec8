"""Files while they are written: beside their target, locked, kept when something fails, and gone on with."""

import errno
import io
import os
import pickle
import stat
import threading
from pathlib import Path

import numpy as np
import pytest
import xxhash

import aecodec
from aecodec.container import locks
from aecodec.container.durable import DurableFile, partial_of
from aecodec.container.layout import FRAME_SIZE, PREFIX_SIZE, Kind, create_record, parse_frame
from aecodec.container.writer import ContainerWriter
from aecodec.errors import ChecksumError, FormatError, LockedError, NotAecodecError, OutputExistsError, UsageError, VersionError

SMALL = {"axes": "t", "model": False, "level": 1, "threads": 1}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.aecz"


def steps(start, stop):
    return np.arange(start, stop, dtype="i4") * 7


def written(path, lengths, mode="w", **options):
    """A file whose chunks have these lengths, after what is there."""
    with aecodec.open(path, mode, **SMALL, **options) as f:
        for length in lengths:
            at = f.shape[0] if f.shape else 0
            f.write(steps(at, at + length))
            f.flush()


def crashed(path, lengths, mode="w"):
    """What a process that died after its last flush would have left."""
    f = aecodec.open(path, mode, **SMALL)
    for length in lengths:
        at = f.shape[0] if f.shape else 0
        f.write(steps(at, at + length))
        f.flush()
    f._file.close()


def restored(path):
    with aecodec.open(path) as f:
        return f[:]


def records(data):
    """(offset, kind, end) of each record."""
    at, found = PREFIX_SIZE, []
    while at < len(data):
        frame = parse_frame(data[at : at + FRAME_SIZE])
        found.append((at, frame.kind, at + FRAME_SIZE + frame.length))
        at = found[-1][2]
    return found


def test_flushed_steps_can_be_read_while_the_file_is_written(path):
    with aecodec.open(path, "w", **SMALL) as f:
        for stop in (10, 25, 26):
            f.write(steps(f.shape[0] if f.shape else 0, stop))
            f.flush()
            with aecodec.open(partial_of(path)) as reader:
                assert not reader.complete
                assert np.array_equal(reader[:], steps(0, stop))
    with aecodec.open(path, "a") as f:
        f.write(steps(26, 30))
        f.flush()
        assert np.array_equal(restored(path), steps(0, 30))
    assert np.array_equal(restored(path), steps(0, 30))


def test_flushing_makes_no_chunk_of_nothing(path):
    with aecodec.open(path, "w", **SMALL) as f:
        f.flush()
        f.write(steps(0, 4))
        f.flush()
        f.flush()
    with aecodec.open(path) as f:
        assert f.container.index.counts.tolist() == [4]


def test_flush_waits_for_chunks_on_threads(path):
    noise = np.random.default_rng(0).integers(0, 2**31, (40, 1 << 15), "i4")
    f = aecodec.open(path, "w", axes="tc", model=False, level=1, threads=2)
    f.write(noise)
    f.flush()
    assert np.array_equal(restored(partial_of(path)), noise)
    f.close()


def test_a_file_that_is_replaced_stays_readable_until_the_new_one_is_complete(path):
    written(path, [5])
    with aecodec.open(path) as old:
        with aecodec.open(path, "w", **SMALL) as f:
            f.write(steps(3, 50))
            f.flush()
            assert np.array_equal(restored(path), steps(0, 5))
        assert np.array_equal(old[:], steps(0, 5))
    assert np.array_equal(restored(path), steps(3, 50))
    assert [p.name for p in path.parent.iterdir()] == ["run.aecz"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_file_that_is_replaced_keeps_its_permissions(path):
    written(path, [5])
    path.chmod(0o640)
    written(path, [6])
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.skipif(os.name == "nt", reason="Windows needs a privilege for links")
def test_a_link_is_followed_not_replaced(path, tmp_path):
    link = tmp_path / "link.aecz"
    link.symlink_to(path)
    written(link, [5])
    written(link, [5], "a")
    assert link.is_symlink()
    assert np.array_equal(restored(path), steps(0, 10))


def test_a_folder_cannot_be_written(tmp_path):
    with pytest.raises(OSError, match="directory"):
        aecodec.open(tmp_path, "w")
    assert list(tmp_path.iterdir()) == []


def fail_after(path, mode, flushed, lost=3):
    """The exception of a user's own code after `flushed` steps that were flushed and some that were not."""
    with pytest.raises(ZeroDivisionError) as caught, aecodec.open(path, mode, **SMALL) as f:  # noqa: PT012  # as users write it
        at = f.shape[0] if f.shape else 0
        if flushed:
            f.write(steps(at, at + flushed))
            f.flush()
        f.write(steps(at + flushed, at + flushed + lost))
        raise ZeroDivisionError
    return getattr(caught.value, "__notes__", [])


def test_an_exception_keeps_finished_chunks_and_says_where(path):
    notes = fail_after(path, "w", 10)
    kept = f"{partial_of(path)} keeps the first 10 steps of the stream axis"
    assert notes == [f"{kept}: mode 'a' goes on after them, and `aecodec recover` takes them out"]
    assert not path.exists()
    assert np.array_equal(restored(partial_of(path)), steps(0, 10))
    with aecodec.open(path, "a") as f:
        assert f.shape == (10,)
        f.write(steps(10, 12))
    assert np.array_equal(restored(path), steps(0, 12))
    assert not partial_of(path).exists()


def test_an_exception_before_the_first_chunk_leaves_nothing(path):
    assert fail_after(path, "w", 0) == []
    assert list(path.parent.iterdir()) == []


def test_an_exception_while_appending_leaves_the_file_as_it_was_or_with_the_chunks_that_were_finished(path):
    written(path, [5])
    before = path.read_bytes()
    assert fail_after(path, "a", 0) == []
    assert path.read_bytes() == before
    assert "run.aecz keeps the first 9 steps of the stream axis: mode 'a'" in fail_after(path, "a", 4)[0]
    assert path.read_bytes()[: len(before)] == before
    assert np.array_equal(restored(path), steps(0, 9))
    written(path, [1], "a")
    with aecodec.open(path) as f:
        assert f.complete
        assert np.array_equal(f[:], steps(0, 10))


def test_an_interrupt_is_an_exception_like_others(path):
    with pytest.raises(KeyboardInterrupt) as caught, aecodec.open(path, "w", **SMALL) as f:  # noqa: PT012  # as users write it
        f.write(steps(0, 4))
        f.flush()
        raise KeyboardInterrupt
    assert "keeps the first 4 steps" in caught.value.__notes__[0]
    assert np.array_equal(restored(partial_of(path)), steps(0, 4))


def test_abort_removes_a_new_file_and_keeps_what_a_crashed_run_left(path):
    f = aecodec.open(path, "w", **SMALL)
    f.write(steps(0, 4))
    f.flush()
    f.abort()
    assert list(path.parent.iterdir()) == []
    crashed(path, [4, 5])
    f = aecodec.open(path, "a", **SMALL)
    f.write(steps(9, 12))
    f.abort()
    assert np.array_equal(restored(partial_of(path)), steps(0, 9))


def test_what_a_crashed_run_left_is_never_overwritten_unasked(path):
    crashed(path, [4])
    left = partial_of(path).read_bytes()
    with pytest.raises(OutputExistsError) as caught:
        aecodec.open(path, "w")
    assert str(caught.value) == (
        f"{partial_of(path)} holds {len(left)} bytes of a run that did not finish; go on with it (mode 'a'), take out what is "
        "sound (aecodec recover), delete it, or discard it (overwrite=True, -f)"
    )
    assert partial_of(path).read_bytes() == left
    written(path, [7], overwrite=True)
    assert np.array_equal(restored(path), steps(0, 7))
    assert not partial_of(path).exists()


def test_an_empty_file_that_a_crashed_run_left_is_taken_over(path):
    partial_of(path).touch()
    written(path, [3])
    assert np.array_equal(restored(path), steps(0, 3))


def test_overwriting_is_for_new_files(path):
    for mode in ("a", "r"):
        with pytest.raises(UsageError, match=f"overwrite=True is for mode 'w', not '{mode}', which overwrites nothing"):
            aecodec.open(path, mode, overwrite=True)


def test_appending_where_there_is_a_file_leaves_what_a_crashed_run_left_alone(path):
    written(path, [3])
    crashed(path, [8])
    written(path, [2], "a")
    assert np.array_equal(restored(path), steps(0, 5))
    assert np.array_equal(restored(partial_of(path)), steps(0, 8))


def test_something_else_under_the_name_of_an_unfinished_file_is_not_touched(path):
    partial_of(path).write_bytes(b"a download of a browser, say")
    for mode, error in (("w", OutputExistsError), ("a", NotAecodecError)):
        with pytest.raises(error):
            aecodec.open(path, mode)
    assert partial_of(path).read_bytes() == b"a download of a browser, say"


@pytest.mark.parametrize("before", [[], [3, 2]])
def test_a_run_that_was_cut_off_anywhere_goes_on_after_its_whole_chunks(path, before):
    """Without `before` what is cut is a new file, with it what was appended to that."""
    if before:
        written(path, before)
    old = path.stat().st_size if before else 0
    crashed(path, [2, 4], "a" if before else "w")
    left = path if before else partial_of(path)
    data = left.read_bytes()
    ends = [(end, parse_end) for parse_end, (_, kind, end) in enumerate(r for r in records(data) if r[1] == Kind.CHUNK)]
    lengths = [*before, 2, 4]
    for size in range(old, len(data) + 1):
        path.unlink(missing_ok=True)
        left.write_bytes(data[:size])
        whole = sum(length for length, (end, _) in zip(lengths, ends, strict=True) if end <= size)
        with aecodec.open(path, "a", **SMALL) as f:
            assert (f.shape[0] if f.shape else 0) == whole, f"cut at {size}"
            f.write(steps(whole, 20))
        with aecodec.open(path) as f:
            assert f.complete
            assert np.array_equal(f[:], steps(0, 20)), f"cut at {size}"
        assert path.read_bytes()[:old] == data[:old]
        assert not partial_of(path).exists()


def test_a_finished_file_that_loses_any_of_its_last_bytes_goes_on_after_its_chunks(path):
    written(path, [3, 2])
    data = path.read_bytes()
    end = next(end for _, kind, end in reversed(records(data)) if kind == Kind.CHUNK)
    for size in range(end, len(data)):
        path.write_bytes(data[:size])
        written(path, [4], "a")
        assert np.array_equal(restored(path), steps(0, 9))


def test_zeros_that_a_loss_of_power_left_are_cut_off(path):
    written(path, [3])
    with open(path, "ab") as file:
        file.write(bytes(5000))
    written(path, [2], "a")
    with aecodec.open(path) as f:
        assert f.complete
        assert np.array_equal(f[:], steps(0, 5))


def test_nothing_is_appended_to_a_damaged_file(path):
    crashed(path, [3, 2, 4])
    data = bytearray(partial_of(path).read_bytes())
    at, _, end = [record for record in records(bytes(data)) if record[1] == Kind.CHUNK][1]
    for place in (at + 1, at + 30, at + FRAME_SIZE + 1, end - 1):
        damaged = bytearray(data)
        damaged[place] ^= 0x40
        path.write_bytes(damaged)
        with pytest.raises(ChecksumError) as caught:
            aecodec.open(path, "a")
        assert str(caught.value).startswith(f"the file is damaged at offset {at} (")
        assert str(caught.value).endswith(
            f") and goes on at {end}; nothing is appended to a damaged file: take out what is sound with `aecodec recover`, "
            "and append to that"
        )
        assert path.read_bytes() == damaged


@pytest.mark.parametrize("complete", [True, False])
def test_appending_after_any_changed_byte_is_refused_or_takes_nothing_away(path, complete):
    (written if complete else crashed)(path, [3, 2])
    data = (path if complete else partial_of(path)).read_bytes()
    chunks = [record for record in records(data) if record[1] == Kind.CHUNK]
    refused = 0
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 0x21
        path.write_bytes(damaged)
        try:
            with aecodec.open(path, "a", axes="t") as f:
                f.write(steps(5, 6))
        except aecodec.AecodecError:
            assert path.read_bytes() == damaged
            refused += 1
            continue
        kept = max(end for start, _, end in chunks if not start <= at < end)
        assert path.read_bytes()[:kept] == damaged[:kept], f"changed at {at}"
    assert refused > 30


def test_a_missing_record_is_damage(path):
    crashed(path, [3, 2, 4])
    data = partial_of(path).read_bytes()
    at, _, end = [record for record in records(data) if record[1] == Kind.CHUNK][1]
    path.write_bytes(data[:at] + data[end:])
    with pytest.raises(FormatError, match="chunk starts at 5, 3 is next: chunks are missing or out of order; nothing is appended"):
        aecodec.open(path, "a")


def test_a_record_of_a_newer_version_at_the_end_is_not_cut_off(path):
    crashed(path, [3])
    frame = bytearray(create_record(Kind.CHUNK, 2, b"")[:28])
    frame[5] = 1
    path.write_bytes(partial_of(path).read_bytes() + frame + (xxhash.xxh64_intdigest(frame) & 0xFFFFFFFF).to_bytes(4, "little"))
    with pytest.raises(VersionError, match="record uses reserved bits"):
        aecodec.open(path, "a")


@pytest.mark.parametrize("sound_end", [True, False])
def test_what_is_appended_to_several_parts_goes_to_the_last_one(path, sound_end):
    written(path, [3, 2])
    first = path.read_bytes()
    path.unlink()
    written(path, [4])
    path.write_bytes(first + path.read_bytes())
    if not sound_end:
        path.write_bytes(path.read_bytes()[:-1])
    with aecodec.open(path, "a") as f:
        assert f.shape == (9,)
        f.write(steps(4, 6))
        assert f.shape == (11,)
    data = path.read_bytes()
    assert data[: len(first)] == first
    assert np.array_equal(aecodec.decompress(data[len(first) :]), steps(0, 6))
    assert f.size == len(data)


@pytest.mark.parametrize(("first", "second"), ["ww", "wa", "aw", "aa"])
@pytest.mark.parametrize("there", [True, False])
def test_a_second_writer_is_refused(path, first, second, there):
    if there:
        written(path, [5])
    with aecodec.open(path, first, **SMALL) as f:
        f.write(steps(5, 9))
        f.flush()
        with pytest.raises(LockedError) as caught:
            aecodec.open(path, second, **({"overwrite": True} if second == "w" else {}))
        assert str(caught.value) == f"{path} is being written by another writer; wait until it is closed, or write elsewhere"
        assert len(list(path.parent.iterdir())) == 1 + (there and first == "w")
        f.write(steps(9, 10))
    assert np.array_equal(restored(path), steps(0 if there and first == "a" else 5, 10))
    written(path, [1], "a")


@pytest.mark.parametrize("mode", ["w", "a"])
def test_a_file_that_gets_its_name_while_a_second_writer_opens_it_is_not_written_over(path, mode, monkeypatch):
    f = aecodec.open(path, "w", **SMALL)
    f.write(steps(0, 5))
    lock, opened = locks._lock, []

    def late(descriptor, target):
        if not opened:
            opened.append(descriptor)
            f.close()
        lock(descriptor, target)

    monkeypatch.setattr(locks, "_lock", late)
    second = aecodec.open(path, mode, **SMALL)
    assert opened
    with pytest.raises(LockedError):
        aecodec.open(path, "a")
    second.write(steps(5, 9))
    assert np.array_equal(restored(path), steps(0, 5))
    second.close()
    assert np.array_equal(restored(path), steps(0 if mode == "a" else 5, 9))
    assert [p.name for p in path.parent.iterdir()] == ["run.aecz"]


def test_a_writer_that_is_dropped_gives_the_lock_back(path):
    f = aecodec.open(path, "w", **SMALL)
    f.write(steps(0, 2))
    f.flush()
    del f
    written(path, [3], "a")
    assert np.array_equal(restored(path), steps(0, 5))


def test_many_writers_at_once_append_one_after_the_other(path):
    written(path, [1])
    refused = []

    def append():
        done = 0
        while done < 5:
            try:
                with aecodec.open(path, "a", **SMALL) as f:
                    f.write(steps(f.shape[0], f.shape[0] + 1))
                done += 1
            except LockedError:
                refused.append(1)

    threads = [threading.Thread(target=append) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused
    assert np.array_equal(restored(path), steps(0, 21))


def test_after_a_chunk_that_failed_nothing_more_is_written(path, monkeypatch):
    f = aecodec.open(path, "w", **SMALL)
    f.write(steps(0, 4))
    f.flush()
    with monkeypatch.context() as patch:
        patch.setattr(DurableFile, "write", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        f.write(steps(4, 6))
        with pytest.raises(OSError, match="Input/output error"):
            f.flush()
    message = r"an earlier write failed \(OSError: .*Input/output error\), so nothing can follow; open the file with mode 'a'"
    for call in (lambda: f.write(steps(6, 8)), f.flush, f.close):
        with pytest.raises(UsageError, match=message):
            call()
    f.close()
    assert not path.exists()
    written(path, [3], "a")
    assert np.array_equal(restored(path), steps(0, 7))


def test_a_refused_declaration_leaves_the_writer_as_it_was(path):
    with aecodec.open(path, "w", max_error=0.1) as f:
        with pytest.raises(aecodec.AecodecError, match="bool values, which are kept exactly"):
            f.declare("?", "t", (0,))
        f.declare("f4", "t", (0,))
        f.declare("f4", "t", (7,))
        with pytest.raises(UsageError, match=r"float64 of shape \(0,\), axes 't', does not fit a file of float32, shape \(0,\)"):
            f.declare("f8", "t", (0,))


def test_a_copy_appends_when_it_first_writes(path):
    f = aecodec.open(path, "w", axes="t", model=False, max_error=0.5)
    copy = pickle.loads(pickle.dumps(f))
    idle = pickle.loads(pickle.dumps(f))
    assert (copy.shape, copy.size) == ((), 0)
    f.write(np.arange(5.0))
    f.flush()
    with pytest.raises(LockedError):
        copy.write(np.arange(3.0))
    f.close()
    copy.write(np.arange(3.0))
    assert copy.shape == (8,)
    copy.close()
    idle.close()
    assert np.abs(restored(path) - [0, 1, 2, 3, 4, 0, 1, 2]).max() <= 0.5
    with pytest.raises(UsageError, match="the file is closed"):
        idle.write(np.arange(3.0))


def test_a_writer_on_an_open_file_does_not_pickle():
    with aecodec.open(io.BytesIO(), "w") as f:
        with pytest.raises(UsageError, match="a Writer pickles only if it was opened by a path"):
            pickle.dumps(f)
        f.write(np.arange(3))


def test_closing_twice_or_after_a_failure_is_harmless(path):
    f = aecodec.open(path, "w")
    with pytest.raises(UsageError, match="nothing was written"):
        f.close()
    f.close()
    f.abort()
    assert list(path.parent.iterdir()) == []


def test_a_file_in_a_folder_that_is_not_there_is_an_error_with_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        aecodec.open(tmp_path / "no" / "run.aecz", "w")
    assert Path(caught.value.filename).parent == tmp_path / "no"


def synced(monkeypatch, path):
    """What fsync is called on and finds there from now on: the folder, or the kinds of the last records of a file."""
    seen, fsync = [], os.fsync

    def recorded(descriptor):
        fsync(descriptor)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            seen.append(("folder", path.exists()))
        else:
            file = path if path.exists() else partial_of(path)
            seen.append(("file", [Kind(kind).name for _, kind, _ in records(file.read_bytes())[-2:]]))

    monkeypatch.setattr(os, "fsync", recorded)
    return seen


def test_a_new_file_is_synced_before_it_gets_its_name_and_its_folder_after(path, monkeypatch):
    seen = synced(monkeypatch, path)
    with aecodec.open(path, "w", **SMALL) as f:
        f.write(steps(0, 4))
    assert seen == [("file", ["INDEX", "END"]), ("folder", True)]


def test_what_is_appended_is_synced_before_the_end_that_vouches_for_it_and_with_it(path, monkeypatch):
    written(path, [4])
    seen = synced(monkeypatch, path)
    with aecodec.open(path, "a", **SMALL) as f:
        f.write(steps(4, 5))
    assert seen == [("file", ["CHUNK", "INDEX"]), ("file", ["INDEX", "END"])]


def test_a_disk_that_cannot_sync_leaves_the_earlier_file(path, monkeypatch):
    written(path, [4])

    def broken(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    f = aecodec.open(path, "w", **SMALL)
    f.write(steps(4, 9))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken)
        with pytest.raises(OSError, match="Input/output error") as caught:
            f.close()
    assert caught.value.filename == str(partial_of(path))
    assert "keeps the first 5 steps" in caught.value.__notes__[0]
    assert np.array_equal(restored(path), steps(0, 4))
    assert np.array_equal(restored(partial_of(path)), steps(4, 9))


@pytest.mark.skipif(os.name == "nt", reason="other locks on Windows")
def test_a_file_system_without_locks_or_syncing_goes_without(path, monkeypatch):
    for code in (errno.ENOLCK, errno.ENOTSUP):

        def without(*_, code=code):
            raise OSError(code, "not here")

        with monkeypatch.context() as patch:
            patch.setattr("fcntl.flock", without)
            patch.setattr(os, "fsync", lambda _: without(code=errno.EINVAL))
            written(path, [3])
            written(path, [3], "a")
        assert np.array_equal(restored(path), steps(0, 6))
    monkeypatch.setattr("fcntl.flock", lambda *_: without(code=errno.EIO))
    with pytest.raises(OSError, match="not here"):
        aecodec.open(path, "a")


def test_a_writer_that_is_never_closed_is_warned_about(path):
    f = aecodec.open(path, "w", **SMALL)
    with pytest.warns(ResourceWarning, match=r"run.aecz.partial was not closed; what was finished is there"):
        del f


def test_offsets_beyond_4_gib_are_kept(path):
    header = {"axes": "t", "dtype": "<i4", "fidelity": {"kind": "lossless"}, "model": None, "shape": [None]}
    gap = 5 << 30
    with open(path, "wb") as file:
        container = ContainerWriter(file)
        container.begin(header, None, None)
        frame = bytearray(create_record(Kind.CHUNK, 1, b"")[:28])
        frame[4] = 99  # a record from the future, of nothing that takes space on the disk
        frame[12:20] = gap.to_bytes(8, "little")
        file.write(frame + (xxhash.xxh64_intdigest(frame) & 0xFFFFFFFF).to_bytes(4, "little"))
        file.seek(gap, os.SEEK_CUR)
        container.offset += FRAME_SIZE + gap
        container.chunk(0, 2, b"\1" + bytes(4))
        container.finish()
    with aecodec.open(path, "a") as f:
        f.write(steps(1, 4))
        assert f.size > gap
    with aecodec.open(path) as f:
        assert f.complete
        assert int(f.container.index.offsets.min()) > gap
        assert f[:].tolist() == [0, 0, 7, 14, 21]
