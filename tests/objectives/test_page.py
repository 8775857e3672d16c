"""docs/objectives.md says what the package computes: its table, its Zipf rows, its code."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import binom

import kt_theory as kt
from kt_theory import objectives
from kt_theory.catalogue import OBJECTIVES
from kt_theory.cli import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "objectives.md").read_text(encoding="utf-8")
LABELS, DRAWS, SIGMAS = 10_000, 14, 5.0
HALF = 0.0005
"""Half a unit of the last digit on the page."""
TEACHER = kt.teachers.zipf(1, LABELS)


def zipf_row():
    row = 1.0 / np.arange(1, LABELS + 1)
    return row / row.sum()


def quoted(name):
    """The rows of a table of the page: {first cell: numbers}."""
    (text,) = re.findall(rf"<!-- {name} -->\n(.*?)<!-- end -->", PAGE, re.S)
    lines = [line.strip("| ").split("|") for line in text.strip().splitlines()[2:]]
    return {first.strip(): np.array([float(cell) for cell in rest]) for first, *rest in lines}


API, STORED = quoted("api"), quoted("stored")
SIZES = {
    "api": [1, 10, 100, 1000, 10_000],
    "stored": [DRAWS * times for times in (1, 10, 100, 1000)],
}


@pytest.mark.parametrize(("rows", "k"), [(API, 20), (STORED, 12)])
def test_what_top_k_objectives_leave(rows, k):
    """1 - P, and half of what the tail is away from its mean, both from the row."""
    tail = zipf_row()[k:]
    even = 0.5 * np.abs(tail - tail.mean()).sum()
    for name, value in ((f"top {k} renormalised", tail.sum()), (f"top {k} and a bucket", even)):
        assert np.abs(rows[name] - value).max() <= HALF
    assert TEACHER.pi[0] == pytest.approx(zipf_row(), rel=1e-12)
    for make, value in (
        (objectives.forward_kl_top, tail.sum()),
        (objectives.forward_kl_tail, even),
    ):
        bias = kt.consistency(make(k), "soft", teacher=TEACHER).bias
        assert bias == pytest.approx(value, abs=1e-12)


def deviation(n):
    """1/2 sum_a E|X/n - p_a|, X ~ Bin(n, p_a), term by term over X: of probabilities that are met
    at most once in a while the first hundred terms are all there are.
    """
    row = zipf_row()
    total = 0.0
    for start in range(0, LABELS, 500):
        part = row[start : start + 500]
        spread = 40.0 * np.sqrt(n * part.max()) + 100.0
        low, high = max(0.0, n * part.min() - spread), min(n, n * part.max() + spread)
        x = np.arange(np.floor(low), np.ceil(high) + 1.0)
        chance = binom.pmf(x[:, None], n, part[None, :])
        total += 0.5 * (chance * np.abs(x[:, None] / n - part[None, :])).sum()
    return total


@pytest.mark.parametrize(
    ("rows", "name", "n"),
    [
        (API, "the draws with weights", SIZES["api"][:3]),
        (STORED, "14 draws with weights", SIZES["stored"][:2]),
    ],
)
def test_what_weights_leave(rows, name, n):
    """The mean deviation of binomial frequencies, term by term."""
    for size, said in zip(n, rows[name], strict=False):
        assert abs(deviation(size) - said) <= HALF + 1e-6


def losses_of_draws(n, repeats, k=0):
    """Losses of what keeps the top k and the labels drawn, and spreads the rest, in plain NumPy."""
    rng = np.random.default_rng(30)
    row = zipf_row()
    found = []
    for _ in range(repeats):
        hidden = np.ones(LABELS, dtype=bool)
        hidden[rng.choice(LABELS, n, p=row)] = False
        hidden[:k] = False
        found.append(0.5 * np.abs(row[hidden] - row[hidden].mean()).sum())
    return np.array(found)


def check_draws(said, n, k, repeats):
    """At 5 standard errors: false alarms of 6e-7."""
    losses = losses_of_draws(n, repeats, k)
    error = losses.std() / np.sqrt(repeats)
    assert SIGMAS * error < 0.02
    assert abs(losses.mean() - said) <= SIGMAS * error + HALF
    assert abs(losses.mean() - said - 0.04) > SIGMAS * error + HALF


def test_what_the_same_draws_with_probabilities_leave():
    name = "the same draws with their probabilities"
    check_draws(STORED[name][0], DRAWS, 0, 200)
    check_draws(STORED[name][1], 10 * DRAWS, 0, 100)
    check_draws(API["top 20, a bucket, and the draws with their probabilities"][2], 100, 20, 100)


@pytest.mark.long
def test_all_rows_of_draws():
    """The package against the page, and plain NumPy against both."""
    drawn = kt.students.minimiser("sampled_probabilities")
    both = kt.students.minimiser(objectives.sampled_tail(20))
    weights = kt.students.minimiser("sampled_weights")
    run = kt.simulate(TEACHER, [drawn, both], SIZES["api"], 4000, seed=31, progress=False)
    found = run.frame.set_index(["student", "n"])
    names = {
        drawn: "the draws with their probabilities",
        both: "top 20, a bucket, and the draws with their probabilities",
    }
    for student, name in names.items():
        for n, said in zip(SIZES["api"], API[name], strict=True):
            mean, error = found.loc[(student.name, n), ["mean", "std_error"]]
            assert error < 0.001
            assert abs(mean - said) <= SIGMAS * error + HALF
    run = kt.simulate(
        TEACHER, "sel_ptl", SIZES["stored"], 1000, seed=32, progress=False, control=True
    )
    said = STORED["the same draws with their probabilities"]
    assert np.abs(run.frame["mean"].to_numpy() - said).max() <= HALF + 1e-4
    for rows, name, n in (
        (API, "the draws with weights", SIZES["api"]),
        (STORED, "14 draws with weights", SIZES["stored"]),
    ):
        exact = kt.exact_risk(TEACHER, weights, n)
        assert np.abs(exact - rows[name]).max() <= HALF
        np.testing.assert_allclose(exact, [deviation(size) for size in n], rtol=1e-9)
    check_draws(said[2], 100 * DRAWS, 0, 40)
    check_draws(said[3], 1000 * DRAWS, 0, 20)


def test_the_table_is_what_the_command_prints():
    (shown,) = re.findall(r"```console\n\$ kt-theory objectives\n(.*?)```", PAGE, re.S)
    result = CliRunner().invoke(main, ["objectives"], catch_exceptions=False)
    assert result.output.rstrip() == shown.rstrip()


def test_every_objective_is_on_the_page():
    named = set(re.findall(r"`(\w+)`", PAGE.split("| objective |")[1]))
    assert set(OBJECTIVES) <= named


def test_numbers_in_words():
    assert f"leave {API['top 20 and a bucket'][0]:.3f} on the Zipf row" in PAGE
    bucket = kt.consistency("forward_kl_tail(20)", "soft", 100).largest
    assert f"at most {bucket:.3f} for 100 labels" in PAGE
    assert f"that is {API['top 20 renormalised'][0]:.3f}." in PAGE
    ends = (
        STORED["14 draws with weights"][-1] / STORED["the same draws with their probabilities"][-1]
    )
    assert 5.0 < ends < 5.5, "five times as close"
    assert round(np.exp(-1.0), 2) == 0.37
    assert round(1.0 - np.exp(-1.0), 2) == 0.63


@pytest.mark.long
@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", PAGE, re.S))
def test_code(code, capsys):
    exec(compile(code, "docs", "exec"), {"__name__": "page"})
    assert capsys.readouterr().out


def test_links():
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
