from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import paper_table
from scipy.optimize import minimize

import kt_theory as kt
from kt_theory.testing import teachers

FLOOR = 1e-300


def objective(name, q, counts, pi):
    """The losses that the students minimise, equations (3.2), (4.2), (4.6) and (5.2), written on counts."""
    seen = counts > 0
    log_q, log_pi = np.log(np.maximum(q, FLOOR)), np.log(np.maximum(pi, FLOOR))
    if name == "ce_sgl":
        return -(counts * log_q)[seen].sum()
    if name == "ce_ptl":
        return -(counts * pi * log_q)[seen].sum()
    if name == "sel_ptl":
        return 0.5 * (counts * (log_q - log_pi) ** 2)[seen].sum()
    visits = counts.sum(axis=1, keepdims=True)
    return np.where(pi > 0, visits * pi * (log_pi - log_q), 0.0).sum()


def learnt(student, counts, pi):
    return student.table(counts, student.access.reveal(counts, pi))


@pytest.mark.parametrize("name", kt.STUDENTS)
@given(teacher=teachers(), n=st.sampled_from([0, 1, 2, 5, 30]), seed=st.integers(0, 2**32))
def test_rules_write_the_closed_forms(name, teacher, n, seed):
    counts = kt.draw_counts(teacher, n, 1, seed)[0]
    table = learnt(kt.STUDENTS[name], counts, teacher.pi)
    np.testing.assert_allclose(table, paper_table(name, counts, teacher.pi), atol=1e-12)
    np.testing.assert_allclose(table.sum(axis=1), 1.0, atol=1e-12)
    assert (table >= 0).all()


@pytest.mark.parametrize("name", kt.STUDENTS)
@settings(max_examples=20)
@given(teacher=teachers(3, 4), n=st.integers(1, 12), seed=st.integers(0, 2**32))
def test_no_competitor_has_a_smaller_objective(name, teacher, n, seed):
    counts = kt.draw_counts(teacher, n, 1, seed)[0]
    best = objective(name, learnt(kt.STUDENTS[name], counts, teacher.pi), counts, teacher.pi)
    rng = np.random.default_rng(seed)
    for concentration in (0.3, 1.0, 30.0):
        rivals = rng.dirichlet(np.full(teacher.labels, concentration), size=(20, teacher.inputs))
        rivals = np.concatenate(
            [rivals, 0.999 * learnt(kt.STUDENTS[name], counts, teacher.pi) + 0.001 * rivals]
        )
        assert all(best <= objective(name, q, counts, teacher.pi) + 1e-9 for q in rivals)


@pytest.mark.parametrize("name", kt.STUDENTS)
def test_an_optimiser_ends_at_the_closed_form(name):
    teacher = kt.Teacher([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    counts = np.array([[3, 1, 1], [1, 2, 4]])

    def of_logits(z):
        q = np.exp(z.reshape(2, 3))
        return objective(name, q / q.sum(axis=1, keepdims=True), counts, teacher.pi)

    found = minimize(of_logits, np.zeros(6), tol=1e-12)
    q = np.exp(found.x.reshape(2, 3))
    closed = learnt(kt.STUDENTS[name], counts, teacher.pi)
    np.testing.assert_allclose(q / q.sum(axis=1, keepdims=True), closed, atol=1e-4)
    assert objective(name, closed, counts, teacher.pi) <= found.fun + 1e-12


def test_a_wrong_student_loses_against_the_competitors():
    teacher = kt.Teacher([[0.5, 0.3, 0.2]])
    counts = np.array([[3, 1, 1]])
    wrong = learnt(kt.STUDENTS["ce_ptl"], counts, teacher.pi)
    right = learnt(kt.STUDENTS["ce_sgl"], counts, teacher.pi)
    assert (
        objective("ce_sgl", wrong, counts, teacher.pi)
        > objective("ce_sgl", right, counts, teacher.pi) + 0.05
    )


@given(teacher=teachers(), n=st.integers(0, 20), seed=st.integers(0, 2**32))
def test_rules_are_pure_and_see_only_their_access(teacher, n, seed):
    counts = kt.draw_counts(teacher, n, 1, seed)[0]
    for student in kt.STUDENTS.values():
        revealed = student.access.reveal(counts, teacher.pi)
        before = counts.copy(), revealed.copy()
        first, second = student.table(counts, revealed), student.table(counts, revealed)
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(counts, before[0])
        np.testing.assert_array_equal(revealed, before[1])
    assert np.isnan(kt.STUDENTS["ce_sgl"].access.reveal(counts, teacher.pi)).all()


@given(teacher=teachers(), n=st.integers(0, 20), seed=st.integers(0, 2**32), data=st.data())
def test_tables_move_with_permutations_of_labels_and_inputs(teacher, n, seed, data):
    labels = data.draw(st.permutations(range(teacher.labels)))
    inputs = data.draw(st.permutations(range(teacher.inputs)))
    counts = kt.draw_counts(teacher, n, 1, seed)[0]
    for student in kt.STUDENTS.values():
        table = learnt(student, counts, teacher.pi)
        moved = learnt(student, counts[inputs][:, labels], teacher.pi[inputs][:, labels])
        np.testing.assert_allclose(moved, table[inputs][:, labels], atol=1e-15)


@given(teacher=teachers(), n=st.integers(0, 20), seed=st.integers(0, 2**32))
def test_ce_ful_never_loses_more_than_sel_ptl(teacher, n, seed):
    losses = kt.simulate(
        teacher, ["ce_ful", "sel_ptl"], n=n, repeats=8, seed=seed, keep_losses=True
    ).losses[0]
    assert (losses[:, 0] <= losses[:, 1] + 1e-15).all()
    assert ((losses >= 0) & (losses <= 1 + 1e-12)).all()


@pytest.mark.parametrize("hops", [0, 1, 2, 5])
@pytest.mark.parametrize(
    "graph", [kt.graphs.cycle(6), kt.graphs.path(6), kt.graphs.grid(2, 3), kt.graphs.complete(6)]
)
def test_grad_ful_knows_the_balls_of_the_visited_inputs(graph, hops):
    import networkx as nx

    net = nx.from_scipy_sparse_array(graph.adjacency)
    teacher = kt.Teacher(np.random.default_rng(0).dirichlet(np.ones(3), size=6))
    student = kt.students.grad_ful(graph, hops)
    for s in range(6):
        counts = np.zeros((6, 3), dtype=int)
        counts[s, 0] = 1
        near = list(nx.single_source_shortest_path_length(net, s, cutoff=hops))
        expected = np.full((6, 3), 1 / 3)
        expected[near] = teacher.pi[near]
        np.testing.assert_array_equal(learnt(student, counts, teacher.pi), expected)


def test_grad_ful_without_edges_is_ce_ful():
    teacher = kt.Teacher(np.random.default_rng(0).dirichlet(np.ones(3), size=5))
    student = kt.students.grad_ful(np.zeros((5, 5)))
    found = kt.simulate(
        teacher, [student, "ce_ful"], n=4, repeats=50, seed=1, keep_losses=True
    ).losses[0]
    np.testing.assert_allclose(found[:, 0], found[:, 1], atol=1e-15)
    assert found.std() > 0


def test_theorem_4_3_exceptions_and_rule():
    """CE_ptl equals CE_sgl on visited rows that are uniform or point masses, and not in general."""
    exceptions = kt.Teacher([[0.25] * 4, [0, 0, 1, 0]])
    counts = kt.draw_counts(exceptions, 50, 1, seed=3)[0]
    sgl, ptl = (learnt(kt.STUDENTS[name], counts, exceptions.pi) for name in ("ce_sgl", "ce_ptl"))
    np.testing.assert_allclose(sgl, ptl, atol=1e-15)
    general = kt.Teacher([[0.7, 0.3]])
    counts = np.array([[7, 3]])
    sgl, ptl = (learnt(kt.STUDENTS[name], counts, general.pi) for name in ("ce_sgl", "ce_ptl"))
    assert np.abs(sgl - ptl).max() > 0.1


@given(
    teacher=teachers(4, 6), n=st.integers(0, 20), seed=st.integers(0, 2**32), k=st.integers(0, 7)
)
def test_top_k_is_exact_on_what_it_sees_and_shares_the_rest(teacher, n, seed, k):
    counts = kt.draw_counts(teacher, n, 1, seed)[0]
    table = learnt(kt.students.top_k(k), counts, teacher.pi)
    for s in range(teacher.inputs):
        shown = set(np.flatnonzero(counts[s]))
        if counts[s].any():
            shown |= set(
                sorted(range(teacher.labels), key=lambda a, s=s: (-teacher.pi[s, a], a))[:k]
            )
        hidden = [a for a in range(teacher.labels) if a not in shown]
        np.testing.assert_array_equal(table[s, sorted(shown)], teacher.pi[s, sorted(shown)])
        if hidden:
            np.testing.assert_allclose(
                table[s, hidden], teacher.pi[s, hidden].sum() / len(hidden), atol=1e-12
            )


@given(teacher=teachers(4, 6), n=st.integers(0, 20), seed=st.integers(0, 2**32))
def test_more_of_the_top_never_hurts(teacher, n, seed):
    ladder = ["sel_ptl", *(kt.students.top_k(k) for k in (1, 2, 3, 7)), "ce_ful"]
    losses = kt.simulate(teacher, ladder, n=n, repeats=4, seed=seed, keep_losses=True).losses[0]
    assert (np.diff(losses, axis=1) <= 1e-12).all()
    np.testing.assert_allclose(losses[:, -2], losses[:, -1], atol=1e-12)


def test_top_k_zero_is_sel_ptl():
    teacher = kt.Teacher(np.random.default_rng(0).dirichlet(np.ones(5), size=3))
    losses = kt.simulate(
        teacher, ["sel_ptl", kt.students.top_k(0)], n=9, repeats=50, keep_losses=True
    ).losses[0]
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], atol=1e-14)


@pytest.mark.parametrize(
    ("student", "expected"),
    [
        ("laplace", [4 / 9, 2 / 9, 2 / 9, 1 / 9]),
        ("krichevsky_trofimov", [3.5 / 7, 1.5 / 7, 1.5 / 7, 0.5 / 7]),
        (kt.students.add_c(0), [0.6, 0.2, 0.2, 0.0]),
        (kt.students.add_c(2.5), [5.5 / 15, 3.5 / 15, 3.5 / 15, 2.5 / 15]),
        ("good_turing", [0.6 * 0.6, 0.2 * 0.6, 0.2 * 0.6, 0.4]),
    ],
)
def test_smoothed_students(student, expected):
    student = kt.students.NAMED[student] if isinstance(student, str) else student
    counts = np.array([[3, 1, 1, 0], [0, 0, 0, 0], [5, 0, 0, 0], [1, 2, 1, 1]])
    table = student.table(counts, np.full(counts.shape, np.nan))
    np.testing.assert_allclose(table[0], expected, atol=1e-15)
    np.testing.assert_allclose(table[1], 0.25)
    np.testing.assert_allclose(table.sum(axis=1), 1.0)


@pytest.mark.parametrize("name", kt.students.NAMED)
@pytest.mark.parametrize("n", [0, 1, 40])
def test_every_named_student_runs_on_degenerate_teachers(name, n):
    for teacher in (
        kt.Teacher([[1.0]]),
        kt.Teacher([[1.0, 0.0, 0.0]]),
        kt.Teacher(np.eye(3), [1.0, 0.0, 0.0]),
    ):
        estimate = kt.simulate(teacher, name, n=n, repeats=4).estimates[0]
        assert 0.0 <= estimate.mean <= 1.0


def test_bad_parameters_of_students():
    with pytest.raises(ValueError, match="c = -1"):
        kt.students.add_c(-1)
    with pytest.raises(ValueError, match="c = nan: must be a number from 0"):
        kt.students.add_c(float("nan"))
    with pytest.raises(ValueError, match="k = -1"):
        kt.students.top_k(-1)


def test_students_are_chosen_by_name_and_refused_clearly():
    teacher = kt.Teacher([[0.5, 0.5]])
    with pytest.raises(
        ValueError,
        match=r"unknown student 'sel_plt' \(did you mean 'sel_ptl'\?\): must be one of argmax, ",
    ):
        kt.simulate(teacher, "sel_plt", n=1, repeats=2)
    with pytest.raises(ValueError, match=r"give at least one of ce_sgl"):
        kt.simulate(teacher, [], n=1, repeats=2)
    with pytest.raises(ValueError, match="'ce_sgl' stands there twice"):
        kt.simulate(teacher, ["ce_sgl", "ce_sgl"], n=1, repeats=2)
    with pytest.raises(ValueError, match="unknown access level 'logit'"):
        kt.Student("x", access="logit", rule=lambda counts, revealed, out: None)
    with pytest.raises(ValueError, match="access 'top_k' needs a parameter"):
        kt.Student("x", access="top_k", rule=lambda counts, revealed, out: None)
    with pytest.raises(ValueError, match="needs a parameter"):
        kt.Student("x", access="gradient", rule=lambda counts, revealed, out: None)
    with pytest.raises(ValueError, match="wrap a rule in Student"):
        kt.simulate(teacher, [3], n=1, repeats=2)
    with pytest.raises(ValueError, match=r"graph has 4 vertices: the teacher has 1 inputs"):
        kt.simulate(teacher, kt.students.grad_ful(kt.graphs.cycle(4)), n=1, repeats=2)


@kt.row_rule
def always_first(counts, revealed, out):
    out[:] = 0.0
    out[0] = 1.0


def test_a_users_student_can_be_pickled():
    import pickle
    import sys

    sys.modules.setdefault(always_first.py_func.__module__, sys.modules[__name__])
    student = pickle.loads(pickle.dumps(kt.Student("first", "hard", always_first)))
    assert student.rule is always_first
    paper = pickle.loads(pickle.dumps(kt.STUDENTS["sel_ptl"]))
    assert paper.rule.py_func is kt.STUDENTS["sel_ptl"].rule.py_func
