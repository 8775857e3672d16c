"""The planner's answer in a sentence or two, and what it rests on: for a reader, and the same
content for a program.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kt_theory.planner.estimate import (
    COVERAGE,
    ESTIMATED,
    IN_MEAN_ONLY,
    NOT_ESTIMATED,
    SIZES,
    WEAK,
)
from kt_theory.planner.records import (
    CONTRADICTS,
    PROVED,
    UNIFORM,
    contradiction,
    labels_of,
    names_all,
)
from kt_theory.plurals import counted
from kt_theory.transfer.sets import TransferSet
from kt_theory.validation import LARGEST_COUNT

if TYPE_CHECKING:
    import pandas as pd

_NAMES = {
    "hard": "hard labels",
    "partial": "sampled labels with their probability",
    "soft": "all probabilities",
    "argmax": "most probable labels alone",
    "gradient": "gradients",
}
_COPY_IN_HAND = "certificate of the copy in hand"


def answer(
    frame: pd.DataFrame,
    tv: float,
    *,
    confidence: float | None = None,
    further: bool = False,
    in_hand: tuple[float, float] | None = None,
    acceptance: float | None = None,
    level: str = "hard",
) -> str:
    """Return the answer in sentences: what the levels take, what they save, the cheapest, and what
    has no number.

    Parameters
    ----------
    frame : DataFrame
        A table of `plan`.
    tv : float
    confidence : float or None
    further : bool
        Records are in hand, and the numbers are of further queries.
    in_hand : (float, float) or None
        The certified total variation of the copy that all records teach, and its confidence.
    acceptance : float or None
        What was asked for in place of tv.
    level : str
        The level that comes first, if it has a number: that of the records in hand.
    """
    lines = _lines(frame)
    sure = "" if confidence is None else f" with confidence {confidence:g}"
    if further and confidence is None:
        sure = " in mean"
    goal = f"a copy within total variation {tv:g}{sure}"
    if acceptance is not None:
        goal = f"a draft accepted with probability {acceptance:g} (total variation {tv:g}{sure})"
    numbered = sorted(
        (line for line in lines if line["n"] is not None), key=lambda line: line["access"] != level
    )
    nothing = bool(numbered) and all(line["n"] == 0 for line in numbered)
    sentences = []
    if nothing:
        sentences.append(_nothing(numbered, goal, further))
    elif numbered:
        sentences.append(_savings(numbered, goal, further))
        sentences += _cheapest(lines)
    else:
        sentences.append(f"No level has a number for {goal}{_shared_reason(lines)}.")
    if in_hand is not None and in_hand[0] <= tv:
        sentences[0] = _held(in_hand, "" if nothing else sentences[0])
    sentences += _without_number(lines, further)
    return " ".join(sentences)


def _shared_reason(lines: list[dict[str, Any]]) -> str:
    """Return why no level has a number where the records contradict themselves, or what gives one
    its confidence.
    """
    first = lines[0]["reason"].partition(NOT_ESTIMATED)[2]
    if CONTRADICTS in first:
        return f": {first}"
    provable = any(IN_MEAN_ONLY in line["reason"] and SIZES in line["reason"] for line in lines)
    return f": {SIZES}" if provable else ""


def _held(in_hand: tuple[float, float], beside: str) -> str:
    """Return that the copy in hand is good enough, and what levels take that count only what they
    reveal.
    """
    bound, sure = in_hand
    first = f"You hold a copy that is certified within TV {bound:.3g} ({100 * sure:g} % confidence)"
    first += ": no further query is needed"
    if not beside:
        return f"{first}."
    return (
        f"{first}; counting only what each level reveals itself, {beside[:1].lower()}{beside[1:]}"
    )


def _nothing(lines: list[dict[str, Any]], goal: str, further: bool) -> str:
    """Return that nothing is needed, and why."""
    if not further or all(line["certificate"].startswith(UNIFORM) for line in lines):
        missing = "No further query is needed" if further else "No query is needed"
        return f"{missing} for {goal}: the uniform copy is within it."
    shown = _listed([name(line["access"]) for line in lines])
    if any(line["certificate"].startswith(ESTIMATED) for line in lines):
        return f"By estimate no further query is needed for {goal}: {shown}."
    return f"No further query is needed for {goal}: {shown}."


def name(access: str) -> str:
    """Return what a level is called in a sentence: "top-5 log-probabilities" for top_k(5)."""
    found = re.fullmatch(r"(top_k|top_k_only)\((\d+)\)", access)
    if found is None:
        return _NAMES.get(access, access)
    kind, k = found.groups()
    return (
        f"top-{k} log-probabilities"
        if kind == "top_k"
        else f"top-{k} log-probabilities without the sampled label"
    )


def rests_on(frame: pd.DataFrame, source: Any, inputs: int | None, labels: int | None) -> list[str]:
    """Return what the numbers take for granted, a clause each.

    Parameters
    ----------
    frame : DataFrame
        A table of `plan`.
    source : Teacher, TransferSet or None
        What it was made for.
    inputs, labels : int or None
        The sizes that were given.
    """
    if source is None:
        assert inputs is not None
        assert labels is not None
        return [
            "the bounds are proved for every teacher of "
            f"{counted(inputs, 'input')} and {counted(labels, 'label')}"
        ]
    if not isinstance(source, TransferSet):
        return ["the teacher is the one given, and each level's own student learns from it"]
    certificates = frame["certificate"]
    found = [_law(source)]
    if certificates.str.startswith(ESTIMATED).any():
        found.append(
            f"the numbers are estimated from {counted(len(source), 'record')}, not proved; an "
            f"interval holds the teacher's own with {COVERAGE:.0%} probability if inputs are "
            "alike: what one hides is as in others asked as often"
        )
    if not len(source.entry_record):
        found.append(
            "the records are sampled labels only: what levels that reveal more take rests on counts"
        )
    if certificates.str.startswith(PROVED).any():
        found.append("the numbers are proved for every teacher of the sizes given")
        found.append("low and high are estimates for this teacher")
    if certificates.str.startswith(_COPY_IN_HAND).any():
        found.append("where 0 is needed, the copy in hand is certified")
    found += _sizes(source, inputs, labels)
    if len(source.entry_record):
        found.append(
            "a level that reveals less than the records counts only what it reveals itself, not "
            "what they state beyond"
        )
        off = contradiction(source, labels_of(source) if labels is None else labels)
        if off > 0:
            found.append(f"{CONTRADICTS} by {off:.3g} TV, which no number counts")
    if source.target.merges:
        found.append(
            f"the copy is of {source.target}; variants of a label that no record states have no "
            "mass"
        )
    if source.account.repeated:
        found.append(
            "records of one prompt and one seed are one draw: "
            f"{counted(source.account.repeated, 'repeat does', 'repeats do')} not count"
        )
    if source.account.reasoned:
        found.append("the teacher is the one that reasons before it answers")
    return found


def _law(source: TransferSet) -> str:
    """Return how further answers are drawn, and how those in hand were."""
    same = "further inputs are drawn by the law of those in hand"
    if not source.faithful:
        ways = "; ".join(source.account.changed) or "settings that the records do not tell"
        return (
            f"{same}; the records are read as sampled: the teacher is the one that was sampled, "
            f"under {ways}"
        )
    found = f"{same}, labels sampled at temperature 1 and top_p 1"
    if source.account.unstated_sampling:
        found += "; labels are taken to be sampled from the teacher's distribution"
    return found


def _sizes(source: TransferSet, inputs: int | None, labels: int | None) -> list[str]:
    """Return what is taken for granted of how many inputs and labels there are."""
    found = []
    if inputs is not None:
        found.append(f"there {_are(inputs, 'input')}, as given")
    if labels is not None:
        found.append(f"there {_are(labels, 'label')}, as given")
    elif not names_all(source):
        found.append("one label that no record names has what the rows leave over")
    elif not source.closed:
        which = "declared or seen" if source.target.declared else "that occur"
        found.append(f"no label exists beyond the {len(source.labels):,} {which}")
    return found


def _are(number: int, what: str) -> str:
    return f"{'is' if number == 1 else 'are'} {counted(number, what)}"


def as_json(
    frame: pd.DataFrame, tv: float, confidence: float | None, sentences: str, grounds: list[str]
) -> dict[str, Any]:
    """Return the same for a program: answer, rests_on, tv, confidence and levels, None where there
    is no number.
    """
    lines = _lines(frame)
    for line in lines:
        line["lower"] = line["lower"] if line["lower"] <= LARGEST_COUNT else None
    return {
        "answer": sentences,
        "rests_on": grounds,
        "tv": tv,
        "confidence": confidence,
        "levels": lines,
    }


def _lines(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the table as plain Python values, None where one is missing."""
    columns = [
        c
        for c in (
            "access",
            "lower",
            "n",
            "low",
            "high",
            "cost",
            "cheapest",
            "cost_low",
            "cost_high",
            "certificate",
            "reason",
        )
        if c in frame
    ]
    found = []
    for record in frame[columns].astype(object).to_dict("records"):
        plain = {}
        for key, value in record.items():
            plain[key] = _plain(value)
        found.append(plain)
    return found


def _plain(value: Any) -> Any:
    import pandas as pd

    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value


def _savings(lines: list[dict[str, Any]], goal: str, further: bool) -> str:
    """Return what the first level takes and what others save of it; without hard labels, what each
    takes.
    """
    queries = "further queries" if further else "queries"
    first, *others = lines
    estimates = [line["certificate"].startswith(ESTIMATED) for line in lines]
    proved = (
        further
        and not any(estimates)
        and any(line["certificate"].startswith(PROVED) for line in lines)
    )
    every = " for every teacher of these sizes" if proved else ""
    amount = "at most " if proved else ""
    if any(estimates):
        amount = "about "
    if all(line["access"] != "hard" for line in lines):
        each = [f"{line['n']:,}{_interval(line)} of {name(line['access'])}" for line in others]
        start = f"{first['n']:,}{_interval(first)} {queries} of {name(first['access'])}"
        return f"{_capital(goal)} takes {amount}{_listed([start, *each], 'or')}{every}."
    number = f"{amount}{first['n']:,}{_interval(first)}"
    if first["n"] == 0 and not _interval(first):
        number = "by estimate no" if any(estimates) else "no"
    start = f"{_capital(goal)} takes {number} {queries} of {name(first['access'])}{every}"
    if not others:
        return f"{start}."
    saved = [f"{name(line['access'])} {_difference(first['n'] - line['n'])}" for line in others]
    return f"{start}; against them {_listed(saved)}."


def _interval(line: dict[str, Any]) -> str:
    """Return the interval of an estimate; beside a proved number it would be of something else."""
    low, high = line.get("low"), line.get("high")
    exactly = line["n"] == low == high
    if low is None or exactly or not line["certificate"].startswith(ESTIMATED):
        return ""
    return f" ({low:,} to {high:,})"


def _difference(saved: int) -> str:
    if saved == 0:
        return "save none"
    return f"save {saved:,}" if saved > 0 else f"take {-saved:,} more"


def _cheapest(lines: list[dict[str, Any]]) -> list[str]:
    """Return the cheapest level, what it saves against hard labels, and which others may be as
    cheap.

    Of levels without a number those are named whose cost may be below that of the cheapest.
    """
    best = next((line for line in lines if line.get("cheapest")), None)
    if best is None:
        return []
    open_ones = [line for line in lines if line["n"] is None and line.get("cost_low") is not None]
    which = "The cheapest of those with a number" if open_ones else "The cheapest"
    first = f"{which} is {best['access']}: {best['n']:,} queries for {best['cost']:,.2f}"
    hard = next(
        (line for line in lines if line["access"] == "hard" and line["cost"] is not None), None
    )
    if hard is not None and hard is not best:
        saved, cheaper = hard["n"] - best["n"], hard["cost"] - best["cost"]
        first += f", {cheaper:,.2f} less than hard labels, and {saved:,} queries fewer"
    below = [
        f"{line['access']} for {line['cost_low']:,.2f} to {line['cost_high']:,.2f}"
        for line in open_ones
        if line["cost_low"] < best["cost"]
    ]
    more = [f"Without a number, but perhaps cheaper: {_listed(below)}."] if below else []
    rivals = [line["access"] for line in lines if line is not best and _may_be_cheaper(line, best)]
    if not rivals:
        return [f"{first}.", *more]
    return [
        f"{first}.",
        *more,
        f"The intervals leave open whether {_listed(rivals)} would be cheaper.",
    ]


def _may_be_cheaper(line: dict[str, Any], best: dict[str, Any]) -> bool:
    """Whether a level at the low end of its interval costs less than the cheapest at the high end
    of its own.
    """
    if (
        line["cost"] is None
        or line["n"] is None
        or not line["n"]
        or not best["n"]
        or line.get("low") is None
        or best.get("high") is None
    ):
        return False
    return bool(line["cost"] / line["n"] * line["low"] < best["cost"] / best["n"] * best["high"])


def _without_number(lines: list[dict[str, Any]], further: bool) -> list[str]:
    weak = [line for line in lines if WEAK in line["reason"]]
    impossible = [line for line in lines if line["n"] is None and "impossible" in line["reason"]]
    in_mean = [line for line in lines if IN_MEAN_ONLY in line["reason"]]
    contradicting = [line for line in lines if CONTRADICTS in line["reason"]]
    named = [*weak, *impossible, *in_mean, *contradicting]
    other = [line for line in lines if line["n"] is None and line not in named]
    found = []
    if weak:
        more = " more" if further else ""
        each = _listed(
            [f"{name(line['access'])} {line['low']:,} to {line['high']:,}{more}" for line in weak]
        )
        found.append(f"Weakly determined by the records: {each}.")
    if in_mean:
        each = _listed([f"{name(line['access'])} {_more(line)}" for line in in_mean])
        found.append(f"Not estimated with a confidence; in mean: {each}.")
    if impossible:
        found.append(
            "Impossible with any number of queries: "
            f"{_listed([name(line['access']) for line in impossible])}."
        )
    if other:
        found.append(f"Without a number: {_listed([name(line['access']) for line in other])}.")
    return found


def _more(line: dict[str, Any]) -> str:
    return f"{line['low']:,} to {line['high']:,} more" if line["high"] else "no more"


def _listed(parts: list[str], last: str = "and") -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
