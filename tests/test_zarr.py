"""zarr v3 and v2 through the real package: shards, parts, fill values, edges, threads, models found and not found."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import smooth_field

import aecodec
from aecodec.errors import AxesError, FidelityError, FormatError, ModelError, UsageError

zarr = pytest.importorskip("zarr", "3")

from aecodec.integrations import models  # noqa: E402  # needs zarr
from aecodec.integrations.numcodecs import Aecodec  # noqa: E402
from aecodec.integrations.zarr import AecodecCodec  # noqa: E402
from aecodec.integrations.zarr_summary import summarise  # noqa: E402

ROOT = Path(__file__).parent.parent


def create(store, x, codec, version=3, **more):
    given = {"serializer": codec, "compressors": None} if version == 3 else {"compressors": codec}
    return zarr.create_array(store=store, shape=x.shape, dtype=x.dtype, zarr_format=version, **given, **more)


@pytest.mark.parametrize("shards", [None, (14, 2, 64, 80)])
def test_v3_within_the_bound_sharded_and_not(tmp_path, field, model, shards):
    array = create(tmp_path / "a", field, AecodecCodec(model, "tcyx", max_error=0.05), chunks=(7, 2, 32, 40), shards=shards)
    array[...] = field
    again = zarr.open(tmp_path / "a", mode="r")
    assert np.abs(again[...] - field).max() <= 0.05
    np.testing.assert_array_equal(again[3:17:5, 1, ::3, 7], again[...][3:17:5, 1, ::3, 7])
    np.testing.assert_array_equal(again.oindex[[2, 20], [0], :, [5, 9]], again[...][np.ix_([2, 20], [0], range(32), [5, 9])])
    found = summarise(again)
    assert (found.chunks, found.unfit) == (4, 0)
    assert found.ratio > 5
    files = sum(file.stat().st_size for file in (tmp_path / "a" / "c").rglob("*") if file.is_file())
    assert 0 <= files - found.stored_bytes <= (2 * (16 * 8 + 4) if shards else 0)  # the shards' index


@pytest.mark.parametrize("order", ["C", "F"])
def test_v2_within_the_bound_in_both_orders(tmp_path, field, model, order):
    codec = Aecodec(model, "tcyx", max_error=0.05)
    array = create(tmp_path / "a", field, codec, 2, chunks=(7, 2, 32, 40), order=order)
    array[...] = field
    again = zarr.open(tmp_path / "a", mode="r")
    assert np.abs(again[...] - field).max() <= 0.05
    assert np.abs(again[5, :, 3:9, -1] - field[5, :, 3:9, -1]).max() <= 0.05
    assert summarise(again).chunks == 4
    assert json.loads((tmp_path / "a" / ".zarray").read_text())["compressor"]["id"] == "aecodec"


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(
    "dtype", ["?", "i1", "<i2", ">i4", "u8", "f2", "<f4", ">f8", "c8", "c16", "<M8[ns]", "<m8[s]"], ids=lambda d: d.strip("<>")
)
@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")
def test_every_dtype_is_lossless_unless_asked(tmp_path, version, dtype):
    rng = np.random.default_rng(3)
    x = rng.integers(0, 2 if dtype == "?" else 100, (9, 11)).astype("i8").astype(dtype)
    codec = AecodecCodec(axes="yx") if version == 3 else Aecodec(axes="yx")
    array = create(tmp_path / "a", x, codec, version, chunks=(4, 5))
    array[...] = x
    found = zarr.open(tmp_path / "a", mode="r")[...]
    assert found.dtype == x.dtype.newbyteorder("=") or found.dtype == x.dtype
    assert found.astype(x.dtype).tobytes() == x.tobytes()


def test_integers_lossy_only_when_asked(tmp_path):
    x = (smooth_field((6, 40, 50)) * 20).astype("i2")
    exact = create(tmp_path / "a", x, AecodecCodec(axes="tyx"), chunks=(3, 40, 50))
    lossy = create(tmp_path / "b", x, AecodecCodec(axes="tyx", max_error=2), chunks=(3, 40, 50))
    exact[...] = lossy[...] = x
    np.testing.assert_array_equal(exact[...], x)
    assert np.abs(lossy[...].astype(int) - x).max() == 2
    assert summarise(lossy).stored_bytes < 0.7 * summarise(exact).stored_bytes


def test_nan_infinity_and_payloads(tmp_path):
    x = smooth_field((4, 2, 32, 40))
    x[:, :, :7] = np.nan
    x[0, 0, 9, 3], x[2, 1, 30, 30] = np.inf, -np.inf
    array = create(tmp_path / "a", x, AecodecCodec(axes="tcyx", max_error=0.05), chunks=(2, 2, 32, 40), fill_value=np.nan)
    array[...] = x
    found = array[...]
    np.testing.assert_array_equal(np.isnan(found), np.isnan(x))
    finite = np.isfinite(x)
    assert np.abs(found[finite] - x[finite]).max() <= 0.05
    np.testing.assert_array_equal(found[np.isinf(x)], x[np.isinf(x)])
    assert (
        create(tmp_path / "b", x, AecodecCodec(axes="tcyx", max_error=0.05), chunks=(2, 2, 32, 40), fill_value=-9.5)[0, 0, 0, 0]
        == -9.5
    )


def test_no_dimensions_one_value_and_nothing(tmp_path):
    none = zarr.create_array(store=tmp_path / "a", shape=(), dtype="f8", serializer=AecodecCodec(), compressors=None)
    none[...] = 2.5
    assert zarr.open(tmp_path / "a")[...] == 2.5
    one = zarr.create_array(store=tmp_path / "b", shape=(1,), dtype="f4", chunks=(1,), serializer=AecodecCodec(max_error=0.1))
    one[...] = 7.0
    assert one[0] == pytest.approx(7.0, abs=0.1)
    codec = Aecodec()
    assert codec.decode(codec.encode(np.zeros((3, 0), "f4"))).shape == (3, 0)


@pytest.mark.parametrize("chunks", [(5, 2, 32, 40), (7, 2, 17, 23), (1, 1, 32, 40), (24, 2, 9, 40), (3, 2, 33, 64)])
def test_odd_edges_and_chunks_that_the_model_cannot_take(tmp_path, field, model, chunks):
    codec = AecodecCodec(model, "tcyx", max_error=0.05)
    array = create(tmp_path / "a", field, codec, chunks=chunks)
    array[...] = field
    assert np.abs(zarr.open(tmp_path / "a")[...] - field).max() <= 0.05
    found = summarise(array)
    fits = chunks[1:] in ((2, 32, 40), (2, 33, 64))  # of the last the padding is cut, and what is left fits
    assert found.unfit == (0 if fits else found.chunks)


def test_padding_at_the_edges_costs_little(tmp_path, field):
    codec = AecodecCodec(axes="tcyx", max_error=0.05)
    exact = create(tmp_path / "a", field, codec, chunks=field.shape)
    padded = create(tmp_path / "b", field, codec, chunks=(40, 2, 50, 64), fill_value=1e9)
    exact[...] = padded[...] = field
    assert summarise(padded).stored_bytes <= summarise(exact).stored_bytes + 20
    np.testing.assert_array_equal(exact[...], padded[...])


def test_rewriting_part_of_a_chunk_keeps_the_rest_within_twice_the_bound(tmp_path, field, model):
    array = create(tmp_path / "a", field, AecodecCodec(model, "tcyx", max_error=0.05), chunks=(12, 2, 32, 40))
    array[...] = field
    array[3] = 0.0
    assert np.abs(array[3]).max() <= 0.05
    assert np.abs(array[4:] - field[4:]).max() <= 0.1


def test_other_codecs_before_and_after(tmp_path, field):
    from zarr.codecs import Crc32cCodec, TransposeCodec

    array = zarr.create_array(
        store=tmp_path / "a",
        shape=field.shape,
        chunks=(7, 2, 32, 40),
        dtype="f4",
        filters=[TransposeCodec(order=(2, 3, 0, 1))],
        serializer=AecodecCodec(axes="yxtc", max_error=0.05),
        compressors=[Crc32cCodec()],
    )
    array[...] = field
    assert np.abs(zarr.open(tmp_path / "a")[...] - field).max() <= 0.05


def test_many_threads_share_one_array(tmp_path, field, model):
    array = create(tmp_path / "a", field, AecodecCodec(model, "tcyx", max_error=0.05), chunks=(1, 2, 32, 40))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: array.__setitem__(i, field[i]), range(24)))
        parts = list(pool.map(lambda i: array[i], [*range(24)] * 3))
    assert all(np.abs(part - field[i % 24]).max() <= 0.05 for i, part in enumerate(parts))


def test_a_fresh_process_needs_no_training_and_no_import_of_ours(tmp_path, field, model):
    """Only the entry point leads to the codec, and torch stays out."""
    array = create(tmp_path / "a", field, AecodecCodec(model, "tcyx", max_error=0.05), chunks=(12, 2, 32, 40))
    array[...] = field
    np.save(tmp_path / "x.npy", array[...])
    site = tmp_path / "site" / "aecodec-0.0.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text("Metadata-Version: 2.1\nName: aecodec\nVersion: 0.0\n")
    points = [line for line in (ROOT / "pyproject.toml").read_text().splitlines() if "aecodec.integrations." in line]
    groups = ("[zarr.codecs]", "[numcodecs.codecs]")
    text = "\n".join(f"{group}\n{line.replace(chr(34), '')}" for group, line in zip(groups, points, strict=True))
    (site / "entry_points.txt").write_text(text)
    code = (
        "import sys, numpy as np, zarr\n"
        f"x = zarr.open({str(tmp_path / 'a')!r}, mode='r')[...]\n"
        f"assert (x == np.load({str(tmp_path / 'x.npy')!r})).all()\n"
        "assert not {'torch', 'xarray', 'dask', 'h5py'} & set(sys.modules)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(site.parent)])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_entry_points_of_the_project():
    text = (ROOT / "pyproject.toml").read_text()
    assert '[project.entry-points."zarr.codecs"]\naecodec = "aecodec.integrations.zarr:AecodecCodec"' in text
    assert '[project.entry-points."numcodecs.codecs"]\naecodec = "aecodec.integrations.numcodecs:Aecodec"' in text


class TestModels:
    """With a bound so loose that latents carry the chunks, which then need the model."""

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, field):
        return aecodec.fit(field, axes="tcyx", max_error=0.5, provider="cpu")

    @pytest.fixture(autouse=True)
    def none_loaded(self, monkeypatch):
        monkeypatch.setattr(models, "_models", type(models._models)())

    def without(self, tmp_path, field, model, **more):
        array = create(tmp_path / "a", field, AecodecCodec(model, "tcyx", max_error=0.5, **more), chunks=(12, 2, 32, 40))
        array[...] = field
        models._models.clear()
        return tmp_path / "a"

    def test_missing_names_hash_and_places(self, tmp_path, field, monkeypatch, model):
        path = self.without(tmp_path, field, model, embed_model=False)
        monkeypatch.setenv("AECODEC_MODEL_PATH", str(tmp_path / "models"))
        with pytest.raises(ModelError, match=f"needs model {model.id}.*{tmp_path / 'models'}.*AECODEC_MODEL_PATH"):
            zarr.open(path)[0]

    def test_found_in_a_directory(self, tmp_path, field, monkeypatch, model):
        path = self.without(tmp_path, field, model, embed_model=False)
        (tmp_path / "models").mkdir()
        model.save(tmp_path / "models" / "wind.aecm")
        monkeypatch.setenv("AECODEC_MODEL_PATH", str(tmp_path / "models"))
        assert np.abs(zarr.open(path)[0] - field[0]).max() <= 0.5

    def test_url_only_if_allowed_and_only_if_it_is_the_one(self, tmp_path, field, monkeypatch, model):
        import fsspec

        with fsspec.open("memory://models/wind.aecm", "wb") as file:
            file.write(model.stored)
        path = self.without(tmp_path, field, model, model_url="memory://models/wind.aecm")
        with pytest.raises(ModelError, match=r"allow that by AECODEC_MODEL_URLS=memory://models/wind\.aecm"):
            zarr.open(path)[0]
        monkeypatch.setenv("AECODEC_MODEL_URLS", "s3://other/ memory://models/")
        assert np.abs(zarr.open(path)[0] - field[0]).max() <= 0.5
        models._models.clear()
        with fsspec.open("memory://models/wind.aecm", "wb") as file:
            file.write(aecodec.fit(field[:4], axes="tcyx", max_error=0.5).stored)
        with pytest.raises(ModelError, match=f"needs model {model.id}, but the one in memory://models/wind.aecm is"):
            zarr.open(path)[0]

    def test_prefix_holds_models_by_their_id(self, tmp_path, field, monkeypatch, model):
        path = self.without(tmp_path, field, model, embed_model=False)
        (tmp_path / "store").mkdir()
        monkeypatch.setenv("AECODEC_MODEL_URLS", f"file://{tmp_path}/store/")
        with pytest.raises(ModelError, match=f"nor at file://{tmp_path}/store/{model.id}.aecm \\(FileNotFoundError"):
            zarr.open(path)[0]
        model.save(tmp_path / "store" / f"{model.id}.aecm")
        assert np.abs(zarr.open(path)[0] - field[0]).max() <= 0.5

    def test_embedded_one_is_held_against_its_id(self, tmp_path, field, model):
        path = self.without(tmp_path, field, model)
        metadata = json.loads((path / "zarr.json").read_text())
        metadata["codecs"][0]["configuration"]["model"]["id"] = "0" * 64
        (path / "zarr.json").write_text(json.dumps(metadata))
        with pytest.raises(ModelError, match=f"needs model {'0' * 64}, but the one in the store's metadata is {model.id}"):
            zarr.open(path)[0]

    def test_large_ones_are_not_embedded_unasked(self, monkeypatch, model):
        monkeypatch.setattr(models, "SMALL", 100)
        with pytest.raises(UsageError, match="more than the 100 that metadata carry unasked; pass embed_model=True, or model_url="):
            AecodecCodec(model, "tcyx", max_error=0.5)
        assert AecodecCodec(model, "tcyx", embed_model=True, max_error=0.5).coding.reference.data

    def test_chunks_without_the_model_need_none(self, tmp_path, field, model):
        array = create(tmp_path / "a", field, AecodecCodec(model, "tcyx", embed_model=False, max_error=0.5), chunks=(12, 2, 8, 40))
        array[...] = field
        models._models.clear()
        assert np.abs(zarr.open(tmp_path / "a")[...] - field).max() <= 0.5

    def test_one_for_each_process(self, tmp_path, field, model):
        path = self.without(tmp_path, field, model)
        assert np.abs(zarr.open(path)[...] - field).max() <= 0.5
        assert np.abs(zarr.open(path)[2] - field[2]).max() <= 0.5
        assert len(models._models) == 1


@pytest.mark.parametrize(
    ("dtype", "options", "error", "message"),
    [
        ("?", {"max_error": 1}, FidelityError, "max_error was asked of bool values, which are kept exactly"),
        ("f4", {"max_range_error": 0.1}, FidelityError, "needs the array's value range; pass value_range="),
        ("f4", {"max_error": [1.0, 2.0, 3.0]}, FidelityError, "max_error has 3 values but the array has 2"),
        ("f4", {"axes": "tyx", "max_error": 1}, AxesError, "names 3 dimension"),
        ("S3", {}, aecodec.AecodecError, "dtype |S3 is not supported"),
    ],
)
@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")
def test_arrays_that_cannot_be_kept_so_are_refused_when_they_are_created(dtype, options, error, message):
    codec = AecodecCodec(**({"axes": "tcyx"} | options))
    with pytest.raises(error) as caught:
        zarr.create_array(store={}, shape=(4, 2, 8, 8), chunks=(2, 2, 8, 8), dtype=dtype, serializer=codec)
    assert message in str(caught.value)


def test_axes_of_fields_nobody_named():
    with pytest.raises(AxesError, match="cannot tell the axes of a 3-D float32 array"):
        zarr.create_array(store={}, shape=(4, 8, 8), chunks=(2, 8, 8), dtype="f4", serializer=AecodecCodec(max_error=1))


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ({"axes": "qq"}, "malformed coding: axes='qq' has unknown letter"),
        ({"axes": 3}, "malformed coding"),
        ({"fidelity": {"kind": "magic"}}, "malformed coding: unknown fidelity"),
        ({"level": 11}, "malformed coding: level=11"),
        ({"level": True}, "coding has level 'True', a whole number is due"),
        ({"extra": 1}, "coding has unknown key 'extra'; upgrade"),
        ({"model": 5}, "model '5' is no object"),
        ({"model": {"id": "xyz"}}, "model id 'xyz' is no SHA-256"),
        ({"model": {"id": "0" * 64, "other": "x"}}, "model has unknown key 'other'"),
        ([], "is not named 'aecodec', or has no configuration"),
    ],
)
def test_hostile_configurations(configuration, message):
    with pytest.raises(FormatError, match=message):
        AecodecCodec.from_dict({"name": "aecodec", "configuration": configuration})


def test_no_base64(tmp_path, field):
    codec = AecodecCodec.from_dict({"name": "aecodec", "configuration": {"model": {"id": "0" * 64, "data": "!"}}})
    with pytest.raises(FormatError, match="no base64"):
        codec.coding.model()


def test_configuration_comes_back(model):
    codec = AecodecCodec(model, "tcyx", level=7, max_error=[0.1, 0.2])
    assert AecodecCodec.from_dict(json.loads(json.dumps(codec.to_dict()))) == codec
    second = Aecodec(model, "tcyx", psnr=50, value_range=(0, 1))
    assert Aecodec.from_config(json.loads(json.dumps(second.get_config()))) == second
    assert "psnr" in repr(second)


def test_damage_is_an_error(tmp_path, field):
    array = create(tmp_path / "a", field, AecodecCodec(axes="tcyx", max_error=0.05), chunks=(24, 2, 32, 40))
    array[...] = field
    (chunk,) = (tmp_path / "a" / "c").rglob("0/0/0/0")
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(data)
    with pytest.raises(aecodec.AecodecError, match="damaged: its checksum does not match"):
        array[...]


def test_summary_of_other_arrays_is_refused():
    array = zarr.create_array(store={}, shape=(4,), chunks=(2,), dtype="f4")
    with pytest.raises(UsageError, match="is not coded by aecodec last: its codecs are BytesCodec, ZstdCodec"):
        summarise(array)


def test_out_of_numcodecs(field):
    codec = Aecodec(axes="tcyx", max_error=0.05)
    data = codec.encode(field)
    out = np.empty_like(field)
    codec.decode(data, out)
    assert np.abs(out - field).max() <= 0.05
    with pytest.raises(UsageError, match="out has 4 bytes, the chunk 245760"):
        codec.decode(data, np.empty(1, "f4"))
