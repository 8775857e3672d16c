from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kt_theory.rates import fit_exponents, fit_rate


def grid(exponents, factor=0.3, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    rows = [
        (n, s, a) for n in (100, 1000, 10_000, 50_000) for s in (5, 20, 100) for a in (10, 30, 90)
    ]
    table = pd.DataFrame(rows, columns=["n", "inputs", "labels"])
    exact = factor * np.prod(table.to_numpy(float) ** np.array(exponents), axis=1)
    table["mean"] = exact * (1 + noise * rng.standard_normal(len(table)))
    if noise:
        table["std_error"] = noise * exact
    return table.assign(student="x")


exponent = st.floats(-2, 2).map(lambda x: round(x, 3))


@given(exponent, exponent, exponent)
def test_a_product_law_is_found_exactly(a, b, c):
    (fit,) = fit_exponents(grid((a, b, c))).to_dict("records")
    np.testing.assert_allclose([fit["n"], fit["inputs"], fit["labels"]], (a, b, c), atol=1e-9)
    assert fit["intercept"] == pytest.approx(np.log(0.3), abs=1e-8)
    assert fit["points"] == 36
    assert fit["dropped"] == 0
    assert fit["scatter"] < 1e-9


@pytest.mark.parametrize(
    ("tables", "least"), [(100, 81), pytest.param(400, 350, marks=pytest.mark.long)]
)
def test_intervals_cover_as_often_as_they_say(tables, least):
    # Of 95% intervals, fewer hits than that have probability below 1e-6 (binomial tail).
    truth = {"n": -0.5, "inputs": 0.5, "labels": 0.5}
    hits = dict.fromkeys(truth, 0)
    for seed in range(tables):
        (fit,) = fit_exponents(grid(tuple(truth.values()), noise=0.03, seed=seed)).to_dict(
            "records"
        )
        for name, value in truth.items():
            hits[name] += fit[f"{name}_low"] <= value <= fit[f"{name}_high"]
    assert all(hit >= least for hit in hits.values()), hits
    (fit,) = fit_exponents(grid(tuple(truth.values()), noise=0.03)).to_dict("records")
    assert (
        not fit["n_low"] <= -0.6 <= fit["n_high"]
    )  # and they are narrow enough to exclude a wrong law


def test_one_variable_is_the_slope_of_fit_rate():
    table = grid((-0.7, 0.0, 0.0), noise=0.02).query("inputs == 5 and labels == 10")
    (law,) = fit_exponents(table, x=["n"]).to_dict("records")
    (line,) = fit_rate(table).to_dict("records")
    np.testing.assert_allclose(
        [law["n"], law["n_low"], law["n_high"], law["intercept"]],
        [line["slope"], line["slope_low"], line["slope_high"], line["intercept"]],
        rtol=1e-10,
    )


def test_lack_of_fit_widens_the_intervals():
    table = grid((-0.5, 0.5, 0.5), noise=0.01)
    bent = table.assign(mean=table["mean"] * (1 + 5e-6 * table["n"]))
    widths = [
        float((fit["n_high"] - fit["n_low"]).iloc[0]) for fit in map(fit_exponents, (table, bent))
    ]
    assert widths[1] > 3 * widths[0]


def test_groups_and_points_without_a_logarithm():
    table = pd.concat([grid((-1, 1, 0)), grid((-0.5, 0, 1)).assign(student="y")], ignore_index=True)
    table.loc[0, "mean"] = 0.0
    table.loc[1, "mean"] = np.nan
    fit = fit_exponents(table).set_index("student")
    assert fit.loc["x", ["points", "dropped"]].tolist() == [34, 2]
    np.testing.assert_allclose(fit["n"], [-1, -0.5], atol=1e-9)
    np.testing.assert_allclose(fit["labels"], [0, 1], atol=1e-9)
    assert len(fit_exponents(table, by=[], x=["n"])) == 1


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"x": ["n", "width"]}, "no column 'width'"),
        ({}, {"x": []}, "give at least one variable"),
        ({"inputs": 7}, {}, "do not determine exponents"),
        ({"mean": 0.0}, {}, "do not determine exponents"),
        ({"mean": "a"}, {}, "must hold numbers"),
        ({}, {"confidence": 1.0}, "confidence"),
        ({"std_error": -1.0}, {}, "standard errors must be >= 0"),
    ],
)
def test_bad_input(change, options, message):
    with pytest.raises(ValueError, match=message):
        fit_exponents(grid((-0.5, 0.5, 0.5)).assign(**change), **options)


def test_variables_that_only_move_together_are_refused():
    table = grid((-0.5, 0.5, 0.5))
    with pytest.raises(ValueError, match="each variable moves on its own"):
        fit_exponents(table.assign(labels=2 * table["inputs"]))
