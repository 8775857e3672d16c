"""What a copy of a sequence teacher is worth, in sentences, and the same for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from kt_theory.dumps.block import without_row
from kt_theory.sequences.copy import SequenceCopy


def answer(copy: SequenceCopy, confidence: float) -> list[str]:
    """Return how good the copy is, in sentences: what was measured and certified, what no copy of
    its context could remove, what it was made of and what it rests on.
    """
    sentences = [_measured(copy), _certified(copy, confidence), _floor(copy), _made_of(copy)]
    if copy.positions.texts > 1:
        taken = copy.certificate(confidence).assumptions
        sentences.append(f"What this takes for granted: {'; '.join(taken)}.")
    positions = copy.positions
    return [*sentences, *without_row(positions.skipped), *positions.dump.granted]


def _measured(copy: SequenceCopy) -> str:
    low, high = copy.tv
    where = f"on the {int(copy.held.sum()):,} positions {_held_out(copy)}"
    kept = f"its tokens are accepted as a draft with probability {_between(1 - high, 1 - low)}"
    return f"Your copy is at TV {_between(low, high)} from the teacher {where}: {kept}."


def _held_out(copy: SequenceCopy) -> str:
    if copy.positions.texts == 1:
        return "at the end of the text that it did not learn from"
    texts = len(copy.held_out.by_text)
    return f"of the {texts:,} {'text' if texts == 1 else 'texts'} that it did not learn from"


def _certified(copy: SequenceCopy, confidence: float) -> str:
    if copy.positions.texts == 1:
        return "Nothing is certified for other texts: the dump holds one."
    bound = copy.certificate(confidence).bound
    return (
        f"On texts to come it is within TV {bound:.3g} ({100 * confidence:g} % confidence), each "
        "text counting alike."
    )


def _floor(copy: SequenceCopy) -> str:
    found = copy.floor
    tokens = f"the last {found.context} tokens" if found.context != 1 else "the last token"
    seen = f"sees {tokens}" if found.context else "sees no token"
    known = f"{100 * found.repeated:.3g} % of the positions have a context that occurs again"
    return (
        f"No student that {seen} comes below TV {_between(found.low, found.high)} on all positions "
        f"of this dump. {known}: only those add to it, and a longer dump has more of them."
    )


def _made_of(copy: SequenceCopy) -> str:
    learnt, texts = int((~copy.held).sum()), copy.positions.texts
    contexts = len(copy.model.levels[-1].contexts)
    return (
        f"Student {copy.student} learnt it from {learnt:,} of {len(copy.held):,} positions of "
        f"{texts:,} {'text' if texts == 1 else 'texts'}: {contexts:,} contexts and "
        f"{copy.labels:,} labels."
    )


def _between(low: float, high: float) -> str:
    if _number(low) == _number(high):
        return _number(high)
    return f"{_number(low)} to {_number(high)}"


def _number(value: float) -> str:
    return f"{value:.3g}" if value > _ROUNDING else "0"


_ROUNDING = 1e-12


def for_programs(copy: SequenceCopy, confidence: float) -> dict[str, Any]:
    """Return the same for programs: what `json.dumps` writes."""
    low, high = copy.tv
    certificate = None
    if copy.positions.texts > 1:
        found = copy.certificate(confidence)
        certificate = asdict(found) | {"acceptance": found.acceptance}
    return {
        "answer": answer(copy, confidence),
        "student": copy.student,
        "context": copy.context,
        "labels": copy.labels,
        "positions": len(copy.held),
        "skipped": dict(copy.positions.skipped),
        "held_out": {"positions": int(copy.held.sum()), "tv_low": low, "tv_high": high},
        "certificate": certificate,
        "floor": asdict(copy.floor),
    }
