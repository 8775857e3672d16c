"""Every command and example of the README runs."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from pathlib import Path

import pages
import pandas as pd
import pytest
from click.testing import CliRunner
from command_words import read
from grids import few_quick

import kt_theory as kt
from kt_theory.cli import main
from kt_theory.limits.bias import largest_bias

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = pages.blocks(README, "python")
COMMANDS = pages.commands(README)


def test_the_readme_has_examples():
    assert len(PYTHON) >= 2
    assert len(COMMANDS) >= 4


@pytest.mark.parametrize("code", PYTHON)
def test_python_examples(code, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("readme")
    (path / "README.md").write_text(README, encoding="utf-8")
    (spec,) = pages.blocks(README, "toml")
    (path / "rates.toml").write_text(spec)
    (records,) = [code for code in PYTHON if "answers.jsonl" in code]
    with contextlib.chdir(path):
        exec(compile(records, "README.md", "exec"), {"__name__": "readme"})
    write_batch(path)
    return path


def write_batch(path):
    """A Batch of the OpenAI API: each of five questions asked eight times."""
    requests, answers = [], []
    for i in range(40):
        body = {
            "model": "m",
            "messages": [{"role": "user", "content": f"q{i % 5}"}],
            "temperature": 1,
            "logprobs": True,
        }
        requests.append(
            {"custom_id": f"r{i}", "method": "POST", "url": "/v1/chat/completions", "body": body}
        )
        token = {"token": "yes", "logprob": -0.1, "top_logprobs": []}
        choice = {
            "message": {"content": "yes"},
            "finish_reason": "stop",
            "logprobs": {"content": [token]},
        }
        answer = {
            "status_code": 200,
            "body": {"object": "chat.completion", "model": "m", "choices": [choice]},
        }
        answers.append({"id": f"b{i}", "custom_id": f"r{i}", "response": answer, "error": None})
    for name, lines in (("batch_input.jsonl", requests), ("batch_output.jsonl", answers)):
        (path / name).write_text("".join(json.dumps(line) + "\n" for line in lines))


SLOW = [
    "kt-theory plan --inputs 100",
    "kt-theory limits --inputs 100",
    "kt-theory reproduce --only",
    "kt-theory risk README.md --ngram",
]
"""Commands of which the quick suite reads the words alone; others like them run elsewhere."""


@pytest.mark.parametrize("command", [each for each in COMMANDS if "--help" not in each])
def test_the_words_of_commands_are_known(command, folder, monkeypatch):
    monkeypatch.chdir(folder)
    program, *words = shlex.split(command)
    assert program == "kt-theory"
    assert read(main, words)


@pytest.mark.parametrize(
    "command", few_quick(COMMANDS, [each for each in COMMANDS if not each.startswith(tuple(SLOW))])
)
def test_commands(command, folder, monkeypatch):
    monkeypatch.chdir(folder)
    words = shlex.split(command)
    result = CliRunner().invoke(main, words[1:], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    for option in ("--csv", "--plot"):
        if option in words:
            assert (folder / words[words.index(option) + 1]).stat().st_size > 100


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:^|`)make (\w[\w-]*)", README, re.M):
        assert f"\n{target}: " in makefile, target


def test_files_that_it_links_to_exist():
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        assert (ROOT / link).exists(), link


def test_numbers_quoted_from_elsewhere():
    text = " ".join(README.split())
    worst = [largest_bias(labels)[0] for labels in (2, 25)]
    assert f"can stay at {worst[0]:.2f} with two labels and at {worst[1]:.2f} with 25" in text
    draft = kt.acceptance(0.2)
    found = f"{draft.tokens_per_round.value:.2f} tokens per round, {draft.speed_up.value:.1f} times"
    assert found in text
    results = (ROOT / "benchmarks" / "results.md").read_text()
    measured = {
        section.partition("\n")[0].rpartition(", ")[2]: float(
            re.findall(r"Geometric mean of batched / engine: \*\*([\d.]+)\*\*", section)[0]
        )
        for section in results.split("\n## ")[1:]
    }
    (claimed,) = re.findall(r"it is (\d+) times as fast as batched NumPy", text)
    assert 0.9 * min(measured.values()) <= int(claimed) <= min(measured.values())
    for vectors in measured:
        assert vectors in text, "the claim does not name the processor"
    first = re.findall(r"first result, nothing compiled yet \| ([\d.]+)", results)
    low, high = re.findall(r"compiles its kernels for (\d+) to (\d+) seconds", text)[0]
    assert int(low) <= min(map(float, first)) <= int(high)


def test_measured_slopes_are_those_of_the_committed_table():
    text = " ".join(README.split())
    table = pd.read_csv(ROOT / "figures" / "table1.csv").set_index("student")
    many, one = table.loc["ce_sgl", "measured"]
    assert f"With one input the slope is {one:.3f} here" in text
    assert f"n from 1,000 to 10,000 gives {many:.3f}" in text
    plateau = table.loc["ce_ptl"]
    assert (
        f"flattens at {plateau['measured']:.3f} for n = 2,500, its limit is {plateau['theory']:.4f}"
        in text
    )
