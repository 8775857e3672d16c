"""Exact risks against rational enumeration of all transfer sets, independent sums, asymptotics, published numbers."""

from __future__ import annotations

from fractions import Fraction as F
from math import factorial, pi, sqrt

import numpy as np
import pytest
from grids import few_quick
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import kt_theory as kt
from kt_theory.access.reach import Ball
from kt_theory.exact.cost import NoExactRisk
from kt_theory.exact.empirical import Empirical
from kt_theory.exact.occupancy import Cells, empty_mean
from kt_theory.exact.reached import Balls
from kt_theory.exact.reweighted import Reweighted
from kt_theory.exact.settled import Greedy, WholeRows
from kt_theory.exact.ties import ties_of
from kt_theory.exact.unseen import Unseen
from kt_theory.exact.unvisited import uniform_distance, unvisited_risk
from kt_theory.graphs import Graph, as_graph, complete, cycle, path
from kt_theory.students.risk import exact_risk
from kt_theory.teacher import Teacher

STUDENTS = list(kt.STUDENTS)


def fractions(*weights: int) -> list[F]:
    return [F(w, sum(weights)) for w in weights]


# (rows, rho, n): degenerate rows, zero-probability labels and inputs, one label, one input, n = 0 and n = 1 included.
TINY = {
    "one input": ([fractions(3, 2, 1)], fractions(1), 7),
    "one input, all distinct": ([fractions(1, 2, 3, 4, 5)], fractions(1), 6),
    "one input, tied labels": ([fractions(4, 1, 1)], fractions(1), 9),
    "zero label": ([fractions(2, 1, 0)], fractions(1), 6),
    "heavy label": ([fractions(198, 1, 1)], fractions(1), 30),
    "point mass": ([fractions(0, 1, 0)], fractions(1), 3),
    "two inputs": ([fractions(2, 1, 1), fractions(1, 0, 0)], fractions(1, 2), 4),
    "uniform row": ([fractions(1, 1, 0), fractions(1, 1, 1)], fractions(1, 2), 5),
    "one label": ([fractions(1), fractions(1)], fractions(1, 2), 5),
    "zero input": ([fractions(3, 2, 1), fractions(1, 2, 4)], fractions(1, 0), 5),
    "three inputs": ([fractions(9, 1), fractions(1, 3), fractions(1, 0)], fractions(1, 3, 6), 5),
    "equal inputs": ([fractions(3, 1), fractions(1, 3), fractions(3, 1)], fractions(1, 1, 1), 4),
    "rare input": ([fractions(5, 1, 1), fractions(1, 5, 1)], fractions(1, 999), 4),
    "no sample": ([fractions(1, 2, 3), fractions(1, 1, 4)], fractions(2, 3), 0),
    "one sample": ([fractions(1, 2, 3), fractions(1, 1, 4)], fractions(2, 3), 1),
}


def count_vectors(n: int, cells: int):
    if cells == 1:
        yield (n,)
        return
    for first in range(n + 1):
        for rest in count_vectors(n - first, cells - 1):
            yield (first, *rest)


def closed_form(student: str, counts: tuple[int, ...], p: list[F]) -> list[F]:
    """The student's row, from its definition."""
    visits = sum(counts)
    if visits == 0:
        return [F(1, len(p))] * len(p)
    if student == "ce_ful":
        return p
    if student == "ce_sgl":
        return [F(c, visits) for c in counts]
    if student == "ce_ptl":
        mass = sum(c * x for c, x in zip(counts, p, strict=True))
        return [c * x / mass for c, x in zip(counts, p, strict=True)]
    left = 1 - sum(x for c, x in zip(counts, p, strict=True) if c)
    return [x if c else left / counts.count(0) for c, x in zip(counts, p, strict=True)]


def enumerated(rows: list[list[F]], rho: list[F], n: int) -> dict[str, F]:
    """The risks by summing over every count table of n samples."""
    labels = len(rows[0])
    cells = [r * x for r, row in zip(rho, rows, strict=True) for x in row]
    risk = dict.fromkeys(STUDENTS, F(0))
    for counts in count_vectors(n, len(cells)):
        if any(c and not x for c, x in zip(counts, cells, strict=True)):
            continue
        chance = F(factorial(n))
        for c, x in zip(counts, cells, strict=True):
            chance *= x**c / F(factorial(c))
        for s, (r, row) in enumerate(zip(rho, rows, strict=True)):
            seen = counts[s * labels : (s + 1) * labels]
            for student in STUDENTS:
                guess = closed_form(student, seen, row)
                risk[student] += (
                    chance * r * sum(abs(q - x) for q, x in zip(guess, row, strict=True)) / 2
                )
    return risk


def floats(rows: list[list[F]]) -> np.ndarray:
    return np.array([[float(x) for x in row] for row in rows])


@pytest.mark.parametrize("case", TINY)
def test_rational_enumeration(case: str):
    rows, rho, n = TINY[case]
    teacher = Teacher(floats(rows), [float(r) for r in rho])
    for student, risk in enumerated(rows, rho, n).items():
        assert exact_risk(teacher, student, n) == pytest.approx(
            float(risk), rel=2e-12, abs=1e-300
        ), student


def test_wrong_teacher_is_told_apart():
    rows, rho, n = TINY["three inputs"]
    teacher = Teacher(floats(rows) * 0.98 + 0.01, [float(r) for r in rho])
    for student, risk in enumerated(rows, rho, n).items():
        assert exact_risk(teacher, student, n) != pytest.approx(float(risk), rel=1e-3), student


def sharing_by_inclusion_exclusion(p: list[F], rho: F, n: int) -> F:
    """E[row loss of sel_ptl] from P(all labels of a set unseen) = (1 - rho p(set))^n, in rational arithmetic."""
    sets = range(1 << len(p))
    chance = [(1 - rho * sum(x for a, x in enumerate(p) if m >> a & 1)) ** n for m in sets]
    for a in range(len(p)):
        for m in sets:
            if not m >> a & 1:
                chance[m] -= chance[m | 1 << a]
    total = F(0)
    for m in sets:
        unseen = [x for a, x in enumerate(p) if m >> a & 1]
        if unseen:
            mean = sum(unseen) / len(unseen)
            total += chance[m] * sum(abs(x - mean) for x in unseen) / 2
    return total


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    st.lists(st.integers(0, 200), min_size=1, max_size=6),
    st.integers(1, 20),
    st.sampled_from([1, 2, 5, 40, 300]),
)
def test_sel_ptl_down_to_the_far_tail(weights: list[int], inputs: int, n: int):
    if not sum(weights):
        weights = [1, *weights]
    p = fractions(*weights)
    teacher = Teacher.from_classes([[float(x) for x in p]], [1 / inputs], [inputs])
    want = float(sharing_by_inclusion_exclusion(p, F(1, inputs), n))
    assert exact_risk(teacher, "sel_ptl", n) == pytest.approx(want, rel=5e-12, abs=1e-290)


@pytest.mark.parametrize("student", STUDENTS)
def test_classes_equal_the_dense_table(student: str):
    row, n = np.array([0.5, 0.25, 0.25]), [0, 1, 7, 60]
    dense = Teacher([row, row[::-1], [1, 0, 0], row[[1, 0, 2]]], [0.2, 0.2, 0.4, 0.2])
    classes = Teacher.from_classes([row, [0, 1, 0]], [0.2, 0.4], [3, 1])
    np.testing.assert_allclose(
        exact_risk(classes, student, n), exact_risk(dense, student, n), rtol=1e-14
    )
    apart = Teacher.from_classes([row, [0, 1, 0], row], [0.2, 0.4, 0.2], [1, 1, 2])
    np.testing.assert_allclose(
        exact_risk(apart, student, n), exact_risk(dense, student, n), rtol=1e-13
    )


def row_loss_of_ce_sgl(p: np.ndarray, visits: int) -> float:
    """1/2 sum_a E|X/k - p_a| from its definition."""
    x = np.arange(visits + 1)
    return sum(0.5 * stats.binom.pmf(x, visits, a) @ abs(x / visits - a) for a in p)


@pytest.mark.parametrize(("rho", "n"), [(1.0, 300), (0.3, 300), (0.02, 1500), (0.9, 40)])
def test_ce_sgl_by_double_sums(rho: float, n: int):
    p = np.array([0.6, 0.25, 0.1, 0.049, 0.001])
    k = np.arange(n + 1)
    weight = stats.binom.pmf(k, n, rho)
    want = rho * weight[0] * uniform_distance(p[None])[0]
    want += rho * sum(weight[i] * row_loss_of_ce_sgl(p, i) for i in k[1:] if weight[i] > 1e-20)
    teacher = Teacher([p, np.eye(5)[0]], [rho, 1 - rho])
    # The point mass costs nothing once it is visited.
    assert exact_risk(teacher, "ce_sgl", n) == pytest.approx(
        want + (1 - rho) * rho**n * 0.8 * (rho < 1), rel=1e-11
    )


def test_ce_sgl_is_normal_at_large_n():
    rng = np.random.default_rng(5)
    p = rng.dirichlet(np.ones(40))
    teacher = Teacher.from_classes([p], [1e-3], [1000])
    for n in (10**8, 10**9):
        want = sqrt(2 / (pi * n * 1e-3)) / 2 * np.sqrt(p * (1 - p)).sum()
        # Relative error of the normal term: O(1/(k p)) per label.
        assert exact_risk(teacher, "ce_sgl", n) == pytest.approx(want, rel=3e3 / n / p.min() ** 0.5)
    curve = exact_risk(teacher, "ce_sgl", [10**5, 4 * 10**5, 10**9])
    np.testing.assert_allclose(
        curve, [exact_risk(teacher, "ce_sgl", n) for n in (10**5, 4 * 10**5, 10**9)], rtol=1e-13
    )
    assert exact_risk(Teacher([p]), "ce_sgl", 2**53) == pytest.approx(
        np.sqrt(p * (1 - p)).sum() / sqrt(2 * pi * 2**53), rel=1e-12
    )


def occupancy(cells: int, draws: int) -> np.ndarray:
    """P(u of `cells` equal cells empty after k draws), k = 0..draws: the textbook chain, all terms positive."""
    law = np.zeros((draws + 1, cells + 1))
    law[0, cells] = 1
    u = np.arange(cells + 1)
    for k in range(draws):
        law[k + 1] = law[k] * (cells - u) / cells
        law[k + 1, :-1] += law[k, 1:] * u[1:] / cells
    return law


@pytest.mark.parametrize(
    ("sizes", "zeros", "rho", "n"),
    [((3, 5), 0, 1.0, 50), ((30, 50), 20, 1.0, 200), ((30, 50), 20, 0.3, 300), ((1, 99), 0, 0.05, 400),
     ((1, 40), 3, 1.0, 90), ((100, 100), 0, 1.0, 10)],
)  # fmt: skip
def test_sel_ptl_by_occupancy_chains(sizes: tuple[int, int], zeros: int, rho: float, n: int):
    value = np.array([0.6 / sizes[0], 0.4 / sizes[1]])
    first, second = occupancy(sizes[0], n), occupancy(sizes[1], n)
    u, v = np.meshgrid(np.arange(sizes[0] + 1), np.arange(sizes[1] + 1), indexing="ij")
    share = (u * value[0] + v * value[1]) / np.maximum(u + v + zeros, 1)
    loss = 0.5 * (u * abs(value[0] - share) + v * abs(value[1] - share) + zeros * share)
    want = 0.0
    for k in range(n + 1):
        weight = stats.binom.pmf(k, n, rho)
        if weight > 1e-25:
            split = stats.binom.pmf(np.arange(k + 1), k, 0.6)
            want += rho * weight * (((first[: k + 1].T * split) @ second[k::-1]) * loss).sum()
    row = np.repeat([*value, 0.0], [*sizes, zeros])
    uniform = np.full(len(row), 1 / len(row))
    teacher = Teacher([row, uniform], [rho, 1 - rho])
    # The uniform row costs sel_ptl nothing.
    assert exact_risk(teacher, "sel_ptl", n) == pytest.approx(want, rel=1e-12)


def test_sel_ptl_subsets_of_distinct_labels():
    p = np.random.default_rng(3).dirichlet(np.ones(9))
    n, want = 25, 0.0
    avoided = {m: (1 - p[[a for a in range(9) if m >> a & 1]].sum()) ** n for m in range(512)}
    for m in range(512):
        sign = {t: (-1) ** ((t ^ m).bit_count()) for t in range(512) if t & m == m}
        chance = sum(s * avoided[t] for t, s in sign.items())
        unseen = p[[a for a in range(9) if m >> a & 1]]
        want += chance * (0.5 * abs(unseen - unseen.mean()).sum() if m else 0.0)
    assert exact_risk(Teacher([p]), "sel_ptl", n) == pytest.approx(want, rel=1e-9)


def test_ce_ptl_by_multinomial_sums():
    p, n = np.array([0.5, 0.3, 0.2]), 60
    rho = 0.7
    want = (0.3) ** n * uniform_distance(p[None])[0]
    for k in range(1, n + 1):
        grid = np.array([(a, b, k - a - b) for a in range(k + 1) for b in range(k + 1 - a)])
        guess = grid * p / (grid @ p)[:, None]
        loss = 0.5 * abs(guess - p).sum(axis=1)
        want += stats.binom.pmf(k, n, rho) * (stats.multinomial.pmf(grid, k, p) @ loss)
    teacher = Teacher([p, [1, 0, 0]], [rho, 1 - rho])
    point = (1 - rho) * rho**n * 2 / 3
    assert exact_risk(teacher, "ce_ptl", n) == pytest.approx(rho * want + point, rel=1e-11)


def test_ce_ptl_of_two_levels_by_monte_carlo():
    # False alarm: 2 Phi(-5.5) < 4e-8 per value; the negative control is 2 % away, over 50 standard errors.
    row, n, repeats = np.r_[0.52, np.full(24, 0.02)], 400, 40_000
    counts = np.random.default_rng(11).multinomial(n, row, size=repeats)
    guess = counts * row / (counts @ row)[:, None]
    loss = 0.5 * abs(guess - row).sum(axis=1)
    error = 5.5 * loss.std() / sqrt(repeats)
    risk = exact_risk(Teacher([row]), "ce_ptl", n)
    assert abs(loss.mean() - risk) < error
    assert abs(loss.mean() - 1.02 * risk) > error


def instance0(inputs: int, labels: int) -> Teacher:
    pi_table = np.full((inputs, labels), 0.5 / labels)
    pi_table[np.arange(inputs), np.arange(inputs) % labels] += 0.5
    return Teacher(pi_table)


def test_published_limits_of_ce_ptl():
    teacher = instance0(100, 25)
    limit = exact_risk(teacher, "ce_ptl", np.inf)
    assert limit == pytest.approx(0.4457, abs=5e-5)
    assert exact_risk(teacher, "ce_ptl", 10**6) == pytest.approx(limit, rel=1e-4)
    grid = np.linspace(0.742, 0.744, 201)
    bias = [
        exact_risk(Teacher.from_classes([[x, 1 - x]], [1], [1]), "ce_ptl", np.inf) for x in grid
    ]
    assert max(bias) == pytest.approx(0.1501415530, abs=1e-8)
    for row in ([0.25] * 4, [1, 0, 0, 0], [0.5, 0.5, 0, 0]):
        assert exact_risk(Teacher([row]), "ce_ptl", np.inf) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("student", ["ce_sgl", "sel_ptl", "ce_ful"])
def test_consistent_students_vanish(student: str):
    teacher = Teacher([[0.5, 0.5, 0], [0.1, 0.2, 0.7]], [1, 0])
    assert exact_risk(teacher, student, np.inf) == 0
    curve = exact_risk(teacher, student, [[0, 1], [10, np.inf]])
    assert curve.shape == (2, 2)
    assert curve[0, 0] == pytest.approx(1 / 3)
    assert curve[1, 1] == 0


def test_sizes_without_a_table():
    row = [0.5, 0.3, 0.2]
    teacher = Teacher.from_classes([row], [1e-12], [10**12])
    small = Teacher.from_classes([row], [1e-6], [10**6])
    for student in STUDENTS:
        # At n = S the visits are Poisson(1) up to a relative 1/S.
        assert exact_risk(teacher, student, 10**12) == pytest.approx(
            exact_risk(small, student, 10**6), rel=3e-6
        )
    zipf = 1 / np.arange(1, 256_001)
    words = Teacher.from_classes([zipf / zipf.sum()], [1.0], [1])
    p = np.sort(zipf / zipf.sum())
    n = 10**6
    m = np.floor(n * p)
    want = float((p * (1 - p) * stats.binom.pmf(m, n - 1, p)).sum())
    assert exact_risk(words, "ce_sgl", n) == pytest.approx(want, rel=1e-10)


def test_largest_count():
    # At 2^53 a float64 counter that adds 1 stands still: every walk over counts must end all the same.
    row = [1 - 1e-16, 1e-16]
    assert exact_risk(Teacher([row]), "ce_ptl", 2**53) == pytest.approx(1e-16, rel=0.7)
    assert 0 < exact_risk(Teacher([[0.7, 0.3]]), "ce_sgl", 2**53) < 1e-8
    assert exact_risk(Teacher([[0.7, 0.3]]), "sel_ptl", 2**53) == 0


def test_order_of_the_students():
    teacher = instance0(6, 5)
    n = np.unique(np.geomspace(1, 1e4, 30).astype(int))
    sgl, sel, ful = (
        np.asarray(exact_risk(teacher, name, n)) for name in ("ce_sgl", "sel_ptl", "ce_ful")
    )
    assert (ful <= sel * (1 + 1e-12)).all()
    assert (sel <= sgl).all()
    for curve in (sel, ful):
        assert (np.diff(curve[curve > 0]) < 0).all()


def test_names_and_students_are_the_same():
    teacher = Teacher([[0.9, 0.1], [0.5, 0.5]])
    assert exact_risk(teacher, kt.STUDENTS["ce_ful"], 3) == exact_risk(teacher, "ce_ful", 3)


def test_refusals():
    teacher = Teacher([[0.9, 0.1]])
    zipf = 1 / np.arange(1, 1001)
    many = Teacher([zipf / zipf.sum()])
    for student in ("sel_ptl", "ce_ptl"):
        with pytest.raises(NoExactRisk, match="simulate"):
            exact_risk(many, student, 1000)
    with pytest.raises(NoExactRisk, match="smaller n"):
        exact_risk(Teacher(np.tile(zipf / zipf.sum(), (2, 1))), "ce_sgl", 2**53)
    with pytest.raises(ValueError, match="did you mean 'ce_ful'"):
        exact_risk(teacher, "ce_full", 10)
    for bad in (-1, 2.5, "7", True, 2**54, float("nan"), -np.inf, []):
        with pytest.raises(ValueError, match="n = "):
            exact_risk(teacher, "ce_ful", bad)


def gradient_by_sets(teacher: Teacher, graph: Graph, hops: int, n: int) -> float:
    """grad_ful's risk by enumerating all sequences of n sampled inputs."""
    inputs = teacher.inputs
    near = graph.balls(hops).toarray()
    distance, total = uniform_distance(teacher.pi), 0.0
    for code in range(inputs**n):
        drawn = [code // inputs**i % inputs for i in range(n)]
        known = near[drawn].any(axis=0) if n else np.zeros(inputs, dtype=bool)
        total += np.prod(teacher.rho[drawn]) * (teacher.rho * distance * ~known).sum()
    return float(total)


def balls_risk(teacher: Teacher, graph: Graph, hops: int, n):
    risk = Balls(Ball(graph, hops)).risk(teacher, np.ravel(n).astype(np.float64))
    return risk if np.ndim(n) else float(risk[0])


@pytest.mark.parametrize("graph", [path(5), cycle(5), complete(5), as_graph(np.zeros((5, 5)))])
@pytest.mark.parametrize("hops", [0, 1, 2])
def test_gradient_risk(graph: Graph, hops: int):
    rng = np.random.default_rng(2)
    teacher = Teacher(rng.dirichlet(np.ones(3), 5), rng.dirichlet(np.ones(5)))
    for n in (0, 1, 3, 5):
        want = gradient_by_sets(teacher, graph, hops, n)
        assert balls_risk(teacher, graph, hops, n) == pytest.approx(want, rel=1e-12, abs=1e-17)
    if hops == 0 or graph.edges == 0:
        n = [0, 2, 30, np.inf]
        np.testing.assert_allclose(
            balls_risk(teacher, graph, hops, n), exact_risk(teacher, "ce_ful", n), rtol=1e-12
        )


def test_gradient_risk_keeps_small_complements():
    teacher = Teacher(np.eye(3), [1 - 3e-9, 2e-9, 1e-9])
    # On the path 0 - 1 - 2 input 0 is missed only by samples at 2.
    want = (1 - 3e-9) * 1e-9 * 2 / 3 + 1e-9 * (1 - 3e-9) * 2 / 3
    assert balls_risk(teacher, path(3), 1, 1) == pytest.approx(want, rel=1e-12, abs=0)
    with pytest.raises(ValueError, match="4 vertices"):
        balls_risk(teacher, path(4), 1, 1)


SIZES_OF_CELLS = [(5, 1), (1000, 10), (10**6, 10**3), (100, 3000), (30, 1)]


@pytest.mark.parametrize(
    ("m", "n"), few_quick([*SIZES_OF_CELLS, (10**12, 10**6), (10**7, 10**7)], SIZES_OF_CELLS)
)
def test_empty_cells_of_every_size(m, n):
    """The mean share of empty cells is (1 - 1/m)^n: few draws, many draws, collisions only, huge numbers."""
    cells = Cells(np.array([float(m)]), np.array([1 / m]))
    mean = empty_mean(cells, float(n), lambda windows: windows[0] / m)
    assert mean == pytest.approx(np.exp(n * np.log1p(-1 / m)), rel=1e-11)


def test_ties_of_a_row_that_misses_1_are_those_of_a_law():
    """What a multinomial law is made of sums to 1, with the labels on top and without them."""
    row = np.array([0.5, 0.25, 0.125, 0.125]) * (1 - 1e-9)
    for top in (0, 1):
        value, size, zeros = ties_of(row, top)
        assert value @ size + 0.5 * top == pytest.approx(1.0, abs=1e-15)
        assert zeros == 0


def test_what_a_visited_row_loses_is_said_where_no_label_changes_it():
    rows = np.array([[0.7, 0.2, 0.1], [0.4, 0.3, 0.3]])
    pairs = rows[:, :2] / rows[:, :2].sum(axis=1, keepdims=True)
    for risk, table in ((Unseen(), pairs), (Unseen(2), rows), (WholeRows(), rows)):
        np.testing.assert_array_equal(risk.settled(table), [0.0, 0.0])
        teacher = Teacher(table)
        unvisited = unvisited_risk(teacher.classes, np.array([3.0]))
        assert risk.risk(teacher, np.array([3.0])) == pytest.approx(unvisited, rel=1e-12)
    np.testing.assert_allclose(Greedy(False).settled(rows), 1 - rows[:, 0], rtol=1e-12)
    for risk in (Unseen(), Unseen(1), Empirical(), Reweighted()):
        assert risk.settled(rows) is None
