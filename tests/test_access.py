from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

import kt_theory as kt
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
    with pytest.raises(kt.AccessError, match=r"'sel_ptl' needs access 'partial' .* access 'hard' is granted"):
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
    with pytest.raises(ValueError, match="hops = -1"):
        gradient(kt.graphs.path(3), hops=-1)
