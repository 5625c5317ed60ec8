"""Mode 7 read by a second reader that was written from FORMAT.md alone: the same array, bit for bit."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import smooth_field, walk
from mode7_files import bodies_of, fitted, layout_of, predicted_file, remade, spec_of
from mode7_reader import CLASSES, CONSTANT, EXCEPTIONS, PER_CHANNEL, decode

import aecodec
from aecodec.phases import SOURCES

TIME, PYRAMID, ORDER, ZERO = SOURCES[:2], SOURCES[2:4], SOURCES[4:7], SOURCES[7:]


@pytest.fixture(scope="module")
def bundle():
    """A decoder to put predictors beside."""
    return fitted(smooth_field((6, 1, 8, 8)), "tcyx", max_error=0.5, reference=False, tile=(1, 1, 8, 8)).bundle


def read_again(data, model, spec):
    """The canonical array by the second reader, and the flags of its chunks."""
    bundle = model.bundle
    parts = {"predictor": bundle.predictor}
    if bundle.stored_reference is not None:
        parts["reference"] = bundle.stored_reference
    if bundle.stored_constant is not None:
        parts["constant"] = bundle.stored_constant
    found, flags = [], []
    for start, count, body in bodies_of(data):
        origin = (start if spec.stream_axis == 2 else 0, start if spec.stream_axis == 3 else 0)
        part = spec.with_length(count)
        found.append(decode(body, part.canonical_shape, spec.real_dtype, bundle.manifest.to_json(), parts, origin))
        flags.append(body[1])
    return np.concatenate(found, axis=spec.stream_axis), flags


def check(array, axes, model, max_error, cuts=(), flags=0):
    data = predicted_file(array, axes, model, max_error, cuts)
    spec = spec_of(array, axes)
    restored = aecodec.decompress(data, provider="cpu", threads=1)
    again, found = read_again(data, model, spec)
    assert spec.to_canonical(restored).tobytes() == again.tobytes()
    # Steps differ by channel wherever peaks do, asked for or not.
    assert {each | PER_CHANNEL for each in found} == {flags | PER_CHANNEL}
    assert not flags & PER_CHANNEL or all(each & PER_CHANNEL for each in found)
    x, x_hat = spec.to_canonical(array), spec.to_canonical(restored)
    kept = np.isfinite(x.astype("f8"))
    assert np.abs(x[kept].astype("f8") - x_hat[kept].astype("f8")).max(initial=0) <= np.max(max_error)
    return restored


LAYOUTS = {
    "one frame": (layout_of(), (1, 1, 19, 22)),
    "every frame a key": (layout_of(1, 0, 1, TIME), (3, 1, 9, 8)),
    "frames, each with its end missing": (layout_of(4, 0, 1, TIME), (7, 1, 9, 8)),
    "frames of a reach beyond them": (layout_of(32, 0, 1, ("before",)), (6, 1, 5, 9)),
    "channels in order": (layout_of(1, 0, 3, ORDER), (1, 5, 9, 8)),
    "channels in order, some sources": (layout_of(1, 0, 64, ("channel-3", "channel-1")), (2, 5, 6, 7)),
    "channel pyramid": (layout_of(1, 4, 1, PYRAMID), (1, 7, 9, 8)),
    "channel pyramid, and sources of the other walk": (layout_of(1, 2, 1, (*PYRAMID, *ORDER)), (1, 5, 6, 5)),
    "channel pyramid of reach 1": (layout_of(1, 1, 1, PYRAMID), (1, 3, 6, 5)),
    "channel pyramid beyond the channels": (layout_of(1, 32, 9, ("above",)), (1, 6, 6, 5)),
    "time and channels in order": (layout_of(2, 0, 2, TIME + ORDER), (4, 3, 6, 9)),
    "time and channel pyramid": (layout_of(4, 2, 1, ("above", "after", "before", "below")), (5, 4, 7, 6)),
    "no offsets": (layout_of(2, 0, 2, TIME + ORDER, False), (4, 3, 6, 9)),
    "no offsets in a pyramid": (layout_of(2, 4, 1, TIME + PYRAMID, False), (4, 5, 6, 7)),
    "one source of time": (layout_of(2, 0, 1, ("after",)), (4, 1, 9, 9)),
    "zero": (layout_of(2, 0, 1, ZERO), (3, 1, 9, 8)),
    "zero among others": (layout_of(2, 0, 2, ("after", *ZERO, "channel-1")), (4, 3, 6, 9)),
    "zero without offsets": (layout_of(1, 2, 1, (*ZERO, "below"), False), (2, 4, 7, 9)),
    "sources that are never there": (layout_of(2, 0, 1, (*PYRAMID, "channel-2")), (3, 1, 6, 6)),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout(bundle, name):
    layout, shape = LAYOUTS[name]
    model = aecodec.Model(remade(bundle, layout, shape[1], 3.25), "cpu")
    check(smooth_field(shape, 4), "tcyx", model, 0.2)


SIZES = [
    (1, 1),
    (1, 2),
    (2, 1),
    (1, 3),
    (3, 1),
    (2, 2),
    (1, 9),
    (9, 1),
    (2, 7),
    (7, 2),
    (4, 5),
    (5, 4),
    (8, 3),
    (9, 9),
    (1, 65),
    (66, 2),
]


@pytest.mark.parametrize("size", SIZES)
def test_every_size_of_plane(bundle, size):
    layout = layout_of(2, 0, 2, (*TIME, "channel-1"))
    model = aecodec.Model(remade(bundle, layout, 2), "cpu")
    steps = 40 if size == (1, 1) else 3
    array = np.random.default_rng(1).normal(size=(steps, 2, *size)).cumsum(axis=0).astype("f4")
    check(array, "tcyx", model, 0.05)


def test_series(bundle):
    array = np.stack([walk(150, seed) for seed in range(3)], axis=1)
    for layout in (layout_of(1, 0, 3, ORDER[:2]), layout_of(1, 2, 1, PYRAMID), layout_of(8, 0, 1, TIME)):
        check(array, "tc", aecodec.Model(remade(bundle, layout, 3, -1.5), "cpu"), 0.1)
    check(array[:1], "tc", aecodec.Model(remade(bundle, layout, 3), "cpu"), 0.1)


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8"])
def test_floats_of_every_width(bundle, dtype):
    model = aecodec.Model(remade(bundle, layout_of(2, 0, 1, TIME), 1, 100.0), "cpu")
    check((smooth_field((3, 1, 9, 10), 2, "f8") + 100).astype(dtype), "tcyx", model, 0.25)


def test_complex_numbers_are_two_channels(bundle):
    array = (smooth_field((1, 9, 10), 2) + 1j * smooth_field((1, 9, 10), 3)).astype(">c8")
    model = aecodec.Model(remade(bundle, layout_of(1, 0, 2, ORDER), 2), "cpu")
    check(array, "tyx", model, 0.25)


INTEGERS = [("|u1", 0), ("|i1", 3), ("<i2", 0), (">u2", 2), ("<i4", 0), ("<i4", 50_000), ("<u8", 7), ("<i8", 0)]


@pytest.mark.parametrize(("dtype", "error"), INTEGERS)
def test_integers(bundle, dtype, error):
    info = np.iinfo(dtype)
    scale = 1000 if error < 100 else 100_000
    values = np.clip(smooth_field((3, 1, 9, 10), 5, "f8") * scale + 60, info.min, info.max)
    model = aecodec.Model(remade(bundle, layout_of(2, 0, 1, TIME), 1, 60.5), "cpu")
    check(values.astype(dtype), "tcyx", model, error)


def test_integers_at_the_ends_of_64_bits_keep_their_offset(bundle):
    near = np.full((1, 1, 3, 3), 2**61, np.int64) - np.arange(9).reshape(1, 1, 3, 3)
    check(near, "tcyx", aecodec.Model(remade(bundle, layout_of(), 1, 2.0**61), "cpu"), 1, flags=EXCEPTIONS)


def test_steps_per_channel(bundle):
    model = aecodec.Model(remade(bundle, layout_of(2, 2, 1, TIME + PYRAMID), 3), "cpu")
    check(smooth_field((3, 3, 7, 8)), "tcyx", model, [0.05, 0.5, 0.125], flags=PER_CHANNEL)


def holes(shape, seed=0):
    array = smooth_field(shape, seed)
    array[0, 0, 2:5, 1:4] = np.nan
    array[-1, -1, 0, 0], array[-1, 0, -1, -1] = np.inf, -np.inf
    return array


def test_classes(bundle):
    model = aecodec.Model(remade(bundle, layout_of(2, 0, 2, TIME + ORDER), 2), "cpu")
    check(holes((3, 2, 9, 8)), "tcyx", model, 0.1, flags=CLASSES)
    series = walk(60)
    series[[0, 7, 32, 59]] = [np.nan, np.inf, -np.inf, np.nan]
    check(series, "t", aecodec.Model(remade(bundle, layout_of(), 1), "cpu"), 0.1, flags=CLASSES)


def test_shifts_of_steep_fields(bundle):
    model = aecodec.Model(remade(bundle, layout_of(2, 0, 2, TIME + ORDER), 2), "cpu")
    array = np.random.default_rng(0).normal(size=(3, 2, 9, 10)) * 10.0 ** np.arange(1, 7).reshape(3, 2, 1, 1)
    check(array, "tcyx", model, 1.0)


def constant_fields(random_seed=0, dtype="f4", shape=(4, 2, 9, 10)):
    """Fields of which a part never changes, that part, and the field itself."""
    field = smooth_field((1, *shape[1:]), 7, "f8")[0] * 3
    sites = np.zeros(shape[1:], bool)
    sites[:, 2:6, 3:], sites[0, -1, 0] = True, True
    array = field + np.where(sites, 0.0, smooth_field(shape, random_seed, "f8"))
    return array.astype(dtype), field, sites


@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
def test_constant_sites(bundle, dtype):
    array, field, sites = constant_fields(dtype=dtype)
    model = aecodec.Model(remade(bundle, layout_of(2, 0, 2, TIME + ORDER), 2, 0.75, None, field - 0.75, sites=sites), "cpu")
    check(array, "tcyx", model, 0.1, flags=CONSTANT)
    array[1, 0, 3, 4] += 50.0
    check(array, "tcyx", model, 0.1, flags=CONSTANT | EXCEPTIONS)
    array[2, 1, 3, 5] = np.nan
    check(array, "tcyx", model, 0.1, flags=CONSTANT | EXCEPTIONS | CLASSES)


def test_zero_lies_where_offset_and_reference_put_it(bundle):
    array, field, sites = constant_fields(dtype="f8")
    layout = layout_of(2, 0, 2, (*TIME, *ZERO))
    model = aecodec.Model(remade(bundle, layout, 2, 0.75, None, field - 0.75, sites=sites), "cpu")
    check(array, "tcyx", model, 0.1, flags=CONSTANT)
    check(array * [[[[1.0]], [[40.0]]]], "tcyx", model, [0.01, 0.4])
    whole = np.rint(array * 50).astype("i2")
    check(whole, "tcyx", aecodec.Model(remade(bundle, layout, 2, 60.5, None, np.rint(field * 50)), "cpu"), 2)
    series = np.stack([walk(150, seed) for seed in range(2)], axis=1) + 30
    check(series, "tc", aecodec.Model(remade(bundle, layout_of(1, 0, 2, ZERO), 2, [29.0, 31.0]), "cpu"), 0.1)


def test_zero_far_from_all_values_is_clipped_and_shifts_nothing(bundle):
    model = aecodec.Model(remade(bundle, layout_of(2, 0, 1, (*TIME, *ZERO)), 1, 1e30), "cpu")
    check(np.full((3, 1, 9, 10), 1e30) * (1 + 1e-6 * smooth_field((3, 1, 9, 10), 4, "f8")), "tcyx", model, 1e22)
    model = aecodec.Model(remade(bundle, layout_of(2, 0, 1, (*TIME, *ZERO)), 1, -5e5), "cpu")
    check(smooth_field((3, 1, 9, 10), 4, "f8") * 50 - 5e5, "tcyx", model, 0.1)


def test_constant_sites_of_integers_and_series(bundle):
    array, field, sites = constant_fields()
    model = aecodec.Model(remade(bundle, layout_of(), 2, 0.5, None, np.rint(field * 50) - 0.5, sites=sites), "cpu")
    changed = np.where(sites, np.rint(field * 50), np.rint(array * 50)).astype("i2")
    check(changed, "tcyx", model, 0, flags=CONSTANT)
    field = np.array([3.0, 5.0]).reshape(2, 1, 1)
    model = aecodec.Model(remade(bundle, layout_of(1, 0, 2, ORDER), 2, 0, None, field, sites=field == 3), "cpu")
    check(np.stack([np.full(50, 3.0), walk(50)], axis=1), "tc", model, 0.1, flags=CONSTANT)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(("dtype", "top"), [("<i8", 2.0**63), ("<u8", 2.0**64)])
def test_constant_sites_of_integers_beyond_the_lattice_are_clipped_as_others_are(bundle, dtype, top):
    field = np.full((1, 4, 4), top)
    model = aecodec.Model(remade(bundle, layout_of(), 1, 0, None, field, top / 2**20, sites=field > 0), "cpu")
    array = np.full((2, 1, 4, 4), int(top) - 1, np.uint64).astype(dtype)
    data = predicted_file(array, "tcyx", model, 0)
    again, _ = read_again(data, model, spec_of(array, "tcyx"))
    assert aecodec.decompress(data).tobytes() == again.tobytes() == array.tobytes()


def test_a_reference_field_in_chunks_of_rows_and_of_columns(bundle):
    _, field, sites = constant_fields(shape=(1, 2, 24, 11))
    array = (field + np.where(sites, 0.0, smooth_field((1, 2, 24, 11), 3, "f8")))[0].astype("f4")
    model = aecodec.Model(remade(bundle, layout_of(1, 0, 2, ORDER), 2, 0, None, field, sites=sites), "cpu")
    check(array, "cyx", model, 0.1, cuts=(4, 5), flags=CONSTANT)
    field = field.transpose(0, 2, 1)[:, :1]
    model = aecodec.Model(remade(bundle, layout_of(1, 0, 2, ORDER), 2, 0, None, field), "cpu")
    check((field[:, 0] + smooth_field((2, 24), 3)).astype("f4"), "cx", model, 0.1, cuts=(5, 20))


def test_exceptions(bundle):
    model = aecodec.Model(remade(bundle, layout_of(), 1, 0.0), "cpu")
    array = (smooth_field((1, 1, 6, 6), dtype="f8") * 1e-2 + 2.0**13).astype("<f4")
    check(array, "tcyx", model, 3.0)
    field = np.zeros((1, 6, 6))
    model = aecodec.Model(remade(bundle, layout_of(), 1, 0.0, None, field, sites=np.ones((1, 20, 20), bool)[:, :6, :6]), "cpu")
    array = np.zeros((30, 1, 6, 6), "f4")
    array[::9, 0, 1, 1] = 9.0
    check(array, "tcyx", model, 0.5, flags=CONSTANT | EXCEPTIONS)


@pytest.mark.parametrize(
    ("shape", "axes", "options"),
    [
        ((17, 2, 13, 12), "tcyx", {"reference": False}),
        ((9, 1, 10, 14), "tcyx", {"reference": True}),
        ((5, 6, 9, 9), "tcyx", {"reference": False}),
        ((600, 3), "tc", {"reference": False}),
        ((40, 20), "yx", {}),
    ],
)
def test_fitted_models(shape, axes, options):
    array = smooth_field(shape, 6)
    model = fitted(array, axes, max_error=0.1, **options)
    part = array[:6] if axes == "tcyx" else array[:150] if axes == "tc" else array
    check(part + np.float32(0.3), axes, model, 0.1)


GOLDEN = sorted((Path(__file__).parent / "golden").glob("predicted-*.aecz"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_files(path):
    with aecodec.open(path) as f:
        spec, model = spec_of(np.zeros(f.shape, f.dtype), f.axes), f.model
    found, _ = read_again(path.read_bytes(), model, spec)
    expected = json.loads(path.with_suffix(".json").read_text())["expected"]["sha256"]
    assert hashlib.sha256(spec.from_canonical(found).astype(spec.dtype).tobytes()).hexdigest() == expected
