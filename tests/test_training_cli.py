"""`aecodec train` and `aecodec tune`: what they write and say, and one line for everything that goes wrong."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from typer.testing import CliRunner

import aecodec
from aecodec.cli.app import app

SETTINGS = ("--networks", "autoencoder", "--width", "8", "--tile", "1,2,4,4", "--psnr", "35")


def words_of(*words):
    return [sys.executable, "-m", "aecodec", *words]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The command in this process, which has torch already."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, words)


@pytest.fixture
def fields(tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 2, 24, 32)).cumsum(-1).cumsum(-2).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    x.tofile(tmp_path / "x.raw")
    return x


def test_a_model_is_trained_reported_and_used(tmp_path, run, fields):
    words = ("train", "x.npy", "--axes", "tcyx", "-o", "m.aecm", "--steps", "20", "--report", "report", *SETTINGS)
    done = run(*words)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == ""
    assert "training autoencoder, step 1: rate" in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("m.aecm : ")
    assert "autoencoder: 20 steps, held out" in last
    assert "all steps done" in last
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"report.json", "report.txt", "rate_distortion.png"}
    assert run("compress", "x.npy", "-m", "m.aecm", "--axes", "tcyx", "--psnr", "35").exit_code == 0
    assert aecodec.open(tmp_path / "x.npy.aecz").model.id == aecodec.load_model(tmp_path / "m.aecm").id
    again = run(*words)
    assert again.exit_code == 1
    assert "m.aecm exists" in again.stderr


def test_raw_files_quietly(tmp_path, run, fields):
    raw = ("--dtype", "float32", "--shape", "-1,2,24,32")
    done = run("train", "x.raw", *raw, "--axes", "tcyx", "-o", "m.aecm", "--steps", "3", "-q", *SETTINGS)
    assert (done.exit_code, done.stderr) == (0, "")
    assert (tmp_path / "m.aecm").exists()


def test_ctrl_c_writes_a_usable_model_and_the_same_command_goes_on(tmp_path, run, fields):
    words = ("train", "x.npy", "--axes", "tcyx", "-o", "m.aecm", "--steps", "4000", "--checkpoint", "kept", *SETTINGS)
    process = subprocess.Popen(words_of(*words), cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "kept" / "autoencoder" / "checkpoint.safetensors").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert "interrupted; the best state is kept" in error
    first = aecodec.load_model(tmp_path / "m.aecm")
    steps = first.manifest.provenance["autoencoder"]["steps"]
    assert 0 < steps < 4000
    other = run(*words, "-f", "--seed", "1")
    assert other.exit_code == 2
    assert "was made by a run with other settings: " in other.stderr
    assert "seed was 0, is 1" in other.stderr


def test_a_search_prints_its_trials_and_trains_the_best(tmp_path, run, fields):
    words = ("tune", "x.npy", "--axes", "tcyx", "--folder", "search", "--search", "learning_rate=1e-4:1e-2", "--steps", "4")
    done = run(*words, "--trials", "2", "--json", "--final-budget", "1s", "-o", "best.aecm", *SETTINGS[:2], *SETTINGS[4:])
    assert done.exit_code == 0, done.stderr
    record = json.loads(done.stdout)
    assert [trial["state"] for trial in record["trials"]] == ["complete", "complete"]
    assert record["best"] == record["trials"][0]["settings"]
    assert aecodec.load_model(tmp_path / "best.aecm").manifest.family == "vanilla"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["train", "none.npy", "-o", "m.aecm", "--axes", "t"], 2, "none.npy does not exist"),
        (["train", "x.npy", "-o", "m.aecm", "--time-budget", "soon"], 2, "time budget 'soon' is not a duration"),
        (["train", "x.npy", "-o", "m.aecm", "--tile", "8"], 2, "tile=(8,) must be four sizes"),
        (["train", "x.npy", "-o", "m.aecm", "--tile", "a,b"], 2, "--tile 'a,b' is not four sizes such as 1,3,8,8"),
        (["train", "x.npy", "-o", "m.aecm", "--networks", "magic"], 2, "networks='magic' is unknown"),
        (["train", "x.npy", "-o", "m.aecm", "--family", "magic"], 2, "family='magic' is unknown"),
        (["train", "x.npy", "-o", "m.aecm", "--axes", "tcy"], 2, "names 3 dimension(s)"),
        (["tune", "x.npy", "--folder", "s", "-o", "m.aecm"], 2, "give both or neither"),
        (["tune", "x.npy", "--folder", "s", "--search", "width"], 2, "--search 'width' is not NAME=LOW:HIGH"),
    ],
)
def test_bad_input_gets_one_line_and_no_traceback(run, fields, words, status, message):
    done = run(*words)
    assert message in done.stderr
    assert done.exit_code == status
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("aecodec: ")
