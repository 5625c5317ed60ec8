"""Datasets through the real xarray, h5netcdf, scipy and, where it is installed, cfgrib: bounds by variable, all else to the bit."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import smooth_field

from aecodec.errors import FormatError, MissingExtraError, OutputExistsError, UsageError

xr = pytest.importorskip("xarray")
pytest.importorskip("h5netcdf")
pytest.importorskip("zarr", "3")

from aecodec.cli.dataset import compress_dataset, is_dataset, parse_bounds  # noqa: E402  # needs xarray
from aecodec.cli.decompress import decompress_files  # noqa: E402
from aecodec.integrations.netcdf import open_dataset, write_netcdf  # noqa: E402
from aecodec.integrations.variables import Bounds, axes_of, why_exact  # noqa: E402
from aecodec.integrations.xarray import to_zarr  # noqa: E402

FILL = np.float32(9.96921e36)


@pytest.fixture
def dataset(field):
    t2m = field[:, 0, :, :30] + 280
    t2m[:, :5, :7] = np.nan
    variables = {
        "t2m": (("time", "lat", "lon2"), t2m, {"units": "K", "long_name": "temperature", "grid_mapping": "crs"}),
        "uv": (("time", "part", "lat", "lon"), field),
        "packed": (("time", "lat", "lon2"), t2m - 280),
        "mask": (
            ("lat", "lon2"),
            np.isnan(t2m[0]).astype("i1"),
            {"flag_values": np.array([0, 1], "i1"), "flag_meanings": "sea land"},
        ),
        "count": (("time",), np.arange(24, dtype="i4")),
        "crs": ((), np.int32(0), {"grid_mapping_name": "latitude_longitude"}),
        "bounds_of_time": (("time", "nv"), np.stack([np.arange(24.0), np.arange(24.0) + 0.3], 1)),
    }
    coordinates = {
        "time": ("time", np.datetime64("2000-01-01", "ns") + np.arange(24) * np.timedelta64(6, "h"), {"bounds": "bounds_of_time"}),
        "lat": ("lat", np.linspace(-60, 60, 32), {"units": "degrees_north"}),
        "lon2": ("lon2", np.linspace(0, 350, 30), {"units": "degrees_east"}),
    }
    return xr.Dataset(variables, coordinates, {"title": "a test", "history": "made up"})


@pytest.fixture(params=["h5netcdf", "scipy"])
def file(request, dataset, tmp_path):
    path = tmp_path / "in.nc"
    packing = {"dtype": "i2", "scale_factor": 0.001, "add_offset": 1.0, "_FillValue": np.int16(-32767)}
    encoding = {"packed": packing, "t2m": {"_FillValue": FILL}, "time": {"units": "hours since 1999-12-31"}}
    dataset.to_netcdf(path, engine=request.param, encoding=encoding)
    return path


def compress(source, target, max_error=None, model=False, **more):
    others = {"max_range_error": None, "max_point_error": None, "psnr": None, "quality": None} | more
    compress_dataset([str(source)], str(target), max_error, others, model, 5, False, False)


def test_a_store_becomes_netcdf_again(file, tmp_path, capsys):
    compress(file, tmp_path / "out.zarr", "t2m=0.05,packed=0.02", max_range_error=1e-2)
    decompress_files([str(tmp_path / "out.zarr")], str(tmp_path / "back.nc"), None, "auto", None, False, False)
    assert "variables" in capsys.readouterr().err
    with open_dataset(tmp_path / "out.zarr") as stored, open_dataset(tmp_path / "back.nc") as back, open_dataset(file) as before:
        assert set(back.variables) == set(stored.variables) == set(before.variables)
        assert back.attrs == before.attrs
        for name, variable in back.variables.items():
            assert variable.dims == before[name].dims
            np.testing.assert_array_equal(variable.values, stored[name].values)
            assert variable.dtype == stored[name].dtype
            assert set(variable.attrs) == set(stored[name].attrs)
            for key, value in variable.attrs.items():
                np.testing.assert_array_equal(value, stored[name].attrs[key])
        assert back.mask.attrs["flag_values"].dtype == "i1"
        for name in ("mask", "count", "crs", "bounds_of_time", "time", "lat", "lon2"):
            np.testing.assert_array_equal(back[name].values, before[name].values)
            assert back[name].dtype == before[name].dtype
    with xr.open_dataset(tmp_path / "back.nc") as back, xr.open_dataset(file) as before:
        assert float(np.abs(back.t2m - before.t2m).max()) <= 0.05
        np.testing.assert_array_equal(back.time.values, before.time.values)
    with pytest.raises(OutputExistsError, match=r"back\.nc exists"):
        decompress_files([str(tmp_path / "out.zarr")], str(tmp_path / "back.nc"), None, "auto", None, False, True)
    assert not list(tmp_path.glob(".*partial"))


def test_large_variables_are_written_chunk_by_chunk(dataset, tmp_path, monkeypatch):
    pytest.importorskip("dask")
    to_zarr(dataset[["uv"]], tmp_path / "out.zarr", max_error=0.5, model=False)
    monkeypatch.setattr("aecodec.integrations.large_variables.LARGE", 1)
    with open_dataset(tmp_path / "out.zarr") as stored:
        write_netcdf(stored, tmp_path / "back.nc")
    with xr.open_dataset(tmp_path / "back.nc") as back:
        assert float(np.abs(back.uv - dataset.uv).max()) <= 0.5


def test_a_directory_that_is_no_store_does_not_become_netcdf(tmp_path):
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(UsageError, match="is a directory, but no zarr group"):
        decompress_files([str(tmp_path / "empty.zarr")], str(tmp_path / "back.nc"), None, "auto", None, False, True)
    assert [path.name for path in tmp_path.iterdir()] == ["empty.zarr"]


def test_bounds_hold_and_all_else_is_kept_to_the_bit(file, tmp_path, capsys):
    compress(file, tmp_path / "out.zarr", "t2m=0.05,packed=0.02", max_range_error=1e-2)
    with xr.open_dataset(file, engine=None) as before, xr.open_zarr(tmp_path / "out.zarr", consolidated=False) as after:
        for name, bound in {"t2m": 0.05, "packed": 0.02, "uv": 1e-2 * float(before.uv.max() - before.uv.min())}.items():
            assert np.nanmax(np.abs(after[name].values.astype("f8") - before[name].values)) <= bound
            np.testing.assert_array_equal(np.isnan(after[name].values), np.isnan(before[name].values))
            assert after[name].attrs == before[name].attrs
        for name in ("mask", "count", "crs", "bounds_of_time", "time", "lat", "lon2"):
            np.testing.assert_array_equal(after[name].values, before[name].values)
            assert after[name].dtype == before[name].dtype
            assert set(after[name].attrs) == set(before[name].attrs)
        assert after.attrs == before.attrs
        assert set(after.coords) == set(before.coords)
    printed = capsys.readouterr()
    assert "max_error" in printed.out
    assert "every bit" in printed.out
    assert ":1" in printed.err


def test_without_a_bound_every_variable_is_as_it_was_stored(file, tmp_path):
    compress(file, tmp_path / "out.zarr")
    with open_dataset(file) as before, xr.open_zarr(tmp_path / "out.zarr", decode_cf=False, consolidated=False) as after:
        for name, variable in before.variables.items():
            assert after[name].dtype.newbyteorder("=") == variable.dtype.newbyteorder("=")
            assert after[name].values.tobytes() == variable.values.astype(after[name].dtype).tobytes()
            assert set(after[name].attrs) == set(variable.attrs)


def test_a_model_by_name_serves_and_chunks_it_cannot_take_are_counted(dataset, field, model, tmp_path):
    rows = {
        row.name: row
        for row in to_zarr(dataset, tmp_path / "a.zarr", max_error=0.05, model={"uv": model, "t2m": model, "packed": False})
    }
    assert rows["uv"].model
    assert (rows["uv"].unfit, rows["t2m"].unfit) == (0, 1)
    assert (rows["uv"].axes, rows["t2m"].axes) == ("tcyx", "tyx")
    after = xr.open_zarr(tmp_path / "a.zarr", consolidated=False)
    assert np.abs(after.uv.values - field).max() <= 0.05
    assert np.nanmax(np.abs(after.t2m.values - dataset.t2m.values)) <= 0.05
    assert 3 < rows["uv"].ratio < 100
    assert after.uv.isel(time=3, part=1).values == pytest.approx(field[3, 1], abs=0.05)


def test_accessor_and_encoding(dataset, tmp_path):
    chosen = dataset.aecodec.encoding(max_error={"uv": 0.1}, model=False)
    assert chosen["uv"]["serializer"].coding.fidelity.value == 0.1
    assert chosen["t2m"]["serializer"].coding.fidelity.kind == "lossless"
    dataset.to_zarr(tmp_path / "a.zarr", encoding=chosen, zarr_format=3, consolidated=False)
    after = xr.open_zarr(tmp_path / "a.zarr", consolidated=False)
    assert 0 < np.abs(after.uv.values - dataset.uv.values).max() <= 0.1
    others = ["uv", "bounds_of_time"]  # the latter xarray takes for times, as they are bounds of some
    xr.testing.assert_equal(after.drop_vars(others), dataset.drop_vars(others))
    assert [row.name for row in dataset.aecodec.to_zarr(tmp_path / "b.zarr", quality=50, model=False)] == list(chosen)


def test_a_model_is_fitted_where_it_pays(tmp_path):
    waves = np.sin(np.arange(40)[None, :] / 3 + np.arange(60)[:, None, None] / 5) * np.cos(np.arange(32) / 4)[:, None] * 30
    noise = np.random.default_rng(0).normal(size=waves.shape)
    many = xr.Dataset({"wave": (("time", "lat", "lon"), (waves + noise).astype("f4"))})
    (row,) = to_zarr(many, tmp_path / "a.zarr", max_error=2.0)
    (plain,) = to_zarr(many, tmp_path / "b.zarr", max_error=2.0, model=False)
    assert row.model
    assert not plain.model
    assert row.stored_bytes < plain.stored_bytes


def test_command(dataset, tmp_path):
    dataset[["t2m", "count"]].to_netcdf(tmp_path / "in.nc", engine="h5netcdf")
    command = [sys.executable, "-m", "aecodec", "compress", "in.nc", "-o", "out.zarr", "--no-model", "--max-error", "t2m=0.5"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "t2m" in done.stdout
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 1
    assert "out.zarr exists; choose another name with -o, or overwrite it with -f" in again.stderr
    assert subprocess.run([*command, "-f", "-q"], cwd=tmp_path, capture_output=True).returncode == 0
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_axes(dataset):
    assert [axes_of(dataset, name) for name in ("t2m", "uv", "mask", "crs", "bounds_of_time")] == ["tyx", "tcyx", "yx", "", "tc"]
    levels = xr.Dataset({"u": (("time", "plev", "y", "x"), np.zeros((2, 3, 4, 5))), "v": (("plev", "y", "x"), np.zeros((3, 4, 5)))})
    assert (axes_of(levels, "u"), axes_of(levels, "v")) == ("tcyx", "zyx")
    assert axes_of(xr.Dataset({"a": (("p", "q"), np.zeros((2, 3)))}), "a") == "yx"


def test_what_is_exact(dataset):
    reasons = {name: why_exact(dataset, name) for name in dataset.variables}
    assert reasons["t2m"] is reasons["uv"] is reasons["count"] is None
    assert reasons["mask"] == "a mask or flag"
    assert reasons["time"] == reasons["lat"] == "a coordinate"
    assert reasons["bounds_of_time"] == "named as the bounds of another variable"
    assert reasons["crs"] == "named as the grid_mapping of another variable"


@pytest.mark.parametrize(
    ("demands", "message"),
    [
        ({"max_error": {"nothing": 1}}, "a bound is given for 'nothing'; the dataset has t2m, uv"),
        ({"max_error": {"lat": 1}}, "a bound is given for 'lat', which is a coordinate and kept exactly"),
        ({"max_error": {"mask": 1}}, "'mask', which is a mask or flag and kept exactly"),
        ({"max_error": 1.0, "psnr": 40.0}, "max_error and psnr are asked of all variables"),
    ],
)
def test_bounds_that_cannot_be(dataset, demands, message):
    with pytest.raises(UsageError, match=message):
        Bounds(demands).check(dataset)


def test_parsed_bounds():
    assert parse_bounds("t2m=0.05,u10=0.1") == {"t2m": 0.05, "u10": 0.1}
    assert parse_bounds("0.5") == 0.5
    assert parse_bounds(None) is None
    with pytest.raises(UsageError, match="neither a number nor NAME=NUMBER"):
        parse_bounds("t2m=")
    with pytest.raises(UsageError, match="names a variable twice"):
        parse_bounds("a=1,a=2")
    assert is_dataset("x.zarr/")
    assert not is_dataset("x.aecz")
    assert not is_dataset(None)


def test_files_that_are_no_datasets(tmp_path):
    (tmp_path / "a.nc").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(50))
    (tmp_path / "b.nc").write_bytes(b"something else")
    with pytest.raises(FormatError, match=r"a\.nc cannot be read by h5netcdf"):
        open_dataset(tmp_path / "a.nc")
    with pytest.raises(UsageError, match=r"b\.nc is neither NetCDF, GRIB nor zarr: it begins with b'some'"):
        open_dataset(tmp_path / "b.nc")
    with pytest.raises(UsageError, match=r"c\.nc does not exist"):
        open_dataset(tmp_path / "c.nc")
    with pytest.raises(UsageError, match="is a directory, but no zarr group"):
        open_dataset(tmp_path)
    with pytest.raises(UsageError, match="written from one dataset, but there are 2 inputs"):
        compress_dataset(["a", "b"], str(tmp_path / "o.zarr"), None, {}, None, 5, False, True)
    with pytest.raises(OutputExistsError, match="exists; choose another name"):
        compress_dataset(["a"], str(tmp_path), None, {}, None, 5, False, True)


def test_missing_extra_names_the_command(dataset, tmp_path, monkeypatch):
    dataset[["count"]].to_netcdf(tmp_path / "in.nc", engine="h5netcdf")
    monkeypatch.setitem(sys.modules, "h5netcdf", None)
    with pytest.raises(MissingExtraError, match=r"needs h5netcdf, which is not installed: pip install 'aecodec\[xarray\]'"):
        open_dataset(tmp_path / "in.nc")
    (tmp_path / "in.grib").write_bytes(b"GRIB")
    monkeypatch.setitem(sys.modules, "cfgrib", None)
    with pytest.raises(MissingExtraError, match=r"needs cfgrib, which is not installed: pip install 'aecodec\[grib\]'"):
        open_dataset(tmp_path / "in.grib")


def test_grib(tmp_path):
    """A field written with eccodes, read through cfgrib."""
    pytest.importorskip("cfgrib")
    eccodes = pytest.importorskip("eccodes")
    values = smooth_field((19, 36)).astype("f8") + 280
    with (tmp_path / "in.grib").open("wb") as file:
        message = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
        corners = {"latitudeOfFirst": 90.0, "longitudeOfFirst": 0.0, "latitudeOfLast": -90.0, "longitudeOfLast": 350.0}
        grid = {f"{key}GridPointInDegrees": value for key, value in corners.items()}
        grid |= {"Ni": 36, "Nj": 19, "iDirectionIncrementInDegrees": 10.0, "jDirectionIncrementInDegrees": 10.0}
        for key, value in grid.items():
            eccodes.codes_set(message, key, value)
        eccodes.codes_set(message, "shortName", "2t")
        eccodes.codes_set_values(message, values.ravel())
        eccodes.codes_write(message, file)
        eccodes.codes_release(message)
    compress(tmp_path / "in.grib", tmp_path / "out.zarr", "t2m=0.1")
    after = xr.open_zarr(tmp_path / "out.zarr", consolidated=False)
    assert np.abs(after.t2m.values.ravel() - values.ravel()).max() < 0.1 + 0.01  # GRIB's own packing
