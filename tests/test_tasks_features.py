"""Features, neighbours, the convolutional closed form, and few labels with many samples without."""

import numpy as np
import pytest
from conftest import smooth_field

import aecodec
from aecodec.errors import AecodecError, OutputExistsError, UsageError
from aecodec.tasks import features, nearest
from aecodec.tasks.convolutional import fit_convolutional
from aecodec.tasks.features import save_features


def shapes(count, seed=0, side=16):
    """Small pictures of four kinds of things (bar, ring, cross, two dots) of varying place, size and brightness: uint8, labels."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    pictures, labels = np.zeros((count, side, side)), rng.integers(4, size=count)
    for picture, label in zip(pictures, labels, strict=True):
        r, c = rows - rng.uniform(5.5, 9.5), columns - rng.uniform(5.5, 9.5)
        size, width = rng.uniform(3, 5), rng.uniform(0.8, 1.4)
        bar = (np.abs(c) < width) & (np.abs(r) < size)
        ring = np.abs(np.hypot(r, c) - size) < width
        cross = bar | ((np.abs(r) < width) & (np.abs(c) < size))
        dots = (np.hypot(r - 3, c) < width + 1) | (np.hypot(r + 3, c) < width + 1)
        picture[...] = (bar, ring, cross, dots)[label] * rng.uniform(120, 250) + rng.normal(size=(side, side)) * 12
    return np.clip(pictures, 0, 255).astype(np.uint8), labels


@pytest.fixture(scope="module")
def convolutional():
    return fit_convolutional(shapes(1500)[0], "tyx", latents=24, provider="cpu")


def test_features_are_the_latents_by_sample_mean_or_tile(field, model):
    y = model.encode(field)  # (steps, channels, rows, columns, latents) of tiles
    steps, channels, rows, columns, latents = y.shape
    by_place = np.moveaxis(y, 1, 3).reshape(steps, rows * columns, channels * latents)
    np.testing.assert_array_equal(features(field, model), by_place.reshape(steps, -1))
    np.testing.assert_allclose(features(field, model, pool="mean"), by_place.mean(axis=1), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(features(field, model, pool="tile"), by_place.reshape(-1, channels * latents))


def test_files_and_arrays_give_the_same_table_written_piece_by_piece(field, model, tmp_path):
    path = tmp_path / "x.aecz"
    with aecodec.open(path, "w", model=model, axes="tcyx", lossless=True) as f:
        for slab in np.array_split(field, 5):
            f.write(slab)
    shape = save_features(path, model, tmp_path / "y.npy", pool="mean")
    y = np.load(tmp_path / "y.npy")
    assert y.shape == shape
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, features(field, model, pool="mean"))
    with pytest.raises(OutputExistsError, match=r"y\.npy exists"):
        save_features(path, model, tmp_path / "y.npy")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.aecz", "y.npy"]


def test_neighbours_over_an_archive_are_the_exact_ones(convolutional, tmp_path):
    pictures, labels = shapes(900, seed=3)
    queries, wanted = shapes(30, seed=4)
    path = tmp_path / "archive.aecz"
    with aecodec.open(path, "w", model=convolutional, axes="tyx", lossless=True) as f:
        for slab in np.array_split(pictures, 6):
            f.write(slab)
    a, q = (features(x, convolutional, "tyx").astype(float) for x in (pictures, queries))
    for metric in ("euclidean", "cosine"):
        found, distances = nearest(queries, path, convolutional, 7, metric=metric, axes="tyx")
        if metric == "cosine":
            full = 1 - (q / np.linalg.norm(q, axis=1)[:, None]) @ (a / np.linalg.norm(a, axis=1)[:, None]).T
        else:
            full = np.linalg.norm(q[:, None] - a[None], axis=2)
        np.testing.assert_array_equal(found, np.argsort(full, axis=1)[:, :7])
        np.testing.assert_allclose(distances, np.sort(full, axis=1)[:, :7], rtol=1e-4, atol=1e-5)
        assert (labels[found[:, 0]] == wanted).mean() > 0.8  # and they are alike
    with pytest.raises(UsageError, match="metric='l1' is unknown"):
        nearest(queries, path, convolutional, metric="l1")
    with pytest.raises(UsageError, match="k=901 neighbours are wanted of an archive of 900"):
        nearest(queries, path, convolutional, 901, axes="tyx")


def test_few_labels_with_many_samples_without(convolutional):
    linear_model = pytest.importorskip("sklearn.linear_model")
    decomposition = pytest.importorskip("sklearn.decomposition")
    unlabelled, _ = shapes(1500)
    train, labels = shapes(40, seed=10)
    test, expected = shapes(800, seed=11)

    def accuracy(encode):
        x, held = encode(train), encode(test)
        return linear_model.LogisticRegression(max_iter=2000).fit(x / x.std(), labels).score(held / x.std(), expected)

    components = decomposition.PCA(24).fit(unlabelled.reshape(1500, -1))
    plain = accuracy(lambda x: components.transform(x.reshape(len(x), -1)))
    ours = accuracy(lambda x: features(x, convolutional, "tyx"))
    assert ours > plain + 0.02


def test_the_convolutional_model_is_a_model_like_others(convolutional, tmp_path):
    pictures, _ = shapes(60, seed=5)
    convolutional.save(tmp_path / "m.aecm")
    again = aecodec.load_model(tmp_path / "m.aecm", "reference")
    assert again.id == convolutional.id
    np.testing.assert_allclose(again.encode(pictures, "tyx"), convolutional.encode(pictures, "tyx"), rtol=1e-3, atol=1e-3)
    y = convolutional.encode(pictures, "tyx")
    decoded = convolutional.decode(y, shape=pictures.shape, axes="tyx")
    np.testing.assert_array_equal(again.decode(y, shape=pictures.shape, axes="tyx"), decoded)  # exact: the same bits
    flat = np.sqrt(np.square(pictures - pictures.mean(axis=0)).mean())
    assert np.sqrt(np.square(decoded - pictures).mean()) < 0.9 * flat
    data = aecodec.compress(pictures, convolutional, axes="tyx", max_error=10)
    assert np.abs(aecodec.decompress(data).astype(int) - pictures).max() <= 10


def test_colour_and_odd_sizes_are_images_too():
    colour = np.random.default_rng(0).integers(0, 255, (30, 19, 13, 3), dtype=np.uint8)
    model = fit_convolutional(colour, "tyxc", latents=5)
    assert features(colour, model, "tyxc").shape == (30, 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: features(np.zeros((3, 16, 16), np.uint8), m, "tyx", "max"), "pool='max' is unknown"),
        (lambda m: features(np.zeros((16, 16), np.uint8), m, "yx"), "is one sample; use pool='tile'"),
        (lambda m: save_features(np.zeros((3, 16, 16), np.uint8), m, "y.csv", "tyx"), "written as .npy"),
        (lambda m: fit_convolutional(np.zeros((9, 4, 4), np.uint8), "tyx"), "needs 2 images or more, of 8 x 8"),
        (lambda m: fit_convolutional(np.zeros((9, 16, 16), np.uint8), "tyx", latents=9), "fewer than the 9 samples"),
        (lambda m: fit_convolutional(np.zeros((9, 16, 16), np.uint8), "tyx", latents=4), "images are flat"),
        (lambda m: fit_convolutional(shapes(2000)[0], "tyx", latents=1900), "latents=1900: images of 16 x 16 give"),
    ],
)
def test_what_cannot_be_done_is_said(call, message, convolutional):
    with pytest.raises(AecodecError, match=message):
        call(convolutional)


def test_a_field_longer_than_a_piece_is_the_sum_of_its_pieces(model):
    long = smooth_field((600, 2, 32, 40))
    together = features(long, model, pool="mean")
    apart = np.concatenate([features(part, model, pool="mean") for part in np.split(long, 10)])
    np.testing.assert_allclose(together, apart, rtol=1e-4, atol=1e-5)
