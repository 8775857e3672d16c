"""Blocks of a dump in memory: logarithms, what follows, what went before."""

import numpy as np
import pytest

from kt_theory import Dump


@pytest.fixture
def text():
    random = np.random.default_rng(7)
    return random.normal(size=(60, 5)), random.integers(0, 3, 60)


def test_rows_are_natural_logarithms_of_probabilities(text):
    logits, tokens = text
    (block,) = Dump.from_arrays(logits, tokens, kind="logits").blocks()
    expected = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(block.logprobs, expected, rtol=1e-13)
    assert block.whole
    assert block.following.tolist() == [*tokens[1:].tolist(), -1]
    stated = [expected[i, token] for i, token in enumerate(tokens[1:])]
    np.testing.assert_allclose(block.following_logprob, [*stated, np.nan])


@pytest.mark.parametrize("context", [None, 0, 1, 3])
def test_equal_inputs_have_equal_digests_and_others_do_not(text, context):
    logits, tokens = text
    (block,) = Dump.from_arrays(logits, tokens, kind="logits", context=context).blocks()
    before = [tuple(tokens[: i + 1]) for i in range(60)]
    if context is not None:
        padded = [(-1, -1, -1, *tokens) for tokens in before]
        before = [tokens[len(tokens) - context :] for tokens in padded]
        np.testing.assert_array_equal(block.histories, np.array(before).reshape(60, context))
    digests = block.contexts.tolist()
    assert len(set(before)) == len(set(digests)) == len(set(zip(before, digests, strict=True)))


@pytest.mark.parametrize("start", [0, 1, 7, 59])
def test_blocks_go_on_where_they_were_left(text, start, monkeypatch):
    logits, tokens = text
    dump = Dump.from_arrays(logits, tokens, kind="logits", context=2)
    (whole,) = dump.blocks()
    monkeypatch.setattr("kt_theory.dumps.dump.CELLS", 35)
    parts = list(dump.blocks(start))
    assert max(map(len, parts)) == min(7, 60 - start)
    for name in ("logprobs", "contexts", "following"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, name)[start:])
