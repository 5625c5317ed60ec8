"""Files: written slab by slab, appended to, aborted, read lazily, and never left half done."""

import io
import threading

import numpy as np
import pytest
from conftest import smooth_field, walk

import aecodec
from aecodec.errors import FidelityError, UsageError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.aecz"


def test_slabs_make_one_array(path, field):
    with aecodec.open(path, "w", axes="tcyx", max_error=0.02) as f:
        assert f.shape == ()
        for slab in np.split(field, [1, 4, 5, 17]):
            f.write(slab)
        assert f.shape == field.shape
    with aecodec.open(path) as f:
        assert (f.shape, f.ndim, len(f), f.nbytes) == (field.shape, 4, 24, field.nbytes)
        assert (f.dtype, f.axes, f.fidelity.kind) == (np.float32, "tcyx", "max_error")
        assert f.complete
        assert np.abs(np.asarray(f) - field).max() <= 0.02
        assert np.array_equal(np.stack(list(f)), f[:])
        assert repr(f) == "<aecodec.Reader (24, 2, 32, 40) float32 axes='tcyx' max_error>"


def test_a_file_is_what_compress_gives(path, field, model):
    with aecodec.open(path, "w", model=model, axes="tcyx", max_error=0.05) as f:
        for step in field:
            f.write(step[None])
    assert path.read_bytes() == aecodec.compress(field, model, "tcyx", max_error=0.05)


@pytest.mark.parametrize(("axes", "shape", "along"), [("cyx", (2, 200, 300), 1), ("yxc", (300, 200, 3), 0), ("xt", (50, 900), 1)])
def test_any_axis_may_be_the_stream(path, axes, shape, along):
    array = smooth_field(shape)
    with aecodec.open(path, "w", axes=axes, max_error=0.1) as f:
        for slab in np.array_split(array, 7, axis=along):
            f.write(slab)
    with aecodec.open(path) as f:
        assert f.shape == shape
        assert np.abs(f[...] - array).max() <= 0.1


def test_a_callers_buffer_may_be_filled_again(path):
    buffer = np.empty((10, 100), "i4")
    with aecodec.open(path, "w", axes="tc") as f:
        for i in range(20):
            buffer[:] = i
            f.write(buffer)
    with aecodec.open(path) as f:
        assert np.array_equal(f[:, 0], np.repeat(np.arange(20), 10))


def test_a_new_file_has_its_name_only_when_it_is_complete(path, field):
    f = aecodec.open(path, "w", axes="tcyx")
    f.write(field)
    assert not path.exists()
    f.close()
    f.close()
    assert [p.name for p in path.parent.iterdir()] == ["run.aecz"]
    with pytest.raises(UsageError, match="the file is closed; open it with mode 'a' to append"):
        f.write(field)


def test_abort_leaves_no_file(path, field):
    f = aecodec.open(path, "w", axes="tcyx")
    f.write(field)
    f.abort()
    f.abort()
    assert list(path.parent.iterdir()) == []


def test_an_exception_leaves_no_file_and_keeps_an_old_one(path, field):
    path.write_bytes(b"old")

    def fail_half_way():
        with aecodec.open(path, "w", axes="tcyx") as f:
            f.write(field)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert path.read_bytes() == b"old"
    assert len(list(path.parent.iterdir())) == 1


def test_a_refused_slab_leaves_no_file(path, field):
    def write_two():
        with aecodec.open(path, "w", axes="tcyx") as f:
            f.write(field)
            f.write(field[:, :1])

    with pytest.raises(UsageError, match="does not fit a file of shape"):
        write_two()
    assert list(path.parent.iterdir()) == []


def test_nothing_written_leaves_no_file(path):
    with pytest.raises(UsageError, match="nothing was written"), aecodec.open(path, "w"):
        pass
    assert list(path.parent.iterdir()) == []


def test_slabs_that_do_not_fit_are_refused_by_name(path, field):
    f = aecodec.open(path, "w", axes="tcyx")
    f.write(field)
    with pytest.raises(UsageError) as caught:
        f.write(field[:, :1])
    assert str(caught.value).startswith("slab of shape (24, 1, 32, 40) does not fit a file of shape (0, 2, 32, 40) ")
    assert "axes 'tcyx'" in str(caught.value)
    assert "0: any length" in str(caught.value)
    with pytest.raises(UsageError) as caught:
        f.write(field.astype("f8"))
    assert str(caught.value) == "slab of dtype float64 does not fit a file of float32; convert it with astype"
    f.abort()


def test_an_array_without_a_stream_axis_is_written_at_once(path):
    f = aecodec.open(path, "w", axes="c")
    f.write(np.arange(4))
    with pytest.raises(UsageError, match="axes='c' has no axis to append along; write such an array at once"):
        f.write(np.arange(4))
    f.close()
    with pytest.raises(UsageError, match="axes='c' has no axis to append along"):
        aecodec.open(path, "a")
    with aecodec.open(path) as g:
        assert g[1:3].tolist() == [1, 2]


def test_a_declared_file_may_stay_empty(path):
    with aecodec.open(path, "w") as f:
        f.declare("<f4", "tyx", (5, 3, 4))
    with aecodec.open(path) as f:
        assert (f.shape, f.dtype, f[:].shape, list(f)) == ((0, 3, 4), np.float32, (0, 3, 4), [])
    with aecodec.open(path, "a") as f:
        f.write(np.ones((2, 3, 4), "f4"))
    assert aecodec.decompress(path.read_bytes()).sum() == 24


def test_streams_need_their_range_beforehand(path, field):
    with (
        pytest.raises(FidelityError, match=r"psnr of a stream needs its value range beforehand; pass value_range=\(low, high\)"),
        aecodec.open(path, "w", axes="tcyx", psnr=50) as f,
    ):
        f.write(field)
    with aecodec.open(path, "w", axes="tcyx", max_range_error=0.01, value_range=(-50, 50)) as f:
        f.write(field)
    assert np.abs(aecodec.decompress(path.read_bytes()) - field).max() <= 1.0


def test_binary_files_may_be_given_instead_of_names(field):
    out = io.BytesIO()
    with aecodec.open(out, "w", axes="tcyx") as f:
        f.write(field)
    with aecodec.open(out) as f:
        assert np.array_equal(f[3], field[3])
    assert not out.closed


def test_a_reader_may_be_shared_by_threads(path):
    array = np.arange(40 * 64 * 512, dtype="i4").reshape(40, 64, 512)
    with aecodec.open(path, "w", axes="tyx") as f:
        for slab in np.split(array, 20):
            f.write(slab)
    failures = []

    def look(seed):
        places = np.random.default_rng(seed).integers(0, 40, 40).tolist()
        failures.extend(at for at in places if not np.array_equal(f[at], array[at]))

    with aecodec.open(path) as f:
        threads = [threading.Thread(target=look, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_chunks_hold_about_two_million_values(path):
    array = walk(1 << 18).reshape(-1, 16)
    with aecodec.open(path, "w", axes="tc") as f:
        for _ in range(12):
            f.write(array)
    with aecodec.open(path) as f:
        assert f.container.index.counts.tolist() == [1 << 17, 1 << 16]
        assert np.array_equal(f[[0, 70_000, 12 * len(array) - 1]], array[[0, 70_000 % len(array), -1]])
