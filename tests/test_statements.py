"""docs/statements.md: every bound is in it, and all that it names is there."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import kt_theory as kt
from kt_theory import catalogue, limits
from kt_theory.limits.bracket import Bracket

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "statements.md").read_text(encoding="utf-8")
STATEMENTS, _, REFERENCES = PAGE.partition("\n## What `reference` says\n")

IS_BOUND = re.compile(r"(^|_)(limit|upper|lower|bound|bounds|floor|surely|rates|kappa)$")
"""How functions of `limits` are called that return what is proved."""

BEFORE = re.compile(
    r"^(1 - tv: |\d+ labels per query are as many samples: |lower: |upper: "
    r"|loss\(e, U\) / \(1-1/A\) times that in tv, which is )"
)


def rows(text):
    """The rows of all tables, each a list of cells, by the names of the columns."""
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
        head, _, *lines = [re.split(r"\s*\|\s*", line)[1:-1] for line in table.splitlines()]
        yield from (dict(zip(head, line, strict=True)) for line in lines)


ROWS = list(rows(STATEMENTS))
NAMED = {name for row in ROWS for name in re.findall(r"`([\w.]+)`", row["function"])}
WORDS = {row["words"].strip("`"): row["statement"] for row in rows(REFERENCES)}


def found(name):
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(f"kt_theory.{module}"), attribute)


def test_every_theorem_of_the_paper_is_in_it_with_its_reference():
    table = kt.bounds.table(inputs=5, labels=4, n=100).set_index("id")
    told = {row["id"].strip("`"): row for row in ROWS if row.get("id")}
    assert list(told) == list(table.index)
    for id, row in told.items():
        for statement in re.findall(r"(?:Theorem|Proposition) [\w.]+", table.loc[id, "reference"]):
            assert statement in row["reference"], id


def test_every_bound_is_in_it():
    modules = [
        importlib.import_module(each.name)
        for each in pkgutil.walk_packages(limits.__path__, "kt_theory.limits.")
    ]
    bounds = {
        f"{module.__name__}.{name}".removeprefix("kt_theory.")
        for module in modules
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__ and is_bound(name, value)
    }
    assert len(bounds) > 60
    assert sorted(bounds - NAMED) == []
    public = {name for name in kt.__all__ if IS_BOUND.search(name)} | {
        "minimax_risk",
        "exact_risk",
        "samples_needed",
        "best_add_c",
        "acceptance",
        "storage",
        "consistency",
        "fit_until",
    }
    assert {getattr(kt, name) for name in public - {"bounds"}} <= {found(name) for name in NAMED}


def is_bound(name, value):
    if inspect.isclass(value):
        return issubclass(value, Bracket) and value is not Bracket
    return callable(value) and not name.startswith("_") and bool(IS_BOUND.search(name))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["statement"][:50])
def test_all_that_a_row_names_is_there(row):
    names = re.findall(r"`([\w.]+)`", row["function"])
    assert names
    assert all(callable(found(name)) for name in names)
    tests = re.findall(r"`([\w/]+\.py)::(\w+)`", row["test"])
    assert tests
    assert all(name in names_in(file) for file, name in tests)
    assert row["reference"]
    for page, anchor in re.findall(r"\]\(([\w-]+\.md)#([\w-]+)\)", row["reference"]):
        assert anchor in anchors(page), anchor


@cache
def names_in(file):
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@cache
def anchors(page):
    """The anchors of a page's headings: lower case, words and hyphens alone."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def parts(reference):
    """The parts of a reference, without what stands before them."""
    for part in reference.split("; "):
        while BEFORE.match(part):
            part = BEFORE.sub("", part)
        yield part


def pattern(words):
    number = r"[\w.()+-]+( [\w.()+-]+)?"
    return re.compile(re.escape(words).replace(r"\.\.\.", number) + "$")


PATTERNS = {words: pattern(words) for words in WORDS}
LOSSES = ("tv", "acceptance", "kl", "l2", "reverse_kl")
EXTRA = (
    "rounded(0.5) partial",
    "rounded(2) top_k_only(2)",
    "noisy(0.1) top_k(2)",
    "quantised(4) partial",
    "confused(0.5)",
    "logits partial",
    "logits top_k_only(2)",
    "top_k_only(2)",
    "top_k(1)",
)


RARE = {"soft labels: no other row is worse", "(1-1/A)/(sqrt n + 1)^2, that of one input"}
"""What the code may say, but at no size that was tried."""

LEVELS = [
    *(entry.example for entry in catalogue.LEVELS.values() if "features" not in entry.example),
    *EXTRA,
]


def told(sizes, samples, losses, levels=LEVELS):
    """The patterns that the references of levels match; each part must match one."""
    matched = set()
    for name in levels:
        for inputs, labels in sizes:
            level = catalogue.level(name, inputs)
            for limit in some_limits(level, inputs, labels, samples, losses):
                for part in parts(limit.reference):
                    hits = {words for words, regex in PATTERNS.items() if regex.match(part)}
                    assert hits, f"{limit}: {part!r}"
                    matched |= hits
    return matched


def some_limits(level, inputs, labels, samples, losses):
    for n in samples:
        yield kt.minimax_risk(level, inputs=inputs, labels=labels, n=n)
        if level.name in ("hard", "partial"):
            size = {"inputs": inputs, "labels": labels, "n": n}
            yield kt.minimax_risk(level, **size, labels_per_query=3)
    for loss in losses if labels > 2 else ():
        yield kt.minimax_risk(level, inputs=inputs, labels=labels, n=samples[-1], loss=loss)


def test_references_of_limits_are_in_it():
    assert told([(1, 3)], (1,), ())


@pytest.mark.long
def test_all_references_of_limits_are_in_it_and_no_others():
    matched = told([(1, 1), (1, 2), (3, 1), (3, 2), (1, 20)], (0, 1, 7), ())
    matched |= told([(1, 3), (3, 4)], (0, 1, 100, 7), LOSSES)
    matched |= told([(2, 20_000)], (100,), (), ["partial"])
    matched |= told([(2, 3)], (2,), (), ["non_target"])
    jacobian = kt.minimax_risk(kt.access.jacobian(np.eye(3)), labels=4, n=2)
    matched |= {words for words in WORDS if PATTERNS[words].match(jacobian.reference)}
    assert set(WORDS) - matched == RARE


@pytest.mark.parametrize("words", WORDS)
def test_words_lead_to_rows(words):
    names = re.findall(r"`([\w.]+)`", WORDS[words])
    assert names
    assert set(names) <= NAMED


def test_what_is_not_there_is_found_out():
    row = {**ROWS[0], "test": "`limits/test_bounds.py::test_that_is_not_there`"}
    with pytest.raises(AssertionError):
        test_all_that_a_row_names_is_there(row)
    with pytest.raises(AssertionError):
        test_all_that_a_row_names_is_there({**ROWS[0], "reference": "[x](proofs.md#5-nowhere)"})
    assert not any(regex.match("a proof of nothing") for regex in PATTERNS.values())
