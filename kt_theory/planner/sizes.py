"""The planner's table: every access level side by side, with prices the cheapest."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from types import NoneType
from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory.access import Access
from kt_theory.access.shows import WHOLE_ROW
from kt_theory.catalogue import level as named_level
from kt_theory.catalogue import student as named_student
from kt_theory.minimax import Asked
from kt_theory.planner import records as plan_records
from kt_theory.planner.needed import (
    SampleSize,
    asked,
    needed_at,
    needed_by,
    samples_needed,
    sized,
)
from kt_theory.students import Student
from kt_theory.teacher import Teacher
from kt_theory.transfer.sets import TransferSet
from kt_theory.validation import entries_of, shown, unit_interval, unknown_name, whole_number

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SampleSize", "plan", "plans", "priced", "samples_needed", "side_by_side"]

_USUAL_TV = 0.05


def plan(
    inputs: Any = None,
    labels: Any = None,
    tv: Any = None,
    confidence: Any = None,
    prices: Mapping[str, Any] | None = None,
    teacher: Any = None,
    top: tuple[int, ...] = (1, 5),
    *,
    acceptance: Any = None,
    top_only: tuple[int, ...] = (),
    levels: Sequence[str | Access] = (),
    students: Sequence[str | Student] = (),
    graph: Any = None,
    hops: Any = 1,
) -> pd.DataFrame:
    """Return the queries needed at every access level side by side, and the cheapest level.

    On a terminal a bar shows what takes more than 2 seconds.

    Parameters
    ----------
    inputs, labels, confidence, teacher
        As for `samples_needed`.
    tv : float, optional
        In (0, 1), 0.05 if neither it nor `acceptance` is given.
    prices : mapping, optional
        Access level as in the table ("hard", "top_k(5)", "rounded(0.1) soft"; "rounded(0.1)" will
        do) to the price per query, or to a pair (price per query, price per revealed
        log-probability): a query of hard labels reveals none, of partial ones 1, of top_k k + 1, of
        top_k_only k and of whole rows A of them; gradients and Jacobians take a price per query.
        Levels without a price have no cost.
    top, top_only : tuple of int
        Which top-k levels to show, with the sampled label and without it; those with k >= A-1 are
        soft labels and are left out.
    acceptance : float, optional
        In place of tv: the copy drafts for speculative decoding, and its tokens shall be accepted
        with this probability, in (0, 1). That is tv = 1 - acceptance: see `kt_theory.acceptance`.
    levels : sequence of str or Access
        More levels to show, as `access` of `samples_needed`.
    students : sequence of str or Student
        With a teacher: more students to show, each at its level, by name ("laplace",
        "mypkg.rules:discounted(0.5)") or as a value. n is from their exact risk, or by simulation
        where they have none, which `certificate` says.
    graph, hops
        Show gradients along this graph, as for `minimax_risk`.

    Returns
    -------
    DataFrame, one row per level: access, lower, n (missing where impossible, or where records do
    not determine it), certificate, reason; for a transfer set also low and high, the 90 % interval
    of further queries; with prices also cost and cheapest (of those with a number), and for a
    transfer set cost_low and cost_high, of low and high.
    """
    goal = wanted_tv(tv, acceptance)
    return plans(
        [goal],
        inputs,
        labels,
        confidence,
        prices,
        teacher,
        top,
        top_only,
        levels,
        graph,
        hops,
        students,
    )[0]


def wanted_tv(tv: Any, acceptance: Any) -> Any:
    """Return the total variation that is asked for: itself, or by the acceptance of a draft.

    Parameters
    ----------
    tv, acceptance : float or None
        One of them at most; 0.05 is asked for where neither is given.

    Raises
    ------
    ValueError
        If both are given, or the acceptance is not in (0, 1).
    """
    if acceptance is None:
        return _USUAL_TV if tv is None else tv
    if tv is not None:
        raise ValueError(f"acceptance = {shown(acceptance)}: it is 1 - tv; omit tv")
    # In decimals: 1 - 0.8 in binary is below 0.2, and may ask for one query more.
    return float(1 - Decimal(repr(unit_interval(acceptance, "acceptance"))))


def plans(
    tvs: Iterable[Any],
    inputs: Any = None,
    labels: Any = None,
    confidence: Any = None,
    prices: Mapping[str, Any] | None = None,
    teacher: Any = None,
    top: tuple[int, ...] = (1, 5),
    top_only: tuple[int, ...] = (),
    levels: Sequence[str | Access] = (),
    graph: Any = None,
    hops: Any = 1,
    students: Sequence[str | Student] = (),
) -> list[pd.DataFrame]:
    """Return the table of `plan` for each of several total variations."""
    from tqdm import tqdm

    source = plan_records.as_source(teacher)
    inputs, width = _sizes(source, inputs, labels, graph)
    shown = _levels(width, top, top_only, graph, hops)
    for given in entries_of(levels, "levels"):
        one = asked(given, None, None, 1, 1)
        shown.setdefault(one.name, one)
    others = _students(source, entries_of(students, "students"))
    told = [one.level.told for one in shown.values()]
    tops = [held.top for held in told if held is not None and 0 < held.top < WHOLE_ROW]
    if not isinstance(prices, (Mapping, NoneType)):
        raise ValueError(f"prices is a {type(prices).__name__}: must map access levels to prices")
    shown |= {name: asked(one.access, None, None, 1, 1) for name, one in others.items()}
    price = dict(_price(name, value, shown) for name, value in (prices or {}).items())
    for name, other in others.items():
        price.setdefault(name, price.get(other.access.name, (math.nan, math.nan)))
    levels_shown = {name: one.level for name, one in shown.items()}
    tables: list[pd.DataFrame] = []
    wanted = list(tvs)
    with tqdm(
        total=len(wanted) * len(shown), unit="levels", delay=2, disable=None, leave=False
    ) as bar:
        for tv in wanted:
            found = {}
            for name, one in shown.items():
                bar.set_postfix_str(name, refresh=False)
                if name in others and isinstance(source, Teacher):
                    found[name] = needed_by(others[name], source, tv, confidence)
                else:
                    found[name] = needed_at(one, inputs, labels, tv, source, confidence, tops)
                bar.update()
            frame = side_by_side(found, intervals=isinstance(source, TransferSet))
            tables.append(frame if prices is None else priced(frame, price, levels_shown, width))
    return tables


def _students(source: Any, given: list[Any]) -> dict[str, Student]:
    """Return the students to show beside the levels' own, by their rows' names."""
    if given and not isinstance(source, Teacher):
        raise ValueError(
            f"students = {shown(given)}: goes with teacher=...: for every teacher, n is of the "
            "levels"
        )
    inputs = source.inputs if isinstance(source, Teacher) else None
    found = [named_student(one, inputs) for one in given]
    return {f"{one.access.name}: {one.name}": one for one in found}


def side_by_side(found: Mapping[str, SampleSize], *, intervals: bool = False) -> pd.DataFrame:
    """Return the table of `plan`, without costs, of what each level needs.

    Parameters
    ----------
    found : mapping of str to SampleSize
        By the name of the level.
    intervals : bool
        Also low and high, as for a transfer set.
    """
    import pandas as pd

    rows = []
    for name, needed in found.items():
        row: dict[str, Any] = {"access": name, "lower": needed.lower, "n": needed.n}
        if intervals:
            row["low"], row["high"] = needed.interval or (None, None)
        rows.append(row | {"certificate": needed.certificate, "reason": needed.reason})
    frame = pd.DataFrame(rows)
    return frame.astype({name: "Int64" for name in ("n", "lower", "low", "high") if name in frame})


def priced(
    frame: pd.DataFrame,
    prices: Mapping[str, tuple[float, float]],
    levels: Mapping[str, Access],
    labels: int,
) -> pd.DataFrame:
    """Return a table of `side_by_side` with cost and cheapest, and for intervals cost_low and
    cost_high.

    Parameters
    ----------
    frame : DataFrame
    prices : mapping of str to (float, float)
        Price per query and per revealed log-probability, by level; those without have no cost.
    levels : mapping of str to Access
        Every level of the table.
    labels : int
        A.
    """
    each = []
    for name in frame["access"]:
        query, entry = prices.get(name, (math.nan, math.nan))
        each.append(query + levels[name].revealed(labels) * entry)
    costs = {"cost": "n"} | ({"cost_low": "low", "cost_high": "high"} if "low" in frame else {})
    found = frame.copy()
    for cost, number in costs.items():
        queries = frame[number].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
        found.insert(found.columns.get_loc("certificate"), cost, queries * each)
    cheapest = found["cost"].notna() & (found["cost"] == found["cost"].min())
    found.insert(found.columns.get_loc("cost") + 1, "cheapest", cheapest)
    return found


def _sizes(
    source: Teacher | TransferSet | None, inputs: Any, labels: Any, graph: Any
) -> tuple[Any, int]:
    """Return the inputs to plan for, None where records do not say how many there are, and the
    labels.
    """
    if isinstance(source, TransferSet):
        plan_records.refuse_sizes(source, inputs, labels)
        return inputs, plan_records.labels_of(source) if labels is None else whole_number(
            labels, "labels", low=1
        )
    teacher = source if isinstance(source, Teacher) else None
    shown = asked("soft" if graph is None else "gradient", None, graph, 1, 1)
    found = sized(shown, inputs, labels, teacher)
    return found.inputs, found.labels


def _levels(
    width: int, top: tuple[int, ...], top_only: tuple[int, ...], graph: Any, hops: Any
) -> dict[str, Asked]:
    """Return the levels to show, by name."""
    greedy = [
        k
        for k in entries_of(top_only, "top_only")
        if whole_number(k, "top_only", low=1) < width - 1
    ]
    ranked = [k for k in entries_of(top, "top") if whole_number(k, "top") < width - 1]
    found = [
        asked("hard", None, None, 1, 1),
        *(asked("top_k_only", k, None, 1, 1) for k in greedy),
        asked("partial", None, None, 1, 1),
        *(asked("top_k", k, None, 1, 1) for k in ranked),
        asked("soft", None, None, 1, 1),
    ]
    if graph is not None:
        found.append(asked("gradient", None, graph, hops, 1))
    elif whole_number(hops, "hops") != 1:
        raise ValueError(f"hops = {shown(hops)}: goes with graph=...")
    return {one.name: one for one in found}


def _price(name: str, value: Any, levels: Mapping[str, Asked]) -> tuple[str, tuple[float, float]]:
    """Return the level's name in the table and its prices."""
    own = name
    if name not in levels:
        with suppress(ValueError):
            own = named_level(name).name
    if own not in levels:
        raise unknown_name("access level", name, levels)
    try:
        query, entry = (
            float(part) for part in (value if isinstance(value, (tuple, list)) else (value, 0.0))
        )
    except (TypeError, ValueError):
        raise ValueError(
            f"prices[{name!r}] = {shown(value)}: must be a price per query, or a pair"
        ) from None
    if not (0.0 <= query < math.inf and 0.0 <= entry < math.inf):
        raise ValueError(f"prices[{name!r}] = {shown(value)}: must be finite and at least 0")
    if levels[own].level.beyond_row and entry:
        raise ValueError(
            f"prices[{name!r}] = {shown(value)}: must be a price per query; a query reveals more "
            "than its row"
        )
    return own, (query, entry)
