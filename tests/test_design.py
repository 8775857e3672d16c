"""The shape of the package: who imports whom, what is public, what loads when."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import syntax

import kt_theory as kt

PACKAGE = Path(kt.__file__).parent

FLOORS = [
    {"machine", "interrupts"},
    {"content", "validation", "sources", "output", "delimited", "plurals"},
    {"figures"},
    {"numeric", "packed"},
    {"graphs", "affine", "teacher"},
    {"access", "losses", "ngrams"},
    {"objectives"},
    {"teachers", "compression"},
    {"kernels"},
    {"queries", "dumps", "intervals"},
    {"exact"},
    {"students"},
    {"limits"},
    {"simulation"},
    {"catalogue"},
    {"minimax"},
    {"overview"},
    {"rates"},
    {"testing"},
    {"study", "consistency", "worst"},
    {"generations"},
    {"sweep"},
    {"reproduce", "atlas"},
    {"sequences", "policies"},
    {"warmup"},
    {"transfer"},
    {"speculative"},
    {"planner"},
    {"plot"},
    {"explore"},
    {"cli"},
    {"__main__"},
]
"""From the ground up: a module imports from its own room and from lower ones."""


def modules():
    """Yield (parts of the path, tree) of all modules but the package's own."""
    for module in syntax.modules():
        if module.parts[0] != "__init__":
            yield module.parts, module.tree


def imported(tree, *, top_level_only=False):
    nodes = tree.body if top_level_only else syntax.nodes_of(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            if node.module == "kt_theory":
                yield from (f"kt_theory.{alias.name}" for alias in node.names)


def floor(room):
    return next(level for level, rooms in enumerate(FLOORS) if room in rooms)


def test_modules_import_only_from_lower_rooms():
    for parts, tree in modules():
        for name in imported(tree):
            if name.startswith("kt_theory.") and not name.endswith("__version__"):
                room = name.split(".")[1]
                assert room == parts[0] or floor(room) < floor(parts[0]), (
                    f"{'/'.join(parts)} imports {name}"
                )


def test_kernels_import_numpy_and_numba_alone():
    allowed = {"numpy", "numba", "llvmlite", "kt_theory", "__future__", *sys.stdlib_module_names}
    for parts, tree in modules():
        for name in imported(tree):
            if parts[0] == "kernels":
                assert name.split(".")[0] in allowed
                assert not name.startswith("kt_theory.") or name.startswith(
                    ("kt_theory.kernels", "kt_theory.machine")
                )
            elif name.split(".")[0] == "numba":
                assert name == "numba.core.errors", (
                    f"{'/'.join(parts)} has compiled code outside kernels/"
                )


def test_limits_never_look_at_students_or_simulations():
    for parts, tree in modules():
        if parts[0] == "limits":
            for name in imported(tree):
                assert not name.startswith(
                    ("kt_theory.students", "kt_theory.exact", "kt_theory.simulation")
                )


def test_heavy_libraries_load_only_when_used():
    heavy = (
        "matplotlib",
        "pandas",
        "scipy",
        "pyarrow",
        "networkx",
        "click",
        "tqdm",
        "hypothesis",
        "sklearn",
        "plotly",
        "dash",
        "werkzeug",
    )
    for parts, tree in modules():
        if parts[0] != "cli":
            at_top = {name.split(".")[0] for name in imported(tree, top_level_only=True)}
            assert not at_top & set(heavy), (
                f"{'/'.join(parts)} imports {at_top & set(heavy)} at the top"
            )
    code = "import sys, kt_theory; print(sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert not [name for name in (*heavy, "numba") if repr(name) in loaded]


@pytest.mark.parametrize("name", kt.__all__)
def test_public_names_exist_and_are_documented(name):
    thing = getattr(kt, name)
    assert isinstance(thing, dict) or (thing.__doc__ and thing.__doc__.strip())


def test_the_public_list_fits_on_one_page():
    assert len(kt.__all__) <= 56


def test_the_explorers_answers_know_no_page():
    for parts, tree in modules():
        if parts[0] == "explore" and parts[-1] not in ("page", "server"):
            assert not {name.split(".")[0] for name in imported(tree)} & {"dash", "werkzeug"}, parts


def test_no_kernel_leaves_the_order_of_a_sum_to_the_compiler():
    for parts, _ in modules():
        if parts[0] == "kernels":
            text = (PACKAGE.joinpath(*parts[:-1]) / f"{parts[-1]}.py").read_text()
            assert not {"reassoc", "contract", "fastmath="} & set(re.findall(r"[\w]+=?", text)), (
                parts
            )
