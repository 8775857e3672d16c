"""Risks under query laws: enumeration of all trajectories, exact against Monte Carlo, the same bits however cut."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from grids import few_quick, grid
from oracles import generic, occurrences
from query_oracles import enumerated, label_counts, row_loss, step_laws, visit_law
from scipy import stats

import kt_theory as kt
from kt_theory import queries
from kt_theory.kernels.loop import repeat_loop
from kt_theory.simulation import run as montecarlo
from kt_theory.simulation.cell import Cell, Tally
from kt_theory.simulation.plans import drawn
from kt_theory.testing import assert_risk

RNG = np.random.default_rng(3)
TEACHER = kt.Teacher([[0.5, 0.2, 0.3], [0.0, 0.9, 0.1], [1 / 3, 1 / 3, 1 / 3]], [0.5, 0.3, 0.2])
CHAIN = np.array([[0.2, 0.8, 0.0], [0.5, 0.1, 0.4], [0.7, 0.0, 0.3]])
START = np.array([0.0, 0.25, 0.75])
Q = np.array([0.1, 0.9, 0.0])
LAPLACE = kt.students.NAMED["laplace"]
TOP_1 = kt.students.top_k(1)
STUDENTS = [*kt.STUDENTS.values(), LAPLACE, TOP_1]

N = 5
LAWS = {
    "q": (lambda m: queries.iid(Q, labels_per_query=m), {"name": "iid", "q": Q}),
    "rho": (lambda m: queries.iid(labels_per_query=m), {"name": "iid", "q": TEACHER.rho}),
    "chain": (
        lambda m: queries.chain(CHAIN, START, labels_per_query=m),
        {"name": "walk", "transitions": CHAIN, "start": START},
    ),
    "chain from rho": (
        lambda m: queries.chain(CHAIN, labels_per_query=m),
        {"name": "walk", "transitions": CHAIN, "start": TEACHER.rho},
    ),
    "episodes": (
        lambda m: queries.episodes(CHAIN, START, horizon=2, labels_per_query=m),
        {"name": "walk", "transitions": CHAIN, "start": START, "horizon": 2},
    ),
    "absorbed": (
        lambda m: queries.episodes(np.eye(3), START, horizon=3, labels_per_query=m),
        {"name": "walk", "transitions": np.eye(3), "start": START, "horizon": 3},
    ),
}


def visits_under(law, n=N):
    return visit_law(TEACHER.rho, step_laws(rho=TEACHER.rho, n=n, **LAWS[law][1]))


@pytest.mark.parametrize("m", [1, 2])
@pytest.mark.parametrize("law", LAWS)
def test_exact_risks_are_those_of_enumeration(law, m):
    """All 3^5 sequences of inputs, all counts of labels."""
    chances, made = visits_under(law), LAWS[law][0](m)
    assert sum(chances.values()) == pytest.approx(1.0, abs=1e-12)
    for student in STUDENTS:
        want = enumerated(student.name, TEACHER, chances, m)
        assert kt.exact_risk(TEACHER, student, N, queries=made) == pytest.approx(want, rel=1e-11), (
            student
        )
        assert kt.exact_risk(TEACHER, student, 0, queries=made) == pytest.approx(
            enumerated(student.name, TEACHER, {(0, 0, 0): 1.0}), rel=1e-12
        )


def test_another_chain_is_told_apart():
    other = queries.chain(0.98 * CHAIN + 0.02 / 3, START)
    for student in STUDENTS:
        want = enumerated(student.name, TEACHER, visits_under("chain"))
        assert kt.exact_risk(TEACHER, student, N, queries=other) != pytest.approx(want, rel=1e-4)


@pytest.mark.parametrize("weights", [[1, 1, 1], [5, 1, 0], [0, 0, 1]])
@pytest.mark.parametrize("m", [1, 3])
def test_designs_have_their_enumerated_risk(weights, m):
    law = queries.adaptive(weights, labels_per_query=m)
    for n in (0, 1, 4):
        for student in STUDENTS:
            want = enumerated(student.name, TEACHER, {tuple(law.visits(n)): 1.0}, m)
            assert kt.exact_risk(TEACHER, student, n, queries=law) == pytest.approx(
                want, rel=1e-11, abs=1e-15
            )


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("hops", [0, 1])
def test_grad_ful_needs_one_visit_near_by(law, hops):
    graph = kt.graphs.path(3)
    near = graph.balls(hops).toarray()
    distance = 0.5 * np.abs(TEACHER.pi - 1 / 3).sum(axis=1)
    want = 0.0
    for visits, chance in visits_under(law).items():
        want += chance * (TEACHER.rho * distance) @ ~(near @ (np.array(visits) > 0))
    made = LAWS[law][0](1)
    student = kt.students.grad_ful(graph, hops)
    assert kt.exact_risk(TEACHER, student, N, queries=made) == pytest.approx(
        want, rel=1e-11, abs=1e-16
    )
    estimate = kt.simulate(TEACHER, student, n=N, repeats=100_000, queries=made).estimates[0]
    assert_risk(estimate, want, detects=0.012)


def test_three_roads_to_iid_queries():
    """Bin(n, q); a chain whose rows are all q; episodes of one step: to 1e-11, and with several labels."""
    teacher = kt.Teacher(RNG.dirichlet(np.ones(3), size=4), RNG.dirichlet(np.ones(4)))
    q = RNG.dirichlet(np.ones(4))
    for m, student in itertools.product((1, 3), STUDENTS):
        first = kt.exact_risk(teacher, student, [1, 7], queries=queries.iid(q, labels_per_query=m))
        walk = queries.chain(np.tile(q, (4, 1)), q, labels_per_query=m)
        steps = queries.episodes(np.eye(4), q, horizon=1, labels_per_query=m)
        np.testing.assert_allclose(
            kt.exact_risk(teacher, student, [1, 7], queries=walk), first, rtol=1e-10
        )
        np.testing.assert_allclose(
            kt.exact_risk(teacher, student, [1, 7], queries=steps), first, rtol=1e-10
        )


@pytest.mark.parametrize("student", ["ce_sgl", "laplace"])
def test_many_episodes(student):
    """20,001 queries in episodes of 3 that are iid in disguise: sums of 6,667 counts against Bin(n, q), to 1e-11."""
    law = queries.episodes(np.tile(Q, (3, 1)), Q, horizon=3)
    want = kt.exact_risk(TEACHER, student, 20_000, queries=queries.iid(Q))
    assert kt.exact_risk(TEACHER, student, 20_000, queries=law) == pytest.approx(want, rel=1e-11)


def test_rho_as_q_is_the_default():
    """The exact risk to rounding; the losses of a simulation to the bit."""
    teacher = kt.Teacher(RNG.dirichlet(np.ones(3), size=6), RNG.dirichlet(np.ones(6)))
    for student in STUDENTS:
        np.testing.assert_allclose(
            kt.exact_risk(teacher, student, [0, 3, 50, np.inf], queries=queries.iid(teacher.rho)),
            kt.exact_risk(teacher, student, [0, 3, 50, np.inf]),
            rtol=1e-12,
        )
    runs = [
        kt.simulate(
            teacher, STUDENTS, n=[2, 40, 4000], repeats=50, seed=8, keep_losses=True, queries=law
        )
        for law in (None, queries.iid(), queries.iid(teacher.rho))
    ]
    assert runs[0].estimates == runs[1].estimates
    assert runs[0].losses.tobytes() == runs[2].losses.tobytes()
    assert [e.path for e in runs[2].estimates][::6] == [
        f"iid(q) {e.path}" for e in runs[0].estimates
    ][::6]


def two_stage_visits(law, teacher, n):
    """Yield (pilot counts, visits, probability), with an apportionment of its own."""
    inputs, labels = teacher.pi.shape
    first = law.pilot_visits(n, teacher.rho)
    for rows in itertools.product(
        *(list(label_counts(int(k), row)) for k, row in zip(first, teacher.pi, strict=True))
    ):
        counts, chance = np.array([c for c, _ in rows]), float(np.prod([w for _, w in rows]))
        p = (counts + 1 / labels) / (counts.sum(axis=1, keepdims=True) + 1)
        weight = (teacher.rho * np.sqrt(p * (1 - p)).sum(axis=1)) ** (2 / 3)
        active = np.ones(inputs, dtype=bool)
        while True:
            x = (n - first[~active].sum()) / weight[active].sum()
            below = active & (x * weight < first)
            if not below.any():
                break
            active &= ~below
        share = np.where(active, x * weight, first)
        visits = np.floor(share + 1e-9).astype(int)
        for s in np.argsort(-(share - visits), kind="stable")[: n - visits.sum()]:
            visits[s] += 1
        yield counts, visits, chance


@pytest.mark.parametrize("n", [4, 7])
def test_two_stages_against_enumeration(n):
    """All pilots, then all labels of the second stage: false alarm 1e-6, an error of 0.012 is caught."""
    teacher = kt.Teacher([[0.5, 0.5], [0.95, 0.05]], [0.6, 0.4])
    law = queries.two_stage(0.5)
    want = 0.0
    for counts, visits, chance in two_stage_visits(law, teacher, n):
        for s, row in enumerate(teacher.pi):
            for more, weight in label_counts(int(visits[s] - counts[s].sum()), row):
                seen = counts[s] + more
                want += (
                    chance * weight * teacher.rho[s] * 0.5 * np.abs(seen / seen.sum() - row).sum()
                )
    estimate = kt.simulate(teacher, "ce_sgl", n=n, repeats=200_000, queries=law).estimates[0]
    assert_risk(estimate, want, detects=0.012)
    one_stage = kt.exact_risk(teacher, "ce_sgl", n, queries=queries.adaptive([1, 3]))
    with pytest.raises(AssertionError, match="away from"):
        assert_risk(estimate, one_stage, detects=0.012)


@pytest.mark.parametrize(
    ("law", "m"), grid(LAWS, [1, 2], quick=[(law, 1 + at % 2) for at, law in enumerate(LAWS)])
)
def test_simulations_have_the_exact_risk(law, m):
    """False alarm 1e-6 per student; an error of 0.02 in a risk is caught with the same certainty."""
    made = LAWS[law][0](m)
    everybody = [*STUDENTS, *map(generic, STUDENTS[:4])]
    for n in (N, 130):
        exact = [kt.exact_risk(TEACHER, student, n, queries=made) for student in STUDENTS]
        found = kt.simulate(TEACHER, everybody, n=n, repeats=15_000, seed=4, queries=made).estimates
        for estimate, risk in zip(found, [*exact, *exact[:4]], strict=True):
            assert_risk(estimate, risk, detects=0.02)


def test_a_simulation_of_another_chain_is_caught():
    right, other = queries.chain(CHAIN, START), queries.chain([[0.6, 0.4, 0.0], *CHAIN[1:]], START)
    want = kt.exact_risk(TEACHER, "sel_ptl", N, queries=right)
    assert abs(kt.exact_risk(TEACHER, "sel_ptl", N, queries=other) - want) > 0.01
    estimate = kt.simulate(TEACHER, "sel_ptl", n=N, repeats=150_000, queries=other).estimates[0]
    with pytest.raises(AssertionError, match="away from"):
        assert_risk(estimate, want, detects=0.01)


@pytest.mark.parametrize("law", ["q", "chain", "episodes"])
@pytest.mark.parametrize("m", [1, 2])
def test_joint_law_of_all_counts(law, m):
    """Pearson's test over every table of counts, false alarm 1e-6; a 10 % tilt of one label is caught."""
    teacher = kt.Teacher([[0.5, 0.5], [0.2, 0.8], [1.0, 0.0]], TEACHER.rho)
    n, repeats = 3, 100_000
    weights = {}
    for visits, chance in visits_under(law, n).items():
        choices = (
            list(label_counts(k * m, row)) for k, row in zip(visits, teacher.pi, strict=True)
        )
        for rows in itertools.product(*choices):
            weights[tuple(np.concatenate([c for c, _ in rows]))] = chance * np.prod(
                [w for _, w in rows]
            )
    assert sum(weights.values()) == pytest.approx(1.0, abs=1e-12)
    drawn = kt.draw_counts(teacher, n, repeats, seed=2, queries=LAWS[law][0](m)).reshape(
        repeats, -1
    )
    assert (drawn.sum(axis=1) == n * m).all()
    keys, expected = list(weights), repeats * np.array(list(weights.values()))
    observed = occurrences(drawn, np.array(keys))
    assert p_value(observed, expected) > 1e-6
    tilted = expected * np.array([1.1 ** key[3] for key in keys])
    assert p_value(observed, tilted * repeats / tilted.sum()) < 1e-6, "blind to a 10 % tilt"


def p_value(observed, expected):
    order = np.argsort(expected)
    groups = np.unique(np.cumsum(expected[order]) // 10.0, return_index=True)[1]
    seen, due = np.add.reduceat(observed[order], groups), np.add.reduceat(expected[order], groups)
    return stats.chi2.sf(((seen - due) ** 2 / due).sum(), len(groups) - 1)


@pytest.mark.parametrize(
    "law",
    [
        queries.iid(labels_per_query=7),
        queries.chain(RNG.dirichlet(np.ones(20), size=20), labels_per_query=5),
        queries.episodes(np.roll(np.eye(20), 1, axis=1), None, 6, labels_per_query=5),
        queries.adaptive(np.arange(20), labels_per_query=3),
        queries.two_stage(0.4, labels_per_query=2),
    ],
    ids=str,
)
@pytest.mark.parametrize("labels", [4, 90])
def test_every_layout_and_every_number_of_labels(law, labels):
    """Woven and plain rows, labels by alias draws and by binomials: closed forms, rules and counts agree."""
    teacher = kt.Teacher(RNG.dirichlet(np.full(labels, 0.4), size=20))
    rules = [generic(student) for student in STUDENTS[:4]]
    for n in (0, 1, 30, 3000):
        losses = kt.simulate(
            teacher, [*STUDENTS[:4], *rules], n=n, repeats=4, seed=1, keep_losses=True, queries=law
        ).losses[0]
        np.testing.assert_allclose(losses[:, :4], losses[:, 4:], atol=1e-12)
        for r, counts in enumerate(kt.draw_counts(teacher, n, 4, seed=1, queries=law)):
            visits, odd = np.divmod(counts.sum(axis=1), law.labels_per_query)
            assert (odd == 0).all()
            assert visits.sum() == n
            table = STUDENTS[2].table(counts, STUDENTS[2].access.reveal(counts, teacher.pi))
            assert losses[r, 2] == pytest.approx(
                kt.total_variation(table, teacher.pi, teacher.rho), abs=1e-12
            )


@pytest.mark.parametrize("m", [1, 400])
def test_labels_of_a_row_by_binomials_and_by_alias_draws(m):
    """Given the visits, a row's counts are multinomial: mean and covariance of 20,000 tables, false alarm 1e-6."""
    p, n, repeats = np.array([0.5, 0.3, 0.2, 0.0]), 20, 20_000
    counts = kt.draw_counts(
        kt.Teacher([p]), n, repeats, queries=queries.adaptive([1], labels_per_query=m)
    )[:, 0]
    total = n * m
    assert (counts[:, 3] == 0).all()
    residual = (counts[:, :3] - total * p[:3]) / np.sqrt(total)
    exact = np.diag(p[:3]) - np.outer(p[:3], p[:3])
    limit = stats.norm.isf(1e-6 / 18)
    assert np.abs(residual.mean(axis=0) / np.sqrt(np.diag(exact) / repeats)).max() < limit
    products = residual[:, :, None] * residual[:, None, :]
    z = (products.mean(axis=0) - exact) / (products.std(axis=0) / np.sqrt(repeats))
    assert np.abs(z).max() < limit + 0.5
    assert (
        np.abs(
            (products.mean(axis=0) - 1.05 * exact) / (products.std(axis=0) / np.sqrt(repeats))
        ).max()
        > limit / 2
    )


SOME = {
    "pseudo-data": queries.iid([0.3, 0.1, 0.2, 0.1, 0.1, 0.2]),
    "labels": queries.iid(labels_per_query=3),
    "chain": queries.chain(RNG.dirichlet(np.ones(6), size=6)),
    "episodes": queries.episodes(RNG.dirichlet(np.ones(6), size=6), None, 4, labels_per_query=2),
    "design": queries.adaptive([1, 2, 3, 4, 5, 6]),
    "two stages": queries.two_stage(0.3),
}


@pytest.mark.parametrize("name", few_quick(SOME, ["two stages"]))
def test_same_bits_for_threads_chunks_and_pieces(monkeypatch, name):
    teacher = kt.Teacher(np.random.default_rng(0).dirichlet(np.ones(4), size=6))
    students = [*kt.STUDENTS.values(), LAPLACE]

    def run(**options):
        found = kt.simulate(
            teacher,
            students,
            n=[10, 500],
            repeats=150,
            seed=9,
            keep_losses=True,
            queries=SOME[name],
            **options,
        )
        return found.frame.to_csv() + found.losses.tobytes().hex()

    reference = run(threads=1)
    assert run(threads=3) == reference
    for seconds, most in ((1e-9, 2**16), (10.0, 20)):
        monkeypatch.setattr(montecarlo, "_CHUNK_SECONDS", seconds)
        monkeypatch.setattr(montecarlo, "_MOST_REPEATS_AT_ONCE", most)
        assert run(threads=2) == reference
    cell = Cell(teacher, students, 500, seed=9, how=drawn(teacher, 500, SOME[name]))
    whole = cell.estimates(cell.run(0, 150))
    assert (
        cell.estimates(sum((cell.run(at, 25) for at in range(125, -1, -25)), Tally.empty(5)))
        == whole
    )
    assert whole == list(
        kt.simulate(teacher, students, n=500, repeats=150, seed=9, queries=SOME[name]).estimates
    )
    assert SOME[name].name in whole[0].path


def test_students_together_or_alone_and_one_specialisation_for_each_law():
    teacher = kt.Teacher(np.random.default_rng(0).dirichlet(np.ones(4), size=6))
    for law in SOME.values():
        together = kt.simulate(teacher, STUDENTS, n=40, repeats=100, queries=law).estimates
        assert list(together) == [
            kt.simulate(teacher, s, n=40, repeats=100, queries=law).estimates[0] for s in STUDENTS
        ]
        kt.draw_counts(teacher, 40, 2, queries=law)
    plans = [signature[0] for signature in repeat_loop.signatures]
    assert len(plans) == len(set(plans))


def test_labels_per_query_from_row_classes_of_any_number():
    """A class of 10^9 inputs: n = 10^6 queries of 3 labels; the sum over k by hand."""
    row, rho, n = np.array([0.6, 0.3, 0.1]), 1e-9, 10**6
    teacher = kt.Teacher.from_classes([row], [rho], [10**9])
    found = kt.exact_risk(teacher, "ce_sgl", n, queries=queries.iid(labels_per_query=3))
    losses = np.array([row_loss("ce_sgl", 3 * k, row) for k in range(5)])
    assert found == pytest.approx(stats.binom.pmf(np.arange(5), n, rho) @ losses, rel=1e-10)
    with pytest.raises(ValueError, match="q is for 2 inputs"):
        kt.exact_risk(teacher, "ce_sgl", 5, queries=queries.iid([0.5, 0.5]))


def test_limits_as_n_grows():
    teacher = kt.Teacher([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]], [0.5, 0.3, 0.2])
    distance = np.array([0.4, 0.0, 0.3])
    biased = kt.exact_risk(teacher, "ce_ptl", np.inf)

    def limit(student, law):
        return kt.exact_risk(teacher, student, np.inf, queries=law)

    blind = queries.iid([0.0, 0.5, 0.5])
    for student in ("ce_ful", "sel_ptl", "ce_sgl"):
        assert limit(student, blind) == pytest.approx(0.5 * 0.4, rel=1e-14)
        assert kt.exact_risk(teacher, student, 2**40, queries=blind) == pytest.approx(0.2, abs=1e-5)
        assert limit(student, queries.iid([0.2, 0.4, 0.4])) == 0.0
        assert limit(student, queries.adaptive([0, 1, 1])) == pytest.approx(0.2, rel=1e-14)
        assert limit(student, queries.episodes(np.eye(3), [0, 1, 0], horizon=9)) == pytest.approx(
            0.26, rel=1e-14
        )
    rare = queries.iid([1e-300, 0.5, 0.5])
    assert limit("ce_sgl", rare) == 0.0
    assert kt.exact_risk(teacher, "ce_sgl", 2**40, queries=rare) == pytest.approx(0.2, abs=1e-5)
    assert limit("ce_ptl", queries.iid([0.2, 0.4, 0.4])) == pytest.approx(biased, rel=1e-13)
    assert limit("ce_ptl", queries.chain(np.full((3, 3), 1 / 3))) == pytest.approx(
        biased, rel=1e-13
    )
    # From 0 the chain is caught in 1 or in 2: each stays unseen with its own probability, and 0 is left for good.
    caught = queries.chain([[0.5, 0.125, 0.375], [0, 1, 0], [0, 0, 1]], [1, 0, 0])
    assert limit("ce_ful", caught) == pytest.approx(0.2 * 0.3 * 0.25, rel=1e-13)
    assert kt.exact_risk(teacher, "ce_ful", 200, queries=caught) == pytest.approx(0.015, rel=1e-12)
    with pytest.raises(kt.NoExactRisk, match="leaves input 0 for good"):
        limit("ce_sgl", caught)
    elsewhere = kt.Teacher(teacher.pi, [0.0, 0.5, 0.5])
    want = 0.5 * 0.75 * distance[1] + 0.5 * 0.25 * distance[2]
    assert kt.exact_risk(elsewhere, "ce_sgl", np.inf, queries=caught) == pytest.approx(
        want, rel=1e-13
    )
    never_again = queries.oracle(kt.Teacher([[1.0, 0.0], [0.5, 0.5]]))
    laplace = kt.exact_risk(
        kt.Teacher([[1.0, 0.0], [0.5, 0.5]]), "laplace", np.inf, queries=never_again
    )
    assert laplace == pytest.approx(0.5 / 3, rel=1e-13), (
        "a point mass is asked once, and Laplace's rule stays at 2/3"
    )


def test_refusals():
    zipf = 1 / np.arange(1, 1001)
    wide = kt.Teacher(np.tile(zipf / zipf.sum(), (2, 1)))
    with pytest.raises(kt.NoExactRisk, match="simulate"):
        kt.exact_risk(wide, "sel_ptl", 1000, queries=queries.chain(np.full((2, 2), 0.5)))
    with pytest.raises(kt.NoExactRisk, match="the visits of 3 inputs in chain queries takes about"):
        kt.exact_risk(TEACHER, "ce_sgl", 10**6, queries=queries.chain(CHAIN))
    with pytest.raises(kt.NoExactRisk, match="depend on the labels"):
        kt.exact_risk(TEACHER, "ce_sgl", 10, queries=queries.two_stage())
    with pytest.raises(kt.NoExactRisk, match="pilot that leaves inputs out"):
        kt.exact_risk(TEACHER, "ce_ful", 2, queries=queries.two_stage())
    assert kt.exact_risk(TEACHER, "ce_ful", 12, queries=queries.two_stage(0.25)) == 0.0
    with pytest.raises(ValueError, match="control = True"):
        kt.simulate(TEACHER, "sel_ptl", n=1, repeats=2, control=True, queries=queries.iid(Q))
    with pytest.raises(
        ValueError, match=r"queries = 'chain': must be a law from kt_theory\.queries"
    ):
        kt.simulate(TEACHER, "sel_ptl", n=1, repeats=2, queries="chain")
    with pytest.raises(ValueError, match="transitions is for 2 inputs, but the teacher has 3"):
        kt.simulate(TEACHER, "sel_ptl", n=1, repeats=2, queries=queries.chain(np.eye(2)))
    with pytest.raises(ValueError, match=r"more than 2\^53 labels"):
        kt.simulate(TEACHER, "sel_ptl", n=2**50, repeats=2, queries=queries.iid(labels_per_query=9))
    for law in (queries.iid(labels_per_query=9), queries.adaptive(np.ones(3), labels_per_query=9)):
        with pytest.raises(
            ValueError,
            match=rf"n = {2**50}: with 9 labels per query that is more than 2\^53 labels",
        ):
            kt.exact_risk(TEACHER, "ce_sgl", [3, 2**50, np.inf], queries=law)
    one, most = kt.Teacher([[0.3, 0.7]]), queries.iid(labels_per_query=8)
    assert kt.exact_risk(one, "ce_sgl", 2**50, queries=most) == kt.exact_risk(one, "ce_sgl", 2**53)
    with pytest.raises(kt.NoExactRisk, match="no exact risk"):
        kt.exact_risk(TEACHER, "good_turing", 5, queries=queries.iid(Q))
