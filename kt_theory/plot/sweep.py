"""The results of a sweep over a column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory import figures
from kt_theory.figures.tables import draw_table
from kt_theory.plot.theory import asked_theory, draw_theory
from kt_theory.validation import shown

if TYPE_CHECKING:
    import pandas as pd


def sweep(
    results: str | Path | pd.DataFrame,
    *,
    x: str = "n",
    hue: str | None = "student",
    panel: str | Sequence[str] | None = None,
    theory: Any = None,
    ax: Any = None,
) -> Any:
    """Draw the risks of a sweep over a column, as far as it has run.

    As `kt.plot.risks`, for any columns: a colour for each value of `hue`, and a panel for each of
    `panel`, all with the same ranges. What is left must tell no two rows apart: a sweep of several
    teachers over n needs `panel="teacher"`, and where their sizes differ, which no name holds,
    `panel=["inputs", "labels"]` or one of the two.

    Parameters
    ----------
    results : path or DataFrame
        The sweep's folder, or its table, or some rows of it.
    x : str
        A column of numbers. n, inputs, labels and repeats have a logarithmic axis, others where
        they are positive and far apart.
    hue : str or None
        A column.
    panel : str, sequence of str, or None
        A column, or several: a panel for each combination of their values.
    theory : str or sequence of str, optional
        As for `kt.plot.risks`; for x="n", and one size in a panel.
    ax : matplotlib Axes, or an array of them, optional
        Where to draw; a new figure if omitted.

    Returns
    -------
    matplotlib Axes, or an array of them with `panel`

    Raises
    ------
    ValueError
        For a column that is not there, nothing to draw, or several rows at one place of a curve.
    OSError
        For a folder that holds no sweep.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import kt_theory as kt
    >>> import pandas as pd
    >>> teachers = [kt.teachers.zipf(20, labels) for labels in (4, 16)]
    >>> how = {"n": [10, 100], "repeats": 50, "progress": False}
    >>> frame = pd.concat([kt.simulate(one, "ce_sgl", **how).frame for one in teachers])
    >>> axes = kt.plot.sweep(frame, panel="labels")
    >>> [ax.get_title(loc="left") for ax in axes]
    ['labels = 4', 'labels = 16']
    """
    with figures.style():
        return _drawn(results, theory, {"x": x, "hue": hue, "panel": panel, "ax": ax})


def sweep_figure(folder: Path, theory: Any, **columns: str | list[str] | None) -> Any:
    """Return the figure of `sweep`, of which pyplot does not know: to be written to a file."""
    return np.ravel(_drawn(folder, theory, columns | {"known": False}))[0].figure


def _drawn(results: Any, theory: Any, how: dict[str, Any]) -> Any:
    wanted, x = asked_theory(theory), how["x"]
    if wanted and x != "n":
        raise ValueError(f"theory = {shown(theory)}: is drawn over n; x = {shown(x)} has none")
    picture = draw_table(_table(results, wanted), **how)
    return picture.finish(draw_theory(picture, wanted))


def _table(results: Any, wanted: list[str]) -> Any:
    if not isinstance(results, (str, Path)):
        return results
    from kt_theory.sweep.results import load

    return load(results, exact="exact" in wanted, minimax="minimax" in wanted)
