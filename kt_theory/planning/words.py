"""The planner's answer in a sentence or two, and what it rests on: for a reader, and the same content for a program."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kt_theory.planning.estimate import COVERAGE, ESTIMATED, WEAK
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


def answer(frame: pd.DataFrame, tv: float, *, confidence: float | None = None, further: bool = False) -> str:
    """Return the answer in sentences: what the levels take, what they save, the cheapest, and what has no number.

    Parameters
    ----------
    frame : DataFrame
        A table of `plan`.
    tv : float
    confidence : float or None
    further : bool
        Records are in hand, and the numbers are of further queries.
    """
    lines = _lines(frame)
    sure = "" if confidence is None else f" with confidence {confidence:g}"
    goal = f"a copy within total variation {tv:g}{sure}"
    numbered = [line for line in lines if line["n"] is not None]
    sentences = []
    if numbered and all(line["n"] == 0 for line in numbered):
        missing = "No further query is needed" if further else "No query is needed"
        sentences.append(f"{missing} for {goal}: {_listed([name(line['access']) for line in numbered])}.")
    elif numbered:
        sentences.append(_savings(numbered, goal, further))
        sentences += _cheapest(numbered)
    else:
        sentences.append(f"No level has a number for {goal}.")
    sentences += _without_number(lines, further)
    return " ".join(sentences)


def name(access: str) -> str:
    """Return what a level is called in a sentence: "top-5 log-probabilities" for top_k(5)."""
    found = re.fullmatch(r"(top_k|top_k_only)\((\d+)\)", access)
    if found is None:
        return _NAMES.get(access, access)
    kind, k = found.groups()
    return f"top-{k} log-probabilities" if kind == "top_k" else f"top-{k} log-probabilities without the sampled label"


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
        return [f"the bounds are proved for every teacher of {inputs:,} inputs and {labels:,} labels"]
    if not isinstance(source, TransferSet):
        return ["the teacher is the one given, and each level's own student learns from it"]
    certificates = frame["certificate"]
    found = ["further inputs are drawn by the law of those in hand, labels sampled at temperature 1 and top_p 1"]
    if not source.faithful:
        found.append("the records say of themselves that they were sampled otherwise")
    if certificates.str.startswith(ESTIMATED).any():
        found.append(
            f"the numbers are estimated from {len(source):,} records, not proved; an interval holds the teacher's own "
            f"with {COVERAGE:.0%} probability if inputs are alike: what one hides is as in others asked as often"
        )
    if not len(source.entry_record):
        found.append("the records are sampled labels only: what levels that reveal more take rests on counts")
    if certificates.str.startswith("proved").any():
        found.append("the numbers are proved for every teacher of the sizes given")
    if certificates.str.startswith(_COPY_IN_HAND).any():
        found.append("where 0 is needed, the copy in hand is certified")
    if labels is None and not source.closed:
        found.append(f"no label exists beyond the {len(source.labels):,} that occur")
    if source.target.merges:
        found.append(f"the copy is of {source.target}; variants of a label that no record states have no mass")
    if source.account.repeated:
        found.append(
            f"records of one prompt and one seed are one draw: {source.account.repeated:,} repeats do not count"
        )
    if source.account.reasoned:
        found.append("the teacher is the one that reasons before it answers")
    return found


def as_json(
    frame: pd.DataFrame, tv: float, confidence: float | None, sentences: str, grounds: list[str]
) -> dict[str, Any]:
    """Return the same for a program: answer, rests_on, tv, confidence and levels, None where there is no number."""
    lines = _lines(frame)
    for line in lines:
        line["lower"] = line["lower"] if line["lower"] <= LARGEST_COUNT else None
    return {"answer": sentences, "rests_on": grounds, "tv": tv, "confidence": confidence, "levels": lines}


def _lines(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the table as plain Python values, None where one is missing."""
    columns = [
        c for c in ("access", "lower", "n", "low", "high", "cost", "cheapest", "certificate", "reason") if c in frame
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
    """Return what hard labels take and what other levels save of it; without hard labels, what each takes."""
    queries = "further queries" if further else "queries"
    about = "about " if any(line["certificate"].startswith(ESTIMATED) for line in lines) else ""
    first, *others = lines
    if first["access"] != "hard":
        each = _listed([f"{name(line['access'])} {line['n']:,}" for line in lines])
        return f"{_capital(goal)} takes {about}so many {queries}: {each}."
    start = f"{_capital(goal)} takes {about}{first['n']:,}{_interval(first)} {queries} of hard labels"
    if not others:
        return f"{start}."
    saved = [f"{name(line['access'])} {_difference(first['n'] - line['n'])}" for line in others]
    return f"{start}; against them {_listed(saved)}."


def _interval(line: dict[str, Any]) -> str:
    low, high = line.get("low"), line.get("high")
    if low is None or not low <= line["n"] <= high:
        return ""
    return f" ({low:,} to {high:,})"


def _difference(saved: int) -> str:
    if saved == 0:
        return "save none"
    return f"save {saved:,}" if saved > 0 else f"take {-saved:,} more"


def _cheapest(lines: list[dict[str, Any]]) -> list[str]:
    """Return the cheapest level, what it saves against hard labels, and which others may be as cheap."""
    best = next((line for line in lines if line.get("cheapest")), None)
    if best is None:
        return []
    first = f"The cheapest is {best['access']}: {best['n']:,} queries for {best['cost']:,.2f}"
    hard = next((line for line in lines if line["access"] == "hard" and line["cost"] is not None), None)
    if hard is not None and hard is not best:
        saved, cheaper = hard["n"] - best["n"], hard["cost"] - best["cost"]
        first += f", {cheaper:,.2f} less than hard labels, and {saved:,} queries fewer"
    rivals = [line["access"] for line in lines if line is not best and _may_be_cheaper(line, best)]
    if not rivals:
        return [f"{first}."]
    return [f"{first}.", f"The intervals leave open whether {_listed(rivals)} would be cheaper."]


def _may_be_cheaper(line: dict[str, Any], best: dict[str, Any]) -> bool:
    """Whether a level at the low end of its interval costs less than the cheapest at the high end of its own."""
    if line["cost"] is None or not line["n"] or not best["n"] or line.get("low") is None or best.get("high") is None:
        return False
    return bool(line["cost"] / line["n"] * line["low"] < best["cost"] / best["n"] * best["high"])


def _without_number(lines: list[dict[str, Any]], further: bool) -> list[str]:
    weak = [line for line in lines if WEAK in line["reason"]]
    impossible = [line for line in lines if line["n"] is None and "impossible" in line["reason"]]
    other = [line for line in lines if line["n"] is None and line not in weak and line not in impossible]
    found = []
    if weak:
        more = " more" if further else ""
        each = _listed([f"{name(line['access'])} {line['low']:,} to {line['high']:,}{more}" for line in weak])
        found.append(f"Weakly determined by the records: {each}.")
    if impossible:
        found.append(
            f"Impossible with any number of queries: {_listed([name(line['access']) for line in impossible])}."
        )
    if other:
        found.append(f"Without a number: {_listed([name(line['access']) for line in other])}.")
    return found


def _listed(parts: list[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
