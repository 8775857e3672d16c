"""Intervals of risks: they hold as often as they say, also where a normal interval would not."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta, binom, binomtest, multinomial, skew, t

import kt_theory as kt
from kt_theory.generations.running import Running
from kt_theory.intervals import KINDS, Facts, facts_of, interval, tallied
from kt_theory.kernels.statistics import hits
from kt_theory.simulation.cell import Tally

QUANTILE = 1.959963984540054


def equal(value, repeats):
    return Facts(repeats, value, 0.0, 0.0, ((value, repeats),))


def two(least, misses, largest, hits):
    return facts_of(np.repeat([least, largest], [misses, hits]))


def plain_normal(facts):
    half = QUANTILE * facts.std_error
    return max(0.0, facts.mean - half), min(1.0, facts.mean + half)


@pytest.mark.parametrize("repeats", [2, 10, 100, 10_000, 10**9])
def test_equal_losses_bound_the_risk(repeats):
    """0.05^(1/R) is the chance of the loss seen at which R of them have a chance of 5 %."""
    low, high, kind = interval(equal(0.0, repeats))
    assert (low, kind) == (0.0, "clopper-pearson")
    assert (1.0 - high) ** repeats == pytest.approx(0.05, rel=1e-6)
    low, high, _ = interval(equal(0.25, repeats))
    assert low == pytest.approx(0.25 * 0.05 ** (1 / repeats))
    assert 1.0 - high == pytest.approx(0.75 * 0.05 ** (1 / repeats))


def test_the_bound_fails_at_most_as_often_as_it_says():
    """Losses of 0 or 1, of any chance: none is seen and the bound is below it at most 5 %."""
    repeats = 50
    bound = interval(equal(0.0, repeats)).high
    for risk in np.linspace(0.0, 1.0, 1001):
        wrong = binom.pmf(0, repeats, risk) * (risk > bound)
        assert wrong <= 0.05 + 1e-12


@pytest.mark.parametrize(("hits", "repeats"), [(1, 20), (7, 100), (60, 100), (99, 100), (3, 10**6)])
def test_two_values_have_the_interval_of_clopper_and_pearson(hits, repeats):
    """Against SciPy's binomial test: 2.5 % each without an end, else 2 % and 1 % for a third value."""
    counted = 0.2, repeats - hits, 0.7, hits
    share = hits / repeats
    error = 0.5 * math.sqrt(share * (1 - share) / (repeats - 1))
    facts = Facts(repeats, 0.2 + 0.5 * share, error, 0.0, (counted[:2], counted[2:]))
    test = binomtest(hits, repeats)
    whole = test.proportion_ci(0.95, "exact")
    low, high, kind = interval(facts, largest=math.inf)
    assert kind == "clopper-pearson"
    assert (low, high) == pytest.approx((0.2 + 0.5 * whole.low, 0.2 + 0.5 * whole.high), rel=1e-9)
    part, third = test.proportion_ci(0.96, "exact"), 1 - 0.01 ** (1 / repeats)
    low, high, _ = interval(facts)
    assert low == pytest.approx(max(0.0, 0.2 + 0.5 * part.low - 0.7 * third), abs=1e-9)
    assert high == pytest.approx(min(1.0, 0.2 + 0.5 * part.high + 0.8 * third), abs=1e-9)


def test_skewed_losses_have_the_bound_of_maurer_and_pontil():
    losses = beta(0.1, 3).rvs(200, random_state=1)
    low, high, kind = interval(facts_of(losses))
    x = math.log(80.0)
    half = math.sqrt(2 * losses.var(ddof=1) * x / 200) + 7 * x / (3 * 199)
    assert kind == "bernstein"
    assert (low, high) == pytest.approx((max(0.0, losses.mean() - half), losses.mean() + half))
    assert interval(facts_of(losses), largest=math.inf).kind == "normal"


def test_other_losses_have_students_interval():
    losses = beta(20, 80).rvs(25, random_state=1)
    low, high, kind = interval(facts_of(losses))
    half = t.ppf(0.975, 24) * losses.std(ddof=1) / 5
    assert kind == "normal"
    assert (low, high) == pytest.approx((losses.mean() - half, losses.mean() + half), rel=1e-9)
    assert interval(Facts(9, math.inf, math.nan)) == (math.inf, math.inf, "infinite")


def test_running_means_know_their_skewness():
    """Blocks of any size, against SciPy; losses that are nearly 0 do not divide by it."""
    values = np.random.default_rng(1).beta(0.3, 2.0, (2, 500))
    totals = Running(2)
    for part in np.split(values, [7, 100, 101], axis=1):
        totals.add(part)
    for i, losses in enumerate(values):
        facts = Facts(500, losses.mean(), losses.std(ddof=1) / math.sqrt(500), float(skew(losses)))
        found = totals.estimate(i)
        assert (found["low"], found["high"], found["interval"]) == pytest.approx(interval(facts))
    assert facts_of(losses).skewness == pytest.approx(skew(losses))
    assert facts_of(1e-200 * losses).skewness == pytest.approx(skew(losses))


def coverage(law, values, rows, intervals):
    """Return the exact probability with which the interval holds the mean of a law."""
    mean = float(np.dot(values, law))
    held = [low - 1e-12 <= mean <= high + 1e-12 for low, high in intervals]
    return float(multinomial.pmf(rows, rows[0].sum(), law) @ held)


@pytest.mark.parametrize("values", [(0.0, 0.1, 1.0), (0.0, 0.02, 0.4), (0.3, 0.35, 1.0)])
@pytest.mark.parametrize("repeats", [20, pytest.param(60, marks=pytest.mark.long)])
def test_laws_of_three_values_are_held(values, repeats):
    """All outcomes of R losses, each with its probability: at least 94.9 % for 48 laws, rare values
    among them. The plain normal interval, the control, holds 5 of them less than 60 % of the time.
    """
    rows = np.array(
        [(i, j, repeats - i - j) for i in range(repeats + 1) for j in range(repeats + 1 - i)]
    )
    facts = [facts_of(np.repeat(values, row)) for row in rows]
    ours = [interval(known)[:2] for known in facts]
    normal = [plain_normal(known) for known in facts]
    laws = [
        (1.0 - p - q, p, q)
        for p in (0.0, 1e-3, 0.01, 0.05, 0.1, 0.2, 0.4)
        for q in (0.0, 1e-3, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2)
        if p + q > 0
    ]
    assert min(coverage(law, values, rows, ours) for law in laws) >= 0.949
    assert sum(coverage(law, values, rows, normal) < 0.6 for law in laws) >= 5


PAGE = Path(__file__).parents[2] / "docs" / "intervals.md"


def rows_of_the_page(short):
    """The table of the page; `short`: its rows of two values, whose outcomes are few."""
    (table,) = re.findall(r"<!-- coverage -->\n(.*?)<!-- end -->", PAGE.read_text("utf-8"), re.S)
    for line in table.strip().splitlines()[2:]:
        values, law, *rest = (
            [float(number) for number in cell.split(",")] for cell in line.strip("|").split("|")
        )
        if not short or len(values) == 2:
            yield values, law, [number for (number,) in rest]


@pytest.mark.parametrize("short", [True, pytest.param(False, marks=pytest.mark.long)])
def test_the_page_says_what_is_so(short):
    """Coverage and mean width of the plain normal interval and of ours, from every outcome."""
    for values, law, (repeats, normal, ours, width, wider) in rows_of_the_page(short):
        size = int(repeats)
        rows = [(size - k, k) for k in range(size + 1)]
        if len(values) == 3:
            rows = [(i, j, size - i - j) for i in range(size + 1) for j in range(size + 1 - i)]
        facts = [facts_of(np.repeat(values, row)) for row in rows]
        shares = multinomial.pmf(rows, size, law)
        for known, held, mean_width in (
            ([plain_normal(fact) for fact in facts], normal, width),
            ([interval(fact)[:2] for fact in facts], ours, wider),
        ):
            assert coverage(law, values, np.array(rows), known) == pytest.approx(held, abs=6e-4)
            found = shares @ [high - low for low, high in known]
            assert found == pytest.approx(mean_width, abs=6e-5)


@pytest.mark.long
@pytest.mark.parametrize(("repeats", "held"), [(20, 0.77), (300, 0.89), (2000, 0.93)])
def test_the_page_says_how_normal_intervals_of_endless_losses_lie(repeats, held):
    """4,000 runs: within 0.03 of the page, 4.5 standard deviations and its rounding."""
    rng = np.random.default_rng(repeats)
    mean, hits = math.exp(1.5**2 / 2), 0
    for losses in np.exp(1.5 * rng.standard_normal((4000, repeats))):
        low, high, kind = interval(facts_of(losses), largest=math.inf)
        hits += low <= mean <= high
        assert kind == "normal"
    assert hits / 4000 == pytest.approx(held, abs=0.03)


RARE = {
    "two values": lambda rng, shape, p: 0.3 * (rng.random(shape) < p),
    "uniform": lambda rng, shape, p: rng.random(shape) * (rng.random(shape) < p),
    "squared": lambda rng, shape, p: rng.random(shape) ** 2 * (rng.random(shape) < p),
    "skewed": lambda rng, shape, p: rng.beta(p, 3.0, shape),
    "few repeats": lambda rng, shape, p: rng.beta(20.0, 80.0, shape),
}
MEANS = {
    "two values": lambda p: 0.3 * p,
    "uniform": lambda p: p / 2,
    "squared": lambda p: p / 3,
    "skewed": lambda p: p / (p + 3.0),
    "few repeats": lambda p: 0.2,
}


@pytest.mark.long
@pytest.mark.parametrize("name", RARE)
@pytest.mark.parametrize("repeats", [20, 100, 500, 2000])
def test_rare_and_skewed_losses_are_held(name, repeats):
    """2,000 runs each; fewer hits than the 1e-6 / 80 quantile of Binomial(2000, 0.95) refute 95 %,
    so that all tests together fail with probability 1e-6; 91 % is refuted with 99 %.
    """
    rng = np.random.default_rng([repeats, len(name)])
    for p in (1e-3, 1e-2, 0.1, 0.3):
        mean = MEANS[name](p)
        hits = 0
        for losses in RARE[name](rng, (2000, repeats), p):
            low, high, _ = interval(facts_of(losses))
            hits += low <= mean <= high
        assert hits >= binom.ppf(1e-6 / 80, 2000, 0.95), (p, hits)


def test_the_normal_interval_of_rare_losses_is_convicted():
    """The control: 400 runs of 300 losses that are seldom not 0."""
    rng = np.random.default_rng(0)
    needed = binom.ppf(1e-6, 400, 0.95)
    held = np.zeros(2)
    for losses in RARE["squared"](rng, (400, 300), 0.01):
        facts = facts_of(losses)
        for i, (low, high) in enumerate((interval(facts)[:2], plain_normal(facts))):
            held[i] += low <= 0.01 / 3 <= high
    assert held[1] < 0.85 * needed < needed <= held[0]


@pytest.mark.parametrize("name", RARE)
def test_a_tally_tells_the_same_as_the_losses(name):
    """The kind is the same, the ends agree to the width of the histogram's bins."""
    rng = np.random.default_rng(3)
    for p in (0.01, 0.3):
        losses = RARE[name](rng, (200, 1), p)
        tally = Tally.of(losses)
        found = interval(tallied(tally.sums[0], 200, *hits(tally.histogram[0])))
        right = interval(facts_of(losses[:, 0]))
        assert found.kind == right.kind
        assert found[:2] == pytest.approx(right[:2], rel=1e-3, abs=1e-12)


def test_estimates_and_sweeps_name_their_kind(tmp_path):
    """One column everywhere; a sweep's table of an earlier release, without it, is made anew."""
    import pyarrow.parquet as pq

    frame = kt.simulate(kt.Teacher([[0.5, 0.3, 0.2]]), n=[2, 30], repeats=100, progress=False).frame
    assert set(frame["interval"]) <= set(KINDS)
    assert frame["interval"].nunique() > 1
    family = {"family": "zipf", "inputs": 2, "labels": 3}
    spec = kt.sweep.Spec(name="k", n=[2, 30], repeats=100, students=["ce_ful"], teachers=[family])
    kt.sweep.run(spec, tmp_path / "k", progress=False)
    new = kt.sweep.load(tmp_path / "k")
    file = tmp_path / "k" / "results.parquet"
    pq.write_table(pq.read_table(file).drop_columns("interval"), file)
    assert kt.sweep.load(tmp_path / "k").equals(new)
    assert set(new["interval"]) <= set(KINDS)


@pytest.mark.parametrize(
    ("seeds", "few", "many"), [(500, 5, 55), pytest.param(2000, 60, 145, marks=pytest.mark.long)]
)
def test_simulated_intervals_hold_the_exact_risk(seeds, few, many):
    """2,000 seeds: misses of 5 % are 60 or fewer with probability 1e-5, of 5.3 %, what the normal law
    of 200 losses may be off, 145 or more with probability 1.2e-4; of 500 seeds, 5 or fewer, or 55
    or more, with probability below 1e-6.
    """
    teacher = kt.Teacher([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    exact = float(kt.exact_risk(teacher, "ce_sgl", 20))
    missed = 0
    for seed in range(seeds):
        found = kt.simulate(teacher, "ce_sgl", 20, 200, seed, progress=False, threads=1).estimates[
            0
        ]
        missed += not found.low <= exact <= found.high
    assert few < missed < many


def test_rare_losses_are_bounded():
    """The risk of ce_ful is 2e-6 here: no loss is seen, and the interval holds the risk."""
    teacher = kt.Teacher([[0.7, 0.3], [0.1, 0.9]])
    found = kt.simulate(teacher, "ce_ful", 16, 100, progress=False).estimates[0]
    assert found.mean == found.low == found.std_error == 0.0
    assert float(kt.exact_risk(teacher, "ce_ful", 16)) < found.high < 0.03


def test_a_controlled_mean_has_an_interval_of_its_own():
    teacher = kt.teachers.zipf(2, 50)
    plain, controlled = (
        kt.simulate(teacher, "sel_ptl", 30, 500, control=control, progress=False).estimates[0]
        for control in (False, True)
    )
    assert controlled.high - controlled.low < 0.2 * (plain.high - plain.low)
    assert controlled.low < controlled.mean < controlled.high


def test_curves_of_two_teachers_are_apart():
    frames = []
    for exponent in (0.5, 2.0):
        teacher = kt.teachers.zipf(3, 20, exponent)
        frames.append(kt.simulate(teacher, "ce_sgl", [100, 200, 400], 500, progress=False).frame)
    import pandas as pd

    rates = kt.fit_rate(pd.concat(frames))
    assert rates["teacher"].tolist() == ["zipf(exponent=0.5)", "zipf(exponent=2.0)"]
    nameless = kt.Teacher([[0.5, 0.5]]), kt.Teacher([[0.4, 0.6]])
    assert nameless[0].name != nameless[1].name == kt.Teacher([[0.4, 0.6]]).name
