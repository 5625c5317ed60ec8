"""`aecodec anomalies` and `aecodec features`, and one line for everything that goes wrong."""

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

import aecodec
from aecodec.cli.app import app
from aecodec.tasks import features

WHERE = slice(300, 320)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A series with a stretch that is wrong, a normal one, their model, and files of both."""
    path = tmp_path_factory.mktemp("series")
    rng = np.random.default_rng(0)
    source = rng.normal(size=(1400, 2)) @ rng.normal(size=(2, 4)) + 0.05 * rng.normal(size=(1400, 4))
    x, normal = source[:400].astype(np.float32), source[400:].astype(np.float32)
    x[WHERE, 2] += 2
    model = aecodec.fit(normal, axes="tc", tile=(1, 4, 1, 1), reference=False, max_error=0.01)
    model.save(path / "m.aecm")
    np.save(path / "x.npy", x)
    np.save(path / "normal.npy", normal)
    for name, array in (("x", x), ("normal", normal)):
        with aecodec.open(path / f"{name}.aecz", "w", model=model, axes="tc", max_error=0.01) as f:
            f.write(array)
    return path


@pytest.fixture
def run(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return lambda *words: CliRunner().invoke(app, words)


def test_anomalies_of_an_array_are_listed_and_written(run, tmp_path):
    out, picture = tmp_path / "s.csv", tmp_path / "s.png"
    words = ("anomalies", "x.npy", "-m", "m.aecm", "--score", "latent", "--normal", "normal.npy", "-o", str(out))
    done = run(*words, "--plot", str(picture), "--threshold", "quantile:0.999x1.2")
    assert done.exit_code == 0, done.output
    assert "300 to 319" in done.output
    rows = list(csv.DictReader(out.open()))
    assert [int(row["anomaly"]) for row in rows[WHERE]] == [1] * 20
    assert rows[310]["channel1"] == "2"
    assert picture.read_bytes()[:4] == b"\x89PNG"
    again = run(*words)
    assert again.exit_code == 1
    assert "s.csv exists" in again.output


@pytest.mark.parametrize("threshold", ["pot:1e-3", "3.5", "quantile:0.995"])
def test_thresholds_and_a_file_give_json(run, threshold):
    done = run(
        "anomalies", "x.aecz", "-m", "m.aecm", "--score", "latent", "--normal", "normal.aecz", "--threshold", threshold, "--json"
    )
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    assert any(e["start"] <= 300 < e["stop"] for e in record["events"])
    assert record["threshold"]["method"] == {"p": "pot", "3": "given", "q": "quantile"}[threshold[0]]


def test_the_first_steps_may_be_the_normal_ones(run):
    done = run("anomalies", "x.npy", "-m", "m.aecm", "--score", "latent", "--normal-steps", "250", "--window", "5", "--json")
    assert done.exit_code == 0, done.output
    assert any(abs(at - 300) <= 5 for at in json.loads(done.stdout)["changepoints"])


def test_windows_are_scored_from_the_shell(run):
    done = run("anomalies", "x.npy", "-m", "m.aecm", "--score", "windows", "--normal", "normal.npy", "--window", "10", "--json")
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    event = max(record["events"], key=lambda e: e["peak"])
    assert 290 <= event["start"] <= 305
    assert event["channels"][0]["channel"] == 2
    assert record["score"] == "windows"


def test_bits_that_a_file_spends_need_no_model_named(run):
    done = run("anomalies", "x.aecz", "--score", "stored", "--normal", "normal.aecz", "--window", "8", "--json")
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    assert record["score"] == "stored rate"
    assert record["shape"] == [400]


def test_features_of_arrays_and_files(run, folder, tmp_path):
    for name in ("normal.npy", "normal.aecz"):
        out = tmp_path / f"{name}.y.npy"
        done = run("features", name, "-m", "m.aecm", "-o", str(out))
        assert done.exit_code == 0, done.output
        assert "1000 row(s) of 4 features" in done.output
        source = np.load(folder / "normal.npy") if name.endswith(".npy") else folder / name
        np.testing.assert_array_equal(np.load(out), features(source, aecodec.load_model(folder / "m.aecm")))


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("anomalies", "x.npy"), 2, "name a model with -m"),
        (("anomalies", "-", "-m", "m.aecm"), 2, "not standard input"),
        (("anomalies", "m.aecm", "-m", "m.aecm"), 2, "m.aecm is no array"),
        (("anomalies", "x.npy", "-m", "m.aecm", "--keep", "1"), 2, "keeps all of its input"),
        (("anomalies", "x.npy", "-m", "m.aecm", "--threshold", "sigma:3"), 2, "'sigma:3' is not quantile:Q"),
        (("anomalies", "x.npy", "-m", "m.aecm", "--normal-steps", "900"), 2, "--normal-steps 900 of 400 step(s)"),
        (("anomalies", "x.npy", "-m", "m.aecm", "--score", "windows", "--per", "tile"), 2, "leave out --per tile"),
        (("anomalies", "x.npy", "-m", "m.aecm", "--window", "0"), 2, "window=0 must be 1 or more"),
        (("anomalies", "x.npy", "--score", "stored"), 2, "reads the bits that an .aecz file spends"),
        (("anomalies", "x.npy", "-m", "m.aecm", "--score", "loss"), 2, "score='loss' is unknown"),
        (("anomalies", "x.npy", "-m", "m.aecm", "-o", "s.xml"), 2, "written as .csv"),
        (("features", "x.npy", "-m", "m.aecm", "-o", "y.npy", "--pool", "max"), 2, "'max' is unknown"),
        (("features", "x.npy", "-m", "m.aecm", "-o", "y.csv"), 2, "written as .npy"),
        (("features", "gone.npy", "-m", "m.aecm", "-o", "y.npy"), 1, "gone.npy: No such file"),
    ],
)
def test_what_goes_wrong_is_one_line(run, words, status, message):
    done = run(*words)
    assert done.exit_code == status, done.output
    assert message in " ".join(done.output.split())
    assert done.output.count("\n") == 1
