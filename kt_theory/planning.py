"""The planner: how many queries a copy within a total variation takes, at every access level, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kt_theory import plan_bounds
from kt_theory.plan_bounds import Level
from kt_theory.plan_search import FINE, Enough, first_below
from kt_theory.validation import unit_interval, unknown_name, whole_number

if TYPE_CHECKING:
    import pandas as pd

    from kt_theory.teacher import Teacher

SIMULATED_SETS, STANDARD_ERRORS = 256, 5.0
"""Least transfer sets per n where a teacher has no exact risk, and how many standard errors decide."""

STEP = 6
"""Binary digits of the n at which a teacher without exact risk is simulated: steps of 1.6 to 3.1 %."""


@dataclass(frozen=True)
class SampleSize:
    """How many queries suffice, and how few cannot.

    Attributes
    ----------
    n : int or None
        Queries that suffice; None where there is no such number up to 2^53.
    lower : int
        With fewer queries no student succeeds on every teacher. For one teacher in hand: fewer do not suffice for the
        student named in `certificate` (another student may know this teacher).
    reason : str
        Why n is None; otherwise empty.
    certificate : str
        What proves that n suffices, and how sharp it is.
    bracket_tried : tuple of (n, value)
        The bounds or risks evaluated on the way to n, in ascending n.
    access : str
    tv : float
    confidence : float or None
        None: TV in mean at most tv. Otherwise TV at most tv with at least this probability.
    """

    n: int | None
    lower: int
    reason: str
    certificate: str
    bracket_tried: tuple[tuple[int, float], ...]
    access: str
    tv: float
    confidence: float | None


def samples_needed(
    access: str = "soft",
    inputs: Any = None,
    labels: Any = None,
    tv: Any = 0.05,
    *,
    teacher: Teacher | None = None,
    confidence: Any = None,
    k: Any = None,
    graph: Any = None,
    hops: Any = 1,
) -> SampleSize:
    """Return the number of queries that a copy within total variation `tv` takes.

    In the worst case over all teachers and input laws of the given size: n is the least number with a proved
    upper(n) <= tv, `lower` the least with a proved lower(n) <= tv, of min over students max over teachers E TV. As the
    minimax risk does not increase in n (a student may ignore samples), every evaluated n is a certificate for its side.

    With `confidence` 1-delta, n is from proved bounds on P(TV > tv) <= delta; and since such a student has
    E TV <= tv + delta (1 - tv), `lower` is that of this larger mean.

    With `teacher`, n is the last crossing of the level's student on it: risk(n) <= tv < risk(n-1).

    Parameters
    ----------
    access : str
        "hard", "partial", "top_k" (with k), "soft" or "gradient" (with graph and hops).
    inputs, labels : int
        S and A; with `teacher` they may be omitted, and with `graph` so may inputs.
    tv : float
        In (0, 1).
    teacher : Teacher, optional
    confidence : float, optional
        1-delta in (0, 1).
    k, graph, hops
        As for `minimax_risk`.

    Returns
    -------
    SampleSize

    Raises
    ------
    ValueError
        Naming the argument that is missing, out of range, or of another level.

    References
    ----------
    Zhao and Zhu (2023), Theorems 3.1 to 5.2, sharpened by `minimax_risk` and `missing_mass_bounds`.

    Examples
    --------
    >>> from kt_theory.planning import samples_needed
    >>> found = samples_needed(access="soft", inputs=1000, labels=50, tv=0.05)
    >>> found.n == found.lower
    True
    """
    goal = unit_interval(tv, "tv")
    sure = None if confidence is None else unit_interval(confidence, "confidence")
    level = plan_bounds.level(access, inputs, labels, k, graph, hops, teacher)
    if teacher is not None:
        return _for_teacher(level, teacher, goal, sure)
    if goal >= 1.0 - 1.0 / level.labels:
        certificate = "without a query the uniform distribution is within 1-1/A of every teacher"
        return SampleSize(0, 0, "", certificate, ((0, 1.0 - 1.0 / level.labels),), level.name, goal, sure)
    mean = goal if sure is None else goal + (1.0 - sure) * (1.0 - goal)
    enough = plan_bounds.enough(level, goal) if sure is None else plan_bounds.enough_surely(level, goal, 1.0 - sure)
    lower = enough.first if sure is None and enough.exact else plan_bounds.too_few(level, mean, enough.n)
    return _result(level, enough, lower, goal, sure)


def plan(
    inputs: Any = None,
    labels: Any = None,
    tv: Any = 0.05,
    confidence: Any = None,
    prices: Mapping[str, Any] | None = None,
    teacher: Teacher | None = None,
    top: tuple[int, ...] = (1, 5),
) -> pd.DataFrame:
    """Return the queries needed at every access level side by side, and the cheapest level.

    Parameters
    ----------
    inputs, labels, tv, confidence, teacher
        As for `samples_needed`.
    prices : mapping, optional
        Access level ("hard", "partial", "top_k(5)", "soft") to the price per query, or to a pair (price per query,
        price per revealed log-probability): a query reveals none, 1, k + 1 and A of them. Levels without a price have
        no cost.
    top : tuple of int
        Which top-k levels to show; those with k >= A-1 are soft labels and are left out.

    Returns
    -------
    DataFrame, one row per level: access, lower, n (missing where impossible), certificate, reason; with prices also
    cost and cheapest.
    """
    import pandas as pd

    width = plan_bounds.level("soft", inputs, labels, None, None, 1, teacher).labels
    levels: dict[str, dict[str, Any]] = {"hard": {"access": "hard"}, "partial": {"access": "partial"}}
    for shown in (whole_number(k, "top") for k in top):
        if shown < width - 1:
            levels[f"top_k({shown})"] = {"access": "top_k", "k": shown}
    levels["soft"] = {"access": "soft"}
    price = {name: _price(name, value, levels) for name, value in (prices or {}).items()}
    rows = []
    for name, options in levels.items():
        found = samples_needed(inputs=inputs, labels=labels, tv=tv, confidence=confidence, teacher=teacher, **options)
        row = {"access": name, "lower": found.lower, "n": found.n}
        if prices is not None:
            entries = {"hard": 0, "partial": 1, "soft": width}.get(name, options.get("k", 0) + 1)
            known = name in price and found.n is not None
            row["cost"] = found.n * (price[name][0] + entries * price[name][1]) if known else math.nan
        rows.append(row | {"certificate": found.certificate, "reason": found.reason})
    frame = pd.DataFrame(rows).astype({"n": "Int64", "lower": "Int64"})
    if prices is not None:
        frame.insert(4, "cheapest", frame["cost"].notna() & (frame["cost"] == frame["cost"].min()))
    return frame


def _price(name: str, value: Any, levels: Mapping[str, Any]) -> tuple[float, float]:
    if name not in levels:
        raise unknown_name("access level", name, levels)
    try:
        query, entry = (float(part) for part in (value if isinstance(value, (tuple, list)) else (value, 0.0)))
    except (TypeError, ValueError):
        raise ValueError(f"prices[{name!r}] = {value!r}: must be a price per query, or a pair") from None
    if not (0.0 <= query < math.inf and 0.0 <= entry < math.inf):
        raise ValueError(f"prices[{name!r}] = {value!r}: must be finite and at least 0")
    return query, entry


def _result(level: Level, enough: Any, lower: int, tv: float, sure: float | None) -> SampleSize:
    reason = ""
    if enough.n is None:
        least = f"no student succeeds with fewer than {lower}" if lower else "nothing is proved from below"
        reason = f"{level.name}: more than 2^53 queries, beyond which float64 cannot count; {least}"
    return SampleSize(enough.n, lower, reason, enough.certificate, enough.tried, level.name, tv, sure)


def _for_teacher(level: Level, teacher: Teacher, tv: float, sure: float | None) -> SampleSize:
    from kt_theory.risk.cost import NoExactRisk
    from kt_theory.risk.exact import exact_risk

    student = plan_bounds.student(level)
    if sure is not None:
        enough = plan_bounds.enough_surely(level, tv, 1.0 - sure, teacher)
        return _result(level, enough, 0, tv, sure)
    largest = plan_bounds.surely_enough(level, tv)
    try:
        found = first_below(
            lambda n: float(exact_risk(teacher, student, n)), tv, start=largest, digits=FINE, power=None
        )
        certificate = f"exact risk of {student.name} on this teacher"
    except NoExactRisk:
        return _simulated(level, teacher, student, tv, largest)
    return _result(level, Enough.of(found, certificate, exact=True), found.last_above + 1, tv, None)


def _simulated(level: Level, teacher: Teacher, student: Any, tv: float, largest: int) -> SampleSize:
    """Decide by simulation: n suffices where mean + 5 standard errors <= tv, fails where mean - 5 > tv."""
    from kt_theory.risk.montecarlo import simulate

    seen: dict[int, tuple[float, float]] = {}

    def margin(n: int, sign: float) -> float:
        if n not in seen:
            run = simulate(
                teacher, student, n, SIMULATED_SETS, target_se=max(tv, 1e-9) / 200, max_repeats=2**14, progress=False
            )
            seen[n] = (run.estimates[0].mean, run.estimates[0].std_error)
        return seen[n][0] + sign * STANDARD_ERRORS * seen[n][1]

    above = first_below(lambda n: margin(n, 1.0), tv, start=largest, digits=STEP, power=None)
    below = first_below(lambda n: margin(n, -1.0), tv, start=above.n or largest, digits=STEP, power=None)
    certificate = (
        f"simulated risk of {student.name} on this teacher (it has no exact risk): mean + 5 standard errors <= tv, "
        "one-sided error below 1e-6 per n in the normal approximation; n in steps of 1.6 to 3.1 %"
    )
    return _result(level, Enough.of(above, certificate), below.last_above + 1, tv, None)
