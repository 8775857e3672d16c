"""The teacher that limits of hard labels name, and the prior that they rest on."""

import numpy as np
import pytest

import kt_theory as kt
from kt_theory.limits.hard.add_c import coordinate_risk, frequency_risk
from kt_theory.limits.hard.interval import hard_limit


@pytest.mark.parametrize("n", [1, 2, 7, 100, 10**6])
def test_the_error_of_a_frequency_is_add_c_of_nothing(n):
    p = np.concatenate([[0.0, 1.0, 1e-9, 1.0 - 1e-9], np.linspace(0.001, 0.999, 97)])
    assert np.allclose(frequency_risk(p, n), coordinate_risk(p, 5, n, 0.0), rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize(
    ("labels", "n"), [(3, 5), (10, 5), (10, 20), (10, 1000), (12, 40), (100, 1000), (1000, 1000)]
)
def test_hard_labels_name_a_teacher_that_is_bad_for_two_students(labels, n):
    """Neither add-c of the least worst case nor the frequencies do better there than any student
    must in the worst case; on a point mass, which was named before, the latter lose nothing.
    """
    limit = hard_limit(1, labels, n)
    student = kt.students.add_c(kt.best_add_c(labels, n))
    risks = [float(kt.exact_risk(limit.teacher, each, n)) for each in (student, "ce_sgl")]
    assert min(risks) >= limit.lower
    assert risks[0] <= limit.upper * 1.03
    point = kt.Teacher([[1.0] + [0.0] * (labels - 1)])
    assert kt.exact_risk(point, "ce_sgl", n) == 0.0


@pytest.mark.parametrize(
    ("access", "size", "words"),
    [
        ("hard", (1, 10, 50), "a row drawn from a symmetric Dirichlet law"),
        ("hard", (4, 3, 100), "independent rows drawn from a symmetric Dirichlet law, rho uniform"),
        ("hard", (3, 3, 0), "point masses, the label of each drawn at random"),
        ("hard", (1, 2, 3), "rows (1-p, p), drawn with the weights of the game"),
        ("hard", (100, 25, 100), ""),
        ("partial", (2, 3, 10), ""),
        ("soft", (2, 3, 10), ""),
        (kt.access.rounded(0.5), (1, 4, 100), "teachers whose answers are alike"),
    ],
)
def test_a_limit_says_what_law_over_teachers_proves_it(access, size, words):
    found = kt.minimax_risk(access, *size).prior
    assert words in found
    assert bool(words) == bool(found)
