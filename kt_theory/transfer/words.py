"""What a copy and its certificate say, in sentences, and the same for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from kt_theory.plurals import counted
from kt_theory.transfer.certify.certificate import Certificate
from kt_theory.transfer.fit import Copy


def answer(copy: Copy, certificate: Certificate) -> list[str]:
    """Return how good the copy is, in sentences: the bound first, then what it was made of and what
    it rests on.
    """
    return [
        _bound(certificate),
        _made_of(copy),
        _greatest_part(certificate),
        _rests_on(certificate),
    ]


def _bound(certificate: Certificate) -> str:
    sure = f"{100 * certificate.confidence:g} % confidence"
    if certificate.bound >= 0.995:
        return (
            "Nothing is certified of your copy: the records leave almost every distance from "
            f"{certificate.target} possible."
        )
    estimate = (
        " This is an estimate, as the records contradict themselves."
        if _estimated(certificate)
        else ""
    )
    return (
        f"Your copy is within TV {certificate.bound:.3g} of {certificate.target} ({sure}), "
        f"averaged over {certificate.average}.{estimate}"
    )


def _estimated(certificate: Certificate) -> bool:
    return bool(certificate.disagreement or certificate.contradiction)


def _made_of(copy: Copy) -> str:
    rows, labels = copy.rows, len(copy.labels)
    text = (
        f"Student {copy.student} learnt it from {counted(rows.n, 'record')} of "
        f"{counted(len(rows.input), 'input')} and {counted(labels, 'label')}"
    )
    if not copy.reveals and not len(copy.transfer.entry_record):
        return f"{text}; the records state no probabilities, so that the labels alone count."
    return f"{text}."


def _greatest_part(certificate: Certificate) -> str:
    """What most of the bound comes from, and what makes it smaller."""
    parts = (
        (certificate.unseen_bound, "inputs that were never asked", "ask more inputs"),
        (
            certificate.hidden_mass,
            "probabilities that the answers hide",
            "ask for more of them, or again",
        ),
        (
            certificate.label_noise,
            "the noise of the sampled labels",
            "ask again, or for probabilities",
        ),
        (
            certificate.disagreement,
            "answers that disagree about the same probability",
            "ask one server, one model",
        ),
        (
            certificate.contradiction,
            "probabilities that do not sum to 1",
            "name how they are shown",
        ),
    )
    share, what, remedy = max(parts)
    share = min(share, certificate.bound)
    if share <= 0.0:
        return "Nothing is left open."
    return f"The largest part of it is due to {what} (at most {share:.3g}): {remedy}."


def _rests_on(certificate: Certificate) -> str:
    return f"What this takes for granted: {'; '.join(certificate.assumptions)}."


def for_programs(copy: Copy, certificate: Certificate) -> dict[str, Any]:
    """Return the same for programs: what `json.dumps` writes."""
    account = copy.transfer.account
    return {
        "answer": answer(copy, certificate),
        "target": copy.target,
        "student": copy.student,
        "inputs": len(copy.rows.input),
        "labels": list(copy.labels),
        "certificate": asdict(certificate) | {"acceptance": certificate.acceptance},
        "records": account.for_programs(),
    }
