"""The same bits whatever vectors a processor has: the kernels compiled for others, which this one can run."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Each line is the digest of all losses of the four students and of a rule, on each path; pi is made without mathematical
# functions of NumPy, whose last bits differ between processors.
LOSSES = """
import hashlib
import numpy as np, kt_theory as kt
from kt_theory.simulation.cell import Cell

@kt.row_rule
def own(counts, revealed, out):
    total = float(counts.size)
    for a in range(counts.size):
        total += counts[a]
    for a in range(counts.size):
        out[a] = (counts[a] + 1.0) / total

rng = np.random.default_rng(0)
students = [*kt.STUDENTS.values(), kt.Student("own", "hard", own)]
for inputs, labels, n in ((30, 100, 20), (13, 7, 50), (3, 70, 300), (13, 7, 10**4), (13, 7, 10**11)):
    rows = rng.integers(1, 100, size=(inputs, labels)).astype(float)
    cell = Cell(kt.Teacher(rows / rows.sum(axis=1, keepdims=True)), students, n, 1)
    losses = np.empty((50, 5))
    cell.run(0, 50, losses)
    print(cell.path, hashlib.sha256(losses.tobytes()).hexdigest())
"""


def digests(folder, **processor):
    """The digests where Numba compiles for another processor."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder), **processor}
    command = [sys.executable, "-c", LOSSES]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split("\n")


@pytest.mark.long
@pytest.mark.parametrize("processor", ["generic", "x86-64-v2", "haswell"])
def test_losses_have_the_same_bits_without_wide_vectors(tmp_path, processor):
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        pytest.skip("names of x86-64 processors")
    other = digests(tmp_path / "other", NUMBA_CPU_NAME=processor, NUMBA_CPU_FEATURES="")
    assert [line.split()[0] for line in other[:5]] == [
        *("sparse", "alias", "poisson", "poisson", "binomial")
    ]
    assert other == digests(tmp_path / "own")
