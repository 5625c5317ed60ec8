"""The images bench's own arithmetic: PSNR, MS-SSIM and BD-rate against literals and what is known of them, and its rows."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parent.parent / "bench"))

from bd_rate import AVERAGE, MEAN_CURVE, Comparison, Point, bd_rate, comparisons  # found by the path above
from image_batch import batch_table, measure_batch
from image_codecs import Codec, ours, peers
from image_quality import ms_ssim, psnr
from image_rows import compared, measure, read_rows, write_csv
from image_tables import bd_table, images

import aecodec


def picture(rows=192, columns=240):
    """Smooth and coloured, uint8."""
    y, x = np.mgrid[:rows, :columns]
    planes = [127 + 100 * np.sin(y / (9 + c)) * np.cos(x / (13 - c)) for c in range(3)]
    return np.stack(planes, -1).round().astype(np.uint8)


def test_psnr_is_what_its_definition_says():
    x = picture()
    assert psnr(x, x) == np.inf
    assert psnr(np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)) == 0.0
    assert psnr(x, x // 16 * 16 + 8) == pytest.approx(34.63612551894482, abs=1e-9)
    one = np.zeros((10, 10, 3), np.uint8)
    one[0, 0, 0] = 255
    assert psnr(one, np.zeros_like(one)) == pytest.approx(10 * np.log10(300), abs=1e-9)


def test_ms_ssim_equals_what_another_implementation_gives():
    """Literals of pytorch-msssim 1.0.0, ms_ssim(data_range=255) in float64, whose window is float32."""
    x = picture()
    assert ms_ssim(x, x // 16 * 16 + 8) == pytest.approx(0.9921234415583927, abs=1e-6)
    assert ms_ssim(x, np.ascontiguousarray(x[:, ::-1])) == pytest.approx(0.4516613201561602, abs=2e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 255), st.integers(0, 255))
def test_ms_ssim_of_two_grey_images_is_the_luminance_term_alone(a, b):
    x, y = (np.full((176, 176, 1), value, np.uint8) for value in (a, b))
    c = (0.01 * 255) ** 2
    assert ms_ssim(x, y) == pytest.approx(((2 * a * b + c) / (a * a + b * b + c)) ** 0.1333, rel=1e-9)


def test_ms_ssim_is_one_for_equal_images_symmetric_and_falls_with_noise():
    x, random = picture(), np.random.default_rng(0)
    noise = random.normal(size=x.shape)
    noisy = [np.clip(np.rint(x + s * noise), 0, 255).astype(np.uint8) for s in (0, 2, 8, 32)]
    found = [ms_ssim(x, y) for y in noisy]
    assert found[0] == pytest.approx(1.0, abs=1e-12)
    assert found == sorted(found, reverse=True)
    assert found[2] == pytest.approx(ms_ssim(noisy[2], x), abs=1e-12)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((175, 200, 3), np.uint8), np.zeros((175, 200, 3), np.uint8), r"\(175, 200\) rows and columns: .* take 176"),
        (np.zeros((9, 9, 3), np.uint8), np.zeros((9, 8, 3), np.uint8), r"uint8 \(9, 8, 3\) is compared with uint8 \(9, 9, 3\)"),
        (np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9, 3)), "float64 .* is compared with uint8"),
    ],
)
def test_images_that_cannot_be_compared_are_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        ms_ssim(x, y)


CURVE = [(0.1, 27.0), (0.3, 30.0), (0.8, 34.5), (1.7, 38.0), (2.9, 41.0)]


@given(st.floats(0.2, 5.0))
def test_bd_rate_of_a_rate_times_k_is_k(k):
    assert bd_rate(CURVE, [(k * rate, quality) for rate, quality in CURVE]) == pytest.approx(k - 1, rel=1e-9)


def test_bd_rate_integrates_log_rates_over_the_common_qualities():
    """Log rates linear in quality: their difference at the middle of what is common, 32 to 38, is the mean."""
    anchor = [(np.exp(0.2 * q), q) for q in (28.0, 31.0, 35.0, 38.0)]
    other = [(np.exp(0.1 * q + 3.0), q) for q in (44.0, 40.0, 36.0, 32.0)]
    assert bd_rate(anchor, other) == pytest.approx(np.exp(3.0 - 0.1 * 35.0) - 1, rel=1e-9)
    assert 1 + bd_rate(other, anchor) == pytest.approx(1 / (1 + bd_rate(anchor, other)), rel=1e-9)


@pytest.mark.parametrize(
    ("curve", "message"),
    [
        (CURVE[:3], "a curve of 3 points: BD-rate takes 4 or more"),
        ([(rate, quality + 20) for rate, quality in CURVE], "no qualities in common: one starts at 47, the other ends at 41"),
        ([*CURVE, (4.0, 41.0)], "two settings have the same quality"),
    ],
)
def test_curves_without_a_bd_rate_are_refused(curve, message):
    with pytest.raises(ValueError, match=message):
        bd_rate(CURVE, curve)


def test_comparisons_give_each_image_their_mean_and_the_mean_curve():
    factors = {"one": 0.5, "two": 0.8}
    points = [Point("JPEG", image, i, rate, quality) for image in factors for i, (rate, quality) in enumerate(CURVE)]
    points += [Point("new", image, i, k * r, q) for image, k in factors.items() for i, (r, q) in enumerate(CURVE)]
    found = {(c.codec, c.anchor, c.image): c.percent for c in comparisons(points, ["JPEG", "WebP"])}
    assert found == pytest.approx(
        {
            ("new", "JPEG", "one"): -50.0,
            ("new", "JPEG", "two"): -20.0,
            ("new", "JPEG", AVERAGE): -35.0,
            ("new", "JPEG", MEAN_CURVE): -35.0,
        }
    )


def test_rows_tell_what_codecs_made_of_an_image_and_go_through_a_csv(tmp_path):
    x = picture()
    model = aecodec.fit(x, axes="yxc", provider="cpu")
    codecs = [*peers(1, ["JPEG", "WebP"]), *peers(2, ["JPEG", "WebP"]), ours(model, 1, (10, 30, 50, 70, 90), 3)]
    assert [(codec.name, codec.threads) for codec in codecs] == [("JPEG", 1), ("WebP", 1), ("aecodec", 1)]
    rows = measure("picture", x, codecs, runs=1)
    assert len(rows) == sum(len(codec.settings) for codec in codecs)
    own = [row for row in rows if row.codec == "aecodec"]
    for row in own:
        data = aecodec.compress(x, model, "yxc", quality=row.setting, level=3, threads=1, embed_model=False)
        assert (row.size, row.bits_per_pixel) == (len(data), 8 * len(data) / x[..., 0].size)
        assert row.psnr == psnr(x, aecodec.decompress(data, model=model))
    assert [row.psnr for row in own] == sorted(row.psnr for row in own)
    assert all(row.encode_mpix_s > 0 and row.decode_mpix_s > 0 and row.ms_ssim <= 1 for row in rows)
    write_csv(tmp_path / "images.csv", rows, ["made: by a test"])
    again = read_rows(tmp_path / "images.csv")
    assert [(row.codec, row.setting, row.size) for row in again] == [(row.codec, row.setting, row.size) for row in rows]
    assert (tmp_path / "images.csv").read_text().startswith("# made: by a test\nimage,width,height,codec,threads,setting,size,")
    table = images(tmp_path / "images.csv")
    assert "| BD-rate | PSNR, against JPEG | PSNR, against WebP |" in table
    assert table.count("\n| aecodec |") == 2


def test_bd_rates_take_a_codec_at_its_fewest_threads():
    def scaled(name, threads, k):
        return Codec(name, threads, (1, 2, 3, 4), lambda x, s: bytes(int(k * 2**s)), lambda data: decoded(len(data) / k))

    def decoded(size):
        return np.clip(np.rint(x + random.normal(size=x.shape) * 64 / size), 0, 255).astype(np.uint8)

    x, random = picture(), np.random.default_rng(0)
    rows = measure("picture", x, [scaled("JPEG", 1, 8), scaled("twice", 1, 16), scaled("twice", 2, 99)], runs=1)
    found = {(c.codec, c.image): c.percent for c in compared(rows, "psnr")}
    assert found["twice", AVERAGE] == pytest.approx(100.0, abs=2.0)


def test_the_table_shows_the_mean_over_images_and_the_mean_curve():
    found = [Comparison("new", "JPEG", AVERAGE, -31.27), Comparison("new", "JPEG", MEAN_CURVE, 2.0)]
    assert bd_table({"psnr": found}).splitlines()[2] == "| new | -31.3 % (+2.0 %) |  |"


def test_a_whole_suite_is_coded_at_the_setting_nearest_to_a_quality_by_any_number_of_threads():
    images = [picture(192, 240), picture(200, 180)]
    codecs = peers(1, ["JPEG"])
    rows = [row for i, x in enumerate(images) for row in measure(str(i), x, codecs, 1)]
    found = measure_batch(images, codecs, rows, [1, 2], 1, 34.0)
    assert [(row.codec, row.threads, row.images) for row in found] == [("JPEG", 1, 2), ("JPEG", 2, 2)]
    means = {setting: np.mean([row.psnr for row in rows if row.setting == setting]) for setting in codecs[0].settings}
    assert all(abs(row.psnr - 34.0) == min(abs(mean - 34.0) for mean in means.values()) for row in found)
    assert all(row.encode_mpix_s > 0 and row.decode_mpix_s > 0 and row.megapixels == (192 * 240 + 200 * 180) / 1e6 for row in found)
    assert batch_table(found).count("JPEG") == 2
