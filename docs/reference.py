"""The pages of the API reference, from the public names of the package."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import sys
from pathlib import Path
from types import ModuleType

import kt_theory as kt

TOPICS = {
    "Teachers": ("Teacher", "RowClasses"),
    "Students": (
        "STUDENTS",
        "Student",
        "RowRule",
        "TableRule",
        "row_rule",
        "table_rule",
    ),
    "Access levels and losses": ("Access", "AccessError", "row_loss", "total_variation"),
    "Simulation": (
        "simulate",
        "Simulation",
        "RiskEstimate",
        "RowRuleError",
        "draw_counts",
        "fit_rate",
        "PowerLawWarning",
    ),
    "Exact risks": (
        "exact_risk",
        "NoExactRisk",
        "missing_mass_law",
        "missing_mass_moments",
        "ce_ful_weights",
    ),
    "Limits": ("minimax_risk", "Limit", "worst_teacher", "missing_mass_bounds", "best_add_c"),
    "Plans": ("plan", "samples_needed", "SampleSize"),
    "Copies of real teachers": (
        "TransferSet",
        "fit",
        "fit_until",
        "Copy",
        "Certificate",
        "CopyClassifier",
        "acceptance",
    ),
    "Sequence teachers and storage": ("Dump", "storage", "store"),
    "Training objectives": ("consistency", "Consistency"),
}
"""What `kt_theory` itself offers, by topic; its modules have pages of their own."""

ROOMS = sorted([name for name in kt.__all__ if inspect.ismodule(getattr(kt, name))] + ["testing"])
"""The public modules."""


def members(module: ModuleType) -> list[str]:
    """Return the public names of a module: `__all__`, or else what it defines or hands on."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return list(listed)
    package = module.__spec__ is not None and module.__spec__.submodule_search_locations is not None
    found = []
    for name, thing in vars(module).items():
        home = getattr(thing, "__module__", "")
        own = home.startswith("kt_theory") if package else home == module.__name__
        if own and not name.startswith("_"):
            found.append(name)
    return sorted(found)


def room(name: str) -> ModuleType:
    """Return a module by the name that users know it by."""
    if name in kt.__all__:
        return getattr(kt, name)
    return importlib.import_module(f"kt_theory.{name}")


def full_name(place: str, name: str) -> str:
    """Return where a name is documented: once, under `kt_theory` where that offers it."""
    if name in kt.__all__ and getattr(kt, name) is getattr(room(place), name):
        return f"kt_theory.{name}"
    return f"kt_theory.{place}.{name}"


def table(names: list[str]) -> str:
    """Return a directive that lists names with their summaries and makes a page of each."""
    lines = [".. currentmodule:: kt_theory", "", ".. autosummary::"]
    options = ["   :toctree: generated", "   :nosignatures:", ""]
    listed = (f"   ~{name.removeprefix('kt_theory.')}" for name in names)
    return "\n".join([*lines, *options, *listed])


def home() -> str:
    """Return the page of what `kt_theory` itself offers."""
    rooms = "\n".join(f"   {place}" for place in ROOMS)
    parts = [
        "API reference",
        "=============",
        "",
        "``import kt_theory as kt``: what the package itself offers, by topic, and its modules.",
        "",
        "Modules",
        "-------",
        "",
        f".. toctree::\n   :maxdepth: 1\n\n{rooms}",
        "",
    ]
    for topic, names in TOPICS.items():
        listed = table([f"kt_theory.{name}" for name in names])
        parts += [topic, "-" * len(topic), "", listed, ""]
    return "\n".join(parts)


def room_page(place: str) -> str:
    """Return the page of a module: what it says of itself, and its names."""
    title = f"kt.{place}" if place in kt.__all__ else f"kt_theory.{place}"
    listed = table([full_name(place, name) for name in members(room(place))])
    about = f".. automodule:: kt_theory.{place}\n   :no-members:"
    return "\n".join([title, "=" * len(title), "", about, "", listed, ""])


def constant(place: ModuleType, name: str) -> list[str]:
    """Return what a public value that is no class or function says of itself, in lines.

    That is the string below its assignment, in whichever module makes it; of a dict, its names too.
    """
    thing = getattr(place, name)
    said = ""
    for module in [each for key, each in sys.modules.items() if key.startswith("kt_theory")]:
        if vars(module).get(name) is thing and not said:
            said = _below_assignment(module, name)
    lines = said.splitlines()
    if isinstance(thing, dict):
        lines += ["", "Names: " + ", ".join(f"``{key}``" for key in thing) + "."]
    return lines


def _below_assignment(module: ModuleType, name: str) -> str:
    body = ast.parse(inspect.getsource(module)).body
    for made, said in itertools.pairwise(body):
        targets = getattr(made, "targets", [getattr(made, "target", None)])
        if any(isinstance(each, ast.Name) and each.id == name for each in targets):
            match said:
                case ast.Expr(ast.Constant(str(text))):
                    return inspect.cleandoc(text)
    return ""


def pages() -> dict[str, str]:
    """Return the text of each page of the reference by its file's name."""
    return {"index.rst": home(), **{f"{place}.rst": room_page(place) for place in ROOMS}}


def write(folder: Path) -> None:
    """Write the pages; a page that has not changed keeps its time, so that it is not made anew."""
    folder.mkdir(exist_ok=True)
    for name, text in pages().items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
