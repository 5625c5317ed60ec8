"""`aecodec.training.train` from data to a model and its report, with a small linear network."""

import json
import subprocess
import sys

import numpy as np
import pytest
from linear_objective import linear

import aecodec
from aecodec.errors import UsageError
from aecodec.fidelity import fidelity_from_options
from aecodec.training import Plan, train
from aecodec.training.data import open_data
from aecodec.training.plan import allowed_errors, closed_form
from aecodec.training.report import measure


def series(seed=0, count=3000):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 2)) @ rng.normal(size=(2, 4)) + 0.05 * rng.normal(size=(count, 4))
    return (10.0 + 3.0 * x).astype(np.float32)


def trained(x, **changes):
    return train(x, **{"axes": "tc", "networks": [linear], "steps": 200, "learning_rate": 1e-2, "progress": False, **changes})


def test_a_trained_model_codes_what_it_has_not_seen(tmp_path):
    model = trained(series())
    x = series(seed=0, count=4000)[3000:]
    data = aecodec.compress(x, model, axes="tc", psnr=30)
    error = np.sqrt(np.square(aecodec.decompress(data) - x).mean())
    assert error <= np.ptp(x, axis=0).max() * 10**-1.5
    about = model.manifest.provenance
    assert about["networks"] == ["linear"]
    assert about["linear"]["steps"] == 200
    assert about["family"] == {"name": "vanilla"}
    model.save(tmp_path / "m.aecm")
    assert aecodec.load_model(tmp_path / "m.aecm").id == model.id


def test_the_seed_fixes_the_model():
    x = series(count=500)
    assert trained(x, steps=30).id == trained(x, steps=30).id
    assert trained(x, steps=30).id != trained(x, steps=30, seed=1).id


def test_the_report_holds_trained_closed_form_and_peers_on_held_out_data(tmp_path):
    x = series()
    trained(x, report=tmp_path / "report", max_error=0.05, networks=[linear])
    record = json.loads((tmp_path / "report" / "report.json").read_text())
    curves = {curve["name"]: curve for curve in record["curves"]}
    assert {"trained", "closed form", "zstd, lossless"} <= curves.keys()
    assert [p["asked"] for p in curves["trained"]["points"]] == [False, False, True, False, False]
    assert [p["setting"] for p in curves["trained"]["points"]] == ["0.0125", "0.025", "0.05", "0.1", "0.2"]
    for point in [*curves["trained"]["points"], *curves["closed form"]["points"]]:
        assert point["worst"] <= float(point["setting"])
        assert 0 < point["bits"] < 32
    assert record["values"] == 300 * 4
    assert curves["trained"]["model_bytes"] > 100
    assert record["run"]["steps"] == 200
    assert record["run"]["ended"] == "all steps done"
    text = (tmp_path / "report" / "report.txt").read_text()
    assert "closed form" in text
    assert "0.05 *" in text
    assert (tmp_path / "report" / "rate_distortion.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("peer", [("pysz", "SZ3"), ("zfpy", "ZFP")])
def test_installed_peers_are_measured_and_keep_the_bound(peer):
    pytest.importorskip(peer[0])
    data = open_data(series(), "tc")
    asked, errors = allowed_errors(fidelity_from_options(max_error=[0.05, 0.05, 0.1, 0.1]), data)
    closed = closed_form(data, errors, None, 0)
    (curve,) = [c for c in measure(closed, None, data, asked, {}).curves if c.name == peer[1]]
    assert [p.worst <= 0.1 * f * 1.001 for p, f in zip(curve.points, (0.25, 0.5, 1, 2, 4), strict=True)] == [True] * 5
    assert curve.points[0].bits > curve.points[-1].bits


def test_pictures_are_held_against_jpeg_and_webp(tmp_path):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for i in range(10):
        pixels = rng.normal(size=(40, 48 + i, 3)).cumsum(0).cumsum(1)
        image.fromarray(np.clip(128 + 4 * pixels, 0, 255).astype(np.uint8)).save(tmp_path / f"{i}.png")
    data = open_data(tmp_path)
    asked, errors = allowed_errors(fidelity_from_options(quality=75), data)
    assert errors is None
    report = measure(closed_form(data, errors, None, 0), None, data, asked, {})
    curves = {curve.name: curve for curve in report.curves}
    assert {"JPEG", "WebP", "trained"} <= curves.keys()
    for name in ("JPEG", "WebP"):
        assert [p.psnr for p in curves[name].points] == sorted(p.psnr for p in curves[name].points)
    assert "quality 75" in [p.setting for p in curves["trained"].points if p.asked]


def test_networks_share_the_budget_and_build_on_each_other():
    starts = []

    def first(plan: Plan):
        starts.append(plan.start)
        return linear(plan)

    def second(plan: Plan):
        starts.append(plan.start)
        return linear(plan)

    model = trained(series(count=500), networks=[first, second], steps=41)
    assert starts[0].manifest.family == "linear"
    assert starts[1].manifest.provenance["networks"] == ["first"]
    assert model.manifest.provenance["networks"] == ["first", "second"]
    assert model.manifest.provenance["first"]["steps"] == model.manifest.provenance["second"]["steps"] == 21


def test_a_checkpoint_resumes_and_refuses_other_settings_and_other_data(tmp_path):
    x, steps = series(count=500), []

    def stop(shot):
        steps.append(shot.step)
        if shot.step == 20:
            raise KeyboardInterrupt

    straight = trained(x, steps=60)
    with pytest.raises(KeyboardInterrupt):
        trained(x, steps=60, checkpoint=tmp_path, progress=stop)
    steps.clear()
    assert trained(x, steps=60, checkpoint=tmp_path, progress=lambda shot: steps.append(shot.step)).id == straight.id
    assert steps[0] > 10
    with pytest.raises(UsageError, match=r"made by a run with other settings: learning_rate was 0\.01, is 0\.02"):
        trained(x, steps=60, checkpoint=tmp_path, learning_rate=2e-2)
    with pytest.raises(UsageError, match=r"other settings: plan\.data was"):
        trained(x + 1, steps=60, checkpoint=tmp_path)
    assert trained(x, steps=50, checkpoint=tmp_path, resume=False).manifest.provenance["linear"]["steps"] == 50


def test_fidelities_say_which_networks_and_what_error():
    floats, integers = open_data(series(), "tc"), open_data((series() * 10).astype(np.int16), "tc")

    def errors(data, **fidelity):
        found = allowed_errors(fidelity_from_options(**fidelity), data)[1]
        return None if found is None else found.tolist()

    assert errors(floats, max_error=0.5) == [0.5] * 4
    np.testing.assert_allclose(errors(floats, max_range_error=0.01), 0.01 * (floats.high - floats.low))
    assert errors(floats, max_range_error=0.01, value_range=(0, 10)) == [0.1] * 4
    assert errors(floats, psnr=40) is None
    assert errors(floats) is None
    assert errors(integers) == [0.5] * 4
    assert errors(integers, max_error=0) == [0.5] * 4
    assert errors(integers, max_error=3) == [3.0] * 4
    with pytest.raises(UsageError, match="an error bound of 0 leaves networks nothing to predict"):
        errors(floats, max_error=0)
    with pytest.raises(UsageError, match="networks are not trained for max_point_error"):
        errors(floats, max_point_error=0.01)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tile": (1, 2)}, "must be four sizes of 1 or more"),
        ({"tile": (4000, 4, 1, 1)}, "a tile of 4000 step"),
        ({"networks": ["magic"]}, "networks='magic' is unknown"),
        ({"family": "magic"}, "family='magic' is unknown"),
        ({"time_budget": "soon"}, "not a duration"),
        ({"steps": 0}, "steps=0 must be 1 or more"),
        ({"max_error": 0.1, "psnr": 40}, "two fidelities at once"),
        ({"networks": ["predictor"], "max_error": 0.1, "device": "cuda"}, "predictors are trained on the CPU"),
    ],
)
def test_bad_settings_are_one_clear_error(changes, message):
    with pytest.raises(UsageError, match=message):
        trained(series(count=300), **changes)


def test_without_torch_there_is_one_clear_error():
    program = """
import sys
sys.modules["torch"] = None
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "torch" else found(name, package)
import aecodec
try:
    aecodec.training
except aecodec.errors.MissingExtraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "training needs torch, which is not installed: pip install 'aecodec[train]'\n", done.stderr
