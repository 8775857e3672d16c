"""Rates: the slope of log risk on log n, with an interval and evidence whether one slope describes
the curve at all.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory.validation import unit_interval

if TYPE_CHECKING:
    import pandas as pd

IDENTIFYING = ("teacher", "student", "access", "inputs", "labels")
"""Columns that tell one curve from another in a table of risks."""

RELEVANT_CHANGE = 0.1
"""A local slope that changes by no more than this over the range still counts as a power law."""

EXACT = 1e-9
"""Standard errors below this fraction of the mean are rounding: Monte Carlo would need 10^18
repeats.
"""


class PowerLawWarning(UserWarning):
    """The local slope of a curve changes significantly and by more than `RELEVANT_CHANGE` over the
    range fitted.
    """


def fit_rate(
    frame: pd.DataFrame,
    by: str | Sequence[str] | None = None,
    x: str = "n",
    y: str = "mean",
    *,
    confidence: float = 0.95,
    n_min: float | None = None,
    n_max: float | None = None,
) -> pd.DataFrame:
    """Return the slope of log y on log x of each curve in a table of risks.

    log y = intercept + slope log x by least squares. If the table has a column `std_error`, the
    points are weighted by 1/var(log y) = (y/std_error)^2 (delta method). The interval is slope +-
    t(points-2) sigma, and sigma includes lack of fit: it is multiplied by sqrt(chi^2/(points-2))
    where that exceeds 1. Without standard errors (no such column, or all of a curve's zero or NaN)
    the points weigh the same and sigma comes from the residuals alone.

    A curve is held against a power law by `slope_change`, the local slope at the last point less
    that at the first, of the least-squares parabola. Its interval uses the standard errors as given
    (normal quantile), the residuals (t, points-3) where they are unknown, and has no width where
    all are zero, as on an exact curve. If the change exceeds 0.1 in size (relevant) and its
    interval excludes 0 (significant), `power_law` is False and a `PowerLawWarning` is issued.

    Parameters
    ----------
    frame : DataFrame
        One row per point of a curve.
    by : str or sequence of str, optional
        Columns that identify a curve; all of teacher, student, access, inputs, labels that are
        there if omitted. A teacher that moves with n must carry one name, or each point is a curve
        of its own.
    x, y : str
        Columns of the numbers of samples and of the risks; `std_error` is that of y.
    confidence : float
        Level of all intervals, in (0, 1).
    n_min, n_max : float, optional
        Use only points with n_min <= x <= n_max, such as n_min=1000 for "n >= 1000".

    Returns
    -------
    DataFrame, one row per curve: the columns of `by`; slope, slope_low, slope_high; intercept (log
    y at x = 1, nats); n_min, n_max (range used); points used; dropped (points in the range without
    a logarithm: x or y not positive and finite; or without a standard error where others of the
    curve have one); slope_change, slope_change_low, slope_change_high (NaN where points = 3 and no
    standard error is known); power_law. A curve with fewer than 3 usable points at different x has
    NaN and power_law False.

    Raises
    ------
    ValueError
        If no curve at all has 3 usable points at different x, or a column is missing or not
        numeric.

    Warns
    -----
    PowerLawWarning
    """
    import pandas as pd

    level = unit_interval(confidence, "confidence")
    keys = _keys(frame, by, x, y)
    low, high = (
        (-np.inf if n_min is None else float(n_min)),
        (np.inf if n_max is None else float(n_max)),
    )
    if not low <= high:
        raise ValueError(f"n_min = {n_min}, n_max = {n_max}: n_min must not exceed n_max")
    groups = frame.groupby(keys, sort=False, dropna=False, observed=True) if keys else [((), frame)]
    rows = []
    for values, group in groups:
        identity = dict(zip(keys, values, strict=True))
        name = ", ".join(f"{key}={value}" for key, value in identity.items()) or "the table"
        rows.append(identity | _fit_curve(group, name, x, y, level, low, high))
    if all(np.isnan(row["slope"]) for row in rows):
        raise ValueError(
            f"{name}: {rows[-1]['points']} usable points, and no other curve has more: a rate "
            f"needs positive {x} and {y} at 3 different {x} (a teacher that moves with n needs one "
            "name, or name the curves with by=)"
        )
    return pd.DataFrame(rows)


def _keys(frame: Any, by: str | Sequence[str] | None, x: str, y: str) -> list[str]:
    """Return the identifying columns, after checking that all columns asked for are there."""
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise ValueError(
            f"frame is a {type(frame).__name__}: must be a DataFrame, such as simulate(...).frame"
        )
    wanted = [key for key in IDENTIFYING if key in frame] if by is None else by
    keys = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in [*keys, x, y]:
        if name not in frame:
            raise ValueError(
                f"frame has no column {name!r}: it has {', '.join(map(str, frame.columns))}"
            )
    if frame.empty:
        raise ValueError("frame is empty: give at least 3 points per curve")
    return keys


def _fit_curve(
    group: pd.DataFrame, name: str, x: str, y: str, level: float, low: float, high: float
) -> dict[str, Any]:
    """Fit one curve: a row of `fit_rate` without its identity; warn if it is no power law."""
    n, mean = _numbers(group, x), _numbers(group, y)
    std_error = _numbers(group, "std_error") if "std_error" in group else np.full(n.shape, np.nan)
    ranged = (n >= low) & (n <= high) | np.isnan(n)
    usable = ranged & (n > 0) & (mean > 0) & np.isfinite(n) & np.isfinite(mean)
    n, mean, std_error = n[usable], mean[usable], std_error[usable]
    noise, weighed = _relative_noise(std_error, mean)
    n, mean = n[weighed], mean[weighed]
    fitted = ("slope", "slope_low", "slope_high", "intercept")
    bend = ("slope_change", "slope_change_low", "slope_change_high")
    extent = {"points": len(n), "dropped": int(ranged.sum() - len(n))}
    if len(np.unique(n)) < 3:
        return (
            dict.fromkeys((*fitted, "n_min", "n_max"), np.nan)
            | extent
            | dict.fromkeys(bend, np.nan)
            | {"power_law": False}
        )
    line, change = (
        _line(np.log(n), np.log(mean), noise, level),
        _change(np.log(n), np.log(mean), noise, level),
    )
    power_law = not (abs(change[0]) > RELEVANT_CHANGE and (change[1] > 0.0 or change[2] < 0.0))
    if not power_law:
        warnings.warn(
            f"{name}: not a power law for {x} from {n.min():g} to {n.max():g}: the local slope "
            f"changes by {change[0]:.3g} ({level:.0%} interval {change[1]:.3g} to "
            f"{change[2]:.3g}); narrow it by n_min and n_max",
            PowerLawWarning,
            stacklevel=3,
        )
    ends = {"n_min": n.min(), "n_max": n.max()}
    shape = dict(zip(bend, change, strict=True)) | {"power_law": power_law}
    return dict(zip(fitted, line, strict=True)) | ends | extent | shape


def _numbers(group: pd.DataFrame, column: str) -> np.ndarray:
    try:
        values = group[column].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise ValueError(
            f"frame column {column!r} has type {group[column].dtype}: must hold numbers"
        ) from None
    if column == "std_error" and (values < 0).any():
        raise ValueError(f"std_error = {values[values < 0][0]}: standard errors must be >= 0")
    return values


def _relative_noise(
    std_error: np.ndarray, mean: np.ndarray
) -> tuple[np.ndarray | float, np.ndarray]:
    """Return (std_error/mean, the standard error of log mean; which points it is known for).

    It is 0.0 if all points are exact and NaN if it is known for none; all points count then.
    """
    relative = std_error / mean
    known = np.isfinite(relative) & (relative > EXACT)
    if known.any():
        return relative[known], known
    return (float("nan") if np.isnan(relative).any() else 0.0), np.full(len(mean), True)


def _line(
    u: np.ndarray, v: np.ndarray, noise: np.ndarray | float, level: float
) -> tuple[float, float, float, float]:
    """Return slope, its interval and the intercept of v on u."""
    from scipy.special import stdtrit

    coefficients, covariance, scatter = _least_squares(u, v, noise, degree=1)
    inflation = max(1.0, scatter) if isinstance(noise, np.ndarray) else scatter
    half = stdtrit(len(u) - 2, 0.5 + level / 2) * np.sqrt(covariance[1, 1] * inflation)
    slope = float(coefficients[1])
    return slope, slope - half, slope + half, float(coefficients[0] - slope * _centre(u))


def _change(
    u: np.ndarray, v: np.ndarray, noise: np.ndarray | float, level: float
) -> tuple[float, float, float]:
    """Return the local slope of the fitted parabola at the last point less that at the first, and
    its interval.

    It is a fixed linear function of the log risks, so known standard errors carry over without any
    lack of fit.
    """
    from scipy.special import ndtri, stdtrit

    coefficients, covariance, scatter = _least_squares(u, v, noise, degree=2)
    width = 2.0 * np.ptp(u)
    change, sigma = float(coefficients[2] * width), width * np.sqrt(covariance[2, 2])
    if isinstance(noise, np.ndarray):
        half = ndtri(0.5 + level / 2) * sigma
    elif noise == 0.0:
        half = 0.0
    else:
        half = (
            stdtrit(len(u) - 3, 0.5 + level / 2) * sigma * np.sqrt(scatter)
            if len(u) > 3
            else np.nan
        )
    return change, change - half, change + half


def _least_squares(
    u: np.ndarray, v: np.ndarray, noise: np.ndarray | float, degree: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the coefficients in powers of u - mean(u), their covariance at unit scatter, and chi^2
    per freedom.
    """
    scale = noise if isinstance(noise, np.ndarray) else np.ones(len(u))
    design = np.vander(u - _centre(u), degree + 1, increasing=True) / scale[:, None]
    coefficients = np.linalg.lstsq(design, v / scale, rcond=None)[0]
    inverse = np.linalg.pinv(design)
    freedom = len(u) - degree - 1
    scatter = (
        float(np.sum((v / scale - design @ coefficients) ** 2)) / freedom if freedom else np.nan
    )
    return coefficients, inverse @ inverse.T, scatter


def _centre(u: np.ndarray) -> float:
    return float(u.mean())


def fit_exponents(
    frame: pd.DataFrame,
    by: str | Sequence[str] | None = None,
    x: Sequence[str] = ("n", "inputs", "labels"),
    y: str = "mean",
    *,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Return the exponents of a product law in several variables at once, such as risk ~ n^a S^b
    A^c.

    log y = intercept + sum_i e_i log x_i by least squares, weighted by (y/std_error)^2 where the
    table has a column `std_error`. The intervals are e_i +- t(points - variables - 1) sigma_i;
    sigma_i includes lack of fit: it is multiplied by sqrt(chi^2/freedom) where that exceeds 1, and
    comes from the residuals alone where no standard error is known.

    Parameters
    ----------
    frame : DataFrame
        One row per point.
    by : str or sequence of str, optional
        Columns that identify a law; teacher, student and access, those that are there, if omitted.
    x : sequence of str
        Columns of the variables.
    y : str
        Column of the risks.
    confidence : float
        Level of the intervals, in (0, 1).

    Returns
    -------
    DataFrame, one row per law: the columns of `by`; for each variable v: v, v_low, v_high (its
    exponent and interval); intercept (log y where every variable is 1, nats); points used; dropped
    (those without a logarithm, or without a standard error where others have one); scatter, the
    root mean square of the residuals of log y.

    Raises
    ------
    ValueError
        If a column is missing or not numeric, or if points do not determine the exponents: fewer
        than variables + 2 of them, or variables that only move together.
    """
    import pandas as pd

    level = unit_interval(confidence, "confidence")
    variables = [x] if isinstance(x, str) else list(x)
    if not variables:
        raise ValueError("x = []: give at least one variable, such as n")
    wanted = [key for key in ("teacher", "student", "access") if key in frame] if by is None else by
    keys = _keys(frame, wanted, variables[0], y)
    for name in variables:
        _keys(frame, keys, name, y)
    groups = frame.groupby(keys, sort=False, dropna=False, observed=True) if keys else [((), frame)]
    rows = []
    for values, group in groups:
        identity = dict(zip(keys, values, strict=True))
        name = ", ".join(f"{key}={value}" for key, value in identity.items()) or "the table"
        rows.append(identity | _fit_law(group, name, variables, y, level))
    return pd.DataFrame(rows)


def _fit_law(
    group: pd.DataFrame, name: str, variables: list[str], y: str, level: float
) -> dict[str, Any]:
    from scipy.special import stdtrit

    points = np.array([_numbers(group, column) for column in [*variables, y]])
    usable = (np.isfinite(points) & (points > 0)).all(axis=0)
    std_error = (
        _numbers(group, "std_error")[usable]
        if "std_error" in group
        else np.full(usable.sum(), np.nan)
    )
    noise, weighed = _relative_noise(std_error, points[-1, usable])
    usable[usable] = weighed
    logs = np.log(points[:, usable])
    design = np.vstack([np.ones(usable.sum()), logs[:-1]]).T
    freedom = len(design) - design.shape[1]
    centred = design[:, 1:] - design[:, 1:].mean(axis=0) if len(design) else design[:, 1:]
    if freedom < 1 or np.linalg.matrix_rank(
        centred, tol=1e-9 * max(1.0, np.abs(design).max())
    ) < len(variables):
        raise ValueError(
            f"{name}: {len(design)} points do not determine exponents in {', '.join(variables)}: "
            f"give at least {len(variables) + 2} points, at which each variable moves on its own"
        )
    scale = noise if isinstance(noise, np.ndarray) else np.ones(len(design))
    weighted = design / scale[:, None]
    coefficients = np.linalg.lstsq(weighted, logs[-1] / scale, rcond=None)[0]
    residuals = logs[-1] - design @ coefficients
    inverse = np.linalg.pinv(weighted)
    lack = float(np.sum((residuals / scale) ** 2)) / freedom
    inflation = max(1.0, lack) if isinstance(noise, np.ndarray) else lack
    half = stdtrit(freedom, 0.5 + level / 2) * np.sqrt(np.diag(inverse @ inverse.T) * inflation)
    found: dict[str, Any] = {}
    for i, variable in enumerate(variables, start=1):
        exponent = float(coefficients[i])
        found |= {
            variable: exponent,
            f"{variable}_low": exponent - half[i],
            f"{variable}_high": exponent + half[i],
        }
    facts = {
        "points": len(design),
        "dropped": int((~usable).sum()),
        "scatter": float(np.sqrt(np.mean(residuals**2))),
    }
    return found | {"intercept": float(coefficients[0])} | facts
