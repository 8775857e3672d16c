"""docs/sweep-format.md and the code know the same keys, and its examples are as it says."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

import numpy as np
import pages
import pandas as pd
import pytest
from click.testing import CliRunner

from kt_theory import catalogue
from kt_theory.catalogue.names import STUDENTS
from kt_theory.cli import main
from kt_theory.losses import LOSSES
from kt_theory.sweep import Spec, recipes
from kt_theory.sweep.expressions import FUNCTIONS, evaluate
from kt_theory.sweep.spec import KEYS

PAGE = (Path(__file__).parents[2] / "docs" / "sweep-format.md").read_text(encoding="utf-8")
EXAMPLES = pages.blocks(PAGE, "toml")
SMALLEST = EXAMPLES[0]


def rows(heading):
    """The rows of the first table under a heading, each a list of cells."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = re.search(r"(?:^\|.*\n)+", section, re.M)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def plain(cell):
    return cell.strip().strip("`")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("format")
    (path / "teacher.csv").write_text("a,b\n0.5,0.5\n0.25,0.75\n")
    (path / "book.txt").write_text("the cat sat on the mat")
    (path / "edges.csv").write_text("0,1\n1,2\n")
    np.save(path / "mask.npy", np.ones((6, 4), dtype=np.int64))
    np.save(path / "features.npy", np.eye(6))
    np.save(path / "distances.npy", 1.0 - np.eye(6))
    np.save(path / "groups.npy", np.arange(6))
    prior = pd.DataFrame(np.full((6, 4), 0.25), columns=list("abcd"))
    prior.to_parquet(path / "prior.parquet")
    return path


def test_every_key_is_in_the_page_and_every_key_of_the_page_is_accepted():
    table = rows("Keys")
    assert [plain(row[0]) for row in table] == list(KEYS)
    smallest = tomllib.loads(SMALLEST)
    for row in table:
        key, default, example = plain(row[0]), row[2], tomllib.loads(plain(row[4]))
        document = {**smallest, **example}
        if key in ("target_se", "max_repeats"):
            del document["repeats"]
            document = {"target_se": 0.1, "max_repeats": 100, **document}
        assert list(example) == [key]
        assert Spec(**document).cells
        if default.startswith("required"):
            with pytest.raises(ValueError, match=r"is missing|no repeats given"):
                Spec(**{name: value for name, value in smallest.items() if name != key})


def test_every_parameter_of_every_family_is_in_the_page():
    told = {(plain(f), plain(p)): (kind, default) for f, p, kind, default, *_ in rows("Teachers")}
    found = {}
    for family in recipes.FAMILIES:
        for name, parameter in recipes.parameters(family).items():
            if name != "n":
                found[family, name] = (recipes.kind_of(family, name), said(parameter))
    assert told == found
    moving = [f for f in recipes.FAMILIES if "n" in recipes.parameters(f)]
    assert sorted(set(re.findall(r"^\| `(\w+)` .*moves with the n", PAGE, re.M))) == moving


def said(parameter: inspect.Parameter):
    default = parameter.default
    if default is parameter.empty:
        return "required"
    if isinstance(default, str):
        return f'`"{default}"`'
    return str(default).lower()


def test_every_student_is_in_the_page_with_its_parameters(folder):
    table = {plain(row[0]): row for row in rows("Students")}
    assert list(table) == list(STUDENTS)
    for name, (_, parameters, example) in table.items():
        known = STUDENTS[name].parameters
        assert re.findall(r"`(\w+)`: ", parameters) == [each.name for each in known]
        assert all(f"`{each.name}`: {each.domain}" in parameters for each in known)
        assert catalogue.student_recipe(plain(example), folder)["name"] == name


def test_functions_and_losses_are_in_the_page():
    (sentence,) = re.findall(r"An expression may use .*?\. A whole", PAGE, re.S)
    assert set(re.findall(r"`(\w{3,5})`", sentence)) == set(FUNCTIONS)
    assert evaluate("min(n, 2) + max(1, 3) ** 2 // 2", {"n": 5}) == 6
    (losses,) = [row[3] for row in rows("Keys") if plain(row[0]) == "loss"]
    assert re.findall(r"`(\w+)`", losses) == list(LOSSES)


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: text.split('"')[1])
def test_every_example_passes_the_check(text, folder, monkeypatch):
    path = folder / "spec.toml"
    path.write_text(text)
    result = CliRunner().invoke(main, ["sweep", "check", str(path)])
    assert result.exit_code == 0, result.output
    assert "0 of them not defined" in result.output


def test_axes_that_move_together_are_as_many_as_it_says(folder):
    (text,) = [each for each in EXAMPLES if '"together"' in each]
    spec = Spec(**tomllib.loads(text))
    assert "3 x 2 teachers" in PAGE
    assert len(spec.cells) == 3 * 2


@pytest.mark.parametrize(("old", "new", "message"), rows("Errors"))
def test_errors_are_as_it_says(old, new, message, tmp_path):
    path = tmp_path / "spec.toml"
    assert plain(old) in SMALLEST
    written = "\n".join(plain(part) for part in new.split(" and "))
    path.write_text(SMALLEST.replace(plain(old), written))
    result = CliRunner().invoke(main, ["sweep", "check", str(path)])
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
