"""The package's own rules run without checks of the arrays' bounds: here they run with them."""

from __future__ import annotations

import pytest
from frozen import subjects
from frozen.cases import made

import kt_theory as kt
from kt_theory.kernels.rules import compile_rule
from kt_theory.simulation import rules
from kt_theory.students.named import one_student

EVERY = subjects.students()
FEW = ["top_k(2)", "grouped(ce_sgl)"]


def always_checked(rule, pooled, checked, *, parameters):
    return compile_rule(rule, pooled, True, parameters=parameters)


@pytest.mark.parametrize(
    "name",
    [*FEW, *(pytest.param(name, marks=pytest.mark.long) for name in EVERY if name not in FEW)],
)
def test_no_rule_of_the_package_leaves_its_arrays(name, monkeypatch):
    monkeypatch.setattr(rules, "compile_rule", always_checked)
    try:
        student = one_student(made(EVERY[name]))
    except ValueError:
        pytest.skip("refused")
    served = []
    for teacher in map(subjects.teachers().get, ("dirichlet", "sparse", "affine")):
        try:
            for n in (0, 3, 40):
                kt.simulate(teacher, student, n=n, repeats=4)
        except rules.RowRuleError:
            raise
        except ValueError:  # a level that this teacher can not have
            continue
        served.append(teacher)
    assert served


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_rule_that_leaves_its_arrays_is_found_out():
    def outside(counts, revealed, out):
        out[:] = 1.0 / out.size
        out[out.size + counts.sum()] = 0.0

    with pytest.raises(rules.RowRuleError, match="IndexError"):
        kt.simulate(
            subjects.teachers()["dirichlet"],
            kt.Student("outside", "hard", kt.row_rule(outside)),
            n=3,
            repeats=4,
        )
