"""Writing as the system has it: processes killed, disks full, pipes, sockets, forks."""

import errno
import io
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import aecodec
from aecodec.container.durable import partial_of
from aecodec.container.writer import put_all
from aecodec.errors import LockedError

resource = pytest.importorskip("resource")
SMALL = {"axes": "t", "model": False, "level": 1, "threads": 1}
ARRAY = np.random.default_rng(0).integers(0, 2**62, 20_000)
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.aecz"


def in_child(work):
    """What `work` raised in a forked process, as text; "" if nothing. The child then ends as processes usually do not: at once."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            try:
                work()
                text = ""
            except BaseException as error:  # noqa: BLE001  # told to the parent
                text = "; ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])])
            os.write(writer, text.encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader) as pipe:
        text = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    return text


def limited(size):
    """Files of this process may have `size` bytes, as if the disk were full then."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def write_slabs(path, mode, start, stop, by=1000):
    with aecodec.open(path, mode, **SMALL) as f:
        for at in range(start, stop, by):
            f.write(ARRAY[at : at + by])
            f.flush()


@forks
def test_processes_killed_at_random_points_lose_nothing_that_was_finished():
    command = [sys.executable, str(Path(__file__).with_name("kill.py")), "--rounds", "16", "--seed", str(os.getpid())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("16 kills, nothing finished was lost\n")


@forks
def test_a_full_disk_leaves_the_earlier_file_and_the_finished_chunks(path):
    write_slabs(path, "w", 0, 2000)
    before = path.read_bytes()

    def work():
        limited(50_000)
        write_slabs(path, "w", 0, 20_000)

    text = in_child(work)
    assert text.startswith(
        f"OSError: [Errno {errno.EFBIG}] File too large: '{partial_of(path)}'; {partial_of(path)} keeps the first "
    )
    assert path.read_bytes() == before
    with aecodec.open(partial_of(path)) as f:
        kept = len(f)
        assert 5000 <= kept < 7000
        assert f"keeps the first {kept} steps" in text
        assert np.array_equal(f[:], ARRAY[:kept])
    path.unlink()
    write_slabs(path, "a", kept, 20_000)
    assert np.array_equal(aecodec.decompress(path.read_bytes()), ARRAY)


@pytest.mark.skipif(not shutil.which("unshare"), reason="no namespaces here")
@pytest.mark.parametrize("output", ["y.npy", "y.raw"])
def test_a_disk_too_small_for_what_is_decompressed_is_an_error(tmp_path, output):
    """On a real disk: there a page of a mapped file that has no room ends the process by a signal."""
    (tmp_path / "x.aecz").write_bytes(aecodec.compress(np.zeros(1 << 20), axes="t", level=1))
    (tmp_path / "disk").mkdir()
    script = 'mount -t tmpfs -o size=1m none disk || exit 77; "$@"; status=$?; ls -A disk >&2; exit $status'
    work = [sys.executable, "-m", "aecodec", "decompress", "-q", "x.aecz", "-o", f"disk/{output}"]
    shell = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", *work]
    done = subprocess.run(shell, capture_output=True, text=True, cwd=tmp_path, check=False)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no file systems may be mounted here")
    assert done.returncode == 1, done.stderr
    assert done.stderr.endswith(".partial: No space left on device\n"), "the file is named, and nothing is left of it"


@forks
@pytest.mark.parametrize("room", [0, 1, 31, 32, 500, 8100, 8500, 20_000])
def test_a_full_disk_while_appending_leaves_what_was_there(path, room):
    write_slabs(path, "w", 0, 2000)
    before = path.read_bytes()

    def work():
        limited(len(before) + room)
        write_slabs(path, "a", 2000, 20_000)

    assert f"OSError: [Errno {errno.EFBIG}]" in in_child(work)
    data = path.read_bytes()
    assert data[: len(before)] == before
    assert (data == before) == (room < 8_060)
    with aecodec.open(path) as f:
        kept = len(f)
        assert f.complete == (room < 8_060)
        assert kept == 2000 + room // 8_060 * 1000
        assert np.array_equal(f[:], ARRAY[:kept])
    write_slabs(path, "a", kept, 20_000)
    assert np.array_equal(aecodec.decompress(path.read_bytes()), ARRAY)


@forks
def test_a_disk_that_is_full_when_the_index_is_written_leaves_all_chunks(path):
    write_slabs(path, "w", 0, 5000)
    size = path.stat().st_size

    def work():
        limited(size - 60)
        write_slabs(path, "w", 0, 5000)

    path.unlink()
    assert "keeps the first 5000 steps" in in_child(work)
    assert not path.exists()
    with aecodec.open(path, "a") as f:
        assert f.shape == (5000,)
    assert np.array_equal(aecodec.decompress(path.read_bytes()), ARRAY[:5000])
    assert path.stat().st_size == size


@forks
def test_a_full_disk_before_the_first_chunk_leaves_nothing(path):
    def work():
        limited(100)
        write_slabs(path, "w", 0, 5000)

    assert f"OSError: [Errno {errno.EFBIG}]" in in_child(work)
    assert list(path.parent.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_device_is_an_error_and_no_file_beside_it():
    with pytest.raises(OSError, match="No space left on device"), aecodec.open("/dev/full", "w", **SMALL) as f:
        f.write(ARRAY)
    assert not Path("/dev/full.partial").exists()
    assert Path("/dev/full").is_char_device()
    with pytest.raises(OSError, match="No space left on device"), open("/dev/full", "wb") as file:  # noqa: PT012
        with aecodec.open(file, "w", **SMALL) as f:
            f.write(ARRAY[:10])
        pytest.fail("what was buffered should have been flushed on closing")


@forks
def test_a_forked_process_cannot_write_and_does_no_harm(path):
    f = aecodec.open(path, "w", **SMALL)
    f.write(ARRAY[:100])
    f.flush()
    f.write(ARRAY[100:200])
    before = partial_of(path).read_bytes()
    for call in (lambda: f.write(ARRAY[:5]), f.flush, lambda: f.declare("i8", "t", (0,))):
        text = in_child(call)
        assert text.startswith(f"UsageError: this Writer belongs to process {os.getpid()}, and this is process ")
        assert text.endswith("write there, or open the file with mode 'a' once it is closed")
    for call in (
        f.close,
        f.abort,
        f.__del__ if hasattr(f, "__del__") else f.close,
        lambda: f.__exit__(ValueError, ValueError(), None),
    ):
        assert in_child(call) == ""
    assert partial_of(path).read_bytes() == before
    with pytest.raises(LockedError):
        aecodec.open(path, "a")
    f.write(ARRAY[200:300])
    f.close()
    assert np.array_equal(aecodec.decompress(path.read_bytes()), ARRAY[:300])


@forks
def test_a_process_that_leaves_a_with_statement_by_fork_and_exit_does_not_finish_the_file(path):
    with aecodec.open(path, "w", **SMALL) as f:
        f.write(ARRAY[:100])
        f.flush()
        child = multiprocessing.get_context("fork").Process(target=sys.exit, args=(0,))
        child.start()
        child.join()
        assert partial_of(path).exists()
        assert not path.exists()
        f.write(ARRAY[100:300])
    assert np.array_equal(aecodec.decompress(path.read_bytes()), ARRAY[:300])


@forks
def test_the_lock_ends_with_the_writer_not_with_the_processes_forked_from_it(path):
    f = aecodec.open(path, "w", **SMALL)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.read(reader, 1)
        os._exit(0)
    try:
        f.write(ARRAY[:100])
        f.close()
        write_slabs(path, "a", 100, 200, 50)
    finally:
        os.write(writer, b"x")
        os.waitpid(child, 0)
    assert np.array_equal(aecodec.decompress(path.read_bytes()), ARRAY[:200])


@forks
def test_the_lock_ends_with_a_process_that_dies_though_those_forked_from_it_live_on(path):
    reader, writer = os.pipe()
    started, starting = os.pipe()

    def work():
        f = aecodec.open(path, "w", **SMALL)
        f.write(ARRAY[:100])
        f.flush()
        if not os.fork():
            os.write(starting, b"x")
            os.read(reader, 1)
            os._exit(0)
        os.read(started, 1)
        os._exit(0)

    child = os.fork()
    if not child:
        work()
    try:
        assert os.waitpid(child, 0)[1] == 0
        write_slabs(path, "a", 100, 200, 50)
    finally:
        os.write(writer, b"x")
    assert np.array_equal(aecodec.decompress(path.read_bytes()), ARRAY[:200])


def test_closing_gives_the_lock_back_though_another_descriptor_holds_it(path):
    """As a process does that was forked by a library that Python knows nothing of."""
    f = aecodec.open(path, "w", **SMALL)
    copy = os.dup(f._file._descriptor)
    f.write(ARRAY[:100])
    f.close()
    write_slabs(path, "a", 100, 200, 50)
    os.close(copy)
    assert np.array_equal(aecodec.decompress(path.read_bytes()), ARRAY[:200])


def append_one(writer, number):
    """In a process of its own."""
    while True:
        try:
            writer.write(np.array([number]))
            break
        except LockedError:
            continue
    writer.close()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_copy_in_another_process_appends(path, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    with aecodec.open(path, "w", **SMALL) as f:
        f.write(np.arange(3))
    children = [multiprocessing.get_context(method).Process(target=append_one, args=(f, number)) for number in (7, 8)]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0
    found = aecodec.decompress(path.read_bytes()).tolist()
    assert found[:3] == [0, 1, 2]
    assert sorted(found[3:]) == [7, 8]


class Raw(io.RawIOBase):
    """A raw file that takes a few bytes at a time, and can neither tell nor seek."""

    def __init__(self, sizes):
        self.data, self.sizes, self.calls = bytearray(), sizes, 0

    def writable(self):
        return True

    def write(self, data):
        self.calls += 1
        size = self.sizes[self.calls % len(self.sizes)]
        if size is not None:
            self.data += bytes(data)[:size]
            size = min(size, len(data))
        return size


@pytest.mark.parametrize("sizes", [[1], [7, 100, 3], [5000]])
def test_raw_files_may_take_a_part_of_what_they_are_given(sizes):
    raw = Raw(sizes)
    with aecodec.open(raw, "w", **SMALL) as f:
        f.write(ARRAY[:500])
    assert not raw.closed
    assert np.array_equal(aecodec.decompress(bytes(raw.data)), ARRAY[:500])


@pytest.mark.parametrize(("sizes", "taken"), [([None], 0), ([0], 0), ([None, 10], 10)])
def test_raw_files_that_take_nothing_are_an_error(sizes, taken):
    raw = Raw(sizes)
    with pytest.raises(BlockingIOError, match=f"the output took {taken} of 12 bytes; use a blocking one"):
        put_all(raw, b"twelve bytes")


def test_what_write_returns_counts_only_if_it_is_a_smaller_number():
    for answer in (None, 12, 99, "ok", 1.5):
        calls = []

        class Sink:
            def write(self, data, calls=calls, answer=answer):
                calls.append(bytes(data))
                return answer

        put_all(Sink(), b"twelve bytes")
        assert calls == [b"twelve bytes"]


def received(read, close):
    """A thread that collects what `read` gives, and the bytes it got."""
    data = bytearray()

    def collect():
        while block := read(1 << 16):
            data.extend(block)
        close()

    thread = threading.Thread(target=collect)
    thread.start()
    return thread, data


@pytest.mark.parametrize("buffering", [0, -1])
def test_pipes_are_written_front_to_back(buffering):
    reader, writer = os.pipe()
    thread, data = received(lambda size: os.read(reader, size), lambda: os.close(reader))
    with open(writer, "wb", buffering=buffering) as pipe:
        with aecodec.open(pipe, "w", **SMALL) as f:
            f.write(ARRAY)
        assert not pipe.closed
    thread.join()
    assert np.array_equal(np.concatenate(aecodec.Decompressor().decompress(bytes(data))), ARRAY)


@pytest.mark.parametrize("buffering", [0, -1])
def test_sockets_are_written_front_to_back(buffering):
    ours, theirs = socket.socketpair()
    thread, data = received(theirs.recv, theirs.close)
    with ours, ours.makefile("wb", buffering=buffering) as file, aecodec.open(file, "w", **SMALL) as f:
        f.write(ARRAY)
    thread.join()
    assert np.array_equal(np.concatenate(aecodec.Decompressor().decompress(bytes(data))), ARRAY)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_written_directly(path):
    os.mkfifo(path)
    found = []
    thread = threading.Thread(target=lambda: found.append(path.read_bytes()))
    thread.start()
    with aecodec.open(path, "w", **SMALL) as f:
        f.write(ARRAY)
    thread.join()
    assert np.array_equal(aecodec.decompress(found[0]), ARRAY)
    assert [p.name for p in path.parent.iterdir()] == ["run.aecz"]


def test_a_reader_that_goes_away_is_a_broken_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb", buffering=0) as pipe, pytest.raises(BrokenPipeError), aecodec.open(pipe, "w", **SMALL) as f:
        f.write(ARRAY)


def test_file_objects_are_flushed_when_the_writer_closes(path):
    with open(path, "wb") as file:
        with aecodec.open(file, "w", **SMALL) as f:
            f.write(ARRAY[:10])
            f.flush()
            assert path.stat().st_size > 0
        assert np.array_equal(aecodec.decompress(path.read_bytes()), ARRAY[:10])


def test_the_command_keeps_what_it_read_of_standard_input(tmp_path):
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9 << 20, 9 << 20)); import aecodec.cli; "
        "sys.argv = ['aecodec', 'compress', '-', '-o', 'y.aecz', '-q', '-T', '1', '--no-model', '-l', '1']; aecodec.cli.main()"
    )
    noise = np.random.default_rng(0).bytes(24 << 20)
    done = subprocess.run([sys.executable, "-c", code], input=noise, capture_output=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    message = done.stderr.decode()
    assert "y.aecz.partial: File too large; " in message
    assert "y.aecz.partial keeps the first " in message
    with aecodec.open(tmp_path / "y.aecz.partial") as f:
        assert len(f) > 0
        assert f[:].tobytes() == noise[: len(f)]


def test_the_command_removes_what_it_could_not_finish_of_a_file(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 2**62, (3 << 20)))
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20 << 20, 20 << 20)); import aecodec.cli; "
        "sys.argv = ['aecodec', 'compress', 'x.npy', '-q', '-T', '1', '--no-model', '-l', '1', '--axes', 't']; aecodec.cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert done.stderr.decode().strip().endswith("x.npy.aecz.partial: File too large")
    assert [p.name for p in tmp_path.iterdir()] == ["x.npy"]


def command(*arguments, cwd):
    return subprocess.run([sys.executable, "-m", "aecodec", *arguments], capture_output=True, cwd=cwd, check=False)


def test_the_command_discards_what_a_crashed_run_left_only_when_told(tmp_path):
    np.save(tmp_path / "x.npy", ARRAY)
    left = tmp_path / "x.npy.aecz.partial"
    left.write_bytes(b"of a run that did not finish")
    refused = command("compress", "x.npy", "--axes", "t", "-l", "1", cwd=tmp_path)
    assert refused.returncode == 1
    assert "x.npy.aecz.partial holds 28 bytes of a run that did not finish; go on with it (mode 'a')" in refused.stderr.decode()
    assert left.exists()
    assert command("compress", "x.npy", "--axes", "t", "-l", "1", "-f", cwd=tmp_path).returncode == 0
    assert not left.exists()
    assert np.array_equal(aecodec.decompress((tmp_path / "x.npy.aecz").read_bytes()), ARRAY)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_the_command_decompresses_into_a_named_pipe(tmp_path):
    (tmp_path / "x.aecz").write_bytes(aecodec.compress(ARRAY, axes="t", level=1))
    os.mkfifo(tmp_path / "x.pipe")
    found = []
    thread = threading.Thread(target=lambda: found.append((tmp_path / "x.pipe").read_bytes()))
    thread.start()
    done = command("decompress", "x.aecz", "-o", "x.pipe", "-q", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    thread.join()
    assert found == [ARRAY.tobytes()]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.aecz", "x.pipe"]


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no /dev/stdout here")
def test_the_command_writes_to_standard_output_by_its_name(tmp_path):
    np.save(tmp_path / "x.npy", ARRAY)
    piped = command("compress", "x.npy", "--axes", "t", "-l", "1", "-q", "-o", "/dev/stdout", cwd=tmp_path)
    assert piped.returncode == 0, piped.stderr
    (tmp_path / "x.aecz").write_bytes(piped.stdout)
    assert np.array_equal(aecodec.decompress(piped.stdout), ARRAY)
    restored = command("decompress", "x.aecz", "-q", "-o", "/dev/stdout", cwd=tmp_path)
    assert restored.stdout == ARRAY.tobytes()
