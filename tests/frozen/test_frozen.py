"""No result moves: every public verb at every access level and student against the record.

`record.py` says how the record is made anew, and when one may. `expected_to_change` has defects:
it is recorded to be seen, and not compared.
"""

from __future__ import annotations

import json
import math

import pytest
from frozen.cases import GROUPS, HERE, collected, in_part

TOLERANCE = 1e-12
OF_OPTIMISERS = 1e-9
"""Where a value is the end of a search, or of a solve that is not well conditioned."""

OF_PROCESSORS = {"minimax": 2e-6, "theory": 1e-7}
"""Where a search certifies its value to within a gap, or a matrix is decomposed: with AVX-512 and without, NumPy's exp and
BLAS differ in last bits, and these amplify them."""

EXACT = {"names", "order", "reveal", "risk", "risk_queries", "stream", "simulate_named"}
EXACT |= {"simulate_made", "sweeps"}
"""Groups whose values no optimiser makes."""

LONG = {"simulate_made", "lineages", "needed_slow", "needed_teacher", "needed_records"}
LONG |= {"sweep_tables", "commands_slow"}


def agrees(found, recorded, tolerance):
    """Return whether two values are the same: floats up to the tolerance, all else exactly.

    Floats that are written in full as hexadecimal numbers too: the engine has one set of bits, but a teacher's softmax has
    not, as NumPy's exp differs in its last bit between processors.
    """
    if isinstance(found, str) and isinstance(recorded, str) and recorded.startswith("0x1."):
        found, recorded = float.fromhex(found), float.fromhex(recorded)
    if isinstance(found, list) and isinstance(recorded, list):
        return len(found) == len(recorded) and all(
            agrees(one, other, tolerance) for one, other in zip(found, recorded, strict=True)
        )
    if isinstance(found, float) and isinstance(recorded, float):
        return math.isclose(found, recorded, rel_tol=tolerance, abs_tol=tolerance)
    return type(found) is type(recorded) and found == recorded


SLOW = {"plans": 4, "risk": 4, "risk_queries": 4, "simulate_named": 8}
SLOW |= dict.fromkeys(["fits", "minimax", "commands", "needed", "stream"], 12)
"""Groups of which the quick suite takes one case in so many."""


def parts():
    """Every group, whole; quick are those that take no time, and a part of the slow ones."""
    for group in GROUPS:
        if group != "expected_to_change":
            yield pytest.param(
                group, 1, marks=pytest.mark.long if group in LONG | SLOW.keys() else ()
            )
        if group in SLOW:
            yield group, SLOW[group]


@pytest.mark.parametrize(("group", "part"), list(parts()))
def test_no_result_moves(group, part):
    recorded = json.loads((HERE / "record" / f"{group}.json").read_text(encoding="utf-8"))
    recorded = {key: value for key, value in recorded.items() if in_part(key, part)}
    found = collected(group, part)
    assert found
    assert sorted(found) == sorted(recorded)
    usual = TOLERANCE if group in EXACT else OF_OPTIMISERS
    tolerance = OF_PROCESSORS.get(group, usual)
    moved = [key for key in found if not agrees(found[key], recorded[key], tolerance)]
    told = [f"{key}\n  now  {found[key]}\n  then {recorded[key]}" for key in moved[:10]]
    assert not moved, f"{group}: {len(moved)} of {len(found)} cases moved\n" + "\n".join(told)


def test_hexadecimal_floats_are_numbers():
    assert agrees((0.3).hex(), (0.1 + 0.2).hex(), TOLERANCE)
    assert not agrees((0.3).hex(), (0.3 + 1e-11).hex(), TOLERANCE)


@pytest.mark.parametrize("wrong", [1.0 + 1e-11, "1.0", 1, True, [1.0], None])
def test_a_changed_value_is_convicted(wrong):
    assert agrees([1.0, "a"], [1.0, "a"], TOLERANCE)
    assert not agrees([wrong, "a"], [1.0, "a"], TOLERANCE)
