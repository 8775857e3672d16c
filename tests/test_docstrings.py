"""Every example in a docstring of the package gives what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import kt_theory

ROOT = Path(kt_theory.__file__).parent
NAMES = [
    name
    for _, name, _ in pkgutil.walk_packages([str(ROOT)], "kt_theory.")
    if ">>>" in Path(importlib.util.find_spec(name).origin).read_text(encoding="utf-8")
]


def test_there_are_examples():
    assert len(NAMES) >= 10


@pytest.mark.parametrize("name", NAMES)
def test_examples(name):
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    found = doctest.testmod(importlib.import_module(name), optionflags=flags)
    assert found.attempted
    assert not found.failed
