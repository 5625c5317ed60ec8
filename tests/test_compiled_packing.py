"""What packing symbols has compiled against what numpy makes of the same: equal for any symbols."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_compiled_streams import in_numpy, numbers

from aecodec.api.collected import Collected
from aecodec.compiled import cells, latents
from aecodec.compiled.kernels import kernels
from aecodec.compiled.room import Room
from aecodec.packing import contexts, draft, estimate, merging
from aecodec.packing.scale import INDICES
from aecodec.packing.stream import decode_stream, encode_stream, encode_streams, unzigzag
from aecodec.packing.varint import Cursor

pytestmark = pytest.mark.skipif(kernels is None, reason="built without a C compiler")


@given(numbers(), st.sampled_from([0, 16, 64, 256]))
@settings(deadline=None)
def test_estimates(found, size):
    assert estimate.zigzagged_bits(found, size) == in_numpy(estimate, estimate.zigzagged_bits, found, size)


@given(numbers(), st.integers(0, 2**32), st.integers(1, 12))
@settings(deadline=None)
def test_runs_that_share_a_stream(found, seed, groups):
    random = np.random.default_rng(seed)
    ends = np.zeros(INDICES, np.int64)
    ends[random.choice(INDICES, groups, replace=False)] = random.integers(0, found.size + 1, groups)
    ends = np.maximum.accumulate(ends)
    runs = merging.merged_runs(found, ends)
    assert runs[-1] == INDICES
    assert runs == in_numpy(merging, merging.merged_runs, found, ends)


@given(st.lists(numbers(), min_size=1, max_size=4), st.booleans())
@settings(deadline=None)
def test_streams_together_are_those_one_by_one(parts, signed):
    parts = [part.astype(np.uint32) for part in parts]
    together, ends = np.concatenate(parts), np.cumsum([part.size for part in parts])
    assert encode_streams(together, ends, signed=signed) == [encode_stream(part, signed=signed) for part in parts]
    assert encode_streams(together, ends, signed=signed) == in_numpy(draft, lambda: encode_streams(together, ends, signed=signed))


@pytest.mark.parametrize("mean", [0.001, 0.01, 0.2, 1.0, 3.0, 10.0, 40.0, 200.0, 1400.0, 1e5])
@pytest.mark.parametrize("hasty", [False, True])
def test_layouts_of_all_means_are_those_of_numpy(mean, hasty):
    found = (np.random.default_rng(7).geometric(1 / (1 + mean), 30_000) - 1).astype(np.uint32)
    packed = encode_stream(found, signed=True, hasty=hasty)
    assert packed == in_numpy(draft, lambda: encode_stream(found, signed=True, hasty=hasty))
    assert np.array_equal(decode_stream(Cursor(packed), found.size), found)


def test_a_stream_of_more_levels_than_rooms_are_made_for():
    found = np.full(5000, 2**32 - 1, np.uint32)
    found[::2] = np.random.default_rng(1).integers(0, 2**32, 2500, np.uint32)
    assert np.array_equal(decode_stream(Cursor(encode_stream(found)), found.size), found)


@given(
    st.tuples(*[st.integers(1, 5)] * 4),
    st.lists(st.integers(0, 5), min_size=1, max_size=5),
    st.integers(0, 2**32),
    st.sampled_from([0.3, 3.0, 3e4, 3e8]),
)
@settings(deadline=None)
def test_latents_are_sorted_alike_and_taken_again(grid, widths, seed, spread):
    random = np.random.default_rng(seed)
    ends = np.cumsum([*widths, 1]).tolist()
    bands = [(end, spread / (i + 1)) for i, end in enumerate(ends)]
    energies = np.exp(random.normal(size=(int(np.prod(grid)), 1)))
    symbols = np.rint(np.clip(random.laplace(size=(len(energies), ends[-1])) * energies * spread, -2e9, 2e9)).astype(np.int32)
    ordered, places = contexts.ordered_latents(symbols, grid, bands, 1.0, Room())
    own, own_places = in_numpy(latents, contexts.ordered_latents, symbols, grid, bands, 1.0, Room())
    assert np.array_equal(ordered, own)
    assert np.array_equal(places, own_places)
    packed = contexts.encode_latents(symbols, grid, bands, 1.0, False)
    for function in (contexts.decode_latents, lambda *arguments: in_numpy(latents, contexts.decode_latents, *arguments)):
        cursor = Cursor(packed)
        assert np.array_equal(function(cursor, grid, bands, 1.0), symbols)
        cursor.end()


@pytest.mark.parametrize("sizes", [[], [3], [0, 5, 1], [1 << 23, 7], [10, 5 << 20, 9 << 20, 3]])
def test_what_is_written_is_joined(sizes):
    random = np.random.default_rng(len(sizes))
    pieces = [random.bytes(size) for size in sizes]
    collected = Collected()
    for piece in pieces:
        collected.write(piece)
    assert collected.joined() == b"".join(pieces)
    assert kernels.join_pieces(tuple(pieces)) == b"".join(pieces)


def test_pieces_that_are_no_bytes_are_refused():
    with pytest.raises(TypeError):
        kernels.join_pieces((b"a", 3))


@given(numbers(), st.sampled_from([16, 64, 256]))
@settings(deadline=None)
def test_cells_are_sorted_and_taken_again(found, size):
    indices, ordered, ends = cells.sorted_cells(found, size, Room())
    for mine, own in zip((indices, ordered, ends), in_numpy(cells, cells.sorted_cells, found, size, Room()), strict=True):
        assert np.array_equal(mine, own)
    assert np.array_equal(indices, cells.cell_indices(found, size))
    # Two streams, of which the first holds the numbers of the indices below 20.
    streams_of = ordered[: ends[19]].astype(np.uint32), ordered[ends[19] :]
    places = np.zeros((INDICES, 4), np.int64)
    places[:, cells.STREAM] = np.arange(INDICES) >= 20
    places[:, cells.WIDTH] = np.where(places[:, cells.STREAM], found.itemsize, 4)
    places[:, cells.END] = ends - ends[19] * places[:, cells.STREAM]
    places[1:, cells.NEXT] = ends[:-1] - ends[19] * places[1:, cells.STREAM]
    wanted = np.pad(unzigzag(found.astype(np.uint32)).astype(np.int32), (0, -found.size % size)).reshape(-1, size)
    corrupt = np.array([-1, 48, -(2**31), 2**31 - 1], np.int32)
    for function in (cells.taken_cells, lambda *arguments: in_numpy(cells, cells.taken_cells, *arguments)):
        out, moved = np.empty((indices.size + 4, size), np.int32), places.copy()
        assert function(streams_of, moved, np.append(indices.astype(np.int32), corrupt), out) is None
        assert np.array_equal(out[:-4], wanted)
        assert not out[-4:].any()
        assert (moved[:, cells.NEXT] == places[:, cells.END]).all()
        if indices.size:
            assert function(streams_of, moved, indices[:1].astype(np.int32), out[:1]) == indices[0]


def places_of(*place):
    """One place for all scale indices: stream, its bytes a number, the next number and the end."""
    return np.tile(np.array(place, np.int64), (INDICES, 1))


def drafted(ends=(4,), roots=None, below=None, stops=None):
    """Draft a stream of four numbers by plans of two means."""
    ops, room = np.ones(16, np.uint8), bytearray(4096)
    ends = np.array(ends, np.int64)
    around = room, bytearray(room), bytearray(room), bytearray(room), bytearray(8 * ends.size) if stops is None else stops
    means = np.array([0.5, 1.0, 9.0])
    return kernels.draft_streams(
        bytes(8), 2, ends, ops if roots is None else roots, ops if below is None else below, means, *around
    )


EIGHT = np.ones(8, "i4")
TWO_BANDS = np.array([[1.0, 2.0, 1.0, 0.9, 0.5]] * 2)


def sorted_as(symbols=EIGHT, bands=TWO_BANDS, rows=None, indices=None, ends=None, grid=(1, 1, 2, 2)):
    """Sort two latents of four tiles."""
    rows, indices, ends = rows or bytearray(symbols.nbytes), indices or bytearray(8), ends or bytearray(384)
    return kernels.sort_latents(symbols, bands, rows, indices, bytearray(symbols.nbytes), ends, grid)


def taken_as(streams=(bytes(8),), places=None, rows=None, out=None):
    """Take two latents of four tiles."""
    places = places_of(0, 1, 0, 8) if places is None else places
    return kernels.take_latents(streams, places, TWO_BANDS, rows or bytearray(32), out or bytearray(32), (1, 1, 2, 2))


def test_calls_that_fit_are_taken():
    assert drafted() == 0
    assert sorted_as() == 2
    assert taken_as() == -1
    assert taken_as(places=places_of(0, 1, 0, 3)) >= 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: kernels.estimate(bytes(64), 3, 0),
        lambda: kernels.estimate(bytes(64), 2, 15),
        lambda: kernels.join_groups(bytes(64), 2, np.full(48, 33), bytearray(384)),
        lambda: kernels.join_groups(bytes(64), 2, np.arange(48, 0, -1), bytearray(384)),
        lambda: kernels.join_groups(bytes(64), 2, np.zeros(47, np.int64), bytearray(384)),
        lambda: kernels.join_groups(bytes(64), 2, np.zeros(48, np.int64), bytearray(376)),
        lambda: drafted(ends=np.array([5])),
        lambda: drafted(ends=np.array([3, 2, 4])),
        lambda: drafted(roots=np.full(16, 21, np.uint8)),
        lambda: drafted(roots=np.full(16, 3, np.uint8)),
        lambda: drafted(below=np.zeros(16, np.uint8)),
        lambda: drafted(below=np.ones(8, np.uint8)),
        lambda: drafted(stops=bytearray(16)),
        lambda: kernels.weighted_moments(np.ones(8, "i4"), bytearray(240), (2, 1, 2, 3)),
        lambda: kernels.weighted_moments(np.ones(8, "i4"), bytearray(232), (2, 1, 2, 2)),
        lambda: sorted_as(symbols=np.ones(9, "i4")),
        lambda: sorted_as(bands=np.ones((1, 5))),
        lambda: sorted_as(bands=np.ones(9)),
        lambda: sorted_as(bands=np.array([[-1.0, 1, 1, 1, 1], [5.0, 1, 1, 1, 1]])),
        lambda: sorted_as(bands=np.array([[np.nan, 1, 1, 1, 1], [2.0, 1, 1, 1, 1]])),
        lambda: sorted_as(rows=bytearray(28)),
        lambda: sorted_as(indices=bytearray(5)),
        lambda: sorted_as(ends=bytearray(376)),
        lambda: sorted_as(grid=(1, 1, 2, 0)),
        lambda: sorted_as(grid=(1 << 40, 1, 1, 1)),
        lambda: taken_as(out=bytearray(28)),
        lambda: taken_as(rows=bytearray(28)),
        lambda: taken_as(streams=(bytes(1),)),
        lambda: taken_as(places=places_of(0, 3, 0, 1)),
        lambda: taken_as(places=np.array([[0, 1, 0, 2]] * 47 + [[0, 2, 0, 1]])),
        lambda: kernels.sort_cells(bytes(64), 2, 8, bytearray(4), bytearray(64), bytearray(384)),
        lambda: kernels.sort_cells(bytes(66), 2, 16, bytearray(2), bytearray(66), bytearray(384)),
        lambda: kernels.sort_cells(bytes(66), 2, 16, bytearray(3), bytearray(95), bytearray(384)),
        lambda: kernels.sort_cells(bytes(66), 2, 16, bytearray(3), bytearray(96), bytearray(376)),
        lambda: kernels.take_cells((bytes(32),), bytearray(384 * 4), bytes(4), 17, bytearray(64)),
        lambda: kernels.take_cells((bytes(32),) * 49, places_of(1, 1, 0, 16), bytes(4), 16, bytearray(32)),
        lambda: kernels.take_cells((bytes(32),), places_of(0, 2, 0, 17), bytes(4), 16, bytearray(32)),
        lambda: kernels.take_cells((bytes(32),), places_of(0, 2, -1, 16), bytes(4), 16, bytearray(32)),
        lambda: kernels.take_cells((bytes(32),), places_of(0, 2, 8, 4), bytes(4), 16, bytearray(32)),
        lambda: kernels.take_cells((bytes(32),), places_of(0, 3, 0, 4), bytes(4), 16, bytearray(32)),
        lambda: kernels.take_cells((bytes(32),), places_of(1, 2, 0, 4), bytes(4), 16, bytearray(32)),
        lambda: kernels.take_cells((bytes(32),), places_of(0, 2, 0, 16), bytes(4), 16, bytearray(33)),
        lambda: kernels.take_cells((bytes(32),), places_of(0, 2, 0, 16)[:-1].copy(), bytes(4), 16, bytearray(32)),
    ],
)
def test_buffers_that_do_not_fit_are_refused(call):
    with pytest.raises(ValueError, match="compiled"):
        call()
