"""The planner at all sizes and at every level: numbers checked by exact risks, enumeration or a second bound."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

import kt_theory as kt
from kt_theory import graphs
from kt_theory.limits.hard_addc import coordinate_risk, envelope, envelope_bound
from kt_theory.limits.hard_inputs import inputs_upper, laws_upper, row_uppers, visit_steps
from kt_theory.limits.rows import FewLevels
from kt_theory.limits.search import many_rows, one_row
from kt_theory.planning import hard as plan_hard
from kt_theory.planning import rows as plan_rows
from kt_theory.planning.sizes import plan, samples_needed

EXACT = (
    [("soft", S, A, tv, {}) for S, A, tv in [(1, 2, 0.1), (2, 2, 0.02), (10, 3, 0.3), (1000, 50, 0.05), (50, 7, 0.001)]]
    + [("partial", S, A, tv, {}) for S, A, tv in [(1, 3, 0.05), (1, 3, 0.004), (7, 2, 0.05), (300, 2, 0.01)]]
    + [("partial", S, A, tv, {}) for S, A, tv in [(1, 40, 0.05), (1, 200, 0.02), (2, 30, 0.02), (40, 30, 0.02)]]
    + [("top_k", S, A, tv, {"k": k}) for S, A, tv, k in [(1, 6, 0.05, 4), (1, 60, 0.02, 5), (5, 4, 0.05, 3)]]
    + [
        ("gradient", None, A, tv, {"graph": graph})
        for A, tv, graph in [(3, 0.05, graphs.cycle(8)), (5, 0.1, graphs.path(9)), (4, 0.2, graphs.grid(3, 4))]
    ]
    + [("hard", 1, 2, 0.15, {})]
)


@pytest.mark.parametrize(("access", "inputs", "labels", "tv", "more"), EXACT)
def test_twenty_plans_suffice_on_the_worst_teacher_and_a_tenth_less_fails(access, inputs, labels, tv, more):
    """The optimal student's exact risk on the limit's worst teacher, at n and at 0.9 n."""
    found = samples_needed(access, inputs, labels, tv, **more)
    assert found.lower <= found.n
    sizes = {} if inputs is None else {"inputs": inputs}
    less = math.ceil(0.9 * found.n) - 1
    fewer = kt.minimax_risk(access, labels=labels, n=less, **sizes, **more)
    assert fewer.lower > tv
    assert kt.minimax_risk(access, labels=labels, n=found.n, **sizes, **more).upper <= tv * (1 + 1e-9)
    student = {"soft": "ce_ful", "partial": "sel_ptl", "top_k": kt.students.top_k(more.get("k", 0))}.get(access)
    if access == "gradient":
        student = kt.students.grad_ful(more["graph"], 1)
    if student is not None:
        worst = kt.minimax_risk(access, labels=labels, n=found.n, **sizes, **more).teacher
        assert kt.exact_risk(worst, student, found.n) <= tv * (1 + 1e-9)
        assert kt.exact_risk(fewer.teacher, student, less) > tv


def test_there_are_twenty():
    assert len(EXACT) == 20


def simulated_hidden(m, z, x, n, repeats, rng):
    """x u z/(u+z) of `repeats` transfer sets: u of m light labels of probability x unseen."""
    counts = rng.multinomial(n, [*[x] * m, 1 - m * x], size=repeats)[:, :m]
    u = (counts == 0).sum(axis=1)
    return x * u * z / np.maximum(u + z, 1)


@pytest.mark.parametrize(("m", "z", "n"), [(3, 2, 4), (1, 1, 3), (20, 9, 30), (60, 0, 40)])
def test_the_closed_form_is_below_the_loss_of_hidden_labels(m, z, n):
    """Simulation: false alarm below 1e-6 at 5 standard errors; and the form is within Var/c^2 of the mean."""
    x = min(1.5 / n, 1 / m)
    losses = simulated_hidden(m, z, x, n, 20_000, np.random.default_rng(1))
    bound = float(plan_rows.hidden_loss(n, np.array(float(m)), np.array(x), np.array(float(z))))
    error = 5 * losses.std() / math.sqrt(len(losses)) + 1e-15
    assert bound <= losses.mean() + error
    if m >= 20 and z:
        assert bound >= 0.9 * losses.mean()


@pytest.mark.parametrize(
    ("inputs", "labels", "n", "k"),
    [(1, 30, 100, 0), (1, 200, 1000, 0), (100, 25, 1000, 0), (100, 25, 100, 0), (100, 25, 7000, 0), (2, 30, 400, 0),
     (5, 100, 3, 0), (100, 25, 700, 12), (100, 25, 120, 12), (2, 30, 70, 4), (1, 60, 70, 4), (3, 5, 7, 2)],
)  # fmt: skip
def test_explicit_rows_are_nearly_the_worst(inputs, labels, n, k):
    """They never exceed the upper bound of the limit, and come within 8 % of the full search (1 % for most)."""
    found = plan_rows.rows_lower(inputs, labels, n, k)
    more = {"access": "top_k", "k": k} if k else {"access": "partial"}
    assert found <= kt.minimax_risk(inputs=inputs, labels=labels, n=n, **more).upper * (1 + 1e-12)
    family = FewLevels(labels, n, k)
    searched = (one_row(family) if inputs == 1 else many_rows(family, inputs)).value
    assert found >= 0.92 * searched


@pytest.mark.parametrize(("labels", "k"), [(2, 1), (5, 1), (6, 2), (8, 3), (7, 5), (9, 9), (1000, 5)])
def test_the_floor_of_top_k_alone(labels, k):
    """All vertices by rational arithmetic; random rows never lose more."""
    vertices = [Fraction(m, k + m) * (1 - Fraction(m, labels - k)) for m in range(1, labels - k + 1)] or [Fraction(0)]
    floor = plan_rows.tail_floor(labels, k)
    assert floor == pytest.approx(float(max(vertices)), abs=1e-15)
    rng = np.random.default_rng(0)
    for concentration in (0.1, 1.0, 5.0):
        rows = -np.sort(-rng.dirichlet(np.full(labels, concentration), 500), axis=1)
        tail = rows[:, k:]
        if tail.size:
            assert (0.5 * np.abs(tail - tail.mean(axis=1, keepdims=True)).sum(axis=1)).max() <= floor + 1e-12


@pytest.mark.parametrize(("inputs", "labels", "n", "k"), [(2, 4, 3, 1), (5, 8, 20, 3), (40, 6, 50, 2), (1, 5, 4, 2)])
def test_top_k_alone_lies_between_its_bounds_on_random_teachers(inputs, labels, n, k):
    rng = np.random.default_rng(3)
    upper, lower = plan_rows.tail_upper(inputs, labels, n, k), plan_rows.tail_lower(inputs, labels, n, k)
    assert lower <= upper * (1 + 1e-12)
    from kt_theory.planning.bounds import tail_risk

    for _ in range(50):
        teacher = kt.Teacher(rng.dirichlet(np.full(labels, 0.2), inputs), rng.dirichlet(np.ones(inputs)))
        assert tail_risk(teacher, k, n) <= upper + 1e-12


def test_the_risk_of_top_k_alone_by_enumeration():
    """All transfer sets of three draws from two inputs: the student written out."""
    teacher, k, n = kt.Teacher([[0.5, 0.3, 0.15, 0.05], [0.1, 0.2, 0.3, 0.4]], [0.75, 0.25]), 1, 3
    expected = 0.0
    for draws in np.ndindex(2, 2, 2):
        loss = 0.0
        for s in range(2):
            copy = np.full(4, 0.25)
            if s in draws:
                top = int(np.argmax(teacher.pi[s]))
                copy = np.full(4, (1 - teacher.pi[s, top]) / 3)
                copy[top] = teacher.pi[s, top]
            loss += teacher.rho[s] * 0.5 * np.abs(copy - teacher.pi[s]).sum()
        expected += loss * np.prod(teacher.rho[list(draws)])
    from kt_theory.planning.bounds import tail_risk

    assert tail_risk(teacher, k, n) == pytest.approx(expected, rel=1e-13)


def test_top_k_alone_is_possible_above_its_floor_and_impossible_below():
    floor = plan_rows.tail_floor(6, 3)
    below = samples_needed("top_k_only", 10, 6, 0.9 * floor, k=3)
    assert below.n is None
    assert "impossible" in below.reason
    assert below.floor == floor
    for confidence in (None, 0.9):
        above = samples_needed("top_k_only", 10, 6, 1.2 * floor, k=3, confidence=confidence)
        assert above.n >= above.lower > 0
        assert plan_rows.tail_upper(10, 6, above.n, 3) <= 1.2 * floor
    assert samples_needed("top_k_only", 10, 6, 0.05, k=5).n == samples_needed("soft", 10, 6, 0.05).n


@pytest.mark.parametrize("confidence", [None, 0.8])
def test_top_k_alone_of_a_teacher_in_hand_has_its_own_floor(confidence):
    rows, rho = np.array([[0.7, 0.1, 0.1, 0.1], [0.4, 0.3, 0.2, 0.1]]), np.array([0.6, 0.4])
    teacher, floor = kt.Teacher(rows, rho), 0.4 * 0.5 * (0.1 + 0.0 + 0.1)
    impossible = samples_needed("top_k_only", teacher=teacher, tv=0.99 * floor, k=1, confidence=confidence)
    assert impossible.n is None
    assert impossible.floor == pytest.approx(floor, rel=1e-12)
    found = samples_needed("top_k_only", teacher=teacher, tv=1.9 * floor, k=1, confidence=confidence)
    far = np.array([kt.total_variation(row, np.full(4, 0.25)) for row in rows])
    tail = np.array([0.0, 0.1])
    if confidence is None:
        risk = [float(rho @ ((1 - rho) ** n * far + (1 - (1 - rho) ** n) * tail)) for n in (found.n - 1, found.n)]
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
    ("hard", 1, 10**6, 1e-3, {}), ("hard", 2, 2, 1e-3, {}), ("hard", 10**6, 10**6, 0.3, {}),
    ("hard", 10**12, 10, 0.05, {}), ("hard", 10**14, 3, 0.3, {}), ("partial", 1, 10**6, 0.3, {}),
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
    inputs, labels, n = 20, 6, 9000
    visits = visit_steps(inputs, int(1.05 * n), plan_hard.FINEST)
    table = laws_upper(inputs, labels, n, visits, row_uppers(labels, visits, plan_hard.GAP))
    own = inputs_upper(inputs, labels, n)
    assert own * (1 - 2e-3) <= table <= own * 1.01
    assert table >= kt.minimax_risk("hard", inputs, labels, n).lower


@pytest.mark.parametrize("inputs", [10, 10**6, 10**12])
def test_hard_labels_of_many_inputs_cost_what_one_row_costs(inputs):
    """S inputs at kappa = n/S visits are at least as hard as one row, and in the limit no harder: the envelope's slope
    must not be lost where h(1) is far larger than h(1/S)."""
    row = float(row_uppers(10, np.array([0.0, 7400.0]))[1])
    assert inputs_upper(inputs, 10, 7400 * inputs) <= 1.02 * row


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
    graph = graphs.cycle(6)
    frame = plan(
        labels=6, tv=0.3, graph=graph, top=(1,), top_only=(1, 3), prices={"gradient": 2.0, "top_k_only(3)": (1, 1)}
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
    assert by.loc["gradient", "n"] == samples_needed("soft", 3, 6, 0.3).n
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
