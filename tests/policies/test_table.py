"""The table of policies: what is cheapest, what it says in words, its picture and its files."""

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from matplotlib.text import Text
from policies.oracle import top_of

import kt_theory as kt
from kt_theory.cli.main import main
from kt_theory.policies import figure, storage
from kt_theory.policies.state import FILE


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(4).dirichlet(np.full(200, 0.1), size=50)


@pytest.fixture(scope="module")
def usual(rows):
    return storage(kt.Dump.from_arrays(rows, kind="probabilities"), tv=0.05)


def test_inputs_of_a_teacher_count_by_rho(rows):
    rho = np.random.default_rng(1).dirichlet(np.ones(50))
    rho[:5] = 0.0
    rho /= rho.sum()
    found = storage(kt.Teacher(rows, rho), "renormalised(9), sampled(20)").frame
    lost = np.sort(rows, axis=1)[:, :-9].sum(axis=1)
    assert found["tv"][0] == pytest.approx(rho @ lost, rel=1e-12)
    assert found["tv_max"][0] == pytest.approx(lost[5:].max(), rel=1e-12)
    order = np.argsort(lost)
    exact = lost[order][np.searchsorted(np.cumsum(rho[order]), 0.95)]
    assert found["tv_q95"][0] == pytest.approx(exact, rel=1e-12)


def test_the_cheapest_has_the_fewest_bytes_of_those_that_reach_the_goal(usual):
    frame = usual.frame
    reached = frame[frame["tv_upper"] <= 0.05]
    best = reached["bytes"].min()
    assert frame.set_index("policy").loc[usual.cheapest, "bytes"] == best
    assert usual.cheapest in str(usual)
    assert storage(kt.Teacher([[0.6, 0.4]]), "renormalised(1)", tv=0.1).cheapest is None


def test_nothing_on_the_frontier_is_undercut(usual):
    frame = usual.frame.set_index("policy")
    for name in usual.frontier:
        better = (frame["bytes"] <= frame["bytes"][name]) & (
            frame["tv_upper"] < frame["tv_upper"][name]
        )
        assert not better.any()
    for name in set(frame.index) - set(usual.frontier):
        row = frame.loc[name]
        assert ((frame["bytes"] <= row["bytes"]) & (frame["tv_upper"] <= row["tv_upper"])).sum() > 1


def test_words_come_first_and_say_what_people_lose(usual):
    lines = str(usual).splitlines()
    row = usual.frame.set_index("policy").loc["renormalised(50)"]
    assert lines[1].startswith("renormalised(50) (")
    assert f"loses TV {row['tv']:.4g} on average" in lines[1]
    assert f"{1.0 - row['tv']:.4g} of a student's drafts" in lines[1]
    assert lines[2].startswith("The cheapest that loses at most TV 0.05")


def test_words_say_what_is_hidden_and_what_is_taken_for_granted(rows):
    listed = str(storage(top_of(rows, 20)))
    assert "The dump hides a mass of" in listed
    assert "hold for every way" in listed
    dump = top_of(rows, 20)
    reading = kt.dumps.kinds.Reading(labels=200, renormalised=True, granted="the moon is round")
    text = str(storage(kt.Dump(dump.parts, reading)))
    assert "numbers are those of the renormalised teacher" in text
    assert "Taken for granted: the moon is round." in text
    assert "hides" not in text


def test_words_say_when_drawing_pays():
    """The fewest visits after which frequencies lose less, found by trying all."""
    row = np.arange(1.0, 101.0) ** -1.2
    teacher = kt.Teacher(row[None] / row.sum())
    found = storage(teacher, "sampled(6)")
    visits = found.crossing.visits
    rival = storage(teacher, found.crossing.rival).frame.iloc[0]
    after = [storage(teacher, "sampled(6)", visits=m).frame["tv"][0] for m in range(1, visits + 1)]
    assert all(loss >= rival["tv"] for loss in after[:-1])
    assert after[-1] < rival["tv"]
    assert rival["bytes"] <= found.frame["bytes"][0]
    assert f"from {visits:,} visits of each context on" in str(found)
    sure = str(storage(kt.Teacher([[0.9, 0.1]]), "sampled(3)"))
    assert "sampled(3)" in sure


def test_labels_of_the_picture_lie_apart_and_inside(usual):
    axes = usual.plot()
    renderer = axes.figure.canvas.get_renderer()
    boxes = [Text.get_window_extent(note, renderer) for note in axes.texts]
    assert {note.get_text().split(":")[0] for note in axes.texts} >= set(usual.frontier)
    room = axes.get_window_extent(renderer)
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])
        assert room.x0 - 1 <= box.x0
        assert box.x1 <= room.x1 + 1
    assert axes.get_xscale() == axes.get_yscale() == "log"
    heights = np.concatenate([line.get_ydata() for line in axes.lines if len(line.get_ydata())])
    assert heights[heights > 0].min() >= axes.get_ylim()[0]


def test_every_kind_has_a_look_of_its_own():
    looks = list(figure._KINDS.values())
    for column in range(3):
        assert len({look[column] for look in looks}) == len(looks) == 7


@pytest.fixture
def logits(rows, tmp_path):
    path = tmp_path / "logits.npy"
    np.save(path, np.log(rows + 1e-9).astype(np.float32) + 3.0)
    return str(path)


def test_the_command_writes_what_it_prints(logits, tmp_path):
    out = tmp_path / "found"
    asked = ["storage", logits, "--tv", "0.05", "--policies", "even_tail(20),sampled(9)"]
    ran = CliRunner().invoke(main, [*asked, "--out", str(out)])
    assert ran.exit_code == 0, ran.output
    frame = pd.read_parquet(out / "storage.parquet")
    assert frame["policy"].tolist() == ["even_tail(20)", "sampled(9)"]
    pd.testing.assert_frame_equal(
        pd.read_csv(out / "storage.csv"), frame, rtol=1e-9, check_dtype=False
    )
    assert (out / "storage.png").read_bytes().startswith(b"\x89PNG")
    assert f"TV {frame['tv'][0]:.4g}" in ran.output
    again = CliRunner().invoke(main, [*asked, "--out", str(out)])
    assert again.output == ran.output
    other = CliRunner().invoke(main, [*asked, "--visits", "3", "--out", str(out)])
    assert other.exit_code == 2
    assert FILE in other.output


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--policies", "foo(3)"], "unknown policy 'foo'"),
        (["--policies", "renormalised(0)"], "k = 0: must be at least 1"),
        (["--policies", "renormalised(200)"], "k must be below the number of labels, 200"),
        (["--policies", "sampled(0)"], "N = 0: must be at least 1"),
        (["--policies", "quantised(40)"], "b = 40: must be at most 30"),
        (["--policies", "rounded(0)"], "d = 0: must be a finite number above 0"),
        (["--tv", "1"], "--tv = 1.0: must lie strictly between 0 and 1"),
        (["--visits", "0"], "visits = 0: must be at least 1"),
        (["--executor", "moon"], "must be one of threads, processes"),
    ],
)
def test_bad_input_is_a_line_and_writes_nothing(logits, tmp_path, options, says):
    out = tmp_path / "found"
    ran = CliRunner().invoke(main, ["storage", logits, *options, "--out", str(out)])
    assert ran.exit_code == 2
    assert says in ran.output
    assert len(ran.output.splitlines()) == 1
    assert not out.exists()


def test_a_folder_that_is_a_file_is_refused(logits):
    ran = CliRunner().invoke(main, ["storage", logits, "--out", logits])
    assert ran.exit_code == 2
    assert "is not a folder" in ran.output
