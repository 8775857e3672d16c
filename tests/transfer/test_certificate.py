"""Certificates: the lemma by enumeration, exact coverage, simulated coverage, and how sharp they are."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from grids import few_quick, grid
from scipy.stats import binom, hypergeom, multinomial
from transfer_cases import draw

import kt_theory as kt
from kt_theory.transfer.certify import bounds, hard
from kt_theory.transfer.fit import fit
from kt_theory.transfer.sets import TransferSet

LEVELS = {"hard": "ce_sgl", "partial": "sel_ptl", 2: kt.students.top_k(2), "soft": "ce_ful"}


def skewed(inputs, labels):
    rho = 1.0 / np.arange(1, inputs + 1)
    return kt.Teacher(kt.teachers.dirichlet(inputs, labels, seed=4).pi, rho / rho.sum())


def sharp(inputs, labels):
    return kt.Teacher(0.02 / labels + 0.98 * np.eye(labels)[np.arange(inputs) % labels])


FAMILIES = {
    "uniform": kt.teachers.uniform,
    "instance0": kt.teachers.instance0,
    "deterministic": kt.teachers.deterministic,
    "skewed": skewed,
    "sharp": sharp,
}


def loss(copy, teacher):
    table = np.full(teacher.pi.shape, 1.0 / teacher.labels)
    places = np.array([int(name) for name in copy.transfer.input_names])
    table[places[copy.rows.input]] = copy.pi
    return float(kt.total_variation(table, teacher.pi, teacher.rho))


def test_the_unseen_mass_martingale_has_mean_one():
    """E (1 - theta + theta w)^n prod_s (1 - t^(n_s)) = 1 - P(all red), over every multinomial of n = 5, S = 3."""
    rho, n = np.array([0.5, 0.3, 0.2]), 5
    for theta in (0.1, 0.5, 0.9):
        total = 0.0
        for counts in itertools.product(range(n + 1), repeat=3):
            if sum(counts) == n:
                seen = np.array(counts) > 0
                w = 1.0 / (1.0 - rho[~seen].sum())
                base = 1 - theta + theta * w
                t = theta * w / base
                value = base**n * np.prod(1 - t ** np.array(counts)[seen])
                total += multinomial.pmf(counts, n, rho) * value
        assert total == pytest.approx(1.0 - theta**n, rel=1e-12)


def test_the_unseen_mass_is_good_and_turing_with_its_deviation_for_large_n():
    rng = np.random.default_rng(0)
    queries = rng.poisson(1.3, 200_000)
    queries = queries[queries > 0]
    once, twice, n = (queries == 1).sum(), (queries == 2).sum(), queries.sum()
    gap = bounds.unseen_mass(queries, 0.05) - once / n
    ideal = math.sqrt(2 * (once + 2 * twice) * math.log(20)) / n
    assert ideal < gap < 2.2 * ideal


def test_the_unseen_mass_covers_exactly():
    """Three inputs, n = 12: the probability of a failure, summed over every outcome."""
    n = 12
    for rho in ([0.9, 0.09, 0.01], [0.8, 0.1, 0.1], [0.98, 0.01, 0.01]):
        failed = 0.0
        for counts in itertools.product(range(n + 1), repeat=3):
            if sum(counts) == n:
                array = np.array(counts)
                bound = bounds.unseen_mass(array[array > 0], 0.3)
                failed += multinomial.pmf(counts, n, rho) * (
                    np.array(rho)[array == 0].sum() > bound
                )
        assert failed <= 0.3


def test_held_out_losses_are_unbiased():
    """Given the blue records, the mean of X over one red record is the loss of the blue copy, at every level."""
    teacher = skewed(3, 4)
    rng = np.random.default_rng(0)
    for level in ("partial", 1, 2, "soft"):
        blue = draw(teacher, 6, level, rng)
        expected = loss(fit(blue), teacher)
        total = 0.0
        for s in range(3):
            for a in range(4):
                joined = with_record(blue, teacher, s, a, level)
                red = np.arange(len(joined)) == len(blue)
                (x,) = bounds.held_out_losses(joined.rows, red, True)
                total += teacher.rho[s] * teacher.pi[s, a] * x
        assert total == pytest.approx(expected, abs=1e-12)


def with_record(transfer, teacher, s, a, level):
    """`transfer` and one more record (s, a) at its end."""
    top = {"partial": 0, "soft": teacher.labels}.get(level, level)
    rows = np.full((len(transfer) + 1, teacher.labels), np.nan)
    rows[transfer.entry_record, transfer.entry_label] = transfer.entry_logp
    order = np.argsort(-teacher.pi[s], kind="stable")[:top]
    rows[-1, order] = np.log(teacher.pi[s, order])
    rows[-1, a] = math.log(teacher.pi[s, a])
    inputs = [transfer.input_names[i] for i in transfer.inputs] + [str(s)]
    labels = [str(j) for j in range(teacher.labels)]
    return TransferSet.from_arrays(inputs, [*transfer.sampled, a], logprobs=rows, labels=labels)


def test_the_loss_possible_is_never_less_than_the_loss():
    teacher = skewed(4, 5)
    rng = np.random.default_rng(1)
    for _ in range(50):
        transfer = draw(teacher, 12, "partial", rng)
        red = rng.random(12) < 0.3
        blue = fit(transfer.take(~red)) if (~red).any() else None
        x = bounds.held_out_losses(transfer.rows, red, False)
        for i, value in zip(np.flatnonzero(red), x, strict=True):
            name = transfer.input_names[transfer.inputs[i]]
            row = [blue.transfer.input_names[j] for j in blue.rows.input]
            q = blue.pi[row.index(name)] if name in row else np.full(5, 0.2)
            assert 0.5 * np.abs(q - teacher.pi[int(name)]).sum() <= value + 1e-12


def test_halves_of_a_row_by_enumeration():
    transfer = draw(skewed(4, 3), 30, "hard", np.random.default_rng(1))
    rows, theta, total = transfer.rows, 0.3, 0.0
    for r in range(len(rows.input)):
        k = rows.queries[r]
        for c in rows.count[rows.row == r]:
            for red in range(1, k):
                x = np.arange(red + 1)
                gaps = np.abs(x / red - (c - x) / (k - red))
                total += 0.5 * binom.pmf(red, k, theta) * red * (hypergeom.pmf(x, k, c, red) @ gaps)
    assert hard._exact_halves(rows, theta).sum() == pytest.approx(total, rel=1e-10)
    far, far2 = hard._halves(np.array([1, 2, 7, 5000]), theta)
    r = np.arange(1, 7)
    weight = binom.pmf(r, 7, theta)
    assert far[2] == pytest.approx(weight @ (7 * np.sqrt(r / (6 * (7 - r)))))
    assert far2[2] == pytest.approx(weight @ (49 / (6 * (7 - r))))
    assert far[0] == far2[0] == 0
    r = np.arange(1, 5000)
    exact = binom.pmf(r, 5000, theta) @ (5000 * np.sqrt(r / (4999 * (5000 - r))))
    assert exact <= far[3] <= 1.001 * exact


@pytest.mark.parametrize(
    ("n", "labels"),
    few_quick(
        [(1, 2), (12, 3), (60, 2), (160, 3), (300, 40), (2000, 2)], [(1, 2), (12, 3), (60, 2)]
    ),
)
def test_the_costs_of_visits_satisfy_their_inequality_for_every_share_of_the_input(n, labels):
    """H(mu) <= 1 on a grid ten times finer, by a plain sum, and C is nondecreasing from 0."""
    stake, cost = hard.visit_costs(n, labels)
    assert cost[0] == 0
    assert (np.diff(cost) >= 0).all()
    k = np.arange(n + 1)
    with np.errstate(divide="ignore"):
        loss = np.minimum(1.0, 0.5 * np.sqrt((labels - 1) / k))
    loss[0] = 1 - 1 / labels
    for mu in np.r_[1e-9, np.geomspace(1e-5, n, 3000 if n < 1000 else 500)]:
        late = np.where(k > 0, stake * mu / (8.0 * np.maximum(k, 1)), 0.0)
        mean = binom.pmf(k, n, mu / n) @ np.exp(
            stake * mu * np.minimum(np.where(k > 0, 1.0, loss[0]), loss + late) - cost
        )
        assert mean <= 1.0 + 1e-12


def test_the_moment_of_a_row_is_below_its_bound_by_enumeration():
    """E exp(s T) <= exp(s min(1, tau / sqrt(k) + s / (8 k))) for every number of visits up to 6."""
    for pi in ([0.5, 0.5, 0.0], [0.7, 0.2, 0.1], [1 / 3, 1 / 3, 1 / 3], [0.9, 0.1, 0.0]):
        for k in range(1, 7):
            for s in (0.1, 1.0, 5.0):
                total = sum(
                    multinomial.pmf(c, k, pi)
                    * math.exp(s * 0.5 * np.abs(np.array(c) / k - pi).sum())
                    for c in itertools.product(range(k + 1), repeat=3)
                    if sum(c) == k
                )
                assert total <= math.exp(s * min(1.0, 0.5 * math.sqrt(2 / k) + s / (8 * k))) + 1e-12


@pytest.fixture
def few_colourings(monkeypatch):
    """Certificates from stated probabilities hold for any number of colourings: these are quick."""
    monkeypatch.setattr(bounds, "COLOURINGS", 8)


@pytest.mark.parametrize("level", ["hard", "partial"])
def test_exact_coverage_on_tiny_domains(level, few_colourings):
    """One input, three labels: the probability of a failure summed over all outcomes, and a bite.

    n = 12 and 91 outcomes, or 5 and 21 where probabilities are stated.
    """
    n, delta = 12 if level == "hard" else 5, 0.5
    for pi in (
        [0.5, 0.5, 0.0],
        [0.7, 0.2, 0.1],
        [1 / 3, 1 / 3, 1 / 3],
        [0.9, 0.1, 0.0],
        [0.96, 0.03, 0.01],
    ):
        teacher = kt.Teacher([pi])
        failed = cut = 0.0
        for counts in itertools.product(range(n + 1), repeat=3):
            if sum(counts) != n or any(c and not p for c, p in zip(counts, pi, strict=True)):
                continue
            a = np.repeat(np.arange(3), counts)
            stated = np.where(np.eye(3, dtype=bool)[a], np.log(np.maximum(pi, 1e-300)), np.nan)
            logs = None if level == "hard" else stated
            transfer = TransferSet.from_arrays(["0"] * n, a, logprobs=logs, labels=list("012"))
            weight = multinomial.pmf(counts, n, pi)
            if weight < 1e-9:
                # Labels that cannot be draws of what is stated may be refused.
                continue
            copy = fit(transfer, LEVELS[level])
            bound = copy.certificate(1 - delta).bound
            true = loss(copy, teacher)
            failed += weight * (true > bound)
            cut += weight * (true > 0.1 * bound)
        assert failed <= delta
        assert cut > 0.5 or level == "partial" or max(pi) > 0.9


def coverage(level, repeats):
    for family in FAMILIES.values():
        teacher = family(8, 4)
        rng = np.random.default_rng(7)
        failures = halved = 0
        for _ in range(repeats):
            copy = fit(draw(teacher, 60, level, rng), LEVELS[level])
            bound, true = copy.certificate(0.8).bound, loss(copy, teacher)
            failures += true > bound
            halved += true > 0.25 * bound
        # A bound that covers with probability 0.8 fails more often than this with probability 1e-6 at most.
        assert failures <= binom.ppf(1 - 1e-6, repeats, 0.2)
        if level == "hard" and family is kt.teachers.uniform:
            # The negative control: a quarter of the bound does not cover.
            assert halved > binom.ppf(1 - 1e-6, repeats, 0.2)


@pytest.mark.parametrize("level", few_quick(LEVELS, ["hard", "partial", 2]))
def test_certificates_cover(level, few_colourings):
    """Where probabilities are stated, certificates take 50 times as long, and no loss is above a third of its bound."""
    coverage(level, 60 if level == "hard" else 10)


@pytest.mark.long
@pytest.mark.parametrize("level", LEVELS, ids=str)
def test_certificates_cover_in_many_transfer_sets(level):
    coverage(level, 2000)


@pytest.mark.parametrize("repeats", [5, pytest.param(2000, marks=pytest.mark.long)])
@pytest.mark.parametrize("level", LEVELS, ids=str)
def test_certificates_cover_and_are_not_vacuous_in_every_transfer_set(level, repeats):
    """n = 20 S, five teachers: at most 5 times the larger of the loss and (S/2 + 2 ln(1/delta))/n, in all of them."""
    inputs, n = 8, 160
    for family in FAMILIES.values():
        teacher = family(inputs, 4)
        rng = np.random.default_rng(11)
        failures = 0
        for _ in range(repeats):
            copy = fit(draw(teacher, n, level, rng), LEVELS[level])
            bound, true = copy.certificate(0.95).bound, loss(copy, teacher)
            failures += true > bound
            assert bound <= 5.0 * max(true, (inputs / 2 + 2 * math.log(20)) / n)
        assert failures <= binom.ppf(1 - 1e-6, repeats, 0.05)


@pytest.mark.parametrize(
    ("level", "labels", "inputs"),
    grid(
        LEVELS,
        [2, 10],
        [10, 50, 400],
        quick=[
            *[("hard", 2, 10), ("hard", 10, 400), ("partial", 2, 50), ("partial", 10, 10)],
            *[(2, 10, 50), (2, 2, 10), ("soft", 2, 10), ("soft", 10, 50)],
        ],
    ),
)
def test_certificates_are_not_vacuous(inputs, labels, level):
    """At n = 20 S: at most 5 times the larger of the true loss and (S/2 + 2 ln(1/delta))/n."""
    rng = np.random.default_rng(0)
    n = 20 * inputs
    for family in FAMILIES.values():
        teacher = family(inputs, labels)
        copy = fit(draw(teacher, n, level, rng), LEVELS[level])
        bound = copy.certificate(0.95).bound
        assert bound <= 5.0 * max(loss(copy, teacher), (inputs / 2 + 2 * math.log(20)) / n)


def uneven(inputs, labels, top=0.8):
    row = np.full(labels, (1.0 - top) / (labels - 1))
    row[0] = top
    return kt.Teacher(np.array([np.roll(row, s) for s in range(inputs)]))


@pytest.mark.parametrize(
    ("inputs", "labels", "repeats"),
    few_quick(
        itertools.product([3, 6, 12], [2, 3, 5, 10], [12, 200]),
        [(3, 2, 12), (6, 3, 12), (3, 10, 12)],
    ),
)
def test_hard_certificates_of_few_inputs_are_not_vacuous(inputs, labels, repeats):
    """The same line, at the sizes where it is hardest to meet: 1 % of transfer sets may pass it, by at most 10 %."""
    rng = np.random.default_rng(0)
    n = 20 * inputs
    for teacher in (
        kt.teachers.uniform(inputs, labels),
        uneven(inputs, labels),
        skewed(inputs, labels),
    ):
        ratios = []
        for _ in range(repeats):
            copy = fit(draw(teacher, n, "hard", rng), "ce_sgl")
            line = 5.0 * max(loss(copy, teacher), (inputs / 2 + 2 * math.log(20)) / n)
            ratios.append(copy.certificate(0.95).bound / line)
        assert max(ratios) <= 1.1
        # More than that has probability 1e-6 at most if 1 % are over.
        assert sum(ratio > 1 for ratio in ratios) <= binom.ppf(1 - 1e-6, repeats, 0.01)


def peaked(inputs, labels):
    rho = np.full(inputs, 0.25 / max(inputs - 1, 1))
    rho[0] = 0.75
    return kt.Teacher(
        np.random.default_rng(5).dirichlet(np.full(labels, 0.3), inputs), rho / rho.sum()
    )


@pytest.mark.parametrize(
    ("level", "labels", "repeats"),
    few_quick(
        itertools.product(["partial", 2, "soft"], [2, 3, 5, 10], [1, 10]),
        [("partial", 2, 1), (2, 3, 1), ("soft", 10, 1)],
    ),
)
def test_certificates_of_few_inputs_are_not_vacuous_where_probabilities_are_stated(
    level, labels, repeats
):
    """The same line for S = 1 to 15, in every transfer set."""
    rng = np.random.default_rng(0)
    for inputs in range(1, 16) if repeats > 1 else (1, 15):
        n = 20 * inputs
        for family in (*FAMILIES.values(), uneven, peaked):
            teacher = family(inputs, labels)
            for _ in range(repeats):
                copy = fit(draw(teacher, n, level, rng), LEVELS[level])
                line = 5.0 * max(loss(copy, teacher), (inputs / 2 + 2 * math.log(20)) / n)
                assert copy.certificate(0.95).bound <= line


def test_greedy_answers_are_certified_by_what_they_state():
    """The most probable label every time: stated probabilities do, sampled labels do not."""
    teacher = kt.teachers.dirichlet(20, 6, seed=0)
    rng = np.random.default_rng(0)
    s = rng.integers(0, 20, 2000)
    a = teacher.pi.argmax(axis=1)[s]
    logs = np.where(
        np.argsort(np.argsort(-teacher.pi[s], axis=1), axis=1) < 3, np.log(teacher.pi[s]), np.nan
    )
    faithful = TransferSet.from_arrays(s, a, logprobs=logs, labels=list("012345"))
    greedy = TransferSet(**{**faithful.__dict__, "faithful": False})
    true = loss(fit(greedy), teacher)
    with pytest.raises(ValueError, match="labels were not drawn from what is stated"):
        fit(faithful)
    hidden = fit(greedy).certificate()
    assert true <= hidden.bound <= hidden.hidden_mass + 0.05


@pytest.mark.parametrize("student", ["laplace", "good_turing", "ce_ptl"])
def test_other_students_are_certified_by_their_distance(student):
    teacher = kt.teachers.dirichlet(5, 3, seed=0)
    level = "partial" if student == "ce_ptl" else "hard"
    for seed in range(20 if level == "hard" else 6):
        copy = fit(draw(teacher, 3000, level, np.random.default_rng(seed)), student)
        assert loss(copy, teacher) <= copy.certificate(0.9).bound < 0.6


def test_a_confidence_is_shared_by_all_bounds_that_it_takes():
    """delta by halves where a distance, or a table of one's own, comes on top, by thirds where both do."""
    transfer = draw(kt.teachers.dirichlet(5, 3, seed=0), 200, "hard", np.random.default_rng(0))
    frequencies, delta = fit(transfer, "ce_sgl"), 0.1
    rows, table = frequencies.rows, np.full((5, 3), 1 / 3)

    def away(copy):
        return 0.5 * np.abs(copy.pi - frequencies.pi).sum(axis=1)

    def most(copy):
        return copy.certificate(1.0 - delta).bound

    assert most(frequencies) == pytest.approx(hard.counted(rows, delta), rel=1e-9)
    laplace = fit(transfer, "laplace")
    both = hard.counted(rows, delta / 2) + bounds.distance(rows, away(laplace), delta / 2)
    assert most(laplace) == pytest.approx(min(1.0, both), rel=1e-9)
    own = fit(transfer, kt.students.with_prior("ce_sgl", table))
    shrunk = fit(transfer, kt.students.shrink(table, 1.0))
    for copy, share in ((own, delta / 3), (shrunk, delta / 3)):
        parts = hard.counted(rows, share), bounds.unseen_mass(rows.queries, share)
        total = sum(parts) + bounds.distance(rows, away(copy), share)
        assert most(copy) == pytest.approx(min(1.0, total), rel=1e-9)


def test_sixteen_stakes_are_paid_for():
    """Red records that all lose nothing: 1 - (delta/16)^(1/R) at the largest share and stake, R records red."""
    bound = bounds._from_colourings(1000, 3, lambda red: np.zeros(int(red.sum())), 0.05)
    assert bound == pytest.approx(1.0 - (0.05 / 16) ** (1 / 600), rel=0.02)


def test_the_distance_of_visited_inputs_by_hand():
    transfer = TransferSet.from_arrays(["a", "a", "a", "b"], [0, 1, 0, 0], labels=["x", "y"])
    found = bounds.distance(fit(transfer, "ce_sgl").rows, np.array([0.2, 0.5]), 0.05)
    noise = (math.sqrt(3) + 1) / 4 + 2 * math.sqrt(math.log(20) / 8)
    assert found == pytest.approx((3 * 0.2 + 0.5) / 4 + 0.5 * noise, rel=1e-12)


def test_the_certificate_says_what_it_rests_on():
    transfer = draw(skewed(30, 5), 100, "partial", np.random.default_rng(0))
    found = fit(transfer, "sel_ptl").certificate(0.9)
    rows = transfer.rows
    assert found.unseen_mass == (rows.queries == 1).sum() / 100
    assert found.unseen_mass < found.unseen_bound == bounds.unseen_mass(rows.queries, 1.0 - 0.9)
    assert found.hidden_mass == pytest.approx(rows.queries @ rows.hidden_mass / 100)
    assert "with confidence 0.9" in str(found)
    assert found.bound < fit(transfer, "sel_ptl").certificate(0.99).bound
    hard = fit(transfer, "ce_sgl").certificate(0.9)
    assert hard.label_noise == pytest.approx(hard.bound - hard.unseen_bound)
    for wrong in (0, 1, 95, "x"):
        with pytest.raises(ValueError, match="confidence = "):
            fit(transfer).certificate(wrong)


def test_the_certificate_is_the_same_every_time_and_for_any_order():
    transfer = draw(skewed(10, 5), 300, "partial", np.random.default_rng(0))
    first = fit(transfer).certificate()
    assert fit(transfer).certificate() == first
    shuffled = transfer.take(np.random.default_rng(1).permutation(300))
    assert fit(shuffled).certificate().bound == pytest.approx(first.bound, rel=0.1)
