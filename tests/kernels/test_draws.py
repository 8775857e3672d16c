"""The law of the drawn counts, on both paths, from n = 0 to 1e9."""

from __future__ import annotations

import numpy as np
import pytest
from grids import grid
from numba import njit
from oracles import occurrences, transfer_sets
from scipy import stats

import kt_theory as kt
from kt_theory.kernels.draws import choose_path, draw_many, draw_plan
from kt_theory.kernels.layout import as_tables, in_cell_order, in_lanes, row_by_row, row_cells
from kt_theory.kernels.paths import ALIAS, BINOMIAL, PATHS, POISSON, SPARSE
from kt_theory.kernels.streams import start_stream, stream_key

FALSE_ALARM = 1e-6
ON_EVERY_PATH = pytest.mark.parametrize("path", range(len(PATHS)), ids=PATHS)


def draw(pi, rho, n, repeats, path, seed=0):
    pi, rho = np.asarray(pi, dtype=float), np.asarray(rho, dtype=float)
    plan = draw_plan(pi, rho, n, path)
    cells = np.empty((repeats, plan.layout.cells), dtype=np.int64)
    draw_many(plan, stream_key(seed, n), 0, cells)
    return as_tables(cells, plan.layout)


def chi_square_p_value(observed, expected):
    """P-value of Pearson's test, cells pooled in order until each expects at least 10."""
    groups = np.cumsum(expected) // 10.0
    _, start = np.unique(groups, return_index=True)
    observed, expected = np.add.reduceat(observed, start), np.add.reduceat(expected, start)
    return stats.chi2.sf(((observed - expected) ** 2 / expected).sum(), len(start) - 1)


@ON_EVERY_PATH
def test_joint_law_of_all_transfer_sets(path):
    teacher = kt.Teacher([[0.5, 0.2, 0.3], [0.0, 0.9, 0.1]], [0.6, 0.4])
    repeats, n = 100_000, 5
    outcomes = [(counts.ravel(), weight) for counts, weight in transfer_sets(teacher, n)]
    weights = np.array([weight for _, weight in outcomes])
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    drawn = draw(teacher.pi, teacher.rho, n, repeats, path).reshape(repeats, -1)
    observed = occurrences(drawn, np.array([counts for counts, _ in outcomes]))
    assert chi_square_p_value(observed, repeats * weights) > FALSE_ALARM
    tilted = weights * np.array([1.05 ** counts[0] for counts, _ in outcomes])
    assert chi_square_p_value(observed, repeats * tilted / tilted.sum()) < FALSE_ALARM, (
        "blind to a 5 % tilt"
    )


@ON_EVERY_PATH
@pytest.mark.parametrize("n", [0, 1, 7, 300, 30_000])
def test_counts_add_up_and_never_touch_a_zero(path, n):
    pi = [[0.0, 1.0, 0.0], [0.2, 0.0, 0.8], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0.0]]
    counts = draw(pi, [0.0, 0.7, 0.3, 0.0], n, 200, path)
    assert (counts.sum(axis=(1, 2)) == n).all()
    assert (counts[:, [0, 3]] == 0).all()
    assert (counts[:, 1, 1] == 0).all()


@ON_EVERY_PATH
@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (5, 1), (3, 7)])
def test_uneven_table_sizes(path, shape):
    counts = draw(np.full(shape, 1 / shape[1]), np.full(shape[0], 1 / shape[0]), 1000, 3, path)
    assert (counts.sum(axis=(1, 2)) == 1000).all()


@pytest.mark.parametrize(
    ("path", "n"),
    grid(
        range(len(PATHS)),
        [300, 2000, 100_000],
        quick=[*((path, 2000) for path in range(len(PATHS))), (0, 300), (len(PATHS) - 1, 100_000)],
    ),
)
def test_marginals_and_covariances(path, n):
    rng = np.random.default_rng(1)
    pi, rho = rng.dirichlet(np.full(4, 0.5), size=5), rng.dirichlet(np.ones(5))
    p = (rho[:, None] * pi).ravel()
    repeats = 20_000 if n < 100_000 else 2000
    counts = draw(pi, rho, n, repeats, path).reshape(repeats, -1)
    exact = n * (np.diag(p) - np.outer(p, p))
    pairs = p.size * (p.size + 1) // 2
    z_limit = stats.norm.isf(FALSE_ALARM / (pairs + p.size))
    scale = np.sqrt(np.diag(exact))
    z_mean = (counts.mean(axis=0) - n * p) / (scale / np.sqrt(repeats))
    assert np.abs(z_mean).max() < z_limit + 0.5
    residual = (counts - n * p) / scale
    products = residual[:, :, None] * residual[:, None, :]
    error = products.std(axis=0) / np.sqrt(repeats)
    common = n * np.minimum.outer(p, p) > 5
    z_cov = (products.mean(axis=0) - exact / np.outer(scale, scale)) / error
    assert np.abs(z_cov[common]).max() < z_limit + 1.0
    independent = (products.mean(axis=0) / error)[common & ~np.eye(p.size, dtype=bool)]
    assert np.abs(independent).max() > z_limit, "blind to the covariances"


BUDGETS = {
    SPARSE: (20_000, 20_000),
    ALIAS: (20_000, 20_000),
    POISSON: (200_000, 5_000),
    BINOMIAL: (200_000, 5_000),
}


@pytest.mark.parametrize(
    ("path", "inputs", "bias"),
    grid(
        range(len(PATHS)),
        [1, 40],
        [0.001, 0.002],
        quick=[
            (path, (40, 1)[path % 2], (0.001, 0.002)[path in (SPARSE, ALIAS)])
            for path in range(len(PATHS))
        ],
    ),
)
def test_a_small_bias_is_caught(path, inputs, bias):
    """Totals over all repeats are Multinomial(n R, p); false alarm 1e-6. The bias sits in one label of each row.

    A bias of one in a thousand, or of two where a path draws label by label: a quarter of the draws.
    """
    n, repeats = BUDGETS[path]
    repeats = round(repeats * (0.001 / bias) ** 2)
    pi, rho = np.tile([0.3, 0.25, 0.2, 0.15, 0.1, 0.0], (inputs, 1)), np.full(inputs, 1.0 / inputs)
    biased = pi * [1.0 + bias, 1, 1, 1, 1, 1]

    def p_value(table):
        totals = sum(
            draw(table, rho, n, repeats // 4, path, seed=s).sum(axis=(0, 1)) for s in range(4)
        )
        assert totals[5] == 0
        return chi_square_p_value(totals[:5].astype(float), totals.sum() * pi[0, :5])

    assert p_value(pi) > FALSE_ALARM
    assert p_value(biased / biased.sum(axis=1, keepdims=True)) < FALSE_ALARM


@pytest.mark.parametrize(
    ("n", "p"), [(64, 1e-4), (64, 0.5), (10**4, 0.31), (10**6, 0.999), (10**7, 1e-7), (10**7, 0.4)]
)
def test_poisson_counts_fit_at_the_extremes_of_their_tables(n, p):
    repeats = 60_000
    drawn = draw([[p, 1 - p]], [1.0], n, repeats, POISSON)[:, 0, 0]
    observed, expected, law = binned(drawn, n, p, repeats)
    assert chi_square_p_value(observed, expected) > FALSE_ALARM
    if law.std() > 1:
        moved, _, _ = binned(drawn + np.ceil(0.05 * law.std()), n, p, repeats)
        assert chi_square_p_value(moved, expected) < FALSE_ALARM, (
            "blind to a shift of 5 % of a standard deviation"
        )


BOUNDARIES = {"sparse": 6, "alias": 7, "alias to the last": 599, "poisson": 600}


@pytest.mark.parametrize("n", [*BOUNDARIES.values(), 10**7, 10**9])
def test_counts_spread_as_much_as_they_should(n):
    """Pearson's X^2 of one transfer set has mean K - 1 and, exactly, the variance
    2 (K - 1) + (sum 1/p - K^2 - 2 K + 2) / n.

    Its mean over all repeats is within 5.1 standard errors of K - 1, false alarm 4e-7: too narrow a law is convicted as
    well as too wide a one, from 1 % of the variance on at n = 10^7.
    """
    rng = np.random.default_rng(3)
    pi, rho = rng.dirichlet(np.full(24, 5.0), size=20), rng.dirichlet(np.full(20, 5.0))
    p, repeats = (rho[:, None] * pi).ravel(), 2000
    counts = draw(pi, rho, n, repeats, None).reshape(repeats, -1)
    assert (counts.sum(axis=1) == n).all()

    def z(counts):
        found = ((counts - n * p) ** 2 / (n * p)).sum(axis=1).mean()
        variance = 2 * (p.size - 1) + ((1 / p).sum() - p.size**2 - 2 * p.size + 2) / n
        return (found - (p.size - 1)) / np.sqrt(variance / repeats)

    assert abs(z(counts)) < 5.1
    narrow = 0.99 * counts + 0.01 * n * p
    if n >= 10**7:
        assert abs(z(narrow)) > 5.1, "blind to 2 % of the variance"
    mean = counts.mean(axis=0)
    scores = (mean - n * p) / np.sqrt(n * p * (1 - p) / repeats)
    # 480 scores: their root mean square is 1 within 3.3 %.
    assert abs(np.sqrt((scores**2).mean()) - 1.0) < 5.1 * 0.033


def test_the_sizes_above_are_boundaries():
    pi, rho = np.full((20, 24), 1 / 24), np.full(20, 1 / 20)
    paths = [PATHS[choose_path(pi, rho, n)] for n in BOUNDARIES.values()]
    assert paths == ["sparse", "alias", "alias", "poisson"]


def binned(drawn, n, p, repeats):
    law = stats.binom(n, p)
    edges = np.unique(law.ppf(np.linspace(0.0, 1.0, 61)[1:-1]))
    expected = repeats * np.diff(np.concatenate([[0.0], law.cdf(edges), [1.0]]))
    return (
        np.bincount(np.searchsorted(edges, drawn, side="left"), minlength=len(expected)),
        expected,
        law,
    )


SMALL = [(30, 0.2), (50, 0.5), (25, 0.39), (25, 0.41), (1000, 0.0099), (1000, 0.0101), (1000, 0.97)]
LARGE = [(10**6, 0.3), (10**9, 1e-9), (10**9, 2e-8), (10**9, 0.37), (2**53, 1e-15), (2**53, 0.25)]


@pytest.mark.parametrize(("n", "p"), SMALL + LARGE)
def test_binomials_fit_at_every_size(n, p):
    repeats = 60_000
    drawn = draw([[p, 1 - p]], [1.0], n, repeats, BINOMIAL)[:, 0, 0]
    observed, expected, law = binned(drawn, n, p, repeats)
    assert chi_square_p_value(observed, expected) > FALSE_ALARM
    moved, _, _ = binned(drawn + np.ceil(0.05 * law.std()), n, p, repeats)
    assert chi_square_p_value(moved, expected) < FALSE_ALARM, (
        "blind to a shift of 5 % of a standard deviation"
    )


def test_huge_n_costs_no_more_than_the_table():
    """A draw of O(n) would need 1e9 steps for each of these 2000 transfer sets."""
    counts = draw([[0.3, 0.7], [0.999999, 1e-6]], [0.5, 0.5], 10**9, 2000, None)
    assert (counts.sum(axis=(1, 2)) == 10**9).all()
    expected = 1e9 * np.array([0.15, 0.35, 0.4999995, 5e-7])
    z = (counts.reshape(2000, 4).mean(axis=0) - expected) / np.sqrt(expected / 2000)
    assert np.abs(z).max() < 5.5


def test_the_path_is_a_rule_in_the_sizes_and_the_largest_probability():
    def paths(shape, sizes, heaviest=0.0):
        pi = np.full(shape, (1.0 - heaviest) / shape[1])
        pi[:, 0] += heaviest
        return [PATHS[choose_path(pi, np.full(shape[0], 1 / shape[0]), n)] for n in sizes]

    around = [0, 125, 126, 12_499, 12_500, 10**9, 10**10, 2**53]
    assert paths((1000, 10), around) == [
        *["sparse"] * 2,
        *["alias"] * 2,
        *["poisson"] * 2,
        "poisson",
        "binomial",
    ]
    assert paths((1, 1000), [250, 251]) == ["sparse", "alias"]
    assert paths((1, 2), [0, 63, 64, 10**7, 10**8]) == [
        "sparse",
        "alias",
        "poisson",
        "poisson",
        "binomial",
    ]
    assert paths((1, 100), [10**7, 10**8], heaviest=0.9) == ["poisson", "binomial"]


def test_tiny_and_subnormal_probabilities_are_drawn_in_proportion():
    pi = np.array([[1e-320, 1e-3, 1.0 - 1e-3]])
    for path in range(len(PATHS)):
        counts = draw(pi, [1.0], 1000, 20_000, path)
        assert counts[:, 0, 0].max() == 0
        assert abs(counts[:, 0, 1].mean() - 1.0) < 5.5 / np.sqrt(20_000)


@ON_EVERY_PATH
def test_repeats_have_their_own_stream(path):
    pi, rho = np.full((3, 3), 1 / 3), np.full(3, 1 / 3)
    all_at_once = draw(pi, rho, 100, 50, path).reshape(50, 9)
    plan, key = draw_plan(pi, rho, 100, path), stream_key(0, 100)
    one = np.empty((1, plan.layout.cells), dtype=np.int64)
    for repeat in (0, 7, 49):
        draw_many(plan, key, repeat, one)
        table = as_tables(one, plan.layout)[0]
        np.testing.assert_array_equal(table.ravel(), all_at_once[repeat])
    assert len({row.tobytes() for row in all_at_once}) == 50
    assert not np.array_equal(all_at_once, draw(pi, rho, 100, 50, path, seed=1).reshape(50, 9))
    draw_many(plan, key, 2**60, one)
    assert one.sum() == 100


@njit
def started(key, repeat, state):
    start_stream(key, repeat, state)


def test_no_stream_is_another_ones_neighbour_and_none_is_weak():
    """Start and odd step of 3,000 repeats: all different, and each step flips many bits of its counter."""
    key, state = stream_key(0, 1), np.empty(3, dtype=np.uint64)
    words = []
    for repeat in range(3000):
        started(key, repeat, state)
        words.append((int(state[0]), int(state[1])))
    steps = [step for _, step in words]
    assert min((step ^ (step >> 1)).bit_count() for step in steps) >= 24
    assert all(step % 2 for step in steps)
    assert len({start | 1 for start, _ in words} | set(steps)) == 6000


@pytest.mark.parametrize("labels", [1, 7, 63, 64, 65])
@pytest.mark.parametrize("inputs", [1, 3, 4, 7, 8, 12, 13, 100])
def test_the_order_of_the_cells_can_be_undone(inputs, labels):
    table = np.arange(1, inputs * labels + 1).reshape(inputs, labels)
    for layout in (in_lanes(inputs, labels), row_by_row(inputs, labels)):
        cells = in_cell_order(table, layout)
        assert len(cells) == layout.cells
        assert cells.ctypes.data % 64 == 0
        np.testing.assert_array_equal(as_tables(cells[None], layout)[0], table)
        assert cells.sum() == table.sum(), "what lies between the rows is not zero"
        for s in range(inputs):
            first, step = row_cells.py_func(s, layout)
            np.testing.assert_array_equal(cells[int(first) :: int(step)][:labels], table[s])
    layout = in_lanes(inputs, labels)
    assert layout.cells % 8 == 0
    plain = inputs - layout.eights - layout.fours
    assert plain == inputs if labels >= 64 else plain < 4
