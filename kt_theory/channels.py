"""Channels: how an answer shows the probabilities that its access level reveals, where not as they are.

An answer is a row of weights. An exact channel shows the probabilities themselves; the others show them at another
temperature, rounded, quantised, or up to an unknown factor. What is shown of a row is a function of that row alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Channel:
    """A fixed distortion of the rows of a teacher.

    Attributes
    ----------
    kind : str
        "temperature", "rounded", "quantised", "unnormalised" or "centred".
    amount : float
        The temperature tau; the step delta of the log-probabilities; the number of bits. Unused by the last two.
    """

    kind: str
    amount: float = 0.0

    @property
    def invertible(self) -> bool:
        """Whether a whole row can be computed back from what is shown of it."""
        return self.kind in ("temperature", "unnormalised", "centred")

    @property
    def needs_whole_row(self) -> bool:
        """Whether what is shown of one label depends on the probabilities of the others."""
        return self.kind in ("temperature", "centred")

    def shown(self, pi: np.ndarray) -> np.ndarray:
        """Return the weights (S, A) that stand for the probabilities pi (S, A); a probability of 0 is shown as 0.

        temperature: p^(1/tau) / sum p^(1/tau), the softmax of the logits divided by tau.
        rounded: exp(delta round(log p / delta)).
        quantised: the nearest multiple of 2^-bits.
        unnormalised: p times a factor of the row, between 1/2 and 2, that tells nothing about p.
        centred: p over the geometric mean of its row, logits of mean 0 on one scale; p must be positive.
        """
        pi = np.asarray(pi, dtype=np.float64)
        if self.kind == "quantised":
            return np.rint(np.ldexp(pi, int(self.amount))) * 2.0**-self.amount
        if self.kind == "unnormalised":
            return pi * np.exp2(2.0 * np.modf(_GOLDEN * np.arange(1, len(pi) + 1))[0] - 1.0)[:, None]
        if self.kind == "centred" and not pi.all():
            s, a = np.argwhere(pi == 0.0)[0]
            raise ValueError(f"pi[{s}, {a}] = 0: logits on one scale are finite; leave the label out")
        with np.errstate(divide="ignore"):
            logits = np.log(pi)
        if self.kind == "centred":
            return np.exp(logits - logits.mean(axis=1, keepdims=True))
        if self.kind == "rounded":
            return np.exp(self.amount * np.rint(logits / self.amount))
        powers = np.exp((logits - logits.max(axis=1, keepdims=True)) / self.amount)
        return powers / powers.sum(axis=1, keepdims=True)
