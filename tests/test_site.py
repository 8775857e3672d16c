"""The site's pages name everything that is public, and its sources are read as they are meant."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import kt_theory as kt

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "docs"))

import outside  # noqa: E402
import plain  # noqa: E402
import reference  # noqa: E402


@pytest.fixture(scope="module")
def listed():
    """What the reference lists, by its full name."""
    text = "\n".join(reference.pages().values())
    return {f"kt_theory.{name}" for name in re.findall(r"^   ~([\w.]+)$", text, re.M)}


def test_every_public_name_is_in_the_reference(listed):
    for name in kt.__all__:
        assert f"kt_theory.{name}" in listed or name in reference.ROOMS
    for place in reference.ROOMS:
        names = reference.members(reference.room(place))
        assert names
        assert {reference.full_name(place, name) for name in names} <= listed


def test_the_reference_lists_nothing_else_and_nothing_twice(listed):
    topics = [name for names in reference.TOPICS.values() for name in names]
    assert len(topics) == len(set(topics))
    assert set(topics) | set(reference.ROOMS) | {"testing"} == {*kt.__all__, "testing"}
    for name in listed:
        place, _, last = name.rpartition(".")
        thing = kt if place == "kt_theory" else reference.room(place.partition(".")[2])
        assert hasattr(thing, last)


def test_every_public_constant_says_what_it_is(listed):
    constants = []
    for full_name in sorted(listed):
        place, _, last = full_name.rpartition(".")
        module = kt if place == "kt_theory" else reference.room(place.partition(".")[2])
        thing = getattr(module, last)
        if not callable(thing) or isinstance(thing, kt.Student):
            constants.append(full_name)
            assert reference.constant(module, last)[0], full_name
    assert len(constants) > 20


DOCSTRING = """Return E|q - p|, the mean of *all* `a|b` and x*y files *.csv.

It is

    1/2 sum_a |q(a) - p(a)|
        + more,

for every a|s:
- one

  two
"""
AS_RST = r"""Return E\|q - p\|, the mean of *all* `a|b` and x\*y files *.csv.

It is

::

    1/2 sum_a |q(a) - p(a)|
        + more,

for every a\|s:
- one

  two
"""


def test_docstrings_keep_their_formulas():
    assert "\n".join(plain.as_rst(DOCSTRING.split("\n"))) == AS_RST
    session = [">>> a | b", "1 | 2"]
    assert plain.as_rst(session) == session


def test_links_lead_to_the_pages_of_files_outside():
    pages = outside.page_of()
    inside = ROOT / "docs" / "storage.md"
    file = ROOT / "benchmarks" / "results.md"
    page = pages[file]
    assert page == ROOT / "docs" / "benchmarks" / "results.md"
    text = "[a](../benchmarks/results.md#x) [b](../figures/storage.png) [c](https://x.org) [d](#e)"
    wanted = text.replace("../benchmarks", "benchmarks")
    assert outside.as_page(text, inside, inside, pages) == wanted
    assert outside.as_page("[a](../docs/storage.md)", page, file, pages) == "[a](../storage.md)"
