"""Tiling: arrays cut into equal tiles and joined again."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aecodec.tiling import Tiling


def test_tiles_are_numbered_in_c_order_of_the_grid():
    array = np.arange(16).reshape(1, 1, 4, 4)
    tiles = Tiling((1, 1, 4, 4), (1, 1, 2, 2)).split(array)
    assert tiles.reshape(4, 4).tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]


def test_padding_repeats_the_edge():
    tiles = Tiling((1, 1, 1, 3), (1, 1, 1, 2)).split(np.array([1, 2, 3]).reshape(1, 1, 1, 3))
    assert tiles.reshape(2, 2).tolist() == [[1, 2], [3, 3]]


def test_a_tile_larger_than_the_array_pads_it_on_every_axis():
    tiles = Tiling((1, 1, 1, 1), (2, 2, 1, 2)).split(np.full((1, 1, 1, 1), 5))
    assert tiles.tolist() == np.full((1, 2, 2, 1, 2), 5).tolist()


def test_grid_and_count():
    tiling = Tiling((5, 2, 33, 16), (2, 2, 16, 16))
    assert tiling.grid == (3, 1, 3, 1)
    assert tiling.count == 9


def test_join_drops_the_padding():
    tiling = Tiling((1, 1, 1, 3), (1, 1, 1, 2))
    assert tiling.join(np.array([[1, 2], [3, 99]]).reshape(2, 1, 1, 1, 2)).reshape(-1).tolist() == [1, 2, 3]


sizes = st.tuples(*[st.integers(1, 7)] * 4)


@given(sizes, sizes)
@settings(deadline=None, max_examples=80)
def test_join_undoes_split(shape, tile):
    array = np.arange(int(np.prod(shape))).reshape(shape)
    tiling = Tiling(shape, tile)
    tiles = tiling.split(array)
    assert tiles.shape == (tiling.count, *tile)
    assert np.array_equal(tiling.join(tiles), array)
    assert np.array_equal(tiles[0, 0, 0, 0], np.pad(array, [(0, 7)] * 4, mode="edge")[0, 0, 0, : tile[3]])
