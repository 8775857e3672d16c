"""The floor of a context, against the dense one and against a linear program."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.optimize import linprog
from sequence_dumps import contexts_of, dump_of, other_spreads, random_dump

from kt_theory import Teacher
from kt_theory.limits.groups import common_row_floor
from kt_theory.sequences import floor as floors
from kt_theory.sequences.positions import Positions

LENGTHS = (9, 5, 12, 1, 8, 15)


def dense_floor(rows, tokens, context, lengths=LENGTHS):
    groups = [str(each) for each in contexts_of(tokens, lengths, context)[0]]
    return common_row_floor(Teacher(rows / rows.sum(axis=1, keepdims=True)), groups)


@pytest.mark.parametrize("context", [0, 1, 2, 3])
def test_the_floor_of_whole_rows_is_the_dense_one(context):
    """min over tables with a row for each context, two ways."""
    for seed in range(5):
        rows, tokens, dump = random_dump(seed)
        found = floors.floor(Positions.of(dump, context))
        expected = dense_floor(rows, tokens, context)
        assert found.low == pytest.approx(expected, abs=1e-12)
        assert found.high == pytest.approx(expected, abs=1e-12)
        times = Counter(contexts_of(tokens, LENGTHS, context)[0]).values()
        assert found.repeated == sum(n for n in times if n > 1) / len(tokens)


def test_the_nearest_row_by_a_linear_program():
    """min over q, t of sum_i t_ia / 2, t_ia >= |q_a - p_ia|, for rows of one context."""
    for seed in range(5):
        rows, tokens, dump = random_dump(seed, lengths=(6,), labels=3)
        m, labels = rows.shape
        cost = np.concatenate([np.zeros(labels), np.full(m * labels, 0.5 / m)])
        above = np.hstack([np.tile(np.eye(labels), (m, 1)), -np.eye(m * labels)])
        below = np.hstack([np.tile(-np.eye(labels), (m, 1)), -np.eye(m * labels)])
        sums = np.concatenate([np.ones(labels), np.zeros(m * labels)])[None]
        done = linprog(
            cost,
            np.vstack([above, below]),
            np.concatenate([rows.ravel(), -rows.ravel()]),
            sums,
            [1.0],
        )
        found = floors.floor(Positions.of(dump, 0))
        assert found.low == pytest.approx(done.fun, abs=1e-9)
        assert found.high == pytest.approx(done.fun, abs=1e-9)
        assert len(tokens) == m


@pytest.mark.parametrize(("labels", "k"), [(4, 1), (4, 2), (4, 3), (9, 3)])
def test_the_floor_of_listed_rows_holds_however_the_rest_is_spread(labels, k):
    """The dense floor of every spread of the hidden mass lies in the interval."""
    spans = []
    for seed in range(4):
        rows, tokens, dump = random_dump(seed, labels=labels, k=k)
        for context in (0, 1):
            found = floors.floor(Positions.of(dump, context))
            spans.append((found.low, found.high))
            for spread in other_spreads(rows, k, 6, seed):
                exact = dense_floor(spread, tokens, context)
                assert found.low - 1e-12 <= exact <= found.high + 1e-12
    low, high = np.transpose(spans)
    assert (low > 0.02).mean() > 0.6 or k == 1
    assert (high <= 1.0).all()


@pytest.mark.parametrize("context", [0, 1])
def test_rows_that_list_all_labels_are_whole(context):
    rows, tokens, dump = random_dump(3, k=4)
    found = floors.floor(Positions.of(dump, context))
    assert found.low == pytest.approx(dense_floor(rows, tokens, context), abs=1e-12)
    assert found.high == pytest.approx(found.low, abs=1e-12)


def test_what_is_held_at_once_changes_nothing(monkeypatch):
    """Readings and batches of a few contexts give the same; a context wider than a batch keeps
    fewer labels, and its interval holds the floor."""
    _, _, dump = random_dump(1, lengths=(60, 50), labels=6)
    positions = Positions.of(dump, 1)
    at_once = floors.floor(positions)
    monkeypatch.setattr(floors, "HELD", 200)
    monkeypatch.setattr(floors, "SORTED", 150)
    in_parts = floors.floor(positions)
    assert in_parts.low == pytest.approx(at_once.low, abs=1e-12)
    assert in_parts.high == pytest.approx(at_once.high, abs=1e-12)
    monkeypatch.setattr(floors, "SORTED", 20)
    narrow = floors.floor(positions)
    assert narrow.low <= at_once.low + 1e-12
    assert narrow.high >= at_once.high - 1e-12
    assert narrow.high - narrow.low > 0.01


def test_contexts_that_occur_once_have_no_floor():
    """Each row can be right, whatever it hides."""
    rows = np.random.default_rng(0).dirichlet(np.ones(5), 4)
    for k in (None, 2):
        found = floors.floor(Positions.of(dump_of(rows, [0, 1, 2, 3], (4,), k), 1))
        assert (found.low, found.high, found.repeated) == (0.0, 0.0, 0.0)
