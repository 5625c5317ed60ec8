"""Models that only predict, for any number of channels and any spacing of the lattice; the second reader agrees with all of it."""

import dataclasses

import numpy as np
import pytest
from conftest import smooth_field, walk
from mode7_files import layout_of, predicted_file, random_network, random_weights
from test_predicted_reference import check

import aecodec
from aecodec.errors import ModelError
from aecodec.models.manifest import MAX_IN_ORDER, Manifest
from aecodec.models.predictor import predictor_graph
from aecodec.models.predictor_network import network_graph
from aecodec.models.predictor_only import predictor_only
from aecodec.phases import MAX_SPACING, PhaseLayout

FIELDS = PhaseLayout(2, 0, 2, ("before", "after", "channel-1", "zero"), True, 16)
SERIES = PhaseLayout(1, 0, 2, ("channel-1", "zero"), True, 16)


def model_of(layout, graph=None):
    """A model with random weights."""
    graph = predictor_graph(layout, random_weights(layout)) if graph is None else graph
    return aecodec.Model(predictor_only(layout, graph, "tcyx", "predictor", {}), "cpu")


@pytest.fixture(scope="module")
def model():
    return model_of(FIELDS)


@pytest.fixture(scope="module")
def network():
    return model_of(FIELDS, network_graph(FIELDS, random_network(FIELDS)))


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("which", ["model", "network"])
def test_real_numbers_of_any_number_of_channels(request, which, channels):
    array = smooth_field((3, channels, 9, 8), 1).astype("f4")
    check(array, "tcyx", request.getfixturevalue(which), 0.05)


@pytest.mark.parametrize("error", [0, 1, 2, 5, 7, 8, 40, 1000])
@pytest.mark.parametrize("which", ["model", "network"])
def test_whole_numbers_of_any_spacing(request, which, error):
    array = np.rint(smooth_field((3, 2, 9, 8), 2) * (3 + error)).astype("i4")
    check(array, "tcyx", request.getfixturevalue(which), error)


def test_wide_whole_numbers_are_shifted_either_way(model):
    array = smooth_field((2, 1, 17, 16), 3)
    array[:, :, :, 8:] *= 1e6
    check(np.rint(array).astype("i4"), "tcyx", model, 0)


def test_series_and_bytes(model):
    check(np.rint(np.stack([walk(90, seed) for seed in range(3)], 1) * 9).astype("i2"), "tc", model_of(SERIES), 0)
    check(np.clip(smooth_field((16, 22), 1) * 40 + 128, 0, 255).astype("u1"), "yx", model, 0)


def test_the_least_shift_brings_a_lattice_to_the_one_that_the_predictor_is_made_for():
    layout = layout_of()
    assert [layout.least_shift(spacing) for spacing in (1, 16, 999)] == [0, 0, 0]
    for power in range(21):
        made_for = dataclasses.replace(layout, spacing=1 << power)
        for spacing in (*range(1, 400), MAX_SPACING - 1, MAX_SPACING):
            assert made_for.least_shift(spacing) == np.floor(np.log2(spacing) - power + 0.5)


def test_the_manifest_says_it_and_keeps_it(model):
    record = model.manifest.to_json()
    assert record["any_channels"] is True
    assert record["predictor"]["spacing"] == 16
    assert Manifest.from_json(record) == model.manifest
    plain = dataclasses.replace(model.manifest, any_channels=False, predictor=layout_of()).to_json()
    assert "any_channels" not in plain  # ids of models before it stay what they were
    assert "spacing" not in plain["predictor"]


ANY = "invalid model manifest: any_channels needs one offset, tiles of one channel, and no reference field or prior"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"any_channels": 1}, "malformed model manifest: TypeError '1' is neither true nor false"),
        ({"offset": [0.0, 0.0], "scale": [1.0, 1.0]}, ANY),
        ({"tile": [1, 2, 1, 1]}, ANY),
        ({"reference": [1, 4, 4]}, ANY),
    ],
)
def test_manifests_that_cannot_serve_any_channels_are_refused(model, changes, message):
    with pytest.raises(ModelError) as caught:
        Manifest.from_json({**model.manifest.to_json(), **changes})
    assert str(caught.value) == message


@pytest.mark.parametrize("spacing", [-1, 3, 2 * MAX_SPACING])
def test_spacings_that_are_no_power_of_two_up_to_the_limit_are_refused(model, spacing):
    record = model.manifest.to_json()
    with pytest.raises(ModelError, match="predictor must have a reach"):
        Manifest.from_json({**record, "predictor": {**record["predictor"], "spacing": spacing}})


def test_more_channels_than_are_taken_in_order_are_refused(model):
    array = np.zeros((1, MAX_IN_ORDER + 1, 2, 2), "f4")
    with pytest.raises(ModelError) as caught:
        aecodec.compress(array, model, "tcyx", max_error=0.1)
    expected = f"the array has 1025 channel(s), the model {model.id[:12]} is for up to 1024; check axes=, or fit a model"
    assert str(caught.value) == expected


def test_latents_of_such_a_model_are_the_values(model):
    array = np.round(smooth_field((2, 3, 4, 5)), 1).astype("f4")
    y = model.encode(array, "tcyx")
    assert np.abs(model.decode(y, array.shape, "tcyx") - array).max() < 0.04


@pytest.mark.parametrize("fidelity", [{"max_error": 0.1}, {"psnr": 50}, {"quality": 60}, {"lossless": True}])
@pytest.mark.parametrize("level", [1, 5, 9])
def test_every_fidelity_is_kept_at_every_level(model, fidelity, level):
    array = smooth_field((4, 2, 16, 20), 5).astype("f4")
    options = {"value_range": (float(array.min()), float(array.max()))} if {"psnr", "quality"} & set(fidelity) else {}
    data = aecodec.compress(array, model, "tcyx", level=level, **fidelity, **options)
    worst = np.abs(aecodec.decompress(data) - array).max()
    assert worst <= fidelity.get("max_error", 0.0 if "lossless" in fidelity else np.inf)


def test_files_of_before_are_read_as_before(model):
    array = smooth_field((3, 1, 9, 8), 1).astype("f4")
    plain = model_of(dataclasses.replace(FIELDS, spacing=0))
    # Of real numbers the spacing is always that of the weights, so that nothing moves.
    bodies = [aecodec.decompress(predicted_file(array, "tcyx", each, 0.05)).tobytes() for each in (plain, model)]
    assert bodies[0] == bodies[1]
