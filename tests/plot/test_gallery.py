"""The gallery: every script is a page, uses what is public alone, and runs."""

import ast
import runpy
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot

import kt_theory as kt

GALLERY = Path(__file__).parents[2] / "examples" / "gallery"
SCRIPTS = sorted(GALLERY.glob("plot_*.py"))
LIBRARIES = {"kt_theory", "matplotlib", "numpy", "pandas", *sys.stdlib_module_names}


def problems(text):
    """Return what a script does that a page of the gallery must not."""
    tree = ast.parse(text)
    found = []
    title, line, *rest = (ast.get_docstring(tree) or "\n\n").strip("\n").splitlines()
    if not title.endswith("?") or set(line) != {"="} or len(line) < len(title) or not any(rest):
        found.append("no question as its title, or nothing said about it")
    if text.count("\n# %%\n") < 2:
        found.append("fewer than two cells")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module, *([] if node.module != "kt_theory" else ["matplotlib._"])]
        else:
            names = []
        found += [f"imports {name}" for name in names if name.split(".")[0] not in LIBRARIES]
        found += [f"imports {name}" for name in names if "kt_theory." in name or "_." in name]
        if isinstance(node, ast.Attribute):
            found += not_public(node)
    return found


def not_public(node):
    path = []
    while isinstance(node, ast.Attribute):
        path.insert(0, node.attr)
        node = node.value
    if not (isinstance(node, ast.Name) and node.id == "kt"):
        return [f"uses {name}" for name in path if name.startswith("_")]
    thing = kt
    for name in path:
        thing = getattr(thing, name, None)
    public = path[0] in kt.__all__ and not any(name.startswith("_") for name in path)
    return [] if public and thing is not None else [f"uses kt.{'.'.join(path)}"]


def test_there_are_twelve_at_least():
    assert len(SCRIPTS) >= 12


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_a_script_is_a_page_and_uses_what_is_public(script):
    assert problems(script.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("kt.simulation.run", "uses kt.simulation.run"),
        ("kt.plot.curves", "uses kt.plot.curves"),
        ("from kt_theory.figures import style", "imports kt_theory.figures"),
        ("import requests", "imports requests"),
        ("ax._axes", "uses _axes"),
    ],
)
def test_the_check_can_fail(line, found):
    text = SCRIPTS[0].read_text(encoding="utf-8")
    assert found in problems(f"{text}\n{line}\n")


@pytest.mark.long
@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_a_script_runs_and_draws(script, monkeypatch):
    monkeypatch.chdir(GALLERY)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runpy.run_path(str(script))
    numbers = pyplot.get_fignums()
    assert numbers
    for number in numbers:
        figure = pyplot.figure(number)
        figure.draw_without_rendering()
        legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes if ax.get_legend())]
        for legend in legends:
            box = legend.get_window_extent()
            inside = [ax for ax in figure.axes if _overlap(box, ax.get_window_extent())]
            assert not inside, f"a legend of figure {number} covers axes"


def _overlap(one, other):
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    up = min(one.y1, other.y1) - max(one.y0, other.y0)
    return bool(np.minimum(across, up) > 1.0)
