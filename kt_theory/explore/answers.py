"""What the library answers, in words and tables: from a state and what is known, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kt_theory.explore.questions import (
    Copy,
    Curve,
    Question,
    Refused,
    copies_asked,
    counts_after,
    curves_asked,
    limit_asked,
    limits_asked,
    plan_asked,
)
from kt_theory.explore.state import State, level_of
from kt_theory.limits.limit import Limit
from kt_theory.planner import words
from kt_theory.planner.needed import SampleSize
from kt_theory.planner.sizes import priced, side_by_side
from kt_theory.plurals import counted

Known = Mapping[Question, Any]
Table = list[list[str]]

ROWS, COLUMNS = 8, 8
"""The part of a transfer set that is shown."""


def limit_words(state: State, known: Known) -> str:
    """Return the limit of the chosen level at the chosen n in a sentence."""
    found: Limit | Refused | None = known.get(limit_asked(state))
    name = words.name(state.level)
    pairs = counted(state.n, "pair")
    size = f"{counted(state.inputs, 'input')} and {state.labels:,} labels"
    match found:
        case None:
            return f"Computing the limit of {name} after {pairs}."
        case Refused(reason):
            return f"No limit: {reason}."
        case Limit(exact=True):
            return (
                f"After {pairs} of {name}, the least worst-case risk over teachers of {size} is "
                f"{found.upper:.4g}: a student attains it, none does better."
            )
    return (
        f"After {pairs} of {name}, the least worst-case risk over teachers of {size} lies between "
        f"{found.lower:.4g} and {found.upper:.4g}."
    )


def limits_known(state: State, known: Known) -> dict[str, list[Limit]]:
    """Return the limits that are known, by level, in order of n."""
    found = {}
    for level, asked in limits_asked(state).items():
        answers = [known[each] for each in asked if each in known]
        limits = [each for each in answers if isinstance(each, Limit)]
        found[level] = sorted(limits, key=_size_of)
    return found


def limits_status(state: State, known: Known) -> str:
    """Return what of the limits is being computed, and what there is none of."""
    parts = []
    for level, asked in limits_asked(state).items():
        answers = [known[each] for each in asked if each in known]
        if len(answers) < len(asked):
            parts.append(f"computing {words.name(level)}: {len(answers)} of {len(asked)} points")
        refused = [each.reason for each in answers if isinstance(each, Refused)]
        limits = [each for each in answers if isinstance(each, Limit)]
        if refused:
            parts.append(f"no limit of {words.name(level)}: {refused[0]}")
        elif limits and len(answers) == len(asked) and all(each.upper == 0.0 for each in limits):
            parts.append(f"not drawn, as the limit is 0: {words.name(level)}")
    return _sentence(parts)


def plan_words(state: State, known: Known) -> str:
    """Return the plan in words, once it is known of every level."""
    frame = _plan(state, known)
    if frame is None:
        return f"Computing the queries for a copy within total variation {state.tv:g}."
    return words.answer(frame, state.tv)


def plan_table(state: State, known: Known) -> Table:
    """Return level, queries, and with a price cost of every level, a header first; "..." where it
    is being computed.
    """
    frame = _plan(state, known)
    costs = {}
    if frame is not None and "cost" in frame:
        costs = {row.access: f"{row.cost:,.2f}" for row in frame.itertuples() if row.cost >= 0}
    found = [["level", "too few", "enough", *["cost"] * _has_price(state)]]
    for level, question in plan_asked(state).items():
        needed = known.get(question)
        if needed is None:
            cells = ["...", "..."]
        elif isinstance(needed, Refused):
            cells = ["-", "-"]
        else:
            least = f"< {needed.lower:,}" if needed.n is not None and needed.lower else "-"
            cells = [least, "never" if needed.n is None else f"{needed.n:,}"]
        found.append([words.name(level), *cells, *[costs.get(level, "-")] * _has_price(state)])
    return found


def plan_status(state: State, known: Known) -> str:
    """Return which levels are being planned for."""
    asked = plan_asked(state).items()
    missing = [words.name(level) for level, question in asked if question not in known]
    parts = [f"computing {', '.join(missing)}"] if missing else []
    for level, question in asked:
        answer = known.get(question)
        if isinstance(answer, Refused):
            parts.append(f"no plan for {words.name(level)}: {answer.reason}")
    return _sentence(parts)


def copies_table(state: State, known: Known) -> Table:
    """Return the teacher's first row and every student's copy of it, with the copy's total
    variation over all inputs, a header first.
    """
    width = min(state.labels, COLUMNS)
    numbered = [f"label {label + 1}" for label in range(width)]
    found = [["row of input 1", "sees", "TV", *numbered]]
    row = state.asked.teacher.pi[0, :width]
    found.append(["teacher", "-", "-", *(f"{entry:.3f}" for entry in row)])
    copies: tuple[Copy, ...] = known.get(copies_asked(state)[-1], ())
    for copy in copies:
        cells = [f"{entry:.3f}" for entry in copy.row[:width]]
        found.append([copy.student, copy.access, f"{copy.tv:.4f}", *cells])
    return found


def counts_table(state: State) -> Table:
    """Return counts of the first inputs and labels with the teacher's probability, a header
    first.
    """
    counts, teacher = counts_after(state.asked, state.steps), state.asked.teacher
    width = min(state.labels, COLUMNS)
    found = [["", *(f"label {label + 1}" for label in range(width))]]
    for row in range(min(state.inputs, ROWS)):
        cells = [f"{counts[row, a]:,} ({teacher.pi[row, a]:.2f})" for a in range(width)]
        found.append([f"input {row + 1}", *cells])
    return found


def transfer_words(state: State) -> str:
    """Return what the transfer set holds so far."""
    counts = counts_after(state.asked, state.steps)
    pairs = state.totals[-1]
    if not pairs:
        return "The transfer set is empty: every copy is uniform."
    seen, labels = int((counts.sum(axis=1) > 0).sum()), int((counts > 0).sum())
    return (
        f"{counted(pairs, 'pair')} in {counted(len(state.steps), 'step')}: {seen:,} of "
        f"{counted(state.inputs, 'input')} and {labels:,} of {counts.size:,} input-label pairs "
        "seen."
    )


def curves_known(state: State, known: Known) -> dict[str, Curve]:
    """Return the students' risks on the teacher that are known, by name."""
    asked = curves_asked(state).items()
    return {name: known[question] for name, question in asked if question in known}


def copies_known(state: State, known: Known) -> dict[str, list[tuple[int, float]]]:
    """Return (pairs, total variation) of every student's copies after each step, by name."""
    found: dict[str, list[tuple[int, float]]] = {}
    for total, question in zip(state.totals, copies_asked(state), strict=True):
        for each in known.get(question, ()):
            found.setdefault(each.student, []).append((total, each.tv))
    return found


def transfer_status(state: State, known: Known) -> str:
    """Return which students' risks are being computed, and which are simulated."""
    asked = curves_asked(state).items()
    missing = [name for name, question in asked if question not in known]
    parts = [f"computing the risks of {', '.join(missing)}"] if missing else []
    if any(question not in known for question in copies_asked(state)):
        parts.append("computing copies")
    curves = curves_known(state, known).items()
    simulated = {name: curve.how for name, curve in curves if curve.how != "exact"}
    if simulated:
        how = next(iter(simulated.values()))
        parts.append(f"an exact risk would take too long of {', '.join(simulated)}: {how}")
    return _sentence(parts)


def _plan(state: State, known: Known) -> Any:
    """Return the table of `plan`, None before every level is known."""
    answers = {level: known.get(question) for level, question in plan_asked(state).items()}
    if any(answer is None for answer in answers.values()):
        return None
    found = {level: each for level, each in answers.items() if isinstance(each, SampleSize)}
    frame = side_by_side(found)
    if not _has_price(state):
        return frame
    levels = {level: level_of(level, state.inputs) for level in found}
    prices = {
        level: (state.query_price, 0.0 if access.beyond_row else state.entry_price)
        for level, access in levels.items()
    }
    return priced(frame, prices, levels, state.labels)


def _has_price(state: State) -> bool:
    return state.query_price > 0.0 or state.entry_price > 0.0


def _size_of(limit: Limit) -> int:
    return limit.n


def _sentence(parts: list[str]) -> str:
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""
