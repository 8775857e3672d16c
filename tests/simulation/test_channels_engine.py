"""What the engine shows to students: channels, greedy answers, priors, noise and tables; beside `Access.reveal`."""

from __future__ import annotations

import math
import pickle
import sys

import numpy as np
import pytest
from grids import few_quick
from scipy.special import ndtr, ndtri

import kt_theory as kt
from kt_theory import access
from kt_theory.kernels.noise import fill_normals, noise_of
from kt_theory.kernels.paths import PATHS
from kt_theory.kernels.streams import stream_key
from kt_theory.simulation.cell import Cell
from kt_theory.simulation.plans import drawn
from kt_theory.students import TableRule, table_rule
from kt_theory.testing import confidence_radius

RNG = np.random.default_rng(5)
TEACHERS = {
    "woven and plain rows": kt.Teacher(
        RNG.dirichlet(np.ones(7), size=40), RNG.dirichlet(np.ones(40))
    ),
    "long rows": kt.Teacher(RNG.dirichlet(np.full(90, 0.2), size=3)),
    "zeros and ties": kt.Teacher([[0.5, 0.5, 0.0], [0.25, 0.25, 0.5], [0.0, 1.0, 0.0]]),
}
LEVELS = [access.SOFT, access.PARTIAL, access.top_k(2)]
CHANNELS = {
    "temperature": lambda level: access.temperature(2.5, level),
    "rounded": lambda level: access.rounded(0.7, level),
    "quantised": lambda level: access.quantised(3, level),
    "logits": access.logits,
}


def everything(counts, revealed, out):
    """A row that moves with each entry of what it sees."""
    total = 0.0
    for a in range(counts.size):
        out[a] = (
            0.1
            + 0.05 * counts[a]
            + (0.3 if np.isnan(revealed[a]) else 2.0 * revealed[a]) * (1.0 + 0.01 * a)
        )
        total += out[a]
    out /= total


EVERYTHING = kt.RowRule(everything)


def sees(level, name="own", **more):
    return kt.Student(name, level, EVERYTHING, **more)


def losses_of(cell, repeats, first=0):
    losses = np.empty((repeats, len(cell.students)))
    cell.run(first, repeats, losses)
    return losses


def distance(table, teacher):
    return float(kt.total_variation(table, teacher.pi, teacher.rho))


@pytest.mark.parametrize("teacher", TEACHERS.values(), ids=TEACHERS)
@pytest.mark.parametrize("n", [0, 9, 400])
def test_channels_show_what_reveal_says(teacher, n):
    students = [
        sees(make(level), f"{name} {level.name}")
        for name, make in CHANNELS.items()
        for level in LEVELS
    ]
    plain = [sees(level, level.name) for level in LEVELS] * len(CHANNELS)
    losses = kt.simulate(
        teacher, students, n=n, repeats=4, seed=2, keep_losses=True, threads=2
    ).losses[0]
    for counts, row in zip(kt.draw_counts(teacher, n, 4, seed=2), losses, strict=True):
        for student, same_level, loss in zip(students, plain, row, strict=True):
            expected = distance(
                student.table(counts, student.access.reveal(counts, teacher.pi)), teacher
            )
            assert loss == pytest.approx(expected, abs=1e-12)
            shown_as_it_is = distance(
                same_level.table(counts, same_level.access.reveal(counts, teacher.pi)), teacher
            )
            if n == 400 and teacher.labels == 7:
                assert abs(loss - shown_as_it_is) > 1e-9, (
                    "a channel that changes nothing tests nothing"
                )


@pytest.mark.parametrize("path", PATHS)
def test_every_path_shows_the_same_things(path):
    teacher = TEACHERS["woven and plain rows"]
    prior = np.random.default_rng(0).dirichlet(np.ones(7), size=40)
    students = [
        sees(access.temperature(0.5)),
        sees(access.noisy(0.4, access.top_k(2)), "noisy"),
        sees(access.top_k(2, sampled=False), "greedy"),
        kt.Student("prior", "partial", keeps_its_prior, prior=prior),
        kt.Student("pooled", access.rounded(0.3, access.PARTIAL), pools, prior=prior),
    ]
    cell = Cell(teacher, students, 60, seed=1, how=drawn(teacher, 60, path=path))
    for r, row in enumerate(losses_of(cell, 4)):
        for j, student in enumerate(students):
            assert row[j] == pytest.approx(
                distance(student.table(*cell.answers(j, r)), teacher), abs=1e-12
            )


def test_one_table_for_each_channel_and_none_for_the_others():
    teacher = TEACHERS["zeros and ties"]
    warm = access.temperature(3.0)
    students = [
        sees(warm),
        sees(access.temperature(3.0, access.PARTIAL), "b"),
        sees(access.SOFT, "c"),
    ]
    rules = Cell(teacher, students, 5, seed=0).rules
    assert rules.tables.size == 2 * 9
    assert list(rules.shown) == [9, 9, 0]
    assert Cell(teacher, list(kt.STUDENTS.values()), 5, seed=0).rules.tables.size == 0


@kt.row_rule
def counts_alone(counts, revealed, out):
    total = 1.0 * counts.size  # loops: expressions of whole arrays take seconds to compile
    for a in range(counts.size):
        total += counts[a]
    for a in range(counts.size):
        out[a] = (counts[a] + 1.0) / total


@pytest.mark.parametrize("teacher", TEACHERS.values(), ids=TEACHERS)
def test_a_greedy_query_hides_what_was_sampled(teacher):
    levels = [
        access.top_k(1, sampled=False),
        access.top_k(2, sampled=False),
        access.ARGMAX,
    ]
    students = [sees(level, level.name) for level in levels]
    students += [kt.Student(f"{s.name} counts", s.access, counts_alone) for s in students]
    losses = kt.simulate(teacher, students, n=30, repeats=6, seed=4, keep_losses=True).losses[0]
    for counts, row in zip(kt.draw_counts(teacher, 30, 6, seed=4), losses, strict=True):
        for student, loss in zip(students, row, strict=True):
            seen = student.access.seen_counts(counts, teacher.pi)
            assert (np.count_nonzero(seen, axis=1) <= 1).all()
            table = student.table(seen, student.access.reveal(seen, teacher.pi))
            assert loss == pytest.approx(distance(table, teacher), abs=1e-12)


def keeps_its_prior(counts, revealed, out):
    """The prior on inputs never visited, shrinkage towards it on the others."""
    visits = counts.sum()
    for a in range(counts.size):
        out[a] = (counts[a] + 2.0 * out[a]) / (visits + 2.0)


def says_nothing(counts, revealed, out):
    pass


@pytest.mark.parametrize("teacher", TEACHERS.values(), ids=TEACHERS)
def test_priors(teacher):
    prior = np.random.default_rng(1).dirichlet(np.ones(teacher.labels), size=teacher.inputs)
    shrinks = kt.Student("shrinks", "hard", keeps_its_prior, prior=prior)
    stays = kt.Student("stays", "hard", says_nothing, prior=prior)
    knows = kt.Student("knows", "hard", says_nothing, prior=teacher.pi)
    losses = kt.simulate(
        teacher, [shrinks, stays, knows], n=12, repeats=5, seed=3, keep_losses=True
    ).losses[0]
    for counts, row in zip(kt.draw_counts(teacher, 12, 5, seed=3), losses, strict=True):
        table = (counts + 2.0 * prior) / (counts.sum(axis=1, keepdims=True) + 2.0)
        np.testing.assert_allclose(
            shrinks.table(counts, np.full(counts.shape, np.nan)), table, atol=1e-15
        )
        assert row == pytest.approx(
            [distance(table, teacher), distance(prior, teacher), 0.0], abs=1e-12
        )
    np.testing.assert_array_equal(stays.prior, prior)


def test_bad_priors():
    with pytest.raises(ValueError, match=r"prior row 1 sums to 0.5"):
        kt.Student("x", "hard", says_nothing, prior=[[1.0, 0.0], [0.5, 0.0]])
    with pytest.raises(ValueError, match=r"prior\[0, 1\] = -0.5: probabilities must be >= 0"):
        kt.Student("x", "hard", says_nothing, prior=[[1.5, -0.5]])
    narrow = kt.Student("narrow", "hard", says_nothing, prior=[[1.0, 0.0]])
    message = r"student 'narrow': prior has shape \(1, 2\): must be the teacher's \(3, 3\), one row for each input"
    with pytest.raises(ValueError, match=message):
        kt.simulate(TEACHERS["zeros and ties"], narrow, n=1, repeats=2)
    with pytest.raises(ValueError, match=message):
        narrow.table(np.zeros((3, 3)), np.zeros((3, 3)))
    with pytest.raises(kt.RowRuleError, match="sums to nan"):
        kt.simulate(
            TEACHERS["zeros and ties"], kt.Student("no prior", "hard", says_nothing), n=1, repeats=2
        )


def test_a_jacobian_reveals_every_row_at_the_first_query():
    features = np.random.default_rng(0).normal(size=(40, 2))
    teacher = kt.Teacher.from_logits(features @ np.random.default_rng(1).normal(size=(2, 7)))
    for n in (0, 1, 9):
        cell = Cell(
            teacher, [sees(access.jacobian(features)), sees(access.PARTIAL, "b")], n, seed=0
        )
        assert list(cell.rules.everywhere) == [True, False]
        assert cell.rules.ball.size == 40, (
            "the inputs of the other student: S^2 of them would not fit for large S"
        )
        for r, row in enumerate(losses_of(cell, 3)):
            assert np.isnan(cell.answers(0, r)[1]).all() == (n == 0)
            for j, student in enumerate(cell.students):
                assert row[j] == pytest.approx(
                    distance(student.table(*cell.answers(j, r)), teacher), abs=1e-12
                )
    with pytest.raises(ValueError, match="logits are not affine"):
        kt.simulate(
            TEACHERS["woven and plain rows"], sees(access.jacobian(features)), n=1, repeats=2
        )


# Noise


def test_normal_deviates_are_as_accurate_as_stated():
    """Against SciPy's inverse distribution function at the very words of the stream, recomputed with integers."""
    key, cells, mask = stream_key(3, 7), 20_000, 2**64 - 1

    def mix(x):
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & mask
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB & mask
        return x ^ (x >> 31)

    noise_key, state = np.zeros(2, np.uint64), np.zeros(2, np.uint64)
    fill_normals(key, 11, noise_key, state, np.empty(1))
    assert [int(k) for k in noise_key] == [mix(int(k) ^ 0x6E6F697365) for k in key]
    words = [mix((int(state[0]) + int(state[1]) * i) & mask) for i in range(cells)]
    tails = np.array([((word >> 11) % 2**52 + 0.5) / 2**53 for word in words])
    signs = np.array([-1.0 if word >> 63 else 1.0 for word in words])
    deviates = noise_of(key, 11, cells)
    np.testing.assert_allclose(deviates, signs * -ndtri(tails), rtol=2e-15)
    assert tails.min() < 1e-4


def test_the_far_tail_of_the_deviates():
    from kt_theory.kernels.noise import _upper_deviate

    tails = 2.0 ** -np.linspace(1.001, 54.0, 3001)
    found = np.array([_upper_deviate(tail) for tail in tails])
    np.testing.assert_allclose(found, -ndtri(tails), rtol=2e-15)
    assert found[-1] < 8.3


def kolmogorov_smirnov(deviates, false_alarm=1e-6):
    """Whether they pass as standard normal, by the Dvoretzky-Kiefer-Wolfowitz inequality with Massart's constant."""
    law, steps = ndtr(np.sort(deviates)), np.arange(len(deviates) + 1) / len(deviates)
    statistic = max((steps[1:] - law).max(), (law - steps[:-1]).max())
    return statistic <= math.sqrt(math.log(2.0 / false_alarm) / (2.0 * len(deviates)))


def test_the_noise_is_standard_normal_and_independent():
    key = stream_key(0, 100)
    noise = np.stack([noise_of(key, r, 1000) for r in range(1000)])
    assert kolmogorov_smirnov(noise.ravel())
    assert not kolmogorov_smirnov(1.02 * noise.ravel()), "2 % more noise must be found out"
    others = [noise_of(stream_key(1, 100), 0, 10**6), noise_of(stream_key(0, 101), 0, 10**6)]
    first = noise.ravel()
    for other in (
        *others,
        np.roll(first, 1),
        np.roll(first, 1000),
        np.roll(first, 2),
        noise.T.ravel(),
    ):
        assert abs(float(first @ other)) < 5.5 * math.sqrt(first.size), "false alarm 4e-8 each"


@pytest.mark.parametrize("of", LEVELS, ids=lambda level: level.name)
def test_noise_shrinks_with_the_queries_that_revealed_a_label(of):
    """log(revealed / p) sqrt(k) / sigma is standard normal, k = n_s for the top labels and n_sa for the others."""
    teacher, sigma, found, wrong = TEACHERS["woven and plain rows"], 0.6, [], []
    cell = Cell(teacher, [sees(access.noisy(sigma, of))], 300, seed=9)
    order = np.argsort(-teacher.pi, axis=1, kind="stable")
    for repeat in range(300):
        counts, revealed = cell.answers(0, repeat)
        queries = counts.copy()
        for s in range(40):
            queries[s, order[s, : of.shows.top]] = counts[s].sum()
        shown = ~np.isnan(revealed)
        np.testing.assert_array_equal(shown, queries > 0 if of.shows.own else queries * 0)
        deviates = np.log(revealed / teacher.pi)[shown] / sigma
        found.append(deviates * np.sqrt(queries[shown]))
        wrong.append(deviates)
    assert kolmogorov_smirnov(np.concatenate(found))
    assert not kolmogorov_smirnov(np.concatenate(wrong))


@pytest.mark.parametrize("of", few_quick(LEVELS, LEVELS[-1:]))
def test_mean_loss_with_noise_is_that_of_reveal(of):
    """Two independent means, each within its own radius but for 1e-6; three times the noise is found out."""
    teacher, n = TEACHERS["zeros and ties"], 12
    level = access.noisy(0.5, of)
    student, rng, repeats = sees(level), np.random.default_rng(0), 3000
    estimate = kt.simulate(teacher, student, n=n, repeats=100_000, seed=6).estimates[0]

    def reference(grants):
        """Return mean and radius of the losses of NumPy's transfer sets and NumPy's noise."""
        joint = (teacher.rho[:, None] * teacher.pi).ravel()
        draws = rng.multinomial(n, joint, size=repeats).reshape(-1, *teacher.pi.shape)
        tables = (student.table(counts, grants.reveal(counts, teacher.pi, rng)) for counts in draws)
        losses = np.array([distance(table, teacher) for table in tables])
        return losses.mean(), confidence_radius(losses.std() / math.sqrt(repeats), repeats)

    radius = confidence_radius(estimate.std_error, estimate.repeats)
    mean, own = reference(level)
    assert abs(mean - estimate.mean) <= radius + own
    mean, own = reference(access.noisy(1.5, of))
    assert abs(mean - estimate.mean) > radius + own


def test_noise_is_the_same_alone_in_company_over_threads_and_chunks():
    teacher = TEACHERS["woven and plain rows"]
    noisy, quiet = sees(access.noisy(0.3), "noisy"), sees(access.SOFT, "quiet")
    company = [
        *kt.STUDENTS.values(),
        quiet,
        noisy,
        sees(access.noisy(0.2, access.PARTIAL), "other"),
    ]
    runs = [
        kt.simulate(
            teacher, company, n=50, repeats=301, seed=8, keep_losses=True, threads=threads
        ).losses[0]
        for threads in (1, 2)
    ]
    np.testing.assert_array_equal(*runs)
    alone = kt.simulate(teacher, noisy, n=50, repeats=301, seed=8, keep_losses=True).losses[0]
    np.testing.assert_array_equal(alone[:, 0], runs[0][:, 5])
    without = kt.simulate(teacher, company[:5], n=50, repeats=301, seed=8, keep_losses=True).losses[
        0
    ]
    np.testing.assert_array_equal(without, runs[0][:, :5])
    cell = Cell(teacher, company, 50, seed=8)
    pieces = [losses_of(cell, min(37, 301 - at), at) for at in range(0, 301, 37)]
    np.testing.assert_array_equal(np.concatenate(pieces), runs[0])
    assert not np.array_equal(
        alone, kt.simulate(teacher, noisy, n=50, repeats=301, seed=9, keep_losses=True).losses[0]
    )
    twins = [noisy, sees(access.noisy(0.3), "twin")]
    both = kt.simulate(teacher, twins, n=50, repeats=5, keep_losses=True).losses[0]
    np.testing.assert_array_equal(
        both[:, 0], both[:, 1], err_msg="the same answers carry the same noise"
    )


# Table rules


@table_rule
def pools(counts, revealed, out):
    """The label marginal of all inputs, times what is revealed of each: a prior enters where there is one."""
    inputs, labels = counts.shape
    marginal = np.ones(labels)
    for s in range(inputs):
        for a in range(labels):
            marginal[a] += counts[s, a]
    for s in range(inputs):
        total = 0.0
        for a in range(labels):
            believed = 1.0 if np.isnan(out[s, a]) else out[s, a]
            out[s, a] = (
                marginal[a] * believed * (1.0 if np.isnan(revealed[s, a]) else 0.5 + revealed[s, a])
            )
            total += out[s, a]
        for a in range(labels):
            out[s, a] /= total


@table_rule
def row_by_row(counts, revealed, out):
    for s in range(len(counts)):
        total = 0.0
        for a in range(counts.shape[1]):
            seen = 0.3 if np.isnan(revealed[s, a]) else 2.0 * revealed[s, a]
            out[s, a] = 0.1 + 0.05 * counts[s, a] + seen * (1.0 + 0.01 * a)
            total += out[s, a]
        for a in range(counts.shape[1]):
            out[s, a] /= total


@pytest.mark.parametrize("teacher", TEACHERS.values(), ids=TEACHERS)
@pytest.mark.parametrize(
    "level", [*LEVELS, access.noisy(0.2), access.temperature(2.0), access.HARD], ids=str
)
def test_a_table_rule_sees_the_rows_that_a_row_rule_sees(teacher, level):
    students = [
        sees(level),
        kt.Student("table", level, row_by_row),
        kt.Student("pools", level, pools),
    ]
    cell = Cell(teacher, students, 40, seed=2)
    losses = losses_of(cell, 5)
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], atol=1e-14)
    for r, row in enumerate(losses):
        expected = distance(students[2].table(*cell.answers(2, r)), teacher)
        assert row[2] == pytest.approx(expected, abs=1e-12)
    found = kt.simulate(
        teacher, students, n=40, repeats=200, seed=2, threads=2, keep_losses=True
    ).losses[0]
    np.testing.assert_array_equal(found[:5], losses)


def bad_in_row_two(counts, revealed, out):
    out[:] = 1.0 / counts.shape[1]
    n = 0
    for s in range(counts.shape[0]):
        for a in range(counts.shape[1]):
            n += counts[s, a]
    if n == 9:
        out[2, 0] = 0.75


def writes_the_first_row_only(counts, revealed, out):
    out[0] = 1.0 / counts.shape[1]


def leaves_the_table(counts, revealed, out):
    out[:] = 1.0 / counts.shape[1]
    out[len(counts) + 3, 0] = 1.0


def no_such_function(counts, revealed, out):
    out[:] = unknown_function(counts)  # noqa: F821


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            bad_in_row_two,
            "student 'mine', row 2, repeat 0, n = 9: its table rule wrote a row that sums to 1.41",
        ),
        (
            writes_the_first_row_only,
            "student 'mine', row 1, repeat 0, n = 9: its table rule wrote .* sums to nan",
        ),
        (no_such_function, "student 'mine': its table rule does not compile: .*unknown_function"),
    ],
)
def test_bad_table_rules_are_named(rule, message):
    mine = kt.Student("mine", access.noisy(0.1), table_rule(rule))
    with pytest.raises(kt.RowRuleError, match=message):
        kt.simulate(TEACHERS["zeros and ties"], ["ce_sgl", mine], n=9, repeats=50, threads=2)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_table_rule_that_leaves_its_table_is_stopped(capfd):
    mine = kt.Student("mine", "hard", table_rule(leaves_the_table))
    with pytest.raises(
        kt.RowRuleError, match="student 'mine', repeat 0, n = 9: its table rule raised IndexError"
    ):
        kt.simulate(TEACHERS["zeros and ties"], mine, n=9, repeats=5)


def bad_if_it_sees_noise(counts, revealed, out):
    out[:] = 1.0 / counts.size
    if revealed.sum() > 1.5:
        out[0] += 1.0


def test_a_bad_row_under_noise_is_reported_from_the_very_answers():
    mine = kt.Student("mine", access.noisy(0.4), bad_if_it_sees_noise)
    with pytest.raises(
        kt.RowRuleError, match=r"repeat \d+, n = 9: its row rule wrote a row that sums to 2 with"
    ):
        kt.simulate(TEACHERS["zeros and ties"], mine, n=9, repeats=5000)


def test_table_rules_are_told_apart_from_row_rules():
    assert isinstance(pools, TableRule)
    with pytest.raises(ValueError, match="must be a function"):
        table_rule(3)
    sys.modules.setdefault(pools.py_func.__module__, sys.modules[__name__])
    student = pickle.loads(pickle.dumps(kt.Student("pools", "hard", pools, prior=np.eye(3))))
    assert student.rule is pools
    np.testing.assert_array_equal(student.prior, np.eye(3))


def test_channels_priors_and_table_rules_count_as_memory(monkeypatch):
    teacher = kt.Teacher(np.full((2, 3), 1 / 3))
    student = kt.Student("x", access.temperature(2.0), pools, prior=np.full((2, 3), 1 / 3))
    monkeypatch.setattr("kt_theory.machine.memory", lambda: 961)
    with pytest.raises(ValueError, match=r"2 x 3 takes 48 bytes as a dense table and 25 times"):
        kt.simulate(teacher, student, n=1, repeats=2)
