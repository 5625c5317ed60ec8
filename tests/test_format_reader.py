"""Whole files read by a second reader that was written from FORMAT.md alone: the same arrays, bit for bit.

Golden files of every mode and flag, and the made ones that damage is done to; what stands only there (a chunk of every layout of
a predictor) is in test_predicted_reference.py and test_map_networks.py.
"""

import io

import format_reader
import pytest
from damage.samples import arrays, bodies, by_photo

import aecodec
from aecodec.models.registry import SHIPPED

SAMPLES = {sample.name: sample for sample in (*arrays(), *by_photo())}


@pytest.fixture(scope="module")
def shipped():
    """Files of the models in the package."""
    return [path.read_bytes() for path in SHIPPED.glob("*.aecm")]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_reader_written_from_the_format_reads_the_same_bits(name, shipped):
    sample = SAMPLES[name]
    found, metadata = format_reader.read(sample.data, shipped)
    assert (found.shape, found.dtype.str) == (sample.array.shape, sample.array.dtype.str)
    assert found.tobytes() == sample.array.tobytes()
    with aecodec.open(io.BytesIO(sample.data)) as f:
        assert metadata == f.metadata


def test_exceptions_of_a_lattice():
    """Arrays hardly ever need them, so their bodies are made."""
    made = [body for body in bodies() if body.name.endswith("/exceptions")]
    assert len(made) == 4
    for body in made:
        found = format_reader.decode(body.body, body.shape, body.coder.dtype.newbyteorder("<"))
        assert found.tobytes() == body.decode(body.body).tobytes()


@pytest.mark.parametrize("place", [9 + 12, 40, -1, -30])
def test_the_reader_looks_at_checksums(place):
    data = bytearray(SAMPLES["lattice"].data)
    data[place] ^= 1
    with pytest.raises(AssertionError):
        format_reader.read(bytes(data))
