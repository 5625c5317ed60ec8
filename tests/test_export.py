"""From a recipe to a bundle that ships, on small synthetic data; and what keeps a model from being shipped."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import smooth_field
from graphs import node
from PIL import Image

import aecodec
from aecodec.models.bundle import Bundle

sys.path.append(str(Path(__file__).parent.parent))

from export import checks  # found by the path above
from export.data import load
from export.errors import ExportError
from export.executors import check_batches, sessions
from export.graphs import graphs_of
from export.measuring import measure
from export.pipeline import Settings, run
from export.provenance import check_names_no_machine
from export.recipe import find_recipe, load_recipe

ROOT = Path(__file__).parent.parent
TINY = """
axes = "tcyx"
seed = 3
[[data]]
path = "fields/wind.npy"
source = "made up"
licence = "none"
train = [0, 16]
held_out = [16, 24]
[train]
networks = ["autoencoder"]
family = "vanilla"
steps = 10
[train.fidelity]
max_error = 0.05
[suits]
dtypes = ["float32"]
axes = ["tcyx"]
fidelity = ["max_error"]
[[measure]]
max_error = 0.05
[[measure]]
psnr = 40
"""
PICTURES = """
axes = "yxc"
seed = 0
[[data]]
path = "photos"
files = "*.png"
source = "made up"
licence = "none"
group = '^(\\w+)_\\d+\\.png$'
held_out = 0.25
[train]
networks = ["autoencoder"]
[[measure]]
quality = 50
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, field):
    """A data folder with a field of 24 steps, and 16 pictures in 8 groups."""
    top = tmp_path_factory.mktemp("data")
    (top / "fields").mkdir()
    np.save(top / "fields" / "wind.npy", field)
    (top / "photos").mkdir()
    for group in range(8):
        for crop in range(2):
            values = np.full((16, 24, 3), 16 * group + crop, np.uint8)
            Image.fromarray(values).save(top / "photos" / f"source{group}_{crop}.png")
    return top


def recipe_of(tmp_path, text=TINY, name="tiny"):
    path = tmp_path / f"{name}.toml"
    path.write_text(text)
    return load_recipe(path)


@pytest.fixture(scope="module")
def fitted(field, tmp_path_factory):
    """The path of a model of the training part."""
    path = tmp_path_factory.mktemp("models") / "fitted.aecm"
    aecodec.fit(field[:16], axes="tcyx", max_error=0.05, provider="cpu").save(path)
    return path


@pytest.fixture
def settings(tmp_path, folder, fitted):
    return Settings(folder, tmp_path / "work", tmp_path, fitted)


def resaved(settings, bundle, tmp_path):
    """The settings with another bundle."""
    path = tmp_path / "changed.aecm"
    path.write_bytes(bundle.sealed().to_bytes())
    return dataclasses.replace(settings, from_model=path)


def test_a_recipe_leads_to_a_bundle_that_ships(tmp_path, settings, field, fitted):
    said = []
    settings = dataclasses.replace(settings, output=tmp_path / "new" / "models")
    made = run(recipe_of(tmp_path), settings, said.append)
    bundle = Bundle.from_bytes((tmp_path / "new" / "models" / "tiny.aecm").read_bytes())
    assert bundle.id == made.id
    manifest, before = bundle.manifest, aecodec.load_model(fitted).manifest
    assert manifest.suits.to_json() == {"dtypes": ["float32"], "axes": ["tcyx"], "fidelity": ["max_error"]}
    assert manifest.parts == before.parts
    found = manifest.provenance
    assert found["recipe"] == {"name": "tiny", "sha256": recipe_of(tmp_path).digest, "seed": 3}
    assert found["method"] == before.provenance["method"]
    assert found["training"] == "made before this export"
    assert found["data"][0] | {"sha256": ""} == {
        "path": "fields/wind.npy",
        "source": "made up",
        "licence": "none",
        "train": [0, 16],
        "held_out": [16, 24],
        "along": "t",
        "sha256": "",
    }
    assert {"python", "numpy", "onnxruntime"} <= set(found["versions"])
    bounded, noisy = found["metrics"]
    held_out = field[16:]
    data = aecodec.compress(held_out, bundle, "tcyx", max_error=0.05, embed_model=False)
    assert bounded["bits_per_value"] == round(8 * len(data) / held_out.size, 5)
    assert bounded["worst_error"] <= 0.05
    assert noisy["psnr"] >= 40
    assert set(found["checks"]["exact"]) == {"decoder", "predictor"}
    assert found["checks"]["exact"]["decoder"].startswith(f"inputs to {manifest.latent_limit}, outputs to ")
    assert "ORT_DISABLE_ALL, ORT_ENABLE_BASIC, ORT_ENABLE_EXTENDED" in found["checks"]["executors"]
    assert str(tmp_path) not in str(manifest.to_json())
    assert said[1] == "training: skipped for fitted.aecm"
    with pytest.raises(ExportError, match=r"tiny\.aecm is there already; pass --force to replace it"):
        run(recipe_of(tmp_path), settings)
    assert run(recipe_of(tmp_path), dataclasses.replace(settings, overwrite=True)).id == made.id


def test_the_command_checks_without_writing_and_fails_in_one_line(tmp_path, folder, fitted):
    (tmp_path / "tiny.toml").write_text(TINY)

    def command(*arguments):
        line = [sys.executable, "-m", "export", *map(str, arguments), "--data", str(folder), "--output", str(tmp_path)]
        return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)

    done = command(tmp_path / "tiny.toml", "--from-model", fitted, "--check-only")
    assert done.returncode == 0, done.stderr
    assert "files of 2 fidelities decode to the same bits by every executor" in done.stdout
    assert not (tmp_path / "tiny.aecm").exists()
    failed = command("gale")
    assert failed.returncode == 1
    assert failed.stderr.startswith("export: no recipe 'gale'; there are ")
    assert len(failed.stderr.splitlines()) == 1


def test_a_model_that_is_too_large_is_refused(tmp_path, settings, monkeypatch):
    whole = len(run(recipe_of(tmp_path), dataclasses.replace(settings, output=None)).to_bytes())
    for most in (5000, whole - 1):  # too little for the model, and enough for it but not for its provenance
        monkeypatch.setattr(checks, "MOST_BYTES", most)
        with pytest.raises(ExportError, match=rf"the model has \d+ bytes, at most {most} are shipped; make it narrower"):
            run(recipe_of(tmp_path), settings)
    assert not (tmp_path / "tiny.aecm").exists()
    monkeypatch.setattr(checks, "MOST_BYTES", whole)
    run(recipe_of(tmp_path), settings)
    assert (tmp_path / "tiny.aecm").stat().st_size == whole


def test_a_model_that_is_not_exact_is_refused(tmp_path, settings):
    bundle = aecodec.load_model(settings.from_model).bundle
    inexact = dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, exact=False))
    with pytest.raises(ExportError, match="does not declare itself exact"):
        run(recipe_of(tmp_path), resaved(settings, inexact, tmp_path))
    limit = dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, latent_limit=2**52)).sealed()
    with pytest.raises(ExportError, match=r"the model is not sound: .* need more than 53 bits"):
        checks.check_bundle(limit)
    with pytest.raises(ExportError, match="the model has no encoder"):
        checks.check_bundle(dataclasses.replace(bundle, encoder=None).sealed())
    assert not (tmp_path / "tiny.aecm").exists()


def changed_graph(graph, added, constants=None):
    """The graph with nodes behind it; they take "made" to "result"."""
    model = onnx.load_model_from_string(graph)
    output = model.graph.output[0].name
    model.graph.node[-1].output[0] = "made"
    model.graph.node.extend(added)
    model.graph.node[-1].output[0] = output
    for name, value in (constants or {}).items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    return model.SerializeToString()


def test_an_encoder_that_looks_at_the_rest_of_the_batch_is_refused(settings):
    bundle = aecodec.load_model(settings.from_model).bundle
    first = {"zero": np.zeros(1, np.int64)}
    nodes = [node("Gather", "made zero", "first", axis=0), node("Add", "made first", "result")]
    mixed = dataclasses.replace(bundle, encoder=changed_graph(bundle.encoder, nodes, first)).sealed()
    with pytest.raises(
        ExportError,
        match=r"encoder \(ORT_DISABLE_ALL, 1 threads\) on typical input at batch 2 and one by one: they differ by up to",
    ):
        checks.check_bundle(mixed)


def test_a_decoder_that_looks_at_the_rest_of_the_batch_is_refused(fitted):
    bundle = aecodec.load_model(fitted).bundle
    graph = changed_graph(
        bundle.decoder,
        [node("Gather", "made zero", "first", axis=0), node("Add", "made first", "result")],
        {"zero": np.zeros(1, np.int64)},
    )
    y = np.ones((7, bundle.manifest.latents))
    run_it = next(iter(sessions(graph).values()))
    y[1:] = 2
    with pytest.raises(ExportError, match=r"graph at batch 2 and one by one: \d+ of \d+ values differ, all must be the same bits"):
        check_batches("graph", run_it, {"latents": y})


def test_each_graph_is_tried_on_typical_and_largest_inputs_of_several_kinds(fitted):
    bundle = aecodec.load_model(fitted).bundle
    graphs = {graph.name: graph for graph in graphs_of(bundle)}
    assert set(graphs) == {"encoder", "decoder", "predictor"}
    assert [what for what, _ in graphs["encoder"].trials(7)] == ["typical input"]
    largest = dict(graphs["decoder"].trials(7))["largest input"]
    (values,) = largest.values()
    assert values.shape == (7, bundle.manifest.latents)
    assert np.array_equal(np.abs(values), np.full_like(values, bundle.manifest.latent_limit))
    predictor = graphs["predictor"]
    assert predictor.kinds == bundle.manifest.predictor.kinds
    trials = dict(predictor.trials(2))
    kinds = (0, predictor.kinds // 2, predictor.kinds - 1)
    assert list(trials) == [f"{size} input of kind {kind}" for size in ("typical", "largest") for kind in kinds]
    planes = trials["typical input of kind 0"]["planes"]
    assert planes.dtype == np.float32
    assert np.array_equal(planes, np.rint(planes))
    assert [graph.tolerance for graph in graphs.values()] == [1e-3, 0.0, 0.0]


def test_graphs_with_other_inputs_are_refused(fitted):
    bundle = aecodec.load_model(fitted).bundle
    predictor = onnx.load_model_from_string(bundle.predictor)
    predictor.graph.input[1].name = "sort"
    with pytest.raises(ExportError, match="the predictor has the inputs planes, sort; one is due, or one and kind"):
        graphs_of(dataclasses.replace(bundle, predictor=predictor.SerializeToString()))
    predictor.graph.input[1].name = "kind"
    for each in predictor.graph.node:
        each.op_type = "Identity" if each.op_type == "Gather" else each.op_type
    with pytest.raises(ExportError, match="the predictor has an input kind that picks no constants"):
        graphs_of(dataclasses.replace(bundle, predictor=predictor.SerializeToString()))


@pytest.fixture(scope="module")
def tiles():
    """A network of tiles in torch, its export and the steps that it is for."""
    pytest.importorskip("torch")
    from map_models import STEPS, network, smooth

    from aecodec.training.autoencoder_export import Target, export_autoencoder

    made = network((1, 3, 4, 4), (3, 9, 48), 0)
    examples = [smooth((1, 48, 16, 16), i).astype(np.float32) for i in range(2)]
    target = Target("yxc", (1, 3, 4, 4), (128.0,) * 3, (1.0,) * 3)
    return made, export_autoencoder(made, STEPS, examples, target, "vanilla", {})


def test_torch_gives_what_the_graphs_of_a_network_do(tiles):
    from export.torch_graphs import check_as_in_torch

    assert check_as_in_torch(*tiles) == ["encoder", "decoder", "prior-1", "prior-2"]


@pytest.mark.parametrize(
    ("name", "part"),
    [("synthesis", "decoder"), ("analysis", "encoder"), ("priors.0.last.bias", "prior-1"), ("encoder.last.bias", "encoder")],
)
def test_a_network_that_went_on_after_its_export_is_noticed(tiles, name, part):
    import torch

    from export.torch_graphs import check_as_in_torch

    made, bundle = tiles
    parameter = dict(made.named_parameters())[name]
    before = parameter.detach().clone()
    with torch.no_grad():
        parameter.add_(1.0)
    with pytest.raises(ExportError, match=f"{part} on typical input of kind 0, by torch and by ONNX Runtime: "):
        check_as_in_torch(made, bundle)
    with torch.no_grad():
        parameter.copy_(before)


def test_a_decoder_may_differ_by_its_two_roundings_and_no_more():
    from export.executors import check_same

    expected = np.array([3.0, -400.0])
    check_same("decoder", expected + np.array([0.99, 0.0]), expected, 1e-3, 1.0)
    with pytest.raises(ExportError, match=r"differ by up to 1\.5, values go up to 400, 0\.001 of that and 1 are allowed"):
        check_same("decoder", expected + np.array([1.5, 0.0]), expected, 1e-3, 1.0)


def test_a_model_that_lacks_what_was_trained_is_noticed(tiles, fitted):
    from export.torch_graphs import check_as_in_torch

    message = "the network has encoder, decoder, prior-1, prior-2, of these the model has encoder, decoder"
    with pytest.raises(ExportError, match=message):
        check_as_in_torch(tiles[0], aecodec.load_model(fitted).bundle)


def test_training_is_the_stage_before_and_torch_is_compared(tmp_path, monkeypatch):
    pytest.importorskip("aecodec.training.train")
    (tmp_path / "photos").mkdir()
    for number in range(4):
        values = np.clip(np.moveaxis(smooth_field((3, 48, 48), number), 0, -1) * 5 + 128, 0, 255).astype(np.uint8)
        Image.fromarray(values).save(tmp_path / "photos" / f"source{number}_0.png")
    text = PICTURES.replace("[train]\n", "[train]\ntile = [1, 3, 8, 8]\nwidth = 8\nsteps = 4\nbatch_size = 2\n", 1)
    text = text.replace("[[measure]]", "[train.fidelity]\nquality = 50\n[[measure]]")
    said = []
    with monkeypatch.context() as patched:
        patched.setattr("export.training.compare", lambda *_: (_ for _ in ()).throw(ExportError("they differ")))
        with pytest.raises(ExportError, match="they differ"):
            run(recipe_of(tmp_path, text), Settings(tmp_path, tmp_path / "other", tmp_path / "new"), said.append)
    assert (tmp_path / "other" / "tiny.trained.aecm").exists()  # for --from-model
    assert list((tmp_path / "new").iterdir()) == []
    settings = Settings(tmp_path, tmp_path / "work", tmp_path)
    made = run(recipe_of(tmp_path, text), settings, said.append)
    found = made.manifest.provenance["training"]
    assert found["seconds"] > 0
    assert (found["networks"], found["steps"], found["fidelity"]) == (["autoencoder"], 4, {"quality": 50})
    assert any(line.startswith("the same by torch and by ONNX Runtime: encoder, decoder, prior-1") for line in said)
    again = dataclasses.replace(settings, from_model=tmp_path / "work" / "tiny.trained.aecm", overwrite=True)
    assert run(recipe_of(tmp_path, text), again, said.append).id == made.id


def test_graphs_of_maps_are_proven_and_compared(tiles):
    shown = checks.check_bundle(tiles[1])
    assert set(shown["exact"]) == {"decoder", "prior-0", "prior-1", "prior-2"}


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ({"a": ["made in /home/user/models"]}, "/home/"),
        ({"a": {"/srv/data/": 1}}, "/srv/"),
        ({"a": "C:\\models"}, "C:"),
    ],
)
def test_provenance_names_no_place_on_a_machine(record, found):
    with pytest.raises(ExportError) as caught:
        check_names_no_machine(record)
    assert f"provenance holds a path of this machine, '{found}" in str(caught.value)


def test_addresses_and_relative_paths_are_no_places_on_a_machine():
    check_names_no_machine({"source": "https://github.com/Zelex/images", "path": "photos/train", "each": ["GPL-2+/CC", 3, None]})


def test_files_of_one_group_stay_together(tmp_path, folder):
    loaded = load(recipe_of(tmp_path, PICTURES), folder)
    left = {int(array[0, 0, 0]) for array in loaded.held_out}
    kept = {path.name for path in loaded.training}
    assert len(left) == 4
    assert {value // 16 for value in left} == {value // 16 for value in left if value % 16 == 0}
    assert kept == {f"source{g}_{c}.png" for g in range(8) for c in range(2) if 16 * g + c not in left}
    assert loaded.facts[0]["held_out"] == "4 files, 2 of 8 groups, drawn with seed 0"
    again = load(recipe_of(tmp_path, PICTURES), folder)
    assert again.facts == loaded.facts
    other = load(recipe_of(tmp_path, PICTURES.replace("seed = 0", "seed = 1")), folder)
    assert other.facts[0]["sha256"] == loaded.facts[0]["sha256"]
    assert {int(array[0, 0, 0]) for array in other.held_out} != left


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('source = "made up"\n', "", "'source' is missing"),
        ("seed = 3", "sede = 3", "recipe has unknown keys sede; known are axes, data, fit, measure, predictor, seed, suits, train"),
        ("[train]\n", "[fit]\ntile = [1, 2, 8, 8]\n[train]\n", "[train] and [fit] exclude each other"),
        ("train = [0", 'axes = "tcyx"\ntrain = [0', "[[data]] axes belong to recipes of a predictor alone; [train] and [fit] take"),
        (
            "[train]\n",
            "[predictor]\nshares = [0.1, 0.01]\n[train]\n",
            "[predictor] shares = [0.1, 0.01] must be two rising",
        ),
        ("train = [0", 'lengths = "a.npy"\ntrain = [0', "fields/wind.npy: lengths and labels come together"),
        ("train = [0", "gray = 3\ntrain = [0", "fields/wind.npy: gray must be true or false"),
        ('axes = "tcyx"\nseed', 'axes = "tcyq"\nseed', "axes='tcyq' has unknown letter(s) q"),
        ("steps = 10", "stepz = 10", "[train] has unknown keys stepz"),
        ("max_error = 0.05\n[suits]", "max_error = -1\n[suits]", "max_error=-1 is negative"),
        ("fields/wind.npy", "../wind.npy", "path '../wind.npy' must lie below the data folder"),
        ("train = [0, 16]", "train = [0, 17]", "fields/wind.npy: train [0, 17] and held_out [16, 24] overlap"),
        ("train = [0, 16]\n", "", "fields/wind.npy: train and held_out must each be [start, stop]"),
        ("train = [0, 16]", "train = [4, 4]", "[4, 4] is no range [start, stop]"),
        ("fields/wind.npy", "fields", "fields: held_out must be a share of its files between 0 and 1, and train left out"),
        ('["float32"]', '["f4"]', "suits: 'f4' is none of the dtypes"),
        ("psnr = 40", "psnr = 400", "psnr=400 dB is outside 0 to 300"),
        ("seed = 3", "seed = ", "Invalid value"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(tmp_path, old, new, message):
    assert old in TINY
    with pytest.raises(ExportError) as caught:
        recipe_of(tmp_path, TINY.replace(old, new))
    assert str(caught.value).startswith(f"recipe tiny.toml: {message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            TINY.replace("fields/wind.npy", "fields/gale.npy"),
            "tiny: there is no fields/gale.npy in the data folder; it comes from made up",
        ),
        (
            TINY.replace("[16, 24]", "[16, 25]"),
            "fields/wind.npy: (24, 2, 32, 40) with axes 'tcyx' has no ranges (0, 16) and (16, 25)",
        ),
        (PICTURES.replace("0.25", "0.01"), "photos: 16 files in 8 groups, too few to hold out 0.01 of them"),
        (
            PICTURES.replace("source", "crop").replace("crop =", "source =").replace("(\\w+)_", "(\\d+)_"),
            "photos/source0_0.png does not",
        ),
    ],
)
def test_data_that_are_not_as_the_recipe_says_are_refused(tmp_path, folder, text, message):
    with pytest.raises(ExportError) as caught:
        load(recipe_of(tmp_path, text), folder)
    assert str(caught.value).startswith(message)


def test_measures_are_of_all_that_was_held_out(field, fitted):
    model = aecodec.load_model(fitted, "cpu")
    holes = field[:4].copy()
    holes[0, 0, :3, :3] = np.nan
    (found,) = measure(model, [holes, field[20:]], "tcyx", [{"max_error": 0.05}])
    files = [aecodec.compress(x, model, "tcyx", max_error=0.05, embed_model=False) for x in (holes, field[20:])]
    error = np.concatenate([aecodec.decompress(f, model=model) - x for f, x in zip(files, (holes, field[20:]), strict=True)])
    span = max(np.nanmax(holes), field[20:].max()) - min(np.nanmin(holes), field[20:].min())
    assert found["bits_per_value"] == round(8 * sum(map(len, files)) / error.size, 5)
    assert found["worst_error"] == pytest.approx(np.nanmax(np.abs(error)), rel=1e-4)
    assert found["psnr"] == pytest.approx(10 * np.log10(span**2 / np.nansum(error**2.0) * error.size), abs=1e-3)
    assert found["without_model_bits_per_value"] > 0


def test_pictures_are_measured_against_255():
    x = np.clip(smooth_field((40, 48, 3)) * 5 + 128, 0, 255).astype(np.uint8)
    model = aecodec.fit(x, axes="yxc", provider="cpu")
    (found,) = measure(model, [x], "yxc", [{"quality": 30}])
    decoded = aecodec.decompress(aecodec.compress(x, model, "yxc", quality=30))
    mse = np.square(decoded.astype(float) - x).mean()
    assert found["quality"] == 30
    assert found["psnr"] == round(10 * np.log10(255**2 / mse), 4)


def test_every_recipe_here_is_sound():
    recipes = sorted((ROOT / "export" / "recipes").glob("*.toml"))
    assert recipes
    for path in recipes:
        assert load_recipe(find_recipe(path.stem)).name == path.stem


def test_a_small_field_is_notcropped_and_a_large_one_keeps_its_channels():
    x = smooth_field((2, 3, 8, 8))
    assert checks.cropped(x, "tcyx", "tzyx").shape == x.shape
    large = np.zeros((64, 3, 100, 200))
    assert checks.cropped(large, "tcyx", "tzyx").shape == (16, 3, 13, 25)
    assert checks.cropped(large, "tcyx", "tz").shape == (1, 3, 100, 200)


GRAY = """
axes = "yx"
seed = 0
[[data]]
path = "photos"
files = "*.png"
gray = true
source = "made up"
licence = "none"
held_out = 0.25
[fit]
tile = [1, 1, 8, 8]
[predictor]
linear = true
shares = [0.01, 0.02]
[[measure]]
quality = 50
[[measure]]
lossless = true
"""


def test_a_closed_form_and_a_linear_predictor_may_ship_together(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "photos").mkdir()
    for number in range(4):
        rows = 48 if number else 96  # which is cut into pieces as large as the others
        values = np.clip(np.moveaxis(smooth_field((3, rows, 48), number), 0, -1) * 5 + 128, 0, 255).astype(np.uint8)
        Image.fromarray(values).save(tmp_path / "photos" / f"{number}.png")
    bundle = run(recipe_of(tmp_path, GRAY), Settings(tmp_path, tmp_path / "work", tmp_path), lambda _line: None)
    assert bundle.manifest.tile == (1, 1, 8, 8)
    assert bundle.manifest.predictor.spacing == 16
    assert not bundle.manifest.any_channels
    coarse, exact = bundle.manifest.provenance["metrics"]
    assert exact["worst_error"] == 0
    assert coarse["bits_per_value"] < coarse["without_model_bits_per_value"]
