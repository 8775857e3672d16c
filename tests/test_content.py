"""What is public is pickled, copied and compared by its content."""

import copy
import inspect
import pickle
from dataclasses import replace

import numpy as np
import pytest

import kt_theory as kt
from kt_theory import access, queries, students
from kt_theory.affine import AffineLogits

TABLE = np.full((5, 4), 0.25)
FEATURES = np.vander(np.arange(5.0), 2)
MASK = [True, True, False, True]
EVEN = np.full((5, 5), 0.2)


@kt.row_rule
def own_rule(counts, revealed, out):
    out[:] = 1.0 / counts.size


@kt.table_rule
def own_table_rule(counts, revealed, out):
    out[:] = 1.0 / counts.shape[1]


@kt.row_loss
def own_loss(p, q):
    return abs(p - q).max()


MADE = {
    **{name: lambda name=name: students.NAMED[name] for name in students.NAMED},
    "add_c": lambda: students.add_c(0.3),
    "tempered": lambda: students.tempered(2.0, 3.0),
    "tempered_mle": lambda: students.tempered_mle(2.0),
    "hinton": lambda: students.hinton(0.3),
    "hinton, hot": lambda: students.hinton(0.3, 2.0),
    "shrink": lambda: students.shrink(TABLE, [0.0, 1.0, 2.0, 3.0, np.inf]),
    "with_prior": lambda: students.with_prior("sel_ptl", TABLE),
    "masked": lambda: students.masked(students.add_c(0.3), MASK),
    "masked, own": lambda: students.masked(kt.Student("own", "hard", own_rule), MASK),
    "grouped": lambda: students.grouped("ce_sgl", [0, 0, 1, 1, 1]),
    "features": lambda: students.features(FEATURES),
    "features, hard": lambda: students.features(FEATURES, targets="hard"),
    "relations": lambda: students.relations(1.0 - np.eye(5)),
    "affine_ful": lambda: students.affine_ful(FEATURES),
    "jacobian": lambda: students.jacobian(FEATURES),
    "grad_ful": lambda: students.grad_ful(kt.graphs.path(5)),
    "top_k": lambda: students.top_k(2),
    "top_k_only": lambda: students.top_k(2, sampled=False),
    "rounded": lambda: students.rounded(0.1),
    "quantised": lambda: students.quantised(4),
    "noisy": lambda: students.noisy(0.1),
    "logits": lambda: students.logits(access.PARTIAL),
    "rule": lambda: own_rule,
    "rule with a parameter": lambda: students.add_c(0.3).rule,
    "rule of a table": lambda: own_table_rule,
    "own student": lambda: kt.Student("own", "hard", own_rule, prior=TABLE),
    "teacher": lambda: kt.teachers.dirichlet(5, 4, seed=3),
    "teacher of classes": lambda: kt.Teacher.from_classes([[0.5, 0.5]], [0.01], [100]),
    "graph": lambda: kt.graphs.path(5),
    "level": lambda: access.gradient(kt.graphs.path(5)),
    "level, jacobian": lambda: access.jacobian(FEATURES),
    "limit": lambda: kt.minimax_risk("partial", 3, 3, 4),
    "limit, hard": lambda: kt.minimax_risk("hard", 1, 2, 3),
    "needed": lambda: kt.samples_needed("soft", 100, 5, 0.1),
    "estimate": lambda: _simulated().estimates[0],
    "simulation": lambda: _simulated(),
    "iid": lambda: queries.iid([0.2] * 5),
    "chain": lambda: queries.chain(EVEN),
    "episodes": lambda: queries.episodes(EVEN, [0.2] * 5, 3),
    "oracle": lambda: queries.oracle(kt.teachers.uniform(5, 4)),
    "two stages": lambda: queries.two_stage(0.3),
    "missing mass": lambda: kt.missing_mass_law(kt.teachers.uniform(5, 4), 3),
    "missing mass, moments": lambda: kt.missing_mass_moments(kt.teachers.uniform(5, 4), 3),
    "missing mass, bounds": lambda: kt.missing_mass_bounds(5, 3, 0.05),
    "row classes": lambda: kt.teachers.uniform(5, 4).classes,
    "affine": lambda: AffineLogits(FEATURES, np.zeros(5)),
    "theorem": lambda: kt.bounds.THEOREMS["H.2"],
    "bound": lambda: kt.bounds.bound("5.2-mean", 5, 4, 10),
    "hidden": lambda: kt.generations.Privileged([TABLE, TABLE[::-1]], [0.5, 0.5]),
    "on policy": lambda: _chain(),
    "fixed point": lambda: _chain().fixed_point("ce_ptl"),
    "acceptance": lambda: kt.acceptance(0.2),
    "consistency": lambda: kt.consistency("forward_kl", "soft", 3),
    "loss": lambda: kt.losses.KL,
    "loss of one's own": lambda: own_loss,
    "dump": lambda: kt.Dump.from_arrays(np.log(TABLE), [0, 2]),
    "labels alone": lambda: kt.TransferSet.from_arrays(["p", "q", "p"], [0, 1, 1]),
    "transfer set": lambda: _records(),
    "copy": lambda: kt.fit(_records()),
    "copy of a student": lambda: kt.fit(_records(), students.add_c(0.3)),
    "certificate": lambda: kt.fit(_records()).certificate(),
    "specification": lambda: _spec(),
    "cell": lambda: _spec().cells[0],
    "summary": lambda: kt.sweep.Summary({"done": 3}, failures=((_spec().cells[0], "why"),)),
    "status": lambda: kt.sweep.Status("a", {"done": 3}, 5, 1, 2.0, (), ("damaged",)),
    "replay": lambda: kt.sweep.Replay(_spec().cells[0], 0, 5, 0.5),
    "merged": lambda: kt.sweep.Merged({"done": 3}, {1: 2}, 2),
}


def _chain():
    teacher = kt.Teacher([[0.9, 0.1], [0.4, 0.6]])
    return kt.generations.OnPolicy(teacher, [[0, 1], [0, 1]])


def _records():
    logprobs = np.log([[0.5, 0.25, np.nan], [0.1, np.nan, 0.2], [0.5, 0.25, np.nan]])
    return kt.TransferSet.from_arrays(["p", "q", "p"], [0, 2, 1], logprobs=logprobs)


def _spec(**changed):
    family = {"family": "uniform", "inputs": [2, 3], "labels": 2}
    given = {"name": "a", "n": [4, 5], "repeats": 3, "students": ["ce_sgl"], "teachers": [family]}
    return kt.sweep.Spec(**{**given, **changed})


def _simulated():
    teacher = kt.teachers.uniform(5, 4)
    return kt.simulate(teacher, ["ce_sgl"], [3, 4], 10, keep_losses=True, progress=False)


@pytest.mark.parametrize("name", MADE)
def test_what_is_pickled_or_copied_is_equal(name):
    thing, again = MADE[name](), MADE[name]()
    others = [again, pickle.loads(pickle.dumps(thing)), copy.copy(thing), copy.deepcopy(thing)]
    for other in others:
        assert other == thing
        assert hash(other) == hash(thing)
        assert repr(other) == repr(thing)


def test_other_content_is_unequal():
    made = {name: make() for name, make in MADE.items()}
    for name, thing in made.items():
        assert [other for other in made if made[other] == thing] == [name]
    assert students.add_c(0.3) != students.add_c(0.4)
    assert students.shrink(TABLE, 1.0) != students.shrink(TABLE, 2.0)
    assert kt.Teacher(TABLE) != kt.Teacher(TABLE, label_names=list("abcd"))
    assert kt.Teacher(TABLE) == kt.Teacher(TABLE, name="mine")
    assert kt.Teacher([[0.0, 1.0]]) == kt.Teacher([[-0.0, 1.0]])
    records = _records()
    assert replace(records, faithful=False) != records
    assert records.take([0, 1]) != records
    assert replace(records, account=replace(records.account, source="another")) == records
    assert replace(records, account=replace(records.account, censored=7)) != records
    assert kt.fit(records, students.add_c(0.3)) != kt.fit(records, students.add_c(0.4))
    assert _spec(n=[4, 5.0]) == _spec()
    assert _spec(seed=1) != _spec()


BY_IDENTITY = {kt.CopyClassifier: "estimators of scikit-learn are compared by identity"}


def public_classes():
    """Yield every class that can be reached by name from what is public, and can be made."""
    rooms = (kt.bounds, access, students, queries, kt.teachers, kt.graphs, kt.compression)
    for room in (kt, *rooms, kt.generations, kt.sweep):
        for name in getattr(room, "__all__", None) or dir(room):
            found = getattr(room, name)
            own = inspect.isclass(found) and found.__module__.startswith("kt_theory")
            if own and not name.startswith("_") and not inspect.isabstract(found):
                yield found


def test_every_public_class_is_tried():
    made = [type(make()) for make in MADE.values()]
    for kind in public_classes():
        if issubclass(kind, (Exception, *BY_IDENTITY)) or kind.__name__ == "ByContent":
            continue
        assert any(issubclass(each, kind) for each in made), kind


def test_public_errors_survive_the_way_between_processes():
    for kind in public_classes():
        if issubclass(kind, Exception):
            again = pickle.loads(pickle.dumps(kind("why, with a way out")))
            assert type(again) is kind
            assert str(again) == "why, with a way out"


def test_files_with_equal_records_give_equal_transfer_sets(tmp_path):
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text("input,label,logprob\np,yes,-0.5\nq,no,-1.0\np,yes,-0.5\n")
    one, two = (kt.TransferSet.read(tmp_path / name) for name in ("one.csv", "two.csv"))
    assert one == two
    assert hash(one) == hash(two)
    assert kt.fit(one) == kt.fit(two)
    assert len({kt.fit(one), kt.fit(two), kt.fit(one, "ce_sgl")}) == 2


@pytest.mark.parametrize(
    "name", ["add_c", "hinton, hot", "shrink", "masked", "grouped", "features"]
)
def test_a_pickled_student_learns_the_same(name):
    """From the very function that the engine compiles, its parameters, and what it was shown."""
    teacher = kt.teachers.dirichlet(5, 4, seed=3)
    twice = [MADE[name](), pickle.loads(pickle.dumps(MADE[name]()))]
    one, other = (student.rule for student in twice)
    assert one.function is other.function
    np.testing.assert_array_equal(one.values, other.values)
    for counts in kt.draw_counts(teacher, 7, 10):
        seen = [student.access.seen_counts(counts, teacher.pi) for student in twice]
        tables = [
            student.table(shown, student.access.reveal(shown, teacher.pi))
            for student, shown in zip(twice, seen, strict=True)
        ]
        np.testing.assert_array_equal(*tables)


@pytest.mark.parametrize("name", ["add_c", "grouped"])
def test_a_pickled_student_is_simulated_the_same(name):
    teacher = kt.Teacher(np.full((5, 4), 0.25))
    twice = [MADE[name](), pickle.loads(pickle.dumps(MADE[name]()))]
    found = [kt.simulate(teacher, student, 7, 50, progress=False).estimates for student in twice]
    assert found[0] == found[1]


def test_a_thousand_students_leave_no_machine_code_behind():
    teacher = kt.teachers.uniform(3, 4)

    def run(c):
        kt.simulate(teacher, students.add_c(c), 5, 10, progress=False)
        return _megabytes()

    before = run(0.3)
    for i in range(300):
        after = run(0.3 + 1e-3 * i)
    assert after - before < 15.0  # 8 a piece if each were compiled


def _megabytes():
    try:
        with open("/proc/self/statm") as numbers:
            return 4096 * int(numbers.read().split()[1]) / 2**20
    except OSError:
        pytest.skip("this system does not tell how much memory is used")
