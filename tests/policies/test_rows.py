"""What the kernel says of whole rows, against copies that are built label by label."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from policies import oracle

import kt_theory as kt
from kt_theory.kernels.policy_numbers import KL_LEAST, KL_MOST, STORED, TV_LEAST, TV_MOST
from kt_theory.policies import losses as rows_lost
from kt_theory.policies import policies, policy
from kt_theory.policies.losses import Question

HOW = {"": (None, 1.0), " rounded(0.4)": ("rounded", 0.4), " quantised(6)": ("quantised", 6)}


@pytest.fixture(scope="module")
def rows():
    random = np.random.default_rng(11)
    few = random.dirichlet(np.full(23, 0.25), size=12)
    ties = np.repeat([[4.0, 2.0, 2.0, 1.0, 0.0]], 5, axis=0)[:, [0, 1, 2, 3, 4] * 4 + [4, 3, 2]]
    with_zeros = np.where(random.random((6, 23)) < 0.5, 0.0, random.random((6, 23)))
    with_zeros[:, 0] += 0.1
    table = np.vstack([few, ties, with_zeros])
    return table / table.sum(axis=1, keepdims=True)


def expected(name, row):
    """Return the copies of a row, the best and the worst that a student may write."""
    kept, _, coded = name.partition(" ")
    amount = float(kept[kept.index("(") + 1 : -1]) if "(" in kept else 0
    how_amount = HOW[f" {coded}" if coded else ""]
    match kept.split("(")[0]:
        case "soft":
            copy = oracle.cut(row, list(range(len(row))), *how_amount, 1.0)
        case "renormalised":
            copy = oracle.cut(row, oracle.first(row, int(amount)), *how_amount, 1.0)
        case "top_p":
            copy = oracle.cut(row, oracle.reach(row, amount), *how_amount, 1.0)
        case "even_tail":
            copy = oracle.even_tail(row, int(amount), *how_amount)
        case "tail_mass":
            return oracle.tail_mass(row, int(amount), *how_amount)
    return copy, copy


NAMES = [
    f"{kept}{how}"
    for kept in ("soft", "renormalised(4)", "even_tail(4)", "tail_mass(4)", "top_p(0.8)")
    for how in HOW
]


@pytest.mark.parametrize("head", [4096, 7])
def test_losses_are_those_of_copies_built_label_by_label(rows, head, monkeypatch):
    monkeypatch.setattr(rows_lost, "HEAD", head)
    chosen = [policy(name) for name in NAMES]
    with np.errstate(divide="ignore"):
        found = Question(tuple(chosen), rows.shape[1]).of_rows(np.log(rows))
    for j, name in enumerate(NAMES):
        for row, (low, high, kl_low, kl_high, _) in zip(rows, found[:, j], strict=True):
            if name.startswith("tail_mass") and row[oracle.first(row, 23)[4:]].sum() == 0.0:
                continue
            best, worst = expected(name, row)
            assert low == pytest.approx(oracle.tv(best, row), abs=1e-13), name
            assert high == pytest.approx(oracle.tv(worst, row), abs=1e-13), name
            assert kl_low == pytest.approx(oracle.kl(row, best), abs=1e-12), name
            assert kl_high == pytest.approx(oracle.kl(row, worst), abs=1e-12), name


@pytest.mark.parametrize(
    ("name", "how", "labels"),
    [
        ("temperature(2) rounded(0.4)", "rounded", None),
        ("temperature(2) quantised(6)", "quantised", None),
        ("renormalised(4) temperature(0.5) rounded(0.4)", "rounded", 4),
        ("renormalised(4) temperature(3) quantised(6)", "quantised", 4),
    ],
)
def test_temperatures_are_undone(rows, name, how, labels):
    amount = HOW[" rounded(0.4)" if how == "rounded" else " quantised(6)"][1]
    tau = policy(name).tau
    positive = rows[:12]
    (found,) = Question((policy(name),), 23).of_rows(np.log(positive)).transpose(1, 0, 2)
    for row, losses in zip(positive, found, strict=True):
        copy = oracle.cut(row, oracle.first(row, labels or 23), how, amount, tau)
        assert losses[TV_LEAST] == losses[TV_MOST] == pytest.approx(oracle.tv(copy, row), abs=1e-12)


def test_copies_are_those_that_the_losses_are_of(rows):
    chosen = policies([name for name in NAMES if not name.startswith("tail_mass")])
    with np.errstate(divide="ignore"):
        found = Question(tuple(chosen), rows.shape[1]).of_rows(np.log(rows))
    for j, one in enumerate(chosen):
        distance = kt.total_variation(one.copies(rows), rows)
        np.testing.assert_allclose(found[:, j, TV_MOST], distance, atol=1e-13)


def test_the_student_that_shares_the_tail_mass_equally_lies_between(rows):
    one = policy("tail_mass(4) rounded(0.4)")
    found = Question((one,), 23).of_rows(np.log(rows[:12]))[:, 0]
    distance = kt.total_variation(one.copies(rows[:12]), rows[:12])
    assert (found[:, TV_LEAST] <= distance).all()
    assert (distance <= found[:, TV_MOST]).all()


def test_an_even_tail_loses_the_floor_of_the_level_without_the_sampled_label(rows):
    """1/2 sum rho sum_tail |p - M/(A-k)|, at n = infinity."""
    teacher = kt.Teacher(rows)
    frame = kt.storage(teacher, "even_tail(4)").frame
    student = kt.students.top_k(4, sampled=False)
    assert frame["tv"][0] == pytest.approx(kt.exact_risk(teacher, student, np.inf), abs=1e-13)


def test_no_row_loses_more_than_the_worst_of_its_kind(rows):
    """Of all rows none loses more by an even tail than (j-k)(A-j) / (j(A-k)) at the best j."""
    found = Question((policy("even_tail(4)"), policy("renormalised(4)")), 23)
    worst = [kt.objectives.forward_kl_tail(4).worst(23), kt.objectives.forward_kl_top(4).worst(23)]
    with np.errstate(divide="ignore"):
        losses = found.of_rows(np.log(rows))
        attained = [found.of_rows(np.log(one.row[None]))[0, j] for j, one in enumerate(worst)]
    for j, one in enumerate(worst):
        assert losses[:, j, TV_MOST].max() <= one.value + 1e-12
        assert attained[j][TV_MOST] == pytest.approx(one.value, abs=1e-12)


@pytest.mark.parametrize("name", ["top_p(0.99)", "top_p(0.8)", "top_p(0.99) quantised(9)"])
def test_masses_that_heads_do_not_reach_are_found_in_the_rest(name, monkeypatch):
    random = np.random.default_rng(3)
    many = random.dirichlet(np.full(60, 0.4), size=40)
    alike = random.permuted(np.repeat([[4.0, 2.0, 1.0, 0.5, 0.0]], 12, axis=0).reshape(1, 60))
    rows = np.vstack([many, alike / alike.sum(), np.full((1, 60), 1 / 60)])
    question = Question(tuple(policies(f"{name}, even_tail(3)")), 60)
    with np.errstate(divide="ignore"):
        logs = np.log(rows)
    whole = question.of_rows(logs)
    monkeypatch.setattr(rows_lost, "HEAD", 9)
    part = question.of_rows(logs)
    assert (whole[:, 0, STORED] > 9).any()
    np.testing.assert_allclose(part, whole, atol=1e-13)


def test_infinite_losses_are_told_from_finite_ones(rows):
    chosen = policies("renormalised(4), even_tail(4), soft, sampled(5)")
    with np.errstate(divide="ignore"):
        found = Question(tuple(chosen), 23).of_rows(np.log(rows))
    support = (rows > 0).sum(axis=1)
    np.testing.assert_array_equal(np.isinf(found[:, 0, KL_LEAST]), support > 4)
    assert np.isfinite(found[:, 1:3, KL_MOST]).all()
    np.testing.assert_array_equal(np.isinf(found[:, 3, KL_MOST]), support > 1)


def test_threads_that_ask_at_a_time_get_their_own_rows():
    """Kernels run without Python's lock: room that two calls share would mix their rows."""
    asked = Question(tuple(map(policy, ("renormalised(5)", "even_tail(5)", "sampled(5)"))), 50)
    rng = np.random.default_rng(0)
    logs = [np.log(rng.dirichlet(np.ones(50), size=1000)) for _ in range(8)]
    alone = [asked.of_rows(rows) for rows in logs]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(alone, pool.map(asked.of_rows, logs), strict=True):
            assert np.array_equal(one, other)
