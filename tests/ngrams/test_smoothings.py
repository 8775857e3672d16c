"""Smoothed n-gram models against plain Python that follows the papers' formulas, token by token."""

from __future__ import annotations

from collections import Counter, defaultdict
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import kt_theory as kt
from kt_theory.ngrams import SMOOTHINGS, AbsoluteDiscounting, KneserNey, learn, smoothing_named
from kt_theory.ngrams.discounts import three_discounts
from kt_theory.ngrams.good_turing import adjusted_counts, discounts

WORDS = (Path(kt.__file__).parents[1] / "LICENSE").read_text().lower().split()
VOCABULARY = sorted(set(WORDS))
TOKENS = [VOCABULARY.index(word) for word in WORDS]
LABELS = len(VOCABULARY) + 3
"""Three labels never occur."""

BEGIN = -1


def texts():
    """The licence as texts that begin at each "the", so that many begin alike."""
    first = [0, *(i for i, word in enumerate(WORDS) if i and word == "the"), len(TOKENS)]
    return [TOKENS[a:b] for a, b in pairwise(first)]


def positions(length):
    histories, following = [], []
    for text in texts():
        padded = [BEGIN] * length + text
        for i, token in enumerate(text):
            histories.append(padded[i : i + length])
            following.append(token)
    return np.array(histories).reshape(len(following), length), np.array(following)


def ngram_counts(length):
    """Counts of (context, label) for each length of context, by dictionaries."""
    found = [Counter() for _ in range(length + 1)]
    histories, following = positions(length)
    for history, label in zip(histories.tolist(), following.tolist(), strict=True):
        for m in range(length + 1):
            found[m][tuple(history[length - m :]), label] += 1
    return found


def continued(counts):
    """N1+(. c a) of all but the longest; counts where nothing stands before c."""
    found = []
    for m, table in enumerate(counts[:-1]):
        before = defaultdict(set)
        for context, label in counts[m + 1]:
            before[context[1:], label].add(context[0])
        found.append(
            {
                (context, label): table[context, label]
                if context[:1] == (BEGIN,)
                else len(before[context, label])
                for context, label in table
            }
        )
    return [*found, counts[-1]]


def one_discount(table):
    n = Counter(table.values())
    return constant(n[1] / (n[1] + 2 * n[2]))


def constant(discount):
    return lambda value: discount


def three(table):
    n = Counter(table.values())
    y = Fraction(n[1], n[1] + 2 * n[2])
    found = {r: float(r - (r + 1) * y * Fraction(n[r + 1], n[r]) if n[r] else y) for r in (1, 2, 3)}
    found = {0: 0.0} | {r: min(max(d, 0.0), float(r)) for r, d in found.items()}
    return lambda count: found[min(count, 3)]


def discounted(counts, discount_of):
    """q(a|c) = (N - D)_+ / N(c) + [sum D / N(c)] q(a|c')."""
    listed = [defaultdict(dict) for _ in counts]
    for m, table in enumerate(counts):
        for (context, label), value in table.items():
            listed[m][context][label] = value
    taken = [discount_of(table) for table in counts]

    @cache
    def row(context):
        m = len(context)
        shorter = row(context[1:]) if m else [1.0 / LABELS] * LABELS
        if context not in listed[m]:
            return shorter
        here = listed[m][context]
        total = sum(here.values())
        freed = sum(min(taken[m](value), value) for value in here.values()) / total
        return [
            max(here.get(a, 0) - taken[m](here.get(a, 0)), 0.0) * (a in here) / total
            + freed * shorter[a]
            for a in range(LABELS)
        ]

    return row


def simple_good_turing(table):
    """d_r of Gale and Sampson, step by step as in their section 'the simple Good-Turing'."""
    n = Counter(table.values())
    r = sorted(n)
    z = []
    for j, count in enumerate(r):
        q = r[j - 1] if j else 0
        t = r[j + 1] if j + 1 < len(r) else 2 * count - q
        z.append(n[count] / (0.5 * (t - q)))
    b, a = np.polyfit(np.log(r), np.log(z), 1)

    def smooth(count):
        return np.exp(a + b * np.log(count))

    star, with_line = {}, False
    for count in r:
        y = (count + 1) * smooth(count + 1) / smooth(count)
        if count + 1 not in n:
            with_line = True
        if not with_line:
            x = (count + 1) * n[count + 1] / n[count]
            spread = (count + 1) ** 2 * n[count + 1] / n[count] ** 2 * (1 + n[count + 1] / n[count])
            with_line = abs(x - y) <= 1.96 * np.sqrt(spread)
        star[count] = y if with_line else x
    whole = sum(count * n[count] for count in r)
    adjusted = sum(star[count] * n[count] for count in r)
    unseen = n[1] / whole
    return {count: min(1.0, (1 - unseen) * star[count] / adjusted * whole / count) for count in r}


def katz(counts):
    listed = [defaultdict(dict) for _ in counts]
    for m, table in enumerate(counts):
        of_count = simple_good_turing(table)
        totals = Counter()
        for (context, _), value in table.items():
            totals[context] += value
        for (context, label), value in table.items():
            listed[m][context][label] = of_count[value] * value / totals[context]

    @cache
    def row(context):
        m = len(context)
        shorter = row(context[1:]) if m else [1.0 / LABELS] * LABELS
        if context not in listed[m]:
            return shorter
        here = listed[m][context]
        rest = sum(p for a, p in enumerate(shorter) if a not in here)
        alpha = (1.0 - sum(here.values())) / rest
        return [here.get(a, alpha * shorter[a]) for a in range(LABELS)]

    return row


ORACLES = {
    "absolute_discounting": lambda counts: discounted(counts, one_discount),
    "absolute_discounting(0.25)": lambda counts: discounted(counts, lambda _: constant(0.25)),
    "kneser_ney": lambda counts: discounted(continued(counts), one_discount),
    "kneser_ney(0.9)": lambda counts: discounted(continued(counts), lambda _: constant(0.9)),
    "modified_kneser_ney": lambda counts: discounted(continued(counts), three),
    "good_turing": katz,
}


def asked(length):
    """Histories of the text, and others that do not occur or begin a text."""
    histories = positions(length)[0]
    random = np.random.default_rng(3)
    mixed = random.integers(-1, LABELS, (30, length))
    half = histories[random.integers(0, len(histories), 30)].copy()
    half[:, : length // 2] = random.integers(0, LABELS, (30, length // 2))
    return np.concatenate([histories[::17], mixed, half])


@pytest.mark.parametrize("length", [0, 1, 2])
@pytest.mark.parametrize("name", ORACLES)
def test_rows_are_those_of_the_papers(name, length):
    """Every row, of contexts that occur and of others, to 1e-12; and each sums to 1."""
    model = learn(*positions(length), LABELS, name)
    row = ORACLES[name](ngram_counts(length))
    histories = asked(length)
    expected = []
    for history in histories.tolist():
        while (
            len(history)
            and model.contexts_of(np.array([[*[0] * (length - len(history)), *history]]))[
                0, len(history)
            ]
            < 0
        ):
            history = history[1:]
        expected.append(row(tuple(history)))
    found = model.rows(histories)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-13)
    assert (found >= 0).all()


@pytest.mark.parametrize("length", [0, 1, 3])
@pytest.mark.parametrize("name", [*SMOOTHINGS, "kneser_ney(0)", "absolute_discounting(1)"])
def test_what_is_sparse_is_what_is_dense(name, length):
    """Probabilities of single labels, the least, and the most probable ones, from whole rows."""
    model = learn(*positions(length), LABELS, name)
    histories = asked(length)
    rows = model.rows(histories)
    labels = np.tile(np.arange(-1, LABELS + 1), (len(histories), 1))
    single = model.probabilities(histories, labels)
    np.testing.assert_allclose(single[:, 1:-1], rows, rtol=1e-12)
    assert (single[:, [0, -1]] == 0).all()
    assert (model.least(histories) <= rows.min(axis=1) * (1 + 1e-12)).all()
    if model.interpolated:
        for k in (1, 7, LABELS):
            label, p = model.top(histories, k)
            np.testing.assert_allclose(p, -np.sort(-rows, axis=1)[:, :k], rtol=1e-12)
            of_label = np.take_along_axis(single[:, 1:-1], label, 1)
            np.testing.assert_allclose(of_label, p, rtol=1e-14)
    else:
        with pytest.raises(ValueError, match="top needs an interpolated model"):
            model.top(histories, 3)


@pytest.mark.parametrize("name", ["kneser_ney", "modified_kneser_ney"])
def test_labels_are_drawn_from_rows(name):
    """Frequencies of 20,000 draws from each of 20 rows, to 6 standard errors: false alarms below
    1e-6 together; another history's row is convicted.
    """
    model = learn(*positions(2), LABELS, name)
    histories = asked(2)[:20]
    draws = 20_000
    repeated = np.repeat(histories, draws, axis=0)
    found = model.draw(repeated, np.random.default_rng(5)).reshape(20, draws)
    frequency = np.stack([np.bincount(row, minlength=LABELS) for row in found]) / draws
    rows = model.rows(histories)
    error = 6.0 * np.sqrt(rows * (1 - rows) / draws) + 12.0 / draws
    assert (np.abs(frequency - rows) < error).all()
    assert (np.abs(frequency - rows[::-1]) > error).any(axis=1).mean() > 0.5


PROSODY = """1 120 2 40 3 24 4 13 5 15 6 5 7 11 8 2 9 2 10 1 12 3 14 2 15 1 16 1 17 3 19 1 20 3 21 2
23 3 24 3 25 3 26 2 27 2 28 1 31 2 32 2 33 1 34 2 36 2 41 3 43 1 45 3 46 1 47 1 50 1 71 1 84 1
101 1 105 1 121 1 124 1 146 1 162 1 193 1 199 1 224 1 226 1 254 1 257 1 339 1 421 1 456 1 481 1
483 1 1140 1 1256 1 1322 1 1530 1 2131 1 2395 1 6925 1 7846 1"""


def test_good_turing_of_the_paper_s_own_example():
    """Gale and Sampson's prosody counts: P0 = 0.003883, r* = 0.7628 and p = 2.468e-5 of r = 1,
    7839 and 0.2537 of r = 7846."""
    r, n = np.array(PROSODY.split(), dtype=int).reshape(-1, 2).T
    found, of_count = discounts(np.repeat(r, n))
    assert found.tolist() == r.tolist()
    seen = (r * n).sum()
    assert n[0] / seen == pytest.approx(0.003883, abs=5e-7)
    assert of_count[0] == pytest.approx(0.7628, abs=5e-5)
    assert of_count[0] / seen == pytest.approx(2.468e-5, abs=5e-9)
    assert of_count[-1] * r[-1] == pytest.approx(7839, abs=0.5)
    assert of_count[-1] * r[-1] / seen == pytest.approx(0.2537, abs=5e-5)
    assert (of_count * r * n).sum() == pytest.approx(seen - n[0], rel=1e-12)


@pytest.mark.parametrize(("r", "n", "expected"), [([1], [5], [0.0]), ([3], [4], [1.0])])
def test_good_turing_of_one_count(r, n, expected):
    """Labels all seen once say that all is unseen; none seen once, that nothing is."""
    _, found = discounts(np.repeat(r, n))
    assert found.tolist() == expected
    assert adjusted_counts(np.array(r), np.array(n)).tolist() == r


def test_three_discounts_where_counts_are_missing():
    """Within [0, r], and Y where no pair occurs r times."""
    assert three_discounts(np.array([1, 1, 2, 5])).tolist() == [0.0, 0.5, 2.0, 0.5]
    assert three_discounts(np.array([4, 7])).tolist() == [0.0] * 4


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("kneser_ney", KneserNey()),
        ("kneser_ney(0.75)", KneserNey(0.75)),
        (AbsoluteDiscounting(0.5), AbsoluteDiscounting(0.5)),
    ],
)
def test_names_of_smoothings(name, expected):
    assert smoothing_named(name) == expected


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("kneserney", "unknown smoothing 'kneserney' \\(did you mean 'kneser_ney'\\?\\)"),
        (7, "unknown smoothing 7"),
        ("good_turing(2)", "smoothing 'good_turing\\(2\\)': good_turing takes no number"),
        (
            "kneser_ney(1.5)",
            "the discount must be a number from 0 to 1, as in kneser_ney\\(0.75\\)",
        ),
        ("kneser_ney(x)", "the discount must be a number from 0 to 1"),
    ],
)
def test_what_is_no_smoothing_is_refused(name, said):
    with pytest.raises(ValueError, match=said) as raised:
        smoothing_named(name)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["kneser_ney", "good_turing", "absolute_discounting(0.5)"])
def test_the_teacher_of_a_text_takes_a_smoothing(name):
    """`kt.teachers.ngram` has the same contexts and rho; its rows are those of the formulas, with
    counts of positions that have a whole context."""
    text = " ".join(WORDS[:150])
    plain = kt.teachers.ngram(text, 3, "word")
    smooth = kt.teachers.ngram(text, 3, "word", smoothing=name)
    assert smooth.input_names == plain.input_names
    np.testing.assert_array_equal(smooth.rho, plain.rho)
    codes = [plain.label_names.index(word) for word in text.split()]
    histories = np.array([codes[i : i + 2] for i in range(len(codes) - 2)])
    model = learn(histories, np.array(codes[2:]), plain.labels, name)
    for s, context in enumerate(plain.input_names):
        words = [plain.label_names.index(word) for word in context.split()]
        np.testing.assert_allclose(smooth.pi[s], model.rows(np.array([words]))[0], rtol=1e-12)
    assert (smooth.pi > 0).mean() > 5 * (plain.pi > 0).mean()
    with pytest.raises(ValueError, match="unknown smoothing 'add_one'"):
        kt.teachers.ngram(text, 3, smoothing="add_one")
