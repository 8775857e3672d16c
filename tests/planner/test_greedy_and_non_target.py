"""The planner for greedy labels and non-target parts, against the limits, exact risks and simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from click.testing import CliRunner

import kt_theory as kt
from kt_theory import access, cli
from kt_theory.limits.greedy.argmax import floor
from kt_theory.planner.needed import asked
from kt_theory.planner.sizes import samples_needed

TEACHER = kt.teachers.dirichlet(inputs=30, labels=6, alpha=0.05, seed=2)


@pytest.mark.parametrize(
    ("name", "inputs", "labels", "tv"),
    [
        ("argmax", 1, 4, 0.45),
        ("argmax", 40, 6, 0.6),
        ("argmax", 10**6, 50, 0.77),
        ("non_target", 1, 5, 0.1),
        pytest.param("non_target", 8, 4, 0.2, marks=pytest.mark.long),
        ("non_target", 5, 2, 0.2),
        pytest.param("non_target", 30, 6, 0.1, marks=pytest.mark.long),
    ],
)
def test_both_numbers_are_those_of_the_limit(name, inputs, labels, tv):
    found = samples_needed(name, inputs, labels, tv)
    assert 0 < found.lower <= found.n
    assert kt.minimax_risk(name, inputs, labels, found.n).upper <= tv * 1.002
    assert kt.minimax_risk(name, inputs, labels, found.lower - 1).upper > tv
    assert asked(name, None, None, 1, 1).level == access.as_access(name)
    if name == "argmax":
        assert kt.minimax_risk(name, inputs, labels, found.n - 1).upper > tv
        assert kt.minimax_risk(name, inputs, labels, found.lower).lower <= tv
        assert found.floor == floor(labels)
    assert found.n < 3 * found.lower


def test_a_floor_above_is_impossible_and_says_so():
    found = samples_needed("argmax", 1000, 50, 0.05)
    assert found.n is None
    assert "argmax: impossible, what it hides leaves TV = 0.765625 > 0.05" in found.reason
    assert found.floor == pytest.approx(49 / 64)
    assert "sampled labels" in found.reason


def test_non_target_parts_are_free_of_the_labels():
    few, many = (samples_needed("non_target", 1000, labels, 0.05).n for labels in (50, 5000))
    assert many < 1.02 * few
    assert few == pytest.approx(1000 / (2 * math.pi * 0.05**2), rel=0.25)
    assert few < samples_needed("partial", 1000, 50, 0.05).lower / 2


@pytest.mark.parametrize(("name", "tv"), [("argmax", 0.35), ("non_target", 0.1)])
def test_a_teacher_in_hand(name, tv):
    found = samples_needed(name, teacher=TEACHER, tv=tv)
    assert kt.exact_risk(TEACHER, name, found.n) <= tv < kt.exact_risk(TEACHER, name, found.n - 1)
    hidden = float(TEACHER.rho @ (1 - TEACHER.pi.max(axis=1)))
    assert found.floor == pytest.approx(hidden if name == "argmax" else 0.0, rel=1e-12)
    if name == "argmax":
        with_less = samples_needed(name, teacher=TEACHER, tv=0.9 * hidden)
        assert with_less.n is None
        assert f"TV = {hidden:.6g}" in with_less.reason


def test_the_hedged_student_of_greedy_labels_where_it_leaves_less():
    teacher = kt.Teacher([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]], rho=[0.7, 0.3])
    found = samples_needed("argmax", teacher=teacher, tv=0.15)
    # 1-V = 2/3 on the label, 1/6 on the others: TV = 2/15 and 1/15.
    assert found.floor == pytest.approx(0.7 * 2 / 15 + 0.3 / 15, rel=1e-12)
    risks = kt.exact_risk(teacher, "argmax_hedged", [found.n - 1, found.n])
    assert risks[1] <= 0.15 < risks[0]
    assert found.certificate == "exact risk of argmax_hedged on this teacher"
    sure = samples_needed("argmax", teacher=teacher, tv=0.15, confidence=0.9)
    losses = kt.simulate(
        teacher, "argmax_hedged", sure.n, 600, keep_losses=True, progress=False
    ).losses
    assert found.n < sure.n < 100
    assert (losses > 0.15).mean() <= 0.1 + 5.1 * math.sqrt(0.09 / 600)
    assert samples_needed("argmax", teacher=teacher, tv=0.1).n is None


@pytest.mark.parametrize(
    ("name", "student", "tv"), [("argmax", "argmax_hedged", 0.6), ("non_target", "ce_sgl", 0.4)]
)
def test_confidence_holds_in_simulation(name, student, tv):
    """600 transfer sets: more than 0.2 + 5.1 standard deviations fail with chance below 1e-6."""
    found = samples_needed(name, 5, 4, tv, confidence=0.8)
    teacher = kt.Teacher(np.random.default_rng(3).dirichlet(np.full(4, 0.3), 5))
    losses = kt.simulate(teacher, student, found.n, 600, keep_losses=True, progress=False).losses
    assert (losses > tv).mean() <= 0.2 + 5.1 * math.sqrt(0.16 / 600)
    assert found.n < 10_000


def test_the_command_shows_both_levels_and_records_are_refused():
    arguments = [
        "plan",
        "--inputs",
        "3",
        "--labels",
        "4",
        "--tv",
        "0.3",
        "--level",
        "argmax",
        "--level",
        "non_target",
    ]
    shown = CliRunner().invoke(
        cli.main, [*arguments, "--price", "non_target=1,0.1", "--price", "argmax=1"]
    )
    assert shown.exit_code == 0, shown.output
    assert "argmax  " in shown.output
    assert "impossible" in shown.output
    assert "non_target: certified upper bound" in shown.output
    records = kt.TransferSet.from_arrays(["p", "q"], np.array([0, 1]), labels=["a", "b", "c"])
    for level in ("argmax", "non_target"):
        with pytest.raises(ValueError, match="records do not say what it would reveal"):
            samples_needed(level, teacher=records, tv=0.1)
