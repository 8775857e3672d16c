"""Tokens that a round of speculative decoding writes, with what makes successive acceptances
depend on one another: along texts, and on the chain of an n-gram teacher.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kt_theory.ngrams import BackOff

MOST_CELLS = 2**24
"""Contexts times labels of a chain that is enumerated."""


def along_texts(accepted: np.ndarray, run: np.ndarray, draft: int) -> float | None:
    """Return the tokens per round on texts that the teacher wrote; None where no run is longer
    than a draft.

    A token a that the teacher writes at a place of rows p, q was the draft's accepted one with
    probability r = min(1, q(a)/p(a)), whatever came before: P(accepted, a) = min(p(a), q(a)) and
    P(a) = p(a). So, given the text, rounds are a renewal process: one that begins at i goes on past
    j tokens with probability r_i ... r_(i+j-1), and ends after g + 1 at the latest. The mean length
    over all places, each by the probability that a round begins there, is what is returned.

    Parameters
    ----------
    accepted : (M,) float64
        r of each place.
    run : (M,) int64
        Equal numbers where one place follows the other.
    draft : int
        g.
    """
    from scipy.linalg import solve_banded

    size = len(accepted)
    ends = np.searchsorted(run, run, side="right")
    begins = np.diff(run, prepend=run[:1] - 1) != 0
    # Column i of `band` holds minus the probability that the next round begins at i + j.
    band = np.zeros((draft + 2, size))
    band[0] = 1.0
    going, tokens, places = np.ones(size), np.zeros(size), np.arange(size)
    for j in range(1, draft + 2):
        tokens += going
        at = np.minimum(places + j - 1, size - 1)
        on = going * accepted[at] if j <= draft else np.zeros(size)
        band[j] = np.where(places + j < ends, on - going, 0.0)
        going = on
    starts = solve_banded((draft + 1, 0), band, begins.astype(np.float64))
    full = places + draft <= ends
    weight = float(starts[full].sum())
    return float((starts * tokens)[full].sum()) / weight if weight > 0 else None


def on_chain(teacher: BackOff, draft: BackOff, proposed: int) -> tuple[float, float]:
    """Return the acceptance and the tokens per round, exactly, of text that a teacher of order H
    writes on and on, with a draft of order h <= H.

    Contexts are the A^H last tokens. With m = min(p, q), a round from the law u of contexts has
    gone on for j tokens with the law u m^j; it ends by (p - q)_+, or after g accepted by p. The law
    at which rounds begin is the stationary one of that; the acceptance is at the stationary law of
    the text.

    Raises
    ------
    ValueError
        If the draft looks farther back than the teacher, labels differ, there are more than 2^24
        contexts times labels, or the chain has not settled after 20,000 rounds.
    """
    labels, order = teacher.labels, teacher.context
    _refuse_pair(teacher, draft)
    contexts = np.arange(labels**order)
    digits = [contexts // labels ** (order - 1 - i) % labels for i in range(order)]
    histories = np.stack(digits, axis=1) if digits else np.zeros((1, 0), dtype=np.int64)
    p, q = teacher.rows(histories), draft.rows(histories)
    both = np.minimum(p, q)
    after = (contexts[:, None] * labels + np.arange(labels)) % len(contexts)

    def moved(law: np.ndarray, by: np.ndarray) -> np.ndarray:
        return np.bincount(
            after.ravel(), weights=(law[:, None] * by).ravel(), minlength=len(contexts)
        )

    def next_round(law: np.ndarray) -> np.ndarray:
        begun = np.zeros_like(law)
        for _ in range(proposed):
            begun += moved(law, p - both)
            law = moved(law, both)
        return begun + moved(law, p)

    def next_token(law: np.ndarray) -> np.ndarray:
        return moved(law, p)

    text = _settled(next_token, len(contexts))
    going = _settled(next_round, len(contexts))
    tokens = 1.0
    for _ in range(proposed):
        going = moved(going, both)
        tokens += float(going.sum())
    return float(text @ both.sum(axis=1)), tokens


def _refuse_pair(teacher: BackOff, draft: BackOff) -> None:
    if teacher.labels != draft.labels:
        raise ValueError(
            f"teacher has {teacher.labels} labels, the draft {draft.labels}: must be the same"
        )
    if draft.context > teacher.context:
        raise ValueError(
            f"draft of context {draft.context}: must be at most the teacher's, {teacher.context}"
        )
    cells = teacher.labels ** (teacher.context + 1)
    if cells > MOST_CELLS:
        raise ValueError(
            f"teacher has {teacher.labels}^{teacher.context} contexts: at most {MOST_CELLS:,} "
            "contexts times labels are enumerated; fit a copy of its dump in place of the draft"
        )


def _settled(step: Callable[[np.ndarray], np.ndarray], contexts: int) -> np.ndarray:
    law = np.full(contexts, 1.0 / contexts)
    for _ in range(_STEPS):
        # Half a step: chains with a period settle too.
        moved = 0.5 * (law + step(law))
        moved /= moved.sum()
        if np.abs(moved - law).sum() < _STILL:
            return moved
        law = moved
    raise ValueError(f"teacher: its chain has not settled after {_STEPS:,} rounds")


_STEPS = 20_000

_STILL = 1e-14
