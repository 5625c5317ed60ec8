"""Fidelity: exactly one demand, checked, and what it allows each channel."""

import numpy as np
import pytest

from aecodec.errors import FidelityError
from aecodec.fidelity import Fidelity, fidelity_from_options


@pytest.mark.parametrize(
    ("options", "kind", "value"),
    [
        ({}, "lossless", 0.0),
        ({"lossless": True}, "lossless", 0.0),
        ({"lossless": False, "psnr": 50}, "psnr", 50.0),
        ({"max_error": 1}, "max_error", 1.0),
        ({"max_error": "0.5"}, "max_error", 0.5),
        ({"max_error": [1e-3, 2e-3]}, "max_error", (1e-3, 2e-3)),
        ({"max_error": np.array([1.0, 2.0], "f4")}, "max_error", (1.0, 2.0)),
        ({"max_error": [0.25]}, "max_error", 0.25),
        ({"max_error": 0}, "max_error", 0.0),
        ({"max_range_error": 0.01}, "max_range_error", 0.01),
        ({"max_point_error": 0.01}, "max_point_error", 0.01),
        ({"psnr": 300}, "psnr", 300.0),
        ({"quality": 1}, "quality", 1.0),
        ({"quality": 100}, "quality", 100.0),
    ],
)
def test_one_demand_is_taken(options, kind, value):
    fidelity = fidelity_from_options(**options)
    assert (fidelity.kind, fidelity.value) == (kind, value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"psnr": 50, "max_error": 1}, "two fidelities at once: max_error and psnr; ask for exactly one"),
        ({"quality": 50, "lossless": True}, "two fidelities at once: quality and lossless; ask for exactly one"),
        ({"max_error": -1}, "max_error=-1 is negative; the error allowed must be 0 or more"),
        ({"max_error": [1, -2]}, "max_error=-2 is negative; the error allowed must be 0 or more"),
        ({"max_range_error": 1}, "max_range_error=1 is a fraction and must be under 1"),
        ({"max_point_error": 1.5}, "max_point_error=1.5 is a fraction and must be under 1"),
        ({"psnr": 0}, "psnr=0 dB is outside 0 to 300"),
        ({"psnr": 301}, "psnr=301 dB is outside 0 to 300"),
        ({"quality": 0.5}, "quality=0.5 is outside 1 to 100"),
        ({"quality": 101}, "quality=101 is outside 1 to 100"),
        ({"max_error": "much"}, "max_error='much' is not a number"),
        ({"max_error": None, "psnr": [1, 2]}, "psnr='[1, 2]' is not a number"),
        ({"max_error": float("nan")}, "max_error=nan is not finite; give a number that is 0 or more"),
        ({"max_error": [1, float("inf")]}, "max_error=inf is not finite; give a number that is 0 or more"),
        ({"max_error": 10**400}, f"max_error='{'1' + '0' * 39}' is not a number"),
        (
            {"psnr": 50, "value_range": (2, 1)},
            "value_range=(2, 1) must be (low, high) with low <= high, or one such pair per channel",
        ),
        (
            {"psnr": 50, "value_range": (1, 2, 3)},
            "value_range=(1, 2, 3) must be (low, high) with low <= high, or one such pair per channel",
        ),
        (
            {"psnr": 50, "value_range": (0, float("inf"))},
            "value_range=(0, inf) must be (low, high) with low <= high, or one such pair per channel",
        ),
    ],
)
def test_impossible_demands_are_refused_with_value_and_remedy(options, message):
    with pytest.raises(FidelityError) as caught:
        fidelity_from_options(**options)
    assert str(caught.value) == message


def test_one_error_serves_all_channels_and_a_list_serves_each():
    assert fidelity_from_options(max_error=0.5).allowed_errors(3).tolist() == [0.5, 0.5, 0.5]
    assert fidelity_from_options(max_error=[0.5, 1.0]).allowed_errors(2).tolist() == [0.5, 1.0]


def test_a_list_of_another_length_than_the_channels_is_refused():
    with pytest.raises(FidelityError) as caught:
        fidelity_from_options(max_error=[1, 2]).allowed_errors(3)
    assert str(caught.value) == "max_error has 2 values but the array has 3 channel(s); give one, or one each"


def test_range_error_is_a_fraction_of_each_channels_range():
    fidelity = fidelity_from_options(max_range_error=0.25, value_range=[(0, 8), (-1, 1)])
    assert not fidelity.needs_range
    assert fidelity.allowed_errors(2).tolist() == [2.0, 0.5]


def test_a_range_filled_in_later_completes_the_demand():
    fidelity = fidelity_from_options(max_range_error=0.5)
    assert fidelity.needs_range
    assert fidelity.with_ranges(np.array([0.0]), np.array([4.0])).allowed_errors(1).tolist() == [2.0]


def test_a_missing_range_is_asked_for():
    with pytest.raises(FidelityError) as caught:
        fidelity_from_options(psnr=40).allowed_rms(1)
    assert str(caught.value) == "psnr needs the value range; pass value_range=(low, high)"


def test_psnr_in_decibels_is_a_root_mean_square_error():
    fidelity = fidelity_from_options(psnr=20, value_range=(0, 10))
    assert fidelity.allowed_rms(1) == pytest.approx([1.0])
    assert fidelity.allowed_errors(1) is None


@pytest.mark.parametrize(("quality", "step"), [(1, 800.0), (25, 32.0), (50, 16.0), (75, 8.0), (100, 1.0)])
def test_quality_scales_the_step_as_jpeg_does(quality, step):
    assert fidelity_from_options(quality=quality).relative_step() * 255 == pytest.approx(step)


@pytest.mark.parametrize(
    "fidelity",
    [
        Fidelity(),
        Fidelity("max_error", 0.5),
        Fidelity("max_error", (0.5, 1.0)),
        Fidelity("psnr", 40.0, ((0.0, 1.0), (2.0, 3.0))),
        Fidelity("quality", 75.0, ((0.0, 255.0),)),
    ],
)
def test_json_keeps_the_demand(fidelity):
    assert Fidelity.from_json(fidelity.to_json()) == fidelity


def test_json_of_a_demand():
    assert fidelity_from_options(max_error=0.5).to_json() == {"kind": "max_error", "value": 0.5}
    assert Fidelity().to_json() == {"kind": "lossless"}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("lossless", "unknown fidelity record 'lossless'; known kinds are max_error, "),
        ({"kind": "best"}, "unknown fidelity record \"{'kind': 'best'}\"; known kinds are max_error, "),
        ({"kind": "psnr", "value": 9, "ranges": [1, 2]}, "fidelity ranges must be a list of [low, high] pairs"),
        ({"kind": "psnr", "value": 9, "ranges": [[0, "x"]]}, "range='x' is not a number"),
        ({"kind": "max_error"}, "max_error='None' is not a number"),
        ({"kind": "max_error", "value": [1, {}]}, "max_error='{}' is not a number"),
    ],
)
def test_hostile_records_are_refused(record, message):
    with pytest.raises(FidelityError) as caught:
        Fidelity.from_json(record)
    assert str(caught.value).startswith(message)
