"""The engine against enumeration, against its own generic path, and against itself cut into other pieces."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from grids import few_quick
from hypothesis import given
from hypothesis import strategies as st
from oracles import enumerated_risk, generic, transfer_sets

import kt_theory as kt
from kt_theory.access import HARD
from kt_theory.kernels.draws import draw_plan
from kt_theory.kernels.generic import rule_loop
from kt_theory.kernels.loop import repeat_loop
from kt_theory.kernels.losses import GENERIC
from kt_theory.kernels.tally import accumulate
from kt_theory.simulation import run as montecarlo
from kt_theory.simulation.rules import kernel_students
from kt_theory.testing import assert_risk, teachers

GENERIC_STUDENTS = [generic(student) for student in kt.STUDENTS.values()]
ALL = [*kt.STUDENTS.values(), *GENERIC_STUDENTS]


@kt.row_rule
def laplace(counts, revealed, out):
    total = 1.0 * counts.size
    for a in range(counts.size):
        total += counts[a]
    for a in range(counts.size):
        out[a] = (counts[a] + 1.0) / total


LAPLACE = kt.Student("laplace", access="hard", rule=laplace)

RNG = np.random.default_rng(5)
TINY = [
    (kt.Teacher([[0.5, 0.2, 0.3], [0.0, 0.9, 0.1]], [0.6, 0.4]), 0),
    (kt.Teacher([[0.5, 0.2, 0.3], [0.0, 0.9, 0.1]], [0.6, 0.4]), 1),
    (kt.Teacher([[0.5, 0.2, 0.3], [0.0, 0.9, 0.1]], [0.6, 0.4]), 6),
    (kt.Teacher(RNG.dirichlet(np.ones(5), size=1)), 6),
    (kt.Teacher(RNG.dirichlet(np.ones(2), size=3), RNG.dirichlet(np.ones(3))), 5),
    (kt.Teacher([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], [0.5, 0.5, 0.0]), 4),
    (kt.Teacher([[1.0], [1.0]], [0.3, 0.7]), 3),
    (kt.Teacher([[0.25] * 4]), 5),
]


@pytest.mark.parametrize(("teacher", "n"), few_quick(TINY, TINY[::3]))
def test_risks_agree_with_enumeration(teacher, n):
    """False alarm 1e-6 per student; an error of 0.006 in a risk is caught with the same certainty."""
    found = kt.simulate(teacher, ALL, n=n, repeats=400_000, seed=1)
    for estimate in found.estimates:
        expected = enumerated_risk(estimate.student.removesuffix("_rule"), teacher, n)
        assert_risk(estimate, expected, detects=0.006)


def test_the_wrong_teacher_fails_the_same_assertion():
    teacher, n = TINY[2]
    other = kt.Teacher([[0.5, 0.2, 0.3], [0.0, 0.87, 0.13]], teacher.rho)
    estimate = kt.simulate(teacher, "ce_sgl", n=n, repeats=400_000, seed=1).estimates[0]
    with pytest.raises(AssertionError, match="away from"):
        assert_risk(estimate, enumerated_risk("ce_sgl", other, n), detects=0.006)
    with pytest.raises(AssertionError, match="take more"):
        assert_risk(estimate, estimate.mean, detects=1e-5)


def test_a_users_rule_agrees_with_enumeration():
    teacher, n = TINY[2]
    expected = sum(
        weight
        * float(
            kt.total_variation(
                LAPLACE.table(counts, np.full(counts.shape, np.nan)), teacher.pi, teacher.rho
            )
        )
        for counts, weight in transfer_sets(teacher, n)
    )
    assert_risk(
        kt.simulate(teacher, LAPLACE, n=n, repeats=400_000, seed=2).estimates[0],
        expected,
        detects=0.006,
    )


@given(
    teacher=teachers(6, 9),
    n=st.sampled_from([0, 1, 2, 9, 60, 1000, 10**6, 10**9]),
    seed=st.integers(0, 2**32),
)
def test_every_path_gives_the_same_loss_on_the_same_counts(teacher, n, seed):
    """Closed forms, compiled rules and rules in plain Python, to 1e-12."""
    losses = kt.simulate(teacher, ALL, n=n, repeats=4, seed=seed, keep_losses=True).losses[0]
    np.testing.assert_allclose(losses[:, :4], losses[:, 4:], atol=1e-12)
    for r, counts in enumerate(kt.draw_counts(teacher, n, 4, seed)):
        for j, student in enumerate(kt.STUDENTS.values()):
            table = student.table(counts, student.access.reveal(counts, teacher.pi))
            assert losses[r, j] == pytest.approx(
                kt.total_variation(table, teacher.pi, teacher.rho), abs=1e-12
            )


@pytest.mark.parametrize("shape", [(1, 1001), (100, 25), (37, 3)])
def test_paths_agree_on_larger_tables(shape):
    teacher = kt.Teacher(np.random.default_rng(3).dirichlet(np.full(shape[1], 0.3), size=shape[0]))
    losses = kt.simulate(
        teacher, ALL, n=[50, 5000, 10**7], repeats=20, seed=4, keep_losses=True
    ).losses
    np.testing.assert_allclose(losses[..., :4], losses[..., 4:], atol=1e-12)


@pytest.mark.parametrize(
    ("graph", "hops"),
    [(kt.graphs.cycle(12), 1), (kt.graphs.grid(3, 4), 2), (kt.graphs.hypercube(3), 1)],
)
def test_grad_ful_has_its_closed_form_risk(graph, hops):
    """sum_s rho_s (1 - rho(N_h[s]))^n TV(Uniform, pi_s); false alarm 1e-6, an error of 0.01 is caught."""
    rng = np.random.default_rng(7)
    size = graph.vertices
    teacher = kt.Teacher(rng.dirichlet(np.full(4, 0.3), size=size), rng.dirichlet(np.ones(size)))
    near = graph.balls(hops).toarray()
    for estimate in kt.simulate(
        teacher, kt.students.grad_ful(graph, hops), n=[1, 3, 8], repeats=50_000
    ).estimates:
        unseen = (1.0 - near @ teacher.rho).clip(0.0) ** estimate.n
        expected = float(teacher.rho * unseen @ kt.total_variation(np.full(4, 0.25), teacher.pi))
        assert_risk(estimate, expected, detects=0.01)


def bits(simulation):
    return simulation.frame.drop(columns=["student"]).to_csv() + simulation.losses.tobytes().hex()


def test_same_seed_same_bits_for_threads_and_chunks(monkeypatch):
    teacher = kt.Teacher(np.random.default_rng(0).dirichlet(np.ones(4), size=6))
    students = [*kt.STUDENTS, LAPLACE]

    def run(**options):
        return bits(
            kt.simulate(
                teacher, students, n=[10, 10_000], repeats=200, seed=9, keep_losses=True, **options
            )
        )

    reference = run(threads=1)
    assert run(threads=2) == reference
    assert run(threads=5) == reference
    for seconds, most in ((1e-9, 2**16), (1e-4, 2**16), (10.0, 2**16), (10.0, 64), (10.0, 175)):
        monkeypatch.setattr(montecarlo, "_CHUNK_SECONDS", seconds)
        monkeypatch.setattr(montecarlo, "_MOST_REPEATS_AT_ONCE", most)
        assert run(threads=2) == reference


def test_together_or_one_by_one_is_the_same():
    teacher = kt.Teacher(np.random.default_rng(0).dirichlet(np.ones(4), size=6))
    together = kt.simulate(teacher, [*kt.STUDENTS, LAPLACE], n=[10, 10_000], repeats=600, seed=9)
    alone = [
        kt.simulate(teacher, student, n=n, repeats=600, seed=9).estimates[0]
        for n in (10, 10_000)
        for student in [*kt.STUDENTS, LAPLACE]
    ]
    assert list(together.estimates) == alone
    assert (
        kt.simulate(teacher, "ce_sgl", n=10, repeats=600, seed=10).estimates[0].mean
        != alone[0].mean
    )


def test_frame_and_losses_tell_the_same_story():
    teacher = kt.Teacher(np.random.default_rng(0).dirichlet(np.ones(4), size=6))
    found = kt.simulate(teacher, kt.STUDENTS, n=[5, 50], repeats=1000, seed=3, keep_losses=True)
    assert found.losses.shape == (2, 1000, 4)
    frame = found.frame
    assert list(frame.columns[:10]) == [
        *("teacher", "student", "access", "n", "inputs"),
        *("labels", "mean", "std_error", "low", "high"),
    ]
    np.testing.assert_allclose(frame["mean"], found.losses.mean(axis=1).ravel(), rtol=1e-12)
    np.testing.assert_allclose(
        frame.std_error, (found.losses.std(axis=1, ddof=1) / np.sqrt(1000)).ravel(), rtol=1e-9
    )
    np.testing.assert_allclose(
        frame.q95, np.quantile(found.losses, 0.95, axis=1, method="inverted_cdf").ravel(), rtol=3e-4
    )
    assert kt.simulate(teacher, n=5, repeats=10).losses is None


def test_memory_does_not_grow_with_the_repeats():
    import tracemalloc

    teacher = kt.Teacher([[0.5, 0.5]])
    peaks = []
    for repeats in (2**20, 2**22):
        tracemalloc.start()
        kt.simulate(teacher, "ce_sgl", n=1, repeats=repeats, threads=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]


def test_ce_ptl_plateau_of_instance_0():
    """Figure 1 (a): CE_ptl flattens at TV(pi^2 / sum pi^2, pi) = 0.4457 for A = 25; exact limit 0.4456976."""
    labels = 25
    pi = np.full((4, labels), 0.5 / labels) + 0.5 * np.eye(4, labels, 1)
    limit = float(kt.total_variation(pi**2 / (pi**2).sum(axis=1, keepdims=True), pi)[0])
    assert limit == pytest.approx(0.4457, abs=5e-5)
    estimate = kt.simulate(kt.Teacher(pi), "ce_ptl", n=10**9, repeats=2000, seed=0).estimates[0]
    assert estimate.mean == pytest.approx(limit, abs=1e-3)


def test_one_specialisation_for_each_path():
    kt.simulate(kt.Teacher([[0.5, 0.5], [0.1, 0.9]]), ALL, n=[1, 10**6], repeats=3)
    kt.simulate(kt.Teacher(np.eye(3)), LAPLACE, n=[1, 10**6], repeats=3)
    kt.draw_counts(kt.Teacher(np.eye(3)), 10**6, 2)
    plans = [signature[0] for signature in repeat_loop.signatures]
    assert len(plans) == len(set(plans))
    for kernel in (rule_loop, accumulate):
        assert len(kernel.signatures) == 1


def test_the_paper_students_take_the_closed_forms():
    kinds, rules = kernel_students([*kt.STUDENTS.values(), LAPLACE], np.ones((1, 1)))
    assert list(kinds) == [0, 1, 2, 3, GENERIC]
    assert len(rules.address) == 1
    kinds, _ = kernel_students(GENERIC_STUDENTS, np.ones((1, 1)))
    assert list(kinds) == [GENERIC, GENERIC + 1, GENERIC + 2, GENERIC + 3]
    kinds, _ = kernel_students(
        [kt.Student("narrow", HARD, kt.STUDENTS["sel_ptl"].rule)], np.ones((1, 1))
    )
    assert list(kinds) == [GENERIC], (
        "a closed form must not see more than the student's own access level"
    )


def broken(name, function):
    return kt.Student(name, access="hard", rule=function)


def writes_nan(counts, revealed, out):
    out[:] = np.nan


def writes_nothing(counts, revealed, out):
    pass


def sums_to_two(counts, revealed, out):
    out[:] = 2.0 / counts.size


def goes_negative(counts, revealed, out):
    out[:] = 0.0
    out[0] = 2.0
    out[1] = -1.0


def out_of_range(counts, revealed, out):
    out[:] = 1.0 / counts.size
    out[counts.size + 5] = 1.0


def only_bad_when_visited(counts, revealed, out):
    out[:] = 1.0 / counts.size
    if counts[0] == 3:
        out[0] = 0.0


def does_not_compile(counts, revealed, out):
    out[:] = unknown_function(counts)  # noqa: F821


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            writes_nan,
            "student 'mine', row 0, repeat 0, n = 9: its row rule wrote a row that sums to nan",
        ),
        (writes_nothing, "sums to nan"),
        (sums_to_two, "sums to 2 "),
        (goes_negative, "smallest entry -1"),
        (
            only_bad_when_visited,
            r"row \d, repeat \d+, n = 9: its row rule wrote a row that sums to 0.5",
        ),
        (does_not_compile, r"student 'mine': its row rule does not compile: .*unknown_function"),
        (lambda counts, revealed: None, "student 'mine': its row rule does not compile"),
    ],
)
def test_bad_rules_are_named(rule, message):
    with pytest.raises(kt.RowRuleError, match=message):
        kt.simulate(
            kt.Teacher(np.full((2, 2), 0.5)), ["ce_sgl", broken("mine", rule)], n=9, repeats=500
        )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_rule_that_leaves_its_row_is_stopped(capfd):
    with pytest.raises(kt.RowRuleError, match="raised IndexError"):
        kt.simulate(kt.Teacher(np.full((2, 2), 0.5)), broken("mine", out_of_range), n=9, repeats=5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": -1}, "n = -1: must be at least 0"),
        ({"n": 2.5}, "n = 2.5: must be a whole number"),
        ({"n": 2**53 + 1}, r"n = 9007199254740993: must be at most 2\^53"),
        ({"n": 1e30}, r"must be at most 2\^53"),
        ({"n": "many"}, "n = 'many': must be a whole number"),
        ({"n": float("nan")}, "n = nan: must be a whole number"),
        ({"n": True}, "n = True"),
        ({"n": []}, "at least one"),
        ({"repeats": 1}, "repeats = 1: must be at least 2"),
        ({"repeats": 10.5}, "repeats = 10.5"),
        ({"seed": -1}, "seed = -1"),
        ({"threads": 0}, "threads = 0"),
        ({"repeats": 2**50, "keep_losses": True}, "losses need 9.01e"),
        ({"access": "logit"}, "unknown access level 'logit'"),
        ({"control": pd.NA}, "control = <NA>: must be True or False"),
        ({"progress": "no"}, "progress = 'no': must be True or False"),
        ({"keep_losses": 1}, "keep_losses = 1: must be True or False"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        kt.simulate(kt.Teacher([[0.5, 0.5]]), "ce_sgl", **{"n": 1, "repeats": 2, **arguments})


def test_a_teacher_by_classes_is_refused_by_name():
    teacher = kt.Teacher.from_classes([[0.5, 0.5]], [1e-12], [10**12])
    with pytest.raises(ValueError, match="given by classes has no dense table"):
        kt.simulate(teacher, "ce_sgl", n=1, repeats=2)


def test_plans_do_not_touch_the_teacher():
    teacher = kt.Teacher([[0.5, 0.5]])
    before = teacher.pi.copy()
    draw_plan(teacher.pi, teacher.rho, 10)
    kt.simulate(teacher, n=[1, 10**6], repeats=4)
    np.testing.assert_array_equal(teacher.pi, before)


def test_whole_floats_are_numbers_of_samples_everywhere(tmp_path):
    """np.logspace, columns of tables and 1e3 wherever n is taken; fractions are refused with a way out."""
    import pandas as pd

    sizes = np.logspace(1, 3, 3)
    teacher = kt.teachers.zipf(3, 2)
    family = {"family": "uniform", "inputs": 2, "labels": 2}

    def spec(n):
        return kt.sweep.Spec(name="a", n=n, repeats=1e2, students="ce_sgl", teachers=[family])

    verbs = [
        lambda n: [one.n for one in kt.simulate(teacher, "ce_sgl", n, 2, progress=False).estimates],
        lambda n: kt.exact_risk(teacher, "ce_sgl", n=n).tolist(),
        lambda n: kt.bounds.table(3, 2, n).to_csv(),
        lambda n: [cell.n for cell in spec(n).cells],
        lambda n: spec({"list": n}).document["n"]["list"],
    ]
    for verb in verbs:
        for same in (sizes, pd.Series(sizes), sizes.tolist(), sizes.astype(np.float32)):
            assert verb(same) == verb([10, 100, 1000])
    one = [
        lambda n: kt.minimax_risk("soft", 3, 2, n).upper,
        lambda n: kt.draw_counts(teacher, n, 2).tolist(),
        lambda n: kt.missing_mass_law(teacher, n=n).quantile(0.9),
        lambda n: kt.missing_mass_bounds(inputs=3, n=n, delta=0.1),
        lambda n: kt.generations.lineage(
            teacher, [("ce_sgl", n)], repeats=2, progress=False
        ).to_csv(),
        lambda n: kt.teachers.instance2(1, 3, n).pi.tolist(),
    ]
    for verb in one:
        assert verb(100.0) == verb(np.float32(100)) == verb(100)
    for verb in (*verbs[:3], *one):
        with pytest.raises(ValueError, match=r"n.* = 100.5: must be a whole number.*; round it"):
            verb(100.5)
    for verb in (*one[:2], one[-1]):
        with pytest.raises(ValueError, match="must be one whole number; ask for each alone"):
            verb(sizes)
