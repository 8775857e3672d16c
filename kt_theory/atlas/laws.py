"""The law of a risk, floor + scale n^-exponent, fitted to a simulated curve and to the exact one.

Weighted least squares in floor >= 0 and scale >= 0 for each exponent of a grid, which is fine about
the best, and the exponent at which the sum of squares is least. The interval of the exponent has
all those whose sum of squares is above that by at most 1.96^2 times the scatter of the best fit
(where that exceeds 1, or the law does not hold exactly); that of the floor is the union of its
intervals at these exponents. A curve that has no more than noise above its floor has no exponent.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kt_theory.kernels.statistics import QUANTILE

if TYPE_CHECKING:
    import pandas as pd

EXPONENTS = np.round(np.arange(0.05, 3.0, 0.005), 3)
_FINE = np.linspace(-0.01, 0.01, 401)
FEWEST = 4
_SEEN = 4.9
"""Standard errors by which a curve must rise above its floor to have an exponent."""
APART = 5.5
"""Standard errors between a simulated risk and the exact one that count as news: with 15,000 risks
compared, a false alarm in some 2,000 atlases.
"""
RARE = 14.0
"""Of R losses of which nine tenths are equal the others may be too rare for the normal law: the
mean may then be off by 14/R more, for R repeats show a loss of probability 14/R with 1 - 10^-6.
"""
NEWS = "NEWS"
CURVE = ["teacher", "inputs", "labels", "student"]


class Law(NamedTuple):
    """floor + scale n^-exponent, with intervals; NaN exponents where only the floor is seen."""

    floor: float
    floor_low: float
    floor_high: float
    exponent: float
    exponent_low: float
    exponent_high: float
    scatter: float


def fit_law(n: np.ndarray, risk: np.ndarray, std_error: np.ndarray) -> Law:
    """Return the law fitted to risks at several n.

    Parameters
    ----------
    n, risk, std_error : (N,) arrays, n > 0
    """
    error = np.maximum(std_error, 1e-9 + 1e-6 * risk)
    weight = 1.0 / error**2
    _, _, squares = _fits(EXPONENTS, n, risk, weight)
    exponents = np.unique(np.append(EXPONENTS, EXPONENTS[squares.argmin()] + _FINE))
    fall, floor, squares = _fits(exponents, n, risk, weight)
    best = int(squares.argmin())
    scatter = squares[best] / max(1, len(n) - 3)
    close = squares <= squares[best] + QUANTILE**2 * max(1.0, scatter)
    half = QUANTILE * math.sqrt(max(1.0, scatter)) * _floor_errors(fall, weight)
    low, high = (floor - half)[close].min(), min(1.0, (floor + half)[close].max())
    seen = np.ptp(risk) > _SEEN * error.max()
    level = float(floor[best]), max(0.0, float(low)), float(high)
    if not seen:
        return Law(*level, math.nan, math.nan, math.nan, float(scatter))
    inside = exponents[close]
    return Law(*level, float(exponents[best]), float(inside[0]), float(inside[-1]), float(scatter))


def _fits(
    exponents: np.ndarray, n: np.ndarray, risk: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return n^-exponent, (E, N), and the best floor and its sum of squares at each exponent."""
    fall = np.exp(-exponents[:, None] * np.log(n / n[0]))
    floor, scale = _floors_and_scales(fall, risk, weight)
    left = risk - floor[:, None] - scale[:, None] * fall
    return fall, floor, (left**2 * weight).sum(axis=1)


def _floors_and_scales(
    fall: np.ndarray, risk: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the best floor and scale >= 0 at each exponent, two (E,) arrays."""
    one, some, square = weight.sum(), fall @ weight, fall**2 @ weight
    level, slope = (risk * weight).sum(), fall @ (risk * weight)
    scale = (one * slope - some * level) / (one * square - some**2)
    floor = (level - scale * some) / one
    falls = scale > 0.0
    floor, scale = np.where(falls, floor, level / one), np.where(falls, scale, 0.0)
    inside = floor > 0.0
    return np.where(inside, floor, 0.0), np.where(inside, scale, slope / square)


def _floor_errors(fall: np.ndarray, weight: np.ndarray) -> np.ndarray:
    one, some, square = weight.sum(), fall @ weight, fall**2 @ weight
    return np.sqrt(square / (one * square - some**2))


def laws(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the laws of the curves in the table of a sweep, with the exact risks beside them.

    Returns
    -------
    DataFrame, one row per curve: teacher, inputs, labels, student, access; floor, exponent, each
    with `_low` and `_high` (95 %); exact_floor, exact_exponent: the same law fitted to the exact
    curve with the same weights, NaN where there is none; apart: how many standard errors the
    simulated risk is away from the exact one, at worst; limit, what the risk tends to, NaN where
    the teacher moves with n; scatter (chi^2 per degree of freedom: above 1 the law does not hold);
    verdict: "exact" where every risk is within `APART` standard errors of the exact one; where
    there is none, "limit" where the floor is within as many of the limit; "unknown" where there is
    nothing to compare; and "NEWS" where they disagree.
    """
    import pandas as pd

    done = frame[frame["status"] == "done"]
    rows = [
        dict(zip(CURVE, names, strict=True)) | _row(curve.sort_values("n"))
        for names, curve in done.groupby(CURVE, sort=False)
    ]
    return pd.DataFrame(rows)


def _row(curve: pd.DataFrame) -> dict[str, Any]:
    if len(curve) < FEWEST:
        raise ValueError(f"{len(curve)} values of n: a law needs {FEWEST} at least")
    n, risk, error, exact, repeats, low, high = (
        curve[name].to_numpy(dtype=np.float64)
        for name in ("n", "mean", "std_error", "exact", "repeats", "q05", "q95")
    )
    row: dict[str, Any] = {"access": curve["access"].iloc[0], "limit": curve["limit"].iloc[0]}
    found = fit_law(n, risk, error)
    row |= found._asdict()
    if np.isnan(exact).any():
        row |= dict.fromkeys(("exact_floor", "exact_exponent", "apart"), math.nan)
        return row | {"verdict": _against_limit(found, row["limit"])}
    right = fit_law(n, exact, error)
    rare = np.where(low == high, RARE / repeats, 0.0)
    beyond = np.maximum(np.abs(risk - exact) - rare - 1e-12, 0.0)
    apart = float((beyond / np.maximum(error, 1e-12)).max())
    row |= {"exact_floor": right.floor, "exact_exponent": right.exponent, "apart": apart}
    return row | {"verdict": "exact" if apart <= APART else NEWS}


def _against_limit(found: Law, limit: float) -> str:
    if math.isnan(limit):
        return "unknown"
    half = 0.5 * (found.floor_high - found.floor_low) * APART / QUANTILE
    middle = 0.5 * (found.floor_high + found.floor_low)
    return "limit" if abs(limit - middle) <= half + 1e-9 else NEWS
