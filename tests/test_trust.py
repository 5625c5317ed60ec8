"""How far a file is trusted: limits of the caller's, and models that come inside a file."""

import dataclasses
import io
import struct
import subprocess
import sys

import numpy as np
import pytest
from graphs import DOUBLE, FLOAT, floats, graph_of, ints, node

import aecodec
from aecodec.api.header import Header
from aecodec.container.layout import ARRAY_FILE, Kind, create_json, create_prefix, create_record, parse_json
from aecodec.errors import FormatError, LimitError, ModelError, UsageError
from aecodec.limits import DEFAULT_LIMITS, Limits, physical_memory
from aecodec.models.bundle import Bundle
from aecodec.models.registry import find, find_by_id

READING = "if the source is trusted, raise it: limits=aecodec.Limits({}=...)"


@pytest.fixture(scope="module")
def data(field, model):
    """A file that embeds its model."""
    return aecodec.compress(field, model, "tcyx", max_error=0.05)


def decoded(data, way, **options):
    """The array in `data`, by one of the ways of reading."""
    if way == "decompress":
        return aecodec.decompress(data, **options)
    if way == "open":
        with aecodec.open(io.BytesIO(data), **options) as f:
            return f[:]
    return np.concatenate(aecodec.Decompressor(**options).decompress(data))


WAYS = ["decompress", "open", "Decompressor"]


@pytest.mark.parametrize("way", WAYS)
def test_an_embedded_model_can_be_refused(data, field, model, way):
    with pytest.raises(ModelError) as caught:
        decoded(data, way, allow_embedded_model=False)
    assert str(caught.value) == (
        f"the file brings model {model.id} along, and allow_embedded_model=False keeps it from running; "
        "pass model=, or put its .aecm into a directory that AECODEC_MODEL_PATH names"
    )
    found = decoded(data, way, allow_embedded_model=False, model=model)
    assert np.array_equal(found, decoded(data, way))
    assert np.abs(found - field).max() <= 0.05


@pytest.mark.parametrize("way", WAYS)
def test_an_installed_model_serves_where_the_embedded_one_is_refused(data, model, way, tmp_path, monkeypatch):
    monkeypatch.setenv("AECODEC_MODELS", str(tmp_path))
    model.save(tmp_path / "wind.aecm")
    assert np.array_equal(decoded(data, way, allow_embedded_model=False), decoded(data, way))


def test_a_file_without_a_model_needs_no_trust(field):
    data = aecodec.compress(field, axes="tcyx")
    for way in WAYS:
        assert np.array_equal(decoded(data, way, allow_embedded_model=False), field)


def test_an_embedded_model_is_not_run_for_appending_either(data, field, model, tmp_path):
    (tmp_path / "x.aecz").write_bytes(data)
    with pytest.raises(ModelError, match="allow_embedded_model=False keeps it from running"):
        aecodec.open(tmp_path / "x.aecz", "a", allow_embedded_model=False, max_error=0.05)
    assert (tmp_path / "x.aecz").read_bytes() == data
    with aecodec.open(tmp_path / "x.aecz", "a", allow_embedded_model=False, max_error=0.05, model=model) as f:
        f.write(field)
    assert aecodec.decompress((tmp_path / "x.aecz").read_bytes()).shape == (48, 2, 32, 40)


def with_model(data, change):
    """`data` with its model record replaced by `change` of it, all frames sound."""
    out, at, sequence = bytearray(create_prefix(ARRAY_FILE)), 12, 0
    while at < len(data):
        kind, length = data[at + 4], struct.unpack_from("<Q", data, at + 12)[0]
        payload = data[at + 32 : at + 32 + length]
        payload = change(payload) if kind == Kind.MODEL else payload
        if kind not in (Kind.INDEX, Kind.END):
            out += create_record(Kind(kind), sequence, payload)
        at, sequence = at + 32 + length, sequence + 1
    return bytes(out)


def test_another_model_inside_than_the_header_names_is_not_run(data, field, model, monkeypatch):
    other = aecodec.fit(field[:12], axes="tcyx", max_error=0.3)
    swapped = with_model(data, lambda _: other.stored)
    looked_at = []
    monkeypatch.setattr("aecodec.codec.model.check_coder", lambda *given: looked_at.append(given))
    for way in WAYS:
        with pytest.raises(ModelError) as caught:
            decoded(swapped, way)
        assert str(caught.value) == f"the file needs model {model.id}, but the one embedded in it is {other.id}"
    assert looked_at == []


def test_parts_that_are_not_the_manifests_are_not_run(model):
    for part in ("decoder", "encoder", "predictor"):
        if getattr(model.bundle, part) is None:
            continue
        swapped = dataclasses.replace(model.bundle, **{part: graph_of([node("Relu")])})
        with pytest.raises(ModelError, match=f"model part '{part}' does not match the SHA-256 in the manifest"):
            aecodec.Model(swapped)
        with pytest.raises(ModelError, match=f"model part '{part}' does not match the SHA-256 in the manifest"):
            Bundle.from_bytes(swapped.to_bytes())


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "wind", "A" * 64, "0" * 63, "0" * 64 + "\n", "file:///etc/passwd"]
)
def test_a_file_names_its_model_by_a_hash_and_never_by_a_path(name, tmp_path, monkeypatch, model):
    monkeypatch.setenv("AECODEC_MODELS", str(tmp_path))
    model.save(tmp_path / "wind.aecm")
    record = {"axes": "t", "dtype": "<i2", "fidelity": {"kind": "lossless"}, "model": name, "shape": [None]}
    with pytest.raises(FormatError, match="header names a model by something other than a SHA-256"):
        Header.from_json(record)
    assert find_by_id(name) is None
    assert find("wind").id == find_by_id(model.id).id == model.id


def inexact(graph, latents=4, tile=(1, 1, 2, 3), **manifest):
    """A bundle of a user's own decoder."""
    from aecodec.models.manifest import Manifest

    made = Manifest(
        family="user", axes="tyx", tile=tile, offset=(0.0,), scale=(1.0,), bands=((latents, 1.0),), latent_unit=1.0,
        latent_limit=100, exact=False, **manifest,
    )  # fmt: skip
    return Bundle(made, graph).sealed()


WEIGHTS = {"w": floats(4, 6), "s": ints(-1, 1, 1, 2, 3)}


@pytest.mark.parametrize("element", [FLOAT, DOUBLE])
def test_a_users_own_network_runs_in_batches_that_fit(element):
    dtype = "f4" if element == FLOAT else "f8"
    wide = [node("Pad", "x p", "b"), node("Slice", "b z e i", "c"), node("MatMul", "c w", "a"), node("Reshape", "a s")]
    constants = {"w": WEIGHTS["w"].astype(dtype), "s": WEIGHTS["s"], "z": ints(0), "e": ints(4), "i": ints(1)}
    graph = graph_of(wide, {**constants, "p": ints(0, 0, 0, 1 << 18)}, element=element)
    y = np.random.default_rng(0).integers(-9, 9, (150, 1, 1, 1, 4)).astype(np.float32)
    user = aecodec.Model(inexact(graph), "cpu")
    assert user._decoder.graph.batch((4,), 1 << 15) == 63
    expected = (y.reshape(150, 4).astype(dtype) @ WEIGHTS["w"].astype(dtype)).reshape(150, 1, 2, 3)
    assert np.allclose(user.decode(y), expected, rtol=1e-5)
    far = graph_of(wide, {**constants, "p": ints(0, 0, 0, 1 << 21)}, element=element)
    with pytest.raises(LimitError, match=r"the model's decoder takes \d+ operations a value, at most 262144 are allowed"):
        aecodec.Model(inexact(far), "cpu")


def test_limits_are_whole_numbers():
    for bad in (0, -1, 1.5, None, "1", True):
        with pytest.raises(UsageError) as caught:
            Limits(channels=bad)
        assert str(caught.value) == f"Limits(channels={bad!r}): a limit is a whole number of at least 1"
    assert aecodec.Limits is Limits
    assert DEFAULT_LIMITS.array_bytes == physical_memory() > 1 << 26


def test_memory_falls_back_to_a_constant_where_it_cannot_be_told(monkeypatch, tmp_path):
    monkeypatch.setattr("aecodec.limits._CGROUP", tmp_path / "memory.max")
    machine = physical_memory()
    (tmp_path / "memory.max").write_text("max\n")
    assert physical_memory() == machine
    (tmp_path / "memory.max").write_text("123456\n")
    assert physical_memory() == 123456

    def unknown(_):
        raise ValueError

    monkeypatch.setattr("os.sysconf", unknown)
    assert physical_memory() == 1 << 33


FIELD_BYTES = 24 * 2 * 32 * 40 * 4

LIMITED = [
    ("header_bytes", 100, r"header record declares \d+ bytes, at most 100 are allowed; "),
    ("model_bytes", 1000, r"model record declares \d+ bytes, at most 1000 are allowed; "),
    ("metadata_bytes", 30, r"metadata record declares \d+ bytes, at most 30 are allowed; "),
    ("payload_bytes", 500, r"chunk record declares \d+ bytes, at most 500 are allowed; "),
    (
        "chunk_bytes",
        FIELD_BYTES - 1,
        rf"a chunk declares 61440 values, {FIELD_BYTES} bytes, at most 245759 are allowed; ",
    ),
    (
        "work_bytes",
        61440 * 96 - 1,
        rf"a chunk of 61440 values may take {61440 * 96} bytes to decode, at most 5898239 are allowed; ",
    ),
    ("dimensions", 3, "the header declares 4 dimensions, at most 3 are allowed; "),
    ("channels", 1, "the header declares 2 channels, at most 1 are allowed; "),
    ("json_values", 5, r"JSON of \d+ bytes declares \d+ values, at most 5 are allowed; "),
    ("graph_nodes", 3, r"an ONNX graph has (more than 192 fields|\d+ nodes), at most 3 are allowed; "),
    ("graph_constants", 99, r"an ONNX graph declares constants of \d+ elements, at most 99 are allowed; "),
    ("graph_elements", 999, r".* node .*: one run would make tensors of \d+ elements, at most 999 are allowed; "),
    ("graph_operations", 9, r"the model's decoder takes \d+ operations a value, at most 9 are allowed; "),
]


@pytest.mark.parametrize(("name", "limit", "message"), LIMITED)
@pytest.mark.parametrize("way", WAYS)
def test_each_limit_holds_on_every_way_of_reading(field, model, way, name, limit, message):
    data = aecodec.compress(field, model, "tcyx", max_error=0.05, metadata={"note": "as long as this is, and no longer"})
    with pytest.raises(LimitError, match=message + READING.format(name).replace("(", r"\(").replace(")", r"\)")):
        decoded(data, way, limits=Limits(**{name: limit}))
    decoded(data, way, limits=Limits())


def test_an_array_larger_than_allowed_is_read_by_parts(data, field):
    limits = Limits(array_bytes=FIELD_BYTES // 2)
    message = (
        rf"an array of \(24, 2, 32, 40\) takes {FIELD_BYTES} bytes, at most {FIELD_BYTES // 2} are allowed; "
        r"read it by slabs or parts, give out=, or raise it: limits=aecodec.Limits\(array_bytes=...\)"
    )
    with pytest.raises(LimitError, match=message):
        aecodec.decompress(data, limits=limits)
    out = np.empty_like(field)
    assert aecodec.decompress(data, out, limits=limits) is out
    with aecodec.open(io.BytesIO(data), limits=limits) as f:
        for whole in (lambda: f[:], lambda: np.asarray(f), lambda: f[..., 3]):
            with pytest.raises(LimitError, match="read it by slabs or parts"):
                whole()
        assert np.array_equal(f[3:14], out[3:14])
        assert np.array_equal(np.concatenate([slab for _, slab in f.slabs()]), out)


def test_a_reference_field_is_limited(field):
    fitted = aecodec.fit(field, axes="tcyx", max_error=0.05, reference=True)
    with pytest.raises(
        LimitError, match=r"the model's reference field of \(2, 32, 40\) declares 2560 values, at most 2559 are allowed"
    ):
        aecodec.load_model(fitted.stored, limits=Limits(reference_values=2559))
    assert aecodec.load_model(fitted.stored, limits=Limits(reference_values=2560)).id == fitted.id


def test_writers_keep_to_the_limits_that_readers_have(field, model):
    small = Limits(chunk_bytes=40000)
    data = aecodec.compress(field, model, "tcyx", max_error=0.05, limits=small)
    assert np.abs(aecodec.decompress(data, limits=small) - field).max() <= 0.05
    for given, message in (
        (
            Limits(chunk_bytes=9999),
            "one step of the stream axis has 2560 values, 10240 bytes, at most 9999 are allowed; name",
        ),
        (Limits(dimensions=3), "the array has 4 dimensions, at most 3 are allowed; reshape it"),
        (Limits(channels=1), "axes='tcyx' make 2 channels of"),
    ):
        with pytest.raises(LimitError) as caught:
            aecodec.compress(field, model, "tcyx", max_error=0.05, limits=given)
        assert str(caught.value).startswith(message)
    with pytest.raises(LimitError, match="metadata record would have 1048587 bytes, at most 1048576 are allowed; keep large"):
        aecodec.compress(field, axes="tcyx", metadata={"a": "b" * (1 << 20) + "123"})


JSON = [
    (b'{"a":1,"a":2}', "malformed JSON: duplicate key"),
    (b'{"a":{"b":1,"b":1}}', "malformed JSON: duplicate key"),
    (b'{"a":1e999}', "malformed JSON: 1e999 is beyond the range of numbers"),
    (b'{"a":-1e999}', "malformed JSON: -1e999 is beyond the range of numbers"),
    (b'{"a":NaN}', "malformed JSON: NaN is not allowed"),
    (b'{"a":Infinity}', "malformed JSON: Infinity is not allowed"),
    (b'{"a":"\\ud800"}', "malformed JSON: 'utf-8' codec can't encode"),
    ('{"a":1}'.encode("utf-16"), "malformed JSON: 'utf-8' codec can't decode"),
    (b'\xef\xbb\xbf{"a":1}', "malformed JSON: Unexpected UTF-8 BOM"),
    (b'{"a":' + b"9" * 5000 + b"}", "malformed JSON: Exceeds the limit"),
    (b"[" * 100000 + b"]" * 100000, "malformed JSON: maximum recursion depth exceeded"),
    (b"[]", "JSON object expected, found list"),
]


def test_raised_limits_let_writers_write_what_readers_with_the_same_read(field):
    notes, wide = {"a": "b" * (1 << 20)}, Limits(metadata_bytes=1 << 21)
    data = aecodec.compress(field, axes="tcyx", metadata=notes, limits=wide)
    assert np.array_equal(aecodec.decompress(data, limits=wide), field)
    with pytest.raises(LimitError, match="metadata record declares 1048584 bytes, at most 1048576 are allowed"):
        aecodec.decompress(data)


@pytest.mark.parametrize(("stored", "message"), JSON)
def test_json_that_could_mean_two_things_or_none_is_refused(stored, message):
    with pytest.raises(FormatError) as caught:
        parse_json(stored)
    assert str(caught.value).startswith(message)


def test_json_of_many_small_things_is_refused_before_it_is_parsed():
    stored = b'{"a":[' + b"[]," * (1 << 22) + b"[]]}"
    with pytest.raises(LimitError, match="values, at most 8388608 are allowed"):
        parse_json(stored)
    assert parse_json(create_json({"a": [[1, 2]] * 1000})) == {"a": [[1, 2]] * 1000}


def test_verify_and_recover_are_as_trusting_as_they_are_told(model, field, tmp_path):
    data = aecodec.compress(field, model, "tcyx", max_error=0.5, embed_model=True)
    assert aecodec.verify(data, allow_embedded_model=True).sound
    with pytest.raises(ModelError, match="allow_embedded_model"):
        aecodec.verify(data, allow_embedded_model=False)
    assert aecodec.verify(data, model=model, allow_embedded_model=False).sound
    with pytest.raises(LimitError, match="chunk_bytes"):
        aecodec.verify(data, limits=aecodec.Limits(chunk_bytes=1000))
    path, out = tmp_path / "x.aecz", tmp_path / "y.aecz"
    path.write_bytes(data)
    with pytest.raises(LimitError, match="header_bytes"):
        aecodec.recover(path, out, limits=aecodec.Limits(header_bytes=10))
    assert not out.exists()
    assert aecodec.recover(path, out, allow_embedded_model=False).everything
    run = [sys.executable, "-m", "aecodec", "verify", str(path), "--no-embedded-model"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "--no-embedded-model" in done.stderr or "allow_embedded_model" in done.stderr
