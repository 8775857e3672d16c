"""What the page says is what the library says: pure functions, without a browser."""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

import kt_theory as kt
from kt_theory.explore import answers, drawing, questions
from kt_theory.explore.desk import Desk
from kt_theory.explore.questions import Question
from kt_theory.explore.state import FAMILIES, LEVELS, State


def known(asked):
    return {question: question() for question in asked}


def said(state):
    return answers.limit_words(state, known([questions.limit_asked(state)]))


def test_an_exact_limit_is_said_with_its_number():
    """Soft labels after one pair: (1-1/A)(1-1/S) = 0.8 * 0.9."""
    words = said(State(inputs=10, labels=5, n=1, level="soft"))
    assert words == (
        "After 1 pair of all probabilities, the least worst-case risk over teachers of 10 inputs "
        "and 5 labels is 0.72: a student attains it, none does better."
    )


def test_an_interval_is_said_with_both_ends():
    words = said(State(inputs=10, labels=5, n=6, level="partial"))
    low, high = (float(each) for each in re.findall(r"0\.\d+", words))
    limit = kt.minimax_risk("partial", inputs=10, labels=5, n=6)
    assert (low, high) == (float(f"{limit.lower:.4g}"), float(f"{limit.upper:.4g}"))
    assert low < high


@pytest.mark.parametrize(
    ("level", "number"), [("partial", "0"), ("soft", "0"), ("temperature(2)", "0")]
)
def test_one_input_two_labels_one_pair(level, number):
    words = said(State(inputs=1, labels=2, n=1, level=level))
    assert f"1 input and 2 labels is {number}:" in words


def test_a_level_without_a_limit_says_why():
    state = State(inputs=1, labels=2, n=1, level="gradient(cycle, 1)")
    assert said(state).startswith("No limit: level 'gradient(cycle, 1)': inputs = 1: must be")
    found = answers.limits_status(state, known(questions.limits_asked(state)[state.level]))
    assert "no limit of gradient(cycle, 1)" in found


def test_what_is_not_known_is_said_to_be_computed():
    state = State(level="hard")
    assert answers.limit_words(state, {}).startswith("Computing the limit of hard labels")
    assert "computing hard labels" in answers.limits_status(state, {}).lower()
    assert answers.plan_status(state, {}).startswith("Computing hard labels,")
    assert answers.plan_table(state, {})[1][1:] == ["...", "...", "-"]


def test_zero_limits_are_not_drawn_but_named():
    state = State(inputs=1, labels=2, level="soft")
    found = known(questions.limits_asked(state)["soft"])
    assert "not drawn, as the limit is 0: all probabilities" in answers.limits_status(state, found)
    figure = drawing.limits_figure(state, answers.limits_known(state, found))
    assert all(trace["y"] == [] for trace in figure["data"])
    json.dumps(figure, allow_nan=False)


def test_the_curve_is_the_limits():
    state = State(inputs=5, labels=3, level="soft")
    found = known(questions.limits_asked(state)["soft"])
    traces = drawing.limits_figure(state, answers.limits_known(state, found))["data"]
    (lower, upper) = [trace for trace in traces if trace["x"]]
    assert lower["y"] == upper["y"]
    assert lower["x"] == sorted(state.grid)
    first, last = min(state.grid), max(state.grid)
    assert (first, last) == (1, 1500)
    assert lower["y"][0] == pytest.approx((1 - 1 / 3) * (1 - 1 / 5), rel=1e-12)
    # As n grows the worst law has one heavy input and S-1 of mass about 1/n: (1-1/A)(S-1)/(e n).
    assert lower["y"][-1] == pytest.approx(2 / 3 * 4 / (np.e * last), rel=2e-3)


PRICED = State(inputs=3, labels=4, level="quantised(8)", tv=0.2, query_price=0.5, entry_price=0.01)
REVEALED = {"hard": 0, "partial": 1, "top_k(1)": 2, "soft": 4, "quantised(8)": 4}
"""Log-probabilities that an answer of 4 labels holds."""


@pytest.fixture(scope="module")
def planned():
    """What each level needs: whole rows by the library, what takes a search by hand."""
    asked = questions.plan_asked(PRICED)
    soft = asked["soft"]()
    by_hand = {"hard": 70, "partial": 9, "top_k(1)": 7, "quantised(8)": 5}
    found = {asked[level]: replace(soft, n=n, lower=n - 1) for level, n in by_hand.items()}
    return found | {asked["soft"]: soft}


def assert_costs(rows, numbers):
    for row, (level, n) in zip(rows, numbers.items(), strict=True):
        assert row[2] == f"{n:,}"
        cost = n * (0.5 + 0.01 * REVEALED[level])
        assert float(row[3].replace(",", "")) == pytest.approx(cost, abs=0.005)


def test_the_plan_has_costs_and_words(planned):
    header, *rows = answers.plan_table(PRICED, planned)
    assert header == ["level", "too few", "enough", "cost"]
    assert rows[0] == ["hard labels", "< 69", "70", "35.00"]
    needed = {level: planned[each].n for level, each in questions.plan_asked(PRICED).items()}
    assert_costs(rows, needed)
    soft = kt.samples_needed("soft", inputs=3, labels=4, tv=0.2).n
    words = answers.plan_words(PRICED, planned)
    assert words.startswith("A copy within total variation 0.2 takes 70 queries of hard labels")
    assert f"all probabilities save {70 - soft}" in words
    assert "The cheapest is soft: " in words


@pytest.mark.long
def test_the_plan_is_that_of_plan():
    found = known(questions.plan_asked(PRICED).values())
    frame = kt.plan(3, 4, 0.2, prices=dict.fromkeys(REVEALED, (0.5, 0.01)), levels=["quantised(8)"])
    rows = answers.plan_table(PRICED, found)[1:]
    assert_costs(rows, dict(zip(REVEALED, frame["n"], strict=True)))
    for row, cost in zip(rows, frame["cost"], strict=True):
        assert row[3] == f"{cost:,.2f}"
    best = frame["access"][frame["cost"].argmin()]
    assert f"The cheapest is {best}" in answers.plan_words(PRICED, found)


def test_without_a_price_there_is_no_cost(planned):
    free = replace(PRICED, query_price=0.0, entry_price=0.0)
    assert answers.plan_table(free, planned)[0] == ["level", "too few", "enough"]
    words = answers.plan_words(free, planned)
    assert "cheapest" not in words
    assert words.startswith("A copy within total variation 0.2 takes")


@pytest.mark.parametrize("family", FAMILIES)
def test_copies_of_a_transfer_set(family):
    """Counts add up step by step; frequencies and whole rows by hand."""
    state = State(inputs=3, labels=4, family=family, seed=5, steps=(6, 20), level="partial")
    teacher = state.asked.teacher
    counts = sum(
        kt.draw_counts(teacher, size, 1, seed=5000 + step)[0] for step, size in ((1, 6), (2, 20))
    )
    np.testing.assert_array_equal(questions.counts_after(state.asked, state.steps), counts)
    assert counts.sum() == 26
    copies = {
        copy.student: copy for copy in questions.copies_after(state.asked, "partial", (6, 20))
    }
    seen = counts.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        frequencies = np.where(seen > 0, counts / seen, 1 / 4)
    whole = np.where(seen > 0, teacher.pi, 1 / 4)
    for name, table in (("ce_sgl", frequencies), ("ce_ful", whole)):
        off = 0.5 * (teacher.rho @ np.abs(table - teacher.pi).sum(axis=1))
        assert copies[name].tv == pytest.approx(off, abs=1e-14)
        np.testing.assert_allclose(copies[name].row, table[0], atol=1e-15)
    assert copies["sel_ptl"].tv <= copies["ce_sgl"].tv + 1e-12
    cells = [row[1:] for row in answers.counts_table(state)[1:]]
    assert [[int(cell.split()[0]) for cell in row] for row in cells] == counts.tolist()


def test_steps_of_no_pairs_at_all():
    state = State(inputs=1, labels=2, n=1)
    assert answers.transfer_words(state).startswith("The transfer set is empty")
    found = known(questions.copies_asked(state))
    assert {row[2] for row in answers.copies_table(state, found)[2:]} == {f"{1 / 6:.4f}"}
    figure = drawing.risks_figure(state, {}, answers.copies_known(state, found))
    assert all(trace["x"] == [] for trace in figure["data"])


def test_risks_are_exact_where_they_can_be():
    state = State(inputs=3, labels=3, family="uniform", level="soft")
    curve = questions.curves_asked(state)["ce_sgl"]()
    assert curve.how == "exact"
    assert curve.risk[0] == kt.exact_risk(kt.teachers.uniform(3, 3), "ce_sgl", curve.n[0])
    figure = drawing.risks_figure(state, {"ce_sgl": curve}, {"ce_sgl": [(0, 0.0), (9, 0.0)]})
    line, mark = figure["data"]
    assert line["y"] == list(curve.risk)
    assert mark["x"] == [9]
    assert mark["marker"]["symbol"] == ["arrow-down"]


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_has_a_student(level):
    assert set(questions.learners(level, 5)) >= set(kt.STUDENTS)
    assert len(questions.learners("gradient(cycle, 1)", 1)) == 4


def test_slow_lanes_hold_up_no_others_and_what_is_not_wanted_is_forgotten():
    began, gate = [], threading.Event()

    def slow(name):
        began.append(name)
        gate.wait(60)
        return name

    desk = Desk()
    first, second, third = (Question(slow, (name,)) for name in "abc")
    quick = Question(len, ("four",))
    assert desk.ask({"slow": [first, second], "quick": [quick]}, [quick], 30) == {quick: 4}
    while began != ["a"]:
        time.sleep(0.001)
    assert desk.ask({"slow": [third]}, [third], 0.01) == {}
    gate.set()
    assert desk.ask({"slow": [third]}, [third], 30) == {third: "c"}
    assert began == ["a", "c"]
    assert desk.ask({"slow": [first]}) == {first: "a"}


def test_what_is_first_is_computed_before_lanes_begin():
    order = []
    first, other = (Question(order.append, (name,)) for name in ("first", "other"))
    desk = Desk([Question(time.sleep, (0.05,)), first])
    assert desk.ask({"lane": [other]}, [other], 30) == {other: None}
    assert order == ["first", "other"]


def test_a_failure_is_raised_to_whoever_asks_and_computed_again():
    results = [ZeroDivisionError(), 4]

    def second_time():
        found = results.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    desk, question = Desk(), Question(second_time, ())
    with pytest.raises(ZeroDivisionError):
        desk.ask({"lane": [question]}, [question], 30)
    assert desk.ask({"lane": [question]}, [question], 30) == {question: 4}
