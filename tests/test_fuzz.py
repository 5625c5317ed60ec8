"""The fuzz targets, for a few seconds: arbitrary bytes by Hypothesis, damaged seeds at random; `python -m tests.fuzz` is longer."""

import zlib

import numpy as np
import pytest
from damage.change import damaged, damaged_json
from fuzz.targets import TARGETS, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DAMAGED = 150
# Targets that accept all their seeds, and those that accept some; of the others the seeds only show the way in.
ALL_SOUND = (
    *("zstd", "header", "manifest", "graph", "sealed-part", "model", "file", "lazy", "incremental", "splitter"),
    "chunk-with-model",
)
SOME_SOUND = ("stream", "groups", "residual", "latents", "low-bits", "bytes", "integers", "chunk", "layout")


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.binary(max_size=300))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_arbitrary_bytes_are_taken_or_refused(name, data):
    run(name, data)


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_seeds_are_taken_or_refused(name):
    random = np.random.default_rng(zlib.crc32(name.encode()))
    seeds = TARGETS[name].seeds()
    for _ in range(DAMAGED):
        seed, other = (seeds[int(random.integers(len(seeds)))] for _ in range(2))
        run(name, damaged(seed, random, other))


@pytest.mark.parametrize("name", ["header", "manifest"])
def test_json_with_other_values_is_taken_or_refused(name):
    random = np.random.default_rng(zlib.crc32(name.encode()))
    seeds = TARGETS[name].seeds()
    for number in range(600):
        run(name, damaged_json(seeds[number % len(seeds)], random))


@pytest.mark.parametrize("name", ALL_SOUND + SOME_SOUND)
def test_targets_take_their_seeds(name):
    taken = [run(name, seed) for seed in TARGETS[name].seeds()]
    assert taken
    assert all(taken) if name in ALL_SOUND else any(taken)


@given(st.lists(st.tuples(st.integers(0, 20), st.binary(max_size=9)), max_size=30), st.integers(0, 300))
@settings(deadline=None, max_examples=200)
def test_streams_of_known_layouts_are_taken_or_refused(nodes, count):
    run("stream", count.to_bytes(2, "little") + b"".join(bytes([op]) + rest for op, rest in nodes))


@given(st.integers(0, 7), st.integers(0, 255), st.binary(max_size=80), st.integers(0, 255))
@settings(deadline=None, max_examples=400)
def test_bodies_of_known_modes_are_taken_or_refused(mode, flags, rest, shape_and_dtype):
    step = np.float64([1.0, 0.5, 1e300, 5e-324][flags % 4]).tobytes()
    run("chunk", bytes([shape_and_dtype, mode, flags]) + (step if mode in (2, 7) else b"") + rest)
