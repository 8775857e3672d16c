"""The paper's bounds beside the risks of students, in tables and in pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory import figures
from kt_theory.figures.curves import Curve, draw_curves
from kt_theory.figures.looks import looks, student_style
from kt_theory.limits import paper as bounds

if TYPE_CHECKING:
    import pandas as pd


BAND = 2.0
"""Half-width of the bands, in standard errors."""

_THEOREMS = {
    "hard": ("3.2-mean", "3.1"),
    "partial": ("4.4-mean", "4.1"),
    "soft": ("5.2-mean", "5.1"),
}
"""The paper's upper and lower bound in mean of each access level."""


def bound_columns(frame: pd.DataFrame) -> None:
    """Add the paper's bounds in mean, NaN where no theorem applies: lower_bound and upper_bound.

    No student of this access level does better than the one on every teacher of this size; this
    student does no worse than the other on any.

    Parameters
    ----------
    frame : DataFrame
        With columns access, student, inputs, labels, n, and loss where it is not tv throughout.
    """
    for column, key, theorem_of in (
        ("lower_bound", "access", bounds.lower_of),
        ("upper_bound", "student", bounds.upper_of),
    ):
        values = np.full(len(frame), np.nan)
        of_tv = frame["loss"].to_numpy() == "tv" if "loss" in frame else np.full(len(frame), True)
        for place, rows in frame.groupby([key, "inputs", "labels"]).indices.items():
            name, inputs, labels = place
            theorem = theorem_of(name)
            if theorem is not None and min(inputs, labels) >= 1:
                n = frame["n"].to_numpy()[rows]
                values[rows] = bounds.curve(theorem, int(inputs), int(labels), n)
        frame[column] = np.where(of_tv, values, np.nan)


def risk_curves(axes: Any, frame: pd.DataFrame) -> None:
    """Draw mean risk against n, one line per student with a band of two standard errors.

    Parameters
    ----------
    axes : matplotlib Axes
    frame : DataFrame
        Columns student, n, mean, std_error; every mean above 0.
    """
    names = list(frame["student"].drop_duplicates())
    curves = []
    for name, look in looks(names).items():
        rows = frame[frame["student"] == name].sort_values("n")
        n, mean, error = rows[["n", "mean", "std_error"]].to_numpy(dtype=np.float64).T
        _, _, label = student_style(name, names)
        curves.append(Curve(label, look, n, mean, mean - BAND * error, mean + BAND * error))
    draw_curves(axes, curves, log=False)


def bound_lines(axes: Any, frame: pd.DataFrame) -> None:
    """Draw the paper's bounds in mean for the access levels in `frame`: dashed above, dotted below.

    They hold for the worst teacher of the class, not for the teacher of the picture.
    """
    inputs, labels = int(frame["inputs"].iloc[0]), int(frame["labels"].iloc[0])
    low, high = max(1, frame["n"].min()), max(1, frame["n"].max())
    if low == high:
        low, high = max(1, low // 2), 2 * high
    n = np.unique(np.geomspace(low, high, 200).astype(np.int64))
    thin: dict[str, Any] = {"linewidth": 0.9, "zorder": 1, "alpha": 0.8}
    for access, theorems in _THEOREMS.items():
        if access in set(frame["access"]):
            colour = figures.ACCESS_STYLE[access][0]
            for theorem, line in zip(theorems, (figures.DASHED, figures.DOTTED), strict=True):
                curve = bounds.curve(theorem, inputs, labels, n)
                axes.plot(n, curve, color=colour, linestyle=line, **thin)
