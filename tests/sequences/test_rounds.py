"""Rounds of speculative decoding with n-gram models: exact sums, texts, real accept and reject
steps. Statistical tests ask for 5 standard errors: false alarms below 6e-7 each.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from sequence_dumps import dump_of
from test_speculative import drawn, round_law, stationary, step

import kt_theory as kt
from kt_theory.ngrams import learn
from kt_theory.sequences.rounds import along_texts, on_chain
from kt_theory.speculative import tokens_per_round

ERRORS = 5.0


def windows(tokens, context):
    if not context:
        return np.zeros((len(tokens), 0), dtype=int)
    padded = np.concatenate([np.full(context, -1), tokens])
    return np.stack([padded[i : i + len(tokens)] for i in range(context)], 1).reshape(-1, context)


def of_text(context, labels=3, seed=0, size=400, smoothing="absolute_discounting(0.6)"):
    """A model of a text in which runs of a label are common."""
    random = np.random.default_rng(seed)
    tokens = random.integers(0, labels, size)
    for i in range(2, size):
        if random.random() < 0.6:
            tokens[i] = (tokens[i - 1] + tokens[i - 2]) % labels
    return learn(windows(tokens, context), tokens, labels, smoothing)


def of_runs(stay, context):
    """A model of a text that stays at label a with probability stay[a], of two labels."""
    random = np.random.default_rng(1)
    tokens = [0, 1]
    for _ in range(1500):
        leaves = random.random() >= stay[tokens[-1]]
        tokens.append(tokens[-1] ^ leaves)
    return learn(windows(np.array(tokens), context), np.array(tokens), 2, "kneser_ney")


def dense(model, context):
    """Rows of all contexts of so many tokens, and which context follows each."""
    labels = model.labels
    contexts = np.array(list(itertools.product(range(labels), repeat=context)), dtype=int)
    rows = model.rows(contexts.reshape(labels**context, context))
    return contexts, rows


@pytest.mark.parametrize("proposed", [1, 2, 5])
def test_the_chain_of_a_bigram(proposed):
    """As sums over (S, S) tables say."""
    teacher, draft = of_text(1), of_text(0)
    p, q = dense(teacher, 1)[1], np.tile(dense(draft, 0)[1], (3, 1))
    tokens, following = round_law(p, q, proposed)
    accepted, found = on_chain(teacher, draft, proposed)
    assert found == pytest.approx(stationary(following) @ tokens, rel=1e-10)
    assert accepted == pytest.approx(stationary(p) @ np.minimum(p, q).sum(axis=1), rel=1e-10)


@pytest.mark.parametrize(("order", "context"), [(2, 0), (2, 1), (2, 2), (3, 1)])
def test_the_chain_of_a_longer_context_by_its_paths(order, context):
    """Tokens of a round as a sum over all paths of g tokens: T(s) = 1 + sum_j sum over paths of j
    tokens of prod m, and where rounds begin by the (S, S) table of those paths."""
    proposed, labels = 2, 3
    teacher, draft = of_text(order), of_text(context)
    contexts, p = dense(teacher, order)
    q = draft.rows(contexts[:, order - context :])
    both = np.minimum(p, q)
    place = {tuple(each): s for s, each in enumerate(contexts.tolist())}
    tokens, following = np.ones(len(contexts)), np.zeros((len(contexts),) * 2)
    for s, each in enumerate(contexts.tolist()):
        for path in itertools.product(range(labels), repeat=proposed + 1):
            at, chance = s, 1.0
            for j, a in enumerate(path):
                after = place[(*contexts[at].tolist()[1:], a)]
                last = p[at, a] if j == proposed else p[at, a] - both[at, a]
                alike = labels ** (proposed - j)
                following[s, after] += chance * last / alike
                if j < proposed:
                    chance *= both[at, a]
                    tokens[s] += chance / alike
                at = after
        assert following[s].sum() == pytest.approx(1.0, abs=1e-12)
        assert each == list(contexts[s])
    accepted, found = on_chain(teacher, draft, proposed)
    assert found == pytest.approx(stationary(following) @ tokens, rel=1e-9)
    assert (accepted == pytest.approx(1.0, abs=1e-12)) == (order == context)


def brute_force(accepted, run, draft):
    """Every pattern of accepted places, round by round."""
    starts, tokens, size = np.zeros(len(run)), np.zeros(len(run)), len(run)
    for pattern in itertools.product([False, True], repeat=size):
        chance = math.prod(r if yes else 1 - r for r, yes in zip(accepted, pattern, strict=True))
        for first in np.unique(run):
            places = np.flatnonzero(run == first)
            at = 0
            while at < len(places):
                starts[places[at]] += chance
                length = 1
                while length <= draft and at + length <= len(places):
                    if not pattern[places[at + length - 1]]:
                        break
                    length += 1
                at += length
    for i in range(size):
        going = 1.0
        for j in range(draft + 1):
            tokens[i] += going
            if i + j < size and j < draft:
                going *= accepted[i + j]
    full = np.array(
        [i + draft <= size and (run[i : i + draft] == run[i]).all() for i in range(size)]
    )
    return (starts * tokens)[full].sum() / starts[full].sum()


@pytest.mark.parametrize("draft", [1, 2, 3])
@pytest.mark.parametrize("run", [[0] * 8, [0, 0, 0, 0, 0, 1, 1, 1, 1], [0, 1, 1, 1, 2]])
def test_rounds_along_texts_by_every_pattern(draft, run):
    accepted = np.random.default_rng(draft).random(len(run))
    found = along_texts(accepted, np.array(run), draft)
    assert found == pytest.approx(brute_force(accepted, np.array(run), draft), rel=1e-12)


def test_texts_shorter_than_a_draft_have_no_rounds():
    assert along_texts(np.full(3, 0.5), np.arange(3), 2) is None


@pytest.mark.parametrize("proposed", [1, 4])
def test_rounds_along_texts_of_the_teacher_are_those_of_its_chain(proposed):
    """A text of 40,000 tokens in 40 pieces: a gap of 2 % is found with a probability of 0.8. The
    draft of another text is convicted, and the formula for independent acceptances is measured.
    """
    teacher, draft = of_text(2), of_text(1, size=40, seed=5)
    random = np.random.default_rng(3)
    texts, length = 40, 1000
    tokens = np.zeros((texts, length), dtype=np.int64)
    tokens[:, :2] = 1
    for i in range(2, length):
        tokens[:, i] = teacher.draw(tokens[:, i - 2 : i], random)
    found = []
    for text in tokens:
        histories = np.lib.stride_tricks.sliding_window_view(text, 2)[20:-1]
        label = text[22:, None]
        ratio = draft.probabilities(histories, label) / teacher.probabilities(histories, label)
        accepted = np.minimum(1.0, ratio[:, 0])
        found.append(along_texts(accepted, np.zeros(len(accepted), dtype=int), proposed))
    exact = on_chain(teacher, draft, proposed)[1]
    error = np.std(found) / math.sqrt(texts)
    assert 5.85 * error < 0.02 * exact
    assert abs(np.mean(found) - exact) < ERRORS * error
    assert abs(np.mean(found) - on_chain(teacher, of_text(0), proposed)[1]) > ERRORS * error


def test_real_rounds_of_a_longer_teacher():
    """Whole rounds, context after context, of a teacher of two tokens and a draft of one: 2,000
    streams of 90 rounds; a gap of 2 % is found with a probability of 0.8. The draft is good where
    the text stays at one label, and bad where it stays at the other: the formula for independent
    acceptances is more than 5 % off, and convicted.
    """
    teacher, draft, proposed = of_runs((0.95, 0.93), 2), of_runs((0.9, 0.3), 1), 4
    contexts, p = dense(teacher, 2)
    q = draft.rows(contexts[:, 1:])
    after = (np.arange(4)[:, None] * 2 + np.arange(2)) % 4
    random = np.random.default_rng(4)
    at, total, rounds = random.integers(0, 4, 2000), np.zeros(2000), 90
    for turn in range(rounds + 15):
        going = np.ones(len(at), dtype=bool)
        for _ in range(proposed):
            written, accepted = step(p[at], q[at], random)
            at = np.where(going, after[at, written], at)
            total += going * (turn >= 15)
            going &= accepted
        last = after[at, drawn(p[at], random)]
        at = np.where(going, last, at)
        total += going * (turn >= 15)
    rate, error = total.mean() / rounds, total.std() / rounds / math.sqrt(len(total))
    found = kt.acceptance(draft, proposed, 0.1, teacher=teacher)
    assert abs(rate - found.tokens_per_round.value) < ERRORS * error
    assert 5.85 * error < 0.02 * rate
    assert found.speed_up.value == pytest.approx(found.tokens_per_round.value / 1.4, rel=1e-14)
    formula = tokens_per_round(1.0 - found.acceptance.value, proposed)
    assert found.if_independent == formula
    assert abs(rate - formula) > max(ERRORS * error, 0.05 * rate)
    assert f"by independent acceptances: {formula:.4g}, " in str(found)


def sampled_dump(k=None, texts=10):
    """Texts that a teacher of two tokens wrote, and its rows."""
    teacher = of_text(2)
    random = np.random.default_rng(8)
    tokens = np.full((texts, 62), -1, dtype=np.int64)
    for i in range(2, 62):
        tokens[:, i] = teacher.draw(tokens[:, i - 2 : i], random)
    histories = np.lib.stride_tricks.sliding_window_view(tokens, 2, axis=1)[:, 1:].reshape(-1, 2)
    return dump_of(teacher.rows(histories), tokens[:, 2:].ravel(), (60,) * texts, k)


def test_a_copy_of_a_dump_has_an_acceptance():
    """Measured at held-out positions, certified for others; rounds along the held-out texts."""
    copy = kt.fit(sampled_dump(), "kneser_ney", context=1)
    found = kt.acceptance(copy, 3)
    assert found.acceptance.value == copy.acceptance[0]
    assert found.acceptance.low == copy.certificate().acceptance
    held = copy.held_out
    placed = ~np.isnan(held.accepted_low)
    expected = along_texts(held.accepted_low[placed], held.text[placed], 3)
    assert found.tokens_per_round.value == expected
    assert found.speed_up.value == pytest.approx(expected / 1.15, rel=1e-14)
    assert found.if_independent == pytest.approx(tokens_per_round(copy.tv[0], 3), rel=1e-12)
    assert "95 % confidence" in str(found)
    assert "held-out texts are the teacher's own" in str(found)


def test_a_copy_of_listed_rows_has_an_interval():
    """It holds what whole rows give."""
    whole = kt.acceptance(kt.fit(sampled_dump(), "kneser_ney", context=1), 3)
    listed = kt.acceptance(kt.fit(sampled_dump(k=1), "kneser_ney", context=1), 3)
    for name in ("acceptance", "tokens_per_round", "speed_up"):
        span, value = getattr(listed, name), getattr(whole, name).value
        assert span.value is None
        assert span.low <= value <= span.high
        assert span.low < span.high


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: kt.acceptance(of_text(1)), "teacher is missing: an n-gram draft needs"),
        (lambda: kt.acceptance(0.2, teacher=of_text(1)), "teacher is for an n-gram model"),
        (
            lambda: kt.acceptance(of_text(2), teacher=of_text(1)),
            "draft of context 2: must be at most the teacher's, 1",
        ),
        (
            lambda: kt.acceptance(of_text(1, labels=4), teacher=of_text(1)),
            "teacher has 3 labels, the draft 4: must be the same",
        ),
        (
            lambda: kt.acceptance(of_text(1, labels=300), teacher=of_text(2, labels=300)),
            r"teacher has 300\^2 contexts: at most 16,777,216",
        ),
        (
            lambda: kt.acceptance(kt.fit(sampled_dump(), context=1), 60),
            "draft = 60: no held-out text is as long as that",
        ),
    ],
)
def test_what_has_no_rounds_is_refused(call, said):
    with pytest.raises(ValueError, match=said) as raised:
        call()
    assert "\n" not in str(raised.value)
