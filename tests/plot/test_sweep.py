"""kt.plot.sweep and `kt-theory sweep plot`."""

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from matplotlib import pyplot
from plot_cases import table

import kt_theory as kt
from kt_theory.cli.shared import in_options
from kt_theory.cli.sweep import sweep_group
from kt_theory.sweep import Spec, load, run


def several():
    return pd.concat([table(["ce_sgl", "sel_ptl"], [10, 100], labels=a) for a in (4, 16, 64)])


def test_a_panel_for_each_value_with_the_same_ranges():
    panels = kt.plot.sweep(several(), panel="labels")
    assert [one.get_title(loc="left") for one in panels] == [f"labels = {a}" for a in (4, 16, 64)]
    assert len({one.get_ylim() for one in panels}) == len({one.get_xlim() for one in panels}) == 1
    rows = several().query("labels == 16 and student == 'sel_ptl'")
    np.testing.assert_array_equal(panels[1].lines[1].get_ydata(), rows["mean"])
    assert len(panels[0].figure.axes) == 3


def test_two_sizes_have_a_panel_for_each_pair_as_the_error_says():
    frame = pd.concat([several().assign(inputs=s) for s in (3, 7)])
    with pytest.raises(ValueError, match="differ in") as raised:
        kt.plot.sweep(frame)
    way_out = str(raised.value).rpartition("panel=")[2]
    assert way_out == "['inputs', 'labels']"
    panels = kt.plot.sweep(frame, panel=["inputs", "labels"])
    titles = [one.get_title(loc="left") for one in panels]
    assert titles == [f"inputs = {s}, labels = {a}" for s in (3, 7) for a in (4, 16, 64)]
    said = in_options(f"name them, such as panel={way_out}")
    assert said == "name them, such as --panel inputs,labels"


def test_any_column_is_an_axis_or_a_hue():
    frame = several().query("n == 100")
    axes = kt.plot.sweep(frame, x="labels")
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [4, 16, 64])
    assert axes.get_xlabel() == "labels"
    by_n = kt.plot.sweep(several().query("student == 'ce_sgl'"), x="labels", hue="n")
    assert [line.get_label() for line in by_n.lines] == ["n = 10", "n = 100"]
    assert len(kt.plot.sweep(frame.query("student == 'ce_sgl'"), x="labels", hue=None).lines) == 1


def test_an_axis_of_a_parameter_is_linear_where_it_is_short():
    frame = table(["ce_sgl"], [1, 2, 3]).assign(alpha=[0.0, 0.5, 1.0])
    assert kt.plot.sweep(frame, x="alpha").get_xscale() == "linear"


def test_panels_may_be_given():
    _, grid = pyplot.subplots(2, 2)
    assert list(kt.plot.sweep(several(), panel="labels", ax=grid)) == list(grid.flat)[:3]
    with pytest.raises(ValueError, match=r"ax holds 2 axes: panel = 'labels' needs 3; omit ax, or"):
        kt.plot.sweep(several(), panel="labels", ax=grid[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "3 rows at student = 'ce_sgl', n = 10, which differ in labels: .*panel='labels'"),
        ({"hue": "studnt"}, r"unknown column 'studnt' \(did you mean 'student'\?\)"),
        ({"x": "student"}, "x = 'student' holds no numbers: name a column that does, such as n"),
        ({"x": "labels", "theory": "paper"}, "theory = 'paper': is drawn over n"),
    ],
)
def test_errors_say_the_way_out(options, message):
    with pytest.raises(ValueError, match=message):
        kt.plot.sweep(several(), **options)


def test_too_many_panels_are_refused():
    frame = table(["ce_sgl"], range(1, 50))
    with pytest.raises(ValueError, match="panel = 'n' has 49 values: 36 panels at most"):
        kt.plot.sweep(frame, panel="n", x="mean")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("swept") / "rates"
    teachers = [{"family": "zipf", "inputs": 3, "labels": [2, 4]}]
    spec = Spec(name="s", seed=1, n=[2, 8], repeats=50, students=["ce_ful"], teachers=teachers)
    run(spec, path, executor="threads", workers=1, progress=False)
    return path


def command(*words):
    return CliRunner().invoke(sweep_group, [str(word) for word in words])


def test_the_command_writes_a_picture_beside_its_table(folder):
    result = command("plot", folder, "--panel", "labels")
    assert result.output == f"wrote {folder / 'plot.png'}\n"
    assert (folder / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert not pyplot.get_fignums()
    means = load(folder, exact=False).query("labels == 4").sort_values("n")["mean"]
    drawn = kt.plot.sweep(folder, panel="labels")[1].lines[0]
    np.testing.assert_array_equal(drawn.get_ydata(), means)


@pytest.mark.long
def test_the_command_draws_theory_too(folder):
    result = command("plot", folder, "--panel", "labels", "--theory", "paper,exact,minimax", "--out",
                    folder / "p.svg")  # fmt: skip
    assert result.exit_code == 0
    assert (folder / "p.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "which differ in labels: name them as panel or hue, such as --panel labels"),
        (("--hue", "studnt", "--panel", "labels"), "did you mean 'student'?"),
        (("--out", "x.gif"), "--out x.gif: must end in .png, .svg, .pdf"),
        (("--out", "nowhere/x.png"), "the folder nowhere does not exist"),
        (("--panel", "labels", "--theory", "papr"), "did you mean 'paper'?"),
    ],
)
def test_bad_words_exit_with_2_and_write_nothing(folder, words, message):
    before = sorted(folder.iterdir())
    result = command("plot", folder, *words)
    assert result.exit_code == 2
    assert message in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert sorted(folder.iterdir()) == before


def test_a_folder_without_a_sweep_is_refused(tmp_path):
    result = command("plot", tmp_path)
    assert result.exit_code == 2
    assert "holds no sweep" in result.output
