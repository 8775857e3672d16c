from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

import kt_theory as kt
from kt_theory import access
from kt_theory.access import HARD, LEVELS, PARTIAL, SOFT, gradient
from kt_theory.testing import teachers


def test_levels_are_ordered_by_what_they_reveal():
    near, far = gradient(kt.graphs.path(5)), gradient(kt.graphs.path(5), hops=2)
    chain = [HARD, PARTIAL, SOFT, near, far]
    for i, low in enumerate(chain):
        for j, high in enumerate(chain):
            assert high.covers(low) == (i <= j), (low, high)
    assert gradient(kt.graphs.path(5), hops=0).covers(SOFT)
    assert SOFT.covers(gradient(kt.graphs.path(5), hops=0))
    assert not gradient(kt.graphs.path(5)).covers(gradient(kt.graphs.cycle(5)))
    assert gradient(kt.graphs.cycle(5)).covers(gradient(kt.graphs.path(5)))


@given(teacher=teachers(), n=st.integers(0, 10), seed=st.integers(0, 2**32))
def test_more_access_reveals_all_that_less_does(teacher, n, seed):
    counts = kt.draw_counts(teacher, n, 1, seed)[0]
    shown = [~np.isnan(level.reveal(counts, teacher.pi)) for level in LEVELS.values()]
    shown.append(~np.isnan(gradient(kt.graphs.complete(teacher.inputs)).reveal(counts, teacher.pi)))
    for less, more in itertools.pairwise(shown):
        assert (more | ~less).all()
    assert not shown[0].any()
    np.testing.assert_array_equal(shown[1], counts > 0)
    np.testing.assert_array_equal(shown[2].all(axis=1), counts.sum(axis=1) > 0)
    assert shown[3].all() == (n > 0)


def test_a_student_with_too_little_access_is_refused_with_both_levels_named():
    teacher = kt.Teacher([[0.5, 0.5]])
    with pytest.raises(
        kt.AccessError, match=r"'sel_ptl' needs access 'partial' .* access 'hard' is granted"
    ):
        kt.simulate(teacher, ["ce_sgl", "sel_ptl"], n=1, repeats=2, access="hard")
    with pytest.raises(kt.AccessError, match=r"'ce_ful' needs access 'soft'"):
        kt.simulate(teacher, "ce_ful", n=1, repeats=2, access="partial")
    student = kt.students.grad_ful(kt.graphs.complete(1))
    assert kt.simulate(teacher, student, n=1, repeats=2, access="soft").estimates[0].mean == 0
    assert kt.simulate(teacher, n=1, repeats=2, access="soft").estimates


@pytest.mark.parametrize(
    ("built", "reference"),
    [
        (kt.graphs.path(5), nx.path_graph(5)),
        (kt.graphs.path(1), nx.path_graph(1)),
        (kt.graphs.cycle(7), nx.cycle_graph(7)),
        (kt.graphs.complete(6), nx.complete_graph(6)),
        (kt.graphs.grid(3, 4), nx.convert_node_labels_to_integers(nx.grid_graph((4, 3)))),
        (kt.graphs.hypercube(4), nx.hypercube_graph(4)),
        (kt.graphs.hypercube(0), nx.path_graph(1)),
    ],
)
def test_built_in_graphs_equal_networkx(built, reference):
    order = sorted(reference.nodes)
    expected = nx.to_numpy_array(reference, nodelist=order) != 0
    np.testing.assert_array_equal(built.adjacency.toarray(), expected)
    same = kt.graphs.as_graph(reference)
    assert (same.vertices, same.edges) == (built.vertices, built.edges)


def test_graphs_from_every_source_agree():
    net = nx.petersen_graph()
    matrix = nx.to_numpy_array(net)
    matrix[3, 3] = 1.0
    for graph in (net, matrix, sp.csr_matrix(matrix), sp.coo_array(matrix)):
        built = kt.graphs.as_graph(graph)
        np.testing.assert_array_equal(built.adjacency.toarray(), nx.to_numpy_array(net) != 0)
        assert built.balls(2).toarray().all()


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (nx.DiGraph([(0, 1)]), "directed"),
        (nx.Graph(), "no vertices"),
        (np.triu(np.ones((3, 3))), "not symmetric"),
        (np.ones((2, 3)), r"shape \(2, 3\)"),
        (np.ones((0, 0)), r"shape \(0, 0\)"),
        ("cycle", "networkx graph"),
    ],
)
def test_bad_graphs_are_refused(graph, message):
    with pytest.raises(ValueError, match=message):
        gradient(graph)


def test_bad_sizes_of_graphs_are_refused():
    with pytest.raises(ValueError, match="inputs = 2: must be at least 3"):
        kt.graphs.cycle(2)
    with pytest.raises(ValueError, match=r"shape = 2.5"):
        kt.graphs.grid(2.5)
    with pytest.raises(ValueError, match="at least one side"):
        kt.graphs.grid()
    for make, sizes in (
        (kt.graphs.path, (2**53,)),
        (kt.graphs.cycle, (2**53,)),
        (kt.graphs.grid, (5000, 5000)),
        (kt.graphs.grid, (2**53,) * 100),
        (kt.graphs.hypercube, (21,)),
    ):
        with pytest.raises(ValueError, match=r"must be at most|has more than 16777216 edges"):
            make(*sizes)
    with pytest.raises(ValueError, match="hops = -1"):
        gradient(kt.graphs.path(3), hops=-1)


X = np.random.default_rng(3).normal(size=(5, 2))
GREEDY = access.top_k(2, sampled=False)
CHANNELS = [
    HARD,
    PARTIAL,
    SOFT,
    access.top_k(2),
    access.top_k(3),
    GREEDY,
    access.top_k(3, sampled=False),
    *(
        make(of)
        for of in (SOFT, PARTIAL, access.top_k(2), access.top_k(3), GREEDY)
        for make in (
            lambda of: access.temperature(2.0, of),
            lambda of: access.rounded(0.5, of),
            lambda of: access.quantised(3, of),
            lambda of: access.noisy(0.3, of),
            lambda of: access.noisy(0.6, of),
            access.logits,
        )
    ),
    access.ARGMAX,
    access.NON_TARGET,
    gradient(kt.graphs.path(5)),
    gradient(kt.graphs.complete(5)),
    access.jacobian(X),
]


def test_covering_is_an_order():
    for low in CHANNELS:
        assert low.covers(low)
        assert SOFT.covers(low) == (not low.beyond_row)
        assert access.jacobian(X).covers(low)
    for a, b, c in itertools.product(CHANNELS, repeat=3):
        if a.covers(b) and b.covers(c):
            assert a.covers(c), (a, b, c)


@pytest.mark.parametrize(
    ("high", "low", "covers"),
    [
        (access.top_k(3), GREEDY, True),
        (access.top_k(3, sampled=False), GREEDY, True),
        (GREEDY, HARD, False),
        (PARTIAL, GREEDY, False),
        (access.temperature(2.0), SOFT, True),
        (access.temperature(2.0), access.rounded(0.5), True),
        (access.temperature(2.0, access.top_k(2)), access.top_k(2), False),
        (access.top_k(2), access.temperature(2.0, access.top_k(2)), False),
        (access.top_k(2), access.rounded(0.5, access.top_k(2)), True),
        (access.logits(), SOFT, True),
        (access.logits(PARTIAL), PARTIAL, False),
        (PARTIAL, access.logits(PARTIAL), True),
        (access.rounded(0.5), SOFT, False),
        (access.rounded(0.5), access.rounded(0.25), False),
        (access.rounded(0.5), access.rounded(0.5, PARTIAL), True),
        (access.rounded(0.5), access.rounded(0.5, access.top_k(2)), False),
        (access.rounded(0.5), GREEDY, False),
        (access.quantised(3), access.quantised(2), False),
        (access.quantised(3), HARD, True),
        (access.noisy(0.3), access.noisy(0.6), True),
        (access.noisy(0.6), access.noisy(0.3), False),
        (access.noisy(0.3), access.noisy(0.3, access.top_k(2)), False),
        (access.noisy(0.3, access.top_k(2)), access.noisy(0.6, GREEDY), False),
        (access.noisy(0.3), access.rounded(0.5), False),
        (access.jacobian(X), gradient(kt.graphs.path(5)), True),
        (access.jacobian(X), gradient(kt.graphs.path(4)), False),
        (gradient(kt.graphs.complete(5)), access.jacobian(X), True),
        (gradient(kt.graphs.path(5)), access.jacobian(X), False),
        (SOFT, access.jacobian(X), False),
        (SOFT, access.NON_TARGET, True),
        (access.NON_TARGET, HARD, True),
        (access.NON_TARGET, PARTIAL, False),
        (PARTIAL, access.NON_TARGET, False),
        (access.NON_TARGET, access.ARGMAX, False),
        (access.top_k(4), access.NON_TARGET, False),
        (access.temperature(2.0), access.NON_TARGET, True),
        (access.rounded(0.5), access.NON_TARGET, False),
        (access.noisy(0.3), access.NON_TARGET, False),
        (access.top_k(1, sampled=False), access.ARGMAX, True),
        (access.top_k(1), access.ARGMAX, True),
        (access.rounded(0.5, GREEDY), access.ARGMAX, True),
        (access.rounded(0.5), access.ARGMAX, False),
        (access.ARGMAX, HARD, False),
        (HARD, access.ARGMAX, False),
        (PARTIAL, access.ARGMAX, False),
        (access.ARGMAX, access.top_k(1, sampled=False), False),
    ],
)
def test_what_covers_what(high, low, covers):
    assert high.covers(low) is covers


def test_equal_weights_hide_which_label_was_the_most_probable():
    """Why rounded complete rows do not give the greedy label: two teachers, one answer, two greedy labels."""
    both = np.array([[0.51, 0.49], [0.49, 0.51]])
    shown = access.rounded(0.5).shown(both)
    np.testing.assert_array_equal(shown[0], shown[1])
    assert access.rounded(0.5, GREEDY).seen_counts([[1, 0], [1, 0]], both).tolist() == [
        [1, 0],
        [0, 1],
    ]


def answer(level, row, label):
    """One answer: what is shown, and the label if it is not withheld."""
    counts = np.zeros((1, len(row)), dtype=int)
    counts[0, label] = 1
    seen = level.seen_counts(counts, row[None])
    return np.argmax(seen), level.reveal(seen, row[None])[0].round(12)


@pytest.mark.parametrize(
    ("level", "other", "one", "two"),
    [
        (access.NON_TARGET, PARTIAL, [0.5, 0.25, 0.25], [0.2, 0.4, 0.4]),
        (PARTIAL, access.NON_TARGET, [0.5, 0.25, 0.25], [0.5, 0.3, 0.2]),
        (access.NON_TARGET, access.ARGMAX, [0.5, 0.25, 0.25], [0.2, 0.4, 0.4]),
        (access.ARGMAX, access.NON_TARGET, [0.5, 0.25, 0.25], [0.5, 0.3, 0.2]),
        (access.ARGMAX, access.top_k(1, sampled=False), [0.5, 0.25, 0.25], [0.6, 0.3, 0.1]),
        (HARD, access.ARGMAX, [0.5, 0.3, 0.2], [0.3, 0.5, 0.2]),
        (PARTIAL, access.ARGMAX, [0.3, 0.5, 0.2], [0.3, 0.2, 0.5]),
    ],
)
def test_two_rows_that_a_level_shows_alike_and_another_tells_apart(level, other, one, two):
    """Why the first does not cover the second: no function of its answer gives the other's."""
    assert not level.covers(other)
    rows = np.array([one, two])
    same, apart = ([answer(each, row, 0) for row in rows] for each in (level, other))
    assert same[0][0] == same[1][0]
    np.testing.assert_array_equal(same[0][1], same[1][1])
    assert apart[0][0] != apart[1][0] or not np.array_equal(
        apart[0][1], apart[1][1], equal_nan=True
    )


def test_names_of_levels_beside_the_order():
    assert access.as_access("argmax") is access.ARGMAX
    assert access.as_access("non_target") is access.NON_TARGET
    with pytest.raises(
        ValueError, match=r"unknown access level 'nontarget'.*did you mean 'non_target'"
    ):
        access.as_access("nontarget")
    for level in (access.ARGMAX, access.NON_TARGET):
        with pytest.raises(ValueError, match="must reveal probabilities as they are"):
            access.rounded(0.1, level)


@given(teacher=teachers(5, 5), n=st.integers(0, 10), seed=st.integers(0, 2**32))
def test_a_level_that_covers_another_reveals_its_labels(teacher, n, seed):
    counts = kt.draw_counts(teacher, n, 1, seed)[0]
    plain = [level for level in CHANNELS if not level.beyond_row]
    shown = [
        ~np.isnan(level.reveal(counts, teacher.pi, np.random.default_rng(0))) for level in plain
    ]
    for (high, more), (low, less) in itertools.product(zip(plain, shown, strict=True), repeat=2):
        if high.covers(low) and high.shows.draws:
            assert (more | ~less).all(), (high, low)


def test_noise_averages_over_the_answers():
    """A weight that k queries showed has log-noise sigma / sqrt(k), fresh for each label; hidden ones have none."""
    pi, repeats = np.array([[0.6, 0.4]]), 20_000
    counts = np.tile([[3, 1]], (repeats, 1))
    table = np.tile(pi, (repeats, 1))
    rng = np.random.default_rng(0)
    whole = np.log(access.noisy(0.5).reveal(counts, table, rng) / table)
    partial = np.log(access.noisy(0.5, PARTIAL).reveal(counts, table, rng) / table)
    np.testing.assert_allclose(whole.std(axis=0), 0.25, rtol=0.04)
    np.testing.assert_allclose(partial.std(axis=0), [0.5 / 3**0.5, 0.5], rtol=0.04)
    assert np.abs(np.corrcoef(whole.T)[0, 1]) < 0.04
    with pytest.raises(ValueError, match=r"is noisy; give a numpy\.random\.Generator"):
        access.noisy(0.5).reveal(counts, table)


def test_features_must_fit_the_teacher():
    with pytest.raises(ValueError, match="features has 5 rows: the teacher has 3 inputs"):
        access.jacobian(X).balls(3)
    np.testing.assert_array_equal(
        access.jacobian(X).balls(5).toarray(), kt.graphs.complete(5).balls().toarray()
    )
    with pytest.raises(kt.graphs.BallsTooLarge, match="all of 20000 inputs takes"):
        access.jacobian(np.zeros((20_000, 1))).balls(20_000)
    with pytest.raises(ValueError, match="features has 5 rows: the teacher has 3 inputs"):
        access.jacobian(X).reveal(np.ones((3, 2), dtype=int), np.full((3, 2), 0.5))
