"""The commands restore and generate: every kind of input and output, and one clear line for what goes wrong."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from restoring_models import generator, picture_restorer, pictures
from typer.testing import CliRunner

import aecodec
from aecodec.cli.app import app
from aecodec.integrations.video import load_video, save_video
from aecodec.tasks.restore import restore


def run(*words):
    more = ["-m", "cleaner"] if words[0] == "restore" and "-m" not in words else []
    return CliRunner().invoke(app, [*(str(word) for word in words), *more])


@pytest.fixture(autouse=True)
def model(tmp_path_factory, monkeypatch):
    """A model "cleaner" that is found by its name."""
    folder = tmp_path_factory.mktemp("models")
    picture_restorer().save(folder / "cleaner.aecm")
    monkeypatch.setenv("AECODEC_MODELS", str(folder))


@pytest.fixture
def image(tmp_path):
    x = pictures(1, 48)[0]
    noisy = np.clip(x + np.random.default_rng(0).normal(0, 15, x.shape), 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(tmp_path / "x.png")
    return noisy


def test_an_image_is_restored_to_an_image_and_never_over_another(tmp_path, image):
    done = run("restore", tmp_path / "x.png", "-o", tmp_path / "y.png", "--noise", "15")
    assert done.exit_code == 0, done.output
    assert "denoise, 48x48x3 uint8" in done.stderr
    expected = restore(image, "cleaner", noise=15)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "y.png")), expected)
    again = run("restore", tmp_path / "x.png", "-o", tmp_path / "y.png")
    assert again.exit_code == 1
    assert "exists" in again.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.png", "y.png"]


def test_arrays_and_files_are_restored_to_what_the_output_is_called(tmp_path, image):
    stack = np.stack([image] * 3)
    np.save(tmp_path / "x.npy", stack)
    (tmp_path / "x.aecz").write_bytes(aecodec.compress(stack, False, "tyxc"))
    expected = restore(stack, "cleaner", noise=9)
    for source, target in (("x.npy", "a.npy"), ("x.aecz", "b.npy"), ("x.npy", "c.aecz"), ("x.aecz", "d.raw")):
        done = run("restore", tmp_path / source, "-o", tmp_path / target, "--axes", "tyxc", "--noise", "9", "-q")
        assert done.exit_code == 0, done.stderr
    assert np.array_equal(np.load(tmp_path / "a.npy"), expected)
    assert np.array_equal(np.load(tmp_path / "b.npy"), expected)
    assert np.array_equal(aecodec.decompress((tmp_path / "c.aecz").read_bytes()), expected)
    assert np.fromfile(tmp_path / "d.raw", np.uint8).tobytes() == expected.tobytes()


def test_a_mask_fills_gaps_and_an_upscaled_image_is_twice_as_large(tmp_path, image):
    mask = np.zeros((48, 48), np.uint8)
    mask[8:16, 16:32] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    done = run("restore", tmp_path / "x.png", "-o", tmp_path / "y.png", "-t", "inpaint", "--mask", tmp_path / "mask.png")
    assert done.exit_code == 0, done.stderr
    assert np.array_equal(np.asarray(Image.open(tmp_path / "y.png"))[mask == 0], image[mask == 0])
    assert run("restore", tmp_path / "x.png", "-o", tmp_path / "z.png", "-t", "upscale").exit_code == 0
    assert Image.open(tmp_path / "z.png").size == (96, 96)


def test_a_video_is_restored_frame_by_frame(tmp_path, image):
    pytest.importorskip("av")
    frames = np.stack([image[:, ::-1], image])
    save_video([frames], frames.shape, frames.dtype, {"rate": "25"}, tmp_path / "x.mp4", ".mp4")
    done = run("restore", tmp_path / "x.mp4", "-o", tmp_path / "y.mkv", "--noise", "15")
    assert done.exit_code == 0, done.stderr
    assert "2 frames" in done.stderr
    slabs, axes, metadata = load_video(tmp_path / "y.mkv")
    assert (axes, metadata["rate"]) == ("tyxc", "25")
    found, source = np.concatenate(list(slabs)), np.concatenate(list(load_video(tmp_path / "x.mp4")[0]))
    assert found.shape == (2, 48, 48, 3)
    assert np.abs(found[1].astype(int) - restore(source[1], "cleaner", noise=15)).mean() < 0.01  # .mkv keeps every value
    (tmp_path / "no.mp4").write_bytes(b"no video at all")
    assert "is not a video" in run("restore", tmp_path / "no.mp4", "-o", tmp_path / "n.mp4").stderr
    assert "a video is written as a video" in run("restore", tmp_path / "x.mp4", "-o", tmp_path / "n.png").stderr


def test_samples_ways_and_reconstructions_are_drawn_or_kept_as_arrays(tmp_path):
    generator().save(tmp_path / "g.aecm")
    x = np.random.default_rng(0).integers(0, 255, (6, 8, 8)).astype(np.uint8)
    np.save(tmp_path / "x.npy", x)
    common = ("-m", tmp_path / "g.aecm", "-q")
    assert run("generate", "-o", tmp_path / "g.png", *common, "-n", "9").exit_code == 0
    assert Image.open(tmp_path / "g.png").size == (28, 28)
    assert run("generate", "-o", tmp_path / "g.npy", *common, "-n", "9", "--seed", "1").exit_code == 0
    assert np.load(tmp_path / "g.npy").shape == (9, 1, 1, 8, 8)
    assert run("generate", "-o", tmp_path / "w.png", *common, "-n", "4", "--between", f"{tmp_path / 'x.npy'}:0,5").exit_code == 0
    assert Image.open(tmp_path / "w.png").size == (38, 8)
    assert run("generate", "-o", tmp_path / "r.png", *common, "-n", "4", "--reconstruct", tmp_path / "x.npy").exit_code == 0
    shown = np.asarray(Image.open(tmp_path / "r.png"))
    assert np.array_equal(shown[:8, :8], x[0])  # above what comes back of it


def test_what_cannot_be_done_is_said_in_one_line(tmp_path, image):
    np.save(tmp_path / "x.npy", np.zeros((4, 8, 8), np.uint8))
    cases = [
        (("restore", tmp_path / "x.png", "-o", tmp_path / "y.png", "-m", "photo"), 1, "was not trained to denoise"),
        (("restore", tmp_path / "x.png", "-o", tmp_path / "y.png", "-t", "polish"), 2, "use one of denoise"),
        (("restore", tmp_path / "x.png", "-o", tmp_path / "y.png", "-t", "inpaint"), 2, "a mask is needed"),
        (("restore", "-", "-o", tmp_path / "y.png"), 2, "not standard input and output"),
        (("restore", __file__, "-o", tmp_path / "y.png"), 2, "cannot restore"),
        (("generate", "-o", tmp_path / "y.png", "-m", "photo"), 1, "cannot be sampled from"),
        (("generate", "-o", tmp_path / "y.txt", "-m", "photo"), 2, "as an image or as .npy"),
        (("generate", "-o", tmp_path / "y.png", "-m", "photo", "--between", "x"), 2, "is not FILE:A,B"),
        (("generate", "-o", tmp_path / "y.png", "-m", "photo", "--between", f"{tmp_path / 'x.npy'}:0,9"), 2, "has 4 samples"),
    ]
    for words, status, message in cases:
        done = run(*words)
        assert done.exit_code == status, words
        assert message in done.stderr
        assert done.stderr.count("\n") == 1


def test_neither_command_needs_torch(tmp_path, image):
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from aecodec.cli.app import app\n"
        f"app(['restore', {str(tmp_path / 'x.png')!r}, '-o', {str(tmp_path / 'y.png')!r}, '-m', 'cleaner'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "y.png").is_file()
