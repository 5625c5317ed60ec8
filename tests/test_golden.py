"""Golden files: what was written once is read to the same bytes for ever, by both executors."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from golden.make import LARGEST, array_of
from golden.make_models import array_of as model_array
from golden.make_models import found as given_by

import aecodec
from aecodec.codec import float_mode, hidden_mode, lattice_mode, predicted_mode
from aecodec.codec.chunk import Mode
from aecodec.codec.hidden import Form
from aecodec.models.bundle import Bundle
from aecodec.models.manifest import PARTS
from aecodec.packing.lossless import DIFFERENCED, PLAIN, SHUFFLED, STORED

FOLDER = Path(__file__).parent / "golden"
# Flags that files of each mode must show, each set somewhere and unset elsewhere.
FLAGS = {
    Mode.LATTICE: (lattice_mode.LATENTS, lattice_mode.CLASSES, lattice_mode.CHECKSUM, lattice_mode.PER_CHANNEL),
    Mode.LATENTS: (lattice_mode.CLASSES, lattice_mode.CHECKSUM),
    Mode.FLOATS: (float_mode.ORDERED, float_mode.CLASSES, float_mode.EXCEPTIONS),
    Mode.HIDDEN: (hidden_mode.PER_CHANNEL, hidden_mode.CLASSES, hidden_mode.EXCEPTIONS),
    Mode.PREDICTED: (predicted_mode.CLASSES, predicted_mode.EXCEPTIONS, predicted_mode.PER_CHANNEL, predicted_mode.CONSTANT),
}
NAMES = sorted(path.stem for path in FOLDER.glob("*.aecz"))
MODELS = sorted(path.stem for path in FOLDER.glob("*.aecm"))


def described(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def test_there_are_golden_files_of_every_chunk_mode_filter_and_flag():
    assert NAMES, f"no golden files in {FOLDER.name}/: make them with python tests/golden/make.py"
    heads = [bytes.fromhex(head) for name in NAMES for head in described(name)["expected"]["heads"]]
    assert {head[0] for head in heads} == set(Mode)
    assert {head[1] for head in heads if head[0] == Mode.BYTES} == {PLAIN, SHUFFLED, DIFFERENCED, STORED}
    for mode, flags in FLAGS.items():
        for flag in flags:
            assert {head[1] & flag for head in heads if head[0] == mode} == {0, flag}, (mode.name, flag)
    assert {head[1] & 7 for head in heads if head[0] == Mode.HIDDEN} == set(Form)


def test_every_golden_file_has_its_description_and_the_other_way_round():
    assert sorted(path.stem for path in FOLDER.glob("*.json")) == sorted([*NAMES, *(f"{name}.model" for name in MODELS)])


@pytest.mark.parametrize("provider", ["cpu", "reference"])
@pytest.mark.parametrize("name", NAMES)
def test_a_golden_file_is_read_to_the_same_bytes(name, provider):
    expected = described(name)["expected"]
    data = (FOLDER / f"{name}.aecz").read_bytes()
    assert len(data) <= LARGEST
    restored = aecodec.decompress(data, provider=provider)
    assert list(restored.shape) == expected["shape"]
    assert restored.dtype.str == expected["dtype"]
    assert hashlib.sha256(restored.tobytes()).hexdigest() == expected["sha256"]


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_file_still_has_the_chunks_it_was_made_with(name):
    with aecodec.open(FOLDER / f"{name}.aecz") as f:
        bodies = [f.container.chunk(i).body for i in range(f.container.index.starts.size)]
        assert [bytes(body[:2]).hex() for body in bodies] == described(name)["expected"]["heads"]
        assert f.complete
        assert f.metadata == described(name)["recipe"]["compress"].get("metadata", {})


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_file_holds_what_its_recipe_asked_for(name):
    recipe = described(name)["recipe"]
    array = array_of(recipe["kind"], tuple(recipe["shape"]), recipe["dtype"])
    restored = aecodec.decompress((FOLDER / f"{name}.aecz").read_bytes())
    x, x_hat = reals(array), reals(restored)
    if x.dtype.kind == "f":
        assert np.array_equal(np.isnan(x), np.isnan(x_hat))
        finite = np.isfinite(x)
        assert np.array_equal(x[~finite & ~np.isnan(x)], x_hat[~finite & ~np.isnan(x)])
        x, x_hat = np.where(finite, x, 0), np.where(finite, x_hat, 0)
    distance = np.abs(x.astype("f8") - x_hat.astype("f8"))
    asked = recipe["compress"]
    if "max_error" in asked:
        limit = np.reshape(asked["max_error"], (1, -1, 1, 1)) if np.ndim(asked["max_error"]) else asked["max_error"]
        assert (distance <= limit).all()
    elif "max_point_error" in asked:
        assert (distance <= asked["max_point_error"] * np.abs(x.astype("f8"))).all()
    elif "psnr" in asked:
        assert np.sqrt((distance**2).mean()) <= np.ptp(x) * 10 ** (-asked["psnr"] / 20)
    elif "quality" not in asked:
        assert restored.tobytes() == array.tobytes()


@pytest.mark.parametrize("provider", ["cpu", "reference"])
@pytest.mark.parametrize("name", MODELS)
def test_a_golden_model_is_read_to_the_same_parts(name, provider):
    description = json.loads((FOLDER / f"{name}.model.json").read_text())
    model = aecodec.load_model(FOLDER / f"{name}.aecm", provider)
    assert given_by(model, description["recipe"], provider) == {k: v for k, v in description["expected"].items() if k != "id"}
    assert model.id == description["expected"]["id"]
    x = model_array(description["recipe"])
    axes = description["recipe"]["fit"]["axes"]
    data = aecodec.compress(x, model, axes=axes, max_error=0.5)
    assert np.abs(aecodec.decompress(data).astype("f8") - x).max() <= 0.5  # the part is none of decoding's business


def test_there_are_golden_models_of_the_parts_that_decode_nothing():
    bundles = [Bundle.from_bytes((FOLDER / f"{name}.aecm").read_bytes()) for name in MODELS]
    assert any(bundle.restorer is not None for bundle in bundles)
    assert any(bundle.sampler is not None for bundle in bundles)
    assert (PARTS.index("restorer"), PARTS.index("sampler")) == (13, 14)


def reals(array):
    """The real numbers of an array, in native byte order."""
    native = array.astype(array.dtype.newbyteorder("="))
    return native.view(f"f{native.dtype.itemsize // 2}") if native.dtype.kind == "c" else native


def test_a_golden_file_is_never_rewritten():
    if not NAMES:
        pytest.skip("there are no golden files yet")
    before = (FOLDER / f"{NAMES[0]}.aecz").read_bytes()
    command = [sys.executable, str(FOLDER / "make.py"), NAMES[0]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"{NAMES[0]}.aecz exists; golden files are never rewritten" in done.stderr
    assert (FOLDER / f"{NAMES[0]}.aecz").read_bytes() == before


def test_a_golden_model_is_never_rewritten():
    before = (FOLDER / "sampler.aecm").read_bytes()
    command = [sys.executable, str(FOLDER / "make_models.py"), "sampler"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "sampler.aecm exists; golden files are never rewritten" in done.stderr
    assert (FOLDER / "sampler.aecm").read_bytes() == before
