"""The examples run, and the page of numbers says what they print."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import channels
import digits
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from command_words import read

import kt_theory as kt
from kt_theory.cli import main

ROOT = Path(__file__).parent.parent
PAGES = {
    name: (ROOT / "docs" / name).read_text(encoding="utf-8")
    for name in ("access-levels.md", "channels.md")
}
PAGE = PAGES["access-levels.md"]
EVERYTHING = "\n".join(PAGES.values())


def printed(script, *words):
    command = [sys.executable, str(ROOT / "examples" / script), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def quoted(name):
    (text,) = re.findall(rf"<!-- {name} -->\n(.*?)<!-- end -->", EVERYTHING, re.S)
    return text.strip()


def table_of_digits():
    return [row[0] for row in cells(quoted("digits"))], cells(quoted("digits"))[2:]


@pytest.mark.long
def test_digits(tmp_path):
    found, (names, claimed) = cells(printed("digits.py", "--out", tmp_path)), table_of_digits()
    assert [row[0] for row in found] == names
    for mine, page in zip(found[2:], claimed, strict=True):
        assert numbers(mine) == pytest.approx(
            numbers(page), rel=0.05, abs=1e-5, nan_ok=True
        )  # the fit varies by machine
    assert (tmp_path / "digits.png").stat().st_size > 10_000


def test_digits_of_few_queries(monkeypatch):
    """The means of 8 transfer sets are within 2 % of those of many: a set has 1,797 rows."""
    monkeypatch.setattr(digits, "TIMES", (1,))
    found, (names, claimed) = digits.risks(repeats=8), table_of_digits()
    assert list(found["one query returns"]) == names[2:]
    mine = found[["n = 1 S", "in the limit"]].to_numpy(dtype=float)
    page = [[numbers(row)[0], numbers(row)[3]] for row in claimed]
    assert mine == pytest.approx(np.array(page), rel=0.05, abs=4e-4, nan_ok=True)


@pytest.mark.parametrize(
    ("name", "means"),
    [
        *((name, ["mean"]) for name in ("channels", "figure1", "figure2")),
        ("digits", ["n = 1 S", "n = 10 S", "n = 100 S"]),
    ],
)
def test_tables_of_risks_have_intervals(name, means):
    table = pd.read_csv(ROOT / "figures" / f"{name}.csv")
    for mean in means:
        own = "" if mean == "mean" else f"{mean}: "
        low, high = table[f"{own}low"], table[f"{own}high"]
        assert (low <= table[mean]).all()
        assert (table[mean] <= high).all()
        assert (low < high).any()
        kinds = set(table[f"{own}interval"])
        assert kinds <= {"normal", "bernstein", "clopper-pearson"}
    if "std_error" in table:
        # Student's quantile is that of the normal law or more; an error of 1e-10 is none of digits.
        sure = table[(table["interval"] == "normal") & (table["std_error"] > 1e-8)]
        half = (sure["high"] - sure["low"]) / 2 / sure["std_error"]
        assert ((half > 1.959) & (half < 2.2)).all()


def cells(table):
    return [
        [cell.strip() for cell in line.strip("| ").split("|")]
        for line in table.strip().splitlines()
    ]


def numbers(row):
    return [float("nan") if cell == "-" else float(cell) for cell in row[1:]]


@pytest.mark.long
def test_bigram():
    assert quoted("bigram") in printed("bigram.py", ROOT / "LICENSE")


def test_what_the_page_says_of_the_bigram():
    rows = {row[0]: row for row in cells(quoted("bigram"))[2:]}
    queries, cost = ([float(rows[name][i].split(", the")[0].replace(",", "")) for name in ("soft", "partial")]
                     for i in (1, 2))  # fmt: skip
    assert 10 < cost[0] / cost[1] < 12, "more than ten times as much"
    assert 0.75 < queries[0] / queries[1] < 0.85, "a fifth of the queries"


def test_the_floors_of_the_digits_are_those_of_the_table():
    floors = {row[0]: float(row[4]) for row in cells(quoted("digits"))[2:] if row[4] not in "-0"}
    three = (
        floors["all, rounded to 0.5 in log"],
        floors["all, to 4 bits"],
        floors["all, at temperature 2, taken for 1"],
    )
    assert "Here they cost {:.3f}, {:.2g} and {:.2f}:".format(*three) in PAGE


def test_transcripts(tmp_path):
    assert quoted("transcripts") in printed("transcripts.py", "--out", tmp_path)


@pytest.mark.long
def test_the_plan_of_the_worst_case():
    plan = kt.plan(inputs=1000, labels=50, tv=0.05, top_only=(5,)).set_index("access")
    rows = re.findall(
        r"^\| (\w+(?:\(5\)|\(1\))?) \|.*\| ([\d,]+|-) \| ([\d,]+|impossible) \|$", PAGE, re.M
    )
    assert {name for name, *_ in rows} == set(plan.index)
    for name, lower, n in rows:
        if n == "impossible":
            assert plan.isna().loc[name, "n"]
        else:
            assert (int(lower.replace(",", "")), int(n.replace(",", ""))) == tuple(
                plan.loc[name, ["lower", "n"]]
            )
    n = plan["n"]
    assert f"worth a factor of {n['hard'] / n['partial']:.0f} here" in PAGE
    assert 0.09 <= 1 - n["top_k(5)"] / n["partial"] <= 0.11, "The top five save a tenth"
    assert f"leaves TV {kt.samples_needed('top_k_only', 1000, 50, 0.05, k=5).floor:.2f}" in PAGE


def assert_quoted(name, table):
    found, claimed = cells(table), cells(quoted(name))
    assert [row[0] for row in found] == [row[0] for row in claimed]
    for mine, page in zip(found[2:], claimed[2:], strict=True):
        assert numbers(mine) == pytest.approx(numbers(page), rel=0.01, abs=1e-5)


@pytest.mark.long
def test_channels(tmp_path):
    tables = printed("channels.py", "--out", tmp_path).strip().split("\n\n")
    for name, table in zip(("answers", "knowledge", "floors", "generations"), tables, strict=True):
        assert_quoted(name, table)
    assert (tmp_path / "channels.png").stat().st_size > 10_000


@pytest.mark.long
def test_channels_of_few_queries():
    once = channels.TEACHER.inputs
    students = list(channels.answers().values())
    frame = kt.simulate(channels.TEACHER, students, n=once, repeats=40, seed=0).frame
    claimed = cells(quoted("answers"))[2:]
    assert list(frame["mean"]) == pytest.approx([numbers(row)[0] for row in claimed], rel=0.05)


def test_knowledge_and_floors_of_channels():
    claimed = cells(quoted("answers"))[2:]
    assert [row[0] for row in claimed] == list(channels.answers())
    assert_quoted("knowledge", channels.table_of_knowledge())
    assert_quoted("floors", channels.table_of_floors())


def test_every_row_of_the_page_can_be_called_as_it_stands():
    """All code of the second column runs, on a teacher of 4 inputs and 3 labels."""
    teacher = kt.teachers.dirichlet(inputs=4, labels=3, alpha=1.0, seed=0)
    points, even = np.random.default_rng(0).normal(size=(4, 2)), np.full((4, 4), 0.25)
    names = {
        "kt_theory": importlib.import_module("kt_theory.limits.groups") and kt,
        "np": np,
        "S": 4,
    }
    names |= {
        room: getattr(kt, room)
        for room in ("students", "generations", "compression", "queries", "graphs", "access")
    }
    names |= {
        "teacher": teacher,
        "truth": teacher,
        "pi": teacher.pi,
        "table": teacher.pi,
        "row": teacher.pi[0],
    }
    names |= {
        "H": points,
        "X": points,
        "features": points[:, None],
        "targets": "hard",
        "graph": kt.graphs.path(4),
    }
    names |= {
        "D": np.linalg.norm(points[:, None] - points, axis=2),
        "moments": teacher.pi.T @ points / 4,
        "weight": 2.0,
    }
    names |= {
        "student": "ce_sgl",
        "mask": teacher.pi > 0.0,
        "groups": [0, 0, 1, 1],
        "weights": np.full(4, 0.25),
        "following": [[0, 1, 2]] * 4,
        "restart": 0.1,
        "rate": 0.1,
        "matrix": np.full((3, 3), 0.2) + 0.4 * np.eye(3),
    }
    names |= {
        "tables": np.broadcast_to(teacher.pi, (4, 4, 3)),
        "q": even[0],
        "start": even[0],
        "transitions": even,
    }
    names |= dict(alpha=0.1, T=2.0, sigma=1.0, m=2, n=5, N=9, k=2, g=2, r=2, bits=3, horizon=2)
    rows = (
        PAGES["channels.md"]
        .split("## All of them")[1]
        .split("## What an answer")[0]
        .split("|---|")[-1]
    )
    column = [row[1] for row in cells(rows) if len(row) == 3]
    assert len(column) == 31
    for code in re.findall("`([^`]+)`", "\n".join(column)):
        value = eval(code, names)
        if isinstance(value, str):
            assert value in kt.students.NAMED


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", EVERYTHING, re.S))
def test_code(code, capsys):
    exec(compile(code, "docs", "exec"), {"__name__": "page"})
    assert capsys.readouterr().out


COMMANDS = re.findall(r"^\$ kt-theory (.*)$", PAGE, re.M)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_words_of_commands_are_known(command):
    assert read(main, command.split())


@pytest.mark.long
@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command):
    result = CliRunner().invoke(main, command.split(), catch_exceptions=False)
    assert result.exit_code == 0, result.output


def test_links():
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", EVERYTHING):
        assert (ROOT / "docs" / link).exists(), link


@pytest.mark.long
def test_text(tmp_path):
    """The tables of the page; counts of tokens vary with SciPy's version."""
    page = (ROOT / "docs" / "sequences.md").read_text(encoding="utf-8").split("## Real text")[1]
    found = in_tables(printed("text.py", "--out", tmp_path))
    claimed = in_tables(page)
    assert found[0] == claimed[0]
    assert found[1] == pytest.approx(claimed[1], rel=0.03, abs=0.01)
    assert (tmp_path / "sequences.png").stat().st_size > 10_000


def in_tables(text):
    """The words and the numbers of all lines of tables."""
    lines = "\n".join(line for line in text.splitlines() if line.startswith("|"))
    number = r"\d+(?:\.\d+)?"
    return re.sub(number, "", lines), [float(each) for each in re.findall(number, lines)]


def test_text_of_a_few_files(tmp_path, monkeypatch):
    """A small corpus, teacher, dump and all copies; two tokens are better than one, which is above
    its floor."""
    import text

    monkeypatch.setattr(text, "FOLDER", text.FOLDER / "constants")
    for name, value in {"TEXTS": 20, "LENGTH": 30, "LISTED": 16, "AT_ONCE": 7}.items():
        monkeypatch.setattr(text, name, value)
    texts, names = text.corpus()
    assert sum(map(len, texts)) > 5000
    teacher = text.teacher_of(texts, len(names))
    dump = text.write_dump(teacher, text.written(teacher), tmp_path / "dump.parquet")
    assert dump.labels == len(names)
    assert sum(map(len, dump.blocks())) == 600
    frame = text.copies(dump)
    assert (frame["tv_low"] <= frame["tv_high"]).all()
    assert (frame["tokens_low"] <= frame["tokens_high"]).all()
    assert frame["floor_low"].between(0, frame["tv_high"]).all()
    assert text.draw(frame, tmp_path / "picture.png").stat().st_size > 10_000
    assert text.of_copies(frame).count("\n") == 7
