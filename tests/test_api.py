"""compress, decompress, Compressor, Decompressor: what goes in comes out, whatever the type, and errors say what to change."""

import numpy as np
import pytest
from conftest import smooth_field, walk

import aecodec
from aecodec.errors import FormatError, UsageError

DTYPES = [*"?bBhHiIlLqQefdFD"]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("code", DTYPES)
def test_every_dtype_is_kept_to_the_bit_in_both_byte_orders(code, order):
    dtype = np.dtype(code).newbyteorder(order)
    raw = np.random.default_rng(1).integers(0, 2 if code == "?" else 256, 600 * dtype.itemsize).astype("u1")
    array = raw.view(dtype).reshape(20, 30)
    restored = aecodec.decompress(aecodec.compress(array))
    assert restored.dtype.str == array.dtype.str
    assert restored.tobytes() == array.tobytes()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("code", [c for c in DTYPES if c != "?"])
def test_every_dtype_keeps_a_bound_in_both_byte_orders(code, order):
    values = smooth_field((12, 20, 30), dtype="f8") * 3 + 60
    array = values.clip(0, 120).astype(np.dtype(code).newbyteorder(order))
    restored = aecodec.decompress(aecodec.compress(array, axes="tyx", max_error=2))
    assert restored.dtype == array.dtype
    difference = restored.astype("c16") - array.astype("c16")
    assert max(np.abs(difference.real).max(), np.abs(difference.imag).max()) <= 2
    assert difference.any()


def test_not_a_number_and_infinities_are_kept_under_a_bound(model, field):
    holes = field.copy()
    holes[2:5, 0, 3] = np.nan
    holes[7, 1, 4, 5], holes[8, 0, 0, 0] = np.inf, -np.inf
    for fidelity in ({"max_error": 0.05}, {"max_range_error": 0.01}, {"max_point_error": 0.01}, {"psnr": 50}, {"quality": 80}):
        for given in (None, False, model):
            restored = aecodec.decompress(aecodec.compress(holes, given, "tcyx", **fidelity))
            assert np.array_equal(np.isnan(restored), np.isnan(holes)), fidelity
            assert np.array_equal(np.isposinf(restored), np.isposinf(holes)), fidelity
            assert np.array_equal(np.isneginf(restored), np.isneginf(holes)), fidelity


def test_payloads_of_not_a_number_and_the_sign_of_zero_are_kept_losslessly():
    bits = np.random.default_rng(0).integers(0, 2**52, 400).astype("u8") | np.uint64(0x7FF0000000000001)
    array = np.concatenate([bits.view("f8"), [0.0, -0.0, np.inf, -np.inf, 5e-324]])
    assert aecodec.decompress(aecodec.compress(array)).tobytes() == array.tobytes()


@pytest.mark.parametrize("target", [60.0, 45.5, 90.0])
@pytest.mark.parametrize("given", [None, False])
def test_the_psnr_asked_for_is_reached_in_every_channel(target, given, field):
    integers = np.rint(field * 200).astype("i4")
    for array in (field, np.random.default_rng(0).normal(size=(30, 2, 20, 30)), integers):
        restored = aecodec.decompress(aecodec.compress(array, given, "tcyx", psnr=target)).astype("f8")
        for channel in range(2):
            x, x_hat = array[:, channel].astype("f8"), restored[:, channel]
            assert ((x - x_hat) ** 2).mean() <= (np.ptp(x) * 10 ** (-target / 20)) ** 2 * (1 + 1e-9)


def test_higher_quality_costs_bytes_and_errors():
    image = (smooth_field((96, 128, 3)) * 5 + 128).clip(0, 255).astype("u1")
    data = {q: aecodec.compress(image, quality=q) for q in (10, 50, 95)}
    errors = [np.abs(aecodec.decompress(data[q]).astype("f8") - image).mean() for q in data]
    assert len(data[10]) < len(data[50]) < len(data[95])
    assert errors[0] > errors[1] > errors[2]


def test_a_range_error_is_a_fraction_of_each_channels_own_range(field):
    array = field * np.array([1.0, 1000.0], "f4")[:, None, None]
    restored = aecodec.decompress(aecodec.compress(array, axes="tcyx", max_range_error=0.01))
    worst = np.abs(restored - array).max(axis=(0, 2, 3))
    assert (worst <= 0.01 * np.ptp(array, axis=(0, 2, 3))).all()
    assert worst[1] > 100 * worst[0]


def test_each_channel_has_its_own_error(field):
    restored = aecodec.decompress(aecodec.compress(field, axes="tcyx", max_error=[0.01, 1.0]))
    worst = np.abs(restored - field).max(axis=(0, 2, 3))
    assert worst[0] <= 0.01
    assert 0.1 < worst[1] <= 1.0


@pytest.mark.parametrize("fidelity", ["max_range_error", "max_error", "psnr"])
def test_what_is_written_of_very_many_channels_can_be_read_or_is_refused_at_once(fidelity):
    array = np.random.default_rng(0).normal(size=(3, 90_000))
    value = {"max_range_error": 0.01, "max_error": np.linspace(0.01, 0.02, 90_000), "psnr": 40}[fidelity]
    try:
        data = aecodec.compress(array, False, "tc", **{fidelity: value})
    except UsageError:
        return
    assert np.abs(aecodec.decompress(data) - array).max() < 0.5


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e15, 1e22, 1e300])
def test_bounds_are_kept_at_any_magnitude(scale):
    array = walk(20_000) * scale
    for error in (scale / 100, scale * 1e-40, scale * 1e3):
        restored = aecodec.decompress(aecodec.compress(array, max_error=error))
        assert np.abs(restored - array).max() <= error


@pytest.mark.parametrize("error", [2.0**53, 2.0**61, 1e19, 1e300])
def test_bounds_beyond_the_integers_are_kept(error):
    array = (walk(3000) * 1e15).astype("i8")
    restored = aecodec.decompress(aecodec.compress(array, max_error=error))
    assert max(abs(a - b) for a, b in zip(array.tolist(), restored.tolist(), strict=True)) <= error


def test_the_number_of_threads_does_not_change_a_byte():
    array = smooth_field((70, 3, 96, 128))
    one = aecodec.compress(array, axes="tcyx", max_error=0.01, threads=1)
    assert aecodec.compress(array, axes="tcyx", max_error=0.01, threads=2) == one
    assert aecodec.decompress(one, threads=1).tobytes() == aecodec.decompress(one, threads=2).tobytes()


def test_bytes_do_not_depend_on_earlier_calls(field):
    first = aecodec.compress(field, axes="tcyx", max_error=0.02)
    for seed in range(3):
        aecodec.compress(smooth_field((20, 2, 32, 40), seed) * 10**seed, axes="tcyx", max_error=0.1, level=1 + 4 * seed)
    assert aecodec.compress(field, axes="tcyx", max_error=0.02) == first


@pytest.mark.parametrize("level", range(1, 10))
def test_every_level_keeps_the_bound(level, field):
    data = aecodec.compress(field[:8], axes="tcyx", max_error=0.03, level=level)
    assert np.abs(aecodec.decompress(data) - field[:8]).max() <= 0.03


def test_memory_order_and_strides_do_not_matter(field):
    expected = aecodec.compress(field, axes="tcyx", max_error=0.05)
    assert aecodec.compress(np.asfortranarray(field), axes="tcyx", max_error=0.05) == expected
    wide = np.zeros((*field.shape, 2), "f4")
    wide[..., 1] = field
    assert aecodec.compress(wide[..., 1], axes="tcyx", max_error=0.05) == expected
    assert aecodec.compress(field[::-1][::-1], axes="tcyx", max_error=0.05) == expected


def test_inputs_are_not_changed(field):
    array = field.copy()
    array[0, 0, 0, 0] = np.nan
    before = array.tobytes()
    for fidelity in ({}, {"max_error": 0.1}, {"psnr": 40}, {"max_point_error": 0.1}):
        aecodec.compress(array, axes="tcyx", **fidelity)
    assert array.tobytes() == before


def test_bytes_come_back_as_unsigned_integers():
    text = b"to be or not to be " * 100
    data = aecodec.compress(text)
    assert len(data) < len(text) // 3
    assert aecodec.decompress(data).tobytes() == text
    assert aecodec.decompress(memoryview(bytearray(data))).tobytes() == text


def test_out_receives_the_array(field):
    data = aecodec.compress(field, axes="tcyx", max_error=0.05)
    expected = aecodec.decompress(data)
    target = np.zeros((24, 40, 32, 2), "f8").transpose(0, 3, 2, 1)
    assert aecodec.decompress(data, out=target) is target
    assert np.array_equal(target, expected)
    with pytest.raises(UsageError, match=r"out has shape \(3,\) and dtype float64; the array has \(24, 2, 32, 40\) and float32"):
        aecodec.decompress(data, out=np.zeros(3))
    with pytest.raises(UsageError, match="and dtype int16; the array has"):
        aecodec.decompress(data, out=np.zeros(field.shape, "i2"))


def test_metadata_travels_along(tmp_path, field):
    with aecodec.open(tmp_path / "x", "w", axes="tcyx", metadata={"unit": "K", "levels": [1, 2]}) as f:
        f.write(field)
    with aecodec.open(tmp_path / "x") as f:
        assert f.metadata == {"unit": "K", "levels": [1, 2]}


@pytest.mark.parametrize("portion", [1 << 30, 4096, 999])
def test_compressor_and_decompressor_pass_slabs_through_bytes(portion, field, model):
    compressor = aecodec.Compressor(model, "tcyx", max_error=0.05, metadata={"a": 1})
    data = b"".join([compressor.compress(slab) for slab in np.split(field, [1, 5, 20])] + [compressor.flush()])
    assert data == aecodec.compress(field, model, "tcyx", max_error=0.05, metadata={"a": 1})
    assert compressor.flush() == b""
    with pytest.raises(UsageError, match="the compressor was flushed; make a new one for another array"):
        compressor.compress(field)
    decompressor = aecodec.Decompressor()
    slabs = [s for at in range(0, len(data), portion) for s in decompressor.decompress(data[at : at + portion])]
    decompressor.finish()
    assert decompressor.eof
    assert decompressor.metadata == {"a": 1}
    assert np.array_equal(np.concatenate(slabs), aecodec.decompress(data))


def test_a_stream_must_begin_with_its_header(field):
    data = aecodec.compress(field)
    cut = data[:12] + data[data.index(b"\xe7REC", 20) :]
    with pytest.raises(FormatError, match="the first record must be the header, found kind 3"):
        aecodec.Decompressor().decompress(cut)


def test_nothing_written_is_refused():
    with pytest.raises(UsageError, match="nothing was written: write at least one slab, which may be empty, before closing"):
        aecodec.Compressor().flush()
