"""Loaders of torch over .aecz and zarr: every sample once, in forked and spawned workers, by chunks; columns of Arrow tables."""

import pickle
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from conftest import smooth_field

import aecodec
from aecodec.errors import DtypeError, FormatError, LimitError, UsageError

torch = pytest.importorskip("torch")
from torch.utils.data import DataLoader  # noqa: E402  # after the check

from aecodec.integrations import steps  # noqa: E402  # after the check
from aecodec.integrations.torch import ArrayDataset, ChunkSampler, ChunkStream  # noqa: E402  # after the check

STEPS, CHUNK = 30, 4


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A file of chunks of four steps, whose values tell the step, and its array."""
    x = (np.arange(STEPS, dtype="f4")[:, None, None] + np.zeros((1, 5, 6), "f4")).astype("f4")
    path = tmp_path_factory.mktemp("loaders") / "x.aecz"
    with aecodec.open(path, "w", axes="tyx", model=False) as f:
        for start in range(0, STEPS, CHUNK):
            f.write(x[start : start + CHUNK])
            f.flush()
    return path, x


def seen(loader):
    return [int(value) for batch in loader for value in batch[:, 0, 0]]


def test_samples_are_tensors_of_their_own_memory(stored):
    path, x = stored
    dataset = ArrayDataset(path)
    assert len(dataset) == STEPS
    assert torch.equal(dataset[7], torch.from_numpy(x[7]))
    assert torch.equal(dataset[-1], torch.from_numpy(x[-1]))
    dataset[7].zero_()
    assert int(dataset[7][0, 0]) == 7
    with pytest.raises(IndexError, match="sample 30 is outside of 30"):
        dataset[30]
    assert [int(item[0, 0]) for item in dataset.__getitems__([9, 2, 9])] == [9, 2, 9]


def test_a_batch_decodes_each_chunk_once(stored, monkeypatch):
    from aecodec.api import chunks

    decoded = []
    real = chunks.Chunks.decode
    monkeypatch.setattr(chunks.Chunks, "decode", lambda self, array, n: decoded.append(n) or real(self, array, n))
    dataset = ArrayDataset(stored[0])
    loader = DataLoader(dataset, batch_size=8, sampler=ChunkSampler(dataset, together=2))
    assert sorted(seen(loader)) == list(range(STEPS))
    assert sorted(decoded) == list(range(8))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_workers(stored):
    dataset = ArrayDataset([stored[0], stored[0]])
    assert int(dataset[STEPS + 3][0, 0]) == 3  # opened here, before the fork
    loader = DataLoader(dataset, batch_size=7, shuffle=True, num_workers=2, multiprocessing_context="fork")
    assert sorted(seen(loader)) == sorted([*range(STEPS)] * 2)
    loader = DataLoader(ChunkStream(stored[0], shuffle=True), batch_size=3, num_workers=2, multiprocessing_context="fork")
    assert sorted(seen(loader)) == list(range(STEPS))


def test_spawned_workers(stored):
    dataset = ArrayDataset(stored[0])
    assert int(dataset[3][0, 0]) == 3
    loader = DataLoader(dataset, batch_size=7, shuffle=True, num_workers=1, multiprocessing_context="spawn")  # torch loads slowly
    assert sorted(seen(loader)) == list(range(STEPS))


def test_order_is_by_chunks_and_of_the_epoch(stored):
    dataset = ArrayDataset(stored[0])
    sampler = ChunkSampler(dataset, together=1, seed=5)
    first = list(sampler)
    assert sorted(first) == list(range(STEPS))
    assert first == list(sampler)
    groups = [step // CHUNK for step in first]
    assert sum(a != b for a, b in pairwise(groups)) == 7  # each chunk is gone through once
    sampler.set_epoch(1)
    assert list(sampler) != first
    halves = [list(ChunkSampler(dataset, seed=5, rank=rank, world=2)) for rank in (0, 1)]
    assert sorted(halves[0] + halves[1]) == list(range(STEPS))
    assert len(ChunkSampler(dataset, seed=5, rank=0, world=2)) == len(halves[0])
    with pytest.raises(UsageError, match="rank=2 one of 2"):
        ChunkSampler(dataset, rank=2, world=2)


def test_streams_decode_ahead_and_share_out_ranks(stored):
    path, _ = stored
    assert [int(item[0, 0]) for item in ChunkStream(path, threads=2)] == list(range(STEPS))
    shuffled = ChunkStream(path, shuffle=True, together=3, threads=2)
    one = [int(item[0, 0]) for item in shuffled]
    assert sorted(one) == list(range(STEPS)) != one
    shuffled.set_epoch(1)
    assert [int(item[0, 0]) for item in shuffled] != one
    halves = [[int(item[0, 0]) for item in ChunkStream(path, shuffle=True, rank=rank, world=2)] for rank in (0, 1)]
    assert sorted(halves[0] + halves[1]) == list(range(STEPS))
    assert len(ChunkStream(path, rank=1, world=2)) == len(halves[1])


def test_zarr_arrays(stored, tmp_path):
    zarr = pytest.importorskip("zarr")
    _, x = stored
    array = zarr.create_array(str(tmp_path / "x.zarr"), shape=x.shape, chunks=(8, 5, 6), dtype=x.dtype)
    array[:] = x
    for source in (str(tmp_path / "x.zarr"), array):
        dataset = ArrayDataset(source)
        assert dataset.chunks() == [(0, 8), (8, 16), (16, 24), (24, 30)]
        assert sorted(seen(DataLoader(dataset, batch_size=4, sampler=ChunkSampler(dataset)))) == list(range(STEPS))
        assert sorted(int(item[0, 0]) for item in ChunkStream(source, shuffle=True)) == list(range(STEPS))


def test_latents_instead_of_samples(tmp_path, field, model):
    path = tmp_path / "x.aecz"
    with aecodec.open(path, "w", axes="tcyx", model=model, max_error=0.05) as f:
        f.write(field)
    expected = model.encode(aecodec.open(path).read())
    dataset = ArrayDataset(path, latents=True)
    assert len(dataset) == len(expected)
    assert np.allclose(dataset[len(dataset) - 1], expected[-1], atol=1e-4)
    found = np.stack([item.numpy() for item in ChunkStream(path, latents=True)])
    assert np.allclose(found, expected, atol=1e-4)
    assert dataset[0].dtype == torch.float32


def test_transforms_pickles_and_refusals(stored, tmp_path):
    doubled = ArrayDataset(stored[0], transform=lambda sample: sample * 2)
    assert int(doubled[4][0, 0]) == 8
    assert len(pickle.loads(pickle.dumps(ArrayDataset(stored[0])))) == STEPS
    with pytest.raises(UsageError, match="latents need a model that has some"):
        ArrayDataset(stored[0], latents=True)
    with pytest.raises(UsageError, match="no sources were given"):
        ArrayDataset([])
    with pytest.raises(UsageError, match="cannot take samples from int"):
        ArrayDataset(5)
    (tmp_path / "c.aecz").write_bytes(aecodec.compress(np.zeros((2, 3, 4), "f4"), axes="cyx"))
    with pytest.raises(UsageError, match="axes='cyx' have no stream axis in front"):
        ArrayDataset(tmp_path / "c.aecz")
    with pytest.raises(UsageError, match="together=0 must be 1 or more"):
        ChunkStream(stored[0], together=0)


def test_without_torch_or_pyarrow_the_message_names_the_extra():
    for module, extra in (("torch", "torch"), ("arrow", "arrow")):
        missing = {"torch": "torch", "arrow": "pyarrow"}[module]
        code = f"import sys; sys.modules[{missing!r}] = None; import aecodec.integrations.{module}"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert f"needs {missing}, which is not installed: pip install 'aecodec[{extra}]'" in done.stderr
    assert not hasattr(steps, "torch")


@pytest.fixture
def column():
    pa = pytest.importorskip("pyarrow")
    vectors = smooth_field((500, 1, 1, 24)).reshape(500, 24)
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), 24), vectors


def test_columns_there_and_back_through_parquet(tmp_path, column):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    from aecodec.integrations.arrow import compress_column, decompress_column, vectors_of

    array, vectors = column
    chunked = pa.chunked_array([array[:120], array[120:]])
    table = compress_column(chunked, False, rows=128, max_error=0.01)
    pq.write_table(table, tmp_path / "e.parquet")
    back = decompress_column(pq.read_table(tmp_path / "e.parquet"))
    assert back.type == array.type
    assert np.abs(vectors_of(back) - vectors).max() <= 0.01
    assert np.abs(vectors_of(decompress_column(table, 100, 300)) - vectors[100:300]).max() <= 0.01
    assert len(decompress_column(table, 5, 5)) == 0
    exact = decompress_column(compress_column(array, False))
    assert exact.equals(array)
    assert len(decompress_column(compress_column(array[:0]))) == 0


def test_columns_that_are_refused(column):
    pa = pytest.importorskip("pyarrow")
    from aecodec.integrations.arrow import compress_column, decompress_column

    array, _ = column
    with pytest.raises(DtypeError, match="the column is of type list<item: double>"):
        compress_column(pa.array([[1.0], [2.0]]))
    with pytest.raises(UsageError, match="the column has 1 nulls; fill them"):
        compress_column(pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2)))
    with pytest.raises(UsageError, match="rows=0 must be 1 or more"):
        compress_column(array, rows=0)
    with pytest.raises(FormatError, match="is not one that compress_column wrote"):
        decompress_column(pa.table({"x": [1, 2]}))
    table = compress_column(array, False, rows=100)
    forged = table.schema.field(0).with_metadata({b"aecodec": b'{"rows": 1, "count": 500, "width": 24, "dtype": "<f4"}'})
    with pytest.raises(FormatError, match="the table has 5 values, 500 vectors by 1 need another number"):
        decompress_column(table.cast(pa.schema([forged])))
    forged = table.schema.field(0).with_metadata({b"aecodec": b'{"rows": 100, "count": 500, "width": 7, "dtype": "<f4"}'})
    with pytest.raises(FormatError, match=r"value 0 holds \(100, 24\) float32, the column's metadata say width 7"):
        decompress_column(table.cast(pa.schema([forged])))
    with pytest.raises(LimitError, match="500 vectors were asked for"):
        decompress_column(table, limits=aecodec.Limits(array_bytes=100))
