"""Values to residuals in one pass: the bound is proven, not checked, so these tests check it; restoring equals the plain way."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aecodec.codec.chunk import ChunkCoder, Mode
from aecodec.fast_lattice import predicted_residual, restored_values, safe_lattice
from aecodec.fidelity import fidelity_from_options
from aecodec.lattice import from_lattice
from aecodec.lorenzo import as_planes, lorenzo_restore
from aecodec.packing.stream import zigzag

MASKS = (0, 1, 4, 8, 12)


def lattice_for(array, errors):
    low, high = array.min(axis=(0, 2, 3)).astype(float), array.max(axis=(0, 2, 3)).astype(float)
    return safe_lattice(np.array(errors, float), low, high, array.dtype)


@given(
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=30),
    st.integers(-30, 30),
    st.floats(-1000, 1000),
    st.integers(4, 22),
    st.sampled_from(["f4", "f8"]),
)
@example([0.0], 0, 3.3602534718724276e-307, 7, "f8")
@settings(deadline=None, max_examples=300)
def test_every_float_is_within_the_error_in_exact_arithmetic(values, exponent, offset, bits, dtype):
    array = ((np.array(values) + offset) * 2.0**exponent).astype(dtype).reshape(1, 1, 1, -1)
    error = float(np.abs(array).max()) * 2.0**-bits
    lattice = lattice_for(array, [error]) if error else None
    if lattice is not None:
        residual = predicted_residual(array, lattice, 8).reshape(array.shape)
        restored = restored_values(residual, lattice.steps, 8, array.dtype)
        worst = max(abs(Fraction(a) - Fraction(b)) for a, b in zip(array.ravel().tolist(), restored.ravel().tolist(), strict=True))
        assert worst <= Fraction(error)


@pytest.mark.parametrize("bits", [8, 12, 16, 20])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_values_next_to_the_middle_between_two_lattice_points_stay_within_the_error(dtype, bits):
    error = 2.0**-bits
    middles = (np.arange(2000) + 0.5) * 2 * error
    near = (middles[:, None] * (1 + np.arange(-20, 21) * float(np.finfo(dtype).eps) / 4)).astype(dtype).reshape(1, 1, 1, -1)
    lattice = lattice_for(near, [error])
    if lattice is None:
        assert dtype == "f2" or bits == 20
        return
    restored = restored_values(predicted_residual(near, lattice, 0).reshape(near.shape), lattice.steps, 0, near.dtype)
    assert np.abs(near.astype(np.longdouble) - restored.astype(np.longdouble)).max() <= error


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "i4", "u4", "i8"])
@pytest.mark.parametrize("error", [0, 1.5, 7, 100])
def test_integers_are_within_the_error_up_to_the_ends_of_their_type(dtype, error):
    info = np.iinfo(dtype)
    ends = [max(info.min, -(10**8)), min(info.max, 10**8)]
    array = np.array(ends * 4 + list(range(100)), dtype).reshape(1, 1, 9, 12)
    lattice = lattice_for(array, [error])
    for mask in MASKS:
        restored = restored_values(predicted_residual(array, lattice, mask).reshape(array.shape), lattice.steps, mask, array.dtype)
        assert np.abs(array.astype(object) - restored.astype(object)).max() <= error


@given(st.tuples(*[st.integers(1, 6)] * 4), st.sampled_from(range(16)), st.sampled_from(["i1", "i2", "i4"]), st.integers(0, 2**32))
@settings(deadline=None, max_examples=200)
def test_restoring_is_summing_and_then_scaling(shape, mask, narrow, seed):
    random = np.random.default_rng(seed)
    info = np.iinfo(narrow)
    residual = random.integers(info.min, info.max, shape, endpoint=True).astype(narrow)
    indices = residual.astype(np.int32)
    for axis in range(4):
        if mask >> axis & 1:
            indices = np.cumsum(indices, axis=axis, dtype=np.int32)
    assert np.array_equal(lorenzo_restore(residual, mask), indices)
    for steps in (np.array([float(np.float32(0.1))] * shape[1]), random.uniform(0.1, 2, shape[1])):
        for dtype in (np.dtype("f4"), np.dtype("f8")):
            plain = (indices * steps.reshape(1, -1, 1, 1)).astype(dtype)
            assert np.array_equal(restored_values(residual, steps, mask, dtype), plain)
            assert np.array_equal(from_lattice(indices, steps, dtype), plain)
    whole = np.clip(indices * np.int64(3), 0, 255).astype("u1")
    assert np.array_equal(restored_values(residual, np.full(shape[1], 3.0), mask, np.dtype("u1")), whole)


@pytest.mark.parametrize("shape", [(5, 2, 300, 400), (1, 1, 900, 1700), (3000, 6, 1, 1), (70000, 1, 1, 1), (2, 3, 500, 40)])
def test_pieces_join_without_a_seam(shape):
    array = np.cumsum(np.random.default_rng(0).normal(size=shape), axis=0 if shape[2] == 1 else 2).astype("f4")
    errors = [0.01 * (c + 1) for c in range(shape[1])]
    lattice = lattice_for(array, errors)
    for mask in MASKS:
        if as_planes(shape, mask) is None:
            continue
        residual = predicted_residual(array, lattice, mask)
        assert np.array_equal(predicted_residual(array, lattice, mask, zigzagged=True), zigzag(residual))
        restored = restored_values(residual.reshape(shape), lattice.steps, mask, array.dtype)
        assert (np.abs(array.astype(float) - restored) <= np.reshape(errors, (1, -1, 1, 1))).all()
        indices = lorenzo_restore(residual.reshape(shape), mask)
        assert np.array_equal(restored, from_lattice(indices, lattice.steps, array.dtype))


@pytest.mark.parametrize("level", [1, 2])
def test_fast_levels_keep_bound_and_special_values(level):
    random = np.random.default_rng(3)
    array = np.cumsum(random.normal(size=(4, 2, 60, 70)), axis=3).astype("f4")
    array[random.random(array.shape) < 0.01] = np.nan
    array[0, 0, 0, :3] = [np.inf, -np.inf, np.nan]
    coder = ChunkCoder(array.dtype, fidelity_from_options(max_error=[0.01, 0.1]), level=level)
    body = coder.encode(array)
    assert body[0] == Mode.LATTICE
    assert len(body) < array.nbytes / 2
    restored = coder.decode(body, array.shape)
    assert np.array_equal(np.isfinite(array), np.isfinite(restored))
    assert np.array_equal(array[~np.isfinite(array)], restored[~np.isfinite(array)], equal_nan=True)
    finite = np.isfinite(array)
    distance = np.abs(np.where(finite, array, 0).astype(float) - np.where(finite, restored, 0))
    assert (distance <= np.array([0.01, 0.1]).reshape(1, 2, 1, 1)).all()


def test_no_lattice_where_the_bound_cannot_be_proven():
    assert lattice_for(np.array([1e6, 1], "f4").reshape(1, 1, 1, 2), [1e-3]) is None
    assert lattice_for(np.array([1, 2], "f4").reshape(1, 1, 1, 2), [0.0]) is None
    assert lattice_for(np.array([2**62, 0], "i8").reshape(1, 1, 1, 2), [1.0]) is None
    assert lattice_for(np.array([3e-307, 0.0]).reshape(1, 1, 1, 2), [2e-309]) is None
    assert lattice_for(np.array([1.0, 1e300]).reshape(1, 1, 1, 2), [1e-3]) is None
