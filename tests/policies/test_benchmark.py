"""The plain script of the benchmark finds what `kt.storage` finds."""

import sys
from pathlib import Path

import numpy as np
import pytest

import kt_theory as kt
from kt_theory.dumps import Dump

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import storage

    yield storage
    sys.modules.pop("storage")


def test_whole_rows_lose_what_the_script_says(script, monkeypatch):
    monkeypatch.setattr(script, "LABELS", 900)
    logits = script.zipf_logits(np.random.default_rng(0), 30, 900)
    found = kt.storage(Dump.from_arrays(logits, kind="logits"), script.PLAIN).frame["tv"]
    np.testing.assert_allclose(found, script.plain_whole(logits), rtol=1e-9)


def test_the_script_stays_within_the_bounds_of_what_is_listed(script, tmp_path):
    path = tmp_path / "top64.parquet"
    script.write_listed(path, 128)
    dump = Dump.read(path, labels=script.LABELS)
    found = kt.storage(dump, script.PLAIN).frame
    (block,) = dump.blocks()
    even = script.plain_listed(block.logprobs)
    assert (found["tv_lower"] <= np.array(even) + 1e-9).all()
    assert (np.array(even) <= found["tv_upper"] + 1e-9).all()
    np.testing.assert_allclose(found["tv_lower"][2:4], even[2:4], rtol=1e-9)
    np.testing.assert_allclose(found["tv_upper"][4], even[4], rtol=1e-9)
