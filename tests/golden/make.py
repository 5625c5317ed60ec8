"""Makes the golden files: `python tests/golden/make.py [NAME...]`. A file that exists is never written again.

Each name gives NAME.aecz and NAME.json: the recipe below, shape, dtype and SHA-256 of the decoded bytes, and `heads`, the
first two bytes of each chunk: its mode, and its flags or filter. A golden file
shows that what one version wrote every later one reads to the same bytes; so it is made once, by the version that
introduced the feature in its name. Recipes with a `network` need tests/ on PYTHONPATH.
"""

import argparse
import hashlib
import importlib
import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import aecodec
from aecodec.api.reader import Reader
from aecodec.models.bundle import Bundle
from aecodec.models.predictor_network import network_graph
from aecodec.models.predictor_only import predictor_only

FOLDER = Path(__file__).parent
LARGEST = 40 << 10

# kind, shape and dtype of the array; `compress` holds the arguments of aecodec.compress; `fit`, where there, those of a model,
# fitted on the array, or on one of `fit_kind`; `inexact`: it does not claim to be exact, so that chunks
# carry checksums, and has no predictor; `network`: which of map_models.py's; `shipped`: which of those in the package;
# `predictor`: a network of random weights for this layout, by which chunks are predicted whatever would be smaller.
RECIPES: dict[str, dict] = {
    "bytes-stored": {"kind": "noise", "shape": [40], "dtype": "<f8", "compress": {"axes": "t"}},
    "bytes-plain": {"kind": "repeats", "shape": [30, 50], "dtype": "|u1", "compress": {"axes": "tc", "max_error": 0}},
    "bytes-shuffled": {"kind": "fractions", "shape": [1500], "dtype": ">f4", "compress": {"axes": "t"}},
    "bytes-differenced": {"kind": "ramp", "shape": [1500], "dtype": "<f4", "compress": {"axes": "t"}},
    "bool": {"kind": "sparse", "shape": [60, 50], "dtype": "|b1", "compress": {"axes": "yx"}},
    "constant": {"kind": "constant", "shape": [4, 3, 8, 8], "dtype": "<f2", "compress": {"axes": "tcyx", "max_error": 0.1}},
    "no-dimensions": {"kind": "constant", "shape": [], "dtype": "<f8", "compress": {"axes": ""}},
    "chained-index": {
        "kind": "smooth",
        "shape": [10, 6, 8],
        "dtype": "<f4",
        "append": [8, 9],
        "flush": 1,
        "compress": {"axes": "tyx", "max_error": 0.5},
    },
    "joined": {"kind": "smooth", "shape": [6, 12, 16], "dtype": "<i2", "join": [2, 5], "compress": {"axes": "tyx"}},
    "empty": {"kind": "noise", "shape": [5, 0, 3], "dtype": "<i4", "compress": {"axes": "tcy"}},
    "lattice": {"kind": "smooth", "shape": [6, 24, 32], "dtype": "<f4", "compress": {"axes": "tyx", "max_error": 0.1}},
    "lattice-lossless-integers": {"kind": "smooth", "shape": [3, 24, 32], "dtype": ">i2", "compress": {"axes": "tyx"}},
    "lattice-per-channel": {
        "kind": "smooth",
        "shape": [4, 2, 24, 32],
        "dtype": "<f8",
        "compress": {"axes": "tcyx", "max_error": [0.1, 0.5]},
    },
    "lattice-classes": {"kind": "holes", "shape": [4, 24, 32], "dtype": "<f4", "compress": {"axes": "tyx", "max_error": 0.1}},
    "lattice-weighted": {
        "kind": "drifts",
        "shape": [8, 30, 40],
        "dtype": "<f4",
        "compress": {"axes": "tyx", "max_error": 0.05, "level": 1},
    },
    "lattice-complex": {"kind": "walk", "shape": [900], "dtype": ">c8", "compress": {"axes": "t", "max_error": 0.5}},
    "lattice-columns": {"kind": "smooth", "shape": [24, 60], "dtype": "<i4", "compress": {"axes": "cx", "max_error": 3}},
    "latents-and-lattice": {
        "kind": "waves",
        "shape": [6, 24, 32],
        "dtype": "<f4",
        "fit": {"axes": "tyx", "max_error": 0.5, "tile": [1, 1, 8, 8], "reference": False},
        "compress": {"axes": "tyx", "max_error": 0.5},
    },
    "latents-reference-field": {
        "kind": "seasonal",
        "shape": [8, 2, 16, 16],
        "dtype": "<f4",
        "fit": {"axes": "tcyx", "max_error": 0.5, "tile": [2, 2, 8, 8], "reference": True},
        "compress": {"axes": "tcyx", "max_error": 0.5},
    },
    "latents-psnr": {
        "kind": "smooth",
        "shape": [6, 24, 32],
        "dtype": "<f4",
        "fit": {"axes": "tyx", "tile": [1, 1, 8, 8], "reference": False},
        "compress": {"axes": "tyx", "psnr": 40},
    },
    "latents-quality-classes": {
        "kind": "holes",
        "shape": [6, 24, 32],
        "dtype": "<f4",
        "fit": {"axes": "tyx", "tile": [1, 1, 8, 8], "reference": False},
        "compress": {"axes": "tyx", "quality": 50},
    },
    "ladder": {"kind": "spread", "shape": [40, 40], "dtype": "<f8", "compress": {"axes": "yx", "max_point_error": 0.02}},
    "ladder-integers": {"kind": "walk", "shape": [1500], "dtype": "<i4", "compress": {"axes": "t", "max_point_error": 0.05}},
    "ladder-exceptions": {"kind": "subnormal", "shape": [800], "dtype": "<f4", "compress": {"axes": "t", "max_point_error": 0.01}},
    "metadata": {
        "kind": "walk",
        "shape": [100],
        "dtype": "<u8",
        "compress": {"axes": "t", "metadata": {"unit": "K", "n": [1, None]}},
    },
    "appended": {"kind": "walk", "shape": [300], "dtype": "<i8", "append": [100, 250], "compress": {"axes": "t", "max_error": 2}},
    "floats-fixed": {"kind": "smooth", "shape": [3, 16, 24], "dtype": "<f4", "compress": {"axes": "tyx"}},
    "floats-classes": {"kind": "holes", "shape": [4, 12, 24], "dtype": ">f8", "compress": {"axes": "tyx"}},
    "floats-ordered": {"kind": "magnitudes", "shape": [1500], "dtype": "<f4", "compress": {"axes": "t"}},
    "hidden-decimal": {"kind": "hundredths", "shape": [3, 2, 16, 24], "dtype": "<f4", "compress": {"axes": "tcyx"}},
    "hidden-affine": {"kind": "affine", "shape": [3, 16, 24], "dtype": "<f8", "compress": {"axes": "tyx"}},
    "hidden-digits": {"kind": "digits", "shape": [3000], "dtype": "<f4", "compress": {"axes": "t"}},
    "hidden-integers": {"kind": "sevens", "shape": [1500], "dtype": "<i4", "compress": {"axes": "t"}},
    "hidden-wide": {"kind": "times", "shape": [1500], "dtype": "<u8", "compress": {"axes": "t"}},
    "floats-exceptions": {"kind": "other-nans", "shape": [3, 12, 24], "dtype": "<f8", "compress": {"axes": "tyx"}},
    "hidden-narrow": {"kind": "narrow", "shape": [3, 20, 30], "dtype": "<f4", "compress": {"axes": "tyx"}},
    "hidden-per-channel": {"kind": "affines", "shape": [3, 2, 16, 24], "dtype": "<f8", "compress": {"axes": "tcyx"}},
    "predicted-time": {
        "kind": "drifts",
        "shape": [9, 24, 32],
        "dtype": "<f4",
        "fit": {"axes": "tyx", "max_error": 0.5, "tile": [1, 1, 8, 8], "reference": False},
        "compress": {"axes": "tyx", "max_error": 0.5},
    },
    "predicted-channels": {
        "kind": "drifts",
        "shape": [2, 48, 48],
        "dtype": "<f8",
        "fit": {"axes": "cyx", "max_error": 1.0, "tile": [1, 2, 8, 8], "reference": False},
        "compress": {"axes": "cyx", "max_error": 1.0},
    },
    "predicted-channel-pyramid": {
        "kind": "drifts",
        "shape": [20, 16, 16],
        "dtype": "<f4",
        "fit": {"axes": "cyx", "max_error": 1.0, "tile": [1, 1, 8, 8], "reference": False},
        "compress": {"axes": "cyx", "max_error": 1.0},
    },
    "predicted-constant-sites": {
        "kind": "later-coast",
        "shape": [9, 24, 24],
        "dtype": "<f4",
        "fit_kind": "coast",
        "fit": {"axes": "tyx", "max_error": 0.5, "tile": [1, 1, 8, 8], "reference": True},
        "compress": {"axes": "tyx", "max_error": 0.5},
    },
    "predicted-integers": {
        "kind": "drifts",
        "shape": [9, 32, 32],
        "dtype": "<i2",
        "fit": {"axes": "tyx", "tile": [1, 1, 8, 8], "reference": False, "max_error": 0.5},
        "compress": {"axes": "tyx"},
    },
    "predicted-integers-error": {
        "kind": "drifts",
        "shape": [9, 24, 24],
        "dtype": "|i1",
        "fit": {"axes": "tyx", "tile": [1, 1, 8, 8], "reference": False, "max_error": 1},
        "compress": {"axes": "tyx", "max_error": 1},
    },
    "predicted-any-channels": {
        "kind": "smooth",
        "shape": [3, 3, 12, 14],
        "dtype": "<i4",
        "predictor": {"reach": 2, "classes": 2, "sources": ["before", "after", "channel-1", "zero"], "spacing": 16, "alone": True},
        "compress": {"axes": "tcyx", "max_error": 2},
    },
    "predicted-network": {
        "kind": "drifts",
        "shape": [5, 14, 18],
        "dtype": "<f4",
        "fit": {"axes": "tyx", "max_error": 0.5, "tile": [1, 1, 8, 8], "reference": False},
        "predictor": {"reach": 2, "sources": ["before", "zero"]},
        "compress": {"axes": "tyx", "max_error": 0.5},
    },
    "predicted-zeros": {
        "kind": "dry",
        "shape": [5, 14, 18],
        "dtype": "<f4",
        "fit": {"axes": "tyx", "max_error": 0.5, "tile": [1, 1, 8, 8], "reference": False},
        "predictor": {"reach": 2, "sources": ["before", "zero"], "zeros": True},
        "compress": {"axes": "tyx", "max_error": 0.5},
    },
    "float16": {"kind": "smooth", "shape": [3, 12, 14], "dtype": "<f2", "compress": {"axes": "tyx"}},
    "float16-lattice": {"kind": "smooth", "shape": [3, 12, 14], "dtype": ">f2", "compress": {"axes": "tyx", "max_error": 0.5}},
    "complex-lossless": {"kind": "smooth", "shape": [3, 12, 14], "dtype": "<c16", "compress": {"axes": "tyx"}},
    "latents-lattice-checksum": {
        "kind": "waves",
        "shape": [6, 24, 32],
        "dtype": "<f4",
        "fit": {"axes": "tyx", "max_error": 0.5, "tile": [1, 1, 8, 8], "reference": False},
        "inexact": True,
        "compress": {"axes": "tyx", "max_error": 0.5},
    },
    "latents-checksum": {
        "kind": "smooth",
        "shape": [6, 24, 32],
        "dtype": "<f4",
        "fit": {"axes": "tyx", "tile": [1, 1, 8, 8], "reference": False},
        "inexact": True,
        "compress": {"axes": "tyx", "quality": 50},
    },
    "highest-level": {
        "kind": "smooth",
        "shape": [6, 24, 32],
        "dtype": "<f4",
        "compress": {"axes": "tyx", "max_error": 0.1, "level": 9},
    },
    "slices": {
        "kind": "smooth",
        "shape": [13, 14, 3],
        "dtype": "<f4",
        "network": "image_model",
        "compress": {"axes": "yxc", "quality": 60, "value_range": [-50, 50]},
    },
    "slices-series": {
        "kind": "smooth",
        "shape": [100, 2],
        "dtype": "<f4",
        "network": "series_model",
        "compress": {"axes": "tc", "quality": 80, "value_range": [-50, 50]},
    },
    "photo": {
        "kind": "picture",
        "shape": [40, 48, 3],
        "dtype": "|u1",
        "shipped": "photo",
        "compress": {"axes": "yxc", "quality": 20},
    },
    "photo-complete": {
        "kind": "static",
        "shape": [20, 28, 3],
        "dtype": "|u1",
        "shipped": "photo",
        "compress": {"axes": "yxc", "quality": 30},
    },
    "photo-lattice": {
        "kind": "static",
        "shape": [20, 28, 3],
        "dtype": "<f4",
        "shipped": "photo",
        "compress": {"axes": "yxc", "max_error": 120},
    },
}


def array_of(kind: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """The array of a recipe."""
    random = np.random.default_rng(20)
    count = int(np.prod(shape))
    if kind == "constant":
        values = np.full(count, 2.5)
    elif kind == "repeats":
        values = np.resize(random.integers(0, 256, 37), count)
    elif kind == "ramp":
        values = 100 + np.arange(count) * 0.25
    elif kind == "fractions":
        values = 1 + random.random(count)
    elif kind == "subnormal":
        values = random.normal(size=count) * 10.0 ** random.integers(-44, -36, count)
    elif kind == "sparse":
        values = (random.random(count) < 0.05) * 1.0
    elif kind == "magnitudes":
        values = np.exp(np.cumsum(random.normal(size=count) * 0.3))
    elif kind == "digits":
        values = np.array([float(f"{v:.2e}") for v in random.normal(size=count) ** 3])
    elif kind == "static":
        values = random.integers(0, 256, count) * 1.0
    elif kind == "sevens":
        values = 7 * np.cumsum(random.integers(-20, 21, count)) + 3
    elif kind == "times":
        values = 1_600_000_000_000_000_000 + np.cumsum(random.integers(0, 1 << 20, count)) + np.arange(count) // 500 * 2**40
    elif kind == "walk":
        values = 100 + np.cumsum(random.normal(size=count) * 3)
    elif kind == "spread":
        values = random.normal(size=count) * 10.0 ** random.integers(-3, 3, count)
        values[::50] = [[0.0, -0.0, np.nan, np.inf][i % 4] if dtype == "<f8" else 0.0 for i in range(len(values[::50]))]
    else:
        values = random.normal(size=count)
    if kind == "waves":
        t, y, x = np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij")
        waves = ((40, 1, 1.3, 0.7), (25, -2, 2.1, 3.2), (10, 3, 5.0, 4.0))
        values += sum(a * np.cos(2 * np.pi * (ft * t + fy * y + fx * x)) for a, ft, fy, fx in waves).reshape(-1)
    if kind == "picture":
        values = np.rint(np.clip(smooth(values.reshape(shape).transpose(2, 0, 1)).transpose(1, 2, 0) * 2 + 128, 0, 255))
    if kind in ("smooth", "holes", "seasonal"):
        values = smooth(values.reshape(shape))
        if kind == "seasonal":
            values += 30 * smooth(random.normal(size=(1, *shape[1:])))
        if kind == "holes":
            values[1, 5:9, 3:20] = np.nan
            values[2, 7, 7], values[3, 8, 8] = np.inf, -np.inf
    if kind in ("hundredths", "affine"):
        whole = np.rint(smooth(values.reshape(shape)) * 8)
        values = whole * 0.0018310826276035 + 281.123 if kind == "affine" else whole / 100
        values[0, ..., 1, 2:5] = [np.pi, -0.0, np.inf]
    if kind == "other-nans":
        values = smooth(values.reshape(shape))
        values[1, 5, 3:9], values[2, 7, 7] = np.nan, -np.nan
    if kind == "narrow":
        whole = np.cumsum(random.integers(-9, 10, shape), axis=-1)
        return whole.astype("f4") * np.float32(0.37) + np.float32(11.1)
    if kind == "affines":
        whole = np.rint(smooth(values.reshape(shape)) * 8)
        values = whole * np.array([0.0018310826276035, 0.0571]).reshape(-1, 1, 1) + np.array([281.123, -7.7]).reshape(-1, 1, 1)
    if kind in ("drifts", "dry", "coast", "later-coast"):
        values = drifting(random, shape)
        if kind == "dry":
            values = np.where(values > 2, values + 10, 0)
        if kind in ("coast", "later-coast"):
            values[:, 5:, 8:] = drifting(random, shape)[0, 5:, 8:]
        if kind == "later-coast":
            values[2:4, 2, 3:6], values[5, 9, 12] = np.nan, 100.0
    return values.reshape(shape).astype(dtype)


def drifting(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """(count, rows, columns): smooth fields that change a little from one to the next."""
    count, rows, columns = shape
    values = random.normal(size=(count, rows + 8, columns + 8))
    for _ in range(8):
        values = (values[:, 1:] + values[:, :-1]) / 2
        values = (values[:, :, 1:] + values[:, :, :-1]) / 2
    for i in range(1, count):
        values[i] = 0.9 * values[i - 1] + 0.4375 * values[i]
    return values * 60


def smooth(noise: np.ndarray) -> np.ndarray:
    """Noise summed along its last two axes."""
    return np.cumsum(np.cumsum(noise, axis=-1), axis=-2)


def make(name: str) -> tuple[bytes, dict]:
    """The file of a recipe, and what is expected of it."""
    recipe = RECIPES[name]
    array = array_of(recipe["kind"], tuple(recipe["shape"]), recipe["dtype"])
    model = False
    if "fit" in recipe:
        model = aecodec.fit(
            array_of(recipe.get("fit_kind", recipe["kind"]), tuple(recipe["shape"]), recipe["dtype"]), **recipe["fit"]
        )
        if recipe.get("inexact"):
            bundle = model.bundle
            manifest = replace(bundle.manifest, exact=False, predictor=None)
            model = aecodec.Model(replace(bundle, manifest=manifest, predictor=None).sealed())
    if "network" in recipe:
        model = getattr(importlib.import_module("map_models"), recipe["network"])()
    if "shipped" in recipe:
        model = aecodec.load_model(recipe["shipped"])
    if "append" in recipe:
        data = appended(array, recipe)
    elif "predictor" in recipe:
        data = by_network(array, model.bundle if model else None, recipe)
    elif "join" in recipe:
        parts = np.split(array, recipe["join"])
        data = b"".join(aecodec.compress(part, model, threads=1, **recipe["compress"]) for part in parts)
    else:
        data = aecodec.compress(array, model, threads=1, **recipe["compress"])
    restored = aecodec.decompress(data)
    with Reader(data) as reader:
        heads = [bytes(reader.container.chunk(i).body[:2]).hex() for i in range(reader.container.index.starts.size)]
    expected = {
        "shape": list(restored.shape),
        "dtype": restored.dtype.str,
        "sha256": hashlib.sha256(restored.tobytes()).hexdigest(),
        "heads": heads,
    }
    return data, {"recipe": recipe, "expected": expected, "writer": f"aecodec {aecodec.__version__}"}


def by_network(array: np.ndarray, bundle: Bundle | None, recipe: dict) -> bytes:
    """A file of one chunk, predicted by a network, which may be `alone`, for any number of channels."""
    sys.path.insert(0, str(FOLDER.parent))
    from mode7_files import layout_of, predicted_file, random_network, remade

    alone = recipe["predictor"].get("alone", False)
    layout = layout_of(**{key: value for key, value in recipe["predictor"].items() if key != "alone"})
    graph = network_graph(layout, random_network(layout))
    made = predictor_only(layout, graph, "tcyx", "predictor", {}) if alone else remade(bundle, layout, graph=graph)
    return predicted_file(array, model=aecodec.Model(made), **recipe["compress"])


def appended(array: np.ndarray, recipe: dict) -> bytes:
    """A file that was written, in chunks of `flush` steps if the recipe has it, closed and appended to."""
    out = io.BytesIO()
    for i, slab in enumerate(np.split(array, recipe["append"])):
        options = recipe["compress"] if i == 0 else {}
        with aecodec.open(out, "a" if i else "w", model=False, threads=1, **options) as f:
            for part in np.array_split(slab, -(-len(slab) // recipe.get("flush", len(slab)))):
                f.write(part)
                f.flush()
    return out.getvalue()


def main() -> int:
    """Make the files named, or all that are missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"by default all that have no file yet, of {', '.join(RECIPES)}")
    names = parser.parse_args().names
    if unknown := sorted(set(names) - set(RECIPES)):
        parser.error(f"no recipe for {', '.join(unknown)}")
    status = 0
    for name in names or [name for name in RECIPES if not (FOLDER / f"{name}.aecz").exists()]:
        target, beside = FOLDER / f"{name}.aecz", FOLDER / f"{name}.json"
        if target.exists() or beside.exists():
            sys.stderr.write(f"{target.name} exists; golden files are never rewritten\n")
            status = 1
            continue
        data, description = make(name)
        if len(data) > LARGEST:
            sys.stderr.write(f"{target.name} would have {len(data)} bytes, at most {LARGEST} are allowed\n")
            status = 1
            continue
        target.write_bytes(data)
        beside.write_text(json.dumps(description, indent=2) + "\n")
        sys.stdout.write(f"{target.name}: {len(data)} bytes, chunks begin with {', '.join(description['expected']['heads'])}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
