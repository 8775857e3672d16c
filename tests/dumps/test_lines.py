"""Dumps of JSON records: written here as the programs of the field write them, read back and held
against the truth, position by position.
"""

import base64
import gzip
import json
import math
import pickle

import numpy as np
import pytest

from kt_theory import Dump
from kt_theory.dumps.block import NO_LABEL

LABELS, K = 50, 5


class Truth:
    """Texts drawn from a teacher, and its rows: row i of a text is of token i."""

    def __init__(self, seed=3, lengths=(14, 1, 9, 30, 22, 17)):
        random = np.random.default_rng(seed)
        self.texts, self.rows = [], []
        for length in lengths:
            logits = random.normal(size=(length, LABELS)) * 2.5
            logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
            self.rows.append(logs)
            self.texts.append([int(random.choice(LABELS, p=np.exp(row))) for row in logs])
        self.norms = [random.normal(size=length) * 4 + 9 for length in lengths]

    def top(self, j, i):
        order = np.argsort(-self.rows[j][i], kind="stable")[:K]
        return order.tolist(), self.rows[j][i, order].tolist()


@pytest.fixture(scope="module")
def truth():
    return Truth()


@pytest.fixture
def write(tmp_path):
    def written(records, name="dump.jsonl"):
        path = tmp_path / name
        text = "".join(json.dumps(record) + "\n" for record in records).encode()
        path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
        return path

    return written


def rows_of(dump):
    """Every position as (labels, logarithms, token, its logarithm, context), and what was skipped."""
    found, skipped = [], {}
    for block in dump.blocks():
        for why, number in block.skipped.items():
            skipped[why] = skipped.get(why, 0) + number
        for j in range(len(block)):
            kept = block.labels[j] != NO_LABEL
            found.append(
                (
                    block.labels[j, kept].tolist(),
                    block.logprobs[j, kept].tolist(),
                    int(block.following[j]),
                    float(block.following_logprob[j]),
                    None if block.contexts is None else int(block.contexts[j]),
                )
            )
    return found, skipped


def expected(truth, wanted, *, stated=False):
    """The same of the positions (text, number of the token) that a layout must give; `stated`: the
    text's own token is there even if it is not listed.
    """
    for j, i in wanted:
        labels, values = truth.top(j, i)
        token = truth.texts[j][i] if i < len(truth.texts[j]) else NO_LABEL
        value = math.nan
        if token != NO_LABEL and (stated or token in labels):
            value = truth.rows[j][i, token]
        yield labels, values, token, value, (tuple(truth.texts[j][:i]))


def agree(found, wanted, *, contexts=True, tokens=True):
    wanted = list(wanted)
    assert len(found) == len(wanted)
    digests = {}
    for (labels, values, token, value, digest), (names, logs, follows, stated, before) in zip(
        found, wanted, strict=True
    ):
        assert labels == names
        np.testing.assert_allclose(values, logs, rtol=0.0, atol=2e-6)
        if tokens:
            assert token == follows
            np.testing.assert_allclose(value, stated, rtol=0.0, atol=2e-6)
        else:
            assert token == NO_LABEL
        if contexts:
            assert digests.setdefault(before, digest) == digest
        else:
            assert digest is None
    assert len(set(digests.values())) == len(digests)


def places(truth, first=0):
    return [(j, i) for j, text in enumerate(truth.texts) for i in range(first, len(text))]


# axolotl


def as_objects(truth, j, first, name="token_id:{}"):
    rows = [None] * first
    for i in range(first, len(truth.texts[j])):
        pairs = zip(*truth.top(j, i), strict=True)
        rows.append([{"token": name.format(a), "logprob": x} for a, x in pairs])
    return rows


@pytest.mark.parametrize("name", ["dump.jsonl", "dump.jsonl.gz", "dump.json"])
def test_axolotl_objects_with_their_texts(truth, write, name):
    """Row r of a data set is of token r of its text: vLLM's scores of a prompt, None first."""
    records = [
        {"input_ids": text, "llm_vllm_logprobs": as_objects(truth, j, 1)}
        for j, text in enumerate(truth.texts)
    ]
    found, skipped = rows_of(Dump.read(write(records, name), labels=LABELS))
    agree(found, expected(truth, places(truth, 1)))
    assert skipped == {"no row": len(truth.texts)}


def test_axolotl_rows_of_an_answer_are_those_of_the_last_tokens(truth, write):
    """Fewer rows than tokens: of the last ones (front_pad of the loader)."""
    records = [
        {"input_ids": text, "logprobs": as_objects(truth, j, 1)[4:]}
        for j, text in enumerate(truth.texts)
    ]
    found, _ = rows_of(Dump.read(write(records), labels=LABELS))
    agree(found, expected(truth, places(truth, 4)))


def test_axolotl_two_lists_of_numbers_and_masked_prompts(truth, write):
    records = []
    for j, text in enumerate(truth.texts):
        pairs = [truth.top(j, i) for i in range(len(text))]
        labels = [-100 if i < 6 else token for i, token in enumerate(text)]
        records.append(
            {
                "input_ids": text,
                "labels": labels,
                "target_token_ids": [names for names, _ in pairs],
                "logprobs": [values for _, values in pairs],
            }
        )
    found, skipped = rows_of(Dump.read(write(records), labels=LABELS))
    agree(found, expected(truth, places(truth, 6)))
    assert skipped == {"masked": sum(min(6, len(text)) for text in truth.texts)}


def test_axolotl_fields_that_it_makes_itself_are_one_token_ahead(truth, write):
    """`target_logprobs`: row j is of token j + 1, the last is filled up with -1e9 and masked."""
    records = []
    for j, text in enumerate(truth.texts):
        pairs = [truth.top(j, i) for i in range(1, len(text))]
        records.append(
            {
                "input_ids": text,
                "target_token_ids": [*(names for names, _ in pairs), [0] * K],
                "target_logprobs": [*(values for _, values in pairs), [-1e9] * K],
                "target_mask": [*([1] * K for _ in pairs), [0] * K],
            }
        )
    dump = Dump.read(write(records), labels=LABELS)
    found, skipped = rows_of(dump)
    agree(found, expected(truth, places(truth, 1)))
    assert skipped == {"no row": len(truth.texts)}
    assert len(pickle.dumps(dump)) < 5000


def test_axolotl_without_texts_has_neither_contexts_nor_tokens(truth, write):
    records = [{"messages": [], "logprobs": as_objects(truth, j, 0)} for j in range(6)]
    found, _ = rows_of(Dump.read(write(records), labels=LABELS))
    agree(found, expected(truth, places(truth)), contexts=False, tokens=False)


def test_tokens_that_are_texts_are_numbered_as_they_come(truth, write):
    records = [{"logprobs": as_objects(truth, j, 0, name="word{}")} for j in range(6)]
    found, _ = rows_of(Dump.read(write(records)))
    numbers = {}
    for (labels, *_), (names, *_) in zip(found, expected(truth, places(truth)), strict=True):
        assert labels == [numbers.setdefault(name, len(numbers)) for name in names]


# NeMo-Aligner


def nemo_records(truth):
    """As compute_topk_logits.py writes a batch: tokens without the last, labels without the first,
    both filled up; the first three tokens are a prompt.
    """
    longest = max(map(len, truth.texts))
    for j, text in enumerate(truth.texts):
        size = len(text) - 1
        pairs = [truth.top(j, i + 1) for i in range(size)]
        fill = longest - size
        logits = [
            (np.array(values) + truth.norms[j][i]).tolist() for i, (_, values) in enumerate(pairs)
        ]
        yield {
            "tokens": text[:-1] + [2] * fill,
            "labels": text[1:] + [2] * fill,
            "loss_mask": [float(i >= 2) for i in range(size)] + [0.0] * fill,
            "topk_logits": logits + [[1.0] * K] * fill,
            "topk_token_ids": [names for names, _ in pairs] + [list(range(K))] * fill,
            "log_sum_exp_logits": truth.norms[j][:size].tolist() + [0.5] * fill,
            "index": j,
        }


def test_nemo_aligner_is_exact_by_its_normaliser(truth, write):
    found, skipped = rows_of(Dump.read(write(nemo_records(truth)), labels=LABELS))
    agree(found, expected(truth, places(truth, 3)))
    longest = max(map(len, truth.texts))
    assert skipped == {"masked": longest * len(truth.texts) - len(found)}


def test_nemo_aligner_without_its_normaliser_is_refused(truth, write):
    records = [
        {name: each[name] for name in each if name != "log_sum_exp_logits"}
        for each in nemo_records(truth)
    ]
    path = write(records)
    with pytest.raises(ValueError, match=r"without the normaliser.*kind='renormalised logits'"):
        list(Dump.read(path, labels=LABELS).blocks())
    dump = Dump.read(path, labels=LABELS, kind="renormalised logits")
    assert dump.renormalised
    for block in dump.blocks():
        np.testing.assert_allclose(np.exp(block.logprobs).sum(axis=1), 1.0)


# vLLM


def vllm_scores(truth, j):
    """As vLLM makes them: the k most probable with their ranks, and the token itself where it is
    none of them.
    """
    scores = [None]
    for i in range(1, len(truth.texts[j])):
        token = truth.texts[j][i]
        row = truth.rows[j][i]
        names, values = truth.top(j, i)
        entries = {str(a): (x, n) for n, (a, x) in enumerate(zip(names, values, strict=True), 1)}
        rank = int((row > row[token]).sum()) + 1
        entries = {str(token): (row[token], rank), **entries}
        scores.append(
            {
                a: {"logprob": float(x), "rank": n, "decoded_token": f"<{a}>"}
                for a, (x, n) in entries.items()
            }
        )
    return scores


SHAPES = {
    "output": lambda ids, scores: {"prompt_token_ids": ids, "prompt_logprobs": scores},
    "completion": lambda ids, scores: {
        "object": "text_completion",
        "choices": [{"prompt_token_ids": ids, "prompt_logprobs": scores, "text": ""}] * 2,
    },
    "batch": lambda ids, scores: {
        "custom_id": "1",
        "response": {
            "status_code": 200,
            "body": {"prompt_token_ids": ids, "choices": [{"prompt_logprobs": scores}]},
        },
    },
}


@pytest.mark.parametrize("shape", SHAPES)
def test_vllm_scores_of_prompts(truth, write, shape):
    """Several choices for one prompt have its scores once; the token itself is stated, and is no
    part of the row where it is none of the most probable.
    """
    records = [SHAPES[shape](truth.texts[j], vllm_scores(truth, j)) for j in (0, 2, 3, 4, 5)]
    dump = Dump.read(write(records), labels=LABELS)
    found, skipped = rows_of(dump)
    agree(found, expected(truth, [at for at in places(truth, 1) if at[0] != 1], stated=True))
    assert skipped == {"no row": 5}
    assert any(token not in labels for labels, _, token, _, _ in found)


def test_vllm_rows_that_all_name_a_token_besides_are_told_by_its_rank(write):
    """k = 1 was asked for, and no token of the text is the most probable one."""
    entry = {"7": {"logprob": -4.0, "rank": 9}, "3": {"logprob": -0.5, "rank": 1}}
    record = {"prompt_token_ids": [7, 7, 7], "prompt_logprobs": [None, entry, entry]}
    (block,) = Dump.read(write([record]), labels=LABELS).blocks()
    assert block.labels.tolist() == [[3], [3]]
    assert block.following_logprob.tolist() == [-4.0, -4.0]


def test_vllm_without_ids_of_the_prompt_has_rows_alone(truth, write):
    records = [{"prompt_logprobs": vllm_scores(truth, j)} for j in (0, 2)]
    found, _ = rows_of(Dump.read(write(records), labels=LABELS))
    wanted = [at for at in places(truth, 1) if at[0] in (0, 2)]
    agree(found, expected(truth, wanted), contexts=False, tokens=False)


def test_vllm_that_lists_the_tokens_of_the_text_alone_is_refused(truth, write):
    scores = [None, *({str(a): {"logprob": -5.0, "rank": 17}} for a in truth.texts[0][1:])]
    record = {"prompt_token_ids": truth.texts[0], "prompt_logprobs": scores}
    with pytest.raises(
        ValueError, match=r"line 1: row 2 of prompt_logprobs lists the token of the text"
    ):
        Dump.read(write([record]), labels=LABELS)


# base64


def packed(array, dtype):
    return base64.b64encode(np.ascontiguousarray(array, dtype=dtype).tobytes()).decode()


@pytest.mark.parametrize("prompts", [True, False])
def test_base64_answers_of_trls_server(truth, write, prompts):
    """Arrays of [texts, longest completion, k], filled up with -inf and 0."""
    first = [min(2, len(text) - 1) for text in truth.texts]
    lengths = [len(text) - cut for text, cut in zip(truth.texts, first, strict=True)]
    shape = (6, max(lengths), K)
    values, ids = np.full(shape, -np.inf), np.zeros(shape)
    actual, tokens = np.full((6, max(lengths), 1), -np.inf), np.zeros((6, max(lengths), 1))
    for j in range(6):
        for t in range(lengths[j]):
            ids[j, t], values[j, t] = truth.top(j, first[j] + t)
            tokens[j, t] = truth.texts[j][first[j] + t]
            actual[j, t] = truth.rows[j][first[j] + t, truth.texts[j][first[j] + t]]
    record = {
        "logprobs_b64": packed(values, "<f4"),
        "token_ids_b64": packed(ids, "<i4"),
        "actual_logprobs_b64": packed(actual, "<f4"),
        "actual_token_ids_b64": packed(tokens, "<i4"),
        "shape": list(shape),
        "completion_lengths": lengths,
    }
    if prompts:
        record |= {"sequences": truth.texts, "prompt_lengths": first}
    found, _ = rows_of(Dump.read(write([record]), labels=LABELS))
    wanted = [(j, i) for j, i in places(truth) if i >= first[j]]
    agree(found, expected(truth, wanted, stated=True), contexts=prompts)


@pytest.mark.parametrize("kind", ["logits", "logprobs"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_base64_arrays_of_whole_rows(truth, write, kind, dtype):
    records = []
    for j, text in enumerate(truth.texts):
        rows = truth.rows[j][1:]
        if kind == "logits":
            rows = rows + truth.norms[j][1:, None]
        rows = np.concatenate([rows, rows[:1] if len(rows) else truth.rows[j]])
        records.append(
            {
                kind: packed(rows, np.dtype(dtype).newbyteorder("<")),
                "dtype": dtype,
                "shape": list(rows.shape),
                "tokens": text,
            }
        )
    dump = Dump.read(write(records))
    assert dump.whole
    assert dump.labels == LABELS
    (block,) = dump.blocks()
    wanted = np.concatenate([np.append(text[1:], NO_LABEL) for text in truth.texts])
    np.testing.assert_array_equal(block.following, wanted)
    known = block.following >= 0
    np.testing.assert_allclose(
        block.logprobs[known],
        np.concatenate([rows[1:] for rows in truth.rows]),
        rtol=0.0,
        atol=2e-6,
    )


# What is wrong


GOOD = {"input_ids": [1, 2], "logprobs": [None, [{"token": "token_id:3", "logprob": -1.0}]]}
WRONG = {
    "cut off": (b'{"logprobs": [[{"tok', "line 2 is no JSON, so the file is damaged or cut off"),
    "list": (b"[1]", "line 2 is .1.: must be an object"),
    "no field": (b'{"input_ids": [1]}', "line 2: logprobs is None: must be a list"),
    "text": (b'{"logprobs": "a"}', "line 2: logprobs is 'a': must be a list"),
    "number": (b'{"logprobs": [[{"token": "token_id:1", "logprob": "x"}]]}', "line 2: logprobs"),
    "null": (b'{"logprobs": [[{"token": "token_id:1", "logprob": null}]]}', "line 2: logprobs"),
    "entry": (
        b'{"logprobs": [[7]]}',
        "line 2: logprobs has ..7..: must be lists of objects",
    ),
    "tokens": (b'{"logprobs": [[]], "input_ids": [0.5]}', "line 2: input_ids is .0.5.: must be"),
    "masks": (
        b'{"logprobs": [[{"token": "token_id:1", "logprob": -1}]], "input_ids": [5],'
        b' "labels": [1, 2]}',
        "line 2: labels has 2 entries for 1 tokens",
    ),
    "value": (
        b'{"logprobs": [[{"token": "token_id:1", "logprob": NaN}]], "input_ids": [5]}',
        "line 2, row 1 has the value nan",
    ),
    "above": (
        b'{"logprobs": [[{"token": "token_id:1", "logprob": 11.7}]], "input_ids": [5]}',
        "line 2, row 1 has the value 11.7, above 0.*they are logits",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_line_is_named(tmp_path, name):
    line, message = WRONG[name]
    path = tmp_path / "dump.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b"\n" + line + b"\n")
    with pytest.raises(ValueError, match=rf"dump\.jsonl: {message}") as error:
        list(Dump.read(path).blocks())
    assert "\n" not in str(error.value)


def test_a_compressed_file_that_breaks_off_is_named(tmp_path, truth):
    path = tmp_path / "dump.jsonl.gz"
    whole = gzip.compress((json.dumps(next(nemo_records(truth))) + "\n").encode() * 50)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="damaged or break off"):
        list(Dump.read(path).blocks())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": [2, 5]}, "shape is .2, 5.: must be a list of 3 sizes"),
        ({"shape": [1, 1, 3]}, "logprobs_b64 holds 8 bytes, 1 x 1 x 3 of float32 are 12"),
        ({"logprobs_b64": "?"}, "logprobs_b64 is '.': must be base64"),
        ({"completion_lengths": [2]}, "completion_lengths is .2. for arrays of 1 texts"),
    ],
)
def test_base64_that_does_not_fit_its_shape_is_named(write, change, message):
    record = {
        "logprobs_b64": packed([-1.0, -2.0], "<f4"),
        "token_ids_b64": packed([1, 2], "<i4"),
        "shape": [1, 1, 2],
        "completion_lengths": [1],
    }
    assert len(rows_of(Dump.read(write([record])))[0]) == 1
    with pytest.raises(ValueError, match=f"line 1: {message}"):
        Dump.read(write([record | change]))


def test_rows_of_any_number_of_labels_go_side_by_side(write):
    """Mixed k: shorter rows end in -inf, without a label."""
    lengths = [[3, 1, 2], [5, 4], [1]]
    records = [
        {"logprobs": [[{"token": a, "logprob": -2.0 - a} for a in range(k)] for k in ks]}
        for ks in lengths
    ]
    (block,) = Dump.read(write(records), labels=LABELS).blocks()
    for row, k in enumerate([3, 1, 2, 5, 4, 1]):
        assert block.labels[row].tolist() == [*range(k), *[NO_LABEL] * (5 - k)]
        assert block.logprobs[row].tolist() == [*(-2.0 - a for a in range(k)), *[-np.inf] * (5 - k)]


def test_one_long_row_does_not_widen_a_million_short_ones(write):
    short = [[{"token": 1, "logprob": -1.0}]] * 3000
    long = [{"token": a, "logprob": -9.0} for a in range(3000)]
    assert len(list(Dump.read(write([{"logprobs": short}, {"logprobs": [long]}])).blocks())) == 2
    with pytest.raises(ValueError, match="line 1: one row lists 3,000 labels"):
        Dump.read(write([{"logprobs": [*short, long]}]))


def test_blocks_are_cut_where_they_are_full(truth, write, monkeypatch):
    path = write(nemo_records(truth))
    (whole,) = Dump.read(path, labels=LABELS).blocks()
    monkeypatch.setattr("kt_theory.dumps.layouts.lines.CELLS", 3 * K)
    parts = list(Dump.read(path, labels=LABELS).blocks())
    assert len(parts) > 3
    for name in ("logprobs", "labels", "following", "contexts"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, name))
