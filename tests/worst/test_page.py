"""docs/worst-teachers.md and docs/own-students.md: their code runs and prints what stands there."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from kt_theory.cli import main

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = (DOCS / "worst-teachers.md").read_text(encoding="utf-8")
OWN = (DOCS / "own-students.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```\n\n```output\n(.*?)```", PAGE, re.S)
COMMANDS = [
    line[2:]
    for block in re.findall(r"```console\n(.*?)```", OWN, re.S)
    for line in block.splitlines()
]


@pytest.mark.parametrize("place", [pytest.param(0, marks=pytest.mark.long), pytest.param(1)])
def test_examples_print_what_stands_there(place, capsys):
    code, printed = EXAMPLES[place]
    exec(compile(code, "worst-teachers.md", "exec"), {"__name__": "page"})
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(
    "command",
    [pytest.param(line, marks=[] if "check" in line else pytest.mark.long) for line in COMMANDS],
)
def test_commands_with_a_student_of_ones_own(command, tmp_path, monkeypatch):
    name = f"rules_{COMMANDS.index(command)}"
    (rules,) = re.findall(r"```python\n(.*?)```", OWN, re.S)
    (spec,) = re.findall(r"```toml\n(.*?)```", OWN, re.S)
    (tmp_path / f"{name}.py").write_text(rules, encoding="utf-8")
    (tmp_path / "own.toml").write_text(spec.replace("rules:", f"{name}:"), encoding="utf-8")
    (tmp_path / "teacher.csv").write_text("yes,no,maybe\n0.6,0.3,0.1\n", encoding="utf-8")
    answers = '{"input": "q", "label": "yes"}\n{"input": "q", "label": "no"}\n' * 3
    (tmp_path / "answers.jsonl").write_text(answers, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command.replace("rules:", f"{name}:"))[1:]
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert f"{name}:laplace" in result.output
    if "check" in command:
        assert f"imported from {tmp_path / name}.py" in result.output.replace("\n", " ")
