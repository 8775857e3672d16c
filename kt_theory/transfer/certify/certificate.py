"""How good is the copy: an upper confidence bound on its loss, from the records that it was learnt
from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from kt_theory.plurals import counted
from kt_theory.students.sparse import ClosedForm, Frequencies, Sharing
from kt_theory.transfer.certify.inputs import Inputs
from kt_theory.transfer.design import DRAWN
from kt_theory.validation import true_or_false, unit_interval

if TYPE_CHECKING:
    from kt_theory.access import Channel
    from kt_theory.transfer.account import Account
    from kt_theory.transfer.fit import Copy


@dataclass(frozen=True)
class Certificate:
    """TV(copy, teacher | rho) <= bound with probability at least `confidence` over the draw of the
    records; where inputs were chosen, rho is what the design says.

    Where the records contradict each other or themselves, the bound is an estimate: see
    `disagreement` and `contradiction`.

    Attributes
    ----------
    bound : float
        In [0, 1].
    confidence : float
    unseen_mass : float
        Good and Turing's estimate N_1/n of the input mass that was never asked; of a fixed list the
        weight that has no answer, known.
    unseen_bound : float
        Its upper confidence bound, at the same confidence on its own.
    hidden_mass : float
        The share of mass that the records of visited inputs hide, weighted by their number of
        records.
    label_noise : float
        For hard labels, what the noise of the labels adds: bound less unseen_bound; 0 where
        probabilities are stated.
    disagreement : float
        Half the sum of the ranges of what different records state of the same pair, weighted by
        records. It is part of the bound, as an estimate: the median that the copy takes may be off
        by as much.
    contradiction : float
        By how much the stated probabilities of a row miss a sum of 1 although they are all there
        are, or exceed it, beyond rounding, weighted by records: they cannot all be right. It is
        part of the bound, as an estimate.
    method : str
        Which theorem, in `kt_theory.transfer.certify.bounds`.
    assumptions : tuple of str
        What the bound takes for granted.
    target : str
        Whose distribution the copy is compared with.
    average : str
        What the distance is averaged over: how the inputs were chosen.
    anytime : bool
        It holds at all times together: for every number of records that one may stop at.
    """

    bound: float
    confidence: float
    unseen_mass: float
    unseen_bound: float
    hidden_mass: float
    label_noise: float
    disagreement: float
    contradiction: float
    method: str
    assumptions: tuple[str, ...]
    target: str = ""
    average: str = DRAWN.average
    anytime: bool = False

    @property
    def acceptance(self) -> float:
        """Lower confidence bound, in [0, 1], on the probability that a token of the copy, as the
        draft of speculative decoding, is accepted: 1 - bound, as it is 1 - TV(copy, teacher | rho).
        """
        return 1.0 - self.bound

    def __str__(self) -> str:
        lines = [
            f"TV(copy, teacher | rho) <= {self.bound:.4g} with confidence {self.confidence:g} "
            f"({self.method})",
            f"  of {self.target}, averaged over {self.average}",
            f"  input mass never asked: about {self.unseen_mass:.3g}, at most "
            f"{self.unseen_bound:.3g}",
            f"  mass that the records hide: {self.hidden_mass:.3g}",
            f"  as a draft of speculative decoding it is accepted with probability "
            f"{self.acceptance:.3g} or more",
        ]
        if self.label_noise:
            lines.append(f"  noise of the sampled labels: at most {self.label_noise:.3g}")
        if self.disagreement:
            lines.append(
                f"  repeated answers disagree by {self.disagreement:.3g}: added to the bound"
            )
        if self.contradiction:
            lines.append(
                f"  stated probabilities miss a sum of 1 by {self.contradiction:.3g}: added to "
                "the bound"
            )
        return "\n".join([*lines, *(f"  assumes: {text}" for text in self.assumptions)])


def certify(copy: Copy, confidence: float, *, anytime: bool = False) -> Certificate:
    """Return the certificate of a copy; see `Copy.certificate`."""
    delta = 1.0 - unit_interval(confidence, "confidence")
    true_or_false(anytime, "anytime")
    if copy.pooled is not None:
        return _certified_given(copy.pooled, Inputs(copy.pooled, anytime), delta)
    inputs = Inputs(copy, anytime)
    return _certified(copy, inputs, delta, _proved(copy, inputs, delta))


@dataclass(frozen=True)
class Proved:
    """A bound on the loss of a copy, and what it is made of.

    Attributes
    ----------
    method : str
    bound : float
    hidden : float
        The share of mass that hidden labels have in it.
    stated : bool
        Stated probabilities are taken for the teacher's own.
    undone : bool
        Answers are taken for those of the student's level.
    keeps : bool
        The copy has the stated probabilities as they are.
    """

    method: str
    bound: float
    hidden: float = 0.0
    stated: bool = False
    undone: bool = False
    keeps: bool = False

    def and_more(self, method: str, bound: float) -> Proved:
        """Return the bound with something added."""
        return replace(self, method=f"{self.method}, and {method}", bound=self.bound + bound)


class _Proofs:
    """The bounds that `kt_theory.students.sparse.Proofs` names, each at confidence 1 - delta."""

    def __init__(self, copy: Copy, inputs: Inputs, delta: float) -> None:
        self.copy, self.rows = copy, copy.rows
        self.prior, level = copy.learner.prior, copy.learner.access
        self.inputs = inputs
        # What each of one bound or of two may fail with, beside that for a table of its own.
        beside = self.prior and self.inputs.random
        self.one = delta / (1 + beside)
        self.two = delta / (1 + self.inputs.random + beside)
        # Who does not know how the answers are distorted is judged by the sampled labels.
        unaltered = level is None or level.unaltered
        self.stated = unaltered and len(copy.rows.entry_pair) > 0

    def of_shares(self) -> Proved:
        return self._everywhere(replace(self._by_stated(self.one), keeps=True), self.one)

    def of_frequencies(self) -> Proved:
        return self._everywhere(self._by_labels(self.one), self.one)

    def of_undone(self, channel: Channel) -> Proved:
        rows, table = self.rows, self.copy.pi
        unseen = self.inputs.unseen(self.one)
        lost = unseen * (1.0 - 1.0 / rows.labels if rows.closed else 1.0)
        bound = lost + channel.row_error(table, rows.p.reshape(table.shape))
        method = "input mass never asked, and the largest error of a row"
        return self._everywhere(Proved(method, bound, undone=True), self.one)

    def of_any(self) -> Proved:
        near = Sharing() if self.stated else Frequencies()
        apart = self.inputs.distance(_apart(self.copy, near), self.two)
        found = self._by_most(self.two)
        found = found.and_more("the distance of the student from the one bounded", apart)
        return self._everywhere(found, self.two)

    def _by_most(self, delta: float) -> Proved:
        return self._by_stated(delta) if self.stated else self._by_labels(delta)

    def _by_stated(self, delta: float) -> Proved:
        method, bound = self.inputs.shared_mass(delta)
        hidden = float(self.inputs.shares @ self.rows.hidden_mass)
        return Proved(method, bound, hidden, stated=True)

    def _by_labels(self, delta: float) -> Proved:
        method, bound = self.inputs.counted(delta)
        return Proved(method, bound)

    def _everywhere(self, found: Proved, delta: float) -> Proved:
        """What is proved, with the inputs where the student keeps a table of its own."""
        if not self.prior:
            return found
        unseen = self.inputs.own_table(delta)
        method = "the input mass never asked, where the student keeps its own table"
        return found.and_more(method, unseen)


def _proved(copy: Copy, inputs: Inputs, delta: float) -> Proved:
    found: Proved = copy.learner.form.certified(_Proofs(copy, inputs, delta))
    return found


def _certified_given(pooled: Copy, inputs: Inputs, delta: float) -> Certificate:
    """The certificate of a copy of the teacher given that its label is declared, from that of the
    pooled teacher.

    Let q and p be the rows of the pooled copy and of the pooled teacher, t = TV(q, p), and D the
    declared labels. Given D the rows are t / max(q(D), p(D)) apart at most: where q(D) <= p(D),
    sum_D (p/p(D) - q/q(D))_+ <= sum_D (p - q)_+ / p(D) <= t / p(D), and likewise where it is
    larger. So for every c at most d/(d+1), d labels being declared,

        sum_s rho_s TV(q(.|D), p(.|D)) <= (1/c) sum_s rho_s t_s + rho of the visited rows with q(D)
        < c,

    rows on which every declared probability is stated being left out, as they are known exactly. If
    all are such rows, what is left is the input mass that was never asked. Each of the three is
    bounded at confidence 1 - delta/3, or the first alone where the inputs are a fixed list.
    """
    rows = pooled.rows
    part = delta / 3.0 if inputs.random else delta
    proved = _proved(pooled, inputs, part)
    base = _certified(pooled, inputs, part, proved)
    declared = pooled.transfer.target.declared
    mass = pooled.declared_mass
    stated = rows.total(rows.known & (rows.label < declared))
    # Stated rows are known if the student keeps what is stated; others pay for their distance in
    # the base.
    open_rows = (stated < declared) | (not proved.keeps)
    most = declared / (declared + 1.0)
    bound, cuts = 1.0, np.array([most])
    if open_rows.any():
        cuts = np.unique(np.minimum(most, np.quantile(mass[open_rows], _QUANTILES)))
    for c in cuts:
        poor = open_rows & (mass < c)
        rest = inputs.distance(poor.astype(np.float64), part) if poor.any() else 0.0
        bound = min(bound, base.bound / c + rest if c > 0 else 1.0)
    if not open_rows.any() and not (base.disagreement or base.contradiction):
        bound = min(bound, inputs.unseen(part) * (1.0 - 1.0 / declared))
    noise = max(0.0, bound - base.unseen_bound) if base.label_noise else 0.0
    method = f"{base.method}, for the pooled teacher, and what the declared labels share"
    return replace(base, bound=bound, confidence=1.0 - delta, label_noise=noise, method=method)


_QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5)
"""Rows below such a share of declared mass may be given up."""


def _certified(copy: Copy, inputs: Inputs, delta: float, proved: Proved) -> Certificate:
    rows, weight = copy.rows, inputs.shares
    unseen = inputs.unseen(delta)
    by_labels = not (proved.stated or proved.undone)
    disagreement = 0.0 if by_labels else 0.5 * float(weight[rows.row] @ rows.spread)
    contradiction = float(weight @ np.abs(rows.contradiction)) if proved.stated else 0.0
    return Certificate(
        bound=min(1.0, proved.bound + disagreement + contradiction),
        confidence=1.0 - delta,
        unseen_mass=inputs.about_unseen,
        unseen_bound=unseen,
        hidden_mass=proved.hidden,
        label_noise=max(0.0, min(1.0, proved.bound) - unseen) if by_labels else 0.0,
        disagreement=disagreement,
        contradiction=contradiction,
        method=proved.method,
        assumptions=(
            inputs.taken,
            *_assumptions(copy, proved, disagreement, contradiction),
        ),
        target=copy.target,
        average=copy.transfer.design.average,
        anytime=inputs.anytime,
    )


def _of_lines(account: Account) -> list[str]:
    """What is taken for granted of lines that repeat others, or leave something open."""
    found = []
    if account.repeated:
        found.append(
            "records of one prompt and one seed are one draw: "
            f"{counted(account.repeated, 'that repeats one does', 'that repeat one do')} "
            "not count, and each prompt is averaged over its draws"
        )
    if account.unanswered:
        found.append(
            "the teacher is taken given that it answers: "
            f"{counted(account.unanswered, 'line')} without a label "
            f"{'is' if account.unanswered == 1 else 'are'} left out"
        )
    if account.same_id:
        found.append(
            f"the {counted(account.same_id, 'answer that has', 'answers that have')} the id of an "
            f"earlier one {'is a draw' if account.same_id == 1 else 'are draws'} of "
            f"{'its' if account.same_id == 1 else 'their'} own"
        )
    if account.unnamed_model:
        found.append(
            f"the {counted(account.unnamed_model, 'record that names', 'records that name')} no "
            f"model {'is' if account.unnamed_model == 1 else 'are'} of the same one"
        )
    if account.unshown:
        found.append(
            "no reasoning came before the "
            f"{counted(account.unshown, 'answer that counts', 'answers that count')} more tokens "
            f"than {'it shows' if account.unshown == 1 else 'they show'}"
        )
    return found


def _assumptions(
    copy: Copy, proved: Proved, disagreement: float, contradiction: float
) -> list[str]:
    """What the bound takes for granted, a clause each."""
    transfer, account = copy.transfer, copy.transfer.account
    found = []
    if transfer.target.other == "none":
        found.append(f"there are no labels but the {len(transfer.labels)} declared ones")
    elif not transfer.closed:
        found.append(
            "the labels that the records name were fixed before them; mass beyond them counts as "
            "lost"
        )
    found += _of_lines(account)
    if account.reasoned:
        found.append(
            "the teacher is the one that reasons before it answers: its labels are draws over all "
            "reasoning"
        )
    if proved.undone:
        found += [
            f"the answers are of level {copy.learner.access}",
            "labels that they do not state are shown as 0",
        ]
    elif proved.stated and not (disagreement or contradiction):
        found.append("stated probabilities are exact")
    elif not proved.stated and len(transfer.entry_record):
        found.append("the probabilities that the records state are not looked at")
    if not transfer.faithful:
        ways = "; ".join(account.changed) or "settings that the records do not tell"
        found.append(f"read as sampled: the teacher is the one that was sampled, under {ways}")
    elif account.unstated_sampling:
        found.append("labels were sampled from the teacher's distribution")
    if disagreement:
        found.append(
            "repeated answers disagree: each is taken as the median, off by at most the range "
            "seen; an estimate, not proved"
        )
    if contradiction:
        found.append(
            "stated probabilities contradict each other: they miss a sum of 1, and are taken to "
            "be off by no more than that; an estimate, not proved"
        )
    return found


def _apart(copy: Copy, form: ClosedForm) -> np.ndarray:
    """TV, on each row, between the copy and that of another student."""
    rows = copy.rows
    base, rest = form.fit(rows)
    others = rows.labels - np.diff(rows.start)
    return 0.5 * (rows.total(np.abs(copy.probability - base)) + others * np.abs(copy.share - rest))
