"""`aecodec evaluate`: its figures against numpy's, and its page in a real browser at two widths."""

import json
import re

import numpy as np
import pytest
from browser import chromium, set_width
from typer.testing import CliRunner

import aecodec
from aecodec.cli.app import app
from aecodec.errors import OutputExistsError, UsageError
from aecodec.evaluation.charts import Line, Scale, bar_chart, line_chart, number
from aecodec.evaluation.curves import ladder
from aecodec.evaluation.errors import channel_errors, histogram
from aecodec.evaluation.maps import panels, png
from aecodec.evaluation.measure import evaluate
from aecodec.evaluation.page import as_page, write_page
from aecodec.evaluation.spectra import spectrum
from aecodec.fidelity import fidelity_from_options

BOUND = 0.05


@pytest.fixture(scope="module")
def found(field, model):
    return evaluate(field, model, "tcyx", name="winds.npy", max_error=BOUND, threads=1)


def test_figures_are_those_of_the_file_and_of_numpy(found, field, model):
    error = np.abs(found.restored.astype(np.float64) - field)
    assert found.worst == error.max() <= BOUND
    assert found.broken == 0
    assert found.bounds == [BOUND, BOUND]
    for c, channel in enumerate(found.channels):
        assert channel.rms == pytest.approx(np.sqrt(np.square(error[:, c]).mean()))
        assert (channel.low, channel.high) == (field[:, c].min(), field[:, c].max())
        assert channel.psnr == pytest.approx(20 * np.log10((channel.high - channel.low) / channel.rms))
    without = aecodec.compress(field, model, "tcyx", max_error=BOUND, embed_model=False)
    assert abs(found.file_bytes - len(without)) < 100  # a record's frame, and what a header says
    assert found.model_bytes == len(model.stored)
    assert sum(chunk.stop - chunk.start for chunk in found.chunks) == len(field)
    assert max(chunk.worst for chunk in found.chunks) == found.worst


def test_curves_rise_and_stand_beside_the_peers_that_are_installed(found):
    ours = found.curves[0]
    assert [point.asked for point in ours.points] == [False, False, True, False, False]
    bits = [point.bits for point in ours.points]
    assert bits == sorted(bits, reverse=True)
    assert all(point.encoding > 0 < point.decoding for point in ours.points)
    assert all(point.worst <= float(point.setting) * (1 + 1e-3) for point in ours.points)
    assert found.curves[-1].name == "zstd, lossless"


def test_broken_bounds_are_counted_and_told(found, field):
    wrong = found.restored.copy()
    wrong[3, 1, 4, 4:7] += 1
    broken = channel_errors(field, wrong, np.array([BOUND, BOUND]))
    assert [channel.broken for channel in broken] == [0, 3]
    page = as_page(type(found)(**{**found.__dict__, "channels": broken, "broken": 3}))
    assert "3 values are outside the bound of 0.05" in page


def test_histogram_is_in_bounds_and_holds_every_value(found, field):
    h = histogram(field, found.restored, np.array([BOUND, BOUND]))
    assert sum(h.shares) == pytest.approx(1)
    centres = (np.array(h.edges[1:]) + h.edges[:-1]) / 2
    assert sum(share for share, at in zip(h.shares, centres, strict=True) if abs(at) > 1.02) == 0
    plain = histogram(field, found.restored, None)
    assert plain.unit == "rms"
    assert plain.scale == pytest.approx(np.sqrt(np.square(field - found.restored.astype("f8")).mean()))


def test_smoothing_shows_in_the_spectrum():
    x = np.random.default_rng(0).normal(size=(4, 64, 64))
    smooth = (x + np.roll(x, 1, 1) + np.roll(x, 1, 2) + np.roll(x, (1, 1), (1, 2))) / 4
    assert spectrum(x, x).retained == 1
    assert spectrum(x, x).error == [0.0] * len(spectrum(x, x).error)
    assert spectrum(x, smooth).retained < 0.2
    wave = np.sin(2 * np.pi * 0.125 * np.arange(256))[:, None, None]
    peak = spectrum(wave, wave)
    assert peak.along == "steps"
    assert abs(peak.wavenumber[int(np.argmax(peak.original))] - 0.125) < 0.02


def test_ladders_follow_what_was_asked():
    low, high = np.zeros(2), np.ones(2)
    asked = ladder(fidelity_from_options(max_error=[0.1, 0.2]), np.dtype("f4"), low, high)
    assert [setting.label for setting in asked] == ["0.25 x asked", "0.5 x asked", "1 x asked", "2 x asked", "4 x asked"]
    assert [s.asked for s in ladder(fidelity_from_options(psnr=50), np.dtype("f4"), low, high)] == [
        False,
        False,
        True,
        False,
        False,
    ]
    assert [s.label for s in ladder(fidelity_from_options(), np.dtype("i2"), low, high)] == ["lossless"]


def test_charts_have_round_ticks_and_readable_numbers():
    assert Scale([0, 10], 0, 100).ticks() == [0, 2, 4, 6, 8, 10]
    assert Scale([1e-4, 0.3], 0, 100, log=True).ticks() == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1])
    assert [number(v) for v in (0, 0.1, 12345, 3.4e-7, 1e9, -2.5)] == ["0", "0.1", "12,345", "3.4e-7", "1e9", "-2.5"]
    chart = line_chart([Line("a<b", [1, 2], [3, 4], "#000", ["p", "q"])], "x", "y", "t")
    assert "<title>p</title>" in chart
    assert "a<b" not in line_chart([Line("a<b", [1], [2], "#000"), Line("c", [1], [2], "#000")], "x", "y", "t")
    assert bar_chart([0, 1, 2], [0.5, 0.5], [(1.0, "bound")], "x", "y", "t").count("<rect") == 2


def test_pictures_are_what_a_decoder_of_png_sees():
    image = pytest.importorskip("PIL.Image")
    import base64
    import io

    pixels = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    data = base64.b64decode(png(pixels).split(",")[1])
    assert np.array_equal(np.asarray(image.open(io.BytesIO(data))), pixels)


@pytest.mark.parametrize(
    ("array", "axes", "fidelity"),
    [
        (np.arange(400, dtype="f4").reshape(4, 10, 10), "tyx", {"psnr": 40}),
        (np.sin(np.arange(3000) / 30).astype("f4"), "t", {"max_error": 0.01}),
        (np.arange(600, dtype="i2").reshape(200, 3), "tc", {}),
        (np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8), "yxc", {"quality": 50}),
        (np.zeros((3, 8, 8), "f4"), "tyx", {"max_error": 0.1}),
    ],
    ids=["fields", "series", "lossless channels", "photograph", "constant"],
)
def test_pages_of_arrays_of_all_kinds(array, axes, fidelity):
    found = evaluate(array, False, axes, **fidelity)
    page = as_page(found)
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.DOTALL)[1])
    assert figures["shape"] == list(array.shape)
    assert "$" not in re.sub(r"<script>.*", "", page, flags=re.DOTALL)


def test_missing_values_are_counted_and_grey(field):
    x = field.copy()
    x[0, 0, :4] = np.nan
    found = evaluate(x, False, "tcyx", max_error=0.1)
    assert found.missing == 4 * 40
    assert found.broken == 0
    assert panels(found.array, found.restored, found.bounds)[0].original != panels(field, field, found.bounds)[0].original
    assert "160 values are not finite" in as_page(found)


def test_what_cannot_be_evaluated():
    with pytest.raises(UsageError, match=r"evaluating takes integers or floats, and at least one; this is a bool array"):
        evaluate(np.zeros((2, 2), bool), False)
    with pytest.raises(UsageError, match=r"this is a float64 array of \(0, 3\)"):
        evaluate(np.zeros((0, 3)), False, "tc")


def test_only_the_first_steps_of_long_arrays_are_measured(field):
    found = evaluate(field, False, "tcyx", max_error=0.1, most_values=field.size // 4)
    assert found.used == (6, 2, 32, 40)
    assert "measured on the first part of it, 6 x 2 x 32 x 40" in as_page(found)


def test_names_from_files_are_text_and_not_markup(found):
    page = as_page(type(found)(**{**found.__dict__, "name": "<script>alert(1)</script>.npy"}))
    assert "<script>alert" not in page


def test_the_command_writes_the_page_and_never_over_another(tmp_path, field, model):
    np.save(tmp_path / "x.npy", field)
    model.save(tmp_path / "m.aecm")
    words = ["evaluate", str(tmp_path / "x.npy"), "-m", str(tmp_path / "m.aecm"), "--axes", "tcyx", "--max-error", "0.05"]
    done = CliRunner().invoke(app, [*words, "--report", str(tmp_path / "report.html"), "--values", "8000"])
    assert done.exit_code == 0, done.output
    assert "aecodec" in done.stdout
    assert "open it in any browser" in done.stderr
    page = (tmp_path / "report.html").read_text()
    assert model.id in page
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert "http" not in re.sub(r"http-equiv", "", page)
    again = CliRunner().invoke(app, [*words, "--report", str(tmp_path / "report.html")])
    assert again.exit_code == 1
    assert "report.html exists" in again.stderr
    figures = json.loads(CliRunner().invoke(app, [*words, "--json", "--values", "8000"]).stdout)
    assert figures["model_id"] == model.id
    assert CliRunner().invoke(app, [*words, "--values", "0"]).exit_code == 2
    (tmp_path / "x.aecz").write_bytes(aecodec.compress(field, False, "tcyx"))  # lossless: as good as the original
    done = CliRunner().invoke(app, ["evaluate", str(tmp_path / "x.aecz"), *words[2:4], *words[6:], "--json", "--values", "8000"])
    assert json.loads(done.stdout)["curves"][0]["points"][2]["bits"] == figures["curves"][0]["points"][2]["bits"]
    with pytest.raises(OutputExistsError, match=r"report\.html exists"):
        write_page(evaluate(field[:2], False, "tcyx", max_error=0.1), tmp_path / "report.html")


_SHOWN = "return [...document.querySelectorAll('section')].filter(s => s.offsetHeight).map(s => s.getAttribute('aria-labelledby'))"


def test_the_page_in_a_browser(tmp_path, found):
    pytest.importorskip("selenium")
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    write_page(found, tmp_path / "report.html")
    with chromium(tmp_path / "profile") as driver:
        for width in (1280, 390):
            set_width(driver, width)
            driver.get((tmp_path / "report.html").as_uri())
            tabs = driver.find_elements(By.CSS_SELECTOR, '[role="tab"]')
            assert [tab.text for tab in tabs] == ["Overview", "Errors", "Maps", "Spectra", "Chunks", "Times"]
            for tab in tabs:
                tab.click()
                assert driver.execute_script(_SHOWN) == [tab.get_attribute("id")]
                # Nothing sticks out sideways, and no letter is smaller than can be read.
                assert driver.execute_script("return document.documentElement.scrollWidth") <= width
                assert _smallest_letters(driver) >= 9.5
            tabs[0].click()
            tabs[0].send_keys(Keys.ARROW_RIGHT)
            assert driver.switch_to.active_element.text == "Errors"
            tabs[2].click()
            _slider_moves(driver)
            _places_change(driver)
            assert driver.execute_script("return [...document.images].every(image => image.naturalWidth > 0)")
        assert driver.get_log("browser") == []


def _smallest_letters(driver):
    """Pixels, charts as they are scaled."""
    return driver.execute_script("""
        const sizes = [];
        for (const e of document.querySelectorAll("p, td, th, span, b, text, figcaption, button, li"))
            if (e.textContent.trim() && e.getClientRects().length) {
                const svg = e.closest("svg");
                const scale = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
                sizes.push(parseFloat(getComputedStyle(e).fontSize) * scale);
            }
        return Math.min(...sizes);""")


def _slider_moves(driver):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    slider = next(s for s in driver.find_elements(By.CSS_SELECTOR, ".wipe input") if s.is_displayed())
    top = next(s for s in driver.find_elements(By.CSS_SELECTOR, ".wipe .top") if s.is_displayed())
    before = top.value_of_css_property("clip-path")
    assert before == "inset(0px 0px 0px 50%)"
    slider.send_keys(Keys.HOME)
    assert top.value_of_css_property("clip-path") == "inset(0px)" or "0%" in top.value_of_css_property("clip-path")
    slider.send_keys(Keys.ARROW_RIGHT)
    assert "0.5%" in top.value_of_css_property("clip-path")


def _places_change(driver):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    chooser = Select(driver.find_element(By.ID, "place"))
    assert len(chooser.options) == 8
    assert [option.text for option in chooser.options][3:5] == ["step 23, channel 0", "step 0, channel 1"]
    chooser.select_by_index(4)
    assert chooser.first_selected_option.text == "step 0, channel 1"
    shown = [p for p in driver.find_elements(By.CSS_SELECTOR, ".place") if p.is_displayed()]
    assert len(shown) == 1
    assert "channel 1" in shown[0].find_element(By.TAG_NAME, "img").get_attribute("alt")
