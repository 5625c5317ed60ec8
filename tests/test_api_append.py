"""Appending: a file goes on where it ended, was cut off, or was aborted."""

import numpy as np
import pytest
from conftest import walk

import aecodec
from aecodec.errors import ModelError, UsageError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.aecz"


def test_appending_goes_on_where_the_file_ended(path, field, model):
    parts = np.split(field, [7, 8, 20])
    for i, part in enumerate(parts):
        given = model if i == 0 else None
        with aecodec.open(path, "a", model=given, axes="tcyx", **({"max_error": 0.05} if i == 0 else {})) as f:
            f.write(part)
        with aecodec.open(path) as f:
            assert f.complete
            whole = np.concatenate(parts[: i + 1])
            assert f.shape == whole.shape
            assert np.abs(f[:] - whole).max() <= 0.05
            assert f.model.id == model.id


def test_appending_after_a_cut_keeps_the_whole_chunks(path):
    array = walk(1000)
    for part in np.split(array, [400]):
        with aecodec.open(path, "a", axes="t") as f:
            f.write(part)
    path.write_bytes(path.read_bytes()[:-200])
    with aecodec.open(path) as f:
        kept = f.shape[0]
        assert not f.complete
    assert kept in (400, 1000)
    with aecodec.open(path, "a") as f:
        f.write(array[kept:])
    with aecodec.open(path) as f:
        assert f.complete
        assert np.array_equal(f[:], array)


def test_an_aborted_append_keeps_what_was_there(path):
    with aecodec.open(path, "w", axes="t") as f:
        f.write(np.arange(100))

    def fail_half_way():
        with aecodec.open(path, "a") as f:
            f.write(np.arange(7))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert np.array_equal(aecodec.decompress(path.read_bytes()), np.arange(100))


def test_appending_what_does_not_fit_is_refused_and_changes_nothing(path, field, model):
    with aecodec.open(path, "w", model=model, axes="tcyx", max_error=0.05) as f:
        f.write(field)
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"appending with .*0.2.* is not possible"):
        aecodec.open(path, "a", max_error=0.2)
    with pytest.raises(UsageError, match="the file has axes 'tcyx', not 'tyxc'"):
        aecodec.open(path, "a", axes="tyxc")
    with pytest.raises(ModelError, match=f"the file needs model {model.id}, but the one given is "):
        aecodec.open(path, "a", model=aecodec.fit(field[:5], axes="tcyx"))
    assert path.read_bytes() == before


def test_a_model_for_a_file_that_has_none_is_refused(tmp_path, field, model):
    path = tmp_path / "x.aecz"
    path.write_bytes(aecodec.compress(field, False, "tcyx", max_error=0.05))
    before = path.read_bytes()
    with pytest.raises(ModelError) as caught:
        aecodec.open(path, "a", model=model, max_error=0.05)
    assert str(caught.value) == f"the file was written without a model, not with {model.id}; append without model="
    assert path.read_bytes() == before
