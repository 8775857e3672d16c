"""Assertions about risks that state how often they are wrong, and fail where they could not see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kt_theory.losses import LOSSES
from kt_theory.rates import identifying
from kt_theory.simulation.run import Simulation, simulate
from kt_theory.students import Student
from kt_theory.teacher import Teacher
from kt_theory.validation import (
    as_floats,
    number_between,
    positive,
    shown,
    unit_interval,
    whole_number,
)

_CONTROLLED = 4.0
"""The range of losses less their control, over that of the losses."""


def confidence_radius(
    std_error: float, repeats: int, false_alarm: float = 1e-6, span: float = 1.0
) -> float:
    """Return r with P(|mean - risk| > r) <= false_alarm for losses in [0, span], whatever their
    law.

    The empirical Bernstein bound, r = sqrt(2 v x / R) + 3 x span / R with v the variance of the R
    losses and x = ln(3 / false_alarm) (Audibert, Munos and Szepesvari 2009).
    """
    x = np.log(3.0 / false_alarm)
    return float(std_error * np.sqrt(2.0 * x) + 3.0 * x * span / repeats)


def assert_risk(estimate: Any, expected: Any, *, detects: float, false_alarm: float = 1e-6) -> None:
    """Assert that Monte Carlo risks agree with what they should be.

    Parameters
    ----------
    estimate : Simulation, RiskEstimate or DataFrame
        All rows of a simulation or of its frame, or one; or anything with `mean`, `std_error` and
        `repeats`.
    expected : float or array_like
        The risk that each should have: one for all, or one for each row.
    detects : float
        The smallest error in a risk that the test must catch with probability at least 1 -
        false_alarm. A test with too few repeats for that fails, whatever the mean.
    false_alarm : float
        Probability at most with which the call fails though every risk is as expected: of all rows
        together.

    Raises
    ------
    AssertionError
        A risk is another one, or there is no power.
    ValueError
        A loss has no end, so that no test of its mean has an error rate.

    Examples
    --------
    >>> import kt_theory as kt
    >>> teacher = kt.teachers.zipf(3, 4)
    >>> run = kt.simulate(teacher, "ce_sgl", n=[5, 50], repeats=40_000, progress=False)
    >>> assert_risk(run, kt.exact_risk(teacher, "ce_sgl", n=[5, 50]), detects=0.02)
    """
    means = _means(estimate, detects, false_alarm)
    for mean, risk in zip(means, _for_each(expected, "expected", len(means)), strict=True):
        gap = abs(mean.value - risk)
        if not gap <= mean.radius:
            raise AssertionError(
                f"{mean.name}mean {mean.value:.8g} is {gap:.3g} away from {risk:.8g}: more than "
                f"{mean.radius:.3g}"
            )


def assert_below(estimate: Any, bound: Any, *, detects: float, false_alarm: float = 1e-6) -> None:
    """Assert that Monte Carlo risks are at most a bound.

    Parameters
    ----------
    estimate : Simulation, RiskEstimate or DataFrame
        As for `assert_risk`.
    bound : float or array_like
        One for all, or one for each row.
    detects : float
        A risk that exceeds its bound by so much must be caught with probability at least 1 -
        false_alarm.
    false_alarm : float
        Probability at most with which the call fails though no risk exceeds its bound.

    Raises
    ------
    AssertionError
        A risk exceeds its bound, or there is no power.
    ValueError
        A loss has no end.

    Examples
    --------
    >>> import kt_theory as kt
    >>> teacher = kt.teachers.zipf(3, 4)
    >>> run = kt.simulate(teacher, "ce_sgl", n=[100, 400], repeats=20_000, progress=False)
    >>> assert_below(run, [0.5 * (3 * 4 / n) ** 0.5 for n in (100, 400)], detects=0.02)
    """
    means = _means(estimate, detects, false_alarm)
    for mean, most in zip(means, _for_each(bound, "bound", len(means)), strict=True):
        if not mean.value - mean.radius <= most:
            raise AssertionError(
                f"{mean.name}mean {mean.value:.8g} exceeds {most:.8g} by "
                f"{mean.value - most:.3g}: more than {mean.radius:.3g}"
            )


def assert_rate(
    estimate: Any,
    slope: float,
    *,
    detects: float,
    within: float = 0.0,
    false_alarm: float = 1e-6,
) -> None:
    """Assert the slope of log risk on log n: that of least squares through the true risks at the n
    that were simulated.

    The interval of each slope follows from those of the risks, all of which hold at once: no normal
    law is needed.

    Parameters
    ----------
    estimate : Simulation or DataFrame
        At least 3 different n for each teacher, student and loss.
    slope : float
        What the slope should be, such as -0.5.
    detects : float
        A slope that is so far from `slope` must be caught with probability at least 1 -
        false_alarm.
    within : float
        A slope that is so near to `slope` counts as right: at finite n few risks follow a power law
        to the last digit. Less than `detects`.
    false_alarm : float
        Probability at most with which the call fails though all slopes are right.

    Raises
    ------
    AssertionError
        A slope is another one, or there is no power.
    ValueError
        A curve has fewer than 3 different n, or a loss has no end.

    Examples
    --------
    >>> import kt_theory as kt
    >>> teacher = kt.teachers.zipf(2, 3)
    >>> run = kt.simulate(teacher, "ce_sgl", [100, 1000, 10_000], 60_000, progress=False)
    >>> assert_rate(run, -0.5, within=0.03, detects=0.15)
    """
    power = positive(detects, "detects")
    near = number_between(within, "within", low=0.0, high=power)
    wanted = number_between(slope, "slope", low=-math.inf, high=math.inf)
    rows = _rows(estimate)
    means = _measured(rows, false_alarm)
    for name, members in _curves(rows).items():
        low, high = _slope([rows[i].n for i in members], [means[i] for i in members], name)
        if low > wanted + near or high < wanted - near:
            around = f" +- {near:.3g}" if near else ""
            raise AssertionError(
                f"{name}: the slope lies from {low:.4g} to {high:.4g}: not {wanted:.4g}{around}"
            )
        if high - low > power - near:
            repeats = rows[members[0]].repeats
            more = (high - low) / max(power - near, 1e-9)
            raise AssertionError(
                f"{name}: {repeats} repeats know the slope to {high - low:.3g}, from {low:.4g} to "
                f"{high:.4g}, where detects - within = {power - near:.3g} is needed: take about "
                f"{math.ceil(more**2)} times as many, or smaller n"
            )


def assert_consistent(
    student: Student | str,
    teachers: Teacher | Sequence[Teacher] | None = None,
    *,
    n: int = 1_000_000,
    within: float = 0.01,
    detects: float = 0.02,
    false_alarm: float = 1e-6,
    seed: int = 0,
) -> None:
    """Assert that a student finds its teachers: its mean total variation from each is at most
    `within`, at n so large that a bias would show.

    It simulates as many transfer sets as that takes.

    Parameters
    ----------
    student : Student or str
    teachers : Teacher or several of them, optional
        Six of 3 inputs and 4 labels if omitted: even, uneven, with ties, zeros and point masses.
    n : int
        Pairs per transfer set. At a rate of sqrt(SA/n) the default leaves 0.0035 of the six.
    within, detects : float
        A risk of at most `within` is right; one of `detects` or more must be caught with
        probability at least 1 - false_alarm.
    false_alarm : float
        Probability at most with which the call fails though all risks are right.
    seed : int

    Raises
    ------
    AssertionError
        The risk on a teacher exceeds `within`.

    Examples
    --------
    >>> assert_consistent("ce_sgl")
    >>> assert_consistent("ce_ptl")
    Traceback (most recent call last):
        ...
    AssertionError: ce_ptl on dirichlet(alpha=1.0, seed=1), n = 1000000: mean 0.1... exceeds ...
    """
    given = [teachers] if isinstance(teachers, Teacher) else teachers
    chosen = _teachers() if given is None else list(given)
    if not chosen:
        raise ValueError("teachers = []: give at least one teacher, or leave it out")
    high = unit_interval(detects, "detects")
    low = number_between(within, "within", low=0.0, high=high)
    share = unit_interval(false_alarm, "false_alarm") / len(chosen)
    repeats = math.ceil(16.0 * math.log(3.0 / share) / (high - low)) if high > low else 2
    size = whole_number(n, "n", low=1)
    for teacher in chosen:
        run = simulate(teacher, student, size, repeats, seed, progress=False)
        assert_below(run, low, detects=high - low, false_alarm=share)


def _teachers() -> list[Teacher]:
    from kt_theory.teachers import deterministic, dirichlet, uniform, zipf

    ties = [[0.4, 0.4, 0.2, 0.0], [0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0.0, 0.0]]
    uneven = Teacher(ties, rho=[0.9, 0.09, 0.01], name="ties and zeros")
    almost = Teacher([[0.97, 0.01, 0.01, 0.01]] * 3, name="almost point masses")
    families = [dirichlet(3, 4, seed=1), zipf(3, 4), uniform(3, 4), deterministic(3, 4)]
    return [*families, uneven, almost]


class _Mean(NamedTuple):
    """A mean, the radius of its interval, and what it is of."""

    value: float
    radius: float
    name: str


def _means(estimate: Any, detects: float, false_alarm: float) -> list[_Mean]:
    """Return the means, or raise where a gap of `detects` could hide."""
    power = positive(detects, "detects")
    rows = _rows(estimate)
    means = _measured(rows, false_alarm)
    for row, mean in zip(rows, means, strict=True):
        if 2.0 * mean.radius > power:
            raise AssertionError(
                f"{mean.name}{row.repeats} repeats detect {2 * mean.radius:.3g} at best, not "
                f"{power:.3g}: take more"
            )
    return means


def _measured(rows: list[Any], false_alarm: float) -> list[_Mean]:
    share = unit_interval(false_alarm, "false_alarm") / len(rows)
    found = []
    for row in rows:
        span = _span(row)
        radius = confidence_radius(row.std_error, row.repeats, share, span)
        found.append(_Mean(row.mean, radius, _named(row)))
    return found


def _rows(estimate: Any) -> list[Any]:
    """Return what has a mean, a standard error and repeats."""
    import pandas as pd

    if isinstance(estimate, Simulation):
        return list(estimate.estimates)
    rows = list(estimate.itertuples()) if isinstance(estimate, pd.DataFrame) else [estimate]
    if not rows or not all(hasattr(rows[0], name) for name in ("mean", "std_error", "repeats")):
        kind = type(estimate).__name__
        raise ValueError(
            f"estimate is a {kind} without rows of mean, std_error and repeats: must be a "
            "Simulation, its frame, or one of its estimates"
        )
    return rows


def _span(row: Any) -> float:
    """Return the range of what the mean is of."""
    loss = getattr(row, "loss", "tv")
    largest = LOSSES[loss].largest if loss in LOSSES else math.inf
    if math.isinf(largest):
        raise ValueError(
            f"loss = {shown(loss)}: has no end, so that no test of its mean has an error rate; "
            "simulate with loss='tv', or another loss that is bounded"
        )
    controlled = getattr(row, "variance_factor", 1.0) != 1.0
    return largest * (_CONTROLLED if controlled else 1.0)


def _named(row: Any) -> str:
    """Return what begins a message: "ce_sgl on zipf(exponent=1), n = 100: "."""
    if not hasattr(row, "student"):
        return ""
    where = f" on {row.teacher}" if hasattr(row, "teacher") else ""
    size = f", n = {row.n}" if hasattr(row, "n") else ""
    loss = f", {row.loss}" if getattr(row, "loss", "tv") != "tv" else ""
    return f"{row.student}{where}{size}{loss}: "


def _for_each(values: Any, name: str, rows: int) -> list[float]:
    """Return one number for each row."""
    array = as_floats(values, name)
    if array.ndim == 0:
        return [float(array)] * rows
    if array.size != rows:
        raise ValueError(
            f"{name} has {array.size} entries: there are {rows} rows; give one for each, in their "
            "order, or a single number"
        )
    return [float(value) for value in array.ravel()]


def _curves(rows: list[Any]) -> dict[str, list[int]]:
    """Return the places of the rows of each curve, by its name."""
    import pandas as pd

    if not all(hasattr(row, "n") for row in rows):
        raise ValueError(
            "estimate has no n: a rate needs a Simulation, or its frame, of at least 3 different n"
        )
    facts = ("teacher", "student", "access", "loss", "inputs", "labels")
    table = pd.DataFrame(
        [{key: getattr(row, key) for key in facts if hasattr(row, key)} for row in rows]
    )
    found: dict[str, list[int]] = {}
    for i, row in enumerate(table[identifying(table)].itertuples(index=False)):
        parts = [f"{key}={value}" for key, value in zip(row._fields, row, strict=True)]
        found.setdefault(", ".join(parts) or "the table", []).append(i)
    return found


def _slope(sizes: list[int], means: list[_Mean], name: str) -> tuple[float, float]:
    """Return the interval of the least-squares slope, given those of the risks."""
    if len(set(sizes)) < 3 or min(sizes) < 1:
        raise ValueError(f"{name}: n = {shown(sizes)}: must be at least 3 different n above 0")
    logs = np.log(np.array(sizes, dtype=np.float64))
    centred = logs - logs.mean()
    weights = centred / (centred @ centred)
    least = np.array([mean.value - mean.radius for mean in means])
    most = np.array([mean.value + mean.radius for mean in means])
    if not np.isfinite(most).all():
        raise AssertionError(f"{name}: a risk is infinite: it has no rate")
    with np.errstate(divide="ignore"):
        low, high = np.log(np.maximum(least, 0.0)), np.log(most)
    rising = weights > 0.0
    moving = weights != 0.0
    weights, low, high, rising = (each[moving] for each in (weights, low, high, rising))
    return (
        float(weights @ np.where(rising, low, high)),
        float(weights @ np.where(rising, high, low)),
    )
