import numpy as np
import pytest
import slices_reader
import torch
from map_models import STEPS, image_model, network, series_model, smooth

import aecodec
from aecodec.axes import parse_axes
from aecodec.canonical import ArraySpec
from aecodec.codec.chunk import ChunkCoder
from aecodec.codec.maps import from_map, from_tiles, in_tiles, to_map
from aecodec.codec.model import Model
from aecodec.errors import AecodecError, FormatError, ModelError
from aecodec.fidelity import fidelity_from_options
from aecodec.models.bundle import Bundle
from aecodec.models.manifest import Manifest
from aecodec.tiling import Tiling
from aecodec.training.autoencoder_export import freeze_unfrozen


@pytest.fixture(scope="module")
def photos() -> Model:
    return image_model()


def image(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.clip(np.rint(smooth((3, rows, columns), seed).transpose(1, 2, 0) + 128), 0, 255).astype(np.uint8)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255.0**2 / max(1e-9, np.mean((a.astype(float) - b) ** 2))))


@pytest.mark.parametrize("shape", [(40, 56), (37, 50), (4, 4), (1, 9), (33, 1)])
def test_an_image_of_any_size_comes_back_near_to_what_it_was(photos: Model, shape: tuple[int, int]) -> None:
    original = image(*shape)
    blob = aecodec.compress(original, model=photos, axes="yxc", quality=90, value_range=(0, 255))
    restored = aecodec.decompress(blob)
    assert restored.shape == original.shape
    assert restored.dtype == np.uint8
    assert psnr(original, restored) > 25


def test_the_reference_executor_gives_the_same_bits(photos: Model) -> None:
    original = image(24, 36)
    blob = aecodec.compress(original, model=photos, axes="yxc", quality=60, value_range=(0, 255))
    reference = Model(photos.bundle, "reference")
    np.testing.assert_array_equal(aecodec.decompress(blob, model=reference), aecodec.decompress(blob, model=photos))


def test_quality_and_psnr_steer_size_and_error(photos: Model) -> None:
    original = image(64, 64)
    options = {"model": photos, "axes": "yxc", "value_range": (0, 255), "embed_model": False}
    blobs = [aecodec.compress(original, quality=q, **options) for q in (10, 50, 90)]
    assert sorted(map(len, blobs)) == [len(blob) for blob in blobs]
    blob = aecodec.compress(original, psnr=30, **options)
    assert psnr(original, aecodec.decompress(blob, model=photos)) >= 30


def test_with_a_bound_every_value_is_within_it(photos: Model) -> None:
    original = image(48, 48)
    blob = aecodec.compress(original, model=photos, axes="yxc", max_error=3)
    assert np.abs(aecodec.decompress(blob).astype(int) - original).max() <= 3


def test_several_images_in_one_file_are_read_one_by_one(photos: Model) -> None:
    original = np.stack([image(20, 28, seed) for seed in range(3)])
    blob = aecodec.compress(original, model=photos, axes="tyxc", quality=80, value_range=(0, 255))
    restored = aecodec.decompress(blob)
    assert restored.shape == original.shape
    assert psnr(original, restored) > 25


def test_a_series_is_coded_in_maps_of_one_row() -> None:
    model = series_model()
    original = smooth((2, 1, 333))[:, 0].T.astype(np.float32)
    blob = aecodec.compress(original, model=model, axes="tc", max_error=0.5)
    np.testing.assert_allclose(aecodec.decompress(blob), original, rtol=0, atol=0.5)
    latents = model.encode(original, axes="tc")
    assert latents.shape == (42, 1, 1, 1, 16)
    assert np.corrcoef(model.decode(latents, original.shape, "tc").ravel(), original.ravel())[0, 1] > 0.5


def test_what_is_decoded_is_what_the_network_in_torch_makes() -> None:
    made = network((1, 3, 4, 4), (3, 9, 48), seed=3)
    freeze_unfrozen(made)
    model = image_model(seed=3)
    assert model.maps is not None
    known = np.random.default_rng(1).integers(-300, 300, (2, 48, 5, 7)).astype(np.float32)
    step = 100  # of latent units: 12.5 in units of the scale
    kind = STEPS.kind(torch.full((2,), step * model.manifest.latent_unit))
    assert model.maps.networks.prior.kind(step) == int(kind[0])
    with torch.no_grad():
        decoded = made.decode(torch.from_numpy(known / 16), kind).numpy()
        mean, index = made.priors[0](made.seen(torch.from_numpy(known[:, :3] / 16)), kind)
    np.testing.assert_allclose(model.maps.networks.decode(known, step) / 64, decoded, atol=2 / 64)
    found_mean, found_index = model.maps.networks.expect(1, known[:, :3], step)
    assert found_mean is not None
    np.testing.assert_array_equal(found_mean / 16, mean.numpy())
    np.testing.assert_array_equal(np.clip(found_index, 0, 31), index.numpy())


@pytest.mark.parametrize("shape", [(2, 3, 8, 12), (1, 3, 7, 9), (3, 3, 4, 4)])
def test_maps_and_tiles_go_both_ways(shape: tuple[int, int, int, int]) -> None:
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    tiling = Tiling(shape, (1, 3, 4, 4))
    made = to_map(array, tiling)
    np.testing.assert_array_equal(from_map(made, tiling), array)
    np.testing.assert_array_equal(from_tiles(in_tiles(made, shape), tiling), made)
    np.testing.assert_array_equal(in_tiles(made, shape), tiling.split(array).reshape(tiling.count, -1))


def test_a_series_of_tiles_goes_both_ways() -> None:
    array = np.arange(44, dtype=np.float32).reshape(22, 2, 1, 1)
    tiling = Tiling((22, 2, 1, 1), (8, 2, 1, 1))
    made = to_map(array, tiling)
    assert made.shape == (1, 16, 1, 3)
    np.testing.assert_array_equal(from_map(made, tiling), array)


def test_damaged_sections_are_refused_or_give_an_array(photos: Model) -> None:
    coder = ChunkCoder(np.dtype(np.uint8), fidelity_from_options(quality=50, value_range=(0, 255)), photos)
    body = coder.encode(np.ascontiguousarray(image(24, 24).transpose(2, 0, 1)[None]))
    rng = np.random.default_rng(0)
    for _ in range(150):
        broken = bytearray(body)
        broken[rng.integers(1, len(body))] ^= 1 << rng.integers(8)
        try:
            made = coder.decode(bytes(broken), (1, 3, 24, 24))
        except AecodecError:
            continue
        assert made.shape == (1, 3, 24, 24)


@pytest.mark.parametrize("axes", ["yxc", "tyxc", "tc"])
def test_a_reader_written_from_the_format_gives_the_same_bits(photos: Model, axes: str) -> None:
    if axes == "tc":
        model, original = series_model(), smooth((2, 1, 93))[:, 0].T.astype(np.float32)
        original[4, 1] = np.nan
    else:
        model, original = photos, np.stack([image(11, 22, seed) for seed in range(3)])
        original = original[0] if axes == "yxc" else original
    coder = ChunkCoder(original.dtype, fidelity_from_options(quality=70, value_range=(0, 255)), model)
    spec = ArraySpec(original.dtype, parse_axes(axes, original.ndim), original.shape)
    body = coder.encode(np.ascontiguousarray(spec.to_canonical(original)))
    bundle = model.bundle
    parts = {"decoder": bundle.decoder, **{f"prior-{k}": graph for k, graph in enumerate(bundle.priors)}}
    second = slices_reader.decode(body, spec.canonical_shape, original.dtype, bundle.manifest.to_json(), parts)
    np.testing.assert_array_equal(second, coder.decode(body, spec.canonical_shape))


@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (1, 3, 0, 8), (2, 3, 0, 0)])
def test_latents_of_no_values_are_refused(photos: Model, shape: tuple[int, int, int, int]) -> None:
    coder = ChunkCoder(np.dtype(np.uint8), fidelity_from_options(quality=50, value_range=(0, 255)), photos)
    body = coder.encode(np.ascontiguousarray(image(8, 8).transpose(2, 0, 1)[None]))
    with pytest.raises(FormatError, match="chunk has latents of slices, but no values: its map is"):
        coder.decode(body[:1] + b"\0" + body[2:], shape)


def test_a_model_file_keeps_its_priors(photos: Model) -> None:
    bundle = Bundle.from_bytes(photos.stored)
    assert bundle.id == photos.id
    assert bundle.priors == photos.bundle.priors
    assert bundle.manifest.prior == photos.manifest.prior


@pytest.mark.parametrize(
    "change",
    [
        {"ends": [3, 9, 47]},
        {"ends": [9, 3, 48]},
        {"kinds": [5, 5]},
        {"means": [True]},
        {"means": [1, 0]},
        {"layout": None},
    ],
)
def test_priors_that_make_no_sense_are_refused(photos: Model, change: dict[str, object]) -> None:
    record = photos.manifest.to_json()
    record["prior"] = {**record["prior"], **change}
    with pytest.raises(ModelError, match=r"manifest"):
        Manifest.from_json(record)


def test_a_prior_that_is_not_exact_is_refused(photos: Model) -> None:
    record = photos.manifest.to_json()
    record["latent_limit"] = (1 << 23) + 1
    priors = Bundle(Manifest.from_json(record), photos.bundle.decoder, photos.bundle.encoder, priors=photos.bundle.priors).sealed()
    with pytest.raises(ModelError, match="bits"):
        Model(priors)
