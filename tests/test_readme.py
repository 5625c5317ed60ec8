"""The README's Python examples run as they stand, its commands too, and its two newcomer's commands are the ones CI takes."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typed_usage import round_trip

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_python_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    examples = blocks("python")
    assert examples
    for example in examples:
        exec(compile(example, "README.md", "exec"), {})  # the point of the test
    assert (tmp_path / "wind.aecm").exists()
    assert (tmp_path / "run.aecz").exists()


def test_command_examples_run(tmp_path):
    rng = np.random.default_rng(1)
    for name in ("x", "year1", "year2", "year3"):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(12, 2, 24, 32)).cumsum(-1).cumsum(-2).astype(np.float32))
    image = pytest.importorskip("PIL.Image")
    image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(tmp_path / "photo.png")
    (commands,) = [block for block in blocks("sh") if "aecodec compress x.npy" in block]
    ran = 0
    for line in commands.splitlines():
        words = shlex.split(line, comments=True)
        if not words or "|" in words:  # the last line pipes through ssh; test_cli pipes without it
            continue
        assert words[0] == "aecodec"
        done = subprocess.run([sys.executable, "-m", "aecodec", *words[1:]], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        ran += 1
    assert ran == 6
    assert np.abs(np.load(tmp_path / "y.npy") - np.load(tmp_path / "x.npy")).max() <= 1e-3 * np.ptp(np.load(tmp_path / "x.npy"))


def test_typed_usage_runs(tmp_path):
    assert round_trip(tmp_path).shape == (2, 3, 40, 50)


def test_ci_takes_the_two_commands_from_the_readme():
    for marker, expected in (("main-job", "aecodec demo"), ("tests", "pytest")):
        block = README.split(f"<!-- {marker} -->", 1)[1].split("```", 2)[1].strip()
        assert len(block.splitlines()) == 1
        assert block.startswith("pip install")
        assert expected in block
        assert f"command_after {marker}" in (ROOT / ".ci" / "run").read_text()


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_no_table_of_figures_without_its_csv():
    assert (ROOT / "bench" / "ratio.csv").exists()
    sys.path.insert(0, str(ROOT / "bench"))
    try:
        from readme_table import rows, table
    finally:
        sys.path.remove(str(ROOT / "bench"))
    assert table(rows((ROOT / "bench" / "ratio.csv").read_text().splitlines())) in README


def test_demo_shows_what_the_readme_says(tmp_path):
    environment = os.environ | {"COLUMNS": "120"}
    command = [sys.executable, "-m", "aecodec", "demo", "-o", str(tmp_path / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "zstd -19" in done.stdout
    assert "every value checked" in done.stdout
    picture = pytest.importorskip("PIL.Image").open(tmp_path / "demo" / "temperature.png")
    assert picture.size[0] > 1000
    sizes = {p.name: p.stat().st_size for p in (tmp_path / "demo").iterdir()}
    assert sizes["temperature.npy"] > 30 * sizes["0.01.aecz"]
