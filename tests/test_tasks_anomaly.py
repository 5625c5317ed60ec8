"""Anomalies: scores, thresholds, attribution, changepoints, from arrays, files and the bits that files spend."""

import csv
import io
import json
import tracemalloc

import numpy as np
import pytest
from conftest import smooth_field

import aecodec
from aecodec.errors import AecodecError, ModelError, OutputExistsError, UsageError
from aecodec.tasks import AnomalyDetector, WindowDetector, changepoints, chunk_rates, pot_threshold, quantile_threshold, stored_bits
from aecodec.tasks.smoothing import smooth
from aecodec.tasks.stored_rates import geometric_bits, stored_scores

WHERE = slice(420, 450)
KINDS = ("reconstruction", "latent", "rate")


def series(count=600, seed=0):
    """Five channels that hang together by two sources."""
    rng = np.random.default_rng(seed)
    sources = rng.normal(size=(count, 2))
    mixing = np.random.default_rng(99).normal(size=(2, 5))
    return (sources @ mixing + 0.05 * rng.normal(size=(count, 5)) + 3.0).astype(np.float32)


@pytest.fixture(scope="module")
def series_model():
    return aecodec.fit(series(), axes="tc", tile=(1, 5, 1, 1), reference=False, provider="cpu")


@pytest.fixture(scope="module")
def spoiled():
    x = series(seed=1)
    x[WHERE, 3] += 1.5  # within the channel's own range, but not where the others put it
    return x


@pytest.mark.parametrize("kind", KINDS)
def test_what_breaks_the_relation_of_channels_is_found_and_blamed(kind, series_model, spoiled):
    found = AnomalyDetector(series_model, kind, keep=2 if kind != "latent" else None).fit(series(seed=2)).score(spoiled)
    flags = found.flags
    assert flags[WHERE].mean() > 0.9
    assert flags[: WHERE.start].mean() < 0.02
    event = max(found.events(gap=2), key=lambda e: e.stop - e.start)
    assert (event.start, event.stop) == (WHERE.start, WHERE.stop)
    assert event.channels[0][0] == 3
    assert 0 < event.channels[0][1] <= 1


def test_distances_are_about_one_for_normal_data(series_model):
    for kind in ("reconstruction", "latent"):
        scores = AnomalyDetector(series_model, kind).fit(series(3000)).score(series(3000, seed=5)).scores
        assert np.sqrt(np.mean(np.square(scores))) == pytest.approx(1.0, abs=0.15)


def test_the_latent_distance_is_mahalanobis(series_model):
    x = series(400)
    scores = AnomalyDetector(series_model, "latent").fit(x).score(x).scores
    y = series_model.encode(x, "tc").reshape(400, 5).astype(float)
    centred = y - y.mean(0)
    exact = np.sqrt(np.einsum("ni,ij,nj->n", centred, np.linalg.inv(np.cov(y.T, bias=True)), centred) / 5)
    assert np.corrcoef(scores, exact)[0, 1] > 0.995  # shrinkage of the covariance is what differs


def test_bits_grow_with_what_is_less_likely(series_model):
    detector = AnomalyDetector(series_model, "rate", keep=2).fit(series())
    near, far = (detector.score(series() + np.float32(shift)).scores.mean() for shift in (0.1, 1.0))
    assert near < far


def small_change():
    """Noise in which one channel is higher for a while, but within the noise, and later another is noisier."""
    x = np.random.default_rng(3).normal(size=(1500, 5)).astype(np.float32)
    x[600:800, 1] += 1.5
    x[1000:1200, 4] *= 2.5
    return x


@pytest.fixture(scope="module")
def noise_model():
    return aecodec.fit(
        np.random.default_rng(4).normal(size=(900, 5)).astype(np.float32), axes="tc", tile=(1, 5, 1, 1), reference=False
    )


def test_windows_see_lasting_changes_that_steps_do_not(noise_model):
    normal = np.random.default_rng(5).normal(size=(900, 5)).astype(np.float32)
    detector = WindowDetector(noise_model).fit(normal)
    found = detector.score(small_change())
    inside = np.concatenate([np.arange(620, 780), np.arange(1020, 1180)])
    assert found.flags[inside].mean() > 0.95
    assert found.flags[:540].mean() == found.flags[1260:].mean() == 0
    assert (found.worst[620:780, 0] == 1).mean() > 0.9
    assert (found.worst[1020:1180, 0] == 4).mean() > 0.9
    steps = AnomalyDetector(noise_model, keep=0, window=60, smoothing="least").fit(normal, calibrate=False)
    steps.calibrate(normal, factor=4 / 3)
    assert steps.score(small_change()).flags[inside].mean() < 0.3
    assert found.kind == "windows"
    assert len(found.changepoints()) <= 12


def test_scores_of_windows_are_about_one_for_normal_data_and_a_step_has_the_least_of_its_own(noise_model):
    detector = WindowDetector(noise_model, window=30).fit(np.random.default_rng(6).normal(size=(4000, 5)).astype(np.float32))
    x = np.random.default_rng(7).normal(size=(4000, 5)).astype(np.float32)
    windows, steps = detector.window_scores(x), detector.score(x).scores
    assert np.sqrt(np.square(windows).mean()) == pytest.approx(1.0, abs=0.1)
    assert (windows.shape, steps.shape) == ((3971,), (4000,))
    assert steps[100] == windows[71:101].min()
    assert (steps[0], steps[-1]) == (windows[0], windows[-1])


def test_windows_of_fields_and_of_tiles_of_several_steps(field):
    deep = aecodec.fit(field, axes="tcyx", max_error=0.05, tile=(2, 2, 8, 8), reference=False, provider="cpu")
    long = np.concatenate([field] * 3)
    x = long[:41].copy()
    x[20:36, 1] += 30
    found = WindowDetector(deep, window=6).fit(long).score(x)
    assert found.scores.shape == (41,)
    assert found.flags[22:34].all()
    assert found.worst[28, 0] == 1


def test_files_give_the_scores_of_what_they_decode_to(series_model, spoiled, tmp_path):
    path = tmp_path / "x.aecz"
    with aecodec.open(path, "w", model=series_model, axes="tc", max_error=1e-3) as f:
        for slab in np.array_split(spoiled, 7):
            f.write(slab)
    detector = AnomalyDetector(series_model, keep=2).fit(series())
    whole = detector.score(np.asarray(aecodec.open(path)))
    by_path = detector.score(path)
    with aecodec.open(path) as reader:
        by_reader = detector.score(reader)
    np.testing.assert_array_equal(whole.scores, by_path.scores)
    np.testing.assert_array_equal(whole.scores, by_reader.scores)


def test_pieces_of_a_tiled_model_give_what_the_whole_gives(field, model):
    detector = AnomalyDetector(model, "latent").fit(field)
    long = np.concatenate([field] * 20)
    found = detector.score(long).scores
    np.testing.assert_allclose(found[: len(field)], detector.score(field).scores, rtol=1e-6)
    assert found.shape == (len(long),)


def test_tiles_say_where_in_a_field_it_is(field):
    narrow = aecodec.fit(field, axes="tcyx", max_error=0.05, tile=(1, 2, 8, 8), reference=False, provider="cpu")
    x = smooth_field((24, 2, 32, 40))
    x[10, 1, 16:24, 8:16] += np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32) * 40
    found = AnomalyDetector(narrow, per="tile").fit(field).score(x)
    assert found.scores.shape == (24, 4, 5)
    place = np.unravel_index(np.argmax(found.scores), found.scores.shape)
    assert tuple(map(int, place)) == (10, 2, 1)
    assert found.worst[place][0] == 1
    assert found.to_json()["highest"][0]["tile"] == [10, 2, 1]


def test_memory_stays_at_pieces_whatever_the_length(series_model, tmp_path):
    big = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (400_000, 5))
    big[:] = np.resize(series(1000), big.shape)
    detector = AnomalyDetector(series_model, "latent").fit(series())
    tracemalloc.start()
    count = sum(len(scores) for scores, _, _ in detector.score_pieces(big))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.start()
    short = sum(len(scores) for scores, _, _ in detector.score_pieces(big[:200_000]))
    half = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, short) == (400_000, 200_000)
    assert peak < 1.3 * half


def test_quantile_and_tail_thresholds_hold_their_risk():
    rng = np.random.default_rng(0)
    scores = rng.standard_exponential(20_000)
    assert quantile_threshold(scores, 0.99, 1.5).value == pytest.approx(1.5 * np.quantile(scores, 0.99))
    found = pot_threshold(scores, risk=1e-4)
    assert found.value == pytest.approx(-np.log(1e-4), rel=0.12)  # exact for exponential scores
    assert abs(found.about["shape"]) < 0.15
    heavy = rng.pareto(3.0, 50_000)
    assert pot_threshold(heavy, risk=1e-4).value == pytest.approx(1e-4 ** (-1 / 3) - 1, rel=0.25)
    bounded = rng.uniform(size=20_000)
    assert pot_threshold(bounded, risk=1e-4).value == pytest.approx(1.0, abs=2e-2)


@pytest.mark.parametrize("least", [1, 3])
def test_changepoints_are_the_best_segmentation(least):
    rng = np.random.default_rng(1)
    x = np.concatenate([np.full(12, 0.0), np.full(9, 4.0), np.full(11, 1.0)]) + rng.normal(size=32) * 0.5
    noise = np.median(np.abs(np.diff(x))) / (0.6745 * np.sqrt(2))
    penalty = 3.0 * noise**2 * np.log(32)
    best = np.full(33, np.inf)
    best[0], before = -penalty, [0] * 33
    for stop in range(least, 33):  # without any pruning
        for start in range(stop - least + 1):
            if start and start < least:
                continue
            cost = best[start] + np.var(x[start:stop]) * (stop - start) + penalty
            if cost < best[stop]:
                best[stop], before[stop] = cost, start
    expected, at = [], 32
    while at:
        at = before[at]
        expected.append(at)
    assert changepoints(x, 3.0, least, logarithm=False) == sorted(expected)[1:]
    assert {12, 21} <= set(changepoints(x, 3.0, least, logarithm=False))


def test_no_changepoint_where_nothing_changes():
    assert changepoints(np.random.default_rng(0).gamma(5.0, size=2000)) == []
    assert changepoints(np.ones(50)) == []
    assert changepoints(np.ones(1)) == []


def test_smoothed_noise_has_no_changepoints_either():
    x = smooth(np.random.default_rng(0).gamma(5.0, size=2000), 40)
    assert len(changepoints(x)) > 10
    assert changepoints(x, window=40) == []
    x[1000:] *= 2
    assert [abs(at - 1000) < 20 for at in changepoints(x, window=40)] == [True]


def test_smoothing_means_and_least_of_windows():
    x = np.array([0, 0, 6, 6, 6, 0, 0], float)
    np.testing.assert_allclose(smooth(x, 3), [0, 2, 4, 6, 4, 2, 0])
    # A step counts only as much as the least of the windows that hold it.
    np.testing.assert_allclose(smooth(x, 3, "least"), [2, 2, 2, 4, 2, 2, 2])
    assert smooth(x, 1) is x


def test_bits_of_a_file_are_all_told_apart_and_find_what_was_unexpected(tmp_path):
    rng = np.random.default_rng(0)
    x = np.sin(np.arange(3000)[:, None] / np.array([9.0, 13.0])) * 5 + rng.normal(size=(3000, 2)) * 0.01
    x[2000:2128, 1] += rng.normal(size=128) * 2
    path = tmp_path / "x.aecz"
    model = aecodec.fit(x[:1500], axes="tc", tile=(1, 2, 1, 1), max_error=0.01)
    with aecodec.open(path, "w", model=model, axes="tc", max_error=0.01) as f:
        f.write(x)
    with aecodec.open(path) as reader:
        rates = chunk_rates(reader)
        total = sum(rate.bits * (rate.stop - rate.start) * 2 for rate in rates)
        told = sum(float(bits.sum()) for _, bits in stored_bits(reader))
        assert {rate.mode for rate in rates} <= {"predicted", "lattice", "latents"}
        assert told == pytest.approx(total, rel=0.02)
        found = stored_scores(reader, window=64)
        assert found.kind == "stored rate"
    inside = found.scores[2032:2096]
    assert inside.min() > np.delete(found.scores, np.s_[1960:2170]).max()
    assert (found.worst[2000:2128, 0] == 1).mean() > 0.9


def test_geometric_bits_are_a_distribution():
    symbols = np.arange(-3000, 3001)
    for mean in (0.05, 1.0, 40.0):
        share = 2.0 ** -geometric_bits(symbols, np.full(symbols.shape, mean))
        assert share.sum() == pytest.approx(1.0, abs=1e-6)
        assert (share * np.abs(symbols)).sum() == pytest.approx(mean, rel=1e-6)


def test_results_are_written_and_never_over_others(series_model, spoiled, tmp_path):
    found = AnomalyDetector(series_model, keep=2).fit(series()).score(spoiled)
    found.save(tmp_path / "s.csv")
    rows = list(csv.DictReader((tmp_path / "s.csv").open()))
    assert len(rows) == len(spoiled)
    assert float(rows[430]["score"]) == pytest.approx(found.scores[430], rel=1e-5)
    assert rows[430]["anomaly"] == "1"
    assert rows[430]["channel1"] == "3"
    found.save(tmp_path / "s.json")
    record = json.loads((tmp_path / "s.json").read_text())
    assert record["anomalous"] == int(found.flags.sum())
    assert any(event["start"] == WHERE.start for event in record["events"])
    assert any(abs(at - WHERE.start) <= 2 for at in record["changepoints"])
    with pytest.raises(OutputExistsError, match=r"s\.csv exists"):
        found.save(tmp_path / "s.csv")
    with pytest.raises(UsageError, match=r"written as \.csv"):
        found.save(tmp_path / "s.txt")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.csv", "s.json"]
    found.write_csv(io.StringIO())


def test_a_plot_is_drawn(series_model, spoiled, field, model, tmp_path):
    pytest.importorskip("matplotlib")
    from aecodec.tasks.plot import plot

    plot(AnomalyDetector(series_model, keep=2).fit(series()).score(spoiled), tmp_path / "a.png", labels=np.arange(600) > 500)
    plot(AnomalyDetector(model, "latent", per="tile").fit(field).score(field), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == (tmp_path / "b.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: AnomalyDetector(m, "energy"), "score='energy' is unknown; use reconstruction, latent, rate"),
        (lambda m: AnomalyDetector(m, per="pixel"), "per='pixel' is unknown"),
        (lambda m: AnomalyDetector(m, window=0), "window=0 must be 1 or more"),
        (lambda m: AnomalyDetector(m, smoothing="x"), "smoothing='x' is unknown; use mean, least"),
        (lambda m: WindowDetector(m, window=1), "window=1 must be 2 or more"),
        (lambda m: WindowDetector(m).fit(series(100)), r"normal data of 100 step\(s\) for windows of 60: at least 120"),
        (lambda m: WindowDetector(m).fit(series()).score(series(59)), r"59 step\(s\) hold no window of 60"),
        (lambda m: WindowDetector(m).score(series()), r"call fit\(normal\) first"),
        (lambda m: WindowDetector(m).fit(series()).calibrate(series(), "sigma"), "method='sigma' is unknown"),
        (lambda m: AnomalyDetector(m, per="tile", window=3), "use per='step'"),
        (lambda m: AnomalyDetector(m).score(series()), r"call fit\(normal\) first"),
        (lambda m: AnomalyDetector(m, keep=9).fit(series()), "keep=9 latents of 5"),
        (lambda m: AnomalyDetector(m, keep=1.5).fit(series()), "keep=1.5 must be a share"),
        (lambda m: AnomalyDetector(m, keep=1.0).fit(series()), 'keeps all of its input.*score="latent"'),
        (lambda m: AnomalyDetector(m).fit(series()[:1]), r"1 tile\(s\) given; at least 2"),
        (lambda m: AnomalyDetector(m).fit(series()[:0]), "has nothing to score"),
        (lambda m: AnomalyDetector(m).fit(series()[:, :4]), "4 channel"),
        (lambda m: AnomalyDetector(m).fit("x.csv"), "x.csv is not an .aecz file"),
        (lambda m: AnomalyDetector(m).fit(series()).calibrate(series(), "sigma"), "method='sigma' is unknown"),
        (lambda m: AnomalyDetector(m).fit(series(), calibrate=False).score(series()).flags, "have no threshold"),
        (lambda m: quantile_threshold(np.ones(9), 1.5), "quantile=1.5 must be"),
        (lambda m: quantile_threshold(np.array([1.0, np.nan])), "some not finite"),
        (lambda m: pot_threshold(np.arange(100.0), 1e-3), "2 peaks over their 0.98 quantile, 10 are needed: give about 500"),
        (lambda m: pot_threshold(np.arange(1000.0), 0.5), "risk=0.5 must be"),
        (lambda m: changepoints(np.array([-1.0, 1.0])), "none negative"),
        (lambda m: changepoints(np.ones(4), penalty=0), "penalty=0 must be"),
        (lambda m: changepoints(np.ones(4), window=0), "window=0 1 or more"),
    ],
)
def test_what_cannot_be_done_is_said(call, message, series_model):
    with pytest.raises(AecodecError, match=message):
        call(series_model)


def test_arrays_without_steps_and_models_without_encoders_are_refused(model, field):
    image = aecodec.fit(np.arange(64 * 64, dtype=np.float32).reshape(64, 64), axes="yx")
    with pytest.raises(UsageError, match="no steps to be scored one by one; use per='tile'"):
        AnomalyDetector(image, "latent").fit(np.zeros((64, 64), np.float32))
    with pytest.raises(UsageError, match="events are found in scores of steps"):
        AnomalyDetector(model, "latent", per="tile").fit(field).score(field).events()
    from dataclasses import replace

    bare = aecodec.Model(replace(model.bundle, encoder=None).sealed())
    with pytest.raises(ModelError, match="holds only a decoder"):
        AnomalyDetector(bare).fit(field)
