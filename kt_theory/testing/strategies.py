"""Statistical assertions and Hypothesis strategies for students, teachers and simulations of one's
own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory.teacher import Teacher

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


def confidence_radius(std_error: float, repeats: int, false_alarm: float = 1e-6) -> float:
    """Return r with P(|mean - risk| > r) <= false_alarm for losses in [0, 1], whatever their law.

    The empirical Bernstein bound, r = sqrt(2 v x / R) + 3 x / R with v the variance of the R losses
    and x = ln(3 / false_alarm) (Audibert, Munos and Szepesvari 2009).
    """
    x = np.log(3.0 / false_alarm)
    return float(std_error * np.sqrt(2.0 * x) + 3.0 * x / repeats)


def assert_risk(
    estimate: Any, expected: float, *, detects: float, false_alarm: float = 1e-6
) -> None:
    """Assert that a Monte Carlo risk agrees with `expected`.

    Parameters
    ----------
    estimate : RiskEstimate
        Or anything with `mean`, `std_error` and `repeats`.
    expected : float
        The risk it should have.
    detects : float
        The smallest error in the risk that the test must catch with probability at least 1 -
        false_alarm. A test with too few repeats for that fails, whatever the mean.
    false_alarm : float
        Probability at most with which a right estimate fails.
    """
    radius = confidence_radius(estimate.std_error, estimate.repeats, false_alarm)
    if 2.0 * radius > detects:
        raise AssertionError(
            f"{estimate.repeats} repeats detect {2 * radius:.3g} at best, not {detects:.3g}: take "
            "more"
        )
    gap = abs(estimate.mean - expected)
    if not gap <= radius:
        raise AssertionError(
            f"mean {estimate.mean:.8g} is {gap:.3g} away from {expected:.8g}: more than "
            f"{radius:.3g}"
        )


def teachers(max_inputs: int = 4, max_labels: int = 5) -> SearchStrategy[Teacher]:
    """Return a Hypothesis strategy of teachers: generic ones, point masses, ties, zero labels and
    zero inputs.
    """
    from hypothesis import strategies as st

    def rows(width: int) -> SearchStrategy[list[int]]:
        return st.lists(st.integers(0, 6), min_size=width, max_size=width).filter(any)

    @st.composite
    def build(draw: Any) -> Teacher:
        inputs, labels = draw(st.integers(1, max_inputs)), draw(st.integers(1, max_labels))
        pi = draw(st.lists(rows(labels), min_size=inputs, max_size=inputs))
        return Teacher(
            np.array(pi, dtype=np.float64),
            np.array(draw(rows(inputs)), dtype=np.float64),
            normalise=True,
        )

    return build()
