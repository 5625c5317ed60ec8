"""The same bits from every executor: ONNX Runtime at any thread count and optimisation, the reference, and plain integers."""

import ast
import subprocess
import sys

import numpy as np
import onnx
import pytest
from conftest import smooth_field, walk
from onnx import numpy_helper

import aecodec
from aecodec.api.reader import Reader
from aecodec.codec.chunk import Mode
from aecodec.quantizer import symbol_limit
from aecodec.runtime.ort import OrtRun
from aecodec.runtime.reference import ReferenceRun

ERRORS = {"tcyx": 0.05, "tc": 0.01, "tyx": 0.02}


@pytest.fixture(scope="module")
def models(model, field):
    """Models of several shapes: fields, series, one with a reference field, one of small odd tiles."""
    series = np.stack([walk(2000, seed) for seed in range(5)], axis=1)
    seasonal = smooth_field((1, 1, 24, 24), 9) * 5 + smooth_field((40, 1, 24, 24), 3)
    return {
        "fields": model,
        "series": aecodec.fit(series, axes="tc", max_error=0.01, provider="cpu"),
        "reference field": aecodec.fit(seasonal, axes="tcyx", max_error=0.02, reference=True, provider="cpu"),
        "odd tile": aecodec.fit(field, axes="tcyx", max_error=0.1, tile=(3, 2, 5, 7), provider="cpu"),
        "spread": aecodec.fit(field, axes="tcyx", provider="cpu"),
    }


NAMES = ["fields", "series", "reference field", "odd tile", "spread"]


def latents_of(model, kind, seed=0):
    """Integer decoder inputs: typical ones, and the largest that the manifest allows."""
    manifest = model.manifest
    random = np.random.default_rng(seed)
    if kind == "largest":
        return random.choice([-1.0, 1.0], (5, manifest.latents)) * float(manifest.latent_limit)
    step = max(1, int(1 / manifest.latent_unit))
    top = symbol_limit(step, manifest.latent_limit)
    symbols = np.clip(np.rint(random.laplace(0, 30, (40, manifest.latents))), -top, top)
    return symbols * step


@pytest.mark.parametrize("kind", ["typical", "largest"])
@pytest.mark.parametrize("name", NAMES)
def test_every_executor_gives_the_same_bits(models, name, kind):
    decoder = models[name].bundle.decoder
    y_hat = latents_of(models[name], kind)
    expected = ReferenceRun(decoder)(y_hat).tobytes()
    for threads in (1, 2):
        for optimise in (False, True):
            assert OrtRun(decoder, "cpu", threads, optimise)(y_hat).tobytes() == expected, (threads, optimise)


def integers_of(decoder):
    """The integer constants of a linear decoder: order of latents, channel basis, and the spatial basis as they are used."""
    constants = {t.name: numpy_helper.to_array(t) for t in onnx.load_model_from_string(decoder).graph.initializer}
    rows, columns = constants["row_basis"].astype(object), constants["column_basis"].astype(object)
    bits = int(-np.log2(float(constants["descale"])))
    fine = np.multiply.outer(rows, columns).transpose(0, 2, 1, 3).reshape(rows.shape[0] * columns.shape[0], -1)
    shift = 40 - bits
    return constants["position"], constants["channel_basis"].astype(object), halves_to_even(fine, shift), bits


def halves_to_even(values, shift):
    """Python integers divided by 2**shift, rounded to nearest, halves to even."""

    def divided(value):
        quotient, rest = value >> shift, value & ((1 << shift) - 1)
        half = 1 << (shift - 1)
        return quotient + (rest > half or (rest == half and quotient & 1))

    return np.frompyfunc(divided, 1, 1)(values)


@pytest.mark.parametrize("kind", ["typical", "largest"])
@pytest.mark.parametrize("name", ["fields", "series"])
def test_a_decoder_computes_what_unlimited_integers_do(models, name, kind):
    decoder, (t, c, h, w) = models[name].bundle.decoder, models[name].manifest.tile
    position, channels, space, bits = integers_of(decoder)
    y_hat = latents_of(models[name], kind)[:2]
    natural = y_hat.astype(np.int64).astype(object)[:, position].reshape(len(y_hat), h * w, t * c)
    by_frequency = halves_to_even(natural @ channels, bits)
    x = halves_to_even(by_frequency.transpose(0, 2, 1) @ space, bits).reshape(-1, t, c, h, w)
    assert np.array_equal(OrtRun(decoder, "cpu", 1)(y_hat), x.astype(np.float64))


def cases(models, field):
    """A file of every chunk mode that has anything to do with a model or without, by name."""
    holes = field.copy()
    holes[3, 0, 4:9] = np.nan
    holes[5, 1, 7, 7] = -np.inf
    integers = np.rint(field * 100).astype(np.int32)
    m = models["fields"]
    return {
        Mode.BYTES: [aecodec.compress(np.random.default_rng(0).bytes(4000))],
        Mode.FLOATS: [aecodec.compress(field, axes="tcyx")],
        Mode.HIDDEN: [aecodec.compress(np.rint(field * 100) / 100, axes="tcyx")],
        Mode.CONSTANT: [aecodec.compress(np.full_like(field, 2.5), axes="tcyx", max_error=0.1)],
        Mode.LATTICE: [
            aecodec.compress(field, m, "tcyx", max_error=0.05),
            aecodec.compress(holes, m, "tcyx", max_error=[0.05, 0.1]),
            aecodec.compress(integers, models["spread"], "tcyx", max_error=9),
            aecodec.compress(field, False, "tcyx", max_error=0.05),
        ],
        Mode.LATENTS: [
            aecodec.compress(field, m, "tcyx", psnr=45),
            aecodec.compress(holes, models["odd tile"], "tcyx", quality=60),
        ],
        Mode.LADDER: [aecodec.compress(holes, axes="tcyx", max_point_error=0.01)],
    }


def test_files_of_every_mode_decode_to_the_same_bytes_by_both_executors(models, field):
    for mode, files in cases(models, field).items():
        for data in files:
            assert Reader(data).container.chunk(0).body[0] == mode
            expected = aecodec.decompress(data, provider="cpu", threads=1)
            assert aecodec.decompress(data, provider="reference", threads=1).tobytes() == expected.tobytes()
            assert aecodec.decompress(data, provider="cpu", threads=2).tobytes() == expected.tobytes()


def test_encoding_with_the_reference_executor_keeps_the_bound(field, model):
    reference = aecodec.Model(model.bundle, "reference")
    data = aecodec.compress(field[:6], reference, "tcyx", max_error=0.05)
    assert np.abs(aecodec.decompress(data, provider="cpu") - field[:6]).max() <= 0.05


WITHOUT_RUNTIME = """
import sys, warnings
sys.modules["onnxruntime"] = None
import aecodec
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for name in sys.argv[1:]:
        with open(name, "rb") as f:
            array = aecodec.decompress(f.read())
        with open(name + ".raw", "wb") as f:
            f.write(array.tobytes())
        with aecodec.open(name) as f:
            assert f.model.bundle.encoder is not None
            f[2]
print([(w.category.__name__, str(w.message)) for w in caught if w.category is RuntimeWarning])
"""


def test_without_onnx_runtime_decoding_warns_once_and_gives_equal_bytes(tmp_path, field, model):
    files = {"a": aecodec.compress(field, model, "tcyx", max_error=0.05), "b": aecodec.compress(field, model, "tcyx", psnr=40)}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    command = [sys.executable, "-c", WITHOUT_RUNTIME, *(str(tmp_path / name) for name in files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    warned = ast.literal_eval(done.stdout)
    assert len(warned) == 1
    assert warned[0][1].startswith("ONNX Runtime is not installed; models run on the slow reference executor, with the same result")
    for name, data in files.items():
        assert (tmp_path / f"{name}.raw").read_bytes() == aecodec.decompress(data, provider="cpu").tobytes()


def test_without_onnx_runtime_cuda_is_never_replaced():
    code = "import sys; sys.modules['onnxruntime'] = None\nimport aecodec; from aecodec.runtime import load_executor\n"
    code += "try: load_executor(b'', 'cuda')\nexcept ImportError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "provider='cuda' needs onnxruntime-gpu, which is not installed: pip install 'aecodec[gpu]'\n"


def test_unknown_providers_are_refused(model):
    with pytest.raises(aecodec.AecodecError) as caught:
        aecodec.Model(model.bundle, "tpu")
    assert str(caught.value) == "provider='tpu' is unknown; use one of cpu, cuda, auto, reference"


def test_a_graph_that_is_no_graph_is_a_model_error():
    with pytest.raises(aecodec.AecodecError, match="ONNX Runtime cannot load the model: "):
        OrtRun(b"not a graph", "cpu", 1)


def test_an_input_of_the_wrong_shape_is_a_model_error(model):
    with pytest.raises(aecodec.AecodecError, match=r"ONNX Runtime failed on input \(2, 3\) float64: "):
        OrtRun(model.bundle.decoder, "cpu", 1)(np.zeros((2, 3)))
