"""Students of representations and statistics: what they know by ranks, what they lose by enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from grids import grid
from oracles import transfer_sets
from scipy.optimize import linprog

import kt_theory as kt
from kt_theory import access
from kt_theory.limits.groups import common_row_floor, common_rows
from kt_theory.limits.kappa import kappa
from kt_theory.limits.soft import unvisited_mass
from kt_theory.students import with_prior
from kt_theory.students.moments import label_marginal, moment_prior
from kt_theory.students.pooled import affine_ful
from kt_theory.students.representation import _classical_scaling, equal_maps, features, relations
from kt_theory.testing import assert_risk

RNG = np.random.default_rng(7)
H6, V4 = RNG.normal(size=(6, 3)), RNG.normal(size=(4, 3))
H12 = np.vstack([H6, H6])
"""Six rows of features, each twice: laws on the first six inputs and on all twelve make the same teacher."""


def teacher_of(points, head, rho=None):
    return kt.Teacher.from_logits(points @ head.T, rho)


def spread(inputs, over):
    """The uniform law on the first `over` of the inputs."""
    return np.where(np.arange(inputs) < over, 1.0 / over, 0.0)


def learnt(student, counts, pi):
    return student.table(counts, student.access.reveal(counts, pi))


def in_span(points, chosen, s):
    base = points[list(chosen)]
    rank = np.linalg.matrix_rank(base, tol=1e-9) if len(base) else 0
    return np.linalg.matrix_rank(np.vstack([base, points[s]]), tol=1e-9) == rank


def known_logits(points, counts, shipped):
    """Which logits follow from the sampled ones, by ranks."""
    known = counts > 0
    for s, a in np.argwhere(~known):
        known[s, a] = in_span(points, np.flatnonzero(counts[:, a]), s) and (
            shipped or counts[s].any()
        )
    return known


def softmax_of_known(pi, known):
    table = np.full(pi.shape, 1.0 / pi.shape[1])
    for s in np.flatnonzero(known.any(axis=1)):
        table[s] = np.where(known[s], pi[s], 0.0) / pi[s, known[s]].sum()
    return table


def patterns(inputs, labels, number):
    """All sets of cells, or `number` random ones, as counts."""
    if inputs * labels <= 8:
        for chosen in itertools.product((0, 1), repeat=inputs * labels):
            yield np.array(chosen).reshape(inputs, labels)
    else:
        for _ in range(number):
            yield (RNG.random((inputs, labels)) < RNG.random()) * RNG.integers(
                1, 4, (inputs, labels)
            )


SPANS = {
    "generic": RNG.normal(size=(4, 2)),
    "repeated and parallel rows": np.array([[1.0, 2.0], [2.0, 4.0], [1.0, 2.0], [0.5, -1.0]]),
    "a row of zeros": np.array([[0.0, 0.0], [1.0, 1.0], [1.0, -1.0], [3.0, 1.0]]),
    "dependent columns": np.column_stack(
        [np.arange(1.0, 5.0), 2 * np.arange(1.0, 5.0), np.ones(4)]
    ),
    "all zero": np.zeros((4, 1)),
    "large": 1e6 * RNG.normal(size=(5, 3)),
}


@pytest.mark.parametrize(
    ("name", "labels"),
    grid(SPANS, [2, 3], quick=[(name, 2 + place % 2) for place, name in enumerate(SPANS)]),
)
def test_sampled_logits_are_known_in_the_span_of_their_label(name, labels):
    """A row is the softmax of its known logits, so that it loses exactly the probability of the others."""
    points = SPANS[name]
    scale = max(np.abs(points).max(), 1.0)
    teacher = teacher_of(points, RNG.normal(size=(labels, points.shape[1])) / scale)
    for shipped in (True, False):
        student = features(points, "sampled", shipped=shipped)
        for counts in patterns(*teacher.pi.shape, 20):
            table, known = (
                learnt(student, counts, teacher.pi),
                known_logits(points, counts, shipped),
            )
            np.testing.assert_allclose(table, softmax_of_known(teacher.pi, known), atol=1e-9)
            some = known.any(axis=1)
            hidden = np.where(known, 0.0, teacher.pi).sum(axis=1)
            np.testing.assert_allclose(
                kt.total_variation(table, teacher.pi)[some], hidden[some], atol=1e-9
            )


@pytest.mark.parametrize("name", SPANS)
def test_complete_logits_are_known_in_the_span_of_the_visited_inputs(name):
    points = SPANS[name]
    teacher = teacher_of(
        points, RNG.normal(size=(3, points.shape[1])) / max(np.abs(points).max(), 1.0)
    )
    inputs = len(points)
    for chosen in itertools.chain(
        *(itertools.combinations(range(inputs), k) for k in range(inputs + 1))
    ):
        counts = np.zeros((inputs, 3), dtype=int)
        counts[list(chosen), 0] = 1
        for shipped in (True, False):
            known = [in_span(points, chosen, s) if shipped else s in chosen for s in range(inputs)]
            expected = np.where(np.array(known)[:, None], teacher.pi, 1 / 3)
            found = learnt(features(points, "complete", shipped=shipped), counts, teacher.pi)
            np.testing.assert_allclose(found, expected, atol=1e-9)


def test_a_bias_is_a_constant_column():
    lifted = np.column_stack([H6, np.ones(6)])
    teacher = kt.Teacher.from_logits(H6 @ V4.T + RNG.normal(size=4))
    for counts in patterns(6, 4, 20):
        expected = learnt(affine_ful(H6), counts, teacher.pi)
        np.testing.assert_allclose(
            learnt(features(lifted), counts, teacher.pi), expected, atol=1e-9
        )


def test_the_tables_do_not_depend_on_which_head_makes_the_teacher():
    """V + 1 c^T shifts the logits of row s by H[s] c; shown on that scale, they lead to the same table."""
    teacher, shift = teacher_of(H6, V4), H6 @ RNG.normal(size=3)
    student = features(H6, "sampled")
    for counts in patterns(6, 4, 40):
        other = np.where(counts > 0, np.exp(H6 @ V4.T + shift[:, None]), np.nan)
        np.testing.assert_allclose(
            student.table(counts, other), learnt(student, counts, teacher.pi), atol=1e-9
        )


def expectations(student, teacher, n, resolved):
    """Risk, and mean probability of what is not resolved, over all transfer sets."""
    risk = mass = 0.0
    joint = teacher.rho[:, None] * teacher.pi
    for counts, chance in transfer_sets(teacher, n):
        risk += chance * kt.total_variation(
            learnt(student, counts, teacher.pi), teacher.pi, teacher.rho
        )
        mass += chance * joint[~resolved(counts)].sum()
    return risk, mass


@pytest.mark.parametrize("shipped", [True, False])
@pytest.mark.parametrize(("inputs", "rank", "labels"), [(3, 1, 2), (3, 2, 2), (3, 1, 3)])
def test_sampled_logits_cost_rank_times_labels(inputs, rank, labels, shipped):
    """risk <= unresolved mass <= kappa/(n+1), kappa = rA, or max(rA, S + r(A-2)) if a query shows the features."""
    rng = np.random.default_rng(inputs + rank + labels)
    points = rng.normal(size=(inputs, rank))
    student = features(points, "sampled", shipped=shipped)
    size = kappa("encoder", rank=rank, labels=labels)
    if not shipped:
        size = kappa("encoder_queried", rank=rank, inputs=inputs, labels=labels)
    for n in (0, 1, 2, 3):
        teacher = teacher_of(
            points, 2 * rng.normal(size=(labels, rank)), rng.dirichlet(np.ones(inputs))
        )
        risk, mass = expectations(
            student, teacher, n, lambda counts: known_logits(points, counts, shipped)
        )
        assert risk <= mass + 1e-12
        assert mass <= size / (n + 1) + 1e-12


@pytest.mark.parametrize(("inputs", "rank"), [(4, 1), (5, 2), (4, 3)])
def test_complete_logits_cost_the_rank_if_the_encoder_is_shipped(inputs, rank):
    rng = np.random.default_rng(10 * inputs + rank)
    points = rng.normal(size=(inputs, rank))
    student, queried = features(points), features(points, shipped=False)
    for n in (0, 1, 2, 3):
        teacher = teacher_of(points, 2 * rng.normal(size=(2, rank)), rng.dirichlet(np.ones(inputs)))

        def resolved(counts):
            visited = np.flatnonzero(counts.sum(axis=1))
            return np.repeat([[in_span(points, visited, s)] for s in range(len(points))], 2, axis=1)

        risk, mass = expectations(student, teacher, n, resolved)
        assert risk <= 0.5 * mass + 1e-12
        assert mass <= kappa("encoder_rows", rank=rank) / (n + 1) + 1e-12
        late, _ = expectations(queried, teacher, n, resolved)
        assert late == pytest.approx(kt.exact_risk(teacher, queried, n), abs=1e-12)
        assert late >= risk - 1e-12


def test_the_worst_laws_lie_on_a_basis_and_attain_phi():
    """With H = 1 every (rho, pi) > 0 is of the form; the law of `unvisited_mass` on the rA cells attains Phi(rA, n)."""
    rank, labels = 2, 2
    size = kappa("encoder", rank=rank, labels=labels)
    for n in (1, 2, 4, 6):
        worst = unvisited_mass(size, n)
        joint = np.array([worst.light] * (size - 1) + [worst.heavy]).reshape(rank, labels)
        teacher = kt.Teacher(joint / joint.sum(axis=1, keepdims=True), joint.sum(axis=1))
        student = features(np.eye(rank), "sampled")
        risk, mass = expectations(
            student, teacher, n, lambda counts: known_logits(np.eye(rank), counts, True)
        )
        assert mass == pytest.approx(worst.value, rel=1e-12)
        assert risk <= mass
        law = unvisited_mass(3, n)
        rows = kt.Teacher.from_logits(30 * np.eye(3)[:, :2], [law.light, law.light, law.heavy])
        risk, mass = expectations(
            features(np.eye(3)), rows, n, lambda counts: np.tile(counts.any(1)[:, None], 2)
        )
        assert mass == pytest.approx(law.value, rel=1e-12)


def test_the_rank_does_not_bound_the_risk_if_rows_are_unknown_before_a_query():
    """One feature, 40 inputs, 10 queries: 0.39, where r/(n+1) is 0.09."""
    points = np.linspace(3.0, 5.0, 40)[:, None]
    teacher = teacher_of(points, np.array([[3.0], [-3.0]]))
    risk = kt.exact_risk(teacher, features(points, shipped=False), 10)
    assert risk == pytest.approx((1 - 1 / 40) ** 10 * 0.5, rel=1e-6)
    assert risk > 4 * kappa("encoder_rows", rank=1) / 11
    shipped = features(points)
    for counts in kt.draw_counts(teacher, 1, 20):
        np.testing.assert_allclose(learnt(shipped, counts, teacher.pi), teacher.pi, atol=1e-9)


STUDENTS = [features(H12), features(H12, "sampled", shipped=False), features(H12, "hard")]


def test_the_engine_agrees_with_enumeration():
    """A false alarm has probability 1e-6; errors of 0.03 in the risk are found. One student's risk is not another's."""
    teacher = teacher_of(H12, V4, spread(12, 2))
    found = kt.simulate(teacher, STUDENTS, n=2, repeats=12_000, seed=3, progress=False).estimates
    exact = [
        expectations(student, teacher, 2, lambda counts: counts > 0)[0] for student in STUDENTS
    ]
    for estimate, risk in zip(found, exact, strict=True):
        assert_risk(estimate, risk, detects=0.03)
    with pytest.raises(AssertionError):
        assert_risk(found[2], exact[1], detects=0.03)


def test_the_hard_student_maximises_the_likelihood():
    """Its logits are linear in the features, and the features of the labels have the mean of the data: that is all."""
    student, rng = features(H12, "hard"), np.random.default_rng(11)
    teacher = teacher_of(H12, V4)
    for n in (50, 1000, 10**9):
        counts = rng.multinomial(n, teacher.pi.ravel() / 12).reshape(12, 4)
        table = learnt(student, counts, teacher.pi)
        logits = np.log(table)
        residual = logits - logits.mean(axis=1, keepdims=True)
        assert np.abs(residual - H12 @ np.linalg.lstsq(H12, residual, rcond=None)[0]).max() < 1e-9
        gap = H12.T @ (counts - counts.sum(axis=1, keepdims=True) * table)
        assert np.abs(gap).max() < 1e-4 + 1e-8 * n
    assert np.abs(table - teacher.pi).max() < 1e-3


def test_labels_of_one_row_each_are_their_frequencies():
    counts = np.array([[3, 5, 2], [400, 1, 99], [0, 0, 0]])
    table = learnt(features(np.eye(3), "hard"), counts, np.full((3, 3), 1 / 3))
    np.testing.assert_allclose(
        table[:2], counts[:2] / counts[:2].sum(axis=1, keepdims=True), atol=1e-5
    )
    np.testing.assert_allclose(table[2], 1 / 3)


def test_separable_labels_lead_to_point_masses():
    """The likelihood has no maximum: the ridge stops short of 0 and 1."""
    counts = np.zeros((12, 4), dtype=int)
    counts[np.arange(12), np.where(H12[:, 0] > 0, 1, 2)] = 3
    table = learnt(features(H12, "hard"), counts, np.full((12, 4), 0.25))
    assert (table[counts > 0] > 0.999).all()
    assert table.min() > 0
    counts[3:, :] = 0
    late = learnt(features(H12, "hard", shipped=False), counts, np.full((12, 4), 0.25))
    np.testing.assert_array_equal(late[3:], 0.25)
    early = learnt(features(H12, "hard"), counts, np.full((12, 4), 0.25))
    np.testing.assert_array_equal(early[:3], late[:3])
    np.testing.assert_allclose(early[6:9], early[:3], atol=1e-9)


def first_order(teacher, points, n):
    """The delta method: 1/2 sum_s rho_s sum_a sqrt(2/(pi n)) std of sqrt(n) (q - p), from the Fisher information."""
    slopes, fisher = [], 0.0
    for p, x, weight in zip(teacher.pi, points, teacher.rho, strict=True):
        covariance = np.diag(p) - np.outer(p, p)
        slopes.append(np.kron(covariance, x))
        fisher = fisher + weight * np.kron(covariance, np.outer(x, x))
    inverse = np.linalg.pinv(fisher, rcond=1e-9)
    deviations = [np.sqrt(np.diag(slope @ inverse @ slope.T)) for slope in slopes]
    return 0.5 * np.sqrt(2 / (np.pi * n)) * float(teacher.rho @ np.sum(deviations, axis=1))


def test_hard_labels_cost_the_root_of_the_dimension_whatever_the_number_of_inputs():
    """0.0101 at n = 10,000 for r = 3, A = 4; bound 1/2 sqrt(9/n) = 0.0150; slope -1/2; S = 6 and S = 12 the same.

    Radii of 5 standard errors (false alarms of 6e-7, the mean of 4000 losses being normal) are below 2.2 % of the risk;
    a dimension of 8 in place of 9 would be 6 % off, and the next order in 1/n is below 1 %.
    """
    few, many = teacher_of(H12, V4, spread(12, 6)), teacher_of(H12, V4, spread(12, 12))
    sizes = [1000, 10_000]
    one, two = (
        kt.simulate(teacher, STUDENTS[2], n=sizes, repeats=4000, seed=5, progress=False).estimates
        for teacher in (few, many)
    )
    for found in (one, two):
        for estimate, n in zip(found, sizes, strict=True):
            assert 5 * estimate.std_error < 0.022 * estimate.mean
            assert estimate.mean + 5 * estimate.std_error < 0.5 * np.sqrt(3 * 3 / n)
            expected = first_order(few, H12, n)
            assert abs(estimate.mean - expected) < 0.01 * expected + 5 * estimate.std_error
            assert (
                abs(estimate.mean - np.sqrt(8 / 9) * expected)
                > 0.01 * expected + 5 * estimate.std_error
            )
        assert np.log10(found[1].mean / found[0].mean) == pytest.approx(-0.5, abs=0.02)
    assert first_order(few, H12, 1) == pytest.approx(first_order(many, H12, 1), rel=1e-9)
    for a, b in zip(one, two, strict=True):
        assert abs(a.mean - b.mean) < 5 * np.hypot(a.std_error, b.std_error)
    assert kt.exact_risk(many, "ce_sgl", 10_000) > 1.4 * kt.exact_risk(few, "ce_sgl", 10_000)


def distances_of(points):
    return np.linalg.norm(points[:, None] - points[None], axis=2)


@pytest.mark.parametrize(("inputs", "rank"), [(5, 1), (6, 2), (6, 3)])
def test_relations_know_the_affine_span_of_their_anchors(inputs, rank):
    """r + 1 anchors: risk <= (1 - 1/A)(r + 1)/(n + 1), and r + 1 visited inputs reveal the teacher."""
    rng = np.random.default_rng(rank)
    points = rng.normal(size=(inputs, rank)) + 3.0
    student, lifted = relations(distances_of(points)), np.column_stack([points, np.ones(inputs)])
    assert student.name == f"relations({rank} dimensions, complete)"
    teacher = teacher_of(points, rng.normal(size=(2, rank)), rng.dirichlet(np.ones(inputs)))
    risk = dict.fromkeys((1, 2), 0.0)
    for size in range(inputs + 1):
        for chosen in itertools.combinations(range(inputs), size):
            counts = np.zeros((inputs, 2), dtype=int)
            counts[list(chosen), 0] = 1
            known = np.array([in_span(lifted, chosen, s) for s in range(inputs)])
            found = learnt(student, counts, teacher.pi)
            np.testing.assert_allclose(found, np.where(known[:, None], teacher.pi, 0.5), atol=1e-8)
            assert known.all() == (size > rank)
    for n in risk:
        for drawn in itertools.product(range(inputs), repeat=n):
            counts = np.zeros((inputs, 2), dtype=int)
            counts[list(drawn), 0] = 1
            loss = kt.total_variation(learnt(student, counts, teacher.pi), teacher.pi, teacher.rho)
            risk[n] += np.prod(teacher.rho[list(drawn)]) * loss
        assert risk[n] <= 0.5 * kappa("affine_logits", features=rank) / (n + 1) + 1e-12


def test_relations_see_neither_rotations_nor_shifts_and_the_teachers_head_fails():
    """TV of softmax(X V^T) from the teacher is above 0.3 here, with coordinates X that have the distances exactly."""
    turn = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    teacher = teacher_of(H6, V4)
    first, second = relations(distances_of(H6)), relations(distances_of(H6 @ turn + 5.0))
    for counts in patterns(6, 4, 20):
        np.testing.assert_allclose(
            learnt(first, counts, teacher.pi), learnt(second, counts, teacher.pi), atol=1e-8
        )
    points = _classical_scaling(distances_of(H6))
    np.testing.assert_allclose(distances_of(points), distances_of(H6), atol=1e-12)
    reused = kt.Teacher.from_logits(points @ V4.T).pi
    assert kt.total_variation(reused, teacher.pi, teacher.rho) > 0.3
    counts = np.zeros((6, 4), dtype=int)
    counts[:4, 0] = 1
    assert kt.total_variation(learnt(first, counts, teacher.pi), teacher.pi, teacher.rho) < 1e-12


def test_relations_learn_a_head_from_other_targets():
    """As features of the coordinates and a constant: the same tables as from H itself and a constant."""
    lifted = np.column_stack([H6, np.ones(6)])
    teacher = kt.Teacher.from_logits(H6 @ V4.T)
    counts = kt.draw_counts(teacher, 300, 1)[0]
    for targets, size in (("hard", 1e-6), ("sampled", 1e-9)):
        student = relations(distances_of(H6), targets)
        assert student.name == f"relations(3 dimensions, {targets})"
        table = learnt(student, counts, teacher.pi)
        np.testing.assert_allclose(
            table, learnt(features(lifted, targets), counts, teacher.pi), atol=size
        )


def test_relations_of_equal_features():
    student = relations(np.zeros((3, 3)))
    teacher = kt.Teacher([[0.2, 0.8]] * 3)
    np.testing.assert_allclose(
        learnt(student, np.array([[0, 0], [1, 0], [0, 0]]), teacher.pi), teacher.pi, atol=1e-12
    )


MAPS = RNG.normal(size=(6, 2, 3))
MAPS[3], MAPS[4] = -MAPS[0], MAPS[1][:, [2, 0, 1]]


def test_attention_maps_forget_signs_and_channels():
    groups = equal_maps(MAPS)
    assert groups[0] == groups[3]
    assert groups[1] == groups[4]
    assert len(set(groups)) == 4
    energies = (MAPS**2).sum(axis=2)
    for s, t in itertools.combinations(range(6), 2):
        assert (groups[s] == groups[t]) == np.allclose(energies[s], energies[t], rtol=1e-9)
    assert len(set(equal_maps(np.zeros((3, 1, 1))))) == 1
    assert len(set(equal_maps(np.array([[[1.0]], [[1.0 + 1e-9]]])))) == 2


def nearest_by_linear_program(rows, weights):
    """Variables q and t_sa >= |q_a - row_sa|."""
    m, labels = rows.shape
    cost = np.concatenate([np.zeros(labels), np.repeat(0.5 * weights, labels)])
    sides = np.vstack([np.tile(np.eye(labels), (m, 1)), -np.tile(np.eye(labels), (m, 1))])
    slack = np.vstack([-np.eye(m * labels), -np.eye(m * labels)])
    bounds = np.concatenate([rows.ravel(), -rows.ravel()])
    one = np.concatenate([np.ones(labels), np.zeros(m * labels)])[None]
    return linprog(cost, np.hstack([sides, slack]), bounds, one, [1.0]).fun


@pytest.mark.parametrize("trial", range(20))
def test_the_common_row_is_that_of_the_linear_program(trial):
    rng = np.random.default_rng(trial)
    inputs, labels = rng.integers(1, 9), rng.integers(1, 6)
    rows = rng.dirichlet(np.full(labels, rng.choice([0.1, 1.0, 10.0])), inputs)
    rho = (
        rng.dirichlet(np.full(inputs, 0.7))
        if trial % 2
        else rng.multinomial(4, np.full(inputs, 1 / inputs)) / 4
    )
    teacher, groups = kt.Teacher(rows, rho), rng.integers(0, 3, inputs)
    expected = sum(
        nearest_by_linear_program(teacher.pi[groups == g], teacher.rho[groups == g])
        for g in set(groups.tolist())
    )
    floor = common_row_floor(teacher, groups)
    assert floor == pytest.approx(expected, abs=1e-6)  # the tolerance of the program
    table = common_rows(teacher, groups)
    np.testing.assert_allclose(table.sum(axis=1), 1.0)
    assert (table >= 0).all()
    assert all((table[groups == g] == table[groups == g][0]).all() for g in set(groups.tolist()))
    means = np.array([teacher.rho[groups == g] @ teacher.pi[groups == g] for g in groups])
    mass = np.array([max(teacher.rho[groups == g].sum(), 1e-300) for g in groups])
    pooled = kt.total_variation(means / mass[:, None], teacher.pi, teacher.rho)
    assert floor - 1e-12 <= pooled <= 2 * floor + 1e-12


def test_no_row_of_a_grid_is_nearer():
    rows, weights = RNG.dirichlet(np.ones(3), 4), RNG.dirichlet(np.ones(4))
    floor = common_row_floor(kt.Teacher(rows, weights), np.zeros(4))
    grid = np.array([(i, j, 60 - i - j) for i in range(61) for j in range(61 - i)]) / 60
    losses = 0.5 * np.abs(grid[:, None] - rows).sum(axis=2) @ weights
    assert floor <= losses.min() <= floor + 0.05


def test_attention_has_no_floor_exactly_if_the_logits_depend_on_the_map_alone():
    energies = (MAPS**2).sum(axis=2)
    groups = equal_maps(MAPS)
    assert (
        common_row_floor(kt.Teacher.from_logits(energies @ RNG.normal(size=(2, 4))), groups) < 1e-12
    )
    linear = kt.Teacher.from_logits(MAPS.reshape(6, 6) @ RNG.normal(size=(6, 4)))
    pairs = kt.total_variation(linear.pi[[0, 1]], linear.pi[[3, 4]])
    assert common_row_floor(linear, groups) == pytest.approx(pairs.sum() / 6, abs=1e-12)
    assert pairs.min() > 0.1


def moments_of(teacher, points):
    return (teacher.pi.T * teacher.rho) @ points


def test_the_label_marginal_costs_its_distance():
    teacher = teacher_of(H6, V4, RNG.dirichlet(np.ones(6)))
    prior = label_marginal(teacher)
    share = sum(r * p for r, p in zip(teacher.rho, teacher.pi, strict=True))
    np.testing.assert_allclose(prior, np.tile(share, (6, 1)), atol=1e-15)
    distance = kt.total_variation(share, teacher.pi)
    for n in (0, 1, 7, 100):
        risk = kt.exact_risk(teacher, with_prior("soft", prior), n)
        assert risk == pytest.approx(
            float(teacher.rho @ ((1 - teacher.rho) ** n * distance)), rel=1e-12
        )
        more = kt.exact_risk(teacher, with_prior("hard", prior), n) - risk
        plain = kt.exact_risk(teacher, "ce_sgl", n) - kt.exact_risk(teacher, "ce_ful", n)
        assert more == pytest.approx(plain, abs=1e-12)
    np.testing.assert_allclose(
        moment_prior(np.ones((6, 1)), share[:, None], teacher.rho), prior, atol=1e-10
    )


def test_the_moments_of_affine_logits_reveal_the_teacher():
    points = np.column_stack([H6, np.ones(6), H6[:, 0] - 2])
    for scale in (1.0, 1e3, 1e-3):
        teacher = kt.Teacher.from_logits(H6 @ V4.T + RNG.normal(size=4), RNG.dirichlet(np.ones(6)))
        prior = moment_prior(points * scale, moments_of(teacher, points * scale), teacher.rho)
        np.testing.assert_allclose(prior, teacher.pi, atol=1e-8)
        assert kt.exact_risk(teacher, with_prior("soft", prior), 0) < 1e-8


def test_of_all_tables_with_the_moments_it_has_the_largest_entropy():
    """Moves that keep the moments, in any direction, lower the entropy; KL from the teacher splits (Pythagoras)."""
    points, labels = np.column_stack([H6[:, :1], np.ones(6)]), 3
    teacher = kt.Teacher(RNG.dirichlet(np.ones(labels), 6), RNG.dirichlet(np.ones(6)))
    prior = moment_prior(points, moments_of(teacher, points), teacher.rho)
    np.testing.assert_allclose(prior.sum(axis=1), 1.0)
    np.testing.assert_allclose(
        (prior.T * teacher.rho) @ points, moments_of(teacher, points), atol=1e-11
    )

    def entropy(table):
        return -float(teacher.rho @ (table * np.log(table)).sum(axis=1))

    rules = [np.kron(np.eye(6), np.ones(labels))]
    rules += [np.kron(teacher.rho * points[:, j], np.eye(labels)) for j in range(2)]
    free = np.linalg.svd(np.vstack(rules))[2][np.linalg.matrix_rank(np.vstack(rules)) :]
    assert len(free) == 6 * 2 - 2 * 2
    for direction in free:
        for step in (1e-3, -1e-3):
            assert entropy(prior + step * direction.reshape(6, labels)) < entropy(prior)
    raised = [
        entropy(teacher.pi + 1e-4 * d.reshape(6, labels)) > entropy(teacher.pi)
        for d in (*free, *-free)
    ]
    assert any(raised)

    def divergence(table):
        return float(teacher.rho @ (teacher.pi * np.log(teacher.pi / table)).sum(axis=1))

    assert divergence(prior) == pytest.approx(entropy(prior) - entropy(teacher.pi), abs=1e-10)
    for _ in range(20):
        moved = kt.Teacher.from_logits(
            np.log(prior) + 0.1 * points @ RNG.normal(size=(2, labels))
        ).pi
        assert divergence(moved) > divergence(prior)
    distance = kt.total_variation(prior, teacher.pi)
    for n in (0, 1, 10):
        risk = kt.exact_risk(teacher, with_prior("soft", prior), n)
        assert risk == pytest.approx(
            float(teacher.rho @ ((1 - teacher.rho) ** n * distance)), rel=1e-12
        )


def feasible(points, moments, rho):
    """Whether a linear program finds a table with these moments."""
    inputs, labels = len(points), len(moments)
    rules = np.vstack(
        [
            np.kron(np.eye(inputs), np.ones(labels)),
            np.kron((points * rho[:, None]).T, np.eye(labels)),
        ]
    )
    return (
        linprog(
            np.zeros(inputs * labels), A_eq=rules, b_eq=[*np.ones(inputs), *moments.T.ravel()]
        ).status
        == 0
    )


def test_moments_of_no_table_are_refused_and_those_of_a_table_are_not():
    rng = np.random.default_rng(17)
    refused = 0
    for _ in range(40):
        points, rho = (
            np.column_stack([rng.normal(size=(5, 1)), np.ones(5)]),
            rng.dirichlet(np.ones(5)),
        )
        moments = moments_of(kt.Teacher(rng.dirichlet(np.ones(3), 5), rho), points)
        move = rng.normal(size=moments.shape) * rng.choice([0.01, 0.1, 0.3])
        moments += move - move.mean(axis=0)
        if feasible(points, moments, rho):
            table = moment_prior(points, moments, rho)
            np.testing.assert_allclose((table.T * rho) @ points, moments, atol=1e-9)
        else:
            refused += 1
            with pytest.raises(ValueError, match="moments: no table has them"):
                moment_prior(points, moments, rho)
    assert 5 < refused < 35


def test_moments_on_the_edge_are_met():
    """A label that never occurs, and point masses."""
    points = np.column_stack([H6, np.ones(6)])
    for pi in (
        np.column_stack([np.zeros(6), RNG.dirichlet(np.ones(2), 6)]),
        np.eye(3)[[0, 1, 2, 0, 1, 2]],
    ):
        teacher = kt.Teacher(pi)
        table = moment_prior(points, moments_of(teacher, points))
        np.testing.assert_allclose(
            moments_of(kt.Teacher(table), points), moments_of(teacher, points), atol=1e-9
        )
        if not pi[:, 0].any():
            assert table[:, 0].max() < 1e-9


def test_what_a_student_needs_is_what_it_says():
    assert features(H6, "hard").access is access.HARD
    assert features(H6).access.name == access.logits().name
    level = features(H6, "sampled").access
    assert access.SOFT.covers(level)
    assert not access.PARTIAL.covers(level)
    assert level.covers(level)
    assert level.covers(access.HARD)
    with pytest.raises(kt.NoExactRisk, match="use simulate"):
        kt.exact_risk(teacher_of(H6, V4), features(H6), 3)


@pytest.mark.parametrize("unit", [1e-200, 1.0, 1e200])
def test_the_unit_of_features_and_distances_does_not_matter(unit):
    line = np.array([0.0, 1.0, 3.0, 3.0])
    assert (
        relations(unit * np.abs(np.subtract.outer(line, line))).name
        == "relations(1 dimensions, complete)"
    )
    maps = np.array([[[3.0, 4.0]], [[5.0, 0.0]], [[1.0, 1.0]]])
    assert equal_maps(unit * maps).tolist() == [1, 1, 0]
    points = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]) * [1.0, unit]
    table = np.array([[0.2, 0.8], [0.5, 0.5], [0.3, 0.7]])
    expected = moment_prior(points / [1.0, unit], table.T @ (points / [1.0, unit]) / 3)
    np.testing.assert_allclose(moment_prior(points, table.T @ points / 3), expected, atol=1e-12)


@pytest.mark.parametrize("names", [["a", "b", "a", "b"], [None, "x", None, "x"], [0.5, 1, 0.5, 1]])
def test_groups_may_have_any_names(names):
    common_row_floor = kt.limits.groups.common_row_floor
    teacher = kt.Teacher([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.2, 0.8]])
    assert common_row_floor(teacher, names) == pytest.approx(0.1, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: features([1.0, 2.0]), r"features has shape \(2,\): must have 2 axes"),
        (
            lambda: features(H6, "logits"),
            "unknown targets 'logits': must be one of complete, hard, sampled",
        ),
        (
            lambda: features(H6, "sampled").access.shown(np.eye(2)),
            r"pi\[0, 1\] = 0: logits on one scale are finite",
        ),
        (
            lambda: learnt(features(H6), np.zeros((5, 2)), np.full((5, 2), 0.5)),
            "about 6 inputs: the teacher has 5",
        ),
        (
            lambda: learnt(features(H6, "hard"), np.zeros((9, 2)), np.full((9, 2), 0.5)),
            "what it knows is about 6 inputs",
        ),
        (
            lambda: learnt(affine_ful(H6), np.zeros((5, 2)), np.full((5, 2), 0.5)),
            "what it knows is about 6 inputs",
        ),
        (lambda: relations(H6), r"distances has shape \(6, 3\): must be square"),
        (
            lambda: relations([[0, 1], [2, 0]]),
            r"distances\[0, 1\] = 1 but \[1, 0\] = 2: must be symmetric",
        ),
        (lambda: relations([[0, -1], [-1, 0]]), "distances: must be at least 0"),
        (lambda: relations([[1, 1], [1, 0]]), "0 from an input to itself"),
        (
            lambda: relations([[0, 1, 9], [1, 0, 1], [9, 1, 0]]),
            "no points have them: .* has the eigenvalue -",
        ),
        (
            lambda: equal_maps(H6),
            r"features has shape \(6, 3\): must have 3 axes, \(inputs, positions, channels\)",
        ),
        (
            lambda: common_row_floor(teacher_of(H6, V4), [0, 1]),
            "groups has 2 entries: the teacher has 6 inputs",
        ),
        (
            lambda: common_row_floor(teacher_of(H6, V4), [[0], [1, 2]]),
            "groups: must be a list of numbers or words",
        ),
        (
            lambda: common_row_floor(teacher_of(H6, V4), None),
            "groups: must be a list of numbers or words",
        ),
        (lambda: common_row_floor(H6, [0]), "must be a Teacher"),
        (lambda: label_marginal(H6), "teacher is a ndarray: must be a Teacher"),
        (lambda: moment_prior(H6, V4, [0.5, 0.5]), "rho has 2 entries: features has 6 rows"),
        (
            lambda: moment_prior(H6, V4[:, :2]),
            r"moments has shape \(4, 2\): must be \(labels, features\), with the 3",
        ),
        (
            lambda: moment_prior(np.ones((2, 1)), [0.5, 0.5]),
            r"must have 2 axes, \(labels, features\)",
        ),
        (
            lambda: moment_prior(np.ones((2, 1)), [[0.5], [0.6]]),
            "column 0 sums to 1.1 over the labels: must be the",
        ),
        (
            lambda: moment_prior(np.ones((2, 1)), [[1.5], [-0.5]]),
            "moments: no table has them; those of label",
        ),
        (
            lambda: moment_prior(np.ones((2, 2)), [[0.5, 0.2], [0.5, 0.8]]),
            "depend linearly on each other",
        ),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
