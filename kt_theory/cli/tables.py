"""What commands print: tables for the screen, fewer columns and digits than files have."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kt_theory.limits.law import Terms

ROWS = 40
"""Lines of a table of cells."""

_FAILURES = 10
_FAR = 2**40
"""Samples at which n times a limit of order 1/n no longer changes."""

_RISKS = {
    "n": "n",
    "student": "student",
    "access": "access",
    "loss": "loss",
    "mean": "risk",
    "low": "low",
    "high": "high",
    "q05": "q05",
    "q95": "q95",
    "lower_bound": "class lower",
    "upper_bound": "class upper",
    "infinite": "infinite",
}


def risks(frame: Any) -> str:
    """Risks of students, the paper's bounds beside them."""
    table = frame[list(_RISKS)].rename(columns=_RISKS)
    table["class upper"] = table["class upper"].map(_upper)
    if (frame["loss"] == "tv").all():
        table = table.drop(columns=["loss", "infinite"])
    elif not (frame["loss"] == "tv").any():
        table = table.drop(columns=["class lower", "class upper"])
    return _frame(table)


def _upper(bound: float) -> str:
    """A bound that says nothing is said to."""
    if bound != bound:
        return "-"
    return f"{bound:.4g}" if bound < 1 else ">= 1"


def limits(rows: list[dict[str, Any]]) -> str:
    """The limits of levels over n, without the time that a data frame takes to load."""
    bounds = ("paper_lower", "lower", "upper", "paper_upper")
    columns = [
        ["n", *(str(row["n"]) for row in rows)],
        ["access", *(row["access"] for row in rows)],
    ]
    columns += [[name, *(_number(row[name]) for row in rows)] for name in bounds]
    columns.append(["exact", *("yes" if row["exact"] else "" for row in rows)])
    return _aligned(columns)


def terms(found: dict[str, Terms]) -> str:
    """What the risks of levels are made of."""
    columns = [
        ["access", *found],
        ["floor", *(f"{term.floor:.4g}" for term in found.values())],
        ["kappa", *(f"{term.kappa:,}" for term in found.values())],
        ["noise", *(f"{term.noise:.4g}" for term in found.values())],
    ]
    return _aligned(columns)


def objectives(rows: list[dict[str, Any]], levels: list[str]) -> str:
    """Objectives at levels, the worst of all minimisers and, with a teacher, their bias on it."""
    columns = [["objective", *(row["objective"] for row in rows)]]
    columns += [[level, *(row[level] for row in rows)] for level in levels]
    columns.append(["any minimiser", *(f"{row['widest']:.4g}" for row in rows)])
    if "bias" in rows[0]:
        columns.append(["this teacher", *(_range(row) for row in rows)])
    return _aligned(columns)


def _range(row: dict[str, Any]) -> str:
    """The bias of the student, and in brackets that of the best and the worst minimiser."""
    bias, least, most = (f"{row[name]:.4g}" for name in ("bias", "least", "most"))
    return bias if row["most"] - row["least"] < 1e-12 else f"{bias} ({least} to {most})"


def far_away(inputs: int, labels: int, top: list[int]) -> Iterator[str]:
    """What the limits tend to as n grows."""
    from kt_theory.limits.constants import asymptotic_rates, fixed_labels, light_labels
    from kt_theory.minimax import minimax_risk

    yield f"\nAs n grows, S = {inputs}, A = {labels}: minimax risk ~ constant * rate"
    for rate in asymptotic_rates(inputs, labels):
        where = f"({rate.regime}; {rate.reference})"
        yield f"  {rate.access:9} {rate.constant:.10g} * {rate.rate}  {where}"
    for k in (k for k in top if k < labels - 1):
        far = minimax_risk("top_k", inputs, labels, _FAR, k=k)
        low, high = far.lower * _FAR, far.upper * _FAR
        how = "(n times the certified interval at n = 2^40)"
        yield f"  top_k({k})  {low:.6g} to {high:.6g} * 1/n  {how}"
    light = light_labels()
    yield (
        f"c2 = {light.value:.15g}, t = {light.t:.15g}: a share f = {light.fraction:.6g} of the "
        "labels has mass t/n"
    )
    for size in sorted({max(labels - 1, 1), labels}):
        worst = fixed_labels(size)
        yield (
            f"K({size}) = {worst.value:.12g}: {worst.light} labels have mass {worst.t:.6g}/n, "
            "the others 0"
        )


def plan(frame: Any) -> str:
    """A plan: what is impossible in words, numbers that float64 cannot count left out."""
    table = frame.drop(columns=["certificate", "reason"]).astype({"n": object, "lower": object})
    pairs = zip(frame["n"], frame["reason"], strict=True)
    table["n"] = [_shown(n, reason) for n, reason in pairs]
    table["lower"] = [n if n <= 2**53 else "-" for n in frame["lower"]]
    return _frame(table)


def _shown(n: Any, reason: str) -> Any:
    """Return n, or in words why there is none."""
    from kt_theory.planner.estimate import WEAK

    if not reason:
        return n
    for word in ("impossible", WEAK.rstrip(": "), "not estimated"):
        if word in reason:
            return word
    return "> 2^53"


def cells(found: list[Any], *, everything: bool) -> str:
    """The cells of a sweep that learn from the same transfer sets, a line each."""
    columns = [["teacher", "inputs", "labels", "n", "repeats", "seconds", "students"]]
    lines = [
        f"{'teacher':30} {'inputs':>7} {'labels':>7} {'n':>12} {'repeats':>11} {'seconds':>9}  "
        "students"
    ]
    for each in found if everything else found[:ROWS]:
        first = each.cells[0]
        students = ", ".join(cell.student_name for cell in each.cells)
        cost = f"{'not defined':>21}"
        if each.repeats:
            cost = f"{each.repeats:11,} {each.seconds:9.3g}"
        size = f"{each.inputs:7} {each.labels:7} {first.n:12}"
        lines.append(f"{first.teacher_name:30} {size} {cost}  {students}")
        counted = [f"{each.repeats:,}", f"{each.seconds:.3g}"] if each.repeats else ["-", "-"]
        sizes = [str(number) for number in (each.inputs, each.labels, first.n)]
        columns.append([first.teacher_name, *sizes, *counted, students])
    lines = [_fitted("\n".join(lines), [list(column) for column in zip(*columns, strict=True)])]
    if len(found) > ROWS and not everything:
        lines.append(f"... and {len(found) - ROWS} more lines; --all prints them")
    return "\n".join(lines)


def counts(of_cells: dict[str, int]) -> str:
    """How many cells stand how."""
    order = ("done", "unfinished", "missing", "not defined", "failed")
    found = (f"{of_cells[name]:,} {name}" for name in order if of_cells.get(name))
    return ", ".join(found) or "no cells"


def failures(found: Any, folder: Path) -> Iterator[str]:
    """The first cells that failed, each with the command that runs it again."""
    for cell, error in found[:_FAILURES]:
        place = f"{cell.place}, seed = {cell.seed}"
        yield f"failed: {place}: {error}"
        yield f"  kt-theory sweep replay {folder} {cell.id[:12]}"
    if len(found) > _FAILURES:
        more = f"{len(found) - _FAILURES:,} more"
        yield f"and {more}: kt.sweep.load({str(folder)!r}) has them all"


def folded(lines: Iterable[str]) -> str:
    """Lines of words as they stand, or, on a terminal that is too narrow for them, over several
    lines each.
    """
    text = "\n".join(lines)
    if not sys.stdout.isatty():
        return text
    room = shutil.get_terminal_size().columns
    fold = textwrap.TextWrapper(room, subsequent_indent="    ", break_on_hyphens=False)
    return "\n".join(line if len(line) <= room else fold.fill(line) for line in text.split("\n"))


def _number(value: float) -> str:
    return "-" if value != value else f"{value:.4g}"


def _aligned(columns: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in columns]
    lines = zip(*columns, strict=True)
    text = "\n".join("  ".join(map(str.rjust, line, widths)) for line in lines)
    return _fitted(text, columns)


def _frame(frame: Any) -> str:
    text: str = _shown_frame(frame)
    columns = [
        [line.strip() for line in _shown_frame(frame.iloc[:, [place]]).splitlines()]
        for place in range(frame.shape[1])
    ]
    return _fitted(text, columns)


def _shown_frame(frame: Any) -> str:
    text: str = frame.to_string(index=False, float_format="{:.4g}".format, na_rep="-")
    return text


def _fitted(text: str, columns: list[list[str]]) -> str:
    """A table as it stands, or, on a terminal that is too narrow for it, a paragraph for each of
    its lines: what each column is called, and what it holds.
    """
    room = shutil.get_terminal_size().columns
    if not sys.stdout.isatty() or max(map(len, text.splitlines())) <= room:
        return text
    names = [column[0] for column in columns]
    paragraphs = []
    for cells in zip(*(column[1:] for column in columns), strict=True):
        lines = (f"{name}: {cell}" for name, cell in zip(names, cells, strict=True) if cell)
        folded = (textwrap.fill(line, room, subsequent_indent="  ") for line in lines)
        paragraphs.append("\n".join(folded))
    return "\n\n".join(paragraphs)
