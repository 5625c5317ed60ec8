"""How long chunks are: within a level's number of values, and of arrays whose length is known of an even number, about alike."""

import io

import numpy as np
import pytest

import aecodec
from aecodec.api.chunking import chunk_length
from aecodec.axes import parse_axes
from aecodec.canonical import ArraySpec


def spec_of(steps, axes="tyx", sample=(256, 256)):
    return ArraySpec(np.dtype("f4"), parse_axes(axes, 1 + len(sample)), (steps, *sample))


@pytest.mark.parametrize(
    ("total", "length"),
    [(None, 32), (1, 32), (32, 32), (33, 17), (64, 32), (65, 17), (96, 24), (330, 28), (32 * 31 - 5, 31), (32 * 31 + 1, 32)],
)
def test_few_chunks_are_alike_and_of_an_even_number(total, length):
    assert chunk_length(spec_of(total or 5), None, 1, total=total) == length


def test_lengths_are_whole_tiles_still():
    for total, length in [(None, 32), (70, 32), (17, 32), (45, 32)]:
        assert chunk_length(spec_of(total or 5, "yxc", (256, 256)), None, 1, total=total) == length
    assert chunk_length(spec_of(4 * 2**13, "yx", (64,)), None, 1, total=4 * 2**13 + 16) == 16 * 1025


def test_a_file_has_the_chunks_that_its_length_asks_for():
    x = np.random.default_rng(0).normal(size=(65, 256, 256)).astype("f4")
    with aecodec.open(io.BytesIO(aecodec.compress(x, False, "tyx", level=1, max_error=0.5))) as f:
        assert f.container.index.counts.tolist() == [17, 17, 17, 14]
