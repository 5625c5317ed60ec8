"""Work within one chunk shared by threads: workers, what graphs see, bands, and the same bits whatever the number of threads."""

import threading

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import aecodec
from aecodec import plane_phases, prediction
from aecodec.codec.bands import parts
from aecodec.codec.grouping import sort_symbols, take_all
from aecodec.codec.model import Model
from aecodec.models.graph import read_graph
from aecodec.models.linear_part import linear_part
from aecodec.models.reach import reach
from aecodec.packing.groups import GroupedSymbols, encode_groups
from aecodec.packing.varint import Cursor
from aecodec.phases import PhaseLayout, base_grid, targets
from aecodec.workers import Workers


@pytest.fixture(scope="module")
def photo() -> Model:
    return aecodec.load_model("photo")


def picture(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :columns]
    smooth = np.stack([127 + 90 * np.sin(y / (9 + c)) * np.cos(x / (13 - c)) for c in range(3)], -1)
    return np.clip(np.rint(smooth + rng.normal(size=smooth.shape) * 6), 0, 255).astype(np.uint8)


def graph(*nodes, **constants) -> bytes:
    values = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2, "rows", "columns"]) for name in ("x", "y")]
    made = helper.make_model(
        helper.make_graph(list(nodes), "g", ends[:1], ends[1:], values), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    return made.SerializeToString()


def conv(source: str, target: str, weight: str, pad: int, **others):
    return helper.make_node("Conv", [source, weight], [target], pads=[pad] * 4, **others)


def weight(size: int) -> np.ndarray:
    return np.ones((2, 2, size, size), np.float32)


def test_workers_keep_the_order_and_use_their_threads():
    with Workers(3) as workers:
        meeting = threading.Barrier(3, timeout=60)
        names = workers.map(lambda _: meeting.wait() >= 0 and threading.get_ident(), range(3))
        assert len(set(names)) == 3
        assert workers.map(lambda i: i * i, range(100)) == [i * i for i in range(100)]
    assert Workers().map(str, [1, 2]) == ["1", "2"]


def test_an_error_of_any_worker_is_raised_once_all_have_stopped():
    with Workers(2) as workers, pytest.raises(ZeroDivisionError):
        workers.map(lambda i: 1 // (i - 5), range(10))


def test_what_a_graph_sees_adds_up_along_its_convolutions():
    assert reach(read_graph(graph(conv("x", "y", "w", 0), w=weight(1)))) == 0
    assert reach(read_graph(graph(conv("x", "h", "w", 1), conv("h", "y", "v", 2), w=weight(3), v=weight(5)))) == 3
    pad = helper.make_node("Pad", ["x", "p"], ["h"], mode="edge")
    pads = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    assert reach(read_graph(graph(pad, conv("h", "y", "w", 0), w=weight(3), p=pads))) == 1


@pytest.mark.parametrize(
    "nodes",
    [
        [conv("x", "y", "w", 0)],  # the border is lost
        [conv("x", "y", "w", 1, strides=[2, 2])],
        [conv("x", "h", "w", 1), helper.make_node("Transpose", ["h"], ["y"], perm=[0, 1, 3, 2])],
        [helper.make_node("GlobalAveragePool", ["x"], ["h"]), helper.make_node("Add", ["x", "h"], ["y"])],
        [helper.make_node("Mul", ["x", "each"], ["y"])],  # a constant of some rows
    ],
)
def test_graphs_that_treat_positions_differently_are_run_whole(nodes):
    assert reach(read_graph(graph(*nodes, w=weight(3), each=np.ones((2, 3, 1), np.float32)))) is None


def test_parts_cover_a_map_once_and_see_what_they_need():
    for shape in ((1, 2, 64, 96), (1, 2, 200, 7), (5, 2, 8, 8), (1, 2, 1, 1)):
        covered = np.zeros((shape[0], *shape[2:]), int)
        array = np.random.default_rng(0).normal(size=shape)
        for part in parts(shape, 2, 4):
            covered[part.made] += 1
            np.testing.assert_array_equal(part.crop(part.take(array)), part.place(array))
        assert (covered == 1).all()
    assert len(parts((1, 2, 64, 96), 2, 4)) == 4
    assert len(parts((1, 2, 64, 96), None, 4)) == 1


def test_the_networks_of_a_model_are_known_to_see_two_tiles_around(photo):
    networks = photo.maps.networks
    assert networks.encoder_reach(linear=False) == 1
    assert networks.encoder_reach(linear=True) == 0
    assert len(networks.decoder_parts((1, 192, 64, 96), Workers(2))) == 2
    assert [len(networks.prior_parts(k, (1, 192, 64, 96), Workers(2))) for k in (1, 2, 3)] == [2, 2, 2]


@pytest.mark.parametrize("shape", [(136, 201), (17, 23), (1, 1), (300, 9)])
@pytest.mark.parametrize("quality", [20, 90])
def test_files_and_arrays_are_the_same_for_any_number_of_threads(photo, shape, quality):
    x = picture(*shape)
    files = {t: aecodec.compress(x, photo, "yxc", quality=quality, threads=t, embed_model=False) for t in (1, 2, 5)}
    assert files[1] == files[2] == files[5]
    arrays = [aecodec.decompress(files[1], model=photo, threads=t) for t in (1, 2, 5)]
    assert all(np.array_equal(arrays[0], other) for other in arrays[1:])


def test_the_linear_part_of_an_encoder_is_its_first_guess(photo):
    networks, x = photo.maps.networks, np.random.default_rng(0).normal(size=(1, 192, 4, 5)).astype(np.float32)
    assert networks.has_linear_encoder
    whole, linear = networks.encode(x, 40), networks.encode(x, 40, linear=True)
    np.testing.assert_allclose(linear[:, :3], whole[:, :3], atol=1e-4)
    assert np.abs(whole - linear).max() > 0
    assert linear_part(graph(conv("x", "y", "w", 0), w=weight(1))) is None


def test_low_levels_leave_out_a_correction_only_where_it_is_small(photo):
    x, coder = np.ascontiguousarray(picture(96, 96).transpose(2, 0, 1))[None], photo.maps
    coarse = coder.latents(x, 200, (0, 0), quick=True)
    assert not np.array_equal(coarse, coder.latents(x, 200, (0, 0)))
    np.testing.assert_allclose(coarse, coder.latents(x, 200, (0, 0)), atol=0.5)
    fine = coder.latents(x, 1, (0, 0), quick=True)
    np.testing.assert_array_equal(fine, coder.latents(x, 1, (0, 0)))


def test_symbols_sorted_into_groups_in_ranges_come_back_in_order():
    rng = np.random.default_rng(0)
    for size, zeros in ((300_000, 0.1), (300_000, 0.9), (0, 0.0)):
        index = np.where(rng.random(size) < zeros, 0, rng.integers(3, 48, size)).astype(np.uint8)
        symbols = rng.integers(-9, 9, size).astype(np.int32) * (index > 0)
        with Workers(2) as workers:
            groups = [[], *sort_symbols(symbols, index, workers)[1:]]
            packed = encode_groups(groups, thorough=False, workers=workers)
            assert packed == encode_groups(groups, thorough=False)
            grouped = GroupedSymbols(Cursor(packed), size)
            np.testing.assert_array_equal(take_all(grouped, index, workers), symbols)
            grouped.end()


@pytest.mark.parametrize("shape", [(3, 17, 23), (4, 1, 40), (1, 8, 8), (5, 64, 33)])
@pytest.mark.parametrize("size", [100, 1 << 22])
def test_a_walk_by_positions_gives_what_the_walk_by_slices_does(monkeypatch, shape, size):
    layout = PhaseLayout(1, 0, 2, ("channel-1", "channel-2"), offsets=False)
    source = np.random.default_rng(1).integers(-size, size, (1, 1, *shape)).astype(np.int32)

    def walk():
        seen, values = [], np.zeros_like(source)
        values[base_grid(source.shape)] = source[base_grid(source.shape)]

        def predict(inputs, phase):
            seen.append((inputs.planes.copy(), inputs.middle.copy(), inputs.shift.copy(), phase.kind))
            return np.abs(inputs.planes[:, :2])

        def code(phase, mean, index, _):
            seen.append((mean.copy(), index.copy()))
            return np.rint((targets(source, phase) - mean) / 4).astype(np.int32)

        prediction.run_phases(values, layout, 4, predict, code)
        return [values, *(array for group in seen for array in group)]

    quick = walk()
    monkeypatch.setattr(plane_phases, "suits", lambda *_: False)
    for a, b in zip(quick, walk(), strict=True):
        np.testing.assert_array_equal(a, b)
