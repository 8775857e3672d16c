"""Which training objectives reach the teacher, at which access level, and how far off the others
end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kt_theory import catalogue, figures
from kt_theory.access import Access
from kt_theory.numeric import total_variation
from kt_theory.objectives import Objective
from kt_theory.objectives.objective import label_number
from kt_theory.teacher import Teacher, require_teacher

CONSISTENT, NEEDS_MORE = "consistent", "needs more"
"""What a table says of an objective at a level, where it is no number."""


@dataclass(frozen=True)
class Consistency:
    """What is left between the teacher and the student of an objective as n -> infinity.

    All are total variations in [0, 1], averages over the input law.

    Attributes
    ----------
    objective, access : str
    labels : int
        A.
    consistent : bool
        Whether every minimiser is the teacher's row, for every teacher; proved.
    largest : float
        The largest bias of the student over all teachers of A labels.
    worst : Teacher
        One row with that bias, or within 1e-6 of it.
    attained : bool
        False: a supremum.
    proved : bool
        False: `largest` was searched for, and is a lower bound; `widest` is an upper one.
    widest : float
        The largest bias of any minimiser over all teachers: above `largest` where minimisers are a
        set of which the student writes one.
    words : str
        The rows that minimise the objective for a row p.
    bias : float or None
        That of the student on the teacher that was given.
    least, most : float or None
        The smallest and the largest bias of any minimiser on that teacher.
    """

    objective: str
    access: str
    labels: int
    consistent: bool
    largest: float
    worst: Teacher
    attained: bool
    proved: bool
    widest: float
    words: str
    bias: float | None = None
    least: float | None = None
    most: float | None = None

    @property
    def verdict(self) -> str:
        """In words: consistent, or how large the bias gets."""
        if self.consistent:
            return CONSISTENT
        found = f"biased, {'' if self.proved else 'at least '}{self.largest:.4g} at worst"
        if self.widest > self.largest:
            found += f", {self.widest:.4g} for the worst minimiser"
        return found

    def __str__(self) -> str:
        given = "" if self.bias is None else f"; {self.bias:.4g} on this teacher"
        return (
            f"{self.objective} at access {self.access}, {self.labels} labels: {self.verdict}"
            f"{given}; minimised by {self.words}"
        )


def consistency(
    objective: Objective | str,
    access: Access | str,
    labels: Any = None,
    teacher: Teacher | None = None,
) -> Consistency:
    """Return whether the student of a training objective tends to the teacher, and what is left if
    it does not.

    Parameters
    ----------
    objective : Objective or str
        From `kt_theory.objectives`, or its name: "forward_kl_top(20)".
    access : Access or str
        What a query reveals: "soft", "top_k(20)". More than the objective needs changes nothing.
    labels : int, optional
        A, from 1 to 10^5; that of the teacher if omitted.
    teacher : Teacher, optional
        For its own bias, and the range over all minimisers.

    Raises
    ------
    AccessError
        If the level does not carry what the objective needs; both are named.
    ValueError
        For an unknown name, or labels that are missing or not the teacher's.

    Examples
    --------
    >>> import kt_theory as kt
    >>> kt.consistency("forward_kl_top(1)", "soft", labels=4).verdict
    'biased, 0.75 at worst'
    >>> kt.consistency("forward_kl", "soft", labels=4).verdict
    'consistent'
    """
    wanted, granted = catalogue.objective(objective), catalogue.level(access)
    wanted.refuse_access(granted)
    if teacher is not None:
        require_teacher(teacher)
        labels = teacher.labels if labels is None else labels
    if labels is None:
        raise ValueError("labels is missing: give labels=..., or a teacher")
    number = label_number(labels)
    if teacher is not None and teacher.labels != number:
        raise ValueError(f"labels = {number}: the teacher has {teacher.labels}; leave labels out")
    worst, widest = wanted.worst(number), wanted.widest(number)
    bias, least, most = (None, None, None) if teacher is None else _on_teacher(wanted, teacher)
    return Consistency(
        wanted.name,
        granted.name,
        number,
        widest.value == 0.0,
        worst.value,
        Teacher(worst.row[None, :], name=f"worst of {wanted.name}"),
        worst.attained,
        worst.proved,
        widest.value,
        wanted.words,
        bias,
        least,
        most,
    )


def _on_teacher(objective: Objective, teacher: Teacher) -> tuple[float, float, float]:
    """Return the bias of what is written, and the range over all minimisers."""
    rows, weight = teacher.pi, teacher.rho
    if objective.symmetric:
        rows, weight = teacher.classes.rows, teacher.classes.weight
    away = total_variation(objective.written(rows), rows)
    found = (away, objective.least(rows), objective.most(rows))
    bias, least, most = (float(weight @ part) for part in found)
    return bias, min(least, bias), max(most, bias)


def table(
    labels: int, k: int, levels: Iterable[Access | str], teacher: Teacher | None = None
) -> list[dict[str, Any]]:
    """Return a row for each objective of the catalogue, those that the first levels serve first.

    Parameters
    ----------
    labels : int
        A.
    k : int
        Of the objectives on the most probable labels.
    levels : iterable of Access or str
    teacher : Teacher, optional

    Returns
    -------
    list of dict
        objective; needs; a column for each level: "consistent", the largest bias ("at least" where
        it was searched for), or "needs more" where the level does not carry what the objective
        needs; the fields of `Consistency` from consistent to words, but for the teacher; and with a
        teacher bias, least and most.
    """
    shown = [catalogue.level(level) for level in levels]
    rows = []
    for entry in catalogue.OBJECTIVES.values():
        wanted = catalogue.objective(entry.example)
        if any(each.name == "k" for each in entry.parameters):
            wanted = catalogue.objective({"name": entry.name, "k": k})
        found = consistency(wanted, wanted.needs, labels, teacher)
        row: dict[str, Any] = {"objective": wanted.name, "needs": wanted.needs.name}
        for level in shown:
            row[level.name] = _in_short(found) if level.covers(wanted.needs) else NEEDS_MORE
        row |= {name: getattr(found, name) for name in _SHOWN}
        if teacher is not None:
            row |= {name: getattr(found, name) for name in ("bias", "least", "most")}
        rows.append(row)
    return sorted(rows, key=_first_served(shown))


def _first_served(levels: list[Access]) -> Callable[[dict[str, Any]], int]:
    """Return the place in a table of a row: that of the first level that serves the objective."""

    def place(row: dict[str, Any]) -> int:
        served = [row[level.name] != NEEDS_MORE for level in levels]
        return [*served, True].index(True)

    return place


def _in_short(found: Consistency) -> str:
    if found.consistent:
        return CONSISTENT
    return f"{'' if found.proved else 'at least '}{found.largest:.4g}"


_SHOWN = ("consistent", "largest", "widest", "attained", "proved", "words")


_MARKS = (
    ("#0072B2", "o"),
    ("#009E73", "^"),
    ("#E69F00", "s"),
    ("#8C564B", "P"),
    ("#555555", "X"),
    ("#CC3377", "D"),
    ("#56B4E9", "v"),
    ("#000000", "*"),
)
"""Colours after Okabe and Ito and markers, one pair for each level that objectives need."""


def draw(rows: list[dict[str, Any]], title: str) -> Any:
    """Return a picture of a table: the largest bias of each objective, by what it needs.

    A marker is what the objective's student loses at worst; a bar reaches to the worst of all
    minimisers; a stroke is the bias on the teacher, if the table has one.
    """
    needs = list(dict.fromkeys(row["needs"] for row in rows))
    ordered = sorted(rows, key=lambda row: (needs.index(row["needs"]), row["largest"]))
    figure, grid = figures.canvas(1, 1, width=8.5, height=0.23 * len(rows) + 1.9)
    axes = grid[0, 0]
    for place, row in enumerate(ordered):
        colour, marker = _MARKS[needs.index(row["needs"]) % len(_MARKS)]
        axes.hlines(place, row["largest"], row["widest"], color=colour, linewidth=5, alpha=0.3)
        face = colour if row["proved"] else "white"
        axes.plot(row["largest"], place, color=colour, marker=marker, markerfacecolor=face)
        if "bias" in row:
            axes.plot(row["bias"], place, color="black", marker="|", markersize=11)
    axes.set(xlabel="total variation to the teacher as n grows", xlim=(-0.03, 1.03))
    axes.set_yticks(range(len(ordered)), [row["objective"] for row in ordered])
    axes.set_ylim(len(ordered) - 0.4, -0.6)
    axes.grid(visible=True, axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    figures.title(axes, title)
    for place, need in enumerate(needs):
        colour, marker = _MARKS[place % len(_MARKS)]
        axes.plot([], [], color=colour, marker=marker, linestyle="none", label=f"needs {need}")
    text = (
        "Markers: what the student of the objective loses on the worst teacher, 0 where it is "
        "consistent; hollow: the largest that a search found. Bars reach to the worst of all rows "
        "that minimise the objective."
    )
    if "bias" in rows[0]:
        text += " Strokes: the bias on this teacher."
    figures.legend_and_caption(figure, axes, text, bounds=False)
    return figure
