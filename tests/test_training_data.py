"""Training data: every kind of source gives the same canonical samples; splits and crops; bad input is one clear error."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import aecodec
from aecodec.errors import AxesError, DtypeError, FormatError, UsageError
from aecodec.training.data import open_data
from aecodec.training.samples import Samples
from aecodec.training.sources import canonical_pieces, open_sources


def numbered(*shape, dtype="f4"):
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


def all_values(data):
    return np.sort(np.concatenate([piece.ravel() for piece in data.training.pieces + data.validation.pieces]))


@pytest.fixture
def field():
    return numbered(20, 2, 6, 7)


def as_npy(folder, x):
    np.save(folder / "x.npy", x)
    return folder / "x.npy"


def as_aecz(folder, x):
    with aecodec.open(folder / "x.aecz", "w", axes="tcyx") as f:
        for slab in np.array_split(x, 3):
            f.write(slab)
    return folder / "x.aecz"


def as_folder(folder, x):
    for i, part in enumerate(np.array_split(x, 2)):
        np.save(folder / f"{i}.npy", part)
    return folder


SOURCES = {
    "array": lambda folder, x: x,
    "memory map": lambda folder, x: np.load(as_npy(folder, x), mmap_mode="r"),
    ".npy": as_npy,
    ".aecz": as_aecz,
    "open reader": lambda folder, x: aecodec.open(as_aecz(folder, x)),
    "folder of .npy": as_folder,
    "list": lambda folder, x: [x[:5], x[5:]],
    "generator": lambda folder, x: (part for part in np.array_split(x, 4)),
    "names": lambda folder, x: [str(as_npy(folder, x))],
}


@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_gives_the_same_samples(tmp_path, field, kind):
    data = open_data(SOURCES[kind](tmp_path, field), "tcyx", window=(2, 3, 3))
    assert (data.channels, data.grid, data.dtype) == (2, (6, 7), np.float32)
    assert np.array_equal(all_values(data), np.sort(field.ravel()))
    flat = field.transpose(1, 0, 2, 3).reshape(2, -1).astype(np.float64)
    np.testing.assert_allclose(data.mean, flat.mean(1))
    np.testing.assert_allclose(data.spread, flat.std(1))
    assert data.low.tolist() == flat.min(1).tolist()
    assert data.high.tolist() == flat.max(1).tolist()


def test_zarr_arrays_are_read_by_slabs(tmp_path, field):
    zarr = pytest.importorskip("zarr")
    stored = zarr.create_array(tmp_path / "x.zarr", shape=field.shape, chunks=(4, 2, 6, 7), dtype="f4")
    stored[...] = field
    for source in (stored, tmp_path / "x.zarr"):
        data = open_data(source, "tcyx", window=(2, 3, 3))
        assert np.array_equal(all_values(data), np.sort(field.ravel()))
    zarr.create_group(tmp_path / "group.zarr").create_array("wind", shape=(3,), dtype="f4")
    with pytest.raises(UsageError, match="is a zarr group; name one of its arrays: wind"):
        open_data(tmp_path / "group.zarr", "t")


def test_images_of_many_sizes_are_held_out_by_whole_files(tmp_path):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for i in range(10):
        pixels = np.full((20 + i, 30 - i, 3), 10 * i, np.uint8)
        pixels[0, 0] = rng.integers(0, 255, 3)
        image.fromarray(pixels).save(tmp_path / f"{i}.png")
    data = open_data(tmp_path, window=(1, 16, 16), seed=3)
    assert (data.channels, data.dtype, data.grid, data.axes) == (3, np.uint8, None, "yxc")
    assert len(data.validation.pieces) == 1
    assert len(data.training.pieces) == 9
    assert data.training.crops(rng, 5, (1, 16, 16)).shape == (5, 1, 3, 16, 16)


def test_the_split_is_contiguous_disjoint_complete_and_fixed_by_the_seed():
    x = numbered(100, 1, 2, 2)
    places = set()
    for seed in range(20):
        data = open_data(x, "tcyx", window=(4, 2, 2), seed=seed)
        (held,) = data.validation.pieces
        assert len(held) == 10
        assert np.array_equal(held.ravel(), np.arange(held.ravel()[0], held.ravel()[0] + 40))
        assert np.array_equal(all_values(data), x.ravel())
        assert all(len(piece) >= 4 for piece in data.training.pieces)
        again = open_data(x, "tcyx", window=(4, 2, 2), seed=seed)
        assert np.array_equal(again.validation.pieces[0], held)
        places.add(float(held.ravel()[0]))
    assert len(places) > 5


def test_pictures_and_series_are_split_along_what_they_have():
    picture = open_data(numbered(50, 40), "yx", window=(1, 8, 8))
    assert picture.validation.pieces[0].shape == (1, 1, 8, 40)
    series = open_data(numbered(1000, 3), "tc", window=(32, 1, 1))
    assert series.validation.pieces[0].shape == (100, 3, 1, 1)
    profile = open_data(numbered(200), "x", window=(1, 1, 16))
    assert profile.validation.pieces[0].shape == (1, 1, 1, 20)


@given(
    st.tuples(st.integers(2, 12), st.integers(1, 3), st.integers(2, 9), st.integers(2, 9)),
    st.tuples(st.integers(1, 2), st.integers(1, 4), st.integers(1, 4)),
    st.integers(0, 5),
)
def test_crops_are_windows_of_the_pieces(shape, window, seed):
    window = tuple(min(w, n) for w, n in zip(window, (shape[0], *shape[2:]), strict=True))
    x = numbered(*shape)
    crops = Samples([x]).crops(np.random.default_rng(seed), 4, window)
    for crop in crops:
        t, _, y, x0 = np.unravel_index(int(crop[0, 0, 0, 0]), shape)
        assert np.array_equal(crop, x[t : t + window[0], :, y : y + window[1], x0 : x0 + window[2]])


def test_each_position_is_as_likely_as_any_other():
    small, large = numbered(1, 1, 1, 2), 100 + numbered(1, 1, 1, 8)
    crops = Samples([small, large]).crops(np.random.default_rng(0), 4000, (1, 1, 1))
    values, counts = np.unique(crops, return_counts=True)
    assert len(values) == 10
    assert 320 < counts.min() < counts.max() < 480


def test_flips_turn_rows_and_columns_half_of_the_time():
    x = numbered(1, 1, 2, 2)
    crops = Samples([x]).crops(np.random.default_rng(0), 400, (1, 2, 2), flips=True)
    seen, counts = np.unique(crops.reshape(400, 4), axis=0, return_counts=True)
    assert seen.tolist() == [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]]
    assert counts.min() > 60


def test_validation_windows_are_spread_and_do_not_overlap():
    windows = Samples([numbered(4, 1, 4, 6)]).spread((2, 2, 3), 5)
    assert windows.shape == (5, 2, 1, 2, 3)
    assert len(np.unique(windows)) == windows.size
    assert Samples([numbered(4, 1, 4, 6)]).spread((2, 2, 3), 100).shape[0] == 8


def test_a_memory_map_is_not_copied(tmp_path, field):
    data = open_data(as_npy(tmp_path, field), "tcyx")
    mapped = data.training.pieces[0]
    while mapped.base is not None and not isinstance(mapped, np.memmap):
        mapped = mapped.base
    assert isinstance(mapped, np.memmap) or type(mapped).__name__ == "mmap"


def test_what_must_be_read_stays_within_the_memory_given():
    slabs = [np.full((10, 1, 8, 8), i, np.float32) for i in range(50)]
    room = 10 * slabs[0].nbytes
    held = [[p.values for p in canonical_pieces(open_sources(iter(slabs), "tcyx"), seed, room)] for seed in (0, 0, 1)]
    for values in held:
        assert sum(v.nbytes for v in values) == room
        assert sum(len(v) for v in values) == 100
    means = [sorted(float(v.mean()) for v in values) for values in held]
    assert means[0] == means[1] != means[2]
    assert max(means[0]) > 20


def test_the_sample_is_uniform_over_the_stream():
    seen = np.zeros(20)
    for seed in range(300):
        slabs = (np.full((1, 1, 8, 8), i, np.float32) for i in range(20))
        for piece in canonical_pieces(open_sources(slabs, "tcyx"), seed, memory=5 * 256):
            seen[np.unique(piece.values).astype(int)] += 1
    assert seen.min() > 45
    assert seen.max() < 105


def test_complex_and_swapped_bytes_become_real_native_channels():
    x = numbered(20, 3, dtype="c8") * (1 + 2j)
    assert open_data(x, "tc").channels == 6
    swapped = open_data(numbered(20, 3, dtype=">i4"), "tc")
    assert swapped.dtype == np.dtype("int32")
    assert np.array_equal(all_values(swapped), np.arange(60))


def test_missing_values_are_refused_with_their_count_and_place_or_filled(field):
    field[3, 1, 2, 4] = np.nan
    field[5, 0, 0, 0] = np.inf
    message = r"2 value\(s\) to train on are not finite, the first at step 3, channel 1, row 2, column 4 of array; fill"
    with pytest.raises(UsageError, match=message):
        open_data(field, "tcyx")
    data = open_data(field, "tcyx", missing="fill")
    assert np.isfinite(data.mean).all()
    assert np.isfinite(data.training.crops(np.random.default_rng(0), 200, (2, 3, 3))).all()


def test_a_channel_without_any_value_is_refused(field):
    field[:, 1] = np.nan
    with pytest.raises(UsageError, match="channel 1 has no finite value at all"):
        open_data(field, "tcyx", missing="fill")


@pytest.mark.parametrize(
    ("data", "axes", "window", "message"),
    [
        ([], "tcyx", (1, 1, 1), "nothing to train on: the data are empty"),
        (np.zeros((0, 2, 3, 3)), "tcyx", (1, 1, 1), "nothing to train on: the data are empty"),
        (np.zeros((1, 2, 8, 8)), "tcyx", (1, 8, 8), "too little to train on: 1 sample"),
        (np.zeros((1, 2)), "tc", (1, 1, 1), "too little to train on: 1 sample"),
        (np.zeros((9, 2, 8, 8)), "tcyx", (1, 16, 8), "a tile of 1 step.s. of 16 x 8 rows and columns does not fit"),
        ([np.zeros((9, 2, 8, 8)), np.zeros((9, 2, 8, 9))], "tcyx", (1, 1, 1), "arrays differ in shape: array 1 has 8 x 9"),
        ([np.zeros((9, 2, 8, 8)), np.zeros((9, 3, 8, 8))], "tcyx", (1, 1, 1), r"array 1 has 3 channel\(s\), array 0 2"),
        ([np.zeros((9, 2)), np.zeros((9, 2), "f4")], "tc", (1, 1, 1), "array 1 is of float32, array 0 of float64"),
        (np.zeros((9, 2)), "tx", (1, 1, 3), "a tile of"),
        (7, "t", (1, 1, 1), "cannot train on int"),
    ],
)
def test_bad_data_are_one_clear_error(data, axes, window, message):
    with pytest.raises(UsageError, match=message):
        open_data(data, axes, window=window)


def test_bad_files_are_one_clear_error(tmp_path):
    cases = {
        "none.npy": (None, UsageError, "does not exist"),
        "x.txt": (b"words", UsageError, "cannot train on .*x.txt: give .npy, .aecz, images"),
        "bad.npy": (b"\x93NUMPYwrong", FormatError, "is not a sound .npy file"),
        "bad.png": (b"no image", FormatError, "is not an image that Pillow can read"),
    }
    for name, (content, kind, message) in cases.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(kind, match=message):
            open_data(tmp_path / name, "t")
    np.save(tmp_path / "objects.npy", np.array([{}, []], object))
    with pytest.raises(DtypeError, match="Python objects"):
        open_data(tmp_path / "objects.npy", "t")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"holds nothing to train on: no .npy, .aecz or images"):
        open_data(tmp_path / "empty")
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed" / "a.png").write_bytes(b"")
    np.save(tmp_path / "mixed" / "b.npy", np.zeros(3))
    with pytest.raises(UsageError, match=r"holds \.npy and images; give a folder of one kind"):
        open_data(tmp_path / "mixed")


def test_axes_are_asked_for_where_they_are_in_doubt_and_may_not_contradict_a_file(tmp_path, field):
    with pytest.raises(AxesError, match="cannot tell the axes"):
        open_data(field[:, 0])
    with pytest.raises(UsageError, match="has the axes 'tcyx', 'tzyx' were given"):
        open_data(as_aecz(tmp_path, field), "tzyx")


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 2.0])
def test_the_share_held_out_is_a_share(share, field):
    with pytest.raises(UsageError, match="must be a share between 0 and 1"):
        open_data(field, "tcyx", validation=share)


def test_the_fingerprint_is_that_of_the_content(tmp_path, field):
    same = open_data(field, "tcyx").fingerprint
    assert open_data(as_npy(tmp_path, field), "tcyx", seed=5).fingerprint == same
    field[4, 1, 3, 3] += 1
    assert open_data(field, "tcyx").fingerprint != same
