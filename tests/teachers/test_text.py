"""n-gram teachers against a dictionary that counts n-grams one by one."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kt_theory import teachers
from kt_theory.teachers import text as text_module

SENTENCE = "the cat sat on the mat\nand the cat ran \u2014 \u00e9t\u00e9 \U0001f600"


def brute_force(text, order, tokens):
    pieces = list(text) if tokens == "char" else text.split()
    counts = Counter()
    for i in range(order - 1, len(pieces)):
        counts[tuple(pieces[i - order + 1 : i]), pieces[i]] += 1
    contexts = sorted({context for context, _ in counts})
    labels = sorted(set(pieces))
    table = np.array(
        [[counts[context, label] for label in labels] for context in contexts], dtype=float
    )
    joined = [("" if tokens == "char" else " ").join(context) for context in contexts]
    # What is no Unicode, a lone surrogate, is written out in names.
    joined, labels = (
        [name.encode("utf-8", "backslashreplace").decode() for name in names]
        for names in (joined, labels)
    )
    return joined, labels, table


def check(text, order, tokens):
    names, labels, table = brute_force(text, order, tokens)
    teacher = teachers.ngram(text, order, tokens)
    assert list(teacher.input_names) == names
    assert list(teacher.label_names) == labels
    totals = table.sum(axis=1)
    np.testing.assert_array_equal(teacher.pi, table / totals[:, None])
    np.testing.assert_allclose(teacher.rho, totals / totals.sum(), rtol=1e-15)


@pytest.mark.parametrize("tokens", ["char", "word"])
@pytest.mark.parametrize("order", [1, 2, 3, 5, 9])
def test_a_sentence(order, tokens):
    check(SENTENCE, order, tokens)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.text(min_size=1, max_size=60), st.integers(1, 5))
def test_characters_of_any_text(text, order):
    if len(text) >= order:
        check(text, order, "char")


@settings(deadline=None, derandomize=True, max_examples=150)
@given(
    st.lists(
        st.sampled_from(["a", "b", "ab", "\u00e9", "\U0001f600", "\ud800"]), min_size=4, max_size=40
    ),
    st.integers(1, 4),
)
def test_words_and_few_characters(pieces, order):
    """Few tokens, so that contexts repeat; joined by several kinds of white space; a lone surrogate among them."""
    check("\n \t".join(pieces), order, "word")
    check("".join(pieces), order, "char")


def test_large_keys_are_renumbered_by_sorting(monkeypatch):
    monkeypatch.setattr(text_module, "_DENSE_KEYS", 4)
    for order in (1, 2, 4):
        check(SENTENCE, order, "char")
        check(SENTENCE, order, "word")


def test_the_shortest_text():
    teacher = teachers.ngram("ab", 2)
    assert (teacher.input_names, teacher.label_names) == (("a",), ("a", "b"))
    assert teacher.pi.tolist() == [[0.0, 1.0]]
    assert teachers.ngram("aaa", 3).pi.tolist() == [[1.0]]


def test_a_megabyte_of_text():
    """Marginals of a long text, counted by str.count; the pairs by Counter."""
    rng = np.random.default_rng(0)
    text = "".join(rng.choice(list("abcdefgh "), size=1_000_000))
    one, two = teachers.ngram(text, 1), teachers.ngram(text, 2)
    np.testing.assert_allclose(
        one.pi[0], [text.count(c) / 1_000_000 for c in one.label_names], rtol=1e-14
    )
    pairs = Counter(pairwise(text))
    joint = [[pairs[c, a] / 999_999 for a in two.label_names] for c in two.input_names]
    np.testing.assert_allclose(two.pi * two.rho[:, None], joint, rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "order", "tokens", "message"),
    [
        (b"abc", 2, "char", "text = bytes: must be a str; read a file"),
        (None, 2, "char", "text = NoneType"),
        ("", 1, "char", r"text has 0 tokens \(char\): order = 1 needs at least 1"),
        (" \n ", 1, "word", r"text has 0 tokens \(word\)"),
        ("ab", 3, "char", r"text has 2 tokens \(char\): order = 3 needs at least 3"),
        ("a b", 3, "word", r"text has 2 tokens \(word\)"),
        ("abc", 0, "char", "order = 0: must be at least 1"),
        ("abc", 65, "char", "order = 65: must be at most 64"),
        ("abc", 1.5, "char", "order = 1.5"),
        ("abc", 2, "words", "unknown tokens 'words' .did you mean 'word'.*char, word"),
        ("abc", 2, None, "unknown tokens None"),
    ],
)
def test_bad_input(text, order, tokens, message):
    with pytest.raises(ValueError, match=message):
        teachers.ngram(text, order, tokens)


def test_a_table_that_would_be_too_large_is_refused():
    words = " ".join(str(i) for i in range(20_000))
    with pytest.raises(
        ValueError,
        match=r"19999 x 20000: a dense table of 2.98 GiB, the limit is 2 GiB \(2\^28 cells\)",
    ):
        teachers.ngram(words, 2, "word")
