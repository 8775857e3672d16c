"""Rates: the slope of log risk on log n, with an interval and evidence whether one slope describes
the curve at all.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory.validation import entries_of, shown, unit_interval

if TYPE_CHECKING:
    import pandas as pd

IDENTIFYING = ("teacher", "student", "access", "loss", "inputs", "labels")
"""Columns that tell one curve from another in a table of risks."""

SIZES = ("inputs", "labels")

RELEVANT_CHANGE = 0.1
"""A local slope that changes by no more than this over the range still counts as a power law."""

EXACT = 1e-9
"""Standard errors below this fraction of the mean are rounding: Monte Carlo would need 10^18
repeats.
"""

_LINE = ("slope", "slope_low", "slope_high", "intercept")
_BEND = ("slope_change", "slope_change_low", "slope_change_high")

Noise = np.ndarray | float
"""Standard errors of the log risks; 0.0 where all are exact, NaN where none is known."""


def identifying(frame: pd.DataFrame) -> list[str]:
    """Return the columns of a table that tell one curve from another: `loss` only where there are
    several.
    """
    there = [key for key in IDENTIFYING if key in frame]
    return [key for key in there if key != "loss" or frame[key].nunique() > 1]


_NAMED = 5
"""Curves that a warning names besides the worst."""


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
    interval excludes 0 (significant), `power_law` is False, and one `PowerLawWarning` names all
    such curves.

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
        Once, with the names of all curves that are none.
    """
    import pandas as pd

    level = unit_interval(confidence, "confidence")
    keys = _keys(frame, by, [x, y])
    low = -np.inf if n_min is None else _end(n_min, "n_min")
    high = np.inf if n_max is None else _end(n_max, "n_max")
    if not low <= high:
        raise ValueError(f"n_min = {n_min}, n_max = {n_max}: n_min must not exceed n_max")
    rows, bent = [], {}
    for identity, name, points in _curves(frame, keys):
        rows.append(identity | _fit_curve(points, x, y, level, low, high))
        if not np.isnan(rows[-1]["slope"]) and not rows[-1]["power_law"]:
            bent[name] = rows[-1]
    if all(np.isnan(row["slope"]) for row in rows):
        raise ValueError(
            f"{name}: {rows[-1]['points']} usable points, and no other curve has more: a rate "
            f"needs positive {x} and {y} at 3 different {x} (a teacher that moves with n needs one "
            "name, or name the curves with by=)"
        )
    if bent:
        warnings.warn(_no_power_laws(bent, len(rows), x, level), PowerLawWarning, stacklevel=2)
    return pd.DataFrame(rows)


def _no_power_laws(bent: dict[str, dict[str, Any]], curves: int, x: str, level: float) -> str:
    """Return the words of the one warning: which curves, and how the worst of them bends."""
    worst = max(bent, key=lambda name: abs(bent[name]["slope_change"]))
    fit = bent[worst]
    others = [name for name in bent if name != worst]
    also = ""
    if others:
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        also = f"; nor for {len(others)} other of {curves} curves, by less: "
        also += f"{'; '.join(others[:_NAMED])}{more}"
    return (
        f"{worst}: not a power law for {x} from {fit['n_min']:g} to {fit['n_max']:g}: the local "
        f"slope changes by {fit['slope_change']:.3g} ({level:.0%} interval "
        f"{fit['slope_change_low']:.3g} to {fit['slope_change_high']:.3g}); narrow it by n_min and "
        f"n_max{also}"
    )


def _end(value: Any, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} = {shown(value)}: must be a number") from None


def _keys(frame: Any, by: str | Sequence[str] | None, columns: list[str]) -> list[str]:
    """Return the identifying columns, after checking that all columns asked for are there."""
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise ValueError(
            f"frame is a {type(frame).__name__}: must be a DataFrame, such as simulate(...).frame"
        )
    wanted = identifying(frame) if by is None else by
    keys = [wanted] if isinstance(wanted, str) else entries_of(wanted, "by")
    for name in [*keys, *columns]:
        if not isinstance(name, str) or name not in frame:
            held = ", ".join(map(str, frame.columns))
            raise ValueError(f"frame has no column {shown(name)}: it has {held}")
    if frame.empty:
        raise ValueError("frame is empty: give at least 3 points per curve")
    return keys


def _curves(
    frame: pd.DataFrame, keys: list[str]
) -> Iterator[tuple[dict[str, Any], str, pd.DataFrame]]:
    """Yield what identifies each curve, its name in messages, and its points."""
    groups: Any = [((), frame)]
    if keys:
        try:
            groups = list(frame.groupby(keys, sort=False, dropna=False, observed=True))
        except (TypeError, NotImplementedError) as error:
            raise ValueError(
                f"frame: curves cannot be told apart by {', '.join(map(str, keys))}: {error}"
            ) from None
    for values, points in groups:
        identity = dict(zip(keys, values, strict=True))
        name = ", ".join(f"{key}={value}" for key, value in identity.items())
        yield identity, name or "the table", points


def _fit_curve(
    points: pd.DataFrame, x: str, y: str, level: float, low: float, high: float
) -> dict[str, Any]:
    """Fit one curve: a row of `fit_rate` without its identity."""
    n, mean, std_error = _numbers(points, x), _numbers(points, y), _std_errors(points)
    ranged = (n >= low) & (n <= high) | np.isnan(n)
    usable = ranged & (n > 0) & (mean > 0) & np.isfinite(n) & np.isfinite(mean)
    n, mean, std_error = n[usable], mean[usable], std_error[usable]
    noise, weighed = _relative_noise(std_error, mean)
    n, mean = n[weighed], mean[weighed]
    fit: dict[str, Any] = dict.fromkeys((*_LINE, "n_min", "n_max"), np.nan)
    fit |= {"points": len(n), "dropped": int(ranged.sum() - len(n))}
    fit |= dict.fromkeys(_BEND, np.nan) | {"power_law": False}
    if len(np.unique(n)) < 3:
        return fit
    u, v = np.log(n), np.log(mean)
    change, least, most = _change(u, v, noise, level)
    power_law = not (abs(change) > RELEVANT_CHANGE and (least > 0.0 or most < 0.0))
    fit |= zip(_LINE, _line(u, v, noise, level), strict=True)
    fit |= zip(_BEND, (change, least, most), strict=True)
    return fit | {"n_min": n.min(), "n_max": n.max(), "power_law": power_law}


def _numbers(points: pd.DataFrame, column: str) -> np.ndarray:
    try:
        if points[column].to_numpy().dtype.kind == "c":
            raise TypeError
        values = points[column].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            f"frame column {column!r} has type {points[column].dtype}: must hold numbers"
        ) from None
    if column == "std_error" and (values < 0).any():
        raise ValueError(f"std_error = {values[values < 0][0]}: standard errors must be >= 0")
    return values


def _std_errors(points: pd.DataFrame) -> np.ndarray:
    if "std_error" in points:
        return _numbers(points, "std_error")
    return np.full(len(points), np.nan)


def _relative_noise(std_error: np.ndarray, mean: np.ndarray) -> tuple[Noise, np.ndarray]:
    """Return (std_error/mean, the standard error of log mean; which points it is known for).

    It is 0.0 if all points are exact and NaN if it is known for none; all points count then.
    """
    with np.errstate(over="ignore"):  # errors beyond all measure are infinite
        relative = std_error / mean
    known = np.isfinite(relative) & (relative > EXACT)
    if known.any():
        return relative[known], known
    return (float("nan") if np.isnan(relative).any() else 0.0), np.full(len(mean), True)


def _line(u: np.ndarray, v: np.ndarray, noise: Noise, level: float) -> tuple[float, ...]:
    """Return slope, its interval and the intercept of v on u."""
    centre = float(u.mean())
    coefficients, variances, scatter = _least_squares(_powers(u, 1), v, noise)
    half = _half_widths(variances[1], scatter, len(u) - 2, noise, level)
    slope = float(coefficients[1])
    return slope, slope - half, slope + half, float(coefficients[0] - slope * centre)


def _change(u: np.ndarray, v: np.ndarray, noise: Noise, level: float) -> tuple[float, ...]:
    """Return by how much the slope of the fitted parabola changes over the range; its interval.

    It is a fixed linear function of the log risks, so known standard errors carry over without any
    lack of fit.
    """
    from scipy.special import ndtri, stdtrit

    coefficients, variances, scatter = _least_squares(_powers(u, 2), v, noise)
    width = 2.0 * np.ptp(u)
    change, sigma = float(coefficients[2] * width), width * np.sqrt(variances[2])
    if isinstance(noise, np.ndarray):
        half = ndtri(0.5 + level / 2) * sigma
    elif noise == 0.0:
        half = 0.0
    else:
        half = stdtrit(len(u) - 3, 0.5 + level / 2) * sigma * np.sqrt(scatter)
    return change, change - half, change + half


def _powers(u: np.ndarray, degree: int) -> np.ndarray:
    return np.vander(u - u.mean(), degree + 1, increasing=True)


def _least_squares(
    design: np.ndarray, v: np.ndarray, noise: Noise
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the coefficients of v on `design`, their variances at unit scatter, and the scatter.

    The scatter is chi^2 per degree of freedom, NaN where there is none.
    """
    scale = noise if isinstance(noise, np.ndarray) else np.ones(len(v))
    weighted = design / scale[:, None]
    coefficients = np.linalg.lstsq(weighted, v / scale, rcond=None)[0]
    inverse = np.linalg.pinv(weighted)
    freedom = len(v) - design.shape[1]
    chi2 = float(np.sum((v / scale - weighted @ coefficients) ** 2))
    return coefficients, np.diag(inverse @ inverse.T), chi2 / freedom if freedom else np.nan


def _half_widths(
    variances: np.ndarray, scatter: float, freedom: int, noise: Noise, level: float
) -> Any:
    """Return half the intervals by Student's t; lack of fit widens them where noise is known."""
    from scipy.special import stdtrit

    inflation = max(1.0, scatter) if isinstance(noise, np.ndarray) else scatter
    return stdtrit(freedom, 0.5 + level / 2) * np.sqrt(variances * inflation)


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
    wanted = [key for key in identifying(frame) if key not in SIZES] if by is None else by
    keys = _keys(frame, wanted, [*variables, y])
    rows = []
    for identity, name, points in _curves(frame, keys):
        rows.append(identity | _fit_law(points, name, variables, y, level))
    return pd.DataFrame(rows)


def _fit_law(
    points: pd.DataFrame, name: str, variables: list[str], y: str, level: float
) -> dict[str, Any]:
    columns = np.array([_numbers(points, column) for column in [*variables, y]])
    usable = (np.isfinite(columns) & (columns > 0)).all(axis=0)
    noise, weighed = _relative_noise(_std_errors(points)[usable], columns[-1, usable])
    usable[usable] = weighed
    logs = np.log(columns[:, usable])
    design = np.vstack([np.ones(usable.sum()), logs[:-1]]).T
    freedom = len(design) - design.shape[1]
    if freedom < 1 or not _moves_freely(design):
        raise ValueError(
            f"{name}: {len(design)} points do not determine exponents in {', '.join(variables)}: "
            f"give at least {len(variables) + 2} points, at which each variable moves on its own"
        )
    exponents, variances, scatter = _least_squares(design, logs[-1], noise)
    half = _half_widths(variances, scatter, freedom, noise, level)
    low, high = exponents - half, exponents + half
    found: dict[str, Any] = {}
    for i, variable in enumerate(variables, start=1):
        found[variable] = float(exponents[i])
        found |= {f"{variable}_low": low[i], f"{variable}_high": high[i]}
    residuals = logs[-1] - design @ exponents
    return found | {
        "intercept": float(exponents[0]),
        "points": len(design),
        "dropped": int((~usable).sum()),
        "scatter": float(np.sqrt(np.mean(residuals**2))),
    }


def _moves_freely(design: np.ndarray) -> bool:
    """Return whether each variable, a column behind the first, moves on its own."""
    centred = design[:, 1:] - design[:, 1:].mean(axis=0)
    tolerance = 1e-9 * max(1.0, np.abs(design).max())
    return bool(np.linalg.matrix_rank(centred, tol=tolerance) == centred.shape[1])
