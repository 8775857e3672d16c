"""What is proved of a student's worst case, so that a teacher that was found can be judged."""

from __future__ import annotations

from dataclasses import dataclass

from kt_theory import students
from kt_theory.exact.smoothed import Smoothed
from kt_theory.limits.hard.add_c import LARGEST_RATIO, add_c_upper, mle_upper
from kt_theory.limits.hard.bracket import joint_bound
from kt_theory.limits.limit import Limit
from kt_theory.limits.paper import curve
from kt_theory.losses import TV, Loss
from kt_theory.minimax import minimax_risk
from kt_theory.students import Student

UNKNOWN = "no theorem that the package has bounds this student's worst case from above"


@dataclass(frozen=True)
class Ceiling:
    """A proved upper bound on a student's risk, every teacher of a size: None where there is none,
    and `words` why.
    """

    value: float | None
    words: str


def limit_of(student: Student, inputs: int, labels: int, n: int, loss: Loss) -> Limit | None:
    """Return the minimax limit of the student's level, None where there is none."""
    try:
        return minimax_risk(student.access, inputs, labels, n, loss=loss)
    except ValueError:
        return None


def ceiling(student: Student, limit: Limit | None, size: tuple[int, int, int]) -> Ceiling:
    """Return a proved upper bound on the risk of a student, every teacher of S inputs and A labels.

    Parameters
    ----------
    student : Student
    limit : Limit or None
        Of its level, at this size.
    size : (int, int, int)
        S, A and n.
    """
    inputs, labels, n = size
    if limit is None or limit.loss != TV.name:
        return Ceiling(None, UNKNOWN)
    top = student.access.shows.top
    if student in (students.CE_FUL, students.SEL_PTL, students.top_k(top)):
        return Ceiling(limit.upper, f"it is minimax: {limit.reference}")
    if student == students.CE_SGL and n:
        known = [float(curve("3.2-mean", inputs, labels, n)[0]), joint_bound(*size, 1.0)]
        known += [mle_upper(labels, n)] if inputs == 1 else []
        return Ceiling(min(1.0, *known), "Theorem 3.2 in mean, or de Moivre's and Stirling's bound")
    within = inputs == 1 and labels > 1 and 0 < n <= LARGEST_RATIO * labels
    if within and isinstance(student.exact, Smoothed):
        value = add_c_upper(labels, n, student.exact.c)
        return Ceiling(value, "concave envelope of the add-c coordinate risk")
    return Ceiling(None, UNKNOWN)
