"""HDF5 through the real h5py: direct chunks, parts, edges, what others see."""

import numpy as np
import pytest
from conftest import smooth_field

from aecodec.errors import AxesError, FidelityError, FormatError, UsageError

h5py = pytest.importorskip("h5py")

from aecodec.integrations import hdf5  # noqa: E402  # needs h5py


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as found:
        yield found


@pytest.mark.parametrize("chunks", [(7, 2, 32, 40), (5, 1, 9, 40), (24, 2, 32, 40)])
def test_parts_within_the_bound(file, field, model, chunks):
    hdf5.create(file, "wind", field, chunks, model=model, axes="tcyx", max_error=0.05)
    file.flush()
    found = hdf5.open(file["wind"])
    whole = found[...]
    assert np.abs(whole - field).max() <= 0.05
    for index in [
        np.s_[3],
        np.s_[3:17:5, 1],
        np.s_[..., -1],
        np.s_[::-2, :, 4:9, ::7],
        np.s_[2, 0, 1, 3],
        np.s_[5:5],
        np.s_[:, 1, ..., 2],
    ]:
        np.testing.assert_array_equal(found[index], whole[index])
    np.testing.assert_array_equal(np.asarray(found), whole)
    assert found.stored_bytes < field.nbytes / 4


@pytest.mark.parametrize("dtype", ["i2", ">f4", "f8", "u1"])
def test_lossless_without_a_bound(file, dtype):
    x = (smooth_field((6, 20, 30)) * 3).astype(dtype)
    hdf5.create(file, "x", x, (4, 20, 16), axes="tyx")
    found = hdf5.open(file["x"])
    assert found.dtype == x.dtype
    assert found[...].tobytes() == x.tobytes()


def test_chunk_by_chunk_and_what_was_never_written(file, field):
    made = hdf5.create(file, "x", field[:5], (2, 2, 32, 40), axes="tcyx", max_error=0.05, fillvalue=-7.5)
    made.write_chunk((4, 0, 0, 0), field[20:21])
    assert np.abs(made[4] - field[20]).max() <= 0.05
    with pytest.raises(
        UsageError, match=r"a chunk at \(4, 0, 0, 0\) is of float32 \(1, 2, 32, 40\), found float32 \(2, 2, 32, 40\)"
    ):
        made.write_chunk((4, 0, 0, 0), field[:2])
    with pytest.raises(UsageError, match="a chunk at"):
        made.write_chunk((1, 0, 0, 0), field[:2])
    with pytest.raises(UsageError, match="only whole arrays"):
        made[1] = 0.0
    with pytest.raises(UsageError, match="not one of integers and slices"):
        made[[1, 2]]


def test_other_programs_see_all_but_the_values(file, field):
    hdf5.create(file, "x", field, (24, 2, 32, 40), axes="tcyx", max_error=0.05)
    plain = file["x"]
    assert (plain.shape, plain.dtype, plain.chunks) == (field.shape, field.dtype, (24, 2, 32, 40))
    assert plain.id.get_create_plist().get_filter(0)[0] == hdf5.FILTER == 0xAEC0
    with pytest.raises(OSError, match="read data"):
        plain[...]


def test_damage_and_foreign_datasets(file, field):
    hdf5.create(file, "x", field, (24, 2, 32, 40), axes="tcyx", max_error=0.05)
    _, data = file["x"].id.read_direct_chunk((0, 0, 0, 0))
    file["x"].id.write_direct_chunk((0, 0, 0, 0), data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(FormatError, match="its checksum does not match"):
        hdf5.open(file["x"])[0]
    file["x"].id.write_direct_chunk((0, 0, 0, 0), data + b"more", 1)
    with pytest.raises(FormatError, match="skips its filter"):
        hdf5.open(file["x"])[0]
    file["x"].attrs["aecodec"] = "{"
    with pytest.raises(FormatError, match="malformed JSON"):
        hdf5.open(file["x"])
    file["y"] = field
    with pytest.raises(UsageError, match="/y has no chunks coded by aecodec; read it with h5py"):
        hdf5.open(file["y"])


def test_what_cannot_be_made(file, field):
    with pytest.raises(UsageError, match=r"chunks=\(2, 2\) do not fit"):
        hdf5.create(file, "x", field, (2, 2))
    with pytest.raises(FidelityError, match="needs the array's value range"):
        hdf5.create(file, "x", field, (2, 2, 32, 40), axes="tcyx", psnr=40)
    with pytest.raises(AxesError, match="names 2 dimension"):
        hdf5.create(file, "x", field, (2, 2, 32, 40), axes="yx")
    assert "x" not in file
