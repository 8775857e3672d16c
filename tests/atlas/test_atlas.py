"""The atlas: nothing that has a name is left out, laws are fitted as they say, and what disagrees is
found."""

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from kt_theory import catalogue
from kt_theory.atlas import coverage as measured
from kt_theory.atlas import grid, page
from kt_theory.atlas import make as making
from kt_theory.atlas.laws import NEWS, fit_law, laws
from kt_theory.cli.main import main

N = np.array(grid.SAMPLES, dtype=float)


def test_every_student_level_and_objective_is_in_the_atlas(tmp_path):
    found = grid.specs(tmp_path, 2, 0)
    recipes = [one.recipe for spec in found.values() for one in spec.students]
    assert {recipe["name"] for recipe in recipes} == set(catalogue.STUDENTS)
    objectives = [one["objective"] for one in recipes if one["name"] == "minimiser"]
    assert {one.partition("(")[0] for one in objectives} == set(catalogue.OBJECTIVES)
    own = {entry.student for entry in catalogue.LEVELS.values()}
    assert own <= {recipe["name"] for recipe in recipes}
    sizes = {
        (cell.teacher_name, cell.teacher.get("inputs"), cell.teacher.get("labels"))
        for spec in found.values()
        for cell in spec.cells
    }
    assert len(sizes) == 2 * len(grid.SIZES) + len(grid.SIZES) + 1  # the affine ones are files
    assert not [cell for spec in found.values() for cell in spec.cells if cell.undefined]


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("floor", [0.0, 0.2])
def test_laws_are_found_within_their_intervals(floor, exponent):
    """95 % intervals of 300 noisy curves hold the truth in at least 88 % of them: fewer than that
    with probability below 10^-6 (binomial)."""
    rng = np.random.default_rng(8)
    truth = floor + 0.7 * (N / N[0]) ** -exponent
    error = np.full(len(N), 0.004)
    held = np.zeros((300, 2), dtype=bool)
    for i in range(300):
        law = fit_law(N, truth + rng.normal(size=len(N)) * error, error)
        held[i, 0] = law.floor_low <= floor <= law.floor_high
        held[i, 1] = law.exponent_low <= exponent <= law.exponent_high
    assert (held.mean(axis=0) >= 0.88).all()
    exact = fit_law(N, truth, 1e-6 * truth)
    assert exact.exponent == pytest.approx(exponent, abs=0.006)
    assert exact.floor == pytest.approx(floor, abs=1e-3)


def test_a_curve_without_a_fall_has_a_floor_alone():
    law = fit_law(N, np.full(len(N), 0.3), np.full(len(N), 1e-3))
    assert law.floor == pytest.approx(0.3, abs=1e-6)
    assert np.isnan(law.exponent)


def curve(**changes):
    columns = {"teacher": "zipf", "inputs": 3, "labels": 4, "student": "one", "access": "hard"}
    risk = 0.1 + (N / N[0]) ** -0.5 / 2
    columns |= {"n": N, "mean": risk, "std_error": 0.001, "exact": risk, "repeats": 500}
    columns |= {"q05": 0.5 * risk, "q95": 2 * risk, "limit": 0.1, "status": "done"}
    return pd.DataFrame(columns | changes)


def test_what_disagrees_is_news():
    right = curve()
    assert laws(right)["verdict"].tolist() == ["exact"]
    shifted = right["exact"] + np.where(N == 1000, 0.006, 0.0)
    assert laws(curve(exact=shifted))["verdict"].tolist() == [NEWS]
    assert laws(curve(exact=right["exact"] + 0.004))["verdict"].tolist() == ["exact"]
    assert laws(curve(exact=np.nan))["verdict"].tolist() == ["limit"]
    assert laws(curve(exact=np.nan, limit=0.2))["verdict"].tolist() == [NEWS]
    assert laws(curve(exact=np.nan, limit=np.nan))["verdict"].tolist() == ["unknown"]
    rare = {"mean": 0.0, "std_error": 0.0, "q05": 0.0, "q95": 0.0}
    assert laws(curve(**rare, exact=1e-5))["verdict"].tolist() == ["exact"]
    assert laws(curve(**rare, exact=0.1))["verdict"].tolist() == [NEWS]
    with pytest.raises(ValueError, match="3 values of n"):
        laws(right.head(3))


def test_kappa_is_what_simulations_say(monkeypatch):
    """Each within 4.9 standard errors: a false alarm in 10^6 each; a kappa off by one is found."""
    channels = measured.channels()
    few = {name: channels[name] for name in ("soft", "partial")}
    few["wrong"] = channels["soft"]._replace(kappa=channels["soft"].kappa - 1)
    monkeypatch.setattr(measured, "channels", lambda: few)
    monkeypatch.setattr(measured, "SAMPLES", (100,))
    found = measured.coverage(4000, 3, progress=False).set_index("channel")
    assert found["agrees"].tolist() == [True, True, False]
    assert found["kappa"].tolist() == [12, 48, 11]


@pytest.mark.long
def test_every_kappa_is_what_simulations_say():
    assert measured.coverage(20_000, 5, progress=False)["agrees"].all()


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(grid, "SIZES", ((4, 5),))
    monkeypatch.setattr(grid, "SAMPLES", (100, 300, 1000, 3000))
    monkeypatch.setattr(grid, "names", lambda: ["ce_sgl", "good_turing", "minimiser(tv)"])
    monkeypatch.setattr(grid, "ON_AFFINE", {"grouped": ("ce_sgl, {groups}",)})
    channels = measured.channels()
    monkeypatch.setattr(measured, "channels", lambda: {"soft": channels["soft"]})


def test_the_command_writes_the_atlas_and_goes_on(small, tmp_path, monkeypatch):
    words = ["atlas", "--out", str(tmp_path / "atlas"), "--repeats", "300"]
    done = CliRunner().invoke(main, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    for name in making.FILES:
        assert (tmp_path / "atlas" / name).stat().st_size > 0
    text = (tmp_path / "atlas" / "atlas.md").read_text(encoding="utf-8")
    assert "nothing disagrees" in text
    assert NEWS not in text
    for student in ("`ce_sgl`", "`minimiser(tv)`", "`grouped(ce_sgl, groups)`", "`masked(sel_ptl"):
        assert student in text
    table = pd.read_csv(tmp_path / "atlas" / "atlas.csv")
    assert set(table["verdict"]) == {"exact", "limit", "unknown"}

    def nothing(*_, **__):
        raise AssertionError("a block was run again")

    monkeypatch.setattr(importlib.import_module("kt_theory.sweep.run"), "run_block", nothing)
    again = CliRunner().invoke(main, words, catch_exceptions=False)
    assert again.exit_code == 0
    assert (tmp_path / "atlas" / "atlas.md").read_text(encoding="utf-8") == text


def test_bad_input_is_one_line(tmp_path):
    done = CliRunner().invoke(main, ["atlas", "--repeats", "1", "--out", str(tmp_path / "a")])
    assert done.exit_code == 2
    assert "repeats = 1" in done.output
    assert not (tmp_path / "a").exists()


def test_news_is_on_the_page():
    known = pd.DataFrame(
        {"channel": ["soft"], "n": [100], "kappa": [3], "fitted": [5.0], "agrees": [False]}
    ).assign(fitted_low=4.5, fitted_high=5.5)
    text = page.text(laws(curve(exact=curve()["exact"] + 0.05)), known, 500)
    assert "2 disagree" in text
    assert text.count(NEWS) >= 3


@pytest.fixture(scope="module")
def committed():
    folder = Path(__file__).parents[2] / "figures" / "atlas"
    curves = pd.read_csv(folder / "atlas.csv", keep_default_na=True)
    return folder, curves, pd.read_csv(folder / "coverage.csv")


def test_the_committed_atlas_has_every_name_and_nothing_disagrees(committed, tmp_path):
    _, curves, known = committed
    wanted = {
        (cell.teacher_name, cell.student_name)
        for spec in grid.specs(tmp_path, 2, 0).values()
        for cell in spec.cells
    }
    assert set(zip(curves["teacher"], curves["student"], strict=True)) == wanted
    assert NEWS not in set(curves["verdict"])
    assert known["agrees"].all()


def test_the_committed_page_is_that_of_its_tables(committed):
    folder, curves, known = committed
    text = (folder / "atlas.md").read_text(encoding="utf-8")
    repeats = int(text.split(" transfer sets per point")[0].split()[-1].replace(",", ""))
    assert page.text(curves, known, repeats) == text
