"""How good is the copy: an upper confidence bound on its loss, from the records that it was learnt from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kt_theory.transfer import bounds, hard
from kt_theory.validation import unit_interval

if TYPE_CHECKING:
    from kt_theory.transfer.copying import Copy


@dataclass(frozen=True)
class Certificate:
    """TV(copy, teacher | rho) <= bound with probability at least `confidence` over the draw of the records.

    Attributes
    ----------
    bound : float
        In [0, 1].
    confidence : float
    unseen_mass : float
        Good and Turing's estimate N_1/n of the input mass that was never asked.
    unseen_bound : float
        Its upper confidence bound, at the same confidence on its own.
    hidden_mass : float
        The share of mass that the records of visited inputs hide, weighted by their number of records.
    label_noise : float
        For hard labels, what the noise of the labels adds: bound less unseen_bound; 0 where probabilities are stated.
    disagreement : float
        Half the sum of the ranges of what different records state of the same pair, weighted by records. Not part of
        the bound: it takes the medians as exact.
    method : str
        Which theorem, in `kt_theory.transfer.bounds`.
    assumptions : tuple of str
        What the bound takes for granted.
    """

    bound: float
    confidence: float
    unseen_mass: float
    unseen_bound: float
    hidden_mass: float
    label_noise: float
    disagreement: float
    method: str
    assumptions: tuple[str, ...]

    def __str__(self) -> str:
        lines = [
            f"TV(copy, teacher | rho) <= {self.bound:.4g} with confidence {self.confidence:g} ({self.method})",
            f"  input mass never asked: about {self.unseen_mass:.3g}, at most {self.unseen_bound:.3g}",
            f"  mass that the records hide: {self.hidden_mass:.3g}",
        ]
        if self.label_noise:
            lines.append(f"  noise of the sampled labels: at most {self.label_noise:.3g}")
        if self.disagreement:
            lines.append(f"  repeated answers disagree by {self.disagreement:.3g}: not in the bound")
        return "\n".join([*lines, *(f"  assumes: {text}" for text in self.assumptions)])


def certify(copy: Copy, confidence: float) -> Certificate:
    """Return the certificate of a copy; see `Copy.certificate`."""
    from kt_theory.transfer.copying import ALL_STATED, _is_sharing

    delta = 1.0 - unit_interval(confidence, "confidence")
    rows, transfer = copy.rows, copy.transfer
    weight = rows.queries / rows.n
    once = float((rows.queries == 1).sum()) / rows.n
    unseen = bounds.unseen_mass(rows.queries, delta)
    hidden = float(weight @ rows.hidden_mass)
    assumptions = ["records are independent draws of one input law and one teacher"]
    if not transfer.closed:
        assumptions.append("the labels that the records name were fixed before them; mass beyond them counts as lost")
    reveals = bool(len(rows.entry_pair))
    if reveals:
        assumptions.append("stated probabilities are exact")
    elif not transfer.faithful:
        assumptions.append("the teacher is the one that was sampled: at that temperature, truncated that way")
    elif transfer.account.unstated_sampling:
        assumptions.append("labels were sampled from the teacher's distribution")
    exact = copy.student == "ce_sgl" or copy.student == ALL_STATED or _is_sharing(copy.student)
    part = delta if exact else 0.5 * delta
    if reveals:
        method = "unbiased loss of held-out records"
        bound = bounds.shared_mass(rows, part, sampled_from_teacher=transfer.faithful)
    else:
        method, hidden = "halves of the labels of each input, and their number", 0.0
        bound = hard.counted(rows, part)
    if not exact:
        method += ", and the distance of the student from the one bounded"
        bound = min(1.0, bound + bounds.distance(rows, _apart(copy), part))
    noise = 0.0 if reveals else max(0.0, bound - unseen)
    disagreement = 0.5 * float(weight[rows.row] @ rows.spread)
    return Certificate(bound, 1.0 - delta, once, unseen, hidden, noise, disagreement, method, tuple(assumptions))


def _apart(copy: Copy) -> np.ndarray:
    """TV, on each row, between the copy and the student that `bounds` covers."""
    from kt_theory.transfer.copying import _sharing, _smoothed

    rows = copy.rows
    base, rest = _sharing(rows) if len(rows.entry_pair) else _smoothed(rows, 0.0)
    others = rows.labels - np.diff(rows.start)
    return 0.5 * (rows.total(np.abs(copy.probability - base)) + others * np.abs(copy.share - rest))
