"""limit.plot(), teacher.plot(), kt.plot.plan and the pictures that kt.plot shares."""

import copy
import pickle
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

import kt_theory as kt

SMALL = (3.0, 2.0)


def on_small_axes():
    return pyplot.subplots(figsize=SMALL)[1]


def test_a_limit_is_drawn_between_its_bounds():
    limit = kt.minimax_risk("argmax", inputs=1, labels=4, n=3)
    sizes = [1, 3, 30]
    axes = limit.plot(n=sizes)
    found = [kt.minimax_risk("argmax", inputs=1, labels=4, n=n) for n in sizes]
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [(one.n, one.upper) for one in found])
    corners = {tuple(corner) for corner in axes.collections[0].get_paths()[0].vertices}
    assert corners >= {(float(one.n), one.lower) for one in found}
    (dot,) = axes.lines[1].get_xydata()
    assert tuple(dot) == (3.0, limit.upper)
    assert axes.get_xscale() == axes.get_yscale() == "log"


LEVELS = {
    "gradient": {"access": "gradient", "graph": kt.graphs.path(4)},
    "acceptance": {"access": "soft", "loss": "acceptance"},
    "partial, 3 labels a query": {"access": "partial", "labels_per_query": 3},
    "top_k": {"access": "top_k", "k": 2},
    "rounded": {"access": kt.access.rounded(0.5)},
}
QUICK = ("gradient", "acceptance")
MARKED = [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in LEVELS]


@pytest.mark.parametrize("name", MARKED)
def test_a_limit_knows_itself_at_other_n(name):
    """Whatever was asked for, k, a graph, a loss, is remembered; copies remember it too."""
    size = {"inputs": 4, "labels": 4}
    limit = kt.minimax_risk(**size, **LEVELS[name], n=20)
    other = kt.minimax_risk(**size, **LEVELS[name], n=50)
    for same in (limit, pickle.loads(pickle.dumps(limit)), copy.deepcopy(limit)):
        assert same == limit
        assert same.at([50, 20]) == [other, limit]
    assert "over=" not in repr(limit)


def test_a_limit_s_errors():
    limit = kt.minimax_risk("soft", inputs=4, labels=2, n=5)
    with pytest.raises(ValueError, match="n = 0: has no place on a logarithmic axis; use n >= 1"):
        limit.plot(n=[0, 1])
    bare = kt.Limit(0.1, 0.2, False, None, "", "soft", 4, 2, 5)
    with pytest.raises(ValueError, match="does not know its level at other n: kt"):
        bare.plot()


def test_rows_of_a_small_teacher_are_its_inputs():
    teacher = kt.Teacher(
        [[0.7, 0.3], [0.1, 0.9]],
        rho=[0.25, 0.75],
        input_names=["one", "$two"],
        label_names=["a", "b"],
    )
    axes = teacher.plot()
    np.testing.assert_array_equal(axes.images[0].get_array(), teacher.pi)
    assert [text.get_text() for text in axes.get_yticklabels()] == ["one: 0.25", "$two: 0.75"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["a", "b"]
    assert [text.get_text() for text in axes.texts] == ["0.7", "0.3", "0.1", "0.9"]
    assert axes.get_title(loc="left").endswith("S = 2, A = 2")


def test_rows_of_a_large_teacher_are_classes_heaviest_first():
    teacher = kt.Teacher.from_classes([[0.5, 0.5], [1.0, 0.0]], [1e-9, 1e-10], [9 * 10**8, 10**9])
    axes = teacher.plot(on_small_axes())
    np.testing.assert_array_equal(axes.images[0].get_array(), [[0.5, 0.5], [1.0, 0.0]])
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == ["9e+08 x 1e-09", "1e+09 x 1e-10"]
    many = kt.teachers.dirichlet(70, 210, seed=1)
    drawn = many.plot().images[0].get_array()
    assert drawn.shape == (60, 200)
    assert (np.diff(drawn, axis=1) <= 0).all()


PLAN = pd.DataFrame(
    {
        "access": ["hard", "top_k_only(2)", "partial", "soft"],
        "lower": pd.array([100, 0, 200, 30], dtype="Int64"),
        "n": pd.array([400, None, 300, 40], dtype="Int64"),
        "cost": [400.0, np.nan, np.nan, 360.0],
        "cheapest": [False, False, False, True],
        "certificate": "",
        "reason": ["", "impossible: a floor", "", ""],
    }
)


def check_plan(axes, plan):
    labels = axes.get_yticklabels()
    assert [text.get_text() for text in labels] == list(plan["access"])
    points = {int(line.get_ydata()[0]): line.get_xdata()[0] for line in axes.lines}
    priced = plan[plan["cost"].notna()]
    assert points == pytest.approx({place: row.cost for place, row in priced.iterrows()})
    bold = [text.get_text() for text in labels if text.get_fontweight() == "bold"]
    assert bold == list(plan["access"][plan["cheapest"]])
    (bar,) = axes.collections[0].get_segments()
    row = plan.set_index("access").loc["hard"]
    assert bar[:, 0] == pytest.approx([row.cost * int(row.lower) / int(row.n), row.cost])


def test_a_plan_has_a_line_for_each_level():
    axes = kt.plot.plan(PLAN)
    check_plan(axes, PLAN)
    assert [text.get_text() for text in axes.texts] == ["impossible", "no price"]
    plain = kt.plot.plan(PLAN.drop(columns=["cost", "cheapest"]), ax=on_small_axes())
    assert plain.get_xlabel() == "queries"
    assert len(plain.lines) == 3


@pytest.mark.long
def test_a_plan_as_it_is_made():
    plan = kt.plan(inputs=100, labels=25, tv=0.05, prices={"hard": 1, "soft": 9}, top_only=(2,))
    axes = kt.plot.plan(plan)
    check_plan(axes, plan)
    assert [text.get_text() for text in axes.texts] == ["impossible", *["no price"] * 3]


def test_names_of_levels_on_a_small_plan_lie_apart():
    twice = pd.concat([PLAN, PLAN.assign(access=PLAN["access"] + "'")], ignore_index=True)
    axes = kt.plot.plan(twice, ax=on_small_axes())
    axes.figure.draw_without_rendering()
    found = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert all(one.y0 >= other.y1 for one, other in pairwise(found))


BAD_PLANS = {
    "a dict": ({}, "frame is a dict: must be what kt.plan"),
    "risks": (pd.DataFrame({"n": [1]}), "no column 'access': must be what kt.plan"),
    "nothing needed": (
        pd.DataFrame({"access": ["soft"], "n": [0], "lower": [0], "certificate": "", "reason": ""}),
        "no level has a n above 0; ask for a smaller tv",
    ),
}


@pytest.mark.parametrize("case", BAD_PLANS)
def test_what_is_no_plan_is_refused(case):
    frame, message = BAD_PLANS[case]
    with pytest.raises(ValueError, match=message):
        kt.plot.plan(frame)


@pytest.mark.long
def test_pictures_of_policies_are_axes_too():
    axes = on_small_axes()
    teacher = kt.teachers.zipf(3, 8)
    assert kt.storage(teacher, ["soft", "renormalised(2)"]).plot(axes) is axes
