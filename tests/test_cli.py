from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import kt_theory as kt
from kt_theory.cli import main


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


def test_limits_says_which_top_levels_have_no_row():
    size = ["limits", "--inputs", 2, "--labels", 5, "--n", 40]
    assert "top_k(9): left out, as an answer has all labels" in run(*size, "--top", "1,9").output
    assert "left out" not in run(*size, "--top", 1).output
    assert "left out" not in run(*size).output


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "teacher.csv"
    path.write_text("input,yes,no,rho\nq1,0.9,0.1,0.25\nq2,0.3,0.7,0.75\n")
    return path


def test_risk_prints_what_simulate_finds(table, tmp_path):
    result = run(
        "risk", table, "--n", "10,1e2", "--repeats", 500, "--seed", 3, "--csv", tmp_path / "out.csv"
    )
    assert result.exit_code == 0
    written = pd.read_csv(tmp_path / "out.csv")
    expected = kt.simulate(
        kt.Teacher([[0.9, 0.1], [0.3, 0.7]], [0.25, 0.75]), n=[10, 100], repeats=500, seed=3
    ).frame
    np.testing.assert_allclose(written["mean"], expected["mean"], rtol=1e-9)
    assert list(written["student"]) == list(expected["student"])
    np.testing.assert_allclose(
        written.upper_bound[0], 0.5 * np.sqrt(4 / 10) + np.sqrt(2 / 10), rtol=1e-9
    )
    for word in (
        "Teacher(2 inputs, 2 labels",
        "ce_sgl",
        "class upper",
        f"{expected['mean'][0]:.4g}",
    ):
        assert word in result.output


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_risk_draws(table, tmp_path, suffix):
    plot = tmp_path / f"risks{suffix}"
    assert run("risk", table, "--n", "10,100", "--repeats", 50, "--plot", plot).exit_code == 0
    magic = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix]
    assert plot.read_bytes().startswith(magic)


def test_risks_in_several_losses_stand_side_by_side(table, tmp_path):
    words = ["risk", table, "--n", "10,100", "--repeats", 60, "--students", "ce_sgl,laplace"]
    losses = "tv,kl,acceptance"
    result = run(
        *words, "--loss", losses, "--csv", tmp_path / "r.csv", "--plot", tmp_path / "r.svg"
    )
    assert result.exit_code == 0
    written = pd.read_csv(tmp_path / "r.csv")
    assert list(written["loss"]) == 4 * losses.split(",")
    by_loss = written.groupby("loss")["mean"].apply(np.array)
    np.testing.assert_allclose(by_loss["acceptance"], 1 - by_loss["tv"], atol=1e-12)
    assert (
        (written["upper_bound"].notna() == (written["student"] == "ce_sgl"))
        .where(written["loss"] == "tv", written["upper_bound"].isna())
        .all()
    )
    assert "infinite" in result.output
    picture = (tmp_path / "r.svg").read_text(encoding="utf-8")
    assert picture.count('id="axes_') == 3
    alone = run(*words, "--loss", "kl")
    assert "class upper" not in alone.output
    assert "infinite" not in run(*words).output


def test_risk_of_a_text_and_of_logits(tmp_path):
    text = tmp_path / "book.txt"
    text.write_text("the cat sat on the mat and the dog sat on the log " * 5)
    result = run(
        "risk",
        text,
        "--ngram",
        2,
        "--tokens",
        "word",
        "--n",
        50,
        "--repeats",
        50,
        "--students",
        "sel_ptl",
    )
    assert result.exit_code == 0
    assert "Teacher(8 inputs, 8 labels" in result.output
    assert "ce_sgl" not in result.output
    np.save(tmp_path / "z.npy", np.array([[0.0, 3.0]]))
    assert run("risk", tmp_path / "z.npy", "--logits", "--n", 5, "--repeats", 5).exit_code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["risk", "no.csv", "--n", "10"], "no.csv"),
        (["risk", "TABLE", "--n", "-1"], "n = -1: must be at least 0"),
        (["risk", "TABLE", "--n", "2.5"], "n = 2.5: must be a whole number"),
        (["risk", "TABLE", "--n", "1e20"], "must be at most 2^53"),
        (["risk", "TABLE", "--n", "ten"], "n = 'ten': must be whole numbers separated by commas"),
        (["risk", "TABLE", "--n", ""], "n = ''"),
        (["risk", "TABLE", "--n", "10", "--repeats", "1"], "repeats = 1: must be at least 2"),
        (["risk", "TABLE", "--n", "10", "--students", "ce_sgll"], "did you mean 'ce_sgl'?"),
        (
            ["risk", "TABLE", "--n", "10", "--access", "hard", "--students", "ce_ful"],
            "'ce_ful' needs access 'soft'",
        ),
        (["risk", "TABLE", "--n", "10", "--csv", "TABLE"], "is an input of this command"),
        (
            ["risk", "TABLE", "--n", "10", "--csv", "x.svg", "--plot", "x.svg"],
            "x.svg is named twice",
        ),
        (["risk", "TABLE", "--n", "10", "--tokens", "word"], "--tokens word goes with --ngram"),
        (
            ["risk", "TEXT", "--n", "10", "--ngram", "2", "--logits"],
            "--logits and --normalise are for tables",
        ),
        (
            ["risk", "missing.txt", "--n", "10", "--ngram", "2"],
            "missing.txt cannot be read: No such file",
        ),
        (
            ["risk", "TABLE", "--n", "10", "--students", "top_k"],
            "student 'top_k' has parameters: write 'top_k(5)'",
        ),
        (
            ["risk", "TABLE", "--n", "10", "--repeats", "many"],
            "repeats = 'many': must be a whole number",
        ),
        (["risk", "BROKEN", "--n", "10", "--repeats", "1"], "repeats = 1: must be at least 2"),
        (["risk", "TABLE", "--n", "10", "--access", "harder"], "unknown access level 'harder'"),
        (["risk", "TABLE", "--n", "10", "--seed", "-4"], "seed = -4"),
        (["risk", "TABLE", "--n", "10", "--plot", "x.jpeg"], "must end in .png, .svg, .pdf"),
        (
            ["risk", "TABLE", "--n", "10", "--plot", "nowhere/x.png"],
            "the folder nowhere does not exist",
        ),
        (["risk", "TABLE", "--n", "10", "--csv", "."], ". is a folder: give the name of a file"),
        (["risk", "TABLE", "--n", "0", "--plot", "x.png"], "nothing to draw"),
        (["risk", "TABLE", "--n", "10", "--loss", "bogus"], "unknown loss 'bogus'"),
        (["risk", "TABLE", "--n", "10", "--loss", "kl,kl"], "'kl' stands there twice"),
        (["risk", "TABLE", "--n", "10", "--ngram", "0"], "order"),
        (["risk", "TEXT", "--n", "10"], "is a text: give --ngram ORDER"),
        (["risk", "TEXT", "--n", "10", "--ngram", "2", "--tokens", "byte"], "byte"),
        (["risk", "BINARY", "--n", "10", "--ngram", "2"], "is not a UTF-8 text"),
        (
            ["risk", "BROKEN", "--n", "10"],
            "pi row 1 sums to 0.9: must sum to 1; --normalise divides by the sum",
        ),
        (
            ["risk", "NEARLY", "--n", "10", "--normalise"],
            "column 'RHO': names are exact; call it 'rho'",
        ),
        (["reproduce", "--only", "figure3"], "unknown part 'figure3' (did you mean"),
        (["reproduce", "--repeats", "1", "--only", "figure1"], "repeats = 1: must be at least 2"),
        (["reproduce", "--repeats", "0", "--only", "figure1"], "repeats = 0: must be at least 2"),
        (["reproduce", "--out", "TABLE"], "teacher.csv"),
    ],
)
def test_bad_input_is_one_line_and_status_2(words, message, table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("abc abc")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "broken.csv").write_text("a,b\n0.5,0.5\n0.5,0.4\n")
    (tmp_path / "nearly.csv").write_text("a,b,RHO\n0.5,0.5,0.5\n0.5,0.5,0.5\n")
    names = {
        "NEARLY": "nearly.csv",
        "TABLE": "teacher.csv",
        "TEXT": "text.txt",
        "BINARY": "binary.txt",
        "BROKEN": "broken.csv",
    }
    before = sorted(p.name for p in tmp_path.iterdir())
    result = run(*[names.get(word, word) for word in words])
    assert result.exit_code == 2, result.output
    errors = result.stderr.strip().splitlines()
    assert len(errors) == 1, errors
    assert message in errors[0]
    assert not result.stdout
    made = {p.name for p in tmp_path.iterdir()} - set(before)
    assert all((tmp_path / name).is_dir() and not any((tmp_path / name).iterdir()) for name in made)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folders_without_permission(table, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert run("risk", table, "--n", 10, "--csv", locked / "x.csv").exit_code == 2
    assert run("reproduce", "--out", locked / "figures").exit_code == 2


SINGLE = [name for name, command in main.commands.items() if not isinstance(command, click.Group)]


@pytest.mark.parametrize("command", [(), *((name,) for name in SINGLE)])
def test_help_has_an_example_and_fits(command):
    result = run(*command, "--help")
    assert result.exit_code == 0
    if command:
        assert "Example: kt-theory " + command[0] in result.output
        subcommand = main.commands[command[0]]
        for parameter in subcommand.params:
            assert isinstance(parameter, click.Argument) or parameter.help
    assert max(map(len, result.output.splitlines())) <= 110


def test_the_console_script_runs(table):
    script = Path(sys.executable).parent / "kt-theory"
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"kt-theory, version {kt.__version__}"


def test_the_default_students_are_those_that_the_access_allows(table):
    result = run("risk", table, "--n", 10, "--repeats", 20, "--access", "partial")
    assert result.exit_code == 0
    assert "sel_ptl" in result.output
    assert "ce_ful" not in result.output


@pytest.mark.parametrize(
    ("access", "names"),
    [
        ("argmax", "argmax argmax_hedged"),
        ("top_k_only(1)", "argmax argmax_hedged"),
        ("non_target", "ce_sgl non_target"),
        ("top_k(2)", "ce_sgl ce_ptl sel_ptl"),
        ("logits", "ce_sgl ce_ptl sel_ptl ce_ful"),
    ],
)
def test_levels_beside_the_papers_have_default_students(table, access, names):
    result = run("risk", table, "--n", 10, "--repeats", 20, "--access", access)
    assert result.exit_code == 0, result.output
    assert {line.split()[1] for line in result.output.splitlines()[2:]} == set(names.split())


@pytest.mark.parametrize(
    "name", ["$\\frac{$.csv", "x" * 120 + ".csv", "mod\u00e8le \u6a21\u578b.csv"]
)
def test_pictures_bear_any_file_name(table, tmp_path, name):
    (tmp_path / name).write_text(table.read_text())
    result = run("risk", tmp_path / name, "--n", 10, "--repeats", 20, "--plot", tmp_path / "p.png")
    assert result.exit_code == 0, result.output


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    from kt_theory import output

    path = tmp_path / "table.csv"
    path.write_text("before")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(output.os, "replace", full)
    with pytest.raises(OSError, match=r"table.csv was not written: the disk is full"):
        output.write_bytes(path, b"after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_pictures_ignore_the_users_matplotlib_settings(tmp_path):
    import matplotlib as mpl

    from kt_theory import figures

    def picture(path):
        with figures.style():
            figure, grid = figures.canvas(1, 1, 3, 2)
            figures.title(grid[0, 0], "a $title", "note")
            return figures.write(figure, path).read_bytes()

    plain = picture(tmp_path / "a.png")
    with mpl.rc_context(
        {"figure.facecolor": "black", "savefig.facecolor": "black", "font.size": 30}
    ):
        assert picture(tmp_path / "b.png") == plain


def test_interrupt_and_closed_pipe(table):
    command = [
        sys.executable,
        "-m",
        "kt_theory",
        "risk",
        str(table),
        "--n",
        "10",
        "--repeats",
        "50",
    ]
    done = subprocess.run(
        f"{' '.join(command)} | head -n 1", shell=True, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Teacher(")
    assert done.stderr == ""
