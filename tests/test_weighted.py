"""Weighted prediction of differences: restored to the same, fitted to what there is, chosen where it is worth it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mode7_files import drifting

import aecodec
from aecodec import weighted
from aecodec.api.reader import Reader
from aecodec.codec import weight_choice
from aecodec.codec.chunk import Mode
from aecodec.compiled.room import Room
from aecodec.fast_lattice import restored_weighted, safe_lattice, zigzagged_weighted
from aecodec.packing.stream import unzigzag
from aecodec.weighted import WEIGHTED, fit_weights, residual_of_indices, weighted_restore


def test_a_literal():
    indices = np.array([[[[1, 3, 6], [2, 5, 9]]], [[[1, 4, 8], [2, 6, 11]]]], np.int32)
    # Differences: 1 2 3 / 2 3 4, then 1 3 4 / 2 4 5. All of the line above: floor((64 * above + 32) / 64) is what is above.
    assert residual_of_indices(indices, np.array([64, 0, 0, 0, 0])).tolist() == [[[[1, 2, 3], [1, 1, 1]]], [[[1, 3, 4], [1, 1, 1]]]]
    # Half of what is above and later, half of a step before: 0.5 is rounded up.
    assert residual_of_indices(indices, np.array([0, 32, 32, 0, 0])).tolist() == [
        [[[1, 2, 3], [1, 1, 4]]],
        [[[0, 2, 2], [-1, 0, 3]]],
    ]
    assert residual_of_indices(indices, np.array([0, 0, 0, 64, -64])).tolist() == [
        [[[1, 2, 3], [2, 3, 4]]],
        [[[-1, 0, 4], [0, 2, 8]]],
    ]


SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 6), st.integers(1, 20))


@given(SHAPES, st.integers(0, 2**32), st.integers(1, 31), st.lists(st.integers(-128, 127), min_size=5, max_size=5), st.booleans())
@settings(deadline=None)
def test_any_indices_and_weights_are_restored(shape, seed, bits, weights, compiled):
    indices = np.random.default_rng(seed).integers(-(2**bits), 2**bits, shape).astype(np.int32)
    with pytest.MonkeyPatch.context() as patch:
        if not compiled:
            patch.setattr(weighted, "kernels", None)
        given_weights = np.array(weights, np.int8)
        left = residual_of_indices(indices, given_weights)
        assert (weighted_restore(left, given_weights) == indices).all()


@given(
    SHAPES,
    st.integers(0, 2**32),
    st.integers(2, 20),
    st.lists(st.integers(-38, 38), min_size=5, max_size=5),
    st.sampled_from(["f4", "f8"]),
)
@settings(deadline=None)
def test_compiled_residuals_are_those_of_numpy(shape, seed, bits, weights, dtype):
    random = np.random.default_rng(seed)
    values = (random.normal(size=shape).cumsum(3) * random.choice([1e-3, 1.0, 1e4])).astype(dtype)
    low, high = values.min(axis=(0, 2, 3)).astype("f8"), values.max(axis=(0, 2, 3)).astype("f8")
    lattice = safe_lattice(np.full(shape[1], float(np.abs(values).max()) * 2.0**-bits), low, high, values.dtype)
    if lattice is None:
        return
    chosen, found = np.array(weights, np.int8), []
    for there in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not there:
                patch.setattr(weighted, "kernels", None)
            found.append(zigzagged_weighted(values, lattice, chosen, Room()))
    assert found[0].dtype == found[1].dtype
    assert (found[0] == found[1]).all()
    exact = residual_of_indices(
        np.rint(values * (1.0 / lattice.steps.reshape(1, -1, 1, 1)).astype(lattice.working)).astype("i4"), chosen
    )
    if lattice.working == values.dtype:
        assert (unzigzag(found[0]).astype("i4") == exact.reshape(-1)).all()


@given(SHAPES, st.integers(0, 2**32), st.sampled_from([3, 9, 31]))
@settings(deadline=None)
def test_compiled_weights_are_those_of_numpy(shape, seed, bits):
    indices = np.random.default_rng(seed).integers(-(2**bits), 2**bits, shape).astype(np.int32)
    found = fit_weights(indices)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weighted, "kernels", None)
        assert np.array_equal(found, fit_weights(indices))


@given(SHAPES, st.integers(0, 2**32), st.sampled_from(["i1", "i2", "i4"]), st.sampled_from(["f4", "f8", "i2"]))
@settings(deadline=None)
def test_values_are_indices_times_steps(shape, seed, narrow, dtype):
    random = np.random.default_rng(seed)
    left = random.integers(-100, 100, shape).astype(narrow)
    weights, steps = random.integers(-40, 40, 5).astype(np.int8), np.rint(random.uniform(1, 9, shape[1]))
    if dtype != "i2":
        steps *= 1 / 3
    values = restored_weighted(left, steps, weights, np.dtype(dtype))
    assert values.dtype == dtype
    exact = weighted_restore(left, weights) * steps.reshape(1, -1, 1, 1)
    info = np.iinfo(np.int16)
    assert np.array_equal(values, np.clip(exact, info.min, info.max).astype(dtype) if dtype == "i2" else exact.astype(dtype))


def test_weights_are_those_that_made_the_array():
    random, shape = np.random.default_rng(4), (12, 2, 30, 60)
    found = np.zeros((shape[0] + 1, 2, shape[2] + 1, shape[3] + 1))
    for t in range(shape[0]):
        for y in range(shape[2]):
            noise = random.normal(size=(2, shape[3])) * 500
            found[t + 1, :, y + 1, :-1] = 0.5 * found[t + 1, :, y, :-1] + 0.25 * found[t, :, y + 1, 1:] + noise
    indices = np.rint(found[1:, :, 1:, :-1].cumsum(3)).astype(np.int32)
    assert np.abs(fit_weights(indices).astype(int) - [32, 0, 0, 16, 0]).max() <= 2


@pytest.mark.parametrize("shape", [(1, 1, 1, 2), (1, 1, 1, 9), (3, 1, 1, 5), (1, 2, 4, 1), (2, 1, 2, 2)])
@pytest.mark.parametrize("value", [0, 7, 2**30])
def test_flat_samples_have_weights(shape, value):
    weights = fit_weights(np.full(shape, value, np.int32))
    assert weights.dtype == np.int8
    assert np.abs(weights.astype(int)).sum() <= 3 * 64


def predictors_of(data: bytes) -> set[int]:
    """The predictor bytes of the chunks of a file of one channel without classes: mode, flags, step, then these."""
    with Reader(data) as reader:
        bodies = [bytes(reader.container.chunk(i).body) for i in range(reader.container.index.starts.size)]
    assert all(body[0] == Mode.LATTICE and body[1] == 0 for body in bodies)
    return {body[10] for body in bodies}


@pytest.mark.parametrize(
    ("level", "dtype"), [(1, "f2"), (1, "f4"), (1, "f8"), (2, "f4"), (3, "f4"), (5, "f8"), (9, "f4"), (5, "i4")]
)
def test_levels_choose_weights_where_these_are_smaller(level, dtype, monkeypatch):
    x = (drifting((24, 1, 60, 80), 5)[:, 0] * (1000 if dtype == "i4" else 1)).astype(dtype)
    error = float(np.ptp(x.astype("f8"))) * 2e-3
    packed = aecodec.compress(x, False, "tyx", max_error=error, level=level)
    assert predictors_of(packed) == {WEIGHTED}
    assert np.abs(aecodec.decompress(packed).astype("f8") - x.astype("f8")).max() <= error
    monkeypatch.setattr(weight_choice, "_WORTH", 0.0)
    without = aecodec.compress(x, False, "tyx", max_error=error, level=level)
    assert WEIGHTED not in predictors_of(without)
    assert len(packed) < 0.98 * len(without)
    monkeypatch.setattr(weighted, "kernels", None)
    monkeypatch.setattr(weight_choice, "_WORTH", 0.99)
    assert aecodec.compress(x, False, "tyx", max_error=error, level=level) == packed
    assert (aecodec.decompress(packed) == aecodec.decompress(packed, threads=1)).all()


@pytest.mark.parametrize("axes", ["t", "tc", "yx", "tcyx"])
@pytest.mark.parametrize("level", [1, 2])
def test_values_that_are_missing_are_kept(axes, level):
    shape = {"t": (4000,), "tc": (900, 3), "yx": (70, 60), "tcyx": (5, 2, 30, 40)}[axes]
    x = np.random.default_rng(8).normal(size=shape).cumsum(-1).astype("f4")
    x.flat[::37], x.flat[5::91] = np.nan, np.inf
    y = aecodec.decompress(aecodec.compress(x, False, axes, max_error=0.01, level=level))
    sound = np.isfinite(x)
    assert np.array_equal(np.isnan(x), np.isnan(y))
    assert np.array_equal(np.isinf(x), np.isinf(y))
    assert np.abs(x[sound].astype("f8") - y[sound]).max() <= 0.01
