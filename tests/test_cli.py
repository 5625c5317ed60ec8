"""The command: round trips of every kind of input and output, zstd's habits, one clear line for everything that goes wrong."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import aecodec


def run(folder: Path, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "aecodec", *words], cwd=folder, input=stdin, capture_output=True)


@pytest.fixture
def fields(tmp_path):
    x = np.random.default_rng(0).normal(size=(6, 2, 30, 40)).cumsum(-1).cumsum(-2).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    return x


def test_npy_round_trip_within_the_bound_and_input_kept(tmp_path, fields):
    before = (tmp_path / "x.npy").read_bytes()
    done = run(tmp_path, "compress", "x.npy", "--axes", "tcyx", "--max-error", "0.1")
    assert done.returncode == 0, done.stderr
    assert b"x.npy.aecz" in done.stderr
    assert done.stdout == b""
    assert run(tmp_path, "verify", "x.npy.aecz", "--against", "x.npy").returncode == 0
    assert run(tmp_path, "decompress", "x.npy.aecz", "-o", "y.npy").returncode == 0
    assert np.abs(np.load(tmp_path / "y.npy") - fields).max() <= 0.1
    assert (tmp_path / "x.npy").read_bytes() == before


def test_a_model_inside_a_file_and_the_memory_to_use_can_be_refused(tmp_path, fields):
    assert run(tmp_path, "fit", "x.npy", "--axes", "tcyx", "--max-error", "0.1", "-o", "m.aecm").returncode == 0
    given = ("-m", "m.aecm", "--axes", "tcyx", "--max-error", "0.1")
    assert run(tmp_path, "compress", "x.npy", *given).returncode == 0
    refused = run(tmp_path, "decompress", "x.npy.aecz", "-o", "y.npy", "--no-embedded-model")
    assert refused.returncode == 1
    assert b"allow_embedded_model=False keeps it from running; pass model=" in refused.stderr
    large = run(tmp_path, "decompress", "x.npy.aecz", "-o", "y.npy", "--max-memory", "50K")
    assert large.returncode == 1
    assert b"a chunk declares 14400 values, 57600 bytes, at most 50000 are allowed" in large.stderr
    wrong = run(tmp_path, "decompress", "x.npy.aecz", "-o", "y.npy", "--max-memory", "lots")
    assert wrong.returncode == 2
    assert b"--max-memory 'lots' is not a number of bytes such as 500M or 4G" in wrong.stderr
    assert not (tmp_path / "y.npy").exists()
    ok = run(tmp_path, "decompress", "x.npy.aecz", "-o", "y.npy", "--no-embedded-model", "-m", "m.aecm", "--max-memory", "1G")
    assert ok.returncode == 0, ok.stderr
    assert np.abs(np.load(tmp_path / "y.npy") - fields).max() <= 0.1


def test_four_dimensions_without_axes_or_model(tmp_path, fields):
    assert run(tmp_path, "compress", "x.npy", "--max-range-error", "0.01", "-q").stderr == b""
    assert run(tmp_path, "verify", "x.npy.aecz", "--against", "x.npy", "-q").returncode == 0


def test_default_is_lossless_and_decompress_restores_the_same_file(tmp_path, fields):
    assert run(tmp_path, "compress", "x.npy").returncode == 0
    (tmp_path / "x.npy").rename(tmp_path / "kept.npy")
    assert run(tmp_path, "decompress", "x.npy.aecz").returncode == 0
    assert (tmp_path / "x.npy").read_bytes() == (tmp_path / "kept.npy").read_bytes()


def test_pipes_of_npy(tmp_path, fields):
    packed = run(tmp_path, "compress", "-", "--axes", "tcyx", "--max-error", "0.1", stdin=(tmp_path / "x.npy").read_bytes())
    assert packed.returncode == 0, packed.stderr
    restored = run(tmp_path, "decompress", "-", stdin=packed.stdout)
    (tmp_path / "z.npy").write_bytes(restored.stdout)
    assert np.abs(np.load(tmp_path / "z.npy") - fields).max() <= 0.1


def test_raw_from_a_pipe_of_unknown_length(tmp_path, fields):
    options = ("--dtype", "float32", "--shape", "-1,2,30,40", "--axes", "tcyx", "--max-error", "0.1", "-o", "raw.aecz")
    assert run(tmp_path, "compress", "-", *options, stdin=fields.tobytes()).returncode == 0
    assert run(tmp_path, "decompress", "raw.aecz", "-o", "back.f32").returncode == 0
    back = np.fromfile(tmp_path / "back.f32", np.float32).reshape(fields.shape)
    assert np.abs(back - fields).max() <= 0.1


def test_raw_pipe_cut_inside_a_row(tmp_path, fields):
    options = ("--dtype", "float32", "--shape", "-1,2,30,40", "-o", "raw.aecz")
    done = run(tmp_path, "compress", "-", *options, stdin=fields.tobytes()[:-10])
    assert done.returncode == 1
    assert b"ended early" in done.stderr
    assert not list(tmp_path.glob("raw.aecz*"))


def test_raw_file_whose_size_does_not_fit(tmp_path, fields):
    fields.tofile(tmp_path / "x.f32")
    done = run(tmp_path, "compress", "x.f32", "--dtype", "float32", "--shape", "7,2,30,40")
    assert done.returncode == 2
    assert b"57600 bytes" in done.stderr
    assert b"67200" in done.stderr


def test_bytes_of_any_file(tmp_path):
    (tmp_path / "notes.txt").write_bytes(b"any bytes at all " * 100)
    assert run(tmp_path, "compress", "notes.txt").returncode == 0
    assert run(tmp_path, "decompress", "notes.txt.aecz", "-o", "out.txt").returncode == 0
    assert (tmp_path / "out.txt").read_bytes() == b"any bytes at all " * 100
    assert run(tmp_path, "compress", "notes.txt", "-f", "--max-error", "1").returncode == 2


def test_images(tmp_path):
    image = pytest.importorskip("PIL.Image")
    y, x = np.mgrid[:70, :90]
    pixels = np.stack([y * 2, x * 2, (x + y)], axis=-1).astype(np.uint8)
    image.fromarray(pixels).save(tmp_path / "p.png")
    assert run(tmp_path, "compress", "p.png", "--max-error", "3").returncode == 0
    assert run(tmp_path, "decompress", "p.png.aecz", "-o", "q.png").returncode == 0
    restored = np.asarray(image.open(tmp_path / "q.png"))
    assert np.abs(restored.astype(int) - pixels).max() <= 3
    assert run(tmp_path, "compress", "p.png", "--quality", "60", "-o", "quality.aecz").returncode == 0
    facts = json.loads(run(tmp_path, "info", "quality.aecz", "--json").stdout)
    assert facts["shape"] == [70, 90, 3]
    assert facts["axes"] == "yxc"
    assert facts["fidelity"]["kind"] == "quality"


def test_fit_then_compress_with_the_model_beside(tmp_path, fields):
    assert run(tmp_path, "fit", "x.npy", "--axes", "tcyx", "--max-error", "0.1", "-o", "m.aecm").returncode == 0
    again = run(tmp_path, "fit", "x.npy", "--axes", "tcyx", "--max-error", "0.1", "-o", "m.aecm")
    assert again.returncode == 1
    assert b"exists" in again.stderr
    options = ("--axes", "tcyx", "--max-error", "0.1", "-m", "m.aecm", "--no-embed")
    assert run(tmp_path, "compress", "x.npy", *options).returncode == 0
    without = run(tmp_path, "decompress", "x.npy.aecz", "-o", "y.npy")
    assert without.returncode == 1
    assert aecodec.load_model(tmp_path / "m.aecm").id.encode() in without.stderr
    assert run(tmp_path, "decompress", "x.npy.aecz", "-o", "y.npy", "-m", "m.aecm").returncode == 0
    assert np.abs(np.load(tmp_path / "y.npy") - fields).max() <= 0.1


def test_models_found_by_name_in_directories_of_the_users(tmp_path, fields, monkeypatch):
    run(tmp_path, "fit", "x.npy", "--axes", "tcyx", "--max-error", "0.1", "-o", "wind.aecm")
    monkeypatch.setenv("AECODEC_MODELS", str(tmp_path))
    assert b"wind" in run(tmp_path, "models", "list").stdout
    assert b"linear" in run(tmp_path, "models", "show", "wind").stdout
    assert run(tmp_path, "models", "export", "wind", "-o", "parts").returncode == 0
    assert {p.name for p in (tmp_path / "parts").iterdir()} == {"manifest.json", "encoder.onnx", "decoder.onnx"}
    assert run(tmp_path, "compress", "x.npy", "-m", "wind", "--axes", "tcyx", "--max-error", "0.1", "--no-embed").returncode == 0
    assert run(tmp_path, "decompress", "x.npy.aecz", "-o", "y.npy").returncode == 0


def test_never_overwrites_without_force(tmp_path, fields):
    (tmp_path / "x.npy.aecz").write_bytes(b"precious")
    done = run(tmp_path, "compress", "x.npy")
    assert done.returncode == 1
    assert b"exists" in done.stderr
    assert (tmp_path / "x.npy.aecz").read_bytes() == b"precious"
    assert run(tmp_path, "compress", "x.npy", "-f").returncode == 0
    assert run(tmp_path, "decompress", "x.npy.aecz").returncode == 1


def test_verify_names_values_outside_the_bound(tmp_path, fields):
    run(tmp_path, "compress", "x.npy", "--axes", "tcyx", "--max-error", "0.1")
    changed = fields.copy()
    changed[3, 1, 5, 6] += 1
    np.save(tmp_path / "other.npy", changed)
    done = run(tmp_path, "verify", "x.npy.aecz", "--against", "other.npy")
    assert done.returncode == 1
    assert b"1 value(s) outside max_error" in done.stderr


def test_verify_and_info_say_that_a_file_was_cut_off(tmp_path, fields):
    run(tmp_path, "compress", "x.npy")
    whole = (tmp_path / "x.npy.aecz").read_bytes()
    (tmp_path / "cut.aecz").write_bytes(whole[:-30])
    assert run(tmp_path, "verify", "cut.aecz").returncode == 1
    assert json.loads(run(tmp_path, "info", "cut.aecz", "--json").stdout)["complete"] is False
    done = run(tmp_path, "decompress", "cut.aecz", "-o", "y.npy")
    assert done.returncode == 1
    assert not (tmp_path / "y.npy").exists()


def damaged(folder: Path) -> np.ndarray:
    """bad.aecz: three parts of 6 steps, the second one's only chunk damaged."""
    x = np.load(folder / "x.npy")
    run(folder, "compress", "x.npy", "-o", "part.aecz")
    part = (folder / "part.aecz").read_bytes()
    changed = bytearray(part)
    changed[len(part) // 2] ^= 1
    (folder / "bad.aecz").write_bytes(part + bytes(changed) + part)
    return np.concatenate([x, x, x])


def test_verify_lists_bad_chunks_and_goes_on(tmp_path, fields):
    damaged(tmp_path)
    done = run(tmp_path, "verify", "bad.aecz")
    assert done.returncode == 1
    assert done.stderr.startswith(b"bad.aecz : chunk 1, steps 6 to 11: record ")
    assert done.stderr.count(b"\n") == 1
    facts = run(tmp_path, "verify", "bad.aecz", "--json")
    assert facts.returncode == 1
    verdict = json.loads(facts.stdout)
    assert [(bad["number"], bad["start"], bad["stop"]) for bad in verdict["bad"]] == [(1, 6, 12)]
    assert json.loads(run(tmp_path, "verify", "part.aecz", "--json", "--against", "x.npy").stdout)["worst_error"] == 0


def test_recover_writes_what_is_sound_and_says_what_is_lost(tmp_path, fields):
    x = damaged(tmp_path)
    assert run(tmp_path, "decompress", "bad.aecz", "-o", "y.npy").returncode == 1
    done = run(tmp_path, "recover", "bad.aecz", "-o", "good.aecz")
    assert done.returncode == 0, done.stderr
    assert done.stderr.decode().splitlines() == [
        "bad.aecz : 2 chunk(s) with 12 step(s) kept, good.aecz",
        "bad.aecz : lost: steps 6 to 11",
    ]
    assert run(tmp_path, "verify", "good.aecz", "-q").returncode == 0
    assert run(tmp_path, "decompress", "good.aecz", "-o", "y.npy").returncode == 0
    assert np.array_equal(np.load(tmp_path / "y.npy"), np.delete(x, range(6, 12), axis=0))
    assert b"exists" in run(tmp_path, "recover", "bad.aecz", "-o", "good.aecz").stderr
    again = run(tmp_path, "recover", "-", "-o", "good.aecz", "-f", "--json", stdin=(tmp_path / "bad.aecz").read_bytes())
    assert json.loads(again.stdout)["lost"] == [[6, 12]]
    (tmp_path / "cut.aecz").write_bytes((tmp_path / "part.aecz").read_bytes()[:-3])
    assert b"there is no sound end" in run(tmp_path, "recover", "cut.aecz", "-o", "cut2.aecz", "-q").stderr
    assert run(tmp_path, "recover", "part.aecz", "-o", "whole.aecz", "-q").stderr == b""
    assert (tmp_path / "whole.aecz").read_bytes() == (tmp_path / "part.aecz").read_bytes()


def test_info_tells_parts_modes_and_what_is_missing(tmp_path, fields):
    damaged(tmp_path)
    done = run(tmp_path, "info", "bad.aecz", "--json", "--chunks")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["shape"], facts["chunks"], facts["complete"], facts["missing"]) == ([18, 2, 30, 40], 3, True, [])
    assert facts["bits_per_value"] == 8 * (tmp_path / "bad.aecz").stat().st_size / (18 * 2 * 30 * 40)
    assert [(part["start"], part["stop"]) for part in facts["parts"]] == [(0, 6), (6, 12), (12, 18)]
    assert sum(facts["modes"].values()) == 3
    assert [(chunk["start"], chunk["stop"]) for chunk in facts["each_chunk"]] == [(0, 6), (6, 12), (12, 18)]
    shown = run(tmp_path, "info", "bad.aecz", "--chunks").stdout.decode()
    for word in ("bits per value", "part 3", "complete", "6 to 11", "aecodec "):
        assert word in shown
    data = bytearray((tmp_path / "part.aecz").read_bytes())
    data[12 + 40] ^= 1
    (tmp_path / "headless.aecz").write_bytes(bytes(data) + (tmp_path / "part.aecz").read_bytes())
    shown = run(tmp_path, "info", "headless.aecz").stdout.decode()
    assert "steps 0 to 5" in shown
    assert "header of part 1" in shown


def test_info_needs_no_model(tmp_path, fields):
    run(tmp_path, "fit", "x.npy", "--axes", "tcyx", "--max-error", "0.1", "-o", "m.aecm")
    options = ("--axes", "tcyx", "--max-error", "0.1", "-m", "m.aecm")
    run(tmp_path, "compress", "x.npy", "--no-embed", *options)
    facts = json.loads(run(tmp_path, "info", "x.npy.aecz", "--json").stdout)
    assert facts["model"] == {"id": aecodec.load_model(tmp_path / "m.aecm").id, "place": "missing", "bytes": 0}
    assert b"missing" in run(tmp_path, "info", "x.npy.aecz").stdout
    run(tmp_path, "compress", "x.npy", "-f", *options)
    facts = json.loads(run(tmp_path, "info", "x.npy.aecz", "--json").stdout)
    assert (facts["model"]["place"], facts["model"]["family"]) == ("embedded", "linear")
    assert facts["model"]["bytes"] > 1000
    assert b"linear" in run(tmp_path, "info", "m.aecm").stdout


def object_array(folder: Path) -> None:
    np.save(folder / "o.npy", np.array([{}, []], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["compress", "x.npy", "--axes", "tcyq"], 2, "unknown letter(s) q"),
        (["compress", "x.npy", "--axes", "tyx"], 2, "names 3 dimension(s) but the array has 4"),
        (["compress", "x.npy", "--max-error", "-1"], 2, "negative"),
        (["compress", "x.npy", "--max-error", "nan"], 2, "not finite"),
        (["compress", "x.npy", "--max-error", "lots"], 2, "not a number"),
        (["compress", "x.npy", "--max-error", "1,2,3"], 2, "3 values but the array has 2 channel(s)"),
        (["compress", "x.npy", "--max-error", "1", "--psnr", "40"], 2, "two fidelities at once"),
        (["compress", "x.npy", "--level", "11"], 2, "outside 1"),
        (["compress", "x.npy", "-m", "nosuch"], 1, "no model 'nosuch'"),
        (["compress", "nosuch.npy"], 1, "No such file"),
        (["compress", "empty"], 2, "is a folder without files of a known kind"),
        (["verify", "x.npy.aecz", "--against", "."], 1, "No such file"),
        (["compress", "o.npy"], 2, "Python objects"),
        (["compress", "x.npy", "--dtype", "object", "--shape", "3"], 2, "Python objects"),
        (["compress", "x.npy", "--dtype", "float32"], 2, "both --dtype and --shape"),
        (["compress", "x.npy", "x.npy", "-o", "one.aecz"], 2, "2 inputs"),
        (["decompress", "x.npy", "-o", "y"], 1, "not an aecodec file"),
        (["decompress", "x.npy"], 2, "name the output with -o"),
        (["info", "x.npy"], 1, "not an aecodec file"),
        (["compress", "x.npy", "--provider", "tpu", "--max-error", "1"], 2, "unknown"),
    ],
)
def test_bad_input_gets_one_line_and_no_traceback(tmp_path, fields, words, status, message):
    object_array(tmp_path)
    (tmp_path / "empty").mkdir()
    done = run(tmp_path, *words)
    assert message in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert done.returncode == status
    assert done.stderr.startswith(b"aecodec: ")
    assert done.stderr.count(b"\n") == 1


def test_unknown_option_is_wrong_usage(tmp_path):
    assert run(tmp_path, "compress", "--nosuch").returncode == 2
    assert run(tmp_path, "--version").stdout.startswith(b"aecodec ")
