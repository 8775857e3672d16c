"""The planner: how many queries a copy within a total variation takes, at every access level, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from kt_theory.planning import bounds as plan_bounds
from kt_theory.planning import records as plan_records
from kt_theory.planning.bounds import Level
from kt_theory.planning.search import FINE, Enough, first_below
from kt_theory.teacher import Teacher
from kt_theory.transfer.sets import TransferSet
from kt_theory.validation import LARGEST_COUNT, unit_interval, unknown_name, whole_number

if TYPE_CHECKING:
    import pandas as pd

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
        Queries that suffice; None where there is no such number up to 2^53. For a transfer set: further queries.
    lower : int
        With fewer queries no student succeeds on every teacher. For one teacher in hand: fewer do not suffice for the
        student named in `certificate` (another student may know this teacher). For a transfer set 0: nothing is proved.
    reason : str
        Why n is None; otherwise empty.
    certificate : str
        What proves that n suffices, and how sharp it is; an estimate says so: "plug-in, not proved".
    bracket_tried : tuple of (n, value)
        The bounds or risks evaluated on the way to n, in ascending n.
    access : str
    tv : float
    confidence : float or None
        None: TV in mean at most tv. Otherwise TV at most tv with at least this probability.
    floor : float
        What no number of queries removes; above 0 only where the access hides the tails of rows.
    """

    n: int | None
    lower: int
    reason: str
    certificate: str
    bracket_tried: tuple[tuple[int, float], ...]
    access: str
    tv: float
    confidence: float | None
    floor: float = 0.0


def samples_needed(
    access: str = "soft",
    inputs: Any = None,
    labels: Any = None,
    tv: Any = 0.05,
    *,
    teacher: Any = None,
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

    With a teacher, n is the last crossing of the level's student on it: risk(n) <= tv < risk(n-1).

    With a transfer set, n is how many more queries are needed: none where the certificate of the copy in hand
    (`kt.fit`) is at most tv. Otherwise, given all sizes (`inputs`, and `labels` unless the set declares them), a proved
    number for every teacher, from what the records have not resolved yet. Otherwise an estimate from the records,
    whose `certificate` begins with "plug-in, not proved".

    "top_k_only" shows the k most probable labels with their probabilities, whatever was sampled, and nothing else: the
    tail of a row is never learnt. The student shares its mass equally; the floor that this leaves, in the worst case
    max_m m/(k+m) (1 - m/(A-k)), may exceed tv, and then no number of queries suffices.

    Parameters
    ----------
    access : str
        "hard", "partial", "top_k" (with k), "top_k_only" (with k), "soft" or "gradient" (with graph and hops).
    inputs, labels : int
        S and A; with a teacher they may be omitted, and with `graph` so may inputs.
    tv : float
        In (0, 1).
    teacher : Teacher, DataFrame, array_like or TransferSet, optional
        A DataFrame has a column of probabilities for each label, and may have `rho` and `input`; an array is (S, A).
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
    >>> from kt_theory.planning.sizes import samples_needed
    >>> found = samples_needed(access="soft", inputs=1000, labels=50, tv=0.05)
    >>> found.n == found.lower
    True
    """
    goal = unit_interval(tv, "tv")
    sure = None if confidence is None else unit_interval(confidence, "confidence")
    source = plan_records.as_source(teacher)
    if isinstance(source, TransferSet):
        sized = partial(plan_bounds.level, access, k=k, graph=graph, hops=hops, teacher=None)
        return _for_records(source, sized, inputs, labels, goal, sure)
    level = plan_bounds.level(access, inputs, labels, k, graph, hops, source)
    floor = plan_bounds.floor_of(level, source)
    if floor > goal:
        return _impossible(level, goal, sure, floor)
    if source is not None:
        return _for_teacher(level, source, goal, sure, floor)
    if goal >= 1.0 - 1.0 / level.labels:
        certificate = "without a query the uniform distribution is within 1-1/A of every teacher"
        return SampleSize(0, 0, "", certificate, ((0, 1.0 - 1.0 / level.labels),), level.name, goal, sure)
    mean = goal if sure is None else goal + (1.0 - sure) * (1.0 - goal)
    enough = plan_bounds.enough(level, goal) if sure is None else plan_bounds.enough_surely(level, goal, 1.0 - sure)
    lower = enough.first if sure is None and enough.exact else plan_bounds.too_few(level, mean, enough.n)
    return _result(level, enough, lower, goal, sure, floor)


def plan(
    inputs: Any = None,
    labels: Any = None,
    tv: Any = 0.05,
    confidence: Any = None,
    prices: Mapping[str, Any] | None = None,
    teacher: Any = None,
    top: tuple[int, ...] = (1, 5),
    *,
    top_only: tuple[int, ...] = (),
    graph: Any = None,
    hops: Any = 1,
) -> pd.DataFrame:
    """Return the queries needed at every access level side by side, and the cheapest level.

    Parameters
    ----------
    inputs, labels, tv, confidence, teacher
        As for `samples_needed`.
    prices : mapping, optional
        Access level ("hard", "partial", "top_k(5)", "top_k_only(5)", "soft", "gradient") to the price per query, or to
        a pair (price per query, price per revealed log-probability): a query reveals none, 1, k + 1, k and A of them;
        a gradient reveals as many as the input has neighbours and takes a price per query. Levels without a price have
        no cost.
    top, top_only : tuple of int
        Which top-k levels to show, with the sampled label and without it; those with k >= A-1 are soft labels and are
        left out.
    graph, hops
        Show gradients along this graph, as for `minimax_risk`.

    Returns
    -------
    DataFrame, one row per level: access, lower, n (missing where impossible), certificate, reason; with prices also
    cost and cheapest.
    """
    import pandas as pd

    source = plan_records.as_source(teacher)
    inputs, width = _sizes(source, inputs, labels, graph)
    levels = _levels(width, top, top_only, graph, hops)
    price = {name: _price(name, value, levels) for name, value in (prices or {}).items()}
    rows = []
    for name, (entries, options) in levels.items():
        found = samples_needed(inputs=inputs, labels=labels, tv=tv, confidence=confidence, teacher=source, **options)
        row = {"access": name, "lower": found.lower, "n": found.n}
        if prices is not None:
            query, entry = price.get(name, (math.nan, math.nan))
            row["cost"] = math.nan if found.n is None else found.n * (query + entries * entry)
        rows.append(row | {"certificate": found.certificate, "reason": found.reason})
    frame = pd.DataFrame(rows).astype({"n": "Int64", "lower": "Int64"})
    if prices is not None:
        frame.insert(4, "cheapest", frame["cost"].notna() & (frame["cost"] == frame["cost"].min()))
    return frame


def _sizes(source: Teacher | TransferSet | None, inputs: Any, labels: Any, graph: Any) -> tuple[Any, int]:
    """Return the inputs to plan for, None where records do not say how many there are, and the labels."""
    if isinstance(source, TransferSet):
        plan_records.refuse_sizes(source, inputs, labels)
        return inputs, len(source.label_names) if labels is None else whole_number(labels, "labels", low=1)
    access = "soft" if graph is None else "gradient"
    level = plan_bounds.level(access, inputs, labels, None, graph, 1, source)
    return level.inputs, level.labels


def _levels(
    width: int, top: tuple[int, ...], top_only: tuple[int, ...], graph: Any, hops: Any
) -> dict[str, tuple[int, dict[str, Any]]]:
    """Return the levels to show: name to (log-probabilities that a query reveals, options of `samples_needed`)."""
    levels: dict[str, tuple[int, dict[str, Any]]] = {"hard": (0, {"access": "hard"})}
    for k in (whole_number(k, "top_only", low=1) for k in top_only):
        if k < width - 1:
            levels[f"top_k_only({k})"] = k, {"access": "top_k_only", "k": k}
    levels["partial"] = 1, {"access": "partial"}
    for k in (whole_number(k, "top") for k in top):
        if k < width - 1:
            levels[f"top_k({k})"] = k + 1, {"access": "top_k", "k": k}
    levels["soft"] = width, {"access": "soft"}
    if graph is not None:
        levels["gradient"] = 0, {"access": "gradient", "graph": graph, "hops": hops}
    elif hops != 1:
        raise ValueError(f"hops = {hops!r}: goes with graph=...")
    return levels


def _price(name: str, value: Any, levels: Mapping[str, Any]) -> tuple[float, float]:
    if name not in levels:
        raise unknown_name("access level", name, levels)
    try:
        query, entry = (float(part) for part in (value if isinstance(value, (tuple, list)) else (value, 0.0)))
    except (TypeError, ValueError):
        raise ValueError(f"prices[{name!r}] = {value!r}: must be a price per query, or a pair") from None
    if not (0.0 <= query < math.inf and 0.0 <= entry < math.inf):
        raise ValueError(f"prices[{name!r}] = {value!r}: must be finite and at least 0")
    if name == "gradient" and entry:
        raise ValueError(f"prices['gradient'] = {value!r}: must be a price per query; neighbours differ between inputs")
    return query, entry


def _result(level: Level, enough: Enough, lower: int, tv: float, sure: float | None, floor: float = 0.0) -> SampleSize:
    reason = ""
    if enough.n is None:
        least = f"no student succeeds with fewer than {lower}" if lower else "nothing is proved from below"
        reason = f"{level.name}: more than 2^53 queries, beyond which float64 cannot count; {least}"
    return SampleSize(enough.n, lower, reason, enough.certificate, enough.tried, level.name, tv, sure, floor)


def _impossible(level: Level, tv: float, sure: float | None, floor: float) -> SampleSize:
    reason = (
        f"{level.name}: impossible, the tails that it hides leave TV = {floor:.6g} > {tv:g} after any number of "
        "queries; it takes a larger k, or the sampled label's probability too (top_k)"
    )
    certificate = "1/2 sum_s rho_s sum_tail |p - M/(A-k)|, M the mass of the tail, equally shared"
    return SampleSize(None, LARGEST_COUNT + 1, reason, certificate, (), level.name, tv, sure, floor)


def _for_records(
    transfer: TransferSet, sized: Callable[..., Level], inputs: Any, labels: Any, tv: float, sure: float | None
) -> SampleSize:
    plan_records.refuse_sizes(transfer, inputs, labels)
    known = inputs is not None and (labels is not None or transfer.closed)
    level = sized(
        inputs=len(transfer.input_names) if inputs is None else inputs,
        labels=len(transfer.label_names) if labels is None else labels,
    )
    return _result(level, plan_records.more_needed(transfer, level, tv, sure, known), 0, tv, sure)


def _for_teacher(level: Level, teacher: Teacher, tv: float, sure: float | None, floor: float) -> SampleSize:
    from kt_theory.risk.cost import NoExactRisk
    from kt_theory.risk.exact import exact_risk

    if sure is not None:
        enough = plan_bounds.enough_surely(level, tv, 1.0 - sure, teacher)
        return _result(level, enough, 0, tv, sure, floor)
    largest, hides = plan_bounds.surely_enough(level, tv), level.access == "top_k_only"
    student = None if hides else plan_bounds.student(level)

    def risk(n: int) -> float:
        return plan_bounds.tail_risk(teacher, level.k, n) if hides else float(exact_risk(teacher, student, n))

    try:
        found = first_below(risk, tv, start=largest, digits=FINE, power=None)
    except NoExactRisk:
        return _simulated(level, teacher, student, tv, largest)
    certificate = f"exact risk of {plan_bounds.student_name(level)} on this teacher"
    return _result(level, Enough.of(found, certificate, exact=True), found.last_above + 1, tv, None, floor)


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
