"""The coverage law of section 9 of the theory, by enumeration of tiny closures."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from grids import few_quick

from kt_theory.graphs import path
from kt_theory.limits.kappa import KAPPAS, coverage, kappa
from kt_theory.limits.soft import unvisited_mass

Closure = Callable[[frozenset[int]], frozenset[int]]


def rank_closure(vectors: np.ndarray) -> Closure:
    """A point is resolved if its vector lies in the span of those of the queried points."""

    def closure(seen: frozenset[int]) -> frozenset[int]:
        base = vectors[sorted(seen)] if seen else np.zeros((1, vectors.shape[1]))
        rank = np.linalg.matrix_rank(base)
        return frozenset(
            i for i, v in enumerate(vectors) if np.linalg.matrix_rank(np.vstack([base, v])) == rank
        )

    return closure


def partial_closure(inputs: int, labels: int) -> Closure:
    """All but one of a row's probabilities give the last."""

    def closure(seen: frozenset[int]) -> frozenset[int]:
        rows = [[s * labels + a for a in range(labels)] for s in range(inputs)]
        full = {i for row in rows if len(seen & set(row)) >= labels - 1 for i in row}
        return seen | frozenset(full)

    return closure


def ball_closure(size: int) -> Closure:
    return lambda seen: frozenset(j for i in seen for j in (i - 1, i, i + 1) if 0 <= j < size)


def largest_free_set(points: int, closure: Closure) -> int:
    for size in range(points, 0, -1):
        for chosen in itertools.combinations(range(points), size):
            if all(i not in closure(frozenset(chosen) - {i}) for i in chosen):
                return size
    return 0


def unresolved(law: np.ndarray, n: int, closure: Closure) -> float:
    total = 0.0
    for drawn in itertools.product(range(len(law)), repeat=n):
        missing = sorted(set(range(len(law))) - closure(frozenset(drawn)))
        total += float(np.prod(law[list(drawn)])) * float(law[missing].sum())
    return total


def affine_vectors(inputs: int, features: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.column_stack([rng.integers(-3, 4, (inputs, features)), np.ones(inputs)]).astype(float)


def queried_encoder_closure(vectors: np.ndarray, labels: int) -> Closure:
    """Logits are known in the span of those of their label, on rows whose features a query has shown."""

    def closure(seen: frozenset[int]) -> frozenset[int]:
        rows = {i // labels for i in seen}
        found = rank_closure(np.kron(vectors, np.eye(labels)))(seen)
        return frozenset(i for i in found if i // labels in rows)

    return closure


def completion_vectors(rank: int, inputs: int, labels: int) -> np.ndarray:
    """The gradients of the entries of H V^T by H and V, at a point in general position: (SA, r(S + A))."""
    rng = np.random.default_rng(rank + 10 * inputs + 100 * labels)
    h, v = rng.standard_normal((inputs, rank)), rng.standard_normal((labels, rank))
    by_h = [
        np.outer(np.eye(inputs)[i], v[:, r]).ravel() for i in range(inputs) for r in range(rank)
    ]
    by_v = [
        np.outer(h[:, r], np.eye(labels)[j]).ravel() for j in range(labels) for r in range(rank)
    ]
    return np.array([*by_h, *by_v]).T


RNG = np.random.default_rng(1)
CASES = {
    "soft": (4, lambda seen: seen, kappa("soft", inputs=4)),
    "partial": (6, partial_closure(2, 3), kappa("partial", inputs=2, labels=3)),
    "partial, two labels": (6, partial_closure(3, 2), kappa("partial", inputs=3, labels=2)),
    "gradient": (5, ball_closure(5), kappa("gradient", graph=path(5), hops=1)),
    "log_linear": (6, rank_closure(RNG.standard_normal((6, 3))), kappa("log_linear", features=3)),
    "affine_logits": (6, rank_closure(affine_vectors(6, 2)), kappa("affine_logits", features=2)),
    "encoder": (
        6,
        rank_closure(np.kron(RNG.standard_normal((3, 2)), np.eye(2))),
        kappa("encoder", rank=2, labels=2),
    ),
    "encoder_rows": (5, rank_closure(RNG.standard_normal((5, 2))), kappa("encoder_rows", rank=2)),
    "completion": (
        9,
        rank_closure(completion_vectors(1, 3, 3)),
        kappa("completion", rank=1, inputs=3, labels=3),
    ),
    "completion, rank 2": (
        9,
        rank_closure(completion_vectors(2, 3, 3)),
        kappa("completion", rank=2, inputs=3, labels=3),
    ),
}


@pytest.mark.parametrize(
    "name", few_quick(CASES, CASES.keys() - {"completion", "completion, rank 2"})
)
def test_the_law_on_every_tiny_closure(name: str) -> None:
    points, closure, size = CASES[name]
    assert largest_free_set(points, closure) == size
    rng = np.random.default_rng(5)
    for n in (0, 1, 2, 3):
        bounds = coverage(size, n)
        for concentration in (0.2, 1.0, 20.0):
            assert (
                unresolved(rng.dirichlet(np.full(points, concentration)), n, closure)
                <= bounds.upper + 1e-12
            )
        chosen = next(
            c
            for c in itertools.combinations(range(points), size)
            if all(i not in closure(frozenset(c) - {i}) for i in c)
        )
        even = np.zeros(points)
        even[list(chosen)] = 1 / size
        assert unresolved(even, n, closure) <= bounds.lower + 1e-12
        assert unresolved(even, n, closure) >= (1 - 1 / size) ** n - 1e-12
        worst = unvisited_mass(size, n)
        even[list(chosen)] = [*[worst.light] * (size - 1), worst.heavy]
        attained = unresolved(even, n, closure)
        assert attained == pytest.approx(bounds.lower, rel=1e-9)
        if n >= size - 1:
            assert attained >= (size - 1) / (np.e * (n + 1)) - 1e-12


@pytest.mark.parametrize(
    ("inputs", "rank", "labels"),
    few_quick(
        [(4, 1, 2), (4, 1, 3), (3, 1, 3), (4, 2, 2), (3, 2, 3), (2, 3, 3), (4, 3, 1)],
        [(4, 1, 2), (2, 3, 3), (4, 2, 2), (4, 3, 1)],
    ),
)
def test_features_that_come_with_the_query_add_the_inputs(
    inputs: int, rank: int, labels: int
) -> None:
    """Sampled logits: between max(S, rA) and S + r(A-1), the formula in general position. Complete logits: S."""
    rng = np.random.default_rng(3)
    shipped = kappa("encoder", rank=min(rank, inputs), labels=labels)
    closure = queried_encoder_closure(rng.standard_normal((inputs, rank)), labels)
    size = largest_free_set(inputs * labels, closure)
    assert size == kappa("encoder_queried", rank=rank, inputs=inputs, labels=labels)
    assert max(inputs, shipped) <= size <= inputs + min(rank, inputs) * (labels - 1)
    for n in (0, 1, 2):
        law = rng.dirichlet(np.ones(inputs * labels))
        assert unresolved(law, n, closure) <= coverage(size, n).upper + 1e-12


def test_repeated_features_that_come_with_the_query_add_less() -> None:
    repeated = np.array([[1.0, 0.0]] * 3 + [[0.0, 1.0]])
    assert largest_free_set(8, queried_encoder_closure(repeated, 2)) == 5 <= 4 + 2


def test_a_smaller_kappa_would_be_wrong() -> None:
    points, closure, size = CASES["soft"]
    law = np.full(points, 1 / points)
    assert unresolved(law, 3, closure) > coverage(size - 2, 3).upper * 0.8
    assert unresolved(law, 1, closure) > coverage(1, 1).upper


def test_completion_counts_the_free_entries_of_a_matrix() -> None:
    for rank, inputs, labels in ((1, 3, 4), (2, 4, 5), (3, 3, 7), (2, 6, 6)):
        size = kappa("completion", rank=rank, inputs=inputs, labels=labels)
        assert np.linalg.matrix_rank(completion_vectors(rank, inputs, labels)) == size


def test_fewer_entries_leave_a_matrix_of_low_rank_unresolved() -> None:
    """There is a curve of matrices of rank r through all entries seen: an entry that was not seen moves along it."""
    rng = np.random.default_rng(4)
    for rank, inputs, labels in ((1, 3, 4), (2, 4, 5), (2, 6, 6)):
        vectors, size = (
            completion_vectors(rank, inputs, labels),
            kappa("completion", rank=rank, inputs=inputs, labels=labels),
        )
        for _ in range(20):
            seen = rng.permutation(len(vectors))[: size - 1]
            still = np.linalg.svd(vectors[seen])[2][np.linalg.matrix_rank(vectors[seen]) :]
            moves = np.abs(vectors @ still.T).max(axis=1)
            assert moves[seen].max() < 1e-9
            assert moves.max() > 1e-3


def test_completion_of_rank_one_by_hand() -> None:
    """A tree of entries that joins all rows and columns gives the others as products; a forest leaves a factor free."""
    h, v = np.array([2.0, -1.0, 3.0]), np.array([0.5, 4.0, -2.0])
    z, closure = np.outer(h, v), rank_closure(completion_vectors(1, 3, 3))
    tree = [(0, 0), (0, 1), (0, 2), (1, 0), (2, 0)]
    for i, j in itertools.product(range(3), repeat=2):
        assert z[i, j] == z[i, 0] * z[0, j] / z[0, 0]
    assert len(tree) == kappa("completion", rank=1, inputs=3, labels=3)
    assert len(closure(frozenset(3 * i + j for i, j in tree))) == 9
    other = np.outer(h * [1, 1, 7], v)
    assert all(z[i, j] == other[i, j] for i, j in tree[:-1])
    assert not np.isclose(z[2], other[2]).any()
    assert closure(frozenset(3 * i + j for i, j in tree[:-1])) == frozenset(range(6))


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_the_closed_forms_below(size: int) -> None:
    for n in (size, 3 * size, 1000 * size):
        found = coverage(size, n)
        assert found.lower >= (size - 1) / (np.e * (n + 1)) - 1e-15
        assert found.risk_lower >= (size - 1) / (2 * np.e * (n + 1)) - 1e-15
        assert found.lower <= found.upper == size / (n + 1)
    assert coverage(0, 3) == (0.0, 0.0, 0.0)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="did you mean 'partial'"):
        kappa("partail", inputs=1, labels=2)
    with pytest.raises(ValueError, match="give inputs, labels; kappa = S"):
        kappa("partial", inputs=3)
    with pytest.raises(ValueError, match="inputs = 0"):
        kappa("soft", inputs=0)
    assert kappa("jacobian") == 1
    assert set(KAPPAS) >= {"soft", "partial", "gradient"}
