"""Models in calls: embedded or not, missing, wrong, pickled; and wrong calls refused with the remedy."""

import pickle

import numpy as np
import pytest
from conftest import smooth_field

import aecodec
from aecodec.errors import AxesError, DtypeError, FidelityError, LimitError, ModelError, NotAecodecError, UsageError, VersionError

DTYPES = [*"?bBhHiIlLqQefdFD"]


def test_a_file_without_its_model_needs_it_named(tmp_path, monkeypatch, field, model):
    data = aecodec.compress(field, model, "tcyx", max_error=0.05, embed_model=False)
    assert len(data) < len(aecodec.compress(field, model, "tcyx", max_error=0.05)) - 2000
    with pytest.raises(ModelError) as caught:
        aecodec.decompress(data)
    assert str(caught.value).startswith(f"the file needs model {model.id}, which is not embedded in it and not in ")
    assert np.abs(aecodec.decompress(data, model=model) - field).max() <= 0.05
    model.save(tmp_path / "wind.aecm")
    assert np.array_equal(aecodec.decompress(data, model=tmp_path / "wind.aecm"), aecodec.decompress(data, model=model))
    monkeypatch.setenv("AECODEC_MODEL_PATH", str(tmp_path))
    assert np.array_equal(aecodec.decompress(data), aecodec.decompress(data, model=model))


def test_another_model_than_the_files_is_refused(field, model):
    data = aecodec.compress(field, model, "tcyx", max_error=0.05, embed_model=False)
    other = aecodec.fit(field[:12], axes="tcyx", max_error=0.3)
    with pytest.raises(ModelError) as caught:
        aecodec.decompress(data, model=other)
    assert str(caught.value) == f"the file needs model {model.id}, but the one given is {other.id}"


def test_a_model_for_other_channels_is_refused(model):
    with pytest.raises(ModelError, match=r"the array has 3 channel\(s\), the model [0-9a-f]{12} is for 2; check axes="):
        aecodec.compress(smooth_field((4, 3, 32, 40)), model, "tcyx", max_error=0.1)


def test_a_model_pickles_and_works_on(field, model):
    copy = pickle.loads(pickle.dumps(model))
    assert copy.id == model.id
    assert np.array_equal(copy.encode(field), model.encode(field))
    assert aecodec.compress(field, copy, "tcyx", max_error=0.05) == aecodec.compress(field, model, "tcyx", max_error=0.05)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda x: aecodec.compress(x, axes="tcyx", psnr=40, max_error=1),
            FidelityError,
            "two fidelities at once: max_error and psnr",
        ),
        (lambda x: aecodec.compress(x, axes="tyx"), AxesError, "axes='tyx' names 3 dimension(s) but the array has 4"),
        (lambda x: aecodec.compress(x[0], max_error=1), AxesError, "cannot tell the axes of a 3-D float32 array"),
        (lambda x: aecodec.compress(x, level=0), UsageError, "level=0 is outside 1 (fastest) to 9 (smallest)"),
        (
            lambda x: aecodec.compress(np.broadcast_to(np.uint8(1), (1, 1 << 16, 1 << 15)), axes="tyx"),
            LimitError,
            "one step of the stream axis has 2147483648 values, 2147483648 bytes, at most 1073741824 are allowed; name another",
        ),
        (lambda x: aecodec.compress(x, threads=0), UsageError, "threads=0 is outside 1 to 1024"),
        (lambda x: aecodec.compress(x, provider="tpu", model=b""), aecodec.AecodecError, ""),
        (lambda x: aecodec.compress(x, model="gale"), ModelError, "no model 'gale': no such file, and no model of that name"),
        (
            lambda x: aecodec.compress(x, axes="tcyx", max_error=[1, 2, 3]),
            FidelityError,
            "max_error has 3 values but the array has 2",
        ),
        (
            lambda x: aecodec.compress(x > 0, max_error=1),
            FidelityError,
            "max_error was asked of bool values, which are kept exactly",
        ),
        (lambda x: aecodec.compress(x.astype(object)), DtypeError, "dtype object holds Python objects"),
        (lambda x: aecodec.open("x.aecz", "x"), UsageError, "mode='x' is unknown; use 'r' to read, 'w' to write, 'a' to append"),
        (lambda x: aecodec.decompress(b""), NotAecodecError, "not an aecodec file: it begins with nothing"),
        (lambda x: aecodec.decompress(b"GIF89a" * 9), NotAecodecError, "not an aecodec file: it begins with 47 49 46 38"),
    ],
)
def test_wrong_calls_are_refused_with_the_remedy(call, kind, message, field):
    with pytest.raises(kind) as caught:
        call(field)
    assert message in str(caught.value)


def test_a_newer_version_asks_for_an_upgrade(field):
    data = bytearray(aecodec.compress(field))
    data[8] = 2
    with pytest.raises(VersionError, match=r"format version 2.1 is newer than 1.1; upgrade aecodec to read it"):
        aecodec.decompress(bytes(data))
