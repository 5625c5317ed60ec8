"""Contexts: latents by the energy of bands already coded, residuals by cells with side information."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aecodec.compiled.cells import cell_indices
from aecodec.errors import FormatError
from aecodec.packing.contexts import decode_latents, encode_latents
from aecodec.packing.estimate import latents_bits, residual_bits
from aecodec.packing.plan import entropy
from aecodec.packing.residuals import CELL_SIZES, decode_residual, encode_residual
from aecodec.packing.stream import zigzag
from aecodec.packing.varint import Cursor

BANDS = ((1, 40.0), (4, 9.0), (16, 1.5), (32, 0.1))


def latents(grid, seed, step=1.0):
    tiles = int(np.prod(grid))
    random = np.random.default_rng(seed)
    spreads = np.concatenate([np.full(end - start, s) for (start, _), (end, s) in zip(((0, 0), *BANDS), BANDS, strict=False)])
    energy = np.exp(random.normal(0, 1, (tiles, 1)))
    return np.rint(random.laplace(0, 1, (tiles, 32)) * spreads * energy / step).astype(np.int32)


def decoded_residual(data, count):
    cursor = Cursor(data)
    values = decode_residual(cursor, count)
    cursor.end()
    return values


@given(st.tuples(*[st.integers(1, 4)] * 4), st.integers(0, 2**32), st.sampled_from([0.25, 1.0, 16.0]), st.booleans())
@settings(deadline=None, max_examples=40)
def test_latents_come_back(grid, seed, step, thorough):
    symbols = latents(grid, seed, step)
    cursor = Cursor(encode_latents(symbols, grid, BANDS, step, thorough))
    assert np.array_equal(decode_latents(cursor, grid, BANDS, step), symbols)
    cursor.end()


def test_contexts_make_latents_of_mixed_energy_smaller_than_their_order_zero_entropy():
    grid = (16, 1, 16, 16)
    symbols = latents(grid, 0)
    _, counts = np.unique(symbols, return_counts=True)
    assert len(encode_latents(symbols, grid, BANDS, 1.0, True)) * 8 < 0.85 * symbols.size * entropy(counts / counts.sum())


def test_every_truncation_of_latents_is_a_format_error():
    grid = (2, 1, 2, 2)
    packed = encode_latents(latents(grid, 4), grid, BANDS, 1.0, True)
    for size in range(len(packed)):
        with pytest.raises(FormatError):
            decode_latents(Cursor(packed[:size]), grid, BANDS, 1.0)


@given(st.integers(0, 10**9), st.integers(0, 255))
@settings(deadline=None, max_examples=100)
def test_a_changed_byte_of_latents_gives_symbols_or_a_format_error(where, byte):
    grid = (2, 1, 3, 3)
    damaged = bytearray(encode_latents(latents(grid, 4), grid, BANDS, 1.0, False))
    damaged[where % len(damaged)] = byte
    with contextlib.suppress(FormatError):
        assert decode_latents(Cursor(bytes(damaged)), grid, BANDS, 1.0).shape == (18, 32)


@pytest.mark.parametrize(
    ("values", "size", "stored"),
    [
        ([0] * 10, 0, "0000"),
        ([1, -1, 2], 0, "000100020104"),
        ([], 0, "0000"),
        ([-2147483648], 0, "0007ff07ff07ff0100ff"),
    ],
)
def test_short_residuals_by_their_bytes(values, size, stored):
    residual = np.array(values, np.int32)
    assert encode_residual(residual, size, thorough=False).hex() == stored
    assert np.array_equal(decoded_residual(bytes.fromhex(stored), len(values)), residual)


@given(
    st.integers(0, 3000),
    st.sampled_from(CELL_SIZES),
    st.sampled_from([0.05, 1.0, 300.0, 1e9]),
    st.integers(0, 2**32),
    st.booleans(),
)
@settings(deadline=None, max_examples=80)
def test_residuals_come_back(count, size, scale, seed, thorough):
    random = np.random.default_rng(seed)
    values = random.laplace(0, scale, count) * np.repeat(np.exp(random.normal(size=count // 64 + 1)), 64)[:count]
    residual = np.clip(np.rint(values), -(2.0**31), 2.0**31 - 1).astype(np.int32)
    assert np.array_equal(decoded_residual(encode_residual(residual, size, thorough), count), residual)


def test_cells_pay_where_the_scale_varies():
    random = np.random.default_rng(0)
    residual = np.rint(random.laplace(0, 1, 1 << 17) * np.repeat(2.0 ** random.integers(-3, 7, 1 << 11), 64)).astype(np.int32)
    sizes = {size: len(encode_residual(residual, size, thorough=True)) for size in CELL_SIZES}
    assert sizes[64] < 0.9 * sizes[0]
    estimates = {size: residual_bits(residual, size) for size in CELL_SIZES}
    assert min(sizes, key=sizes.__getitem__) == min(estimates, key=estimates.__getitem__)
    for size in CELL_SIZES:
        assert estimates[size] == pytest.approx(8 * sizes[size], rel=0.1)


def test_the_estimate_of_latents_is_near_their_packed_size():
    grid = (16, 1, 16, 16)
    for step in (0.25, 1.0, 4.0):
        symbols = latents(grid, 1, step)
        packed = 8 * len(encode_latents(symbols, grid, BANDS, step, True))
        assert latents_bits(symbols, BANDS, step) == pytest.approx(packed, rel=0.15)


def test_cells_have_the_scale_index_of_their_mean_magnitude():
    residual = np.array([0] * 16 + [4] * 16 + [-4] * 15 + [0], np.int32)
    assert cell_indices(zigzag(residual), 16).tolist() == [0, 20, 19]


def test_an_unknown_cell_size_is_refused():
    with pytest.raises(FormatError, match="value 4 at offset 1 is above its limit 3"):
        decode_residual(Cursor(b"\x04"), 10)


@pytest.mark.parametrize("size", CELL_SIZES)
def test_every_truncation_of_a_residual_is_a_format_error(size):
    residual = np.rint(np.random.default_rng(1).laplace(0, 3, 900)).astype(np.int32)
    packed = encode_residual(residual, size, thorough=True)
    for length in range(len(packed)):
        with pytest.raises(FormatError):
            decoded_residual(packed[:length], residual.size)


@given(st.integers(0, 10**9), st.integers(0, 255), st.sampled_from(CELL_SIZES))
@settings(deadline=None, max_examples=150)
def test_a_changed_byte_of_a_residual_gives_values_or_a_format_error(where, byte, size):
    residual = np.rint(np.random.default_rng(1).laplace(0, 3, 900)).astype(np.int32)
    damaged = bytearray(encode_residual(residual, size, thorough=False))
    damaged[where % len(damaged)] = byte
    with contextlib.suppress(FormatError):
        assert decoded_residual(bytes(damaged), residual.size).size == residual.size
