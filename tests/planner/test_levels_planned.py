"""The planner at all sizes and at every level: numbers checked by exact risks, enumeration or a second bound."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
from grids import few_quick

import kt_theory as kt
from kt_theory import graphs
from kt_theory.limits.greedy.top_k import floor as tail_floor
from kt_theory.limits.hard import bracket as plan_hard
from kt_theory.limits.hard.add_c import coordinate_risk, envelope, envelope_bound
from kt_theory.limits.hard.inputs import inputs_upper, laws_upper, row_uppers, visit_steps
from kt_theory.planner.sizes import plan, samples_needed

EXACT = (
    [
        ("soft", S, A, tv, {})
        for S, A, tv in [(1, 2, 0.1), (2, 2, 0.02), (10, 3, 0.3), (1000, 50, 0.05), (50, 7, 0.001)]
    ]
    + [
        ("partial", S, A, tv, {})
        for S, A, tv in [(1, 3, 0.05), (1, 3, 0.004), (7, 2, 0.05), (300, 2, 0.01)]
    ]
    + [
        ("partial", S, A, tv, {})
        for S, A, tv in [(1, 40, 0.05), (1, 200, 0.02), (2, 30, 0.02), (40, 30, 0.02)]
    ]
    + [
        ("top_k", S, A, tv, {"k": k})
        for S, A, tv, k in [(1, 6, 0.05, 4), (1, 60, 0.02, 5), (5, 4, 0.05, 3)]
    ]
    + [
        ("gradient", None, A, tv, {"graph": graph})
        for A, tv, graph in [
            (3, 0.05, graphs.cycle(8)),
            (5, 0.1, graphs.path(9)),
            (4, 0.2, graphs.grid(3, 4)),
        ]
    ]
    + [("hard", 1, 2, 0.15, {})]
)


@pytest.mark.parametrize(("access", "inputs", "labels", "tv", "more"), EXACT)
def test_twenty_plans_suffice_on_the_worst_teacher_and_a_tenth_less_fails(
    access, inputs, labels, tv, more
):
    """The optimal student's exact risk on the limit's worst teacher, at n and at 0.9 n."""
    found = samples_needed(access, inputs, labels, tv, **more)
    assert found.lower <= found.n
    sizes = {} if inputs is None else {"inputs": inputs}
    less = math.ceil(0.9 * found.n) - 1
    fewer = kt.minimax_risk(access, labels=labels, n=less, **sizes, **more)
    assert fewer.lower > tv
    assert kt.minimax_risk(access, labels=labels, n=found.n, **sizes, **more).upper <= tv * (
        1 + 1e-9
    )
    student = {
        "soft": "ce_ful",
        "partial": "sel_ptl",
        "top_k": kt.students.top_k(more.get("k", 0)),
    }.get(access)
    if access == "gradient":
        student = kt.students.grad_ful(more["graph"], 1)
    if student is not None:
        worst = kt.minimax_risk(access, labels=labels, n=found.n, **sizes, **more).teacher
        assert kt.exact_risk(worst, student, found.n) <= tv * (1 + 1e-9)
        assert kt.exact_risk(fewer.teacher, student, less) > tv


def test_there_are_twenty():
    assert len(EXACT) == 20


def test_top_k_alone_is_possible_above_its_floor_and_impossible_below():
    floor = tail_floor(6, 3)
    below = samples_needed("top_k_only", 10, 6, 0.9 * floor, k=3)
    assert below.n is None
    assert "impossible" in below.reason
    assert below.floor == floor
    for confidence in (None, 0.9):
        above = samples_needed("top_k_only", 10, 6, 1.2 * floor, k=3, confidence=confidence)
        assert above.n >= above.lower > 0
        assert kt.minimax_risk("top_k_only", 10, 6, above.n, k=3).upper <= 1.2 * floor
    assert samples_needed("top_k_only", 10, 6, 0.05, k=5).n == samples_needed("soft", 10, 6, 0.05).n


@pytest.mark.parametrize("confidence", [None, 0.8])
def test_top_k_alone_of_a_teacher_in_hand_has_its_own_floor(confidence):
    rows, rho = np.array([[0.7, 0.1, 0.1, 0.1], [0.4, 0.3, 0.2, 0.1]]), np.array([0.6, 0.4])
    teacher, floor = kt.Teacher(rows, rho), 0.4 * 0.5 * (0.1 + 0.0 + 0.1)
    impossible = samples_needed(
        "top_k_only", teacher=teacher, tv=0.99 * floor, k=1, confidence=confidence
    )
    assert impossible.n is None
    assert impossible.floor == pytest.approx(floor, rel=1e-12)
    found = samples_needed(
        "top_k_only", teacher=teacher, tv=1.9 * floor, k=1, confidence=confidence
    )
    far = np.array([kt.total_variation(row, np.full(4, 0.25)) for row in rows])
    tail = np.array([0.0, 0.1])
    if confidence is None:
        risk = [
            float(rho @ ((1 - rho) ** n * far + (1 - (1 - rho) ** n) * tail))
            for n in (found.n - 1, found.n)
        ]
        assert risk[1] <= 1.9 * floor < risk[0]
        assert found.lower == found.n
    else:
        chance = [_fails(rho, far, tail, n, 1.9 * floor) for n in (found.n - 1, found.n)]
        assert chance[1] <= 0.2 < chance[0]


def _fails(rho, far, tail, n, tv):
    """P(loss > tv) over which of two inputs are visited."""
    only = [rho[0] ** n, rho[1] ** n]
    law = {(True, False): only[0], (False, True): only[1], (True, True): 1 - sum(only)}
    return sum(p for seen, p in law.items() if rho @ np.where(seen, tail, far) > tv)


SIZES = [
    ("hard", 1, 10**6, 1e-3, {}), ("hard", 10**6, 10**6, 0.3, {}),
    pytest.param("hard", 10**12, 10, 0.05, {}, marks=pytest.mark.long),
    ("partial", 1, 10**6, 0.3, {}),
    pytest.param("hard", 2, 2, 1e-3, {}, marks=pytest.mark.long),
    pytest.param("hard", 10**14, 3, 0.3, {}, marks=pytest.mark.long),
    ("partial", 10**6, 2000, 0.05, {}), ("partial", 10**13, 50, 0.3, {}), ("top_k", 1, 10**5, 0.001, {"k": 5}),
    ("top_k", 10**6, 2000, 0.001, {"k": 1000}), ("top_k", 1000, 1000, 0.05, {"k": 5}),
]  # fmt: skip


@pytest.mark.parametrize(("access", "inputs", "labels", "tv", "more"), SIZES)
def test_the_bracket_is_narrow_at_any_size(access, inputs, labels, tv, more):
    found = samples_needed(access, inputs, labels, tv, **more)
    assert found.lower <= found.n
    assert found.n <= (1.1 if tv < 0.3 else 2.2) * found.lower


def test_row_bounds_made_for_another_n_prove_the_same_within_a_percent():
    """The planner's tables: a table for 5 % more samples is valid and nearly as sharp as the limit's own."""
    inputs, labels, n = 3, 3, 300
    visits = visit_steps(inputs, int(1.05 * n), plan_hard.FINEST)
    table = laws_upper(inputs, labels, n, visits, row_uppers(labels, visits, plan_hard.GAP))
    own = inputs_upper(inputs, labels, n)
    assert own * (1 - 2e-3) <= table <= own * 1.01
    assert table >= kt.minimax_risk("hard", inputs, labels, n).lower


@functools.cache
def row_risk(visits):
    return float(row_uppers(10, np.array([0.0, visits]))[1])


@pytest.mark.parametrize("inputs", few_quick([10, 10**6, 10**12], [10]))
def test_hard_labels_of_many_inputs_cost_what_one_row_costs(inputs):
    """S inputs at kappa = n/S visits are at least as hard as one row, and in the limit no harder: the envelope's slope
    must not be lost where h(1) is far larger than h(1/S)."""
    assert inputs_upper(inputs, 10, 740 * inputs) <= 1.02 * row_risk(740.0)


@pytest.mark.parametrize(("labels", "n"), [(10, 50), (100, 1000), (1000, 10**5), (10**5, 10**7)])
def test_the_envelope_bound_holds_far_from_the_mean(labels, n):
    """r(p) - slope (p - 1/A) on a random grid up to p = 1 never exceeds the certified maximum."""
    c = 0.4 * math.sqrt(n / labels)
    value, slope = envelope(labels, n, c)
    top = envelope_bound(labels, n, c, slope, 1e-4 * value)
    p = np.exp(np.random.default_rng(1).uniform(math.log(0.01 / labels), 0.0, 20_000))
    assert (coordinate_risk(p, labels, n, c) - slope * (p - 1 / labels)).max() <= top
    assert top <= value * 1.001


@pytest.mark.parametrize(("inputs", "labels"), [(1, 4), (3, 4), (20, 2)])
def test_the_joint_bound_holds_in_simulation(inputs, labels):
    """P(loss > bound) <= 0.1 on three teachers: 2000 sets, 5.1 standard deviations; a quarter of it fails."""
    rng = np.random.default_rng(2)
    n = 60 * inputs
    bound = plan_hard.joint_bound(inputs, labels, n, 0.1)
    for teacher in (
        kt.Teacher(np.full((inputs, labels), 1 / labels)),
        kt.Teacher(rng.dirichlet(np.ones(labels), inputs), rng.dirichlet(np.ones(inputs))),
        kt.Teacher(np.eye(labels)[np.arange(inputs) % labels]),
    ):
        losses = kt.simulate(teacher, "ce_sgl", n, 2000, keep_losses=True, progress=False).losses
        assert (losses > bound).mean() <= 0.1 + 5.1 * math.sqrt(0.09 / 2000)
    uniform = kt.Teacher(np.full((inputs, labels), 1 / labels))
    losses = kt.simulate(uniform, "ce_sgl", n, 2000, keep_losses=True, progress=False).losses
    assert (losses > bound / 4).mean() > 0.2


def test_confidence_for_hard_labels_is_near_its_lower_bound():
    found = samples_needed("hard", 1000, 50, 0.05, confidence=0.95)
    assert found.n <= 8 * found.lower  # Theorem 3.2 needs 22 times as many


def test_plan_shows_gradients_and_top_k_alone():
    graph = graphs.cycle(4)
    frame = plan(
        labels=6,
        tv=0.3,
        graph=graph,
        top=(1,),
        top_only=(1, 3),
        prices={"gradient": 2.0, "top_k_only(3)": (1, 1)},
    )
    assert list(frame["access"]) == [
        "hard",
        "top_k_only(1)",
        "top_k_only(3)",
        "partial",
        "top_k(1)",
        "soft",
        "gradient",
    ]
    by = frame.set_index("access")
    assert by.loc["gradient", "n"] == samples_needed("soft", 2, 6, 0.3).n
    assert by.loc["gradient", "cost"] == 2 * by.loc["gradient", "n"]
    assert by.loc["top_k_only(3)", "cost"] == 4 * by.loc["top_k_only(3)", "n"]
    assert "impossible" in by.loc["top_k_only(1)", "reason"]
    with pytest.raises(ValueError, match="hops"):
        plan(2, 2, 0.2, hops=2)
    with pytest.raises(ValueError, match="price per query"):
        plan(labels=6, tv=0.3, graph=graph, prices={"gradient": (1, 1)})


@pytest.mark.parametrize(
    ("options", "match"),
    [({"k": None}, "k is missing"), ({"k": 0}, "k = 0: must be at least 1"), ({"k": 9}, "at most 4"),
     ({"k": 2, "hops": 2}, "hops is given")],
)  # fmt: skip
def test_top_k_alone_checks_its_arguments(options, match):
    with pytest.raises(ValueError, match=match):
        samples_needed(**({"access": "top_k_only", "inputs": 3, "labels": 4, "tv": 0.2} | options))
