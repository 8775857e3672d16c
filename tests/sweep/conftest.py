from __future__ import annotations

import pytest
from click.testing import CliRunner

from kt_theory.sweep import Spec


@pytest.fixture
def tiny():
    """A sweep of 24 cells that runs in a moment; keywords replace keys of the specification."""

    def make(**changes):
        document = {
            "name": "tiny",
            "seed": 3,
            "n": [5, 20],
            "repeats": 600,
            "students": ["ce_sgl", "sel_ptl", "ce_ful"],
            "teachers": [{"family": "dirichlet", "inputs": [1, 3], "labels": [2, 4]}],
        }
        document.update(changes)
        return Spec(**{key: value for key, value in document.items() if value is not None})

    return make


@pytest.fixture
def command():
    """Run `kt-theory sweep` in this process."""

    def run(*words):
        from kt_theory.cli.sweep import sweep_group

        return CliRunner().invoke(
            sweep_group, [str(word) for word in words], catch_exceptions=False
        )

    return run
