"""Plans for students that are not a level's own, on a teacher in hand."""

import pytest

import kt_theory as kt

TEACHER = kt.Teacher([[0.6, 0.2, 0.2], [0.8, 0.1, 0.1]], [0.3, 0.7])


def row(student, tv=0.1, **options):
    frame = kt.plan(teacher=TEACHER, tv=tv, students=[student], top=(), **options)
    return frame.iloc[-1]


def test_a_student_with_an_exact_risk_is_planned_by_it():
    found = row("laplace")
    assert found["access"] == "hard: laplace"
    n = int(found["n"])
    risks = kt.exact_risk(TEACHER, "laplace", [n - 1, n])
    assert risks[1] <= 0.1 < risks[0]
    assert found["lower"] == n
    assert "exact risk of laplace" in found["certificate"]


def test_a_biased_student_is_impossible():
    found = row("ce_ptl", tv=0.05)
    kept = kt.exact_risk(TEACHER, "ce_ptl", float("inf"))
    assert kept > 0.05
    assert f"impossible, ce_ptl keeps TV = {kept:.6g}" in found["reason"]


@pytest.mark.long
def test_a_student_without_an_exact_risk_is_simulated():
    """The interval that decides has five standard errors; the exact crossing of the same rule lies
    between what does not suffice and what does: false alarms below 1e-5.
    """
    exact = int(row("laplace")["n"])

    def rule(counts, revealed, out):
        for a in range(counts.size):
            out[a] = (counts[a] + 1.0) / (counts.sum() + counts.size)

    found = row(kt.Student("mine", "hard", rule))
    assert "simulated risk of mine" in found["certificate"]
    assert found["lower"] <= exact <= found["n"] <= 1.1 * exact


def test_price_is_that_of_the_level():
    found = row("laplace", prices={"hard": 2.0})
    assert found["cost"] == 2.0 * found["n"]
    assert not row("laplace", prices={"soft": 2.0})["cheapest"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"inputs": 2, "labels": 3}, "goes with teacher"),
        ({"teacher": TEACHER, "confidence": 0.9}, "is in mean"),
    ],
)
def test_where_nothing_is_known_it_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        kt.plan(**options, students=["laplace"])
