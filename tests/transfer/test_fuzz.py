"""Mutated records: every reader gives an answer or a clear error, and the account adds up."""

from __future__ import annotations

import ast
import json
import re
from copy import deepcopy

import numpy as np
import pytest
from transfer_cases import FORMATS, RECORDS

from kt_theory.transfer.account import OUTCOMES
from kt_theory.transfer.fit import fit
from kt_theory.transfer.sets import TransferSet

NUMBERS = [0, -1, 1, 10**30, -(10**400), 0.5, -9999.0, float("nan"), float("-inf"), float("inf")]
ODD = [
    None,
    True,
    False,
    "",
    "x",
    "\x00",
    "token_id:7",
    "token_id:",
    [],
    {},
    [[]],
    [None],
    {"": None},
    [{}],
    {"a": -1.0},
]
ODD += [{"7": {"logprob": -1}}, *NUMBERS]


def chunked(q, a, own, tops):
    """A piece of a stream, of a server that the record chooses."""
    listed = [{"token": t, "logprob": v} for t, v in tops.items()]
    token = {"token": a, "logprob": own, "top_logprobs": listed}
    delta = {"content": a, "role": "assistant"}
    choice = {"index": 0, "delta": delta, "logprobs": {"content": [token]}, "finish_reason": None}
    bodies = [
        {"id": f"c{len(a)}", "object": "chat.completion.chunk", "choices": [choice]},
        {
            "object": "text_completion",
            "choices": [{"text": a, "finish_reason": None, "logprobs": None}],
        },
        {"model": "m", "response": a, "done": len(a) > 3, "logprobs": [token]},
        {
            "index": 0,
            "content": a,
            "stop": len(a) > 3,
            "id_slot": 0,
            "completion_probabilities": [token],
        },
        {"token": {"id": 7, "text": a, "logprob": own}, "generated_text": None, "top_tokens": []},
        {"responseId": "r", "candidates": [{"content": {"parts": [{"text": a}]}}]},
        {
            "text": a,
            "meta_info": {"id": "s", "finish_reason": None, "output_token_logprobs": [[own, 7, a]]},
        },
        {"type": "response.completed", "response": {"status": "completed", "output": []}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": a}},
    ]
    return {
        "request": {"messages": [{"role": "user", "content": q}]},
        "response": bodies[int(-own * 8) % len(bodies)],
    }


def reasoned(q, a, own, tops):
    """A chat with reasoning, its tokens, and its body as text."""
    doc = FORMATS["openai_chat"](q, f"<think>x</think>{a}", own, tops)
    doc["response"]["usage"] = {"completion_tokens_details": {"reasoning_tokens": 3}}
    if len(a) > 3:
        doc["response"] = json.dumps(doc["response"])
    return doc


def hosted(q, a, own, tops):
    """Messages of Cohere and of Anthropic."""
    content = [{"type": "thinking", "thinking": "x"}, {"type": "text", "text": a}]
    listed = [{"text": a, "token_ids": [7], "logprobs": [own]}]
    body = {"message": {"content": content}, "finish_reason": "COMPLETE", "logprobs": listed}
    if len(a) > 2:
        body = {"type": "message", "content": content, "stop_reason": "end_turn"}
    return {"request": {"messages": [{"role": "user", "content": q}]}, "response": body}


def lists_of_ids(q, a, own, tops):
    """A chat that lists ids alone, beside scores of the prompt."""
    listed = {
        "tokens": [7, 2],
        "token_logprobs": [own, -0.5],
        "top_logprobs": [{"7": own, "9": -4.0}, {}],
    }
    choice = {"message": {"content": f"{a}."}, "logprobs": listed, "finish_reason": "stop"}
    return {"prompt": q, "choices": [choice], "prompt_logprobs": [None, {"7": {"logprob": -1.0}}]}


def log(q, a, own, tops):
    """A list of records under a name."""
    return {
        "eval": {"model": "m"},
        "plan": {"config": {"seed": 3}},
        "samples": [FORMATS["inspect"](q, a, own, tops)],
    }


SHAPES = {
    **FORMATS,
    **{form.__name__: form for form in (chunked, reasoned, hosted, lists_of_ids, log)},
}
"""Every format, and shapes that are read in the formats which their records are recognised as."""


def places(node, path=()):
    yield path
    children = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for name, child in children:
        yield from places(child, (*path, name))


def mutated(doc, rng):
    """Replace, drop, double or move one place of a record, now and then two."""
    doc = json.loads(json.dumps(doc))
    for _ in range(rng.integers(1, 3)):
        spots = [path for path in places(doc) if path]
        if not spots:
            break
        path = spots[rng.integers(len(spots))]
        parent = doc
        for name in path[:-1]:
            parent = parent[name]
        kind = rng.integers(5)
        if kind == 0:
            del parent[path[-1]]
        elif kind == 1 and isinstance(parent, list):
            parent.append(parent[path[-1]])
        elif kind == 2 and isinstance(parent, dict):
            parent[f"{path[-1]}{rng.integers(9)}"] = parent.pop(path[-1])
        else:
            parent[path[-1]] = deepcopy(ODD[rng.integers(len(ODD))])
    return doc


def broken(text, rng):
    """Change, now and then, the text itself: a byte, a cut, a newline inside."""
    line = bytearray(text.encode())
    kind = rng.integers(12)
    if kind == 0 and line:
        line[rng.integers(len(line))] = rng.integers(256)
    elif kind == 1:
        line = line[: rng.integers(len(line) + 1)]
    elif kind == 2:
        spot = rng.integers(len(line) + 1)
        line = line[:spot] + b"\n" + line[spot:]
    return bytes(line) + b"\n"


def read(path, form, **options):
    """Read a file; where a mutation made up another teacher, the first one's answers."""
    try:
        return TransferSet.read(path, form, as_sampled=True, **options)
    except ValueError as error:
        found = re.search(r"answers of \d+ teachers.*model=(.+)$", str(error))
        if found is None:
            raise
        return TransferSet.read(
            path, form, as_sampled=True, model=ast.literal_eval(found[1]), **options
        )


def fuzz(name, count, seed, path):
    rng = np.random.default_rng(seed)
    template = SHAPES[name]
    lines = [
        broken(json.dumps(mutated(template(*RECORDS[rng.integers(4)]), rng)), rng)
        for _ in range(count)
    ]
    path.write_bytes(b"".join(lines))
    lines_of_file = path.read_bytes().split(b"\n")[:-1]
    known = name if name in FORMATS else None
    requests = path.with_name("requests.jsonl")
    asked = [{"custom_id": q, "body": {"messages": q}} for q in {record[0] for record in RECORDS}]
    requests.write_text("".join(json.dumps(doc) + "\n" for doc in asked))
    for form, options in (
        (known, {}),
        (known, {"label": "text"}),
        (None, {}),
        (known, {"labels": ["yes", "no"]}),
        (known, {"labels": ["yes", "no"], "other": "pool", "fold": "strip,casefold"}),
        (known, {"requests": requests}),
        (known, {"model": "m"}),
        ("openai_chat", {}),
    ):
        transfer = read(path, form, **options)
        account = transfer.account
        assert account.lines == sum(account.outcomes.values())
        if name == "log":
            continue
        assert account.lines == len(lines_of_file)
        assert set(account.outcomes) <= set(OUTCOMES)
        assert len(transfer) == account.records
        assert all(why and "\n" not in why for _, _, why in account.skipped)
        numbers = [line for line, _, _ in account.skipped]
        assert numbers == sorted(set(numbers))
        blank = [i for i, line in enumerate(lines_of_file, 1) if not line.strip()]
        assert blank == [line for line, outcome, _ in account.skipped if outcome == "blank"]
        values = transfer.entry_logp
        assert (np.isnan(values) | ((values <= 0) & np.isfinite(values))).all()
        if len(transfer) and len(transfer.entry_record):
            rows = transfer.rows
            if (rows.contradiction - rows.total(rows.spread) > 0.02).any():
                with pytest.raises(ValueError, match="more than 1"):
                    fit(transfer)
                continue
            copy = fit(transfer)
            assert ((copy.pi >= 0) & (copy.pi <= 1 + 1e-12)).all()
            np.testing.assert_allclose(copy.pi.sum(axis=1), 1.0, rtol=1e-9)
            assert 0 <= copy.certificate().bound <= 1


def fuzz_array(name, count, seed, path):
    """The same mutated records one a line and as one array: the same account and the same copy."""
    rng = np.random.default_rng(seed)
    docs = [mutated(SHAPES[name](*RECORDS[rng.integers(4)]), rng) for _ in range(count)]
    path.write_text("".join(json.dumps(doc) + "\n" for doc in docs))
    known = name if name in FORMATS else None
    lines = read(path, known)
    path.write_text(json.dumps(docs, indent=int(rng.integers(3))))
    array = read(path, known)
    assert array.account.lines == count
    assert array.account.outcomes == lines.account.outcomes
    assert [entry[:2] for entry in array.account.skipped] == [
        entry[:2] for entry in lines.account.skipped
    ]
    assert array.label_names == lines.label_names
    np.testing.assert_array_equal(array.entry_logp, lines.entry_logp)


@pytest.mark.parametrize("name", SHAPES)
def test_mutated_records(name, tmp_path):
    fuzz(name, 30, 1, tmp_path / "fuzz.jsonl")
    if name != "log":
        fuzz_array(name, 30, 2, tmp_path / "fuzz.json")


@pytest.mark.long
@pytest.mark.parametrize("name", SHAPES)
def test_many_mutated_records(name, tmp_path):
    for seed in range(5):
        fuzz(name, 500, seed, tmp_path / "fuzz.jsonl")
        if name != "log":
            fuzz_array(name, 200, seed, tmp_path / "fuzz.json")
