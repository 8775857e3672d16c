from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from kt_theory.rates import PowerLawWarning, fit_rate

FALSE_ALARM = 1e-6
N = np.geomspace(10, 1e5, 9)


def curve(n, mean, **columns):
    return pd.DataFrame({"n": n, "mean": mean, **columns})


# The fit itself.


@pytest.mark.parametrize("slope", [-0.5, -1.0, 0.0, -2.3])
@pytest.mark.parametrize("noise", [None, 0.0, np.nan, "varying"])
def test_exact_power_laws_are_recovered(slope, noise):
    mean = 3.7 * N**slope
    columns = (
        {}
        if noise is None
        else {"std_error": mean * (np.geomspace(1e-4, 0.1, 9) if noise == "varying" else noise)}
    )
    fit = fit_rate(curve(N, mean, **columns)).iloc[0]
    assert fit["slope"] == pytest.approx(slope, abs=1e-12)
    assert fit["intercept"] == pytest.approx(np.log(3.7), abs=1e-12)
    assert fit["slope_change"] == pytest.approx(0.0, abs=1e-12)
    assert fit["slope_low"] <= fit["slope"] <= fit["slope_high"]
    assert bool(fit["power_law"])
    assert (fit["n_min"], fit["n_max"], fit["points"], fit["dropped"]) == (10, 1e5, 9, 0)


def noisy(rng, sigma, slope=-0.5):
    return np.exp(np.log(2.0) + slope * np.log(N) + sigma * rng.standard_normal(len(N)))


def test_against_scipy_without_standard_errors():
    mean = noisy(np.random.default_rng(1), 0.03)
    reference = stats.linregress(np.log(N), np.log(mean))
    fit = fit_rate(curve(N, mean)).iloc[0]
    half = stats.t.ppf(0.975, 7) * reference.stderr
    got = fit[["slope", "intercept", "slope_low", "slope_high"]].to_numpy(dtype=float)
    slope = reference.slope
    np.testing.assert_allclose(
        got, [slope, reference.intercept, slope - half, slope + half], rtol=1e-10
    )


@pytest.mark.parametrize("claimed", [0.1, 1.0, 10.0])
def test_against_numpy_with_standard_errors(claimed):
    sigma = np.geomspace(0.01, 0.05, 9)
    mean = noisy(np.random.default_rng(2), sigma)
    fit = fit_rate(curve(N, mean, std_error=mean * sigma * claimed), confidence=0.9).iloc[0]
    u, v, weights = np.log(N), np.log(mean), 1 / (sigma * claimed)
    (slope, _), unscaled = np.polyfit(u, v, 1, w=weights, cov="unscaled")
    scatter = np.sum((weights * (v - np.polyval(np.polyfit(u, v, 1, w=weights), u))) ** 2) / 7
    half = stats.t.ppf(0.95, 7) * np.sqrt(unscaled[0, 0] * max(1.0, scatter))
    got = fit[["slope", "slope_low", "slope_high"]].to_numpy(dtype=float)
    np.testing.assert_allclose(got, [slope, slope - half, slope + half], rtol=1e-10)
    bend, unscaled = np.polyfit(u, v, 2, w=weights, cov="unscaled")
    width = 2 * (u[-1] - u[0])
    half = stats.norm.ppf(0.95) * np.sqrt(unscaled[0, 0]) * width
    got = fit[["slope_change", "slope_change_low", "slope_change_high"]].to_numpy(dtype=float)
    np.testing.assert_allclose(
        got, [bend[0] * width, bend[0] * width - half, bend[0] * width + half], rtol=1e-8
    )


def covered(fits, shrink=1.0):
    half = shrink * (fits["slope_high"] - fits["slope_low"]) / 2
    return int(((fits["slope"] + 0.5).abs() <= half).sum())


@pytest.fixture(scope="module", params=[400, pytest.param(1000, marks=pytest.mark.long)])
def synthetic(request):
    """Noisy curves of slope -1/2 whose noise falls 30-fold along the range."""
    rng, sigma = np.random.default_rng(4), np.geomspace(0.15, 0.005, 9)
    rows = [curve(N, noisy(rng, sigma), student=i) for i in range(request.param)]
    frame = pd.concat(rows, ignore_index=True)
    return frame.assign(
        std_error=frame["mean"] * np.tile(sigma, request.param),
        swapped=frame["mean"] * np.tile(sigma[::-1], request.param),
    )


def curves_of(frame):
    return frame["student"].nunique()


def test_coverage_of_the_interval(synthetic):
    """Coverage is at least 0.95: fewer hits than the 1e-6 quantile of Binomial(curves, 0.95) would refute it.

    Controls that must be refused: intervals of half the width, and standard errors given to the wrong points.
    """
    needed = stats.binom.ppf(FALSE_ALARM, curves_of(synthetic), 0.95)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PowerLawWarning)
        right = fit_rate(synthetic)
        wrong = fit_rate(synthetic.assign(std_error=synthetic["swapped"]))
        blind = fit_rate(synthetic.assign(std_error=synthetic["std_error"] / 10))
    assert covered(right) >= needed
    assert covered(right, shrink=0.3) < needed
    assert covered(wrong) < needed
    assert covered(blind) >= needed  # too small by a constant: the lack of fit repairs it


def test_straight_curves_are_rarely_warned_of(synthetic):
    """Under a power law the interval of the slope change misses 0 at most as often as stated, plus 1e-6."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PowerLawWarning)
        fits = fit_rate(synthetic)
        halved = fit_rate(synthetic.assign(std_error=synthetic["std_error"] / 2))
    allowed = stats.binom.ppf(1 - FALSE_ALARM, curves_of(synthetic), 0.05)

    def misses(fits):
        return ((fits["slope_change_low"] > 0) | (fits["slope_change_high"] < 0)).sum()

    assert (~fits["power_law"]).sum() <= misses(fits) <= allowed
    assert misses(halved) > allowed  # control


# Evidence against a power law.

CURVED = {
    "plateau": 0.4457 + N**-0.5,
    "exponential": np.exp(-N / 1e4),
    "two rates": N**-0.5 + 30 / N,
}


@pytest.mark.parametrize("name", CURVED)
@pytest.mark.parametrize("relative", [None, 0.0, 1e-3])
def test_curved_lines_are_warned_of(name, relative):
    mean = CURVED[name]
    columns = {} if relative is None else {"std_error": mean * relative}
    with pytest.warns(
        PowerLawWarning, match="student=a: not a power law for n from 10 to 100000: the local slope"
    ):
        fit = fit_rate(curve(N, mean, student="a", **columns))
    assert not fit.loc[0, "power_law"]


def test_one_warning_names_all_curves():
    """The worst first, then at most five others; straight curves are not named."""
    bent = [curve(N, 0.1 * (i + 1) + N**-0.5, teacher=f"t{i}", student="a") for i in range(9)]
    frame = pd.concat([curve(N, N**-0.5, teacher="straight", student="a"), *bent])
    with pytest.warns(PowerLawWarning) as seen:
        fits = fit_rate(frame)
    (warning,) = seen
    said = str(warning.message)
    assert "\n" not in said
    worst = fits.loc[fits["slope_change"].idxmax(), "teacher"]
    assert said.startswith(f"teacher={worst}, student=a: not a power law for n from 10 to 100000")
    assert "nor for 8 other of 10 curves, by less: " in said
    assert said.count("teacher=") == 6
    assert said.endswith(" and 3 more")
    assert "straight" not in said
    assert warning.filename == __file__
    assert fits["teacher"].nunique() == 10
    assert fits["power_law"].sum() == 1


def test_slope_change_of_a_parabola():
    u = np.log(N)
    mean = np.exp(-u + 0.01 * u**2)
    expected = 0.02 * (u[-1] - u[0])
    with pytest.warns(PowerLawWarning):
        fit = fit_rate(curve(N, mean, std_error=0.0)).iloc[0]
    got = fit[["slope_change", "slope_change_low", "slope_change_high"]].to_numpy(dtype=float)
    np.testing.assert_allclose(got, expected, rtol=1e-10)
    narrow = fit_rate(curve(N, mean, std_error=0.0), n_min=1000).iloc[
        0
    ]  # changes by 0.092 there: still a power law
    assert narrow["power_law"]
    assert narrow["slope_change"] == pytest.approx(0.02 * np.log(100), rel=1e-10)


def test_irrelevant_and_insignificant_curvature_pass():
    u = np.log(N)
    assert fit_rate(curve(N, np.exp(-u + 0.005 * u**2), std_error=0.0)).loc[
        0, "power_law"
    ]  # 0.092, exact
    mean = np.exp(-u + 0.01 * u**2)
    assert fit_rate(curve(N, mean, std_error=mean)).loc[0, "power_law"]  # 0.18, hidden in the noise


# Groups, ranges, dropped points.


def test_groups_are_the_identifying_columns():
    frame = pd.concat(
        curve(
            N,
            factor * N**slope,
            teacher="t",
            student=student,
            access="hard",
            inputs=S,
            labels=3,
            seed=range(9),
        )
        for student, slope in (("b", -1.0), ("a", -0.5))
        for S, factor in ((2, 1.0), (5, 4.0))
    )
    fits = fit_rate(frame)
    assert list(fits.columns[:6]) == ["teacher", "student", "access", "inputs", "labels", "slope"]
    assert fits["student"].tolist() == ["b", "b", "a", "a"]  # the order of the table
    np.testing.assert_allclose(fits["slope"], [-1, -1, -0.5, -0.5], atol=1e-12)
    assert len(fit_rate(frame[frame["inputs"] == 2], by="student")) == 2
    assert len(fit_rate(frame[frame["student"] == "a"], by=["inputs"])) == 2
    assert fit_rate(curve(N, N**-1.0), by=[]).columns[0] == "slope"
    categories = frame.assign(
        student=frame["student"].astype(pd.CategoricalDtype(["a", "b", "unused"]))
    )
    assert len(fit_rate(categories)) == 4


def test_other_columns():
    frame = pd.DataFrame({"visits": N, "median": N**-0.25})
    assert fit_rate(frame, x="visits", y="median").loc[0, "slope"] == pytest.approx(-0.25)


def test_points_without_a_logarithm_are_dropped_and_counted():
    n = np.r_[0, N, 1e6, 1e7]
    mean = np.r_[1.0, N**-1.0, 0.0, np.nan]
    fit = fit_rate(curve(n, mean, std_error=mean * 1e-3)).iloc[0]
    assert (fit["points"], fit["dropped"], fit["n_max"]) == (9, 3, 1e5)
    assert fit["slope"] == pytest.approx(-1.0, abs=1e-12)


def test_range():
    mean = np.where(N < 1000, 1.0, N**-0.5 * 1000**0.5)
    fit = fit_rate(curve(np.r_[0, N], np.r_[1.0, mean]), n_min=1000, n_max=1e5).iloc[0]
    assert (fit["n_min"], fit["n_max"], fit["points"], fit["dropped"]) == (
        pytest.approx(1000),
        1e5,
        5,
        0,
    )
    assert fit["slope"] == pytest.approx(-0.5, abs=1e-12)


def test_rounding_is_no_standard_error():
    mean = N**-0.5
    fit = fit_rate(curve(N, mean, std_error=mean * np.geomspace(1e-18, 1e-15, 9))).iloc[0]
    plain = fit_rate(curve(N, mean, std_error=0.0)).iloc[0]
    assert fit["slope"] == plain["slope"]


def test_three_points_are_enough():
    n = np.array([10.0, 100.0, 1000.0])
    fit = fit_rate(curve(n, [0.5, 0.16, 0.05])).iloc[0]
    assert np.isfinite(fit[["slope", "slope_low", "slope_high"]].astype(float)).all()
    assert np.isnan(fit["slope_change_low"])
    assert fit["power_law"]


# Bad input.


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (curve(N[:2], N[:2], student="a"), {}, "student=a: 2 usable points"),
        (
            curve([5, 5, 9, 9], [0.4, 0.5, 0.3, 0.3]),
            {},
            "the table: 4 usable points.* at 3 different n",
        ),
        (curve(N, 0.0), {}, "the table: 0 usable points"),
        (curve(N, 1 / N), {"n_min": 2e4}, "the table: 2 usable points"),
        (curve(N, 1 / N), {"n_min": 10, "n_max": 5}, "n_min must not exceed n_max"),
        (curve(N, 1 / N), {"by": "student"}, "frame has no column 'student': it has n, mean"),
        (curve(N, 1 / N), {"y": "risk"}, "frame has no column 'risk'"),
        (curve(N, 1 / N), {"confidence": 95}, "confidence = 95: must lie strictly between 0 and 1"),
        (curve(N, "small"), {}, "frame column 'mean' has type .*: must hold numbers"),
        (curve(N, 1 / N, std_error=-0.1), {}, "std_error = -0.1: standard errors must be >= 0"),
        (curve([], []), {}, "frame is empty"),
        ({"n": [1, 2, 3]}, {}, "frame is a dict: must be a DataFrame"),
    ],
)
def test_bad_input(frame, options, message):
    with pytest.raises(ValueError, match=message):
        fit_rate(frame, **options)


@pytest.mark.parametrize("unknown", [0.0, np.nan])
def test_points_without_a_standard_error_are_dropped_where_others_have_one(unknown):
    errors = 0.01 / N
    errors[0] = unknown
    fit = fit_rate(curve(N, 1 / N, std_error=errors)).iloc[0]
    assert (fit["points"], fit["dropped"]) == (len(N) - 1, 1)
    assert fit["slope"] == pytest.approx(-1, abs=1e-12)


def test_a_curve_without_enough_points_does_not_spoil_the_others():
    good = curve(N, 1 / N).assign(student="a")
    gone = curve(N, np.r_[1.0, np.zeros(len(N) - 1)]).assign(student="b")
    fits = fit_rate(pd.concat([gone, good]), by="student").set_index("student")
    assert fits.loc["a", "slope"] == pytest.approx(-1, abs=1e-12)
    assert np.isnan(fits.loc["b", "slope"])
    assert (fits.loc["b", "points"], fits.loc["b", "dropped"], fits.loc["b", "power_law"]) == (
        1,
        len(N) - 1,
        False,
    )
