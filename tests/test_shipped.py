"""Models that are taken though nobody named them: what manifests say of it, when they are chosen, and when something else is."""

import dataclasses
import io

import numpy as np
import onnx
import pytest
from conftest import smooth_field
from mode7_files import drifting

import aecodec
from aecodec.api import autofit
from aecodec.api.options import make_options
from aecodec.api.trial import Trial
from aecodec.axes import parse_axes
from aecodec.canonical import ArraySpec
from aecodec.errors import LimitError, ModelError
from aecodec.models import registry
from aecodec.models.manifest import Manifest
from aecodec.models.predictor_only import predictor_only
from aecodec.models.suits import Suits

WIND = Suits(("float32",), ("tcyx", "cyx"), ("max_error", "psnr"))
PICTURE = Suits(("uint8",), ("yxc",), ("quality", "lossless"))


def suited(model, suits):
    """The same model with `suits` in its manifest."""
    return changed(model, suits=suits)


def changed(model, **fields):
    """The same model with other fields in its manifest."""
    manifest = dataclasses.replace(model.manifest, **fields)
    return aecodec.Model(dataclasses.replace(model.bundle, manifest=manifest).sealed(), "cpu")


@pytest.fixture
def shipping(tmp_path, monkeypatch):
    """A directory that the registry takes for the one that ships; the function puts a model there."""
    monkeypatch.setattr(registry, "SHIPPED", tmp_path)

    def ship(name, model):
        model.save(tmp_path / f"{name}.aecm")
        return model

    return ship


def waves(steps, seed, slant=0.3):
    """Two channels of 32 x 40, float32, mixed at random of four waves, which a model can know and a neighbour cannot tell."""
    rows, columns = np.mgrid[:32, :40]
    patterns = [np.sin(rows * (0.9 + slant * k) + columns * (1.1 - 0.2 * k)) for k in range(4)]
    mix = np.random.default_rng(seed).normal(size=(steps, 2, 4))
    return np.einsum("tck,kyx->tcyx", mix, patterns).astype(np.float32)


@pytest.fixture(scope="module")
def wind():
    """A model of many steps of such waves, so that a few more of them are small with it."""
    return suited(aecodec.fit(waves(96, 0), axes="tcyx", max_error=0.01, reference=False, provider="cpu"), WIND)


def coloured(rows, columns, seed):
    """Three channels that mostly go together, smooth, uint8."""
    light = smooth_field((1, rows, columns), seed)[0]
    tint = smooth_field((3, rows, columns), seed + 100) * 0.2
    return np.clip(np.moveaxis(light + tint, 0, -1) * 5 + 128, 0, 255).astype(np.uint8)


def forgetful(model, kept):
    """The same model with an encoder that sets all but the first latents to 0."""
    encoder = onnx.load_model_from_string(model.bundle.encoder)
    encoder.graph.node[-1].output[0] = "all"
    mask = (np.arange(model.manifest.latents) < kept).astype(np.float32)
    encoder.graph.initializer.append(onnx.numpy_helper.from_array(mask, "mask"))
    encoder.graph.node.append(onnx.helper.make_node("Mul", ["all", "mask"], [encoder.graph.output[0].name]))
    return aecodec.Model(dataclasses.replace(model.bundle, encoder=encoder.SerializeToString()).sealed(), "cpu")


@pytest.fixture(scope="module")
def painted():
    """A model of such pictures, in tiles of 8 x 8."""
    sample = np.concatenate([coloured(128, 256, seed) for seed in range(3)])
    return suited(aecodec.fit(sample, axes="yxc", tile=(1, 3, 8, 8), provider="cpu"), PICTURE)


def model_of(data):
    """The id in a file's header."""
    with aecodec.open(io.BytesIO(data)) as file:
        return file.header.model_id


GOOD = {"dtypes": ["uint8"], "axes": ["yxc", "tyxc"], "fidelity": ["quality"]}


@pytest.mark.parametrize(
    ("suits", "message"),
    [
        (None, "malformed model manifest: TypeError suits 'None' is no object"),
        ([], "malformed model manifest: TypeError suits '[]' is no object"),
        ({}, "malformed model manifest: KeyError 'dtypes'"),
        ({**GOOD, "dtypes": "uint8"}, "malformed model manifest: TypeError suits: dtypes must be a list of 1 to 16 texts"),
        ({**GOOD, "axes": []}, "malformed model manifest: TypeError suits: axes must be a list of 1 to 16 texts"),
        ({**GOOD, "axes": ["t"] * 17}, "malformed model manifest: TypeError suits: axes must be a list of 1 to 16 texts"),
        ({**GOOD, "axes": [3]}, "malformed model manifest: TypeError suits: '3' among its axes is no text of at most 32"),
        ({**GOOD, "axes": ["c" * 33]}, f"malformed model manifest: TypeError suits: '{'c' * 33}' among its axes is no text"),
        ({**GOOD, "axes": ["yxq"]}, "malformed model manifest: AxesError axes='yxq' has unknown letter(s) q"),
        ({**GOOD, "axes": ["yy"]}, "malformed model manifest: AxesError axes='yy' repeats y"),
        ({**GOOD, "axes": ["yxc", "yxc"]}, "malformed model manifest: ValueError suits: its axes are not distinct"),
        ({**GOOD, "dtypes": ["u1"]}, "malformed model manifest: ValueError suits: 'u1' is none of the dtypes bool, int8"),
        ({**GOOD, "fidelity": ["size"]}, "malformed model manifest: ValueError suits: 'size' is none of the fidelity max_error"),
    ],
)
def test_what_a_model_cannot_suit_is_refused(model, suits, message):
    with pytest.raises(ModelError) as caught:
        Manifest.from_json({**model.manifest.to_json(), "suits": suits})
    assert str(caught.value).startswith(message)


def test_a_model_suits_what_all_its_lists_name():
    suits = Suits.from_json(GOOD)
    assert suits.to_json() == GOOD
    assert suits.holds(np.dtype("u1"), "tyxc", "quality")
    assert not suits.holds(np.dtype("u2"), "tyxc", "quality")
    assert not suits.holds(np.dtype("u1"), "yx", "quality")
    assert not suits.holds(np.dtype("u1"), "yxc", "psnr")
    assert WIND.holds(np.dtype(">f4"), "cyx", "psnr")


def test_keys_of_a_later_version_keep_a_model_from_being_taken_but_not_from_decoding(model):
    manifest = Manifest.from_json({**model.manifest.to_json(), "suits": {**GOOD, "least_rows": 16}})
    assert not manifest.suits.holds(np.dtype("u1"), "yxc", "quality")
    assert manifest.to_json()["suits"] == {**GOOD, "least_rows": 16}
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_a_model_that_suits_nothing_keeps_its_id(model):
    assert "suits" not in model.manifest.to_json()
    assert suited(model, WIND).id != suited(model, None).id == model.id


def test_a_shipped_model_is_taken_where_it_makes_a_file_smaller_and_is_not_embedded(shipping, wind):
    x = waves(8, 9)
    before = aecodec.compress(x, axes="tcyx", max_error=0.01)
    shipping("wind", wind)
    data = aecodec.compress(x, axes="tcyx", max_error=0.01)
    assert model_of(data) == wind.id
    assert data == aecodec.compress(x, wind, "tcyx", max_error=0.01, embed_model=False)
    assert len(data) < len(before)
    assert np.abs(aecodec.decompress(data) - x).max() <= 0.01
    embedded = aecodec.compress(x, "wind", "tcyx", max_error=0.01, embed_model=True)
    assert len(embedded) - len(data) == pytest.approx(len(wind.stored), abs=64)


def test_streams_and_files_take_it_too(shipping, wind, tmp_path):
    shipping("wind", wind)
    x = waves(8, 9)
    with aecodec.open(tmp_path / "a.aecz", "w", axes="tcyx", max_error=0.01) as file:
        file.write(x[:5])
        file.write(x[5:])
    with aecodec.open(tmp_path / "a.aecz") as file:
        assert file.header.model_id == wind.id
        assert np.abs(file[:] - x).max() <= 0.01
    compressor = aecodec.Compressor(axes="tcyx", max_error=0.01)
    assert model_of(compressor.compress(x) + compressor.flush()) == wind.id


@pytest.mark.parametrize(
    "options",
    [
        {"axes": "tcyx", "max_range_error": 0.01},  # a fidelity that it does not list
        {"axes": "tcyx", "max_error": 0.01, "model": False},
        {"axes": "tcyx", "max_error": 0.01, "level": 1},
        {"axes": "tzyx", "max_error": 0.01},
    ],
)
def test_it_is_left_where_it_does_not_suit_or_was_not_wanted(shipping, wind, options):
    shipping("wind", wind)
    assert model_of(aecodec.compress(waves(8, 9), **options)) != wind.id


def test_it_is_left_for_other_channels_and_dtypes(shipping, wind):
    shipping("wind", wind)
    for x in (smooth_field((8, 3, 32, 40), 9), waves(8, 9).astype(float)):
        assert model_of(aecodec.compress(x, axes="tcyx", max_error=0.01)) != wind.id


def test_fitting_on_the_input_wins_where_that_is_smaller(shipping, wind):
    shipping("wind", wind)
    x = waves(96, 1, slant=0.7)
    data = aecodec.compress(x, axes="tcyx", max_error=1e-3)
    found = model_of(data)
    assert found is not None
    assert found != wind.id
    assert len(data) < len(aecodec.compress(x, wind, "tcyx", max_error=1e-3, embed_model=False))


def test_no_model_wins_where_none_helps(shipping, wind):
    shipping("wind", wind)
    noise = np.random.default_rng(0).uniform(-1, 1, (4, 2, 32, 40)).astype(np.float32)
    data = aecodec.compress(noise, axes="tcyx", max_error=0.3)
    assert len(data) <= len(aecodec.compress(noise, "wind", "tcyx", max_error=0.3, embed_model=False))


def test_far_ahead_of_no_model_nothing_is_fitted(shipping, painted, monkeypatch):
    shipping("painted", painted)
    x = coloured(96, 256, 7)

    def refuse(*_arguments, **_options):
        raise AssertionError("a model was fitted")

    monkeypatch.setattr(autofit, "fit_linear", refuse)
    data = aecodec.compress(x, quality=50)
    assert model_of(data) == painted.id
    monkeypatch.setattr(autofit, "_AHEAD", 0.0)
    with pytest.raises(AssertionError, match="a model was fitted"):
        aecodec.compress(x, quality=50)


@pytest.mark.parametrize(
    ("axes", "shape", "sample", "origin"),
    [
        ("tcyx", (6, 2, 32, 40), (6, 2, 32, 40), (0, 0)),
        ("tcyx", (600, 2, 32, 40), (102, 2, 32, 40), (0, 0)),
        ("yxc", (700, 900, 3), (1, 3, 64, 900), (318, 0)),
        ("yx", (2, 900_000), (1, 1, 2, 131_072), (0, 384_464)),
        ("tc", (900_000, 2), (131_072, 2, 1, 1), (0, 0)),
    ],
)
def test_a_trial_codes_the_middle_of_an_array(axes, shape, sample, origin):
    x = np.zeros(shape, np.float32)
    spec = ArraySpec(x.dtype, parse_axes(axes, x.ndim), shape)
    options = make_options(None, axes, 5, None, "cpu", 1, None, {"max_error": 0.1})
    trial = Trial.of([spec.to_canonical(x)], spec, options, x.size)
    assert trial.sample.shape == sample
    assert trial.origin == origin
    assert trial.cost(None) == pytest.approx(5 * x.size / trial.sample.size)  # a constant: its mode, and one value


def test_a_quality_is_compared_at_equal_distortion(shipping, painted):
    """A model that forgets most latents makes smaller files, and bad ones: it is not taken for that."""
    coarse = forgetful(painted, kept=2)
    x = coloured(96, 256, 7)
    files = [aecodec.compress(x, model, "yxc", quality=50, embed_model=False) for model in (coarse, painted)]
    decoded = [aecodec.decompress(files[0], model=coarse), aecodec.decompress(files[1], model=painted)]
    errors = [np.square(y - x.astype(float)).mean() for y in decoded]
    assert len(files[0]) < len(files[1])
    assert errors[0] > 4 * errors[1]
    shipping("painted", painted)
    shipping("worse", coarse)
    assert model_of(aecodec.compress(x, quality=50)) == painted.id


def test_a_shipped_model_may_serve_lossless_arrays(shipping, painted):
    shipping("painted", painted)
    x = coloured(96, 256, 7)
    data = aecodec.compress(x)
    assert np.array_equal(aecodec.decompress(data), x)
    assert len(data) <= len(aecodec.compress(x, False))


def test_a_damaged_shipped_model_is_passed_over(shipping, wind, tmp_path):
    shipping("wind", wind)
    stored = bytearray((tmp_path / "wind.aecm").read_bytes())
    stored[-9] ^= 1
    (tmp_path / "wind.aecm").write_bytes(stored)
    (tmp_path / "other.aecm").write_bytes(b"not a model")
    x = waves(8, 9)
    assert model_of(aecodec.compress(x, axes="tcyx", max_error=0.01)) != wind.id


@pytest.mark.parametrize("limits", [aecodec.Limits(graph_nodes=2), aecodec.Limits(graph_elements=80_000)])
def test_a_shipped_model_beyond_the_callers_limits_is_passed_over(shipping, wind, limits):
    """Once it is loaded, or only once it is run."""
    shipping("wind", wind)
    x = waves(8, 9)
    with pytest.raises(LimitError):
        aecodec.compress(x, "wind", "tcyx", max_error=0.01, limits=limits)
    data = aecodec.compress(x, axes="tcyx", max_error=0.01, limits=limits)
    assert model_of(data) != wind.id


def test_only_manifests_are_read_of_models_that_do_not_suit(shipping, wind, tmp_path):
    """What follows the manifest may be anything."""
    shipping("wind", wind)
    length = len(wind.stored)
    (tmp_path / "wind.aecm").write_bytes(wind.stored[: length // 2])
    assert [manifest.id for manifest in registry.shipped().values()] == [wind.id]
    assert registry.is_shipped(wind.id)
    assert not registry.is_shipped("0" * 64)
    with pytest.raises(ModelError, match="no model 'gale'"):
        registry.find_by_id(wind.id) or registry.load_bundle("gale")


def test_models_that_are_put_there_later_are_seen(shipping, wind, painted):
    shipping("wind", wind)
    assert len(registry.shipped()) == 1
    shipping("painted", painted)
    assert {manifest.id for manifest in registry.shipped().values()} == {wind.id, painted.id}


def test_a_package_without_a_directory_ships_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(registry, "SHIPPED", tmp_path / "archive.zip" / "models")
    assert registry.shipped() == {}


def test_the_command_says_what_each_model_suits(wind, model, tmp_path, monkeypatch, capsys):
    from aecodec.cli.models import list_models, show_model

    monkeypatch.setenv("AECODEC_MODELS", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    wind.save(tmp_path / "wind.aecm")
    model.save(tmp_path / "named.aecm")
    list_models()
    printed = capsys.readouterr().out
    assert "float32, axes tcyx/cyx, max_error/psnr" in printed
    assert "only by name" in printed
    show_model(wind.bundle, as_json=False)
    assert "float32, axes tcyx/cyx, max_error/psnr" in capsys.readouterr().out


@pytest.fixture(scope="module")
def field_model():
    """A predictor alone, made of what was fitted to drifting fields of one channel."""
    fitted = aecodec.fit(drifting((24, 1, 32, 40), 3), axes="tcyx", max_error=0.5, provider="cpu", reference=False)
    layout = dataclasses.replace(fitted.manifest.predictor, spacing=16)
    bundle = predictor_only(layout, fitted.bundle.predictor, "tyx", "predictor", {})
    return suited(aecodec.Model(bundle, "cpu"), Suits(("float32", "float64"), ("tyx", "tcyx"), ("max_error", "max_range_error")))


@pytest.mark.parametrize(("channels", "dtype", "unit"), [(1, "f4", 1.0), (3, "f4", 1.0), (5, "f8", 1e-7)])
def test_a_model_that_only_predicts_is_taken_whatever_the_channels_and_units(shipping, field_model, channels, dtype, unit):
    shipping("field", field_model)
    x = (unit * drifting((6, channels, 32, 40), 8)).astype(dtype)
    data = aecodec.compress(x, axes="tcyx", max_error=0.5 * unit)
    assert model_of(data) == field_model.id
    assert len(data) < len(aecodec.compress(x, False, "tcyx", max_error=0.5 * unit))
    assert np.abs(aecodec.decompress(data) - x).max() <= 0.5 * unit


def test_a_model_that_only_predicts_is_left_where_there_is_no_time_for_it(shipping, field_model, monkeypatch):
    shipping("field", field_model)
    x = drifting((6, 1, 32, 40), 8).astype("f4")
    assert model_of(aecodec.compress(x, axes="tcyx", max_error=0.5, level=3)) != field_model.id
    monkeypatch.setattr(autofit, "_QUICK", 1000)
    assert model_of(aecodec.compress(x, axes="tcyx", max_error=0.5)) != field_model.id
    assert model_of(aecodec.compress(x, axes="tcyx", max_error=0.5, level=9)) == field_model.id
