"""Blocks of absolute repeats: every path, every way to cut the work, the same losses and the same bits."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from oracles import generic, paper_table
from scipy import stats

import kt_theory as kt
from kt_theory.kernels.paths import PATHS
from kt_theory.simulation import run as montecarlo
from kt_theory.simulation.cell import Cell, Tally
from kt_theory.simulation.plans import drawn
from kt_theory.testing import assert_risk
from kt_theory.warmup import warmup

STUDENTS = list(kt.STUDENTS.values())
RULES = [generic(student) for student in STUDENTS]

RNG = np.random.default_rng(11)
SUBNORMAL = np.array([[0.5, 0.5, 0.0], [1e-320, 1e-200, 1.0], [1e-9, 1.0 - 1e-9, 0.0]])
TEACHERS = {
    "one row": kt.Teacher(RNG.dirichlet(np.full(40, 0.3), size=1)),
    "rows of each kind": kt.Teacher(RNG.dirichlet(np.ones(7), size=70), RNG.dirichlet(np.ones(70))),
    "long rows": kt.Teacher(RNG.dirichlet(np.full(90, 0.2), size=35)),
    "rho on one input": kt.Teacher(RNG.dirichlet(np.ones(5), size=33), np.eye(33)[7]),
    "subnormal": kt.Teacher(SUBNORMAL, [0.7, 0.3 - 1e-310, 1e-310]),
    "point masses": kt.Teacher(
        np.eye(64, 3) + np.eye(64, 3, -3) + [[0, 0, 1]] * (np.arange(64) > 5)[:, None],
        None,
        normalise=True,
    ),
    "one label": kt.Teacher(np.ones((40, 1))),
    "instance 0": kt.teachers.instance0(64, 10),
}


def losses_of(cell, repeats, first=0):
    losses = np.empty((repeats, len(cell.students)))
    cell.run(first, repeats, losses)
    return losses


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", TEACHERS)
@pytest.mark.parametrize("n", [0, 1, 20, 700])
def test_closed_forms_and_rules_agree_on_every_path(path, name, n):
    """To 1e-12 on the same counts; and with the four formulas written down independently."""
    teacher = TEACHERS[name]
    cell = Cell(teacher, [*STUDENTS, *RULES], n, seed=3, how=drawn(teacher, n, path=path))
    losses = losses_of(cell, 5)
    np.testing.assert_allclose(losses[:, :4], losses[:, 4:], atol=1e-12)
    for r, counts in enumerate(cell.draw(0, 5)):
        assert counts.sum() == n
        for j, student in enumerate(STUDENTS):
            expected = kt.total_variation(
                paper_table(student.name, counts, teacher.pi), teacher.pi, teacher.rho
            )
            assert losses[r, j] == pytest.approx(expected, abs=1e-12)


@kt.row_rule
def share_the_rest(counts, revealed, out):
    mass, hidden = 0.0, 0
    for a in range(counts.size):
        mass += 0.0 if np.isnan(revealed[a]) else revealed[a]
        hidden += np.isnan(revealed[a])
    for a in range(counts.size):
        out[a] = max(1.0 - mass, 0.0) / hidden if np.isnan(revealed[a]) else revealed[a]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("top", "sampled"), [(2, False), (2, True), (7, False), (100, True)])
def test_rules_see_what_their_access_level_reveals(path, top, sampled):
    teacher = TEACHERS["rows of each kind"]
    level = kt.access.top_k(top, sampled=sampled)
    student = kt.Student("own", level, share_the_rest)
    cell = Cell(teacher, [student], 100, seed=1, how=drawn(teacher, 100, path=path))
    for counts, loss in zip(cell.draw(0, 4), losses_of(cell, 4)[:, 0], strict=True):
        seen = level.seen_counts(counts, teacher.pi)
        table = student.table(seen, level.reveal(seen, teacher.pi))
        assert loss == pytest.approx(kt.total_variation(table, teacher.pi, teacher.rho), abs=1e-12)


def test_a_table_beyond_2_to_the_20_cells():
    teacher = kt.Teacher(np.random.default_rng(0).dirichlet(np.ones(1100), size=1000))
    cell = Cell(teacher, STUDENTS, 5000, seed=0)
    assert cell.path == "sparse"
    losses, counts = losses_of(cell, 2), cell.draw(0, 2)
    expected = [
        [
            kt.total_variation(paper_table(name, drawn, teacher.pi), teacher.pi, teacher.rho)
            for name in kt.STUDENTS
        ]
        for drawn in counts
    ]
    np.testing.assert_allclose(losses, expected, rtol=0.0, atol=1e-12)
    assert counts[0].sum() == 5000
    assert (counts[0] > 0).sum() > 4900, "more than 2^20 cells, and so few were hit"


@pytest.mark.parametrize("n", [3, 300, 10_000, 10**9])
def test_four_chunkings_and_three_shardings_give_the_same_bits(n):
    teacher = TEACHERS["rows of each kind"]
    cell = Cell(teacher, [*STUDENTS, RULES[1]], n, seed=5)
    whole = cell.run(0, 1000)
    reference = cell.estimates(whole)
    for piece in (1000, 999, 256, 37):
        parts = [cell.run(at, min(piece, 1000 - at)) for at in range(0, 1000, piece)]
        assert cell.estimates(sum(parts, Tally.empty(5))) == reference
    for shards in (2, 3, 7):
        edges = np.linspace(0, 1000, shards + 1).astype(int)
        parts = [
            Cell(teacher, [*STUDENTS, RULES[1]], n, seed=5).run(a, b - a)
            for a, b in itertools.pairwise(edges.tolist())
        ]
        assert cell.estimates(sum(reversed(parts), Tally.empty(5))) == reference
    np.testing.assert_array_equal(losses_of(cell, 1000)[900:], losses_of(cell, 100, first=900))


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_work_is_cut_so_that_all_workers_finish_together(workers):
    """Equal pieces, as many for each worker: on two cores a last piece that runs alone cost up to a fifth."""
    for repeats, cost in itertools.product(
        [1, 2, 5, 1000, 375_001, 10**8 + 7], [1e-9, 4e-7, 3e-4, 10.0]
    ):
        if repeats * cost < 1e4:
            pieces = list(montecarlo._pieces(repeats, workers, cost))
            starts, sizes = zip(*pieces, strict=True)
            assert starts == tuple(itertools.accumulate((0, *sizes[:-1])))
            assert sum(sizes) == repeats
            assert max(sizes) - min(sizes) <= 1
            assert max(sizes) <= 2**17
            assert len(sizes) % workers == 0 or max(sizes) == 1


def test_nothing_more_is_started_after_a_bad_row(monkeypatch):
    """The first bad row in order is the one reported, whichever thread found one first."""
    started = []

    def bad_from_40_on(self, first, repeats, losses=None):
        started.append(first)
        if first >= 40:
            raise kt.RowRuleError(f"repeat {first}")
        return Tally(repeats, np.zeros((1, 8), dtype=np.int64), np.zeros((1, 1), dtype=np.int64))

    monkeypatch.setattr(montecarlo, "_MOST_REPEATS_AT_ONCE", 10)
    monkeypatch.setattr(Cell, "run", bad_from_40_on)
    with pytest.raises(kt.RowRuleError, match="repeat 40"):
        kt.simulate(TEACHERS["one row"], "ce_sgl", n=5, repeats=100_000, threads=2)
    assert len(started) < 30


def test_target_se_adds_repeats_until_it_is_reached():
    teacher = kt.Teacher([[0.5, 0.2, 0.3]])
    found = kt.simulate(teacher, n=[5, 50], repeats=100, seed=2, target_se=1e-3, threads=1)
    assert (
        found.estimates
        == kt.simulate(teacher, n=[5, 50], repeats=100, seed=2, target_se=1e-3, threads=2).estimates
    )
    for estimate in found.estimates:
        assert estimate.reached
        assert estimate.std_error <= 1e-3
        assert estimate.repeats > 100
        plain = kt.simulate(
            teacher, estimate.student, n=estimate.n, repeats=estimate.repeats, seed=2
        ).estimates[0]
        assert plain == estimate, (
            "the repeats of a run that stops early must be those of a fixed run"
        )


def test_target_se_stops_at_the_cap_and_says_so():
    found = kt.simulate(
        kt.Teacher([[0.5, 0.5]]), n=5, repeats=100, target_se=1e-6, max_repeats=3000
    )
    by_name = {estimate.student: estimate for estimate in found.estimates}
    assert [estimate.repeats for estimate in found.estimates] == [3000] * 4
    assert not by_name["ce_sgl"].reached
    assert by_name["ce_ful"].reached, "its loss does not vary"
    assert list(found.frame["reached"]) == [estimate.reached for estimate in found.estimates]


def test_optional_stopping_bias_is_as_small_as_stated():
    """Bias about -skewness / sqrt(N) standard errors: 2000 runs of N = 1000 repeats would show ten times that."""
    teacher = kt.Teacher([[0.95, 0.05]])
    exact = sum(stats.binom.pmf(k, 4, 0.05) * abs(k / 4 - 0.05) for k in range(5))
    runs = [
        kt.simulate(teacher, "ce_sgl", n=4, repeats=200, seed=s, target_se=2.5e-3).estimates[0]
        for s in range(150)
    ]
    z = [(run.mean - exact) / run.std_error for run in runs]
    skewness, repeats = 2.0, np.mean([run.repeats for run in runs])
    assert abs(np.mean(z)) < skewness / np.sqrt(repeats) + 5.0 / np.sqrt(len(runs))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target_se": 0.0}, "target_se = 0.0: must lie strictly between 0 and 1"),
        ({"target_se": "small"}, "target_se = 'small'"),
        ({"target_se": 0.1, "max_repeats": 1}, "max_repeats = 1: must be at least 2"),
        ({"target_se": 0.1, "keep_losses": True}, "needs a fixed number of repeats"),
    ],
)
def test_bad_targets(arguments, message):
    with pytest.raises(ValueError, match=message):
        kt.simulate(kt.Teacher([[0.5, 0.5]]), "ce_sgl", n=1, repeats=2, **arguments)


def test_a_teacher_too_large_for_the_machine_is_refused_with_its_size(monkeypatch):
    monkeypatch.setattr("kt_theory.machine.memory", lambda: 900)
    with pytest.raises(
        ValueError,
        match=r"2 x 3 takes 48 bytes as a dense table and 20 times .* Teacher.from_classes",
    ):
        kt.simulate(kt.Teacher(np.full((2, 3), 1 / 3)), n=1, repeats=2)
    monkeypatch.setattr("kt_theory.machine.memory", lambda: 961)
    assert kt.simulate(kt.Teacher(np.full((2, 3), 1 / 3)), n=1, repeats=2).estimates


def test_unwritable_caches_are_no_error(monkeypatch, tmp_path):
    import numba

    from kt_theory.kernels import machine_code

    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(machine_code, "writable", lambda folder: False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    machine_code.find_a_cache()
    assert numba.config.CACHE_DIR.startswith(str(tmp_path))
    assert (tmp_path / numba.config.CACHE_DIR).stat().st_mode & 0o077 == 0, (
        "others could plant code to be run"
    )
    locked = tmp_path / "file"
    locked.write_text("")
    monkeypatch.undo()
    assert not machine_code.writable(locked / "below")


def test_warm_up_leaves_nothing_to_compile():
    from kt_theory.kernels.draws import draw_loop
    from kt_theory.kernels.generic import rule_loop
    from kt_theory.kernels.loop import repeat_loop

    assert warmup(progress=False) > 0.0
    compiled = {kernel: list(kernel.signatures) for kernel in (repeat_loop, draw_loop, rule_loop)}
    for kinds, least in zip(compiled.values(), (9, 4, 1), strict=True):
        assert len(kinds) >= least
    kt.simulate(TEACHERS["one row"], [*STUDENTS, *RULES], n=[1, 10**4, 10**10], repeats=2)
    for law in (kt.queries.adaptive([1.0]), kt.queries.iid(labels_per_query=3)):
        kt.simulate(TEACHERS["one row"], STUDENTS, n=[1, 99], repeats=2, queries=law)
    for kernel, kinds in compiled.items():
        assert list(kernel.signatures) == kinds


def exact_risks(teacher, n):
    """(ce_sgl, ce_ful) by summing over the visits of each row: E |X/k - p| by the binomial law itself."""
    labels = teacher.labels
    sgl = ful = 0.0
    for rho, row in zip(teacher.rho, teacher.pi, strict=True):
        unseen = (1.0 - rho) ** n * 0.5 * np.abs(1.0 / labels - row).sum()
        sgl, ful = sgl + rho * unseen, ful + rho * unseen
        law = stats.binom(n, rho)
        for k in range(max(1, int(law.ppf(1e-13))), int(law.isf(1e-13)) + 1):
            hits = np.arange(k + 1)[:, None]
            gaps = (stats.binom.pmf(hits, k, row) * np.abs(hits / k - row)).sum(axis=0)
            sgl += rho * law.pmf(k) * 0.5 * gaps.sum()
    return sgl, ful


GRID = [
    (s, a, n) for s, a in [(1, 2), (1, 40), (3, 5), (40, 3), (2, 80)] for n in (2, 30, 200, 900)
]


@pytest.mark.long
@pytest.mark.parametrize(("inputs", "labels", "n"), GRID)
def test_exact_risks_at_200_000_repeats(inputs, labels, n):
    """False alarm 1e-6 each; an error of 0.005 in a risk is caught with the same certainty."""
    rng = np.random.default_rng(inputs * labels)
    teacher = kt.Teacher(
        rng.dirichlet(np.full(labels, 0.7), size=inputs), rng.dirichlet(np.full(inputs, 5.0))
    )
    found = kt.simulate(
        teacher, ["ce_sgl", "ce_ful"], n=n, repeats=200_000, seed=inputs + labels + n
    )
    for estimate, exact in zip(found.estimates, exact_risks(teacher, n), strict=True):
        assert_risk(estimate, exact, detects=0.005)


@pytest.mark.long
def test_a_hundred_million_repeats_in_constant_memory():
    import resource

    kt.simulate(kt.Teacher([[0.5, 0.5]]), n=1, repeats=10**6)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    estimate = kt.simulate(kt.Teacher([[0.5, 0.5]]), "ce_sgl", n=1, repeats=10**8).estimates[0]
    assert estimate.repeats == 10**8
    assert estimate.mean == 0.5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 100 * 1024
