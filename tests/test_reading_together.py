"""Many readers of one file: threads, forks, other processes, and files that are still written to."""

import io
import multiprocessing
import os
import pickle
import tempfile
import threading

import numpy as np
import pytest
import soak
import xxhash
from chunked import chunked, skipping, spans, steps

import aecodec
from aecodec.container.layout import FRAME_SIZE, Kind, create_record
from aecodec.container.reader import ContainerReader
from aecodec.container.source import FileSource, ObjectSource, open_source
from aecodec.container.writer import ContainerWriter
from aecodec.errors import FormatError, UsageError

ARRAY = steps(40)
WHOLE = chunked(ARRAY, "tx", 4)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "run.aecz"
    path.write_bytes(WHOLE)
    return path


class Plain(io.RawIOBase):
    """A file object of somebody's own."""

    def __init__(self) -> None:
        self._inner = io.BytesIO(WHOLE)

    def read(self, size=-1):
        return self._inner.read(min(size, 100) if size > 0 else size)  # as sockets do

    def seek(self, offset, whence=0):
        return self._inner.seek(offset, whence)

    def seekable(self):
        return True


def sources(path):
    return {"path": path, "bytes": WHOLE, "BytesIO": io.BytesIO(WHOLE), "file": path.open("rb"), "own": Plain()}


@pytest.mark.parametrize("kind", ["path", "bytes", "BytesIO", "file", "own"])
def test_many_threads_index_one_reader(path, kind):
    reader = aecodec.open(sources(path)[kind], threads=2) if kind != "bytes" else aecodec.Reader(WHOLE)
    wrong = []

    def look(seed):
        places = np.random.default_rng(seed).integers(0, 40, 60).tolist()
        wrong.extend(at for at in places if not np.array_equal(reader[at], ARRAY[at]))
        wrong.extend([] if np.array_equal(reader.read(), ARRAY) else ["all"])

    threads = [threading.Thread(target=look, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def read_back(reader, queue):
    try:
        queue.put(np.array_equal(reader[:], ARRAY) and np.array_equal(reader[7], ARRAY[7]))
    except BaseException as error:  # noqa: BLE001  # whatever it is goes to the parent
        queue.put(repr(error))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("kind", ["path", "BytesIO", "file"])
def test_readers_go_to_other_processes(path, method, kind):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this platform cannot {method}")
    context = multiprocessing.get_context(method)
    reader, queue = aecodec.open(sources(path)[kind], threads=2), context.Queue()
    assert np.array_equal(reader[5], ARRAY[5])
    with reader._chunks._lock:  # as if another thread was in the middle of it at the fork
        children = [context.Process(target=read_back, args=(reader, queue)) for _ in range(3)]
        for child in children:
            child.start()
        assert [queue.get(timeout=60) for _ in children] == [True] * 3
    for child in children:
        child.join()
    assert np.array_equal(reader[:], ARRAY)


def test_a_pickled_reader_keeps_its_settings_and_its_model(tmp_path, field, model):
    path = tmp_path / "m.aecz"
    path.write_bytes(aecodec.compress(field, model, "tcyx", max_error=0.05, embed_model=False))
    with aecodec.open(path, model=model, threads=3, on_error="skip") as f:
        state = pickle.dumps(f)
        other = pickle.loads(state)
        assert (other.threads, other._on_error, other.model.id) == (3, "skip", model.id)
        assert np.array_equal(other[:], f[:])
        other.close()
        assert np.array_equal(f[3], f[3:4][0])


def test_a_reader_of_a_relative_path_travels_to_another_directory(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    state = pickle.dumps(aecodec.open(path.name))
    monkeypatch.chdir(os.sep)
    assert np.array_equal(pickle.loads(state)[:], ARRAY)


def test_what_cannot_be_opened_again_is_refused(tmp_path):
    with pytest.raises(UsageError, match="a Plain object cannot be opened in another process; open the file by its path"):
        pickle.dumps(aecodec.open(Plain()))
    with tempfile.TemporaryFile() as file:
        file.write(WHOLE)
        with pytest.raises(UsageError, match="this file has no path to open it by in another process"):
            pickle.dumps(aecodec.open(file))
    gone = tmp_path / "gone.aecz"
    gone.write_bytes(WHOLE)
    reader = aecodec.open(gone)
    gone.unlink()
    with pytest.raises(UsageError, match="this file has no path to open it by in another process"):
        pickle.dumps(reader)
    assert np.array_equal(reader[:], ARRAY)


def test_a_position_shared_with_another_process_is_not_used(tmp_path):
    with tempfile.NamedTemporaryFile(dir=tmp_path) as file:
        file.write(WHOLE)
        file.flush()
        source = open_source(file)
        assert isinstance(source, ObjectSource)
        assert source.read(0, 4) == b"\x89AEC"
        source._process -= 1
        with pytest.raises(UsageError, match="this file object shares its position with the process that it was opened in"):
            source.read(0, 4)


def test_pipes_are_refused_with_what_reads_them():
    end, other = os.pipe()
    with (
        os.fdopen(end, "rb") as pipe,
        os.fdopen(other, "wb"),
        pytest.raises(UsageError, match=r"read it with aecodec\.Decompressor"),
    ):
        aecodec.open(pipe)


def test_a_closed_reader_says_so(path):
    reader = aecodec.open(path)
    reader.close()
    with pytest.raises(UsageError, match="the file is closed; open it again to read"):
        reader[0]


def test_a_file_that_is_written_to_is_read_without_moving_its_position(path):
    with path.open("r+b") as file:
        file.seek(11)
        reader = aecodec.open(file)
        assert isinstance(reader.container.source, FileSource)
        assert np.array_equal(reader[:], ARRAY)
        assert file.tell() == 11


@pytest.mark.parametrize("seed", range(4))
def test_a_growing_file_shows_its_whole_chunks_and_never_a_torn_one(tmp_path, seed):
    path = tmp_path / "run.aecz.partial"
    rng = np.random.default_rng(seed)
    data = WHOLE + (chunked(ARRAY + 9, "tx", 7) if seed % 2 else b"")
    expected = np.concatenate([ARRAY, ARRAY + 9])
    ends = [end for _, end in spans(WHOLE, Kind.CHUNK)] + [len(WHOLE) + end for _, end in spans(data[len(WHOLE) :], Kind.CHUNK)]
    lengths = [4] * 10 + [7, 7, 7, 7, 7, 5]
    header_end = spans(WHOLE, Kind.HEADER)[0][1]
    at = int(rng.integers(header_end, header_end + 100))
    path.write_bytes(data[:at])
    with aecodec.open(path) as f, aecodec.open(io.BytesIO(data[:at])) as fixed, path.open("ab") as out:
        while True:
            whole = sum(length for length, end in zip(lengths, ends, strict=False) if end <= at)
            assert f.shape == (whole, 6), at
            assert np.array_equal(f[:], expected[:whole])
            assert f.complete == (at in (len(WHOLE), len(data)))
            fresh = ContainerReader(path)
            assert fresh.index.starts.tolist() == f.container.index.starts.tolist()
            if at == len(data):
                break
            size = int(rng.integers(1, 150))
            out.write(data[at : at + size])
            out.flush()
            at = min(len(data), at + size)
            f.refresh()
        assert not f.refresh()
        assert not fixed.refresh()


@pytest.mark.parametrize("begun", range(13))
@pytest.mark.parametrize("damaged_index", [False, True])
def test_a_part_that_had_only_begun_when_the_file_was_opened(tmp_path, begun, damaged_index):
    path = tmp_path / "run.aecz.partial"
    data = bytearray(WHOLE + chunked(ARRAY + 9, "tx", 7))
    if damaged_index:
        data[spans(WHOLE, Kind.INDEX)[0][0] + FRAME_SIZE + 3] ^= 1
    path.write_bytes(data[: len(WHOLE) + begun])
    with aecodec.open(path) as f:
        assert np.array_equal(f[:], ARRAY)
        path.write_bytes(data[:-60])
        f.refresh()
        assert np.array_equal(f[:], np.concatenate([ARRAY, ARRAY + 9]))
        path.write_bytes(data)
        f.refresh()
        assert f.finished
        assert f.complete != damaged_index


def test_a_refresh_reads_only_what_is_new(tmp_path):
    path = tmp_path / "run.aecz"
    ends = [end for _, end in spans(WHOLE, Kind.CHUNK)]
    path.write_bytes(WHOLE[: ends[7]])
    with aecodec.open(path) as f:
        assert len(f) == 32
        read = []
        source = f.container.source
        original = source.read
        source.read = lambda offset, size: (read.append(offset), original(offset, size))[1]
        with path.open("ab") as out:
            out.write(WHOLE[ends[7] : ends[8]])
        assert f.refresh()
        assert len(f) == 36
        assert min(offset for offset in read if offset > 12) >= ends[7] - 56


def test_a_file_that_became_another_is_read_anew(path):
    with aecodec.open(path) as f:
        path.write_bytes(chunked(ARRAY[:9] + 1, "tx", 4))
        assert f.refresh()
        assert np.array_equal(f[:], ARRAY[:9] + 1)


@pytest.mark.parametrize("scanned", [False, True])
def test_offsets_beyond_4_gib_are_kept(tmp_path, scanned):
    """A record of unknown kind takes 5 GiB that are not there on disk."""
    path, hole = tmp_path / "large.aecz", 5 << 30
    with path.open("wb") as file:
        writer = ContainerWriter(file)
        writer.begin({"axes": "t", "dtype": "<i2", "fidelity": {"kind": "lossless"}, "model": None, "shape": [None]}, None, None)
        writer.chunk(0, 3, b"\x01\x07\0")
        unknown = bytearray(create_record(Kind.CHUNK, 9, b""))
        unknown[4], unknown[12:20] = 77, hole.to_bytes(8, "little")
        unknown[28:32] = (xxhash.xxh64_intdigest(bytes(unknown[:28])) & 0xFFFFFFFF).to_bytes(4, "little")
        file.write(unknown)
        file.seek(hole, os.SEEK_CUR)
        writer.offset += FRAME_SIZE + hole
        writer.chunk(3, 2, b"\x01\x08\0")
        writer.finish()
    if path.stat().st_blocks * 512 > hole:
        pytest.skip("this file system has no sparse files")
    if scanned:
        os.truncate(path, path.stat().st_size - 3)
    with aecodec.open(path) as f:
        assert f.complete is not scanned
        assert int(f.container.index.offsets[1]) > 1 << 32
        assert f[:].tolist() == [7, 7, 7, 8, 8]
    with path.open("rb") as head, skipping(path) as f:
        assert f.container.size > hole
        decompressor = aecodec.Decompressor()
        assert decompressor.decompress(head.read(1000))[0].tolist() == [7, 7, 7]
        with pytest.raises(FormatError):
            decompressor.finish()


def test_threads_and_processes_read_while_one_process_appends(tmp_path):
    counts, failures = soak.soak(3, 2, tmp_path)
    assert failures == []
    assert counts["appended"] > 0
    assert counts["read"] > 0
