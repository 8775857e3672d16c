"""n-gram teachers: the next-token distribution of a real text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kt_theory.ngrams import Smoothing, learn
from kt_theory.teacher import Teacher
from kt_theory.teachers.families import refuse_large
from kt_theory.validation import unknown_name, whole_number

LARGEST_ORDER = 64
"""Longest n-gram: every context of a longer one is unique in any text that fits in memory."""

_DENSE_KEYS = 2**26
"""Keys below this are renumbered through a table of flags, larger ones by sorting."""


def ngram(
    text: str, order: int, tokens: str = "char", smoothing: str | Smoothing | None = None
) -> Teacher:
    """Return the n-gram teacher of a text: inputs are contexts, pi the distribution of the token
    that follows.

    With N(c, a) the number of places where token a follows context c, pi(a|c) = N(c, a) / N(c) and
    rho(c) = N(c) / sum_c N(c), N(c) = sum_a N(c, a): the maximum-likelihood estimates; or pi as a
    smoothing estimates it, from all contexts of up to order - 1 tokens.

    Parameters
    ----------
    text : str
        At least `order` tokens long.
    order : int
        Length of the n-gram, in [1, 64]: the context is the order-1 tokens before. 1 has one empty
        context, 2 is the bigram.
    tokens : {"char", "word"}
        Unicode code points, or the words between white space. Nothing is folded or stripped from
        either.
    smoothing : str or Smoothing, optional
        "kneser_ney", "modified_kneser_ney", "absolute_discounting" or "good_turing", the first and
        third with a discount too, as "kneser_ney(0.75)": see `kt_theory.ngrams`. By default none.

    Returns
    -------
    Teacher
        Inputs: the contexts that occur with a token after them, sorted by tokens; `input_names`
        holds them as text (words joined by one space). Labels: all tokens of the text, sorted;
        `label_names` holds them.

    Raises
    ------
    ValueError
        If the text is not a str or too short, `tokens` or the smoothing is unknown, or the table
        would exceed 2^28 cells (2 GiB).
    """
    if not isinstance(text, str):
        raise ValueError(
            f"text = {type(text).__name__}: must be a str; read a file with "
            "Path(name).read_text('utf-8')"
        )
    if not isinstance(tokens, str) or tokens not in _TOKENS:
        raise unknown_name("tokens", tokens, _TOKENS)
    length = whole_number(order, "order", low=1, high=LARGEST_ORDER)
    split, joiner = _TOKENS[tokens]
    sequence, codes, vocabulary = split(text)
    if len(codes) < length:
        raise ValueError(
            f"text has {len(codes)} tokens ({tokens}): order = {length} needs at least {length}"
        )
    contexts, places = _contexts(codes, length - 1, len(vocabulary))
    refuse_large(
        len(places),
        len(vocabulary),
        "take a lower order, a shorter text or tokens with fewer values",
    )
    following = codes[length - 1 :]
    pi, rho = _frequencies(contexts, following, len(places), len(vocabulary))
    if smoothing is not None:
        windows = np.lib.stride_tricks.sliding_window_view(codes, length)[:, :-1]
        model = learn(windows, following, len(vocabulary), smoothing)
        pi = model.rows(windows[places])
        pi /= pi.sum(axis=1, keepdims=True)
    names = [joiner.join(sequence[i : i + length - 1]) for i in places.tolist()]
    return Teacher(pi, rho, input_names=names, label_names=vocabulary)


def _characters(text: str) -> tuple[Sequence[str], np.ndarray, list[str]]:
    # surrogatepass: a str read with errors="surrogateescape" holds lone surrogates.
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.int64)
    codes, somewhere = _renumber(points)
    return text, codes, [text[i] for i in somewhere.tolist()]


def _words(text: str) -> tuple[Sequence[str], np.ndarray, list[str]]:
    words = text.split()
    vocabulary = sorted(set(words))
    number = {word: i for i, word in enumerate(vocabulary)}
    return (
        words,
        np.fromiter(map(number.__getitem__, words), dtype=np.int64, count=len(words)),
        vocabulary,
    )


_TOKENS: dict[str, tuple[Any, str]] = {"char": (_characters, ""), "word": (_words, " ")}


def _contexts(codes: np.ndarray, length: int, vocabulary: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of the context before each token from `length` on, and one place where each
    context stands.
    """
    count = len(codes) - length
    contexts, places = np.zeros(count, dtype=np.int64), np.zeros(1, dtype=np.int64)
    for offset in range(length):
        # Renumbering at each step keeps the keys below count * vocabulary, far from overflow.
        contexts, places = _renumber(contexts * vocabulary + codes[offset : offset + count])
    return contexts, places


def _renumber(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each key's rank among the distinct keys, and one position of each distinct key."""
    if not len(keys) or keys.max() >= _DENSE_KEYS:
        _, somewhere, ranks = np.unique(keys, return_index=True, return_inverse=True)
        return ranks, somewhere
    present = np.zeros(int(keys.max()) + 1, dtype=bool)
    present[keys] = True
    ranks = (np.cumsum(present) - 1)[keys]
    somewhere = np.empty(int(present.sum()), dtype=np.int64)
    somewhere[ranks] = np.arange(len(keys))
    return ranks, somewhere


def _frequencies(
    contexts: np.ndarray, following: np.ndarray, inputs: int, labels: int
) -> tuple[np.ndarray, np.ndarray]:
    counts = np.bincount(contexts * labels + following, minlength=inputs * labels).reshape(
        inputs, labels
    )
    totals = counts.sum(axis=1)
    return counts / totals[:, None], totals / totals.sum()
