"""What the values of a dump are, and what is wrong with its rows: each against plain NumPy."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kt_theory.dumps.block import NO_LABEL, Listed
from kt_theory.dumps.checks import as_block
from kt_theory.dumps.kinds import KINDS, Reading, likely_kind
from kt_theory.dumps.layouts.layout import Asked
from kt_theory.dumps.recognise import recognised
from kt_theory.dumps.rounding import Rounding

LABELS = 400


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=0.0, atol=1e-12)


@pytest.fixture(scope="module")
def teacher():
    """Log-probabilities of 300 positions, and a text drawn from them."""
    random = np.random.default_rng(11)
    logits = random.normal(size=(300, LABELS)) * random.uniform(0.5, 4.0, (300, 1))
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    text = [0] + [int(random.choice(LABELS, p=np.exp(row))) for row in logs[:-1]]
    return logs, np.array(text)


def top(logs, k):
    """The k most probable labels and their logarithms, by sorting all."""
    labels = np.argsort(-logs, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(logs, labels, axis=1), labels


def rows(values, labels=None, **others):
    return Listed(np.asarray(values), labels, np.arange(len(values)) + 1, **others)


def texts(values, labels, text):
    """Rows that are each of the token one further."""
    number = np.arange(len(text))
    starts, ends = np.zeros_like(number), np.full_like(number, len(text))
    return rows(values, labels, tokens=text, starts=starts, after=number + 1, ends=ends)


def block_of(listed, kind="logprobs", labels=LABELS):
    return as_block(listed, kind, "dump", Reading(labels))


AS_STORED = {
    "logprobs": lambda logs: logs,
    "log2": lambda logs: logs / math.log(2),
    "log10": lambda logs: np.log10(np.exp(logs)),
    "probabilities": np.exp,
    "logits": lambda logs: logs + np.arange(len(logs))[:, None] % 7 - 3.0,
}


@pytest.mark.parametrize("kind", AS_STORED)
def test_whole_rows_of_every_kind_are_the_same_logarithms(teacher, kind):
    logs, text = teacher
    stored = AS_STORED[kind](logs)
    block = block_of(texts(stored, None, text), kind)
    close(block.logprobs, logs)
    close(block.following_logprob[:-1], logs[np.arange(299), text[1:]])
    assert np.isnan(block.following_logprob[-1])
    assert likely_kind(stored) == kind


@pytest.mark.parametrize("kind", ["logprobs", "log2", "log10", "probabilities"])
def test_listed_rows_of_every_kind_are_the_same_logarithms(teacher, kind):
    logs, text = teacher
    values, labels = top(logs, 20)
    order = np.argsort(np.random.default_rng(0).random(values.shape), axis=1)
    shuffled = [np.take_along_axis(found, order, axis=1) for found in (values, labels)]
    block = block_of(texts(AS_STORED[kind](shuffled[0]), shuffled[1], text), kind)
    close(block.logprobs, values)
    np.testing.assert_array_equal(block.labels, labels)
    expected = [
        logs[i, token] if token in labels[i] else math.nan for i, token in enumerate(text[1:])
    ]
    close(block.following_logprob, [*expected, math.nan])


def test_logits_with_their_normaliser_are_exact(teacher):
    logs, _ = teacher
    norms = np.random.default_rng(1).normal(size=300) * 10
    values, labels = top(logs, 8)
    block = block_of(rows(values + norms[:, None], labels, lognorm=norms), "logits")
    close(block.logprobs, values)
    with pytest.raises(ValueError, match="without the normaliser"):
        block_of(rows(values + norms[:, None], labels), "logits")
    with pytest.raises(ValueError, match="row 3 its normaliser is nan"):
        block_of(
            rows(values, labels, lognorm=np.where(np.arange(300) == 2, np.nan, norms)), "logits"
        )


def test_renormalised_logits_sum_to_one_over_what_is_listed(teacher):
    values, labels = top(teacher[0], 8)
    block = block_of(rows(values + 9.0, labels), "renormalised logits")
    close(block.logprobs, values - np.log(np.exp(values).sum(axis=1))[:, None])


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_listed_rows_are_checked_as_numpy_checks_them(data):
    """Rows of any length, order, label and value: what is accepted is sorted and sums to 1 at
    most, and what is refused has a fault that a plain look finds.
    """
    k = data.draw(st.integers(1, 6))
    number = st.one_of(st.floats(-20, 0.0), st.sampled_from([-np.inf, np.nan, np.inf, -1e9]))
    cell = st.tuples(number, st.integers(-2, 7))
    listed = data.draw(st.lists(st.lists(cell, min_size=k, max_size=k), min_size=1, max_size=5))
    values = np.array([[x for x, _ in row] for row in listed])
    labels = np.array([[a for _, a in row] for row in listed])
    fault = any(is_wrong(row) for row in listed)
    try:
        block = block_of(rows(values, labels), labels=7)
    except ValueError:
        assert fault
        return
    assert not fault
    for j, row in enumerate(listed):
        kept = sorted((-x, a) for x, a in row if a != NO_LABEL)
        np.testing.assert_array_equal(block.logprobs[j, : len(kept)], [-x for x, _ in kept])
        assert set(block.labels[j, : len(kept)]) == {a for _, a in kept}
        assert (block.labels[j, len(kept) :] == NO_LABEL).all()


def is_wrong(row):
    named = [(x, a) for x, a in row if a != NO_LABEL]
    total = math.fsum(math.exp(min(x, 50.0)) for x, _ in named if not math.isnan(x))
    return (
        any(math.isnan(x) or x == math.inf for x, _ in named)
        or any(x > -math.inf for x, a in row if a == NO_LABEL)
        or any(not 0 <= a < 7 for _, a in named)
        or len({a for _, a in named}) < len(named)
        or not 0.0 < total <= 1.0 + 1e-4
        or (all(math.exp(x) < 1e-300 for x, _ in named))
    )


BAD_ROWS = {
    "two": ([-1.0, -2.0], [4, 4], "row 2 lists the label 4 twice"),
    "beyond": ([-1.0, -2.0], [4, 400], "row 2 has the label 400: labels are 0 to 399"),
    "negative": ([-1.0, -2.0], [4, -7], "row 2 has the label -7"),
    "nan": ([-1.0, np.nan], [4, 5], "row 2 has the value nan"),
    "inf": ([-1.0, np.inf], [4, 5], "row 2 has the value inf"),
    "unnamed": ([-1.0, -2.0], [4, NO_LABEL], "row 2 has a value without a label"),
    "nothing": ([-np.inf, -np.inf], [4, 5], "row 2 has probabilities that sum to 0"),
    "much": ([-0.1, -0.2], [4, 5], "row 2 has probabilities that sum to 1.72357 if"),
    "above": (
        [11.7, -0.2],
        [4, 5],
        "row 2 has the value 11.7, above 0.*kind='renormalised logits'",
    ),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_wrong_row_is_named_with_its_value(name):
    values, labels, message = BAD_ROWS[name]
    listed = rows([[-1.0, -2.0], values], np.array([[1, 2], labels]))
    with pytest.raises(ValueError, match=f"dump: {message}") as error:
        block_of(listed)
    assert "\n" not in str(error.value)


def test_what_is_stated_of_the_token_that_follows_is_read_as_its_row_is(teacher):
    """Logits with their normaliser: beside the row too; above 0 it is no logarithm."""
    logs, text = teacher
    values, labels = top(logs, 3)
    norms = np.linspace(5.0, 9.0, 300)
    own = np.append(logs[np.arange(299), text[1:]], np.nan)
    number = np.arange(300)
    where = {"tokens": text, "starts": 0 * number, "after": number + 1, "ends": 0 * number + 300}
    listed = rows(values + norms[:, None], labels, lognorm=norms, **where)
    beside = dataclasses.replace(listed, following_logprob=own + norms)
    close(block_of(beside, "logits").following_logprob, own)
    wrong = dataclasses.replace(listed, following_logprob=own + norms + 20.0)
    with pytest.raises(ValueError, match=r"row 1 states .* for the token that follows"):
        block_of(wrong, "logits")
    with pytest.raises(ValueError, match=r"row 1 is followed by the token \d+, not within 0 to 9"):
        block_of(dataclasses.replace(beside, tokens=text + 10), "logits", labels=10)


def test_labels_that_no_integer_of_32_bits_holds_are_not_wrapped():
    listed = rows([[-1.0]], np.array([[2**32 + 5]]))
    with pytest.raises(ValueError, match="label 4294967301"):
        block_of(listed, labels=None)


@pytest.mark.parametrize(
    ("stored", "taken", "says"),
    [
        ("logits", "logprobs", "'logits'"),
        ("probabilities", "logprobs", "'probabilities'"),
        ("log2", "logprobs", "'log2'"),
        ("log10", "logprobs", "'log10'"),
        ("logprobs", "log2", "'logprobs'"),
        ("logprobs", "probabilities", "'logprobs'"),
    ],
)
def test_whole_rows_of_another_kind_are_refused_by_its_name(teacher, stored, taken, says):
    with pytest.raises(ValueError, match=f"kind={says} reads them"):
        block_of(rows(AS_STORED[stored](teacher[0])), taken)


def read(listed):
    """What `Dump.read` and then `blocks` do with the first rows."""
    return block_of(listed), recognised(listed, "logprobs", "dump", Reading(LABELS), Asked())


@pytest.mark.parametrize("stored", ["log2", "log10", "probabilities"])
def test_listed_rows_of_another_kind_are_refused_by_its_name(teacher, stored):
    values, labels = top(teacher[0], 30)
    listed = rows(AS_STORED[stored](values), labels)
    with pytest.raises(ValueError, match=f"kind='{stored}'"):
        read(listed)


def test_a_caller_who_says_what_values_are_is_believed(teacher):
    values, labels = top(teacher[0], 30)
    listed = rows(AS_STORED["log2"](values), labels)
    told = recognised(listed, "logprobs", "dump", Reading(LABELS), Asked(kind="logprobs"))
    assert told == Reading(LABELS)


def test_what_rows_do_not_tell_is_said():
    """Rows of even labels fit any base: natural logarithms are taken for granted, in words."""
    listed = rows(np.full((50, 3), math.log(0.01)), np.arange(3) + np.zeros((50, 1), dtype=int))
    told = recognised(listed, "logprobs", "dump", Reading(None), Asked())
    assert "natural logarithms" in told.granted
    assert "base 2" in told.granted


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_renormalised_rows_are_known_and_plain_ones_are_not(teacher, dtype):
    values, labels = top(teacher[0], 8)
    shifted = values - np.log(np.exp(values).sum(axis=1))[:, None]
    told = [
        recognised(rows(found.astype(dtype), labels), "logprobs", "dump", Reading(LABELS), Asked())
        for found in (values, shifted)
    ]
    assert [one.renormalised for one in told] == [False, True]
    probabilities = rows(np.exp(shifted), labels)
    asked = Asked(kind="probabilities")
    assert recognised(probabilities, "probabilities", "dump", Reading(LABELS), asked).renormalised


def test_rows_of_all_labels_that_sum_to_one_are_not_renormalised(teacher):
    values, labels = top(teacher[0], LABELS)
    told = recognised(rows(values, labels), "logprobs", "dump", Reading(LABELS), Asked())
    assert not told.renormalised


def test_logits_that_are_probabilities_are_refused(teacher):
    listed = rows(np.exp(teacher[0]))
    with pytest.raises(ValueError, match="kind='probabilities' reads them"):
        recognised(listed, "logits", "dump", Reading(LABELS), Asked())
    assert recognised(listed, "logits", "dump", Reading(LABELS), Asked(kind="logits"))


@pytest.mark.parametrize("k", [10, LABELS])
def test_rows_that_are_of_their_own_token_are_not_taken_for_the_next(teacher, k):
    logs, text = teacher
    values, labels = top(logs, k) if k < LABELS else (logs, None)
    right = texts(values, labels, text)
    assert recognised(right, "logprobs", "dump", Reading(LABELS), Asked()).labels == LABELS
    wrong = texts(values, labels, np.append(text[1:], 0))
    with pytest.raises(ValueError, match="aligned='same' reads them"):
        recognised(wrong, "logprobs", "dump", Reading(LABELS), Asked())
    assert recognised(wrong, "logprobs", "dump", Reading(LABELS), Asked(aligned="next"))


def test_a_text_that_has_nothing_to_do_with_its_rows_is_aligned_by_no_chance(teacher):
    logs, _ = teacher
    for seed in range(40):
        text = np.random.default_rng(seed).integers(0, LABELS, 300)
        recognised(texts(logs, None, text), "logprobs", "dump", Reading(LABELS), Asked())


@pytest.mark.parametrize(
    ("store", "relative", "absolute"),
    [
        (np.float16, 2.0**-11, 2.0**-25),
        (np.float32, 2.0**-24, 0.0),
        (lambda x: np.float32(np.float16(x)), 2.0**-11, 0.0),
        (lambda x: (x.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32), 2**-9, 0),
        (lambda x: np.round(x, 3), 2.0**-53, 5e-4),
        (lambda x: np.round(x, 4).astype(np.float32), 2.0**-24, 5e-5),
    ],
    ids=["half", "single", "half in single", "brain in single", "3 decimals", "4 in single"],
)
def test_the_precision_of_stored_values_is_known(teacher, store, relative, absolute):
    assert Rounding.of(store(teacher[0])) == Rounding(relative, absolute)


@pytest.mark.parametrize("decimals", [2, 3, 4])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rounding_is_no_fault(teacher, decimals, dtype):
    values, labels = top(teacher[0], 60)
    block_of(rows(np.round(values, decimals).astype(dtype), labels))
    with pytest.raises(ValueError, match=r"sum|above"):
        block_of(rows(np.round(values + 0.08, decimals).astype(dtype), labels))


def test_what_a_layout_knows_of_its_own_errors_is_allowed(teacher):
    values, labels = top(teacher[0], LABELS)
    for shift, off, refused in ((0.04, 0.0, True), (0.04, 0.05, False), (0.06, 0.05, True)):
        listed = rows(values + shift, labels, off=off)
        if refused:
            with pytest.raises(ValueError, match="'renormalised logits' makes each row sum to 1"):
                block_of(listed)
        else:
            block_of(listed)


@pytest.mark.parametrize("kind", KINDS)
def test_a_dump_without_rows_gives_a_block_without_rows(kind):
    empty = rows(np.empty((0, 4)), np.empty((0, 4), dtype=np.int64), lognorm=np.empty(0))
    assert len(block_of(empty, kind)) == 0
