"""Damaged files of every kind give the right array or a typed error, attacked ones an array or a typed error, in bounded memory.

A bounded part of what `python -m tests.damage` runs; a failure names the case, which that command runs again by `--only`.
"""

import re
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from damage import change, files
from damage.cases import FAMILIES, numbers
from damage.judge import ARRAY, REFUSED, SOUND, judge
from damage.samples import arrays, bodies, models

import aecodec
from aecodec.codec.chunk import Mode
from aecodec.codec.map_latents import COMPLETE
from aecodec.errors import FormatError
from aecodec.packing.varint import Cursor

CASES = {"model-part-flip": 400, "model-parts": 500, "manifest": 500, "model-file": 500}
USUAL = 1500


@pytest.mark.parametrize("name", FAMILIES)
def test_damaged_inputs_give_the_right_array_or_a_typed_error(name):
    family = FAMILIES[name]
    samples = family.samples()
    outcomes, failures = set(), []
    for place, sample in enumerate(samples):
        for number in numbers(family, sample, max(1, CASES.get(name, USUAL) // len(samples)), offset=7 * place):
            verdict = family.run(sample, number)
            outcomes.add(verdict.outcome)
            if verdict.outcome not in SOUND:
                failures.append(f"{name}:{sample.name}:{number}: {verdict.outcome}: {verdict.detail}")
    assert not failures, "\n".join(failures[:20])
    assert REFUSED in outcomes


def test_samples_are_known_by_their_names():
    for kind in (arrays(), bodies(), models()):
        assert len({sample.name for sample in kind}) == len(kind)


def test_the_samples_are_of_every_mode_dtype_and_number_of_dimensions():
    assert {body.body[0] for body in bodies()} == set(Mode)
    flags = {body.body[1] for body in bodies() if body.body[0] == Mode.LATTICE}
    assert {flag for each in flags for flag in (1, 2, 4, 8, 16) if each & flag} == {1, 2, 4, 8, 16}
    slices = [body for body in bodies() if body.coder.model is not None and body.coder.model.manifest.prior is not None]
    assert {body.body[0] for body in slices} == {Mode.LATTICE, Mode.LATENTS}
    assert {bool(_head_of_slices(body.body) & COMPLETE) for body in slices} == {True, False}
    dtypes = {sample.array.dtype.str for sample in arrays()}
    assert {dtype[1:] for dtype in dtypes} >= {"b1", "u1", "i1", "i2", "u2", "i4", "i8", "u8", "f2", "f4", "f8", "c8", "c16"}
    assert {dtype[0] for dtype in dtypes} == {"<", ">", "|"}
    assert {sample.array.ndim for sample in arrays()} == {0, 1, 2, 3, 4}
    assert any(sample.array.size == 0 for sample in arrays())
    assert {part for model in models() for part in files.ModelFile.parse(model.data).parts} == set(range(8))
    assert {model.file.array.dtype.kind for model in models()} == {"f", "i"}


def _head_of_slices(body):
    """The first byte of the section of latents (FORMAT.md, 3.8, 4.3 and 4.4); the files here have one step for all channels."""
    cursor = Cursor(body[2 + 8 * (body[0] == Mode.LATTICE) :])
    cursor.varint()
    return cursor.section().byte()


def test_the_samples_are_read_to_what_they_hold_by_every_way_of_reading():
    for sample in arrays():
        for number in range(3):
            verdict = FAMILIES["cut"].run(sample, len(sample.data))
            assert verdict.outcome == ARRAY, (sample.name, number, verdict)


def test_files_put_together_again_are_the_files():
    for sample in (sample for sample in arrays() if sample.parts == 1):
        assert aecodec.decompress(files.joined(*files.split(sample.data)), provider="cpu").tobytes() == sample.array.tobytes()
    for model in models():
        parsed = files.ModelFile.parse(model.data)
        assert parsed.id == aecodec.load_model(model.data).id == aecodec.load_model(parsed.to_bytes()).id
        data = files.with_model(model.file.data, parsed.to_bytes(), parsed.id)
        assert aecodec.decompress(data, provider="cpu").tobytes() == model.file.array.tobytes()


# --- the judge itself


def verdict_of(action, values=0, check=lambda found: None):
    return judge(action, check, 100, values)


def test_the_judge_tells_outcomes_apart(monkeypatch):
    def refuse():
        raise FormatError("no")

    def warn():
        warnings.warn("overflow", RuntimeWarning, stacklevel=1)

    def forever():
        while True:
            pass

    monkeypatch.setattr("damage.judge.SECONDS", 0.2)
    assert verdict_of(lambda: 1).outcome == ARRAY
    assert verdict_of(refuse).outcome == REFUSED
    assert verdict_of(lambda: 1 // 0).outcome == "untyped"
    assert verdict_of(lambda: 1, check=lambda found: f"{found} is wrong").outcome == "wrong"
    assert verdict_of(warn).outcome == "warning"
    assert verdict_of(forever).outcome == "hang"
    assert verdict_of(lambda: time.sleep(0.3)).outcome == ARRAY
    assert verdict_of(lambda: time.sleep(60)).outcome == "hang"
    assert verdict_of(lambda: bytes(32 << 20)).outcome == "memory"
    assert verdict_of(lambda: bytes(32 << 20), values=1 << 20).outcome == ARRAY


def test_damage_of_every_kind_changes_bytes_and_is_the_same_again():
    data, other = bytes(range(200)), b"\xff" * 300
    for damage in change.DAMAGES:
        made = [bytes(damage(bytearray(data), np.random.default_rng(seed), other)) for seed in range(20)]
        assert sum(one != data for one in made) > 15, damage
        assert made == [bytes(damage(bytearray(data), np.random.default_rng(seed), other)) for seed in range(20)]


def test_the_command_runs_a_case_again_and_counts_all():
    root = Path(__file__).parent.parent

    def run(*arguments):
        command = [sys.executable, "-m", "tests.damage", *arguments]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    one = run("--only", "body-flip:lattice/0:4")
    assert one.returncode == 0
    assert one.stdout.split()[0] in SOUND
    few = run("--cases", "60", "--family", "body-cut", "--workers", "1")
    assert few.returncode == 0, few.stderr
    assert re.fullmatch(r"\d+ damaged inputs in \d+ s: 0 neither the right array nor a typed error", few.stdout.splitlines()[-1])
