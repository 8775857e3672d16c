import pytest

import kt_theory as kt
from kt_theory.kernels.paths import PATHS, path_by_size
from kt_theory.simulation.cell import Cell
from kt_theory.simulation.cost import LAW, seconds_per_repeat
from kt_theory.sweep.cells import expected_seconds


@pytest.mark.parametrize(
    ("inputs", "labels", "n", "path"),
    [(1, 100, 10, "sparse"), (30, 30, 300, "alias"), (30, 30, 3000, "poisson")],
)
def test_a_sweep_and_a_simulation_foretell_the_same(inputs, labels, n, path):
    assert PATHS[path_by_size(inputs, labels, n)] == path
    students = ["ce_sgl", "sel_ptl"]
    cell = Cell(kt.teachers.uniform(inputs, labels), [kt.STUDENTS[name] for name in students], n, 0)
    foretold = expected_seconds(inputs, labels, n, [{"name": name} for name in students])
    assert cell.path == path
    assert cell.seconds_per_repeat() == foretold


def test_the_law_of_cost():
    few = seconds_per_repeat("alias", 100, (10, 50), 4)
    assert few == pytest.approx(LAW.repeat + 100 * LAW.alias + 500 * 4 * LAW.loss)
    assert seconds_per_repeat("alias", 100, (10, 50), 5, rules=1) > few
    for path in PATHS:
        times = [seconds_per_repeat(path, n, (10, 50), 4) for n in (1, 10**3, 10**6, 10**9)]
        assert sorted(times) == times
        assert len(set(times)) == (1 if path == "binomial" else 4)
