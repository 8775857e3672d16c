"""Smoothings by their names."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from kt_theory.ngrams.back_off import BackOff
from kt_theory.ngrams.counts import count
from kt_theory.ngrams.discounts import AbsoluteDiscounting, KneserNey, ModifiedKneserNey
from kt_theory.ngrams.good_turing import GoodTuring
from kt_theory.ngrams.smoothing import Smoothing
from kt_theory.validation import unknown_name

SMOOTHINGS: dict[str, type[Smoothing]] = {
    "absolute_discounting": AbsoluteDiscounting,
    "good_turing": GoodTuring,
    "kneser_ney": KneserNey,
    "modified_kneser_ney": ModifiedKneserNey,
}
"""What each is called."""

_WITH_A_NUMBER = re.compile(r"(\w+)\(([^()]*)\)")


def smoothing_named(name: Any, argument: str = "smoothing") -> Smoothing:
    """Return the smoothing of a name, such as "kneser_ney" or "absolute_discounting(0.5)", whose
    number is the discount.

    Parameters
    ----------
    name : str or Smoothing
    argument : str
        What the error calls it.

    Raises
    ------
    ValueError
        For a name that none has, or a number that is no discount or that it does not take.
    """
    if isinstance(name, Smoothing):
        return name
    given = _WITH_A_NUMBER.fullmatch(name) if isinstance(name, str) else None
    word = given[1] if given else name
    if not isinstance(word, str) or word not in SMOOTHINGS:
        raise unknown_name(argument, name, SMOOTHINGS)
    kind = SMOOTHINGS[word]
    if given is None:
        return kind()
    if kind not in (AbsoluteDiscounting, KneserNey):
        raise ValueError(f"{argument} {name!r}: {word} takes no number")
    try:
        return kind(discount=float(given[2]))
    except ValueError:
        raise ValueError(
            f"{argument} {name!r}: the discount must be a number from 0 to 1, as in {word}(0.75)"
        ) from None


def learn(
    histories: np.ndarray, following: np.ndarray, labels: int, smoothing: str | Smoothing
) -> BackOff:
    """Return the model of the tokens that follow histories.

    Parameters
    ----------
    histories : (N, h) integers
        The h tokens before each position, the nearest last; -1 before a text begins.
    following : (N,) integers in [0, A)
        N at least 1.
    labels : int
        A.
    smoothing : str or Smoothing
    """
    return smoothing_named(smoothing).model(count(histories, following, labels), labels)
