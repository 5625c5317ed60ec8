"""Images, TIFF stacks, video and sound through their own libraries: compressed by the command's functions, and written back."""

import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from servers import s3_server
from typer.testing import CliRunner

import aecodec
from aecodec.cli.app import app
from aecodec.errors import FormatError, UsageError
from aecodec.integrations.kinds import kind_of

image = pytest.importorskip("PIL.Image")


def command(*words: object) -> str:
    """Standard error of a command that must succeed."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stderr


def refused(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code != 0
    return done.stderr


def picture(seed: int = 0, shape: tuple[int, ...] = (40, 56, 3), dtype: str = "u1") -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = (np.sin(y / 9) + np.cos(x / 7)).reshape(*shape[:2], *(1,) * (len(shape) - 2))
    top = np.iinfo(dtype).max
    return np.clip((smooth / 5 + 0.5 + noise / 60) * top, 0, top).astype(dtype)


def through(path: Path, *fidelity: object) -> Path:
    """`path` compressed, and written back elsewhere under its name."""
    command("compress", path, *fidelity, "-q", "--no-model")
    back = path.parent / "back"
    back.mkdir(exist_ok=True)
    command("decompress", f"{path}.aecz", "-o", back / path.name, "-q")
    return back / path.name


@pytest.mark.parametrize(
    "array",
    [picture(), picture(shape=(40, 56)), picture(shape=(40, 56), dtype="u2"), picture(shape=(20, 30, 4))],
    ids=["colour", "grey", "grey of 16 bits", "alpha"],
)
def test_png_comes_back_as_it_was(tmp_path, array):
    image.fromarray(array).save(tmp_path / "p.png")
    back = np.asarray(image.open(through(tmp_path / "p.png")))
    assert np.array_equal(back, array)


def test_black_and_white_and_palette(tmp_path):
    image.fromarray(picture(shape=(40, 56)) > 100).save(tmp_path / "b.png")
    assert np.array_equal(np.asarray(image.open(through(tmp_path / "b.png"))), picture(shape=(40, 56)) > 100)
    image.fromarray(picture()).quantize(16).save(tmp_path / "q.png")
    kept = image.open(through(tmp_path / "q.png"))
    assert np.array_equal(np.asarray(kept), np.asarray(image.open(tmp_path / "q.png").convert("RGB")))


def test_colour_profile_and_exif_are_kept(tmp_path):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = image.Exif()
    exif[0x010F] = "Camera"
    image.fromarray(picture()).save(tmp_path / "p.png", icc_profile=profile, exif=exif)
    with image.open(through(tmp_path / "p.png")) as back:
        assert back.info["icc_profile"] == profile
        assert back.getexif()[0x010F] == "Camera"


def test_a_photo_by_quality_with_the_shipped_model(tmp_path):
    image.fromarray(picture()).save(tmp_path / "photo.jpg", quality=95)
    command("compress", tmp_path / "photo.jpg", "--quality", 60)
    facts = json.loads(CliRunner().invoke(app, ["info", str(tmp_path / "photo.jpg.aecz"), "--json"]).stdout)
    assert facts["fidelity"]["kind"] == "quality"
    assert facts["metadata"]["format"] == "JPEG"
    (tmp_path / "photo.jpg").unlink()
    command("decompress", tmp_path / "photo.jpg.aecz")
    with image.open(tmp_path / "photo.jpg") as back:
        assert (back.format, back.size) == ("JPEG", (56, 40))


def test_animations_keep_every_frame(tmp_path):
    frames = [image.fromarray(picture(seed)) for seed in range(3)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], duration=[50, 70, 90])
    with image.open(through(tmp_path / "a.png")) as back:
        assert back.n_frames == 3
        back.seek(2)
        assert np.array_equal(np.asarray(back.convert("RGB")), picture(2))
        assert back.info["duration"] == 90


def test_colours_of_16_bits_are_not_cut_to_8(tmp_path):
    av = pytest.importorskip("av")
    frame = av.VideoFrame.from_ndarray(picture(dtype="u2"), format="rgb48le").reformat(format="rgb48be")
    with av.open(str(tmp_path / "deep.png"), "w", format="image2") as out:
        stream = out.add_stream("png", rate=1)
        stream.height, stream.width, stream.pix_fmt = 40, 56, "rgb48be"
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    assert "has colours of 16 bits, of which Pillow keeps 8; save it as TIFF" in refused("compress", tmp_path / "deep.png")


@pytest.mark.parametrize(
    ("shape", "dtype", "axes"),
    [
        ((40, 56), "u2", "YX"),
        ((6, 40, 56), "u2", "ZYX"),
        ((5, 3, 20, 30), "f4", "TCYX"),
        ((40, 56, 3), "u1", "YXS"),
        ((7, 20, 30), "i2", "QYX"),
    ],
)
def test_tiff_of_any_dtype_and_stacks(tmp_path, shape, dtype, axes):
    tifffile = pytest.importorskip("tifffile")
    array = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    tifffile.imwrite(tmp_path / "s.tif", array, metadata={"axes": axes}, photometric="rgb" if axes == "YXS" else "minisblack")
    back = through(tmp_path / "s.tif")
    assert np.array_equal(tifffile.imread(back), array)
    assert tifffile.imread(back).dtype == array.dtype
    with tifffile.TiffFile(back) as file, tifffile.TiffFile(tmp_path / "s.tif") as before:
        assert file.series[0].axes == before.series[0].axes
        assert file.pages[0].photometric == before.pages[0].photometric


def test_tiff_within_a_bound_and_imagej_hyperstacks(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    array = picture(shape=(40, 56), dtype="u2")[None].repeat(4, 0)
    tifffile.imwrite(tmp_path / "h.tif", array, imagej=True, metadata={"axes": "TYX", "unit": "um"}, resolution=(2.0, 2.0))
    back = through(tmp_path / "h.tif", "--max-error", 20)
    assert np.abs(tifffile.imread(back).astype(int) - array).max() <= 20
    with tifffile.TiffFile(back) as file:
        assert file.pages[0].resolution == (2.0, 2.0)


def test_tiff_that_holds_images_of_several_kinds_is_refused(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    with tifffile.TiffWriter(tmp_path / "two.tif") as file:
        file.write(picture(shape=(40, 56)))
        file.write(picture(shape=(20, 30)))
    assert "holds 2 series of images that are not alike" in refused("compress", tmp_path / "two.tif")
    (tmp_path / "none.tif").write_bytes(b"II*\0 no")
    assert "is not a TIFF that can be read" in refused("compress", tmp_path / "none.tif")


def _video(path: Path, frames: np.ndarray, codec: str, pixels: str) -> None:
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=24)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], pixels
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24" if frame.ndim == 3 else "gray")))
        out.mux(stream.encode())


def _frames(path: Path, form: str = "rgb24") -> np.ndarray:
    av = pytest.importorskip("av")
    with av.open(str(path)) as file:
        return np.stack([frame.to_ndarray(format=form) for frame in file.decode(video=0)])


def test_video_comes_back_exactly_in_matroska(tmp_path):
    frames = np.stack([picture(seed) for seed in range(5)])
    _video(tmp_path / "v.mkv", frames, "ffv1", "bgr0")
    back = through(tmp_path / "v.mkv")
    assert np.array_equal(_frames(back), frames)
    av = pytest.importorskip("av")
    with av.open(str(back)) as file:
        assert file.streams.video[0].average_rate == 24
    with aecodec.open(tmp_path / "v.mkv.aecz") as f:
        assert (f.shape, f.axes, f.metadata["codec"]) == ((5, 40, 56, 3), "tyxc", "ffv1")


def test_grey_video_and_video_of_16_bits(tmp_path):
    frames = np.stack([picture(seed, (40, 56)) for seed in range(3)])
    _video(tmp_path / "g.mkv", frames, "ffv1", "gray")
    assert np.array_equal(_frames(through(tmp_path / "g.mkv"), "gray"), frames)
    pytest.importorskip("av")
    deep = np.stack([picture(seed, dtype="u2") for seed in range(3)])
    (tmp_path / "d.mkv.aecz").write_bytes(aecodec.compress(deep, False, "tyxc"))
    command("decompress", tmp_path / "d.mkv.aecz")
    assert np.array_equal(_frames(tmp_path / "d.mkv", "rgb48le"), deep)
    assert np.array_equal(_frames(through(tmp_path / "d.mkv", "-f"), "rgb48le"), deep)


def test_video_within_a_bound_comes_back_as_mp4(tmp_path):
    frames = np.stack([picture(seed) for seed in range(4)])
    _video(tmp_path / "v.mp4", frames, "libx264", "yuv420p")
    seen = _frames(tmp_path / "v.mp4")
    back = through(tmp_path / "v.mp4", "--max-error", 4)
    with aecodec.open(tmp_path / "v.mp4.aecz") as f:
        assert np.abs(f.read().astype(int) - seen).max() <= 4
    assert _frames(back).shape == frames.shape  # H.264 again: near, and playable


def test_what_is_no_video(tmp_path):
    pytest.importorskip("av")
    (tmp_path / "x.mp4").write_bytes(b"no video" * 100)
    assert "is not a video that FFmpeg can read" in refused("compress", tmp_path / "x.mp4")
    (tmp_path / "f.mkv.aecz").write_bytes(aecodec.compress(np.zeros((2, 4, 4), "f4"), axes="tyx"))
    assert "cannot be a .mkv video; use uint8 or uint16" in refused("decompress", tmp_path / "f.mkv.aecz")


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_U8", "FLOAT", "DOUBLE"])
def test_sound_comes_back_as_it_was(tmp_path, subtype):
    soundfile = pytest.importorskip("soundfile")
    t = np.arange(8000) / 8000
    wave = np.stack([np.sin(2200 * t), 0.3 * np.sin(3100 * t + 1)], axis=1)
    soundfile.write(tmp_path / "s.wav", wave, 8000, subtype)
    back = through(tmp_path / "s.wav")
    before, after = soundfile.info(tmp_path / "s.wav"), soundfile.info(back)
    assert (after.samplerate, after.channels, after.subtype, after.format) == (8000, 2, subtype, "WAV")
    assert before.frames == after.frames
    assert np.array_equal(soundfile.read(back)[0], soundfile.read(tmp_path / "s.wav")[0])


def test_sound_within_a_bound_and_to_another_format(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    wave = (8000 * np.sin(np.arange(8000) / 9)).astype("i2")
    soundfile.write(tmp_path / "s.wav", wave, 8000)
    command("compress", tmp_path / "s.wav", "--max-error", 10)
    command("decompress", tmp_path / "s.wav.aecz", "-o", tmp_path / "s.flac")
    back, rate = soundfile.read(tmp_path / "s.flac", dtype="int16")
    assert rate == 8000
    assert np.abs(back.astype(int) - wave).max() <= 10
    (tmp_path / "x.wav").write_bytes(b"RIFF no")
    assert "is not a sound file that libsndfile can read" in refused("compress", tmp_path / "x.wav")
    (tmp_path / "u.wav.aecz").write_bytes(aecodec.compress(np.zeros((2, 2, 2), "u8"), axes="tyx"))
    assert "cannot be a .wav sound; use int16" in refused("decompress", tmp_path / "u.wav.aecz")


def test_many_files_and_folders_in_parallel_with_one_model(tmp_path):
    folder = tmp_path / "photos" / "deep"
    folder.mkdir(parents=True)
    for seed in range(5):
        image.fromarray(picture(seed)).save((folder if seed > 2 else folder.parent) / f"{seed}.png")
    (folder / "notes.txt").write_text("of no known kind")
    said = command("compress", tmp_path / "photos", "-o", f"{tmp_path}/packed/", "-m", "photo", "--quality", 60, "-T", 2)
    assert said.count("->") == 5
    found = sorted(path.relative_to(tmp_path / "packed").as_posix() for path in (tmp_path / "packed").rglob("*.aecz"))
    assert found == ["0.png.aecz", "1.png.aecz", "2.png.aecz", "deep/3.png.aecz", "deep/4.png.aecz"]
    command("decompress", tmp_path / "packed", "-o", f"{tmp_path}/again/", "-q")
    for seed, name in enumerate(("0.png", "1.png", "2.png", "deep/3.png", "deep/4.png")):
        error = np.asarray(image.open(tmp_path / "again" / name)).astype(float) - picture(seed)
        assert np.sqrt(np.square(error).mean()) < 20


def test_one_bad_file_of_many_does_not_stop_the_others(tmp_path):
    for seed in range(3):
        image.fromarray(picture(seed)).save(tmp_path / f"{seed}.png")
    (tmp_path / "1.png").write_bytes(b"no image")
    said = refused("compress", *sorted(tmp_path.glob("*.png")), "--no-model")
    assert "1.png : failed:" in said
    assert "1 of 3 files failed" in said
    assert (tmp_path / "0.png.aecz").exists()
    assert (tmp_path / "2.png.aecz").exists()


def test_outputs_of_many_are_never_the_same(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        image.fromarray(picture()).save(tmp_path / name / "same.png")
    both = (tmp_path / "a" / "same.png", tmp_path / "b" / "same.png")
    assert "two inputs would become" in refused("compress", *both, "-o", tmp_path)
    (tmp_path / "empty").mkdir()
    assert "is a folder without files of a known kind" in refused("compress", tmp_path / "empty")


def test_the_command_takes_urls_on_either_side(tmp_path, monkeypatch):
    fsspec = pytest.importorskip("fsspec")
    pytest.importorskip("moto.server")
    image.fromarray(picture()).save(tmp_path / "p.png")
    np.save(tmp_path / "x.npy", picture())
    with s3_server() as endpoint:
        for name, value in {
            "ENDPOINT_URL": endpoint,
            "ACCESS_KEY_ID": "a",
            "SECRET_ACCESS_KEY": "b",
            "DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        fs = fsspec.filesystem("s3", skip_instance_cache=True)
        fsspec.filesystem("s3").clear_instance_cache()
        fs.mkdir("bucket")
        command("compress", tmp_path / "p.png", "-o", "s3://bucket/p.png.aecz", "--no-model")
        assert "exists; choose another name with -o" in refused("compress", tmp_path / "p.png", "-o", "s3://bucket/p.png.aecz")
        command("decompress", "s3://bucket/p.png.aecz")  # s3://bucket/p.png
        fs.put(str(tmp_path / "x.npy"), "bucket/in/x.npy")
        fs.put(str(tmp_path / "p.png"), "bucket/in/deep/p.png")
        command("compress", "s3://bucket/in", "-o", "s3://bucket/out/", "--no-model")
        fs.invalidate_cache()
        assert sorted(fs.find("bucket/out")) == ["bucket/out/deep/p.png.aecz", "bucket/out/x.npy.aecz"]
        command("decompress", "s3://bucket/out/x.npy.aecz", "-o", tmp_path / "y.npy")
        assert np.array_equal(np.load(tmp_path / "y.npy"), picture())
        command("verify", "s3://bucket/out/x.npy.aecz", "--against", "s3://bucket/in/x.npy")
        assert "uint8" in CliRunner().invoke(app, ["info", "s3://bucket/out/x.npy.aecz"]).stdout
        with fs.open("bucket/p.png") as file:
            assert np.array_equal(np.asarray(image.open(file)), picture())
        fsspec.filesystem("s3").clear_instance_cache()


@pytest.mark.parametrize(
    ("module", "name", "message"),
    [
        ("PIL", "x.png", "reading images needs Pillow, which is not installed: pip install 'aecodec[images]'"),
        ("tifffile", "x.tif", "reading TIFF needs tifffile, which is not installed: pip install 'aecodec[images]'"),
        ("av", "x.mp4", "reading video needs PyAV, which is not installed: pip install 'aecodec[video]'"),
        ("soundfile", "x.wav", "reading sound needs soundfile, which is not installed: pip install 'aecodec[audio]'"),
    ],
)
def test_what_is_not_installed_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch, module, name, message):
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / name).write_bytes(b"any")
    assert message in refused("compress", tmp_path / name)


def test_kinds_are_found_by_suffix():
    kinds = {name: kind_of(name) for name in ("a.PNG", "s3://bucket/a.tiff", "a.wav", "a.mkv", "a.npy")}
    assert [kind.name if kind else None for kind in kinds.values()] == ["image", "tiff", "audio", "video", "npy"]
    assert kind_of("a.bin") is None


def test_importing_the_registry_imports_no_library_of_a_kind():
    libraries = ("PIL", "tifffile", "av", "soundfile", "fsspec")
    code = f"import sys, aecodec.integrations.kinds; print([m for m in {libraries} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_errors_are_kinds_of_ours(tmp_path):
    (tmp_path / "x.png").write_bytes(b"no")
    with pytest.raises(FormatError):
        kind_of("x.png").load(tmp_path / "x.png")
    with aecodec.open(BytesIO(aecodec.compress(np.zeros((2, 2), "c8"), axes="yx"))) as f:
        with pytest.raises(UsageError, match=r"cannot be a \.tif image"):
            kind_of("x.tif").write(f, tmp_path / "y.tif", ".tif")
        with pytest.raises(UsageError, match=r"cannot be a \.png image"):
            kind_of("x.png").write(f, tmp_path / "y.png", ".png")
