"""Estimators under scikit-learn's own checks, in pipelines and searches; latents as observations of a pixel environment."""

import numpy as np
import pytest
from test_tasks_features import shapes

import aecodec
from aecodec.errors import UsageError

pytest.importorskip("sklearn")
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from aecodec.integrations.sklearn import LatentDetector, LatentTransformer


@parametrize_with_checks(
    [LatentTransformer(n_components=1), LatentTransformer(), LatentDetector(), LatentDetector("reconstruction")]
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def mixed(count=300, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 3)) @ np.random.default_rng(1).normal(size=(3, 8)) + 0.01 * rng.normal(size=(count, 8))


def test_the_linear_transformer_is_principal_components_and_comes_back():
    x = mixed()
    ours = LatentTransformer(n_components=3).fit(x)
    scale = np.array(ours.model_.manifest.scale)
    theirs = PCA(3).fit(x / scale)
    np.testing.assert_allclose(np.abs(ours.transform(x)), np.abs(theirs.transform(x / scale)), rtol=1e-2, atol=1e-2)
    back = ours.inverse_transform(ours.transform(x))
    assert np.abs(back - x).max() < 0.1
    assert np.abs(LatentTransformer().fit(x).inverse_transform(LatentTransformer().fit_transform(x)) - x).max() < 1e-2
    assert list(ours.get_feature_names_out()) == ["latenttransformer0", "latenttransformer1", "latenttransformer2"]


def test_images_in_a_pipeline_under_a_grid_search():
    pictures, labels = shapes(300)
    x = pictures.reshape(300, -1).astype(float)
    pipe = make_pipeline(LatentTransformer(sample_shape=(16, 16), family="convolutional"), LogisticRegression(max_iter=500))
    search = GridSearchCV(pipe, {"latenttransformer__n_components": [2, 16]}, cv=2).fit(x, labels)
    assert search.best_params_ == {"latenttransformer__n_components": 16}
    assert search.best_score_ > 0.8
    transformer = search.best_estimator_[0]
    assert transformer.inverse_transform(transformer.transform(x)).shape == x.shape


def test_a_model_that_is_there_is_used_and_not_fitted():
    pictures, _ = shapes(100)
    model = aecodec.fit(pictures, axes="tyx", tile=(1, 1, 8, 8), reference=False)
    x = pictures.reshape(100, -1).astype(float)
    ours = LatentTransformer(model=model, sample_shape=(16, 16)).fit(x)
    assert ours.model_ is model
    assert ours.transform(x).shape == (100, 256)
    assert np.abs(ours.inverse_transform(ours.transform(x)) - x).max() < 1.0


def test_a_family_is_trained_where_torch_is():
    pytest.importorskip("torch")
    pictures, _ = shapes(32)
    x = pictures.reshape(32, -1).astype(np.float32)
    ours = LatentTransformer(4, family="denoising", sample_shape=(16, 16), time_budget="1s").fit(x)
    assert ours.model_.manifest.family == "denoising"
    assert ours.transform(x).shape == (32, 4)


def test_the_detector_finds_what_breaks_the_relation():
    x, spoiled = mixed(), mixed(20, seed=7)
    spoiled[:, 2] += 1.0
    detector = LatentDetector(contamination=0.02).fit(x)
    assert (detector.predict(x) == -1).mean() == pytest.approx(0.02, abs=0.01)
    assert (detector.predict(spoiled) == -1).mean() == 1.0
    np.testing.assert_allclose(detector.decision_function(x), detector.score_samples(x) - detector.offset_)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (LatentTransformer(family="dense"), "family='dense' is unknown; use linear, convolutional"),
        (LatentTransformer(n_components=0), "n_components=0 must be a whole number of 1 or more"),
        (LatentTransformer(n_components=9), "n_components=9 of a model with 8 latents"),
        (LatentTransformer(sample_shape=(3, 3)), r"sample_shape=\(3, 3\) has 9 values, X has 8 features"),
        (LatentTransformer(sample_shape=(1, 2, 2, 2)), "name the axes"),
        (LatentDetector(contamination=0.7), "contamination=0.7 must be"),
    ],
)
def test_what_cannot_be_done_is_said(estimator, message):
    with pytest.raises(UsageError, match=message):
        estimator.fit(mixed(30))


def test_latents_are_observations_of_a_pixel_environment():
    gymnasium = pytest.importorskip("gymnasium")
    pytest.importorskip("pygame")
    from gymnasium.wrappers import AddRenderObservation, TransformObservation
    from PIL import Image

    from aecodec.integrations.gymnasium import LatentObservation

    def small(frame):
        return np.asarray(Image.fromarray(frame).resize((36, 24), Image.Resampling.BOX))

    rendered = AddRenderObservation(gymnasium.make("CartPole-v1", render_mode="rgb_array"))
    pixels = TransformObservation(rendered, small, gymnasium.spaces.Box(0, 255, (24, 36, 3), np.uint8))
    rng = np.random.default_rng(0)
    frame, _ = pixels.reset(seed=0)
    frames, places = [], []
    for _ in range(120):
        frames.append(frame)
        places.append(pixels.unwrapped.state[0])
        frame, _, done, _, _ = pixels.step(int(rng.integers(2)))
        if done:
            frame, _ = pixels.reset(seed=int(rng.integers(1000)))
    model = aecodec.fit(np.stack(frames), axes="tyxc", tile=(1, 3, 8, 8), reference=False)
    env = LatentObservation(pixels, model, "yxc")
    seen, _ = env.reset(seed=1)
    assert seen in env.observation_space
    assert seen.shape == env.observation_space.shape
    assert seen.dtype == np.float32
    for _ in range(5):
        seen, _, done, _, _ = env.step(env.action_space.sample())
        assert seen in env.observation_space
        if done:
            break
    # What an agent needs is in them: a linear readout of the cart's place.
    y = np.stack([env.observation(f) for f in frames])
    y = y - y.mean(0)
    target = np.array(places) - np.mean(places)
    weight = np.linalg.solve(y[:90] @ y[:90].T + 1e-3 * np.eye(90) * np.trace(y[:90] @ y[:90].T) / 90, target[:90])
    assert np.corrcoef(y[90:] @ (y[:90].T @ weight), target[90:])[0, 1] > 0.8
    assert np.abs(env.reconstruct(frames[0]).astype(float) - frames[0]).max() < 30
    with pytest.raises(UsageError, match="none of them t"):
        LatentObservation(pixels, model, "tyx")
    with pytest.raises(UsageError, match="Discrete, a Box of pixels"):
        LatentObservation(gymnasium.make("FrozenLake-v1"), model, "yxc")
    with pytest.raises(UsageError, match="pool='tile' gives several rows"):
        LatentObservation(pixels, model, "yxc", "tile")
