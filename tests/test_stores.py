"""Files in stores by fsspec URLs, against real servers on this machine: only what is asked for is read, and writing is all or
nothing."""

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from conftest import smooth_field
from servers import http_server, s3_server

import aecodec
from aecodec.container import stores
from aecodec.container.blocks import Blocks, coalesced
from aecodec.container.source import FileSource, open_source

fsspec = pytest.importorskip("fsspec")


@pytest.fixture(scope="module")
def bucket():
    """A bucket of moto's S3, found by the environment as a user's would be."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server")
    with pytest.MonkeyPatch.context() as patch, s3_server() as endpoint:
        for name, value in {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            patch.setenv(name, value)
        fs = fsspec.filesystem("s3", skip_instance_cache=True, endpoint_url=endpoint)
        fs.mkdir("arrays")
        yield "s3://arrays"


@pytest.fixture(scope="module")
def chunked(tmp_path_factory):
    """A file of 40 chunks of incompressible steps, 64 kB each, and its array."""
    folder = tmp_path_factory.mktemp("served")
    x = np.random.default_rng(0).integers(0, 2**32, (40, 128, 128), dtype=np.uint32)
    with aecodec.open(folder / "x.aecz", "w", axes="tyx", level=1) as f:
        for step in x:
            f.write(step[None])
            f.flush()
    return folder, x


def test_what_is_a_url():
    assert [stores.is_url(name) for name in ("s3://b/k", "simplecache::s3://b/k", "memory://x", "file:///x")] == [True] * 4
    assert [stores.is_url(name) for name in ("x.aecz", "C:\\x", "a/b", Path("s3://b"), b"s3://b", 5, "-")] == [False] * 7


def test_ranges_that_nearly_touch_are_one_request():
    assert coalesced([(50, 60), (0, 10), (12, 20), (5, 5)], gap=2) == [(0, 20), (50, 60)]
    assert coalesced([(0, 10), (2, 4)], gap=0) == [(0, 10)]
    assert coalesced([]) == []


def test_blocks_are_held_up_to_a_number_of_bytes():
    blocks = Blocks(most=10)
    blocks.keep(0, b"01234")
    blocks.keep(5, b"56789")
    assert blocks.find(1, 3) == b"12"
    assert blocks.find(3, 7) is None
    blocks.keep(20, b"abcdef")  # the one used longest ago goes
    assert (blocks.find(0, 5), blocks.find(5, 6), blocks.find(20, 26)) == (None, None, b"abcdef")


def test_memory_round_trip_and_nothing_is_there_before_the_end():
    fs = fsspec.filesystem("memory")
    x = smooth_field((6, 1, 20, 20))
    with aecodec.open("memory://t/x.aecz", "w", axes="tcyx", max_error=0.1, model=False) as f:
        f.write(x)
        assert not fs.exists("/t/x.aecz")
    with aecodec.open("memory://t/x.aecz") as f:
        assert np.abs(f.read() - x).max() <= 0.1
        assert pickle.loads(pickle.dumps(f)).shape == x.shape


def test_file_urls_are_paths_with_all_that_holds_for_these(tmp_path):
    with aecodec.open(f"file://{tmp_path}/x.aecz", "w") as f:
        f.write(np.arange(5))
        assert (tmp_path / "x.aecz.partial").exists()
    with aecodec.open(f"file://{tmp_path}/x.aecz", "a") as f:
        f.write(np.arange(5))
    source = open_source(f"file://{tmp_path}/x.aecz")
    assert isinstance(source, FileSource)
    source.close()
    assert aecodec.open(f"file://{tmp_path}/x.aecz").shape == (10,)


def test_http_reads_header_index_and_the_chunks_asked_for(chunked):
    pytest.importorskip("aiohttp")
    folder, x = chunked
    whole = (folder / "x.aecz").stat().st_size
    with http_server(folder) as served, aecodec.open(f"{served.url}/x.aecz") as f:
        assert len(served.sent) <= 2
        assert sum(served.sent) <= 2 << 15
        served.sent.clear()
        assert np.array_equal(f[20], x[20])
        assert len(served.sent) == 1
        assert sum(served.sent) < 1.1 * whole / 40
        served.sent.clear()
        assert np.array_equal(f[5:9], x[5:9])  # neighbours come by one request
        assert len(served.sent) == 1
        served.sent.clear()
        assert np.array_equal(f[[2, 12, 30]], x[[2, 12, 30]])
        assert len(served.sent) == 3
        assert sum(served.sent) < 3.3 * whole / 40
        with ThreadPoolExecutor(4) as pool:
            assert all(np.array_equal(step, x[n]) for n, step in enumerate(pool.map(f.__getitem__, range(40))))
        assert np.array_equal(f.read(), x)


def test_http_without_ranges_gives_the_whole_file_once(chunked):
    pytest.importorskip("aiohttp")
    folder, x = chunked
    with http_server(folder, ranges=False) as served, aecodec.open(f"{served.url}/x.aecz") as f:
        assert np.array_equal(f.read(), x)
        # Both ends are asked for at once, and the server sends all for each.
        assert served.sent == [(folder / "x.aecz").stat().st_size] * 2


def test_http_errors_name_the_url(chunked):
    pytest.importorskip("aiohttp")
    with http_server(chunked[0]) as served:
        with pytest.raises(FileNotFoundError, match=r"none\.aecz"):
            aecodec.open(f"{served.url}/none.aecz")
        with pytest.raises(aecodec.AecodecError, match=r"x.aecz cannot be written to .*; name another output"):
            aecodec.open(f"{served.url}/x.aecz", "w")
    with pytest.raises(OSError, match=r"http://127.0.0.1:9/x.aecz: .*[Cc]onnect"):
        aecodec.open("http://127.0.0.1:9/x.aecz")


def test_s3_round_trip_by_parts(bucket, chunked):
    _, x = chunked
    with aecodec.open(f"{bucket}/run.aecz", "w", axes="tyx", level=1) as f:
        f.write(x)
        fs = fsspec.filesystem("s3")
        fs.invalidate_cache()
        assert not fs.exists(f"{bucket}/run.aecz")
    with aecodec.open(f"{bucket}/run.aecz") as f:
        assert np.array_equal(f[3:7, 5], x[3:7, 5])
    fs = fsspec.filesystem("s3")
    file = fs.open(f"{bucket}/big", "wb")  # to be replaced
    file.write(b"before")
    file.close()
    stored = stores.StoredFile(f"{bucket}/big")
    for _ in range(60):
        stored.write(bytes(1 << 20))  # more than s3fs sends in one part
    assert fs.cat_file(f"{bucket}/big") == b"before"
    stored.commit()
    fs.invalidate_cache()
    assert fs.info(f"{bucket}/big")["size"] == 60 << 20


def _fail_on_the_way(url):
    with aecodec.open(url, "w") as f:
        f.write(np.arange(20))
        raise RuntimeError("on the way")


def test_s3_keeps_what_was_there_when_writing_fails(bucket):
    aecodec_file = f"{bucket}/kept.aecz"
    with aecodec.open(aecodec_file, "w") as f:
        f.write(np.arange(10))
    with pytest.raises(RuntimeError, match="on the way"):
        _fail_on_the_way(aecodec_file)
    assert aecodec.open(aecodec_file).shape == (10,)
    with pytest.raises(RuntimeError, match="on the way"):
        _fail_on_the_way(f"{bucket}/never.aecz")
    with pytest.raises(FileNotFoundError, match=r"never\.aecz"):
        aecodec.open(f"{bucket}/never.aecz")


def test_stores_have_no_appending(bucket):
    with pytest.raises(aecodec.AecodecError, match="cannot be appended to: stores have no appending; write a further file"):
        aecodec.open(f"{bucket}/x.aecz", "a")


def test_models_in_stores(bucket, model, field):
    model.save(f"{bucket}/m.aecm")
    with pytest.raises(aecodec.AecodecError, match=r"m\.aecm exists; choose another name"):
        model.save(f"{bucket}/m.aecm")
    assert aecodec.load_model(f"{bucket}/m.aecm").id == model.id
    data = aecodec.compress(field, f"{bucket}/m.aecm", "tcyx", max_error=0.05)
    assert np.abs(aecodec.decompress(data) - field).max() <= 0.05


def test_training_takes_arrays_in_stores(field):
    pytest.importorskip("torch")
    from aecodec.training import open_data

    with aecodec.open("memory://train/x.aecz", "w", axes="tcyx", model=False) as f:
        f.write(field)
    assert open_data("memory://train/x.aecz").channels == 2
    with pytest.raises(aecodec.AecodecError, match=r"cannot train on memory://x\.png: of URLs, \.aecz files and \.zarr arrays"):
        open_data("memory://x.png")


def test_recover_and_verify_in_stores(bucket, chunked):
    folder, _ = chunked
    damaged = bytearray((folder / "x.aecz").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    fsspec.filesystem("s3").pipe_file(f"{bucket}/damaged.aecz", bytes(damaged))
    assert len(aecodec.verify(f"{bucket}/damaged.aecz").bad) == 1
    assert aecodec.recover(f"{bucket}/damaged.aecz", f"{bucket}/rest.aecz").chunks == 39
    assert aecodec.open(f"{bucket}/rest.aecz").shape == (39, 128, 128)
    with pytest.raises(aecodec.AecodecError, match=r"rest.aecz exists; choose another name"):
        aecodec.recover(f"{bucket}/damaged.aecz", f"{bucket}/rest.aecz")


def _step(reader):
    return reader[7]


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_readers_go_to_other_processes(chunked, method):
    pytest.importorskip("aiohttp")
    folder, x = chunked
    with http_server(folder) as served, aecodec.open(f"{served.url}/x.aecz", threads=1) as f:
        assert np.array_equal(f[6], x[6])
        with get_context(method).Pool(1) as pool:
            assert np.array_equal(pool.apply(_step, (f,)), x[7])


def test_unknown_and_uninstalled_stores_say_what_to_do():
    with pytest.raises(aecodec.AecodecError, match="foo://x: Protocol not known"):
        aecodec.open("foo://x")
    code = "import sys; sys.modules['fsspec'] = None; import aecodec; aecodec.open('s3://bucket/x')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ})
    assert "opening s3://bucket/x needs fsspec, which is not installed: pip install 'aecodec[stores]'" in done.stderr
    code = "import sys; sys.modules['s3fs'] = None; import aecodec; aecodec.open('s3://bucket/x')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ})
    assert "opening s3:// URLs needs s3fs, which is not installed: pip install 'aecodec[s3]'" in done.stderr
