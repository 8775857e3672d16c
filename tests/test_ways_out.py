"""Ways out work: what an error message proposes is done, and succeeds; what it names exists.

To add one: a `Way` in `WAYS`, with what raises the error, the words that name the way out, and the way out itself.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from grids import few_quick

import kt_theory as kt
from kt_theory.cli import main

PACKAGE = Path(kt.__file__).parent
ROOMS = ("teachers", "transfer", "planner", "cli")

Act = Callable[[Path], Any]


class Way(NamedTuple):
    """A message and its way out.

    Attributes
    ----------
    error : callable
        Given a folder, raises the error.
    words : str
        What the message says of the way out, as a regular expression.
    out : callable
        Given the folder, does what the words say.
    """

    error: Act
    words: str
    out: Act


def csv(text: str, name: str = "t.csv", encoding: str = "utf-8") -> Callable[[Path], Path]:
    """A file of that text."""

    def write(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(text.encode(encoding))
        return path

    return write


def parquet(**columns: Any) -> Callable[[Path], Path]:
    """A Parquet file of these columns."""

    def write(folder: Path) -> Path:
        pq.write_table(pa.table(columns), folder / "t.parquet")
        return folder / "t.parquet"

    return write


def table(write: Callable[[Path], Path], **options: Any) -> Act:
    """Read it as a teacher."""
    return lambda folder: kt.teachers.from_table(write(folder), **options)


def records(write: Callable[[Path], Path], **options: Any) -> Act:
    """Read it as records, of which there must be some."""

    def read(folder: Path) -> None:
        transfer = kt.TransferSet.read(write(folder), **options)
        assert len(transfer)
        assert transfer.account.outcomes.keys() == {"read"}

    return read


def command(*words: Any) -> Act:
    """Run a command; a callable among the words writes the file that stands there."""

    def run(folder: Path) -> None:
        given = [str(word(folder)) if callable(word) else word for word in words]
        result = CliRunner().invoke(main, given, catch_exceptions=False)
        if result.exit_code:
            raise ValueError(result.output)

    return run


class Rounded:
    """A classifier whose rows do not sum to 1."""

    def predict_proba(self, X: Any) -> np.ndarray:
        return np.array([[0.5, 0.495]])


class Undecided:
    """A classifier without probabilities."""


def with_probabilities() -> Any:
    """A classifier that has them."""
    found = Rounded()
    found.predict_proba = lambda X: np.array([[0.5, 0.5]])  # type: ignore[method-assign]
    return found


def npz(name: str) -> Callable[[Path], Path]:
    """An NPZ file of one array of that name."""

    def write(folder: Path) -> Path:
        arrays: dict[str, Any] = {name: np.array([[0.5, 0.5]])}
        np.savez(folder / "t.npz", **arrays)
        return folder / "t.npz"

    return write


LOGITS, COUNTS = csv("a,b\n-1,2\n0,3\n"), csv("a,b\n1,3\n2,2\n")
RISK = ("--n", "10", "--repeats", "10")
BOOK = csv("to be or not to be", "book.txt")
LARGE = 2**29
TWO, NAMELESS = csv("prompt,question,label\nq,r,a\n"), csv("ask,says\nq,a\n")
LATIN = "input,label\ncafé,a\n"
PROBS = csv("input,label,p,confidence\nq,a,0.5,0.4\n")


def lines(*docs: dict[str, Any], times: int = 1) -> Callable[[Path], Path]:
    """A file of records."""
    return csv("".join(json.dumps(doc) + "\n" for doc in docs) * times, "r.jsonl")


def said(write: Callable[[Path], Path], **options: Any) -> Act:
    """Read it as records, and raise what the account notes or warns of."""

    def read(folder: Path) -> None:
        account = kt.TransferSet.read(write(folder), **options).account
        if account.notes or account.warnings:
            raise ValueError(" ".join([*account.warnings, *account.notes]))

    return read


def learnt(write: Callable[[Path], Path], student: Any = None, **options: Any) -> Act:
    """Read it as records and learn from them."""
    return lambda folder: kt.fit(
        kt.TransferSet.read(write(folder), **options), student
    ).certificate()


def until(**options: Any) -> Act:
    """Read records until they are certified."""
    return lambda folder: kt.fit_until(lines(question(0), times=9)(folder), 0.5, **options)


def at_all_times(other: str = "keep", **options: Any) -> Act:
    """Learn from labels, and certify at all times together."""
    return lambda folder: kt.fit(
        kt.TransferSet.read(
            lines(question(0), times=9)(folder), labels=["yes", "no"], other=other, **options
        ),
        "ce_sgl",
    ).certificate(anytime=True)


def planned_of_records(**options: Any) -> Act:
    """Plan from records in hand."""
    return lambda folder: kt.samples_needed(
        "hard", teacher=kt.TransferSet.read(ASKED_TWICE(folder), **options), tv=0.5
    )


def whole_rows(inputs: int | None = None) -> Act:
    """Plan from whole rows of inputs that are asked unevenly, and raise why there is no number."""

    def ask(_: Path) -> None:
        rng = np.random.default_rng(0)
        pi, rho = rng.dirichlet(np.full(4, 0.4), 300), 1.0 / np.arange(1.0, 301.0)
        s = rng.choice(300, 600, p=rho / rho.sum())
        a = (np.cumsum(pi[s], axis=1) < rng.random(600)[:, None]).sum(axis=1)
        names = [f"q{i}" for i in s]
        found = kt.samples_needed(
            "soft",
            inputs,
            teacher=kt.TransferSet.from_arrays(names, a, logits=np.log(pi[s])),
            tv=0.02,
        )
        if found.n is None:
            raise ValueError(found.reason)

    return ask


def planned(
    access: Any = "soft",
    write: Callable[[Path], Path] | None = None,
    names: list[str] | None = None,
    other: str = "keep",
    **options: Any,
) -> Act:
    """Plan, for records if there are some."""

    def run(folder: Path) -> None:
        teacher = (
            None if write is None else kt.TransferSet.read(write(folder), labels=names, other=other)
        )
        kt.samples_needed(access, teacher=teacher, **options)

    return run


def question(i: int, **more: Any) -> dict[str, Any]:
    return {"input": f"q{i}", "label": "yes", **more}


HALF = {"yes": -0.7, "no": -0.7}
COLD = lines(
    question(0, logprob=-0.1, top_logprobs={"yes": -0.1, "no": -3.0}, temperature=0), times=30
)
FORCED = lines(question(0, logprob=-3.0, top_logprobs={"no": -0.1}), times=60)
EXCESS = lines(question(0, logprob=-0.1), {"input": "q0", "label": "no", "logprob": -0.1})
MODELS = lines(question(0, model="m"), question(0, model="w"))
ASKED_ONCE = lines(*(question(i) for i in range(30)))
ASKED_TWICE = lines(*(question(i) for i in range(30)), times=2)
MIXED = lines(question(0), {"input": "q0", "label": "Yes"}, {"input": "q0", "label": " yes"})
TOP = lines(
    question(0, logprob=-0.7, top_logprobs=HALF),
    {"input": "q0", "label": "no", "top_logprobs": HALF},
    times=9,
)
COARSE = lines(question(0, logprob=-0.5, top_logprobs={"yes": -0.5, "no": -0.5}), times=3)
GRID = lines(question(0, logprob=-0.5, top_logprobs={"yes": -0.5, "no": -1.0}), times=3)


def batch(folder: Path) -> Path:
    """Answers of a Batch whose requests are in a file beside it."""
    requests, answers = [], []
    for i in range(30):
        body = {"messages": [{"role": "user", "content": f"q{i % 3}"}], "temperature": 1}
        choice = {"message": {"content": "yes"}, "finish_reason": "stop"}
        requests.append({"custom_id": f"r{i}", "body": body})
        answers.append(
            {"custom_id": f"r{i}", "response": {"status_code": 200, "body": {"choices": [choice]}}}
        )
    lines(*requests)(folder).rename(folder / "requests.jsonl")
    return lines(*answers)(folder)


def with_requests(folder: Path) -> None:
    said(batch, requests=folder / "requests.jsonl")(folder)


def as_teacher(folder: Path) -> None:
    copy = kt.fit(kt.TransferSet.read(TOP(folder), labels=["yes", "no"], other="pool"))
    kt.samples_needed("rounded(0.1)", teacher=copy.teacher(), tv=0.1)


def wrapper(behind: bool) -> Callable[[Path], Path]:
    """A long list of records, with a setting before it or behind."""
    held = {"data": [question(0, logprob=-0.1)] * 30000}
    setting = {"temperature": 0}
    return csv(json.dumps({**held, **setting} if behind else {**setting, **held}), "w.json")


def quoted(doc: dict[str, Any]) -> str:
    """JSON as a cell of a CSV file."""
    return '"' + json.dumps(doc).replace('"', '""') + '"'


def scored(*prompts: str) -> dict[str, Any]:
    """Prompts that vLLM scored in one request."""
    stated = [None, {"5": {"logprob": -0.5, "decoded_token": "yes"}}]
    choices = [{"index": i, "text": "", "prompt_logprobs": stated} for i in range(len(prompts))]
    return {
        "request": {"prompt": list(prompts) if len(prompts) > 1 else prompts[0]},
        "response": {"choices": choices},
    }


ASKED = {"contents": "q"}
PIECES = [
    {
        "candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}],
        "responseId": "r",
    }
    for text in ("Paris", " it is")
]
CHOICE = {
    "message": {"content": "yes"},
    "logprobs": {"content": [{"token": "yes", "logprob": -0.5}]},
}
CHAT = {"object": "chat.completion", "choices": [CHOICE]}


WAYS = {
    "logits in a table": Way(table(LOGITS), "pass kind='logits'", table(LOGITS, kind="logits")),
    "counts in a table": Way(
        table(COUNTS), "for counts pass normalise=True", table(COUNTS, normalise=True)
    ),
    "logits, command": Way(
        command("risk", LOGITS, *RISK), "pass --logits", command("risk", LOGITS, "--logits", *RISK)
    ),
    "counts, command": Way(
        command("risk", COUNTS, *RISK),
        "pass --normalise",
        command("risk", COUNTS, "--normalise", *RISK),
    ),
    "rows of a table": Way(
        table(csv("a,b\n0.5,0.4\n")),
        "normalise=True divides",
        table(csv("a,b\n0.5,0.4\n"), normalise=True),
    ),
    "rows of a teacher": Way(
        lambda _: kt.Teacher([[0.5, 0.4]]),
        "normalise=True divides",
        lambda _: kt.Teacher([[0.5, 0.4]], normalise=True),
    ),
    "rows of a classifier": Way(
        lambda _: kt.teachers.from_classifier(Rounded(), [[0]]),
        "normalise=True divides",
        lambda _: kt.teachers.from_classifier(Rounded(), [[0]], normalise=True),
    ),
    "law of a classifier": Way(
        lambda _: kt.teachers.from_classifier(with_probabilities(), [[0]], [2.0]),
        "normalise=True divides",
        lambda _: kt.teachers.from_classifier(with_probabilities(), [[0]], [2.0], normalise=True),
    ),
    "no probabilities": Way(
        lambda _: kt.teachers.from_classifier(Undecided(), [[0]]),
        "give a fitted classifier that has one",
        lambda _: kt.teachers.from_classifier(with_probabilities(), [[0]]),
    ),
    "no inputs": Way(
        lambda _: kt.teachers.from_classifier(with_probabilities(), []),
        "give at least one input",
        lambda _: kt.teachers.from_classifier(with_probabilities(), [[0]]),
    ),
    "an index that does not count": Way(
        table(csv("id,a,b\n7,2,2\n9,1,3\n")),
        "call it 'input' if it names the inputs",
        table(csv("input,a,b\n7,2,2\n9,1,3\n"), normalise=True),
    ),
    "texts in a table": Way(
        table(csv("ask,a\nq,1\n")),
        "call the column 'input' if it names",
        table(csv("input,a\nq,1\n")),
    ),
    "texts in Parquet": Way(
        table(parquet(ask=["q"], a=[1.0])),
        "call the column 'input'",
        table(parquet(input=["q"], a=[1.0])),
    ),
    "numbers as texts": Way(
        table(parquet(a=["1"])), "store numbers as float64", table(parquet(a=np.ones(1)))
    ),
    "near names": Way(table(csv("a,Rho\n1,1\n")), "call it 'rho'", table(csv("a,rho\n1,1\n"))),
    "names of inputs": Way(
        table(parquet(input=[b"q"], a=[1.0])), "must be texts", table(parquet(input=["q"], a=[1.0]))
    ),
    "encoding of a table": Way(
        table(csv("é\n1\n", encoding="cp1252")),
        "save it as UTF-8",
        table(csv("é\n1\n", encoding="utf-8")),
    ),
    "kind against the array": Way(
        table(npz("logits"), kind="probabilities"),
        "kind='probabilities' contradicts",
        table(npz("logits")),
    ),
    "array of another name": Way(table(npz("p")), "one of the arrays pi", table(npz("pi"))),
    "unknown kind": Way(
        table(LOGITS, kind="logit"), "did you mean 'logits'", table(LOGITS, kind="logits")
    ),
    "a text as a table": Way(
        command("risk", BOOK, *RISK),
        "such as --ngram 2",
        command("risk", BOOK, "--ngram", "2", *RISK),
    ),
    "tokens of a table": Way(
        command("risk", BOOK, "--tokens", "word", *RISK),
        "--tokens word goes with --ngram",
        command("risk", BOOK, "--tokens", "word", "--ngram", "1", *RISK),
    ),
    "logits of a text": Way(
        command("risk", BOOK, "--ngram", "2", "--logits", *RISK),
        "--logits and --normalise are for tables",
        command("risk", LOGITS, "--logits", *RISK),
    ),
    "a path as a text": Way(
        lambda folder: kt.teachers.ngram(BOOK(folder), 2),  # type: ignore[arg-type]
        re.escape("Path(name).read_text('utf-8')"),
        lambda folder: kt.teachers.ngram(BOOK(folder).read_text("utf-8"), 2),
    ),
    "a short text": Way(
        lambda _: kt.teachers.ngram("ab", 3),
        "needs at least 3",
        lambda _: kt.teachers.ngram("abc", 3),
    ),
    "a large table": Way(
        lambda _: kt.teachers.uniform(LARGE, 1),
        "Teacher.from_classes describes a large teacher",
        lambda _: kt.Teacher.from_classes([[1.0]], [1 / LARGE], [LARGE]),
    ),
    "an instance too early": Way(
        lambda _: kt.teachers.instance2(10, 5, 3),
        "defined from n = 19",
        lambda _: kt.teachers.instance2(10, 5, 19),
    ),
    "two inputs": Way(records(TWO), "input='prompt' takes the first", records(TWO, input="prompt")),
    "two labels": Way(
        records(csv("input,answer,target\nq,a,b\n")),
        "label='answer' takes the first",
        records(csv("input,answer,target\nq,a,b\n"), label="answer"),
    ),
    "two probabilities": Way(
        records(PROBS), "logprob='p' takes the first", records(PROBS, logprob="p")
    ),
    "two inputs, JSON": Way(
        records(csv('{"prompt": "q", "text": "r", "label": "a"}\n', "t.jsonl"), on_error="raise"),
        "input='prompt' takes the first",
        records(csv('{"prompt": "q", "text": "r", "label": "a"}\n', "t.jsonl"), input="prompt"),
    ),
    "no input": Way(
        records(csv("ask,label\nq,a\n")),
        "input=... says which",
        records(csv("ask,label\nq,a\n"), input="ask"),
    ),
    "no input, JSON": Way(
        records(csv('{"ask": "q", "label": "a"}\n', "t.jsonl"), on_error="raise"),
        "input=... names it",
        records(csv('{"ask": "q", "label": "a"}\n', "t.jsonl"), input="ask"),
    ),
    "no label": Way(
        records(NAMELESS, input="ask"),
        "label=... says which",
        records(NAMELESS, input="ask", label="says"),
    ),
    "a column named twice": Way(
        records(csv("input,label,label\nq,a,b\n")),
        "names must differ",
        records(csv("input,label,other\nq,a,b\n")),
    ),
    "settings behind a list": Way(
        records(wrapper(behind=True)),
        "write it before the list",
        records(wrapper(behind=False), as_sampled=True),
    ),
    "pieces of Gemini": Way(
        records(lines(*({"request": ASKED, "response": piece} for piece in PIECES))),
        re.escape(
            'put the pieces of an answer in one list, {"request": ..., "response": [piece, piece]}'
        ),
        records(lines({"request": ASKED, "response": PIECES})),
    ),
    "an answer as a label": Way(
        records(csv(f"prompt,response\nq,{quoted(CHAT)}\n"), on_error="raise"),
        re.escape('write a record a line as JSON, {"request": ..., "response": ...}'),
        records(lines({"request": {"prompt": "q"}, "response": CHAT})),
    ),
    "several scored prompts": Way(
        records(lines(scored("q yes", "r yes")), on_error="raise"),
        "ask each on its own",
        records(lines(scored("q yes"), scored("r yes"))),
    ),
    "hidden tokens": Way(
        said(lines({"prompt": "q", **CHAT, "usage": {"completion_tokens": 99}})),
        "with the tokens of reasoning in the usage",
        said(
            lines(
                {"prompt": "q", **CHAT, "usage": {"completion_tokens": 99, "reasoning_tokens": 97}}
            )
        ),
    ),
    "encoding of records": Way(
        records(csv(LATIN, encoding="cp1252")),
        "save it as UTF-8",
        records(csv(LATIN, encoding="utf-8")),
    ),
    "bytes as inputs": Way(
        records(parquet(input=[b"q"], label=["a"])),
        "store each input as text",
        records(parquet(input=["q"], label=["a"])),
    ),
    "bytes as labels": Way(
        records(parquet(input=["q"], label=[b"a"])),
        "store each label as text",
        records(parquet(input=["q"], label=["a"])),
    ),
    "dates as probabilities": Way(
        records(parquet(input=["q"], label=["a"], prob=[[0.5]])),
        "the prob must be a number",
        records(parquet(input=["q"], label=["a"], prob=[0.5])),
    ),
    "cold answers": Way(learnt(COLD), "as_sampled=True reads them", learnt(COLD, as_sampled=True)),
    "cold answers, command": Way(
        command("fit", COLD), "--as-sampled reads them", command("fit", COLD, "--as-sampled")
    ),
    "cold answers, their student": Way(
        learnt(COLD),
        r"student=kt.students.top_k\(k, sampled=False\) learns",
        learnt(COLD, kt.students.top_k(1, sampled=False), as_sampled=True),
    ),
    "cold answers, their student, command": Way(
        command("fit", COLD),
        r'--student "top_k_only\(k\)" learns',
        command("fit", COLD, "--as-sampled", "--student", "top_k_only(1)"),
    ),
    "forced labels": Way(
        learnt(FORCED), "read them with as_sampled=True", learnt(FORCED, as_sampled=True)
    ),
    "forced labels, of labels alone": Way(
        learnt(FORCED), "learn from the labels alone, student='ce_sgl'", learnt(FORCED, "ce_sgl")
    ),
    "sums above 1": Way(learnt(EXCESS), "student='ce_sgl'", learnt(EXCESS, "ce_sgl")),
    "sums above 1, rounded": Way(
        learnt(COARSE),
        r"student=kt.students.rounded\(step\)",
        learnt(COARSE, kt.students.rounded(0.5)),
    ),
    "two models": Way(learnt(MODELS), "choose one, model='m'", learnt(MODELS, model="m")),
    "two models, command": Way(
        command("fit", MODELS), "choose one, --model m", command("fit", MODELS, "--model", "m")
    ),
    "weights of drawn inputs": Way(
        learnt(MODELS, model="m", weights={"q0": 1}),
        "leave them out for drawn inputs",
        learnt(MODELS, model="m"),
    ),
    "weights of a list": Way(
        learnt(MODELS, model="m", weights={"q0": 1}),
        "weights: go with design='fixed'",
        learnt(MODELS, model="m", weights={"q0": 1}, design="fixed"),
    ),
    "weights of strata": Way(
        learnt(MODELS, model="m", design="strata"),
        "goes with strata=..., the stratum of each input, and weights=",
        learnt(MODELS, model="m", design="strata", strata={"q0": "a"}, weights={"a": 1}),
    ),
    "an input without a weight": Way(
        learnt(ASKED_TWICE, design="fixed", weights={"q0": 1}),
        "give each one, 0 if it does not count",
        learnt(ASKED_TWICE, design="fixed", weights={f"q{i}": int(i == 0) for i in range(30)}),
    ),
    "a list that is not known yet": Way(
        until(design="fixed"),
        "give weights=..., as the list must be known",
        until(design="fixed", weights={"q0": 1}),
    ),
    "draws at all times": Way(
        at_all_times(other="none"),
        "goes with design='fixed', not with",
        at_all_times(other="none", design="fixed"),
    ),
    "labels at all times": Way(
        at_all_times(design="fixed"),
        "with labels=... and other='none' or other='pool'",
        at_all_times(other="pool", design="fixed"),
    ),
    "a plan of a list": Way(
        planned_of_records(design="fixed"),
        "read the records with design='drawn'",
        planned_of_records(design="drawn"),
    ),
    "inputs asked once": Way(said(ASKED_ONCE), "input=... names another", said(ASKED_TWICE)),
    "a Batch without requests": Way(said(batch), "give the requests, requests=...", with_requests),
    "variants, folded": Way(
        said(MIXED), "fold='strip,casefold' makes them one", said(MIXED, fold="strip,casefold")
    ),
    "variants, mapped": Way(
        said(MIXED), "label_map=... says which are", said(MIXED, label_map={"yes": ["Yes", " yes"]})
    ),
    "undeclared labels, pooled": Way(
        said(TOP, labels=["yes"]),
        "other='pool' makes them one",
        said(TOP, labels=["yes"], other="pool"),
    ),
    "undeclared labels, conditioned": Way(
        said(TOP, labels=["yes"]),
        "other='condition' takes",
        said(TOP, labels=["yes"], other="condition"),
    ),
    "undeclared labels, refused": Way(
        learnt(TOP, labels=["yes"], other="none"),
        "other='keep', other='pool' or other='condition' says",
        learnt(TOP, labels=["yes"], other="keep"),
    ),
    "nothing declared": Way(
        learnt(TOP, other="pool"),
        r"goes with labels=\[...\]",
        learnt(TOP, other="pool", labels=["yes"]),
    ),
    "declared twice under a fold": Way(
        learnt(TOP, labels=["yes", "YES"], fold="casefold"),
        r"are one label under fold=.*: declare one of them",
        learnt(TOP, labels=["yes"], fold="casefold"),
    ),
    "undone and pooled": Way(
        learnt(GRID, kt.students.rounded(0.5), labels=["yes", "no"], other="pool"),
        "read the records with other='keep'",
        learnt(GRID, kt.students.rounded(0.5), labels=["yes", "no"], other="keep"),
    ),
    "a plan given declared labels": Way(
        planned("partial", TOP, names=["yes"], other="condition", tv=0.1),
        "read the records with other='pool'",
        planned("partial", TOP, names=["yes"], other="pool", tv=0.1),
    ),
    "a plan without sizes": Way(
        planned(tv=0.1),
        "give inputs= and labels=, or teacher=",
        planned(inputs=9, labels=3, tv=0.1),
    ),
    "a plan of no records": Way(
        planned("soft", csv("", "r.jsonl"), tv=0.1),
        "give inputs= and labels= instead",
        planned(inputs=9, labels=3, tv=0.1),
    ),
    "a plan of what records do not show": Way(
        planned("rounded(0.1)", TOP, tv=0.1),
        "give inputs= and labels= without teacher=",
        planned("rounded(0.1)", inputs=9, labels=3, tv=0.1),
    ),
    "a plan for the copy": Way(
        planned("rounded(0.1)", TOP, tv=0.1), r"kt.fit\(...\).teacher\(\)", as_teacher
    ),
    "rows that differ too much": Way(
        whole_rows(), "less if inputs= says how many inputs there are", whole_rows(300)
    ),
    "hops without a graph": Way(
        lambda folder: kt.plan(inputs=3, labels=2, tv=0.1, hops=2),
        "goes with graph=...",
        lambda folder: kt.plan(inputs=3, labels=2, tv=0.1, hops=2, graph=kt.graphs.path(3)),
    ),
    "no goal in a loss": Way(
        lambda _: kt.samples_needed("soft", 5, 4, loss="kl"),
        "the goal in loss 'kl' is risk=, not tv=",
        lambda _: kt.samples_needed("soft", 5, 4, loss="kl", risk=0.1),
    ),
    "a goal of another loss": Way(
        lambda _: kt.samples_needed("soft", 5, 4, risk=0.1),
        "the goal in loss 'tv' is tv=",
        lambda _: kt.samples_needed("soft", 5, 4, tv=0.1),
    ),
    "a teacher in another loss": Way(
        lambda _: kt.samples_needed(teacher=kt.Teacher([[0.5, 0.5]]), loss="kl", risk=0.1),
        "leave teacher out, or give loss='tv'",
        lambda _: kt.samples_needed(teacher=kt.Teacher([[0.5, 0.5]]), loss="tv", tv=0.1),
    ),
    "reading without answers": Way(
        command("plan", "--inputs", "9", "--labels", "3", "--tv", "0.1", "--fold", "strip"),
        "--fold: goes with --answers FILE",
        command("plan", "--answers", TOP, "--tv", "0.1", "--fold", "strip"),
    ),
    "a price without a level": Way(
        command("plan", "--inputs", "9", "--labels", "3", "--tv", "0.1", "--price", "0.1"),
        "such as hard=0.01",
        command("plan", "--inputs", "9", "--labels", "3", "--tv", "0.1", "--price", "hard=0.01"),
    ),
}


SLOW = {"a price without a level", "rows that differ too much", "settings behind a list"}


@pytest.mark.parametrize("name", few_quick(WAYS, WAYS.keys() - SLOW))
def test_the_way_out_works(name, tmp_path):
    way = WAYS[name]
    with pytest.raises(ValueError, match=way.words):
        way.error(tmp_path)
    way.out(tmp_path)


def documented(tree: ast.AST) -> set[int]:
    """The strings that are docstrings, by id."""
    found = set()
    for node in ast.walk(tree):
        for child in (
            getattr(node, "body", []) if not isinstance(node, (ast.Lambda, ast.IfExp)) else []
        ):
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                found.add(id(child.value))
    return found


def named_in(source: str) -> set[tuple[str, int]]:
    """The arguments and options that the messages of a module name, and on which line."""
    tree = ast.parse(source)
    left_out = documented(tree)
    found = set()
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in left_out
        ):
            words = re.findall(
                r"(?<![\w.=-])([a-z_]\w*)=(?=['\w.\[({ ,;]|$)|(?<![\w-])(--[a-z][a-z-]*)",
                node.value,
            )
            found |= {(argument or option, node.lineno) for argument, option in words}
    return found


def arguments() -> set[str]:
    """The arguments of all that is public."""
    found: set[str] = set()
    places: list[Any] = [kt, kt.teachers, kt.students]
    for place in places:
        for name in getattr(place, "__all__", None) or dir(place):
            thing = getattr(place, name)
            methods = (
                [getattr(thing, part) for part in dir(thing) if part[0] != "_"]
                if inspect.isclass(thing)
                else []
            )
            for each in (thing, *methods):
                if callable(each):
                    try:
                        found |= set(inspect.signature(each).parameters)
                    except (TypeError, ValueError):
                        continue
    return found


def options() -> set[str]:
    """The options of all commands, those within groups too."""
    commands: list[click.Command] = [main]
    for each in commands:
        commands += getattr(each, "commands", {}).values()
    return {
        "--help",
        *(option for each in commands for part in each.params for option in part.opts),
    }


LEVEL_PRICES = {"hard"}
"""--price takes LEVEL=PRICE."""


def unknown(source: str) -> set[tuple[str, int]]:
    known = arguments() | options() | LEVEL_PRICES
    return {(name, line) for name, line in named_in(source) if name not in known}


@pytest.mark.parametrize("room", ROOMS)
def test_what_messages_name_exists(room):
    wrong = {
        path.name: found
        for path in sorted((PACKAGE / room).glob("*.py"))
        if (found := unknown(path.read_text()))
    }
    assert not wrong


WHOLE = ["cli/teacher.py", "teachers/*.py", "transfer/**/*.py", "planner/**/*.py"]
"""Modules of which every named argument and option has its `Way`."""


def test_every_argument_that_messages_name_has_its_way():
    paths = [path for place in WHOLE for path in PACKAGE.glob(place)]
    named = {name for path in paths for name, _ in named_in(path.read_text())}
    tried = " ".join(way.words for way in WAYS.values())
    assert {name for name in named if name not in tried} == set()
    assert {"input", "label", "logprob", "kind", "normalise", "--ngram"} <= named


def test_what_does_not_exist_is_found():
    source = 'def f(x):\n    """no=1"""\n    raise ValueError(f"{x}: pass normalize=True, kind=\'logits\' or --logit; a=")'
    assert {name for name, _ in unknown(source)} == {"normalize", "--logit", "a"}
    assert {name for name, _ in named_in(source)} == {"normalize", "kind", "--logit", "a"}
