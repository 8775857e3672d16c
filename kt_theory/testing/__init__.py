"""Statistical assertions with stated error rates, and Hypothesis strategies, for students, teachers
and simulations of one's own.

Every assertion tests a finite number of means of bounded losses. `false_alarm` bounds the
probability that one call fails though all is right, whatever the law of the losses, over all rows
together; `detects` is what it must catch with probability at least 1 - `false_alarm`, and a call
whose repeats are too few for that fails. Both want a number of repeats that was fixed in advance:
no `target_se`.
"""

from kt_theory.testing.assertions import (
    assert_below,
    assert_consistent,
    assert_rate,
    assert_risk,
    confidence_radius,
)
from kt_theory.testing.strategies import levels, query_laws, students, teachers

__all__ = [
    "assert_below",
    "assert_consistent",
    "assert_rate",
    "assert_risk",
    "confidence_radius",
    "levels",
    "query_laws",
    "students",
    "teachers",
]
