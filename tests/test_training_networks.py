"""Residual predictors through `aecodec.training.train`: bounds are kept, runs resume exactly, NaN is left out."""

import signal

import numpy as np
import pytest
from typed_usage import trained as typed

import aecodec
from aecodec.errors import UsageError
from aecodec.training import train


def fields(count=10, seed=0):
    noise = np.random.default_rng(seed).normal(size=(count, 2, 12, 16))
    return (noise.cumsum(0).cumsum(-1).cumsum(-2)).astype(np.float32)


def trained(x, **changes):
    return train(x, **{"axes": "tcyx", "max_error": 0.5, "width": 4, "depth": 1, "steps": 10, "progress": False, **changes})


def test_with_a_bound_a_predictor_is_trained_and_the_bound_is_kept():
    model = trained(fields())
    assert model.manifest.provenance["networks"] == ["predictor"]
    x = fields(8, seed=1)
    data = aecodec.compress(x, model, axes="tcyx", max_error=0.5, embed_model=False)
    restored = aecodec.decompress(data, model=model)
    assert np.abs(restored - x).max() <= 0.5
    assert np.array_equal(aecodec.decompress(data, model=aecodec.Model(model.bundle, "reference")), restored)


def test_typed_usage_runs():
    assert typed(fields()).manifest.provenance["predictor"]["steps"] == 4


def test_integers_without_a_fidelity_are_lossless_and_predicted():
    x = np.random.default_rng(0).normal(size=(1500, 2)).cumsum(0).astype(np.int16)
    model = train(x, axes="tc", width=4, depth=1, steps=8, progress=False)
    assert model.manifest.provenance["networks"] == ["predictor"]
    assert np.array_equal(aecodec.decompress(aecodec.compress(x, model, axes="tc")), x)


def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path):
    straight = trained(fields(), steps=12)
    stop = lambda shot: signal.raise_signal(signal.SIGINT) if shot.step == 5 else None  # noqa: E731
    half = trained(fields(), steps=12, checkpoint=tmp_path, progress=stop)
    assert half.manifest.provenance["predictor"]["ended"] == "interrupted"
    assert half.id != straight.id
    assert trained(fields(), steps=12, checkpoint=tmp_path).bundle.predictor == straight.bundle.predictor


def test_values_that_are_not_finite_are_left_out_if_asked():
    x = fields()
    x[3, 1, 4:6, 5:9] = np.nan
    with pytest.raises(UsageError, match=r"8 value\(s\) to train on are not finite"):
        trained(x)
    model = trained(x, missing="fill")
    data = aecodec.compress(x, model, axes="tcyx", max_error=0.5)
    restored = aecodec.decompress(data)
    assert np.array_equal(np.isnan(restored), np.isnan(x))
    assert np.nanmax(np.abs(restored - x)) <= 0.5


def test_both_networks_share_one_model():
    model = trained(fields(), networks=["predictor", "autoencoder"], width=8, tile=(1, 2, 4, 4))
    assert model.manifest.provenance["networks"] == ["autoencoder", "predictor"]
    assert model.manifest.prior is not None
    assert model.manifest.predictor is not None
    x = fields(6, seed=2)
    for fidelity in ({"max_error": 0.5}, {"psnr": 40}):
        restored = aecodec.decompress(aecodec.compress(x, model, axes="tcyx", **fidelity))
        assert np.abs(restored - x).max() <= 0.5 or "psnr" in fidelity


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_error": None, "networks": ["predictor"]}, "a predictor needs an error bound: give max_error"),
        ({"width": 0}, "width=0 must be 1 to 256"),
        ({"width": 300}, "width=300 must be 1 to 256"),
        ({"depth": 17}, "depth=17 1 to 16"),
        ({"batch_size": 64}, "predictors choose their batches themselves"),
    ],
)
def test_predictors_that_cannot_be_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        trained(fields(6), **changes)
