"""dask arrays through the real dask: threads here, and a cluster of two workers; fitting to the same bits as in one process."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import smooth_field

import aecodec
from aecodec.axes import parse_axes
from aecodec.canonical import ArraySpec
from aecodec.errors import AecodecError, FidelityError, MissingError, OutputExistsError, UsageError
from aecodec.models.fit import _gather, empty_statistics
from aecodec.models.parts import gathered, make_plan, merged, part_of
from aecodec.models.sums import Sum

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")
pytest.importorskip("zarr", "3")

from aecodec.integrations import dask as aed  # noqa: E402  # needs dask
from aecodec.integrations.dask_blocks import chunks_to_decode, chunks_to_encode  # noqa: E402


@pytest.fixture(scope="module")
def cluster():
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", memory_limit=0) as found,
        distributed.Client(found, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture(params=["threads", "cluster"])
def anywhere(request):
    if request.param == "threads":
        yield
    else:
        with request.getfixturevalue("cluster").as_current():
            yield


@pytest.fixture
def lazy(field):
    return da.from_array(field, chunks=(5, 1, 20, 40))


def test_one_file_and_back(anywhere, lazy, field, model, tmp_path):
    size = aed.to_aecz(lazy, tmp_path / "a.aecz", model, "tcyx", max_error=0.05)
    assert size == (tmp_path / "a.aecz").stat().st_size
    expected = aecodec.compress(field, model, "tcyx", max_error=0.05)
    assert (tmp_path / "a.aecz").read_bytes() == expected  # one chunk is what compress makes of so few values, too
    back = aed.from_aecz(tmp_path / "a.aecz")
    assert (back.shape, back.dtype, back.chunks) == (lazy.shape, lazy.dtype, ((24,), (2,), (32,), (40,)))
    np.testing.assert_array_equal(back.compute(), aecodec.decompress(expected))


def test_chunks_of_the_file_are_those_of_the_dask_array(tmp_path):
    x = smooth_field((40, 4, 160, 200))
    size = aed.to_aecz(da.from_array(x, chunks=(7, 4, 160, 200)), tmp_path / "a.aecz", None, "tcyx", level=1, max_error=0.5)
    back = aed.from_aecz(tmp_path / "a.aecz")
    assert back.chunks[0] == (10, 10, 10, 10)
    assert np.abs(back[13:31, 2].compute() - x[13:31, 2]).max() <= 0.5
    assert size == len(aecodec.compress(x, False, "tcyx", level=1, max_error=0.5))


@pytest.mark.parametrize("axes", ["tcyx", "cyxt", "yxct"])
def test_tasks_of_several_chunks_make_the_same_files(anywhere, tmp_path, monkeypatch, axes):
    x = smooth_field((40, 4, 160, 200)).transpose(["tcyx".index(letter) for letter in axes])
    blocks = tuple(20 if letter == "t" else -1 for letter in axes)
    lazy, small = da.from_array(x, chunks=blocks), da.from_array(x, chunks=17)
    expected = aecodec.compress(x, False, axes, level=1, max_error=0.5)
    monkeypatch.setattr("aecodec.integrations.dask.chunks_to_decode", lambda chunks, size: 2)
    aed.to_aecz(lazy, tmp_path / "a.aecz", None, axes, level=1, max_error=0.5)
    assert (tmp_path / "a.aecz").read_bytes() == expected
    back = aed.from_aecz(tmp_path / "a.aecz")
    assert back.chunks[axes.index("t")] == (20, 20)
    np.testing.assert_array_equal(back.compute(), aecodec.decompress(expected))
    together, alone = (aed.evaluate(array, None, axes, level=1, max_error=0.5) for array in (lazy, small))
    assert together.squared_error == pytest.approx(alone.squared_error)
    assert replace(together, squared_error=0) == replace(alone, squared_error=0)
    assert alone.chunks == 4


def test_how_many_chunks_a_task_has(monkeypatch):
    monkeypatch.setattr("aecodec.integrations.dask_blocks._threads", lambda: 4)
    assert chunks_to_decode(0, 1) == chunks_to_decode(31, 1) == chunks_to_decode(63, 1) == chunks_to_decode(100000, 1 << 26) == 1
    assert chunks_to_decode(64, 1) == 2
    assert chunks_to_decode(100000, 1 << 23) == 4
    spec = ArraySpec(np.dtype("f4"), parse_axes("tyx", 3), (50, 8, 8))
    for chunks, expected in [((16, 8, 8), 2), ((24, 8, 8), 3), ((12, 8, 8), 1), ((4, 8, 8), 1), ((16, 4, 8), 1), (50, 6)]:
        assert chunks_to_encode(da.zeros((50, 8, 8), chunks=chunks), spec, 8) == expected


def test_zarr_chunks_within_blocks(anywhere, lazy, field, model, tmp_path):
    regular = lazy.rechunk((10, 2, 32, 40))
    target = aed.to_zarr(regular, tmp_path / "a.zarr", model, "tcyx", chunks=(5, 2, 16, 40), max_error=0.05)
    assert target.chunks == (5, 2, 16, 40)
    assert np.abs(da.from_zarr(str(tmp_path / "a.zarr")).compute() - field).max() <= 0.05
    for chunks in [(4, 2, 32, 40), (20, 2, 32, 40), (5, 2, 32), (0, 2, 32, 40)]:
        with pytest.raises(UsageError, match="do not divide the dask array's blocks of"):
            aed.to_zarr(regular, tmp_path / "b.zarr", model, "tcyx", chunks=chunks, max_error=0.05)


def test_zarr_and_back(anywhere, lazy, field, model, tmp_path):
    regular = lazy.rechunk((5, 2, 32, 40))
    target = aed.to_zarr(regular, tmp_path / "a.zarr", model, "tcyx", max_error=0.05)
    assert target.chunks == (5, 2, 32, 40)
    assert np.abs(da.from_zarr(str(tmp_path / "a.zarr")).compute() - field).max() <= 0.05


def test_fit_gives_the_same_model_as_one_process(anywhere, lazy, field):
    here = aecodec.fit(field, axes="tcyx", max_error=0.05)
    assert aed.fit(lazy, "tcyx", max_error=0.05).id == here.id


def test_fit_of_what_has_no_steps_is_done_here():
    x = smooth_field((64, 96))
    here = aecodec.fit(x, axes="yx", max_error=0.2)
    assert aed.fit(da.from_array(x, chunks=(20, 96)), "yx", max_error=0.2).id == here.id


def test_evaluation_adds_up(anywhere, lazy, field, model):
    found = aed.evaluate(lazy, model, "tcyx", max_error=0.05)
    data = aecodec.compress(field, model, "tcyx", max_error=0.05)
    error = aecodec.decompress(data).astype("f8") - field
    assert found.max_error == np.abs(error).max() <= 0.05
    assert found.psnr == pytest.approx(20 * np.log10(np.ptp(field)) - 10 * np.log10(np.mean(error**2)), rel=1e-6)
    assert (found.values, found.chunks, found.unfit) == (field.size, 1, 0)
    assert 1 < found.ratio < field.nbytes / 1000
    assert found.bits_per_value == pytest.approx(32 / found.ratio)


def test_range_relative_bounds(lazy, field, tmp_path):
    aed.to_aecz(lazy, tmp_path / "a.aecz", None, "tcyx", max_range_error=1e-2)
    spans = np.ptp(field, axis=(0, 2, 3))[:, None, None]
    assert (np.abs(aed.from_aecz(tmp_path / "a.aecz").compute() - field) <= 1e-2 * spans).all()


def test_sessions_are_made_once_in_each_worker(cluster, lazy, model, tmp_path):
    with cluster.as_current():
        for number in range(3):
            aed.to_aecz(lazy, tmp_path / f"{number}.aecz", model, "tcyx", max_error=0.05)
            aed.from_aecz(tmp_path / f"{number}.aecz", model).compute()
    loaded = cluster.run(_models_loaded)
    assert all(count <= 1 for count in loaded.values())
    assert max(loaded.values()) == 1


def _models_loaded():
    from aecodec.integrations import models

    return len(models._models)


@pytest.mark.parametrize("steps", [1, 5, 23, 24, 25, 61, 150])
def test_parts_gather_what_one_pass_does(steps):
    """In any order of merging, for all that is summed and sampled."""
    x = smooth_field((steps, 2, 9, 11), steps)
    x[steps // 2, 1, 3, 3] = np.nan
    once = _gather([x], None, 7)
    segment = empty_statistics((2, 9, 11), None, steps, 7).segment
    plan = make_plan(x[:segment], steps, steps, None, 7)
    parts = [part_of(plan, at, x[at : at + segment]) for at in range(0, steps, segment)]
    order = np.random.default_rng(0).permutation(len(parts))
    whole = parts[order[0]]
    for number in order[1:]:
        whole = merged(parts[number], whole)
    found = gathered(plan, whole)
    for name in ("low", "high", "lowest", "highest", "field", "steps", "shift", "unit", "blocks"):
        np.testing.assert_equal(getattr(found, name), getattr(once, name))
    np.testing.assert_array_equal(found.mean(), once.mean())
    np.testing.assert_array_equal(found.deviation(), once.deviation())
    for t in once.tile_steps:
        np.testing.assert_array_equal(found.covariance(t, True, np.ones(2)), once.covariance(t, True, np.ones(2)))
    for one, other in ((found.samples, once.samples), (found.runs.finish(), once.runs.finish())):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    assert len(found.runs.before_latest()) == len(once.runs.before_latest())


def test_sums_do_not_depend_on_order():
    terms = np.random.default_rng(0).normal(size=(500, 30)) * 10.0 ** np.random.default_rng(1).uniform(-8, 8, (500, 30))
    forward, backward, pairs = Sum(30), Sum(30), Sum(30)
    for a, b in zip(terms, terms[::-1], strict=True):
        forward.add(a)
        backward.add(b)
    for part in np.split(terms, 10):
        of_part = Sum(30)
        for term in part:
            of_part.add(term)
        pairs.merge(of_part)
    np.testing.assert_array_equal(forward.value, backward.value)
    np.testing.assert_array_equal(forward.value, pairs.value)


def test_bad_input(lazy, tmp_path, model):
    with pytest.raises(FidelityError, match="max_error was asked of bool values"):
        aed.to_aecz(lazy > 0, tmp_path / "a.aecz", None, "tcyx", max_error=1)
    with pytest.raises(UsageError, match=r"unknown sizes .*; call compute_chunk_sizes\(\) first"):
        aed.to_aecz(lazy[lazy > 0], tmp_path / "a.aecz")
    with pytest.raises(AecodecError, match=r"the array has 1 channel\(s\)"):
        aed.to_aecz(lazy[:, :1], tmp_path / "a.aecz", model, "tcyx", max_error=1)
    (tmp_path / "b.aecz.partial").write_bytes(b"x")
    with pytest.raises(OutputExistsError):
        aed.to_aecz(lazy, tmp_path / "b.aecz", None, "tcyx", max_error=1)
    assert not (tmp_path / "a.aecz").exists()


def test_what_fails_in_a_worker_leaves_no_file(tmp_path):
    def broken(block):
        raise RuntimeError("a chunk that cannot be computed")

    bad = da.zeros((4, 2, 8, 8), chunks=(1, 2, 8, 8), dtype="f4").map_blocks(broken, dtype="f4", meta=np.zeros((0,) * 4, "f4"))
    with pytest.raises(RuntimeError, match="cannot be computed"):
        aed.to_aecz(bad, tmp_path / "a.aecz", None, "tcyx", max_error=1)
    assert list(tmp_path.iterdir()) == []


def test_damaged_chunk_is_an_error(lazy, tmp_path):
    aed.to_aecz(lazy, tmp_path / "a.aecz", None, "tcyx", max_error=0.05)
    data = bytearray((tmp_path / "a.aecz").read_bytes())
    data[len(data) // 2] ^= 255
    (tmp_path / "a.aecz").write_bytes(data)
    with pytest.raises(MissingError):
        aed.from_aecz(tmp_path / "a.aecz").compute()
