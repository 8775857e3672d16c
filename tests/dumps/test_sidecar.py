"""Files with the teacher's top labels beside the texts."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dumps.layouts_parquet import LABELS, ids_of, nested, texts, values_of

from kt_theory import Dump

NAMES = [
    ("teacher_topk_ids", "teacher_topk_logprobs"),
    ("teacher_topk_token_ids", "teacher_topk_logprobs"),
    ("topk_indices", "topk_logprobs"),
]


def write(path, found, names=NAMES[0], fixed=None, **columns):
    ids, values = (nested([of(text) for text in found], kind) for of, kind in (
        (ids_of, pa.int32()), (values_of, pa.float32()),
    ))  # fmt: skip
    if fixed:
        ids = ids.cast(pa.large_list(pa.list_(pa.int32(), fixed)))
        values = values.cast(pa.large_list(pa.list_(pa.float32(), fixed)))
    pq.write_table(pa.table({names[0]: ids, names[1]: values, **columns}), path)


def lists(tokens, kind=None):
    return pa.array(tokens, pa.large_list(kind or pa.int64()))


def assert_rows(dump, found, follows, before):
    (block,) = dump.blocks()
    assert block.labels.tolist() == [row for text in found for row in ids_of(text)]
    values = [row for text in found for row in values_of(text)]
    np.testing.assert_allclose(block.logprobs, values, rtol=1e-6)
    assert block.following.tolist() == follows
    prefixes, digests = [tuple(tokens) for tokens in before], block.contexts.tolist()
    assert len(set(prefixes)) == len(set(digests)) == len(set(zip(prefixes, digests, strict=True)))


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("missing", [0, 1])
def test_a_row_for_each_token_is_what_follows_it(tmp_path, names, missing):
    found = texts(missing=missing)
    write(tmp_path / "a.parquet", found, names, input_ids=lists([t.tokens for t in found]))
    follows = [
        t.tokens[i + 1] if i + 1 < len(t.tokens) else -1 for t in found for i in range(len(t.rows))
    ]
    before = [t.tokens[: i + 1] for t in found for i in range(len(t.rows))]
    assert_rows(Dump.read(tmp_path, labels=LABELS), found, follows, before)


@pytest.mark.parametrize("fixed", [None, 5])
def test_a_row_for_each_token_of_the_response_is_that_token_s(tmp_path, fixed):
    """A verl-style corpus: top labels of response_token_ids, as the server drew them."""
    found = texts(missing=0, ahead=0)
    prompts = [[9, 8, 7], [], [9, 8], [4]]
    write(
        tmp_path / "a.parquet",
        found,
        fixed=fixed,
        prompt_token_ids=lists(prompts),
        response_token_ids=lists([t.tokens for t in found]),
        response_mask=lists([[1] * len(t.tokens) for t in found], pa.int8()),
    )
    follows = [token for text in found for token in text.tokens]
    before = [
        prompt + text.tokens[:i]
        for prompt, text in zip(prompts, found, strict=True)
        for i in range(len(text.tokens))
    ]
    assert_rows(Dump.read(tmp_path, labels=LABELS), found, follows, before)


def test_the_caller_may_say_of_which_token_a_row_is(tmp_path):
    found = texts(missing=0)
    ids = lists([t.tokens for t in found])
    write(tmp_path / "whole.parquet", found, input_ids=ids)
    write(
        tmp_path / "answers.parquet",
        found,
        prompt_token_ids=lists([[]] * 4),
        response_token_ids=ids,
    )
    after = [[*t.tokens[1:], -1] for t in found]
    for name in ("whole", "answers"):
        for aligned, follows in (("same", [t.tokens for t in found]), ("next", after)):
            dump = Dump.read(tmp_path / f"{name}.parquet", labels=LABELS, aligned=aligned)
            (block,) = dump.blocks()
            assert block.following.tolist() == [token for text in follows for token in text]


def test_a_row_for_each_token_of_the_answer_is_that_token_s(tmp_path):
    found = texts(missing=0, lengths=(3, 2), ahead=0)
    write(
        tmp_path / "a.parquet",
        found,
        input_ids=lists([[9, 8, *found[0].tokens], [*found[1].tokens[:1], 5, found[1].tokens[1]]]),
        response_mask=lists([[0, 0, 1, 1, 1], [1, 0, 1]]),
    )
    follows = [token for text in found for token in text.tokens]
    first, second = found[0].tokens, found[1].tokens
    before = [[9, 8], [9, 8, *first[:1]], [9, 8, *first[:2]], [], [second[0], 5]]
    dump = Dump.read(tmp_path / "a.parquet", labels=LABELS)
    assert_rows(dump, found, follows, before)


def test_a_row_for_each_position_says_nothing_of_texts(tmp_path):
    (text,) = texts(lengths=(30,))
    columns = {
        "teacher_topk_ids": pa.array(ids_of(text), pa.list_(pa.int32())),
        "teacher_topk_logprobs": pa.array(values_of(text), pa.list_(pa.float32())),
        "labels": pa.array(["a"] * 29),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=7)
    dump = Dump.read(tmp_path / "a.parquet", labels=LABELS)
    assert dump.positions == 29
    for start in (0, 13):
        labels = np.concatenate([block.labels for block in dump.blocks(start)])
        assert labels.tolist() == ids_of(text)[start:]
    assert all(block.contexts is None for block in dump.blocks())
    assert all((block.following == -1).all() for block in dump.blocks())


def test_texts_that_stand_elsewhere_are_not_missed(tmp_path):
    found = texts()
    write(tmp_path / "a.parquet", found)
    (block,) = Dump.read(tmp_path / "a.parquet", labels=LABELS).blocks()
    assert len(block) == sum(len(text.rows) for text in found)
    assert block.contexts is None


def test_padding_of_rows_is_no_label(tmp_path):
    """Trainers fill rows up by the id 0 at -1e4."""
    (text,) = texts(lengths=(3,))
    text.rows[1][3:] = [(0, -1e4), (0, -1e4)]
    write(tmp_path / "a.parquet", [text], input_ids=lists([text.tokens]))
    (block,) = Dump.read(tmp_path / "a.parquet", labels=LABELS).blocks()
    assert block.labels[1].tolist() == [*(a for a, _ in text.rows[1][:3]), -1, -1]
    assert np.isneginf(block.logprobs[1]).tolist() == [False] * 3 + [True] * 2
