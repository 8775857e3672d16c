"""The planner at every level of `kt_theory.access`: checked against the limits, exact risks and simulations."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from click.testing import CliRunner
from grids import few_quick

import kt_theory as kt
from kt_theory import access, cli, graphs
from kt_theory.access.channel import Noisy
from kt_theory.access.reach import Ball
from kt_theory.access.shows import SampledLabel, WholeRow
from kt_theory.catalogue import level as parse
from kt_theory.planner.needed import asked
from kt_theory.planner.sizes import plan, samples_needed

CASES = [
    ("rounded(0.5)", 3, 3, 0.2),
    ("noisy(0.3)", 10, 4, 0.1),
    ("noisy(0.1) partial", 3, 4, 0.2),
    ("rounded(0.02) top_k_only(3)", 10, 6, 0.3),
    ("noisy(0.1) top_k_only(3)", 10, 6, 0.4),
]
LARGER = [
    ("quantised(6)", 10, 4, 0.1),
    ("rounded(0.05) partial", 3, 4, 0.2),
    ("rounded(0.1)", 10, 4, 0.1),
    ("logits partial", 3, 4, 0.1),
    ("temperature(2) top_k(2)", 3, 5, 0.1),
    ("rounded(0.1)", 30, 6, 0.05),
    ("rounded(0.5)", 10, 4, 0.1),
    ("quantised(6)", 30, 6, 0.05),
    ("noisy(0.3)", 30, 6, 0.05),
    ("logits partial", 10, 6, 0.1),
    ("rounded(0.05) partial", 10, 6, 0.1),
    ("temperature(2) top_k(2)", 10, 6, 0.1),
    ("noisy(0.1) partial", 10, 6, 0.2),
]


@pytest.mark.parametrize(
    ("name", "inputs", "labels", "tv"),
    [*CASES, *(pytest.param(*case, marks=pytest.mark.long) for case in LARGER)],
)
def test_both_numbers_are_those_of_the_limit(name, inputs, labels, tv):
    """A second look at the same n: the limit's upper bound suffices there, and below `lower` it does not."""
    found = samples_needed(parse(name), inputs, labels, tv)
    assert found.lower <= found.n
    assert kt.minimax_risk(parse(name), inputs, labels, found.n).upper <= tv * 1.001
    assert kt.minimax_risk(parse(name), inputs, labels, max(found.lower - 1, 0)).upper > tv


@pytest.mark.parametrize("name", [case[0] for case in CASES])
def test_a_name_is_the_level_that_it_names(name):
    assert asked(name, None, None, 1, 1) == asked(parse(name), None, None, 1, 1)


@pytest.mark.parametrize("name", ["temperature(2)", "logits"])
def test_what_can_be_undone_takes_as_many_as_soft_labels(name):
    assert samples_needed(name, 40, 7, 0.03).n == samples_needed("soft", 40, 7, 0.03).n


def test_a_floor_of_distorted_answers_is_impossible_only_without_sampled_labels():
    greedy = samples_needed("rounded(2) top_k_only(1)", 10, 6, 0.1)
    assert greedy.n is None
    assert "impossible" in greedy.reason
    assert greedy.floor > 0.1
    sampled = samples_needed("rounded(2)", 10, 6, 0.1)
    assert sampled.n <= samples_needed("hard", 10, 6, 0.1).n
    assert "hard labels" in sampled.certificate
    unknown = samples_needed("rounded(0.5) top_k_only(4)", 10, 6, 0.2)
    assert unknown.n is None
    assert "not known to be possible" in unknown.reason
    assert unknown.floor <= 0.2


@pytest.mark.parametrize(
    "name",
    few_quick(
        ["rounded(0.1)", "noisy(0.3)", "logits partial", "rounded(0.05) partial"],
        ["noisy(0.3)", "rounded(0.05) partial"],
    ),
)
def test_confidence_holds_in_simulation(name):
    """600 transfer sets of one teacher: more than 0.2 + 5.1 standard deviations fail with chance below 1e-6."""
    found = samples_needed(name, 4, 3, 0.2, confidence=0.8)
    level = parse(name)
    student = {"rounded": kt.students.rounded, "noisy": kt.students.noisy}.get(name.split("(")[0])
    base = access.PARTIAL if "partial" in name else access.SOFT
    own = (
        kt.students.logits(base)
        if student is None
        else student(float(name.split("(")[1].split(")")[0]), base)
    )
    assert own.access.name == level.name
    teacher = kt.Teacher(np.random.default_rng(3).dirichlet(np.ones(3), 4))
    if "hard labels" not in found.certificate and "joint" not in found.certificate:
        losses = kt.simulate(teacher, own, found.n, 600, keep_losses=True, progress=False).losses
        assert (losses > 0.2).mean() <= 0.2 + 5.1 * math.sqrt(0.16 / 600)


RNG = np.random.default_rng(7)
TEACHER = kt.Teacher(RNG.dirichlet(np.full(4, 0.7), 6), RNG.dirichlet(np.full(6, 3.0)))


@pytest.mark.parametrize(
    ("name", "student"),
    [("rounded(0.1)", kt.students.rounded(0.1)), ("quantised(5)", kt.students.quantised(5)),
     ("logits partial", kt.students.logits(access.PARTIAL)), ("top_k_only(2)", kt.students.top_k(2, sampled=False))],
)  # fmt: skip
def test_a_teacher_in_hand_by_the_levels_own_student(name, student):
    tv = 0.02 + float(kt.exact_risk(TEACHER, student, np.inf))
    found = samples_needed(name, teacher=TEACHER, tv=tv)
    assert (
        kt.exact_risk(TEACHER, student, found.n)
        <= tv
        < kt.exact_risk(TEACHER, student, found.n - 1)
    )
    assert found.lower == found.n


def test_a_distortion_that_hides_too_much_leaves_the_sampled_labels():
    tv = 0.5 * float(kt.exact_risk(TEACHER, kt.students.rounded(2.0), np.inf))
    found = samples_needed("rounded(2)", teacher=TEACHER, tv=tv)
    assert found.n == samples_needed("hard", teacher=TEACHER, tv=tv).n
    assert "keeps TV" in found.certificate


def test_a_student_without_exact_risk_is_simulated():
    found = samples_needed("noisy(0.3)", teacher=TEACHER, tv=0.05)
    check = kt.simulate(
        TEACHER, kt.students.noisy(0.3), [found.n, found.lower - 1], 4000, seed=9, progress=False
    )
    high, low = check.estimates
    assert high.mean - 5 * high.std_error <= 0.05
    assert low.mean + 5 * low.std_error > 0.05


def test_a_jacobian_takes_one_query_of_an_affine_teacher():
    features = RNG.normal(size=(6, 2))
    affine = kt.Teacher.from_logits(features @ RNG.normal(size=(2, 4)), np.full(6, 1 / 6))
    level = access.jacobian(features)
    assert samples_needed(level, teacher=affine, tv=0.01).n == 1
    assert samples_needed(level, labels=4, tv=0.01).n == 1
    assert samples_needed(level, labels=4, tv=0.01, confidence=0.9).n == 1
    with pytest.raises(ValueError, match="affine"):
        samples_needed(level, teacher=TEACHER, tv=0.01)


@pytest.mark.parametrize(
    ("name", "inputs", "labels", "m"),
    few_quick(
        [("hard", 1, 12, 3), ("partial", 1, 6, 3), ("hard", 10, 4, 4),
         ("partial", 5, 4, 3), ("partial", 20, 5, 4), ("hard", 20, 5, 4)],
        [("hard", 1, 12, 3), ("partial", 1, 6, 3)],
    ),
)  # fmt: skip
def test_several_labels_per_query(name, inputs, labels, m):
    found = samples_needed(name, inputs, labels, 0.1, labels_per_query=m)
    single = samples_needed(name, inputs, labels, 0.1)
    assert single.lower <= m * found.n
    assert found.lower <= found.n <= single.n
    assert kt.minimax_risk(name, inputs, labels, found.n, labels_per_query=m).upper <= 0.1 * 1.02
    assert (
        kt.minimax_risk(name, inputs, labels, max(found.lower - 1, 0), labels_per_query=m).upper
        > 0.1
    )


def test_several_labels_per_query_of_a_teacher_in_hand():
    law = kt.queries.iid(labels_per_query=3)
    found = samples_needed("hard", teacher=TEACHER, tv=0.1, labels_per_query=3)
    risk = [kt.exact_risk(TEACHER, "ce_sgl", n, queries=law) for n in (found.n - 1, found.n)]
    assert risk[1] <= 0.1 < risk[0]
    one = kt.Teacher([[0.5, 0.5]])  # 1/sqrt(2 pi n m) within reach of 2^53 labels, and beyond it
    near = samples_needed("hard", teacher=one, tv=1e-7, labels_per_query=4).n
    assert near == pytest.approx(1 / (2 * np.pi * 4e-14), rel=1e-3)
    assert samples_needed("hard", teacher=one, tv=1e-9, labels_per_query=4).n is None


def test_many_different_rows_are_simulated():
    """An exact risk there takes seconds; the number agrees with it."""
    rows = np.random.default_rng(1).dirichlet(np.full(10, 0.3), 300)
    found = samples_needed("partial", teacher=kt.Teacher(rows), tv=0.2)
    assert "simulated" in found.certificate
    assert found.lower <= found.n <= 1.05 * found.lower
    assert kt.exact_risk(kt.Teacher(rows), "sel_ptl", found.n) <= 0.2


def test_the_table_takes_more_levels_with_prices():
    frame = plan(2, 3, 0.4, levels=["rounded(0.1)", access.noisy(0.2), "top_k_only(1)"],
                 prices={"rounded(0.1)": (1, 1), "noisy(0.2) soft": 2, "soft": 3}).set_index("access")  # fmt: skip
    assert list(frame.index)[-3:] == ["rounded(0.1) soft", "noisy(0.2) soft", "top_k_only(1)"]
    assert frame.loc["rounded(0.1) soft", "cost"] == 4 * frame.loc["rounded(0.1) soft", "n"]
    assert frame.loc["noisy(0.2) soft", "cost"] == 2 * frame.loc["noisy(0.2) soft", "n"]
    result = CliRunner().invoke(
        cli.main,
        ["plan", "--inputs", "2", "--labels", "3", "--tv", "0.4", "--level", "rounded(0.1)"],
    )
    assert result.exit_code == 0, result.output
    assert "rounded(0.1) soft" in result.output


@pytest.mark.parametrize(
    "text",
    [
        "rounded",
        "rounded()",
        "rounded(x)",
        "gold(1)",
        "top_k(2) soft",
        "logits(2)",
        "noisy(0.1) gold",
        "(1)",
    ],
)
def test_words_that_name_no_level_are_refused(text):
    with pytest.raises(ValueError, match="level"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "soft",
        "hard",
        "top_k(3)",
        "top_k_only(2)",
        "rounded(0.1) soft",
        "logits partial",
        "noisy(0.5) top_k(5)",
    ],
)
def test_levels_are_read_as_they_are_printed(text):
    assert parse(text).name == text


NET = graphs.cycle(6)
UNPLANNED = {
    "no limit is known for a channel along": (kt.Access(WholeRow(), Noisy(0.1), Ball(NET, 1)), {}),
    "only whole rows along a graph are known": (kt.Access(SampledLabel(), reach=Ball(NET, 1)), {}),
    "inputs = 4: the features are of 3 inputs": (access.jacobian(np.eye(3)), {"inputs": 4}),
    "'rounded(0.1) partial' has none": (
        "rounded(0.1) partial",
        {"inputs": 3, "labels_per_query": 2},
    ),
    "unknown access level 3": (3, {"inputs": 3}),
}
"""What no level is planned for, by what is said of it: what was asked for and the further arguments."""


@pytest.mark.parametrize("words", UNPLANNED)
def test_what_no_level_is_planned_for_is_refused(words):
    given, options = UNPLANNED[words]
    with pytest.raises(ValueError, match=re.escape(words)):
        kt.samples_needed(given, labels=4, tv=0.1, **options)


def test_levels_that_say_all_themselves_take_no_more():
    with pytest.raises(ValueError, match="says all itself"):
        samples_needed("rounded(0.1)", 3, 4, 0.2, k=2)
    with pytest.raises(ValueError, match="labels_per_query"):
        samples_needed("soft", 3, 4, 0.2, labels_per_query=2)
    graph = access.gradient(graphs.cycle(6))
    assert samples_needed(graph, labels=4, tv=0.1).n == samples_needed("soft", 3, 4, 0.1).n
