"""What damage has found in decoders: each once more, by its bytes; and memory in proportion to what is declared, in every mode."""

import dataclasses
import io

import numpy as np
import onnx
import pytest
from damage import files
from damage.judge import SOUND, judge

import aecodec
from aecodec.codec.chunk import ChunkCoder
from aecodec.container.layout import create_end
from aecodec.container.writer import ContainerWriter
from aecodec.errors import FidelityError, FormatError, ModelError
from aecodec.fidelity import Fidelity
from aecodec.models.bundle import decode_reference
from aecodec.packing import zstd
from aecodec.packing.contexts import decode_latents
from aecodec.packing.groups import GroupedSymbols
from aecodec.packing.residuals import encode_residual
from aecodec.packing.stream import decode_stream
from aecodec.packing.varint import Cursor, put_section, put_varint
from aecodec.runtime import load_executor

MANY = 1 << 18
SHAPE = (MANY // 1024, 1, 32, 32)


def coder(dtype, model=None):
    return ChunkCoder(np.dtype(dtype), Fidelity(), model)


@pytest.fixture(scope="module")
def plain(field):
    return aecodec.fit(field, axes="tcyx", max_error=0.05, reference=False, provider="cpu")


def test_gaps_beyond_the_end_are_refused_before_the_values_there_are_decoded():
    with pytest.raises(FormatError) as caught:
        decode_stream(Cursor(bytes.fromhex("0202" + "01000505")), 5)
    assert str(caught.value) == "stream of 5 values has one at position 11"


def test_a_group_of_no_scale_indices_is_refused():
    empty_first = bytes.fromhex("02" + "0003" + "3000" + "00" + "00") + b"\0" * 47
    with pytest.raises(FormatError, match="do not cover 48 scale indices"):
        GroupedSymbols(Cursor(empty_first), 3)


def test_latents_of_no_tiles_are_an_empty_array():
    none = b"\1\x30\0\0" + b"\0" * 47
    assert decode_latents(Cursor(none), (0, 1, 2, 2), ((1, 4.0), (4, 1.0)), 1.0).shape == (0, 4)


@pytest.mark.parametrize("size", [2**33, 2**40])
def test_a_frame_whose_blocks_cannot_hold_what_is_expected_is_refused_before_it_is_allocated(size):
    frame = bytes.fromhex("000045000010616101003f012c")
    with pytest.raises(FormatError) as caught:
        zstd.decompress(frame, size)
    assert str(caught.value) == f"zstd frame holds at most 131072 bytes, {size} were declared"
    verdict = judge(lambda: zstd.decompress(frame, size), lambda found: None, len(frame), 0)
    assert verdict.outcome == "refused"


@pytest.mark.parametrize("data", [b"", bytes(3 << 20), b"ab" * (1 << 20), np.random.default_rng(0).bytes(2 << 20)])
def test_the_most_that_blocks_can_hold_is_never_less_than_they_do(data):
    for frame in (zstd.huffman(data), *(zstd.compress(data, level) for level in (1, 3, 19))):
        assert len(data) <= zstd.most_bytes(memoryview(frame)) <= len(data) + (1 << 18)
        assert zstd.decompress(frame, len(data)) == data


@pytest.mark.parametrize("shape", [(2, 2, 0, 0), (0, 2, 8, 8), (0, 2, 1, 1), (1, 2, 0, 8)])
def test_a_predicted_chunk_without_values_is_refused(model, shape):
    body = b"\7\0" + np.float64(1).tobytes() + b"\0" + b"\2\0\0" + b"\x34\1\x30\0\0" + b"\0" * 47
    with pytest.raises(FormatError, match="is predicted, but has no values"):
        coder("f4", model).decode(body, shape)


@pytest.mark.parametrize("shape", [(100, 0, 1, 1), (0, 3, 2, 2), (2, 3, 0, 2)])
@pytest.mark.parametrize("axes", [0, 1, 15])
def test_a_lattice_of_no_values_is_an_empty_array(shape, axes):
    body = b"\2\0" + np.float64(1).tobytes() + bytes([axes]) + b"\2\0\0"
    for dtype in ("f4", "i2"):
        assert coder(dtype).decode(body, shape).shape == shape


def test_a_bool_that_is_neither_true_nor_false_is_refused():
    out = io.BytesIO()
    writer = ContainerWriter(out)
    writer.begin({"axes": "t", "dtype": "|b1", "fidelity": {"kind": "lossless"}, "model": None, "shape": [None]}, None, None)
    writer.chunk(0, 3, b"\1\2")
    writer.finish()
    with pytest.raises(FormatError) as caught:
        aecodec.decompress(out.getvalue())
    assert "bool array has a byte of 2, which is neither 0 nor 1" in str(caught.value)


def test_an_end_that_names_no_index_is_scanned_past():
    array = np.arange(6.0)
    data = aecodec.compress(array, axes="t")
    prefix, records = files.split(data)
    assert records[-1].kind == files.END
    end = create_end(0, len(data))
    damaged = files.joined(prefix, [*records[:-1], files.Record(files.END, end)], index=False)
    assert len(damaged) == len(data)
    assert np.array_equal(aecodec.decompress(damaged), array)


def test_tiles_far_larger_than_the_array_are_refused(plain):
    manifest = dataclasses.replace(plain.manifest, tile=(4096, 2, 4096, 4096))
    broken = aecodec.Model.__new__(aecodec.Model)
    broken.bundle = dataclasses.replace(plain.bundle, manifest=manifest)
    with pytest.raises(ModelError, match="at most 256 times as many are allowed"):
        broken.check_fits((1, 2, 1, 1))


def test_values_beyond_all_floats_are_infinite_without_a_warning(plain, recwarn):
    manifest = dataclasses.replace(plain.manifest, scale=(1e308, 1e308), offset=(1e308, -1e308), latent_unit=2.0**900)
    huge = aecodec.Model(dataclasses.replace(plain.bundle, manifest=manifest), "cpu")
    symbols = np.full((1, huge.manifest.latents), 100, np.int32)
    shape = huge.manifest.tile
    assert not np.isfinite(huge.reconstruct(symbols, 1, shape)).all()
    assert not recwarn.list


def test_a_reference_field_beyond_all_floats_is_refused(plain, recwarn):
    manifest = dataclasses.replace(plain.manifest, reference=(2, 1, 1))
    part = np.array([1e308, 1e308]).tobytes() + encode_residual(np.array([9, 9], np.int32), 16, True)
    with pytest.raises(ModelError, match="reference field has a value that is not finite"):
        decode_reference(part, manifest)
    assert not recwarn.list


@pytest.mark.parametrize("value", [[1.0, [2.0]], [[1.0], [2.0, 3.0]], [None], [[1.0]]])
def test_a_list_of_errors_that_are_no_numbers_is_refused(value):
    with pytest.raises(FidelityError, match="is not a number"):
        Fidelity.from_json({"kind": "max_error", "value": value})


def test_a_graph_that_fails_says_so_by_its_error_alone(plain, capfd):
    graph = onnx.load_model_from_string(plain.bundle.decoder)
    shape = next(tensor for tensor in graph.graph.initializer if tensor.name == "x_shape")
    shape.CopyFrom(onnx.numpy_helper.from_array(np.array([-1, 7, 7, 7, 7]), "x_shape"))
    executor = load_executor(graph.SerializeToString(), "cpu")
    with pytest.raises(ModelError, match="ONNX Runtime failed on input"):
        executor.run(np.zeros((1, plain.manifest.latents)))
    with pytest.raises(ModelError, match="ONNX Runtime cannot load the model"):
        load_executor(graph.SerializeToString()[:-40] + b"\xf3" * 40, "cpu").run(np.zeros((1, 1)))
    assert capfd.readouterr() == ("", "")


# --- memory


def varint(value):
    out = bytearray()
    put_varint(out, value)
    return bytes(out)


def section(data):
    out = bytearray()
    put_section(out, data)
    return bytes(out)


def leaf(byte):
    frame = zstd.compress(bytes([byte]) * MANY, 1)
    return varint(len(frame)) + frame


def nested(levels, inner):
    """`levels` of nodes in which every value is one of a gap of 0."""
    for _ in range(levels):
        inner = b"\2" + varint(MANY) + b"\0" + inner
    return inner


STREAMS = {
    "zeros": b"\0",
    "all values escaped, sixteen times": (b"\x14" + leaf(95)) * 16 + b"\0",
    "gaps of nothing, fifteen times": nested(15, b"\0"),
    "four low bytes": (b"\7" + b"\3" * MANY) * 4 + b"\0",
}
ONE = np.float64(1).tobytes()


def whole(stream):
    """A section of integers (FORMAT.md 3.7)."""
    return section(b"\1\2\0" + ONE + b"\0" + section(b"\0" + stream))


BODIES = {
    "bytes": lambda s: ("f8", b"\0\2" + zstd.compress(bytes(8 * MANY), 1)),
    "constant": lambda s: ("f8", b"\1" + bytes(8)),
    "lattice": lambda s: ("u1", b"\2\0" + ONE + b"\x0f" + section(b"\0" + s)),
    "classes": lambda s: ("f2", b"\2\2" + ONE + b"\0" + section(b"\0\0") + section(s)),
    "exceptions": lambda s: ("u1", b"\2\4" + ONE + b"\0" + section(b"\0\0") + section(varint(MANY) + s + bytes(MANY))),
    "ladder": lambda s: ("f2", b"\4" + np.float64(0.5).tobytes() + b"\1" + section(b"\0" + s) + section(b"\0") + section(b"\0\0")),
    "floats": lambda s: ("f8", b"\5\0\0" + whole(b"\0") + section(b"") + section(s + s)),
    "affine": lambda s: ("f4", b"\6\1" + ONE + bytes(8) + whole(s) + section(s)),
    "digits": lambda s: ("f2", b"\6\3\5\0" + whole(b"\0") + section(bytes(4) + s + s) + section(s)),
    "integer": lambda s: ("i8", b"\6\4" + bytes(16) + whole(s)),
    "wide": lambda s: ("u8", b"\6\5" + whole(s) + whole(s)),
}


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("body", BODIES)
def test_memory_is_in_proportion_to_the_values_and_bytes_there_are(body, stream):
    dtype, data = BODIES[body](STREAMS[stream])
    verdict = judge(lambda: coder(dtype).decode(data, SHAPE), lambda found: None, len(data), MANY)
    assert verdict.outcome in SOUND, verdict
    if stream == "zeros":
        assert verdict.outcome == "array", verdict
