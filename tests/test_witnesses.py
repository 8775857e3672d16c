"""Exact risks, Monte Carlo and theory stand side by side and would convict each other."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from drawn import svg_alone
from grids import few_quick

import kt_theory as kt
from kt_theory.cli import main
from kt_theory.limits.bias import largest_bias
from kt_theory.overview import PAPER, limits_at, overview
from kt_theory.reproduce import limits as pictures
from kt_theory.testing import assert_risk

OPTIMAL = {
    "partial": "sel_ptl",
    "top_k(1)": kt.students.top_k(1),
    "top_k(5)": kt.students.top_k(5),
    "soft": "ce_ful",
}
POINTS = [[1, 8, 3], [1, 8, 50], [2, 8, 20], [6, 9, 4], [6, 9, 100], [6, 9, 10_000], [40, 7, 500]]


@pytest.fixture(scope="module", params=few_quick(POINTS, POINTS[:5]))
def point(request):
    return (*request.param, limits_at(*request.param))


def test_the_optimal_student_gets_the_limit_back_on_the_worst_teacher(point):
    _, _, n, limits = point
    for access, student in OPTIMAL.items():
        limit = limits[access]
        if limit.lower > 0 and not (access == "partial" and limit.teacher is None):
            risk = kt.exact_risk(limit.teacher, student, n)
            assert limit.lower * (1 - 1e-9) <= risk <= limit.upper * (1 + 1e-9), access


def test_no_teacher_beats_the_upper_limit_of_an_optimal_student(point):
    inputs, labels, n, limits = point
    rng = np.random.default_rng(inputs)
    for _ in range(20):
        row = np.zeros(labels)
        light = rng.integers(1, labels)
        row[:light] = rng.uniform(0, min(1.0 / light, 3.0 / max(n, 1)))
        row[-1] = 1 - row.sum()
        teacher = kt.Teacher(
            np.tile(row, (inputs, 1)), rng.dirichlet(np.full(inputs, rng.choice([0.3, 1.0, 50.0])))
        )
        for access, student in OPTIMAL.items():
            assert (
                kt.exact_risk(teacher, student, n) <= limits[access].upper * (1 + 1e-9) + 1e-30
            ), access


def test_the_order_of_access_levels_holds(point):
    limits = list(point[3].values())
    for less, more in itertools.pairwise(limits):
        assert more.lower <= less.upper * (1 + 1e-12)


def test_the_papers_bounds_enclose_the_limits(point):
    inputs, labels, n, limits = point
    for access, (low, high) in PAPER.items():
        lower, upper = (
            kt.bounds.curve(low, inputs, labels, n)[0],
            kt.bounds.curve(high, inputs, labels, n)[0],
        )
        assert not lower > limits[access].upper
        assert not upper < limits[access].lower


@pytest.mark.parametrize(("inputs", "labels", "n"), [(1, 10, 90), (1, 100, 900), (1, 12, 60)])
def test_add_c_attains_the_hard_limit(inputs, labels, n):
    limit = kt.minimax_risk("hard", inputs=inputs, labels=labels, n=n)
    student = kt.students.add_c(kt.best_add_c(labels, n))
    rng = np.random.default_rng(0)
    rows = [
        np.full(labels, 1 / labels),
        np.eye(labels)[0],
        *rng.dirichlet(np.ones(labels), size=10),
    ]
    risks = [kt.exact_risk(kt.Teacher([row]), student, n) for row in rows]
    assert max(risks) <= limit.upper * (1 + 1e-9)
    assert max(risks) >= limit.lower * 0.97
    assert kt.exact_risk(kt.Teacher([rows[0]]), "ce_sgl", n) > limit.upper, (
        "the empirical student is not minimax"
    )


def test_simulation_of_the_worst_teacher_gives_the_limit():
    """False alarm 1e-6 each; an error of 0.004 in a limit is caught with the same certainty."""
    for access, options, student in (
        ("partial", {}, "sel_ptl"),
        ("top_k", {"k": 1}, kt.students.top_k(1)),
    ):
        limit = kt.minimax_risk(access, inputs=1, labels=9, n=30, **options)
        assert_risk(
            kt.simulate(limit.teacher.expand(), student, n=30, repeats=100_000).estimates[0],
            limit.lower,
            detects=0.004,
        )
    limit = kt.minimax_risk("gradient", graph=kt.graphs.cycle(9), labels=4, n=6)
    student = kt.students.grad_ful(kt.graphs.cycle(9))
    assert_risk(
        kt.simulate(limit.teacher.expand(), student, n=6, repeats=100_000).estimates[0],
        limit.lower,
        detects=0.01,
    )


def test_largest_bias_against_a_general_search():
    from scipy.optimize import minimize

    for labels in (2, 3, 4):
        value, teacher = largest_bias(labels)
        assert kt.exact_risk(teacher, "ce_ptl", np.inf) == pytest.approx(value, rel=1e-9)

        def bias(z):
            p = np.exp(z - z.max())
            p /= p.sum()
            return -0.5 * np.abs(p * p / (p * p).sum() - p).sum()

        starts = np.random.default_rng(0).normal(size=(12, labels)) * 2
        found = max(
            -minimize(bias, z, method="Nelder-Mead", options={"maxiter": 4000}).fun for z in starts
        )
        assert found == pytest.approx(value, abs=1e-6)
    assert largest_bias(2)[0] == pytest.approx(0.1501415530, abs=1e-10)
    assert largest_bias(1)[0] == 0


def test_the_command_prints_what_the_functions_say(tmp_path):
    out = tmp_path / "limits.csv"
    words = ["limits", "--inputs", "6", "--labels", "9", "--n", "0,100", "--csv", str(out)]
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0
    written = pd.read_csv(out)
    expected = overview([limits_at(6, 9, 0), limits_at(6, 9, 100)])
    np.testing.assert_allclose(written["lower"], expected["lower"], rtol=1e-9)
    np.testing.assert_allclose(written["upper"], expected["upper"], rtol=1e-9)
    for text in ("0.1544111194 * SA/n", "0.3678794412", "0.3989422804", "partial"):
        assert text in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--inputs", "0", "--labels", "2", "--n", "1"], "inputs = 0: must be at least 1"),
        (["--inputs", "1", "--labels", "-2", "--n", "1"], "labels = -2: must be at least 1"),
        (["--inputs", "1", "--labels", "2", "--n", "1.5"], "n = 1.5: must be a whole number"),
        (["--inputs", "1", "--labels", "2000000", "--n", "1"], "labels = 2000000"),
        (["--inputs", "10000000000000", "--labels", "2", "--n", "1"], "inputs = 10000000000000"),
        (
            ["--inputs", "1", "--labels", "2", "--n", "1", "--csv", "nowhere/x.csv"],
            "the folder nowhere does not exist",
        ),
    ],
)
def test_bad_input_of_the_command(words, message):
    result = CliRunner().invoke(main, ["limits", *words])
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert message in result.stderr


def test_pictures_of_the_limits(tmp_path, monkeypatch):
    svg_alone(monkeypatch)
    monkeypatch.setattr(pictures, "LOOSENESS_SHAPES", ((1, 3),))
    written = pictures.reproduce(tmp_path, sizes=(1, 46), progress=False)
    assert {path.name for path in written} == {path.name for path in tmp_path.iterdir()}
    assert len(written) == 8
    frame = pd.read_csv(tmp_path / "limits.csv")
    assert len(frame) == 2 * 4
    sel = frame[frame["student"] == "sel_ptl"]
    np.testing.assert_allclose(sel["worst_risk"], sel["lower"], rtol=1e-6)
    assert (frame["worst_risk"] >= frame["instance_risk"].fillna(0) * (1 - 1e-12)).all()
    # The committed data, to where the ends of searches differ between processors.
    committed = pd.read_csv(Path(pictures.__file__).parents[2] / "figures" / "limits.csv")
    known = committed[committed["n"].isin([1, 46])].reset_index(drop=True)
    pd.testing.assert_frame_equal(frame, known, rtol=2e-6)


@pytest.mark.long
def test_pictures_of_the_limits_come_out_again_to_the_byte(tmp_path, monkeypatch):
    """The figures of the paper do in the quick suite, drawn by the same functions."""
    monkeypatch.setattr(pictures, "LOOSENESS_SHAPES", ((1, 5), (3, 3)))
    first, again = (
        {
            path.name: path.read_bytes()
            for path in pictures.reproduce(tmp_path, sizes=(1, 46), progress=False)
        }
        for _ in range(2)
    )
    assert first == again


def test_limits_are_not_random():
    words = ["reproduce", "--limits", "--seed", "3"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "do not apply" in result.stderr
