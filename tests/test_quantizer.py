"""Quantizer: latents to symbols and back, within the limit that the proof of exactness rests on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aecodec.quantizer import dequantize, quantize, symbol_limit


def test_symbols_are_nearest_multiples_of_the_step():
    y = np.array([-2.6, -0.4, 0.0, 0.9, 2.6])
    assert quantize(y, 2, 0.5, 1000).tolist() == [-3, 0, 0, 1, 3]


def test_halves_go_to_the_even_symbol():
    assert quantize(np.array([-1.5, -0.5, 0.5, 1.5, 2.5], "f4"), 1, 1.0, 1000).tolist() == [-2, 0, 0, 2, 2]


def test_symbols_are_clipped_to_the_limit():
    assert quantize(np.array([1e30, -1e30]), 3, 1.0, 100).tolist() == [33, -33]
    assert quantize(np.array([1e30, -1e30], "f4"), 1, 1.0, 2**40).tolist() == [2**30, -(2**30)]


def test_what_is_not_a_number_becomes_zero_and_infinities_the_limit():
    assert quantize(np.array([np.nan, np.inf, -np.inf]), 1, 1.0, 50).tolist() == [0, 50, -50]


def test_dequantize_gives_integers_in_float64():
    y_hat = dequantize(np.array([-3, 0, 7], np.int32), 5)
    assert y_hat.dtype == np.float64
    assert y_hat.tolist() == [-15.0, 0.0, 35.0]


@pytest.mark.parametrize(("step", "limit", "top"), [(1, 100, 100), (3, 100, 33), (101, 100, 0), (1, 2**53, 2**30)])
def test_symbol_limit(step, limit, top):
    assert symbol_limit(step, limit) == top


@given(
    st.lists(st.floats(width=32), min_size=1, max_size=20),
    st.integers(1, 2**34),
    st.integers(-20, 20),
    st.integers(1, 2**53),
    st.sampled_from(["f4", "f8"]),
)
@settings(deadline=None, max_examples=100)
def test_the_decoders_input_never_passes_the_limit(values, step, exponent, limit, dtype):
    symbols = quantize(np.array(values, dtype), step, 2.0**exponent, limit)
    assert symbols.dtype == np.int32
    assert all(abs(symbol) * step <= limit for symbol in symbols.tolist())


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.integers(1, 1000))
@settings(deadline=None, max_examples=100)
def test_the_error_is_at_most_half_a_step(values, step):
    y = np.array(values)
    restored = dequantize(quantize(y, step, 0.25, 2**40), step) * 0.25
    assert np.abs(restored - y).max() <= step * 0.125 * (1 + 1e-9)
