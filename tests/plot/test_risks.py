"""kt.plot.risks and est.plot(): what is drawn is what the table says."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from plot_cases import CASES, TWELVE, covered, legends, table

import kt_theory as kt

SMALL, LARGE = (3.0, 2.0), (12.0, 8.0)


def line_of(axes, label):
    (line,) = [one for one in axes.lines if one.get_label() == label]
    return line


def arrows(axes, kind):
    return [one for one in axes.lines if (one.get_gid() or "").startswith(f"{kind} ")]


def test_lines_are_the_means_and_bands_the_intervals():
    frame = table(TWELVE[:3], [10, 100, 1000], width=0.3)
    axes = kt.plot.risks(frame)
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("n", "risk, E TV")
    for place, (student, rows) in enumerate(frame.groupby("student", sort=False)):
        drawn = line_of(axes, student)
        np.testing.assert_array_equal(drawn.get_xydata(), rows[["n", "mean"]].to_numpy(float))
        corners = axes.collections[place].get_paths()[0].vertices
        ends = {(x, y) for x, y in corners}
        assert ends >= {(row.n, row.low) for row in rows.itertuples()}
        assert ends >= {(row.n, row.high) for row in rows.itertuples()}
    assert [text.get_text() for text in legends(axes)[0].get_texts()] == list(TWELVE[:3])


def test_rows_in_any_order_give_the_same_lines():
    frame = table(TWELVE[:2], [1, 10, 100])
    shuffled = frame.sample(frac=1.0, random_state=1).reset_index(drop=True)
    for student in TWELVE[:2]:
        one, other = (line_of(kt.plot.risks(rows), student) for rows in (frame, shuffled))
        np.testing.assert_array_equal(one.get_xydata(), other.get_xydata())


def test_zeros_are_arrows_at_the_floor_with_their_intervals():
    zeros = [("ce_sgl", 1000), ("ce_ptl", 1000)]
    axes = kt.plot.risks(table(TWELVE[:3], [10, 100, 1000], zeros=zeros))
    axes.figure.draw_without_rendering()
    floor = axes.get_window_extent().y0
    found = arrows(axes, "floor")
    assert [one.get_gid() for one in found] == ["floor ce_sgl", "floor ce_ptl"]
    places = [one.get_transform().transform(one.get_xydata())[0] for one in found]
    assert all(one.get_marker() == "v" for one in found)
    assert all(abs(y - floor) < 1e-6 for _, y in places)
    assert abs(places[0][0] - places[1][0]) > 5  # beside each other
    for bar in arrows(axes, "interval"):
        np.testing.assert_array_equal(bar.get_ydata(), [0.0, 0.003])
    assert np.isnan(line_of(axes, "ce_sgl").get_ydata()[2])
    assert axes.get_ylim()[0] < 0.003
    assert "no loss was seen" in legends(axes)[0].get_texts()[-1].get_text()


def test_infinite_risks_are_arrows_at_the_top():
    axes = kt.plot.risks(table(["laplace"], [10, 100], infinite=[("laplace", 10)], loss="kl"))
    axes.figure.draw_without_rendering()
    (arrow,) = arrows(axes, "top")
    place = arrow.get_transform().transform(arrow.get_xydata())[0]
    assert abs(place[1] - axes.get_window_extent().y1) < 1e-6
    assert arrow.get_marker() == "^"
    assert axes.get_ylabel() == "risk, E kl"
    assert [one.get_text() for one in legends(axes)[0].get_texts()][-1] == "the risk is infinite"


def test_a_point_alone_has_a_bar():
    axes = kt.plot.risks(CASES["one point"])
    row = CASES["one point"].iloc[0]
    (segment,) = axes.collections[-1].get_segments()
    np.testing.assert_array_equal(segment, [[100, row.low], [100, row.high]])
    assert not legends(axes)


def test_acceptance_is_linear_and_losses_have_panels():
    frame = pd.concat([table(TWELVE[:2], [10, 100], loss=loss) for loss in ("tv", "acceptance")])
    panels = kt.plot.risks(frame)
    assert [one.get_yscale() for one in panels] == ["log", "linear"]
    assert [one.get_title(loc="left") for one in panels] == ["tv", "acceptance"]
    _, given = pyplot.subplots(1, 2)
    assert list(kt.plot.risks(frame, ax=given)) == list(given)


def test_twelve_students_look_different():
    axes = kt.plot.risks(table(TWELVE, [10, 100]))
    looks = {(line.get_color(), line.get_marker()) for line in axes.lines}
    assert len(looks) == 12


def test_the_paper_s_bounds_stand_beside():
    frame = table(["ce_sgl"], [100, 10_000])
    axes = kt.plot.risks(frame, theory="paper")
    upper, lower = axes.lines[1:]
    expected = kt.bounds.table(inputs=100, labels=25, n=10_000).set_index("id")["value"]
    assert upper.get_ydata()[-1] == pytest.approx(expected["3.2-mean"])
    assert lower.get_ydata()[-1] == pytest.approx(expected["3.1"])
    words = [text.get_text() for text in legends(axes)[0].get_texts()]
    assert words == ["ce_sgl", "upper bound, worst teacher", "lower bound, worst teacher"]


def test_the_minimax_risk_stands_beside_and_comes_from_the_table_where_it_is_there():
    frame = table(["ce_ful"], [100, 1000]).assign(access="soft", inputs=10, labels=4)
    axes = kt.plot.risks(frame, theory="minimax")
    expected = [0.75 * 0.1 * 10 * phi for phi in ((0.9) ** 100,)]
    computed = axes.lines[-1].get_ydata()
    assert computed[0] >= expected[0]  # uniform rho is one of the laws
    assert computed[1] == pytest.approx(kt.minimax_risk("soft", 10, 4, n=1000).upper)
    known = frame.assign(minimax_lower=0.01, minimax_upper=0.02)
    again = kt.plot.risks(known, theory=["minimax"])
    np.testing.assert_array_equal(again.lines[-1].get_ydata(), [0.02, 0.02])


def test_exact_risks_stand_beside():
    frame = table(["ce_ful"], [100, 1000]).assign(exact=[0.3, 0.1])
    np.testing.assert_array_equal(
        kt.plot.risks(frame, theory="exact").lines[-1].get_ydata(), [0.3, 0.1]
    )


def test_a_simulation_draws_itself():
    estimate = kt.RiskEstimate
    run = kt.simulate(kt.teachers.zipf(5, 3), "ce_ful", n=[1, 3], repeats=20, progress=False)
    assert isinstance(run.estimates[0], estimate)
    _, ax = pyplot.subplots()
    assert run.plot(ax=ax) is ax
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), run.frame["mean"])


BAD = {
    "a list": ([1], {}, r"frame is a list: must be a DataFrame, such as simulate\(...\).frame"),
    "no rows": (table(["ce_sgl"], [10]).iloc[:0], {}, "frame has no rows"),
    "no mean": (table(["ce_sgl"], [10]).drop(columns="mean"), {}, "unknown column 'mean'"),
    "n = 0": (table(["ce_sgl"], [1]).assign(n=0), {}, "every n is 0, .* use n >= 1"),
    "nothing ran": (table(["ce_sgl"], [1]).assign(mean=np.nan), {}, "every mean is missing"),
    "theory": (table(["ce_sgl"], [1]), {"theory": "papr"}, r"did you mean 'paper'\?"),
    "no exact": (table(["ce_sgl"], [1]), {"theory": "exact"}, "no column 'exact'.*exact_risk"),
    "axes": (table(["ce_sgl"], [1]), {"ax": 3}, "ax = 3: must be a matplotlib Axes"),
    "two teachers": (
        pd.concat([table(["ce_sgl"], [1]), table(["ce_sgl"], [1], teacher="other")]),
        {},
        r"2 rows at student = 'ce_sgl', n = 1, which differ in teacher: .* panel='teacher'",
    ),
    "two sizes": (
        pd.concat([table(["ce_sgl"], [1]), table(["ce_sgl"], [2], labels=3)]),
        {"theory": "paper"},
        "labels = 3, 25: theory='paper' is of one size; .*panel='labels'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_errors_are_a_line_with_a_way_out(case):
    frame, options, message = BAD[case]
    with pytest.raises(ValueError, match=message) as caught:
        kt.plot.risks(frame, **options)
    assert "\n" not in str(caught.value)


def drawn(case, size, layout):
    frame = CASES[case]
    if size is None:
        return kt.plot.risks(frame)
    _, axes = pyplot.subplots(figsize=size, layout=layout)
    return kt.plot.risks(frame, ax=axes)


def check_legend(axes):
    for legend in legends(axes):
        assert covered(axes, legend) == 0
    room = axes.get_window_extent()
    whole = axes.figure.bbox
    assert room.width * room.height > 0.08 * whole.width * whole.height


@pytest.mark.parametrize("size", [None, SMALL])
def test_legends_of_twelve_students_cover_no_data(size):
    check_legend(drawn("twelve", size, None))


def test_the_check_of_legends_can_fail():
    axes = drawn("four", SMALL, None)
    legend = axes.legend(loc="lower center")
    assert covered(axes, legend) > 0


@pytest.mark.long
@pytest.mark.parametrize("layout", [None, "constrained"])
@pytest.mark.parametrize("size", [None, SMALL, LARGE])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("theory", [None, "paper"])
def test_legends_cover_no_data(case, size, layout, theory):
    frame = CASES[case]
    _, axes = pyplot.subplots(figsize=size, layout=layout)
    axes = kt.plot.risks(frame, ax=axes if size else None, theory=theory)
    check_legend(axes)
    right = max(legend.get_window_extent().x1 for legend in legends(axes)) if legends(axes) else 0
    assert right <= axes.figure.bbox.width + 1
