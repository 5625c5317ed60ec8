"""The worked example of FORMAT.md is a file, of the bytes and the values that the text says."""

import re
from pathlib import Path

import numpy as np

import aecodec

TEXT = (Path(aecodec.__file__).parent / "FORMAT.md").read_text("utf-8")


def example():
    lines = re.findall(r"^ *(\d+)  ((?:[0-9a-f]{2} ?)+)", TEXT[TEXT.index("## 6.") :], re.M)
    data = b""
    for offset, line in lines:
        assert int(offset) == len(data)
        data += bytes.fromhex(line)
    return data


def test_the_worked_example_decodes_to_what_it_says():
    data = example()
    assert len(data) == 359
    values = np.round(20 * np.sin(np.arange(24) / 4)).astype("f4")
    found = aecodec.decompress(data)
    assert found.dtype == np.dtype("<f4")
    residual = [0, 5, 5, 4, 3, 2, 1, 0, -2, -2, -4, -4, -5, -5, -5, -4, -4, -3, -2, 0, 1, 2, 3, 4]
    step = np.frombuffer(data[203:211], "<f8")[0]
    assert np.array_equal(found, (np.cumsum(residual) * step).astype("f4"))
    assert np.abs(found - values).max() <= 0.5


def test_the_worked_example_is_what_is_written():
    values = np.round(20 * np.sin(np.arange(24) / 4)).astype("f4")
    made = aecodec.compress(values, axes="t", max_error=0.5, model=False)
    chunk = slice(167, 240)
    assert made[:44].hex()[:24] == example()[:44].hex()[:24]
    assert made[chunk] == example()[chunk]
