"""The bench of tasks: its rules for points against the authors' own words, its rows and tables, against literals."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent.parent / "bench"))

from tasks_readme import section  # found by the path above
from tasks_rows import Row, write_csv


def test_rows_of_a_section_take_the_place_of_its_own_and_tables_are_made_of_them(tmp_path):
    path = tmp_path / "tasks.csv"
    write_csv([Row("(b) second", "set", "one", "share", 1.0), Row("(a) first", "runs", "old", "F1", 0.5)], path)
    write_csv(
        [Row("(a) first", "runs", "new", "F1", 0.8554321, 0.01), Row("(a) first", "runs", "new", "false, %", 21.36)],
        path,
    )
    assert section(path, "(a)") == "| runs | F1 | false, % |\n|---|---|---|\n| new | 0.855 ± 0.010 | 21.4 |\n"
    assert section(path, "(b)") == "| set | share |\n|---|---|\n| one | 1.0 |\n"
    assert [line.split(",")[0] for line in path.read_text().splitlines()] == ["section", *["(a) first"] * 2, "(b) second"]


def test_the_authors_rule_wants_the_last_59_windows_and_leaves_out_the_ends():
    pytest.importorskip("sklearn")
    pytest.importorskip("torch")
    from tasks_anomalies import TRAIN, WINDOW, as_authors, measured, to_the_ends

    points = 700
    scores = np.zeros(TRAIN + points - WINDOW + 1)
    scores[TRAIN + 100 : TRAIN + 400] = 2.0  # windows that begin 100 to 399 points after those to train on
    flags = as_authors(scores, 1.0)
    assert flags.shape == (points,)
    assert np.flatnonzero(flags).tolist() == list(range(159, 401))
    assert np.flatnonzero(to_the_ends(scores, 1.0)).tolist() == list(range(159, 400))
    ends = np.full(scores.shape, 2.0)
    assert np.flatnonzero(as_authors(ends, 1.0)).tolist() == list(range(59, points - 2 * WINDOW + 2))
    assert to_the_ends(ends, 1.0).all()
    truth = np.zeros(TRAIN + points, bool)
    truth[TRAIN + 159 : TRAIN + 360] = True
    f1, false, missed = measured([(np.zeros((TRAIN + points, 1)), truth)], [scores + 1e-9], as_authors, 1.0)
    assert f1 == pytest.approx(2 * 201 / (2 * 201 + 41))
    assert false == pytest.approx(100 * 41 / 499)
    assert missed == 0
