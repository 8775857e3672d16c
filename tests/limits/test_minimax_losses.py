"""Minimax risks in other losses: the inequalities between rows, students that attain the bounds and students that do not
beat them, sample sizes as inverses."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from grids import few_quick

import kt_theory as kt
from kt_theory import access, catalogue
from kt_theory.cli.main import main
from kt_theory.limits.order_laws import uniform_cost
from kt_theory.losses import LOSSES, row_loss

OF_FILES = {"gradient", "jacobian"}
LEVELS_BY_NAME = [e.example for e in catalogue.LEVELS.values() if e.name not in OF_FILES]
LEVELS_BY_NAME += ["rounded(0.1) partial", "noisy(0.2) top_k(2)", "quantised(3) top_k_only(2)"]
LEVELS_BY_NAME += ["logits partial", "temperature(2) top_k_only(2)"]
OTHERS = ["kl", "reverse_kl", "chi2", "hellinger2", "js", "l2"]
BOUNDED = ["hellinger2", "js", "l2"]


def random_pairs(rng, labels, number=300):
    """Rows that are near and far, with zeros here and there."""
    p, q = (rng.dirichlet(np.full(labels, rng.choice([0.1, 1.0])), size=number) for _ in range(2))
    mix = rng.random((number, 1)) ** 3
    q = mix * q + (1.0 - mix) * p
    p[:20], q[:20] = np.eye(labels)[rng.integers(labels, size=20)], q[:20]
    return p, q


@pytest.mark.parametrize("labels", [2, 3, 10])
def test_order_laws_between_rows(labels):
    """2 t^2 <= kl, reverse_kl; 4 t^2 <= chi2; t^2/2 <= hellinger2 <= t; t^2/2 <= js <= t log 2;
    4 t^2/A <= l2 <= 2 t; kl <= log(1 + chi2); hellinger2 <= 1 - (1+chi2)^(-1/2); js <= chi2 log(2)/2.
    """
    p, q = random_pairs(np.random.default_rng(labels), labels)
    loss = {name: each.of_rows(p, q) for name, each in LOSSES.items()}
    t, chi2, slack = loss["tv"], loss["chi2"], 1e-12
    above = {
        "kl": np.log1p(chi2),
        "hellinger2": np.minimum(t, 1.0 - 1.0 / np.sqrt(1.0 + chi2)),
        "js": np.minimum(t * math.log(2.0), chi2 * math.log(2.0) / 2.0),
        "l2": 2.0 * t,
    }
    square = {"kl": 2, "reverse_kl": 2, "chi2": 4, "hellinger2": 0.5, "js": 0.5, "l2": 4 / labels}
    for name, factor in square.items():
        assert (factor * t**2 <= loss[name] + slack).all(), name
        assert (1.5 * factor * t**2 > loss[name]).any(), f"{name} is never within a half of it"
    for name, bound in above.items():
        assert (loss[name] <= bound * (1.0 + slack) + slack).all(), name


def test_equal_shares_lose_at_most_their_share_of_a_point_mass():
    """loss <= t loss(e, U)/(1-1/A) if q is exact but for equal shares of what is hidden; F rises with the labels."""
    rng = np.random.default_rng(7)
    for name in ("kl", "chi2", "hellinger2", "js", "l2"):
        loss, factors = LOSSES[name], []
        for labels in (2, 3, 6, 12):
            factors.append(uniform_cost(loss, labels) / (1.0 - 1.0 / labels))
            p = rng.dirichlet(np.full(labels, 0.3), size=200)
            hidden = rng.random(p.shape) < 0.7
            mass = np.where(hidden, p, 0.0).sum(axis=1) / np.maximum(hidden.sum(axis=1), 1)
            q = np.where(hidden, mass[:, None], p)
            t = LOSSES["tv"].of_rows(p, q)
            assert (loss.of_rows(p, q) <= factors[-1] * t * (1.0 + 1e-9) + 1e-15).all()
        assert factors == sorted(factors) or name == "l2"
        np.testing.assert_allclose(factors, factors[0]) if name == "l2" else None


SETTLED = {
    "soft": ("soft", {"inputs": 5}, "ce_ful"),
    "one input": ("soft", {"inputs": 1}, "ce_ful"),
    "partial of two labels": ("partial", {"inputs": 4, "labels": 2}, "sel_ptl"),
    "gradient": ("gradient", {"graph": kt.graphs.cycle(6)}, None),
    "temperature": (access.as_access("soft"), {"inputs": 3}, "ce_ful"),
}


@pytest.mark.parametrize("case", SETTLED)
def test_whole_rows_are_exact_and_attained(case):
    """The worst teacher's exact risk, which knows nothing of limits, is the value."""
    level, sizes, student = SETTLED[case]
    sizes = {"labels": 4} | sizes
    for name, n in product(OTHERS, (0, 1, 30)):
        limit = kt.minimax_risk(level, n=n, loss=name, **sizes)
        assert limit.exact
        assert limit.loss == name
        if student:
            risk = kt.exact_risk(limit.teacher, student, n, loss=name)
            assert limit.lower == pytest.approx(risk, rel=1e-12, abs=1e-300), (name, n)
        else:
            tv = kt.minimax_risk(level, n=n, **sizes)
            factor = uniform_cost(LOSSES[name], 4) / 0.75
            assert limit.upper == pytest.approx(factor * tv.upper, rel=1e-12)


def test_values_at_no_sample_are_those_of_the_uniform_student():
    """log A, A - 1, 1 - 1/sqrt A, 1 - 1/A; js of a point mass with halves; reverse_kl infinite."""
    middle = (1.0 + 0.25) / 2.0
    js = (math.log(1 / middle) + 0.25 * math.log(0.25 / middle) + 0.75 * math.log(2.0)) / 2.0
    values = {"kl": math.log(4.0), "chi2": 3.0, "hellinger2": 0.5, "l2": 0.75, "js": js}
    for level in ("hard", "partial", "soft", "argmax", "non_target"):
        for name, value in ({"reverse_kl": math.inf} | values).items():
            limit = kt.minimax_risk(level, 3, 4, 0, loss=name)
            assert limit.exact
            assert limit.lower == pytest.approx(value, rel=1e-12), (level, name)


def test_l2_of_hard_labels_is_attained_on_every_teacher():
    rng = np.random.default_rng(2)
    for labels, n in ((2, 1), (3, 10), (7, 50), (4, 0)):
        limit = kt.minimax_risk("hard", 1, labels, n, loss="l2")
        assert limit.exact
        assert limit.lower == pytest.approx((1.0 - 1.0 / labels) / (math.sqrt(n) + 1.0) ** 2)
        assert "add_c(sqrt(n)/A)" in limit.reference
        student = kt.students.add_c(math.sqrt(n) / labels)
        teachers = [limit.teacher]
        teachers += [kt.Teacher([row]) for row in rng.dirichlet(np.ones(labels), size=5) if n]
        for teacher in teachers:
            risk = kt.exact_risk(teacher, student, n, loss="l2")
            assert risk == pytest.approx(limit.lower, rel=1e-12)


def count_vectors(n, labels):
    return np.array([c for c in product(range(n + 1), repeat=labels) if sum(c) == n])


def worst_cases(students, counts, loss):
    """The largest risk of each student (M, K, A) over a grid of rows; K the count vectors of n draws."""
    labels, n = counts.shape[1], counts[0].sum()
    grid = count_vectors(12, labels) / 12.0
    ways = [math.factorial(n) / math.prod(map(math.factorial, c)) for c in counts.tolist()]
    chance = np.array(ways) * (grid[:, None, :] ** counts).prod(axis=2)
    worst = np.zeros(len(students))
    for row, law in zip(grid, chance, strict=True):
        possible = law > 0.0
        lost = loss.of_rows(row, students[:, possible])
        worst = np.maximum(worst, lost @ law[possible])
    return worst


@pytest.mark.parametrize(
    ("labels", "n"), few_quick([(2, 1), (2, 2), (2, 4), (3, 1), (3, 2)], [(3, 2)])
)
def test_no_student_does_better_than_the_lower_bound(labels, n):
    """200 students around the best one and 200 at random: none is below in its worst case over a grid of rows, which
    is at most its worst case.
    """
    rng = np.random.default_rng(labels * 10 + n)
    counts = count_vectors(n, labels)
    best = (counts + math.sqrt(n) / labels) / (n + math.sqrt(n))
    shape = (200, *counts.shape)
    near = best * np.exp(0.1 * rng.normal(size=shape))
    far = rng.dirichlet(np.ones(labels), size=shape[:2])
    students = np.concatenate([best[None], near / near.sum(axis=2, keepdims=True), far])
    for name in OTHERS:
        limit = kt.minimax_risk("hard", 1, labels, n, loss=name)
        worst = worst_cases(students, counts, LOSSES[name])
        assert worst.min() >= limit.lower * (1.0 - 1e-12), name
        if name == "l2":
            assert worst[0] == pytest.approx(limit.lower, rel=1e-12)
            assert worst[0] < worst[1:].min()


@pytest.mark.parametrize(
    ("inputs", "labels", "n"), few_quick([(1, 3, 7), (3, 4, 20), (6, 2, 5)], [(1, 3, 7)])
)
def test_students_keep_to_the_upper_bounds(inputs, labels, n):
    """Exact risks on random teachers, and on the worst of tv, of the students that the bounds are of."""
    rng = np.random.default_rng(5)
    worst = kt.minimax_risk("partial", inputs, labels, n).teacher
    teachers = [worst, kt.teachers.instance0(inputs=inputs, labels=labels)]
    for _ in range(4):
        rows = rng.dirichlet(np.full(labels, 0.2), size=inputs)
        teachers.append(kt.Teacher(rows, rng.dirichlet(np.full(inputs, 0.5)), normalise=True))
    for level, student, losses in (
        ("hard", "laplace", ["kl", "chi2", "hellinger2", "js"]),
        ("partial", "sel_ptl", ["kl", "hellinger2", "js", "l2"]),
    ):
        for name in losses:
            upper = kt.minimax_risk(level, inputs, labels, n, loss=name).upper
            for teacher in teachers:
                assert kt.exact_risk(teacher, student, n, loss=name) <= upper * (1 + 1e-12)


def test_add_1_at_point_masses_comes_near_its_bound():
    """chi2 is (A-1) C there, uniform rho: the bound is the worst case of this student."""
    for inputs, n in ((1, 9), (3, 4)):
        point = kt.Teacher(np.eye(5)[np.zeros(inputs, dtype=int)])
        limit = kt.minimax_risk("hard", inputs, 5, n, loss="chi2")
        assert kt.exact_risk(point, "laplace", n, loss="chi2") == pytest.approx(limit.upper)


def test_reverse_kl_of_one_input():
    """ce_sgl has at most log(1 + (A-1)/n); with more inputs no student has a finite worst case."""
    rng = np.random.default_rng(6)
    for labels, n in ((2, 1), (5, 10)):
        limit = kt.minimax_risk("hard", 1, labels, n, loss="reverse_kl")
        assert limit.upper == pytest.approx(math.log1p((labels - 1) / n))
        for row in rng.dirichlet(np.full(labels, 0.3), size=10):
            risk = kt.exact_risk(kt.Teacher([row]), "ce_sgl", n, loss="reverse_kl")
            assert risk <= limit.upper
    for level in ("hard", "partial", "soft", "argmax", access.rounded(0.1)):
        limit = kt.minimax_risk(level, 2, 3, 50, loss="reverse_kl")
        assert (limit.lower, limit.upper, limit.exact) == (math.inf, math.inf, True)
        assert "every student gives a row" in limit.reference


LEVELS = ["hard", "partial", "soft", "argmax", "non_target", access.rounded(0.1), access.noisy(0.5)]


@pytest.mark.parametrize("level", few_quick(LEVELS, ["soft", "argmax"]))
def test_brackets_are_brackets_and_fall(level):
    for name in OTHERS:
        limits = [kt.minimax_risk(level, 3, 5, n, loss=name) for n in (0, 4, 40, 400)]
        for limit in limits:
            assert 0.0 <= limit.lower <= limit.upper
            assert limit.upper <= uniform_cost(LOSSES[name], 5)
        uppers = [limit.upper for limit in limits]
        assert uppers == sorted(uppers, reverse=True)


def test_acceptance_is_total_variation_turned():
    tv = kt.minimax_risk("argmax", 2, 5, 30)
    found = kt.minimax_risk("argmax", 2, 5, 30, loss="acceptance")
    assert (found.lower, found.upper) == (1.0 - tv.upper, 1.0 - tv.lower)
    same = kt.samples_needed("soft", 20, 5, tv=1.0 - 0.9)
    needed = kt.samples_needed("soft", 20, 5, loss="acceptance", risk=0.9)
    assert (needed.n, needed.lower) == (same.n, same.lower)


NEEDED = {
    "l2, exactly": ("hard", 1, "l2", 0.01, {}),
    "add-1": ("hard", 1, "kl", 0.02, {}),
    "add-1, inputs": ("hard", 6, "chi2", 0.3, {}),
    "soft": ("soft", 20, "kl", 0.1, {}),
    "soft, reverse_kl of one input": ("soft", 1, "reverse_kl", 0.1, {}),
    "hellinger2 of partial": ("partial", 3, "hellinger2", 0.03, {}),
    "gradient": ("gradient", None, "js", 0.01, {"graph": kt.graphs.cycle(6)}),
    "at once": ("hard", 2, "chi2", 4.5, {}),
    "ce_sgl": ("hard", 1, "reverse_kl", 0.1, {}),
}


DEAR = {"add-1, inputs", "hellinger2 of partial", "add-1"}


@pytest.mark.parametrize("case", few_quick(NEEDED, NEEDED.keys() - DEAR))
def test_sample_sizes_are_inverses_of_the_limits(case):
    level, inputs, loss, risk, more = NEEDED[case]

    def limit(n):
        return kt.minimax_risk(level, inputs, 5, n, loss=loss, **more)

    found = kt.samples_needed(level, inputs, 5, loss=loss, risk=risk, **more)
    assert found.loss == loss
    assert limit(found.n).upper <= risk
    if found.n and level != "partial":
        assert limit(found.n - 1).upper > risk
    if found.lower:
        assert limit(found.lower - 1).lower > risk
    assert found.lower <= found.n
    if limit(found.n).exact:
        assert found.lower == found.n


def test_what_no_number_of_queries_reaches():
    found = kt.samples_needed("hard", 2, 5, loss="reverse_kl", risk=1.0)
    assert found.n is None
    assert found.floor == math.inf
    assert "impossible, reverse_kl is infinite" in found.reason
    found = kt.samples_needed("top_k_only", 2, 10, k=2, loss="kl", risk=0.01)
    assert found.n is None
    assert "impossible, the tails that it hides leave kl >= 0.28125" in found.reason
    found = kt.samples_needed("argmax", 2, 10, loss="kl", risk=2.0)
    assert found.n is None
    assert "no student is proved to reach kl = 2 on every teacher" in found.reason


def test_the_papers_bounds_in_other_losses():
    """Lower bounds by Pinsker and kin; upper ones where the loss is at most a multiple of tv, for the student named."""
    bounds = kt.bounds
    tv = bounds.table(6, 4, [50, 500]).set_index(["id", "n"])
    teacher = kt.teachers.instance0(inputs=6, labels=4)
    for name in OTHERS:
        found = bounds.table(6, 4, [50, 500], loss=name).set_index(["id", "n"])
        for n in (50, 500):
            lower = kt.minimax_risk("soft", 6, 4, n, loss=name).lower
            assert 0.0 < found.loc["5.1", n].value <= lower
            factor = uniform_cost(LOSSES[name], 4) / 0.75
            for id, student in (
                ("3.2-mean", "ce_sgl"),
                ("4.4-mean", "sel_ptl"),
                ("5.2-mean", "ce_ful"),
            ):
                row = found.loc[id, n]
                known = name in BOUNDED or (student != "ce_sgl" and name != "reverse_kl")
                assert row.applies == known
                if known:
                    assert kt.exact_risk(teacher, student, n, loss=name) <= row.value
                    if student != "ce_sgl" and name != "l2":
                        assert row.value == pytest.approx(factor * tv.loc[id, n].value)
    turned = bounds.table(6, 4, 500, loss="acceptance").set_index("id")
    assert turned.loc["5.1"].kind == "upper"
    assert turned.loc["5.1"].value == 1.0 - tv.loc["5.1", 500].value


@pytest.mark.long
@pytest.mark.parametrize("name", LEVELS_BY_NAME)
def test_every_level_with_a_name_has_a_bracket_in_every_loss(name):
    for loss, n in product(LOSSES, (0, 3, 60)):
        limit = kt.minimax_risk(catalogue.level(name), 4, 6, n, loss=loss)
        assert 0.0 <= limit.lower <= limit.upper, (loss, n)
        assert limit.upper < math.inf or loss == "reverse_kl"


def test_the_command_prints_limits_in_a_loss(tmp_path):
    """The same numbers as from Python; a loss that is none is refused before anything is written."""
    out = tmp_path / "limits.csv"
    words = ["limits", "--inputs", "2", "--labels", "3", "--n", "4", "--top", "1"]
    done = CliRunner().invoke(main, [*words, "--loss", "l2", "--csv", str(out)])
    assert done.exit_code == 0, done.output
    assert "kappa" not in done.output
    for row in pd.read_csv(out).itertuples():
        limit = kt.minimax_risk(catalogue.level(row.access), 2, 3, row.n, loss="l2")
        assert (row.lower, row.upper) == pytest.approx((limit.lower, limit.upper))
    out.unlink()
    done = CliRunner().invoke(main, [*words, "--loss", "tvd", "--csv", str(out)])
    assert done.exit_code == 2
    assert "unknown loss 'tvd'" in done.output
    assert not out.exists()


@row_loss
def largest_gap(p, q):
    return abs(p - q).max()


def test_refusals():
    with pytest.raises(ValueError, match="no bound over all teachers is known, only of tv, kl"):
        kt.minimax_risk("hard", 1, 3, 5, loss=largest_gap)
    with pytest.raises(ValueError, match="unknown loss 'KL'"):
        kt.minimax_risk("hard", 1, 3, 5, loss="KL")
    with pytest.raises(ValueError, match="risk is missing"):
        kt.samples_needed("hard", 1, 3, loss="kl")
    with pytest.raises(ValueError, match="the goal in loss 'tv' is tv"):
        kt.samples_needed("hard", 1, 3, risk=0.1)
    with pytest.raises(ValueError, match="must be a finite number above 0"):
        kt.samples_needed("hard", 1, 3, loss="kl", risk=0.0)
    with pytest.raises(ValueError, match=r"risk = 1.0: must lie strictly between 0 and 1"):
        kt.samples_needed("hard", 1, 3, loss="acceptance", risk=1.0)
    with pytest.raises(ValueError, match="teacher is given: in loss 'kl' n is for every teacher"):
        kt.samples_needed("hard", teacher=kt.Teacher([[0.5, 0.5]]), loss="kl", risk=0.1)
    with pytest.raises(ValueError, match="confidence is given: in loss 'kl'"):
        kt.samples_needed("hard", 1, 3, confidence=0.9, loss="kl", risk=0.1)
