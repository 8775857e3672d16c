"""The same losses on ARM, on an emulated processor: `make test-arm` sets it up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROJECT = Path(__file__).parents[1]
MACHINE = PROJECT / ".arm"
SCRIPT = PROJECT / "tests" / "portability" / "sizes.py"

LOSS = 2.0**-40
"""How far a loss may be off: functions such as exp are rounded by each system in its own way."""

MEAN = 1e-15


@pytest.mark.long
@pytest.mark.skipif(not (MACHINE / "ready").exists(), reason="no emulated machine: make test-arm")
def test_losses_are_those_of_an_emulated_arm_machine(tmp_path):
    here, there = tmp_path / "here.npz", tmp_path / "there.npz"
    subprocess.run([sys.executable, SCRIPT, here], check=True)
    emulated = [MACHINE / "emulator", "-L", MACHINE / "root", MACHINE / "root/usr/bin/python3.11"]
    places = {
        "PYTHONPATH": f"{PROJECT}:{MACHINE / 'site'}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    subprocess.run([*emulated, SCRIPT, there], check=True, env=os.environ | places)
    ours, theirs = np.load(here), np.load(there)
    assert ours.files == theirs.files
    for size in ours.files:
        np.testing.assert_allclose(theirs[size], ours[size], rtol=0.0, atol=LOSS)
        means = theirs[size].mean(axis=0), ours[size].mean(axis=0)
        np.testing.assert_allclose(*means, rtol=MEAN, atol=0.0)
