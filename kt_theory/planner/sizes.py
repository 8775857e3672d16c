"""The planner's table: every access level side by side, with prices the cheapest."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from types import NoneType
from typing import TYPE_CHECKING, Any

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

__all__ = ["SampleSize", "plan", "plans", "samples_needed"]

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
    tables: list[pd.DataFrame] = []
    wanted = list(tvs)
    with tqdm(
        total=len(wanted) * len(shown), unit="levels", delay=2, disable=None, leave=False
    ) as bar:
        for tv in wanted:
            rows = []
            for name, one in shown.items():
                bar.set_postfix_str(name, refresh=False)
                if name in others and isinstance(source, Teacher):
                    found = needed_by(others[name], source, tv, confidence)
                else:
                    found = needed_at(one, inputs, labels, tv, source, confidence, tops)
                row = {"access": name, "lower": found.lower, "n": found.n}
                if isinstance(source, TransferSet):
                    row["low"], row["high"] = found.interval or (None, None)
                if prices is not None:
                    query, entry = price.get(name, (math.nan, math.nan))
                    each = query + one.level.revealed(width) * entry
                    row["cost"] = math.nan if found.n is None else found.n * each
                    if isinstance(source, TransferSet):
                        low, high = found.interval or (math.nan, math.nan)
                        row["cost_low"], row["cost_high"] = low * each, high * each
                rows.append(row | {"certificate": found.certificate, "reason": found.reason})
                bar.update()
            tables.append(_table(rows, prices is not None))
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


def _table(rows: list[dict[str, Any]], priced: bool) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(rows)
    frame = frame.astype({name: "Int64" for name in ("n", "lower", "low", "high") if name in frame})
    if priced:
        cheapest = frame["cost"].notna() & (frame["cost"] == frame["cost"].min())
        frame.insert(frame.columns.get_loc("cost") + 1, "cheapest", cheapest)
    return frame


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
