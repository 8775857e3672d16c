from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from click.testing import CliRunner
from grids import few_quick

import kt_theory as kt
from kt_theory import catalogue, cli, graphs
from kt_theory.exact.missing_mass import ce_ful_weights
from kt_theory.limits.bracket import Curve, Markov
from kt_theory.limits.crossing import first_below, index, number, proved_below
from kt_theory.planner.sizes import plan, samples_needed

SOFT = [
    (1, 2, 0.1),
    (2, 2, 0.02),
    (10, 3, 0.3),
    (10, 3, 0.01),
    (1000, 50, 0.05),
    (10**6, 10**6, 1e-4),
]
PARTIAL = [(1, 3, 0.05), (1, 20, 0.1), (2, 3, 0.05), (10, 5, 0.1), (50, 10, 0.02), (100, 2, 0.05)]
TOP = [(1, 6, 0.05, 4), (1, 20, 0.1, 3), (10, 5, 0.1, 1), (5, 4, 0.05, 3)]
HARD = [(1, 2, 0.12), (1, 2, 0.02), (1, 30, 0.1), (5, 3, 0.2)]
CASES = (
    [("soft", *case, {}) for case in SOFT]
    + [("partial", *case, {}) for case in PARTIAL]
    + [("top_k", *case[:3], {"k": case[3]}) for case in TOP]
    + [("hard", *case, {}) for case in HARD]
)


SLOW = [
    ("hard", 5, 3, 0.2, {}),
    ("hard", 1, 2, 0.02, {}),
    ("partial", 2, 3, 0.05, {}),
    ("partial", 10, 5, 0.1, {}),
    ("partial", 50, 10, 0.02, {}),
    ("top_k", 10, 5, 0.1, {"k": 1}),
]
"""Others of their levels are quick, here and among the twenty plans of `test_levels_planned.py`."""


@pytest.mark.parametrize(
    ("access", "inputs", "labels", "tv", "more"),
    few_quick(CASES, [case for case in CASES if case not in SLOW]),
)
def test_n_suffices_on_the_worst_teacher_and_a_tenth_less_fails(access, inputs, labels, tv, more):
    """Second derivation: the exact risk of the optimal student on the limit's worst teacher."""
    found = samples_needed(access, inputs, labels, tv, **more)
    assert found.lower <= found.n
    student = {
        "soft": "ce_ful",
        "partial": "sel_ptl",
        "top_k": kt.students.top_k(more.get("k", 0)),
    }.get(access)
    limit = kt.minimax_risk(access, inputs, labels, found.n, **more)
    assert limit.upper <= tv * (1 + 1e-9)
    if student is not None:
        assert kt.exact_risk(limit.teacher, student, found.n) <= tv * (1 + 1e-9)
    if found.lower:
        below = kt.minimax_risk(access, inputs, labels, found.lower - 1, **more)
        assert below.lower > tv * (1 - 1e-9)
        if student is not None:
            assert kt.exact_risk(below.teacher, student, found.lower - 1) > tv * (1 - 1e-9)
    fewer = math.floor(0.9 * found.n)
    if student is not None and fewer < found.lower:
        worst = kt.minimax_risk(access, inputs, labels, fewer, **more).teacher
        assert kt.exact_risk(worst, student, fewer) > tv
    if access == "soft":
        assert found.lower == found.n


@pytest.mark.parametrize(
    "case",
    [
        ("partial", 1, 20, 0.1),
        ("partial", 50, 10, 0.02),
        ("hard", 1, 30, 0.1),
        pytest.param(("hard", 40, 30, 0.3), marks=pytest.mark.long),
    ],
)
def test_the_search_loses_little_of_the_limits_own_bracket(case):
    """One per cent fewer than n, and one per cent more than lower, are no longer proved by `minimax_risk`."""
    found = samples_needed(*case)
    assert kt.minimax_risk(*case[:3], math.floor(0.985 * found.n) - 1).upper > found.tv
    assert kt.minimax_risk(*case[:3], math.ceil(1.01 * found.lower) + 1).lower <= found.tv
    assert found.lower <= found.n


def test_three_labels_on_one_input_are_exact():
    """max_p p^n (1-p) + (1-p)^n p over two labels, halved, decides (a grid of rationals)."""
    found = samples_needed("partial", 1, 3, 0.05)

    def worst(n):
        return (
            max(
                x**n * (1 - x) + (1 - x) ** n * x
                for x in (Fraction(i, 1000) for i in range(1, 1000))
            )
            / 2
        )

    assert found.n == found.lower
    assert worst(found.n) <= Fraction(5, 100) < worst(found.n - 1)


def test_soft_labels_of_two_inputs_by_rational_arithmetic():
    """max_x x (1-x)^n + (1-x) x^n over a fine rational grid is a lower bound that n - 1 must exceed, and n must not."""
    found = samples_needed("soft", 2, 2, 0.02)
    grid = [Fraction(i, 4000) for i in range(1, 2001)]

    def half_worst(n):
        return max(x * (1 - x) ** n + (1 - x) * x**n for x in grid) / 2

    assert half_worst(found.n) <= Fraction(2, 100) < half_worst(found.n - 1)


@pytest.mark.parametrize("access", ["soft", "partial", "hard", "gradient"])
@pytest.mark.parametrize("confidence", [None, 0.9])
def test_n_falls_as_tv_rises(access, confidence):
    more = {"graph": graphs.path(6)} if access == "gradient" else {"inputs": 1}
    found = [
        samples_needed(access, labels=12, tv=tv, confidence=confidence, **more)
        for tv in (0.05, 0.1, 0.2, 0.6, 0.92)
    ]
    sizes = [one.n for one in found]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 0
    assert all(one.lower <= one.n for one in found)


def test_gradients_count_the_independent_inputs():
    assert (
        samples_needed("gradient", labels=3, tv=0.05, graph=graphs.cycle(8)).n
        == samples_needed("soft", 4, 3, 0.05).n
    )
    assert samples_needed("gradient", labels=3, tv=0.05, graph=graphs.complete(8)).n == 1


TEACHER = kt.Teacher(
    [[0.6, 0.3, 0.1, 0.0], [0.25, 0.25, 0.25, 0.25], [0.0, 0.9, 0.1, 0.0]], [0.7, 0.25, 0.05]
)


@pytest.mark.parametrize(
    ("access", "more"),
    [
        ("hard", {}),
        ("partial", {}),
        ("soft", {}),
        ("top_k", {"k": 1}),
        ("gradient", {"graph": graphs.path(3)}),
    ],
)
@pytest.mark.parametrize("tv", [0.1, 0.01])
def test_a_teacher_in_hand(access, more, tv):
    found = samples_needed(access, teacher=TEACHER, tv=tv, **more)
    level = {"top_k": kt.access.top_k, "gradient": kt.access.gradient}.get(access, lambda: access)
    student = catalogue.own_student(kt.access.as_access(level(*more.values())), TEACHER)
    assert (
        kt.exact_risk(TEACHER, student, found.n)
        <= tv
        < kt.exact_risk(TEACHER, student, found.n - 1)
    )
    assert found.lower == found.n


def test_a_rising_risk_is_not_mistaken_for_success():
    """Uniform rows: no sample is best, one sample is worst; n is where the risk stays small."""
    uniform = kt.Teacher([[0.25] * 4])
    found = samples_needed("hard", teacher=uniform, tv=0.05)
    assert kt.exact_risk(uniform, "ce_sgl", 0) == 0
    assert (
        kt.exact_risk(uniform, "ce_sgl", found.n)
        <= 0.05
        < kt.exact_risk(uniform, "ce_sgl", found.n - 1)
    )


def test_a_teacher_without_exact_risk_is_simulated():
    """Zipf rows of 30 different probabilities, whose partial-label risk is bounded by the same risk with fewer rows."""
    row = np.random.default_rng(5).dirichlet(np.ones(60))
    teacher = kt.Teacher([row])
    with pytest.raises(kt.NoExactRisk):
        kt.exact_risk(teacher, "sel_ptl", 100)
    found = samples_needed("partial", teacher=teacher, tv=0.1)
    assert "5 standard errors" in found.certificate
    check = kt.simulate(
        teacher, "sel_ptl", [found.n, int(0.9 * found.lower)], 4000, seed=77, progress=False
    ).estimates
    assert check[0].mean - 5 * check[0].std_error <= 0.1
    assert check[1].mean + 5 * check[1].std_error > 0.1
    assert found.lower <= found.n <= 1.15 * found.lower


@pytest.mark.parametrize("access", ["hard", "partial", "soft"])
def test_confidence_holds_in_simulation(access):
    """800 transfer sets; failures above 0.1 + 5.1 standard deviations have chance below 1e-6 if P(fail) <= 0.1."""
    found = samples_needed(access, 3, 4, 0.3, confidence=0.9)
    name = {"hard": "ce_sgl", "partial": "sel_ptl", "soft": "ce_ful"}[access]
    for n, holds in ((found.n, True), (1, False)):
        classes = kt.minimax_risk(access, 3, 4, n).teacher.classes
        rho, rows = (
            np.repeat(part, classes.multiplicity, axis=0) for part in (classes.rho, classes.rows)
        )
        losses = kt.simulate(
            kt.Teacher(rows, rho), name, n, 800, keep_losses=True, progress=False
        ).losses
        assert bool((losses > 0.3).mean() <= 0.1 + 5.1 * math.sqrt(0.09 / 800)) is holds


def test_what_one_query_settles_may_be_guessed_before_it():
    """Every row is known after one query. Before it, a loss of 0.45 with a chance of 0.3 leaves a mean of 0.835, which
    the uniform copy has already: of means nothing more can be proved.
    """
    every_row = kt.access.jacobian(np.eye(3))
    lower = [samples_needed(every_row, 3, 4, 0.45, confidence=c).lower for c in (None, 0.9, 0.3)]
    assert lower == [1, 1, 0]


@pytest.mark.parametrize("access", ["soft", "partial"])
def test_what_holds_with_half_a_chance_may_have_a_larger_mean(access):
    """TV of 0.1 with probability 1/2 leaves a mean of 0.55, which fewer queries reach."""
    sure, mean = (samples_needed(access, 10, 4, 0.1, confidence=c) for c in (0.5, None))
    assert 0 < sure.lower < mean.lower
    assert sure.lower <= samples_needed(access, 10, 4, 0.55).n


def test_one_query_shows_the_only_input_with_certainty():
    for access, more in (("soft", {}), ("argmax", {}), ("top_k_only", {"k": 1})):
        assert samples_needed(access, 1, 4, 0.45, confidence=0.99, **more).n == 1


def test_confidence_for_a_teacher_with_soft_labels_is_the_quantile():
    found = samples_needed("soft", teacher=TEACHER, tv=0.05, confidence=0.95)
    weights = ce_ful_weights(TEACHER)
    quantiles = [
        kt.missing_mass_law(TEACHER, n, weights=weights).quantile(0.95)
        for n in (found.n - 1, found.n)
    ]
    assert quantiles[1] <= 0.05 < quantiles[0]


def test_the_impossible_is_said():
    found = samples_needed("hard", 10**9, 10**6, 0.01)
    assert found.n is None
    assert found.lower > 2**53
    assert "2^53" in found.reason
    for access in ("hard", "partial", "soft"):
        assert samples_needed(access, 5, 4, 1e-300).n is None
        assert samples_needed(access, 2, 2, 1e-300, confidence=0.9).n is None
    assert samples_needed("hard", teacher=TEACHER, tv=1e-300).n is None


def test_plan_orders_the_levels_and_finds_the_cheapest():
    prices = {"hard": 0.001, "partial": (0.01, 0.001), "top_k(1)": 0.5, "soft": (0.01, 0.01)}
    frame = plan(2, 5, 0.3, prices=prices)
    assert list(frame["access"]) == ["hard", "partial", "top_k(1)", "soft"]
    assert frame["n"].is_monotonic_decreasing
    n = frame["n"].tolist()
    expected = [0.001 * n[0], 0.011 * n[1], 0.5 * n[2], 0.06 * n[3]]
    np.testing.assert_allclose(frame["cost"], expected, rtol=1e-12)
    assert frame["cheapest"].tolist() == [cost == min(expected) for cost in expected]
    assert "cost" not in plan(2, 2, 0.2)
    assert "top_k(4)" not in set(plan(2, 5, 0.3, top=(1, 4))["access"])  # soft labels
    of_teacher = plan(teacher=TEACHER, tv=0.05, top=(1,))
    assert (of_teacher["n"] == of_teacher["lower"]).all()


@pytest.mark.parametrize("tv", [0, 1, 2, -0.1, math.nan, "much"])
def test_tv_is_checked(tv):
    with pytest.raises(ValueError, match="tv"):
        samples_needed("soft", 2, 2, tv)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"access": "sot"}, "access level"),
        ({"inputs": None}, "inputs is missing"),
        ({"labels": None}, "labels is missing"),
        ({"inputs": 2.5}, "inputs"),
        ({"confidence": 1.0}, "confidence"),
        ({"access": "top_k"}, "k is missing"),
        ({"access": "gradient"}, "graph is missing"),
        ({"k": 2}, "k is given"),
        ({"teacher": TEACHER}, "teacher has 3"),
    ],
)
def test_arguments_are_checked(options, match):
    with pytest.raises(ValueError, match=match):
        samples_needed(**({"access": "soft", "inputs": 2, "labels": 2} | options))


@pytest.mark.parametrize(
    ("prices", "match"),
    [({"hard": -1}, "at least 0"), ({"soft": math.nan}, "at least 0"), ({"gold": 1}, "gold"), ({"hard": "x"}, "pair"),
     ({"hard": (1, 2, 3)}, "pair")],
)  # fmt: skip
def test_prices_are_checked(prices, match):
    with pytest.raises(ValueError, match=match):
        plan(2, 2, 0.2, prices=prices)


@pytest.mark.parametrize("digits", [3, 11, 60])
def test_the_lattice_counts_up(digits):
    numbers = [number(i, digits) for i in range(300)]
    assert numbers == sorted(set(numbers))
    assert [index(n, digits) for n in numbers] == list(range(300))
    for before, after in pairwise(numbers):
        between = before + 1, (before + after + 1) // 2, after
        assert [number(index(n, digits), digits) for n in between] == [after] * 3
    assert all(b - a == 1 or (b - a) * 2 ** (digits - 1) <= b for a, b in pairwise(numbers))


@pytest.mark.parametrize("power", [None, 1.0, 2.0])
@pytest.mark.parametrize("start", [0, 1, 50, 10**15])
@pytest.mark.parametrize("rate", [0.3, 0.5, 1.0, 3.0])
def test_the_search_finds_the_crossing(power, start, rate):
    found = first_below(lambda n: (n + 1.0) ** -rate, 0.01, start=start, digits=60, power=power)
    assert (found.n + 1.0) ** -rate <= 0.01 < (found.last_above + 1.0) ** -rate
    assert found.n == found.last_above + 1


@pytest.mark.parametrize("tv", [0.3, 0.05, 1e-3, 1e-7])
def test_what_is_proved_to_be_too_few_is_one_more_than_a_number_that_fails(tv):
    tried = []

    def lower(n):
        tried.append(n)
        return 0.4 / n

    found = proved_below(lower, tv, start=2.0, power=1.0, looks=12)
    assert found - 1 in tried
    assert 0.4 / (found - 1) > tv
    assert found >= 0.99 * 0.4 / tv or found == 1
    assert proved_below(lower, 0.5, start=2.0, power=1.0, looks=12) == 0


def test_markov_takes_the_mean_to_tv_times_delta():
    mean = Curve(lambda n, tv: 1.0 / (n + 1), lambda tv: 1.0 / tv, "1/(n+1)")
    for delta, n in ((0.5, 3), (0.01, 199), (1e-4, 19_999)):
        assert Markov((mean,)).crossing(0.5, delta).n == n


def run(*words):
    command = cli.main.commands["plan"]
    return CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)


def test_command(tmp_path):
    words = [
        "--inputs",
        3,
        "--labels",
        2,
        "--tv",
        0.2,
        "--price",
        "soft=0.1",
        "--price",
        "partial=0.01,0.02",
    ]
    result = run(*words, "--csv", tmp_path / "plan.csv", "--plot", tmp_path / "plan.png")
    assert result.exit_code == 0, result.output
    assert "cheapest" in result.output
    assert f"{samples_needed('soft', 3, 2, 0.2).n}" in result.output
    assert (tmp_path / "plan.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "plan.csv").read_text().startswith("access,lower,n,cost,cheapest")
    (tmp_path / "t.csv").write_text("input,yes,no,rho\nq1,0.9,0.1,0.25\nq2,0.3,0.7,0.75\n")
    assert "exact risk of ce_sgl" in run("--teacher", tmp_path / "t.csv", "--tv", 0.1).output
    assert (
        run("--teacher", tmp_path / "t.csv", "--tv", 0.1, "--plot", tmp_path / "n.svg").exit_code
        == 0
    )
    (tmp_path / "book.txt").write_text("the cat sat on the mat and the dog sat on the log " * 5)
    words = [
        "--teacher",
        tmp_path / "book.txt",
        "--ngram",
        2,
        "--tokens",
        "word",
        "--tv",
        0.1,
        "--confidence",
        0.9,
    ]
    assert "exact quantile" in run(*words).output


def test_levels_that_were_asked_for_and_have_no_row_are_said():
    size = ["--inputs", 2, "--labels", 6, "--tv", 0.5]
    said = run(*size, "--top", 30, "--top", 2, "--top-only", 5).output.splitlines()
    note = ": left out, as an answer has all labels or all but one of its row; see soft"
    assert said[-2:] == [f"top_k(30){note}", f"top_k_only(5){note}"]
    assert sum("left out" in line for line in said) == 2
    assert any(line.split()[0] == "top_k(2)" for line in said)
    assert "left out" not in run(*size).output, "nobody asked for the default top_k(5)"


TWO = ("--inputs", 2, "--labels", 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [((), "inputs is missing"), (("--inputs", 2, "--labels", 2, "--tv", 1), "--tv"), ((*TWO, "--logits"), "--logits"),
     ((*TWO, "--price", "soft"), "must be LEVEL=PRICE"), ((*TWO, "--price", "gold=1"), "gold"),
     ((*TWO, "--price", "hard=1", "--price", "hard=2"), "--price hard=2: hard has a price already"),
     (("--inputs", 2, "--labels", "yes"), "--labels yes: must be a whole number, or names"),
     ((*TWO, "--plot", "plan.gif"), "must end in")],
)  # fmt: skip
def test_command_refuses_in_one_line(words, said):
    result = run("--tv", 0.1, *words)
    assert result.exit_code == 2
    assert result.output.startswith("Error: ")
    assert said in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_what_is_impossible_has_no_cost():
    prices = {"partial": 1.0, "top_k_only(1)": 1e-9}
    frame = kt.plan(4, 3, 0.2, prices=prices, top=(), top_only=(1,)).set_index("access")
    impossible = frame.loc["top_k_only(1)"]
    assert str(impossible["n"]) == "<NA>"
    assert np.isnan(impossible["cost"])
    assert frame["cheapest"].to_dict() == {name: name == "partial" for name in frame.index}
