"""Tables of risks as curves over a column, a colour for each value of another, a panel for each of
a third.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory.figures import house
from kt_theory.figures.axes import (
    given_axes,
    label_axes,
    new_axes,
    readable,
    refuse_many,
    spread_over,
)
from kt_theory.figures.curves import Curve, draw_curves, handle_of, reach
from kt_theory.figures.legend import beside
from kt_theory.figures.looks import looks
from kt_theory.validation import shown, unknown_name

if TYPE_CHECKING:
    import pandas as pd

_COUNTS = ("n", "inputs", "labels", "repeats")
"""Columns whose axis is logarithmic, whatever their range."""
_FAR = 20.0
"""Other columns are on a logarithmic axis where the largest is this many times the smallest."""
_SAID = ("teacher", "student", "access", "loss", "inputs", "labels", "n", "seed", "queries")
"""Columns that tell two rows apart."""
_WIDTH, _HEIGHT = 6.4, 4.2
_PANEL_WIDTH, _PANEL_HEIGHT = 3.6, 3.0
_LETTERS = 12
"""Letters of a title in an inch."""
_BOUNDED = ("tv", "acceptance", "js", "hellinger2")


@dataclass(frozen=True, eq=False)
class Picture:
    """Curves on axes, before the legend.

    Attributes
    ----------
    axes : tuple of matplotlib Axes
        A panel each.
    parts : tuple of DataFrame
        The rows of each panel.
    curves : tuple of list of Curve
        Of each panel.
    handles : list
        What the legend shows.
    single : bool
        Whether no panels were asked for.
    alike : bool
        Whether all panels have the same ranges.
    """

    axes: tuple[Any, ...]
    parts: tuple[pd.DataFrame, ...]
    curves: tuple[list[Curve], ...]
    handles: list[Any]
    single: bool
    alike: bool

    def finish(self, extra: Sequence[Any] = ()) -> Any:
        """Give panels the same ranges, put the legend, and return the axes: one, or an array of
        them where panels were asked for.
        """
        if self.alike:
            _align(self.axes)
        handles = [*self.handles, *extra]
        beside(self.axes, handles if len(handles) > 1 else [])
        if self.single:
            return self.axes[0]
        return np.array(self.axes, dtype=object)


def draw_table(
    frame: pd.DataFrame,
    *,
    x: str = "n",
    hue: str | None = "student",
    panel: str | Sequence[str] | None = None,
    ax: Any = None,
    known: bool = True,
) -> Picture:
    """Draw a table of risks and return what was drawn.

    Parameters
    ----------
    frame : DataFrame
        With `mean`, and `low` and `high` where there are intervals, as `Simulation.frame` or
        `sweep.load`.
    x, hue, panel : str
        Columns; `panel` several of them too. Several losses have a panel each if no panel is named.
    ax : matplotlib Axes, or an array of them
        New ones if None.
    known : bool
        Whether pyplot knows of new ones.

    Raises
    ------
    ValueError
        For a column that is not there, no rows, or several rows at one place of a curve.
    """
    panels = [panel] if isinstance(panel, str) else list(panel or [])
    hues = [] if hue is None else [hue]
    rows = _rows(frame, x, [*hues, *panels])
    single = not panels
    if single and "loss" in rows and rows["loss"].nunique() > 1 and hue != "loss":
        panels, single = ["loss"], False
    parts = _split(rows, panels)
    refuse_many(len(parts), f"panel = {_listed(panels)}")
    _refuse_several(rows, panels, [*hues, x])
    own = ax is None
    if own:
        size = (_WIDTH, _HEIGHT) if len(parts) == 1 else (_PANEL_WIDTH, _PANEL_HEIGHT)
        _, axes = new_axes(len(parts), *size, known=known)
    else:
        axes = given_axes(ax, len(parts), f"panel = {_listed(panels)}")
    drawn = [_curves(part, x, hue, rows) for _, part in parts]
    arrows: dict[str, Any] = {}
    for one, (values, part), curves in zip(axes, parts, drawn, strict=True):
        _panel(one, part, curves, x, arrows)
        if panels:
            _title(one, _titled(panels, values))
        elif own:
            _title(one, _about(part))
    entries = {curve.label: handle_of(curve) for curves in drawn for curve in curves}
    handles = [*entries.values(), *arrows.values()]
    if x in _COUNTS and (frame[x] == 0).any():
        handles.append(house.legend_line(f"{x} = 0 is not drawn", linestyle="none"))
    rows_of = tuple(part for _, part in parts)
    return Picture(tuple(axes), rows_of, tuple(drawn), handles, single, panels != ["loss"])


def log_values(part: pd.DataFrame) -> bool:
    """Return whether the axis of the risks is logarithmic: of all losses but acceptance, where more
    is better.
    """
    return _loss(part) != "acceptance"


def _rows(frame: Any, x: str, others: list[str]) -> pd.DataFrame:
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise ValueError(
            f"frame is a {type(frame).__name__}: must be a DataFrame, such as simulate(...).frame"
        )
    for name in [x, *others, "mean"]:
        if not isinstance(name, str) or name not in frame:
            raise unknown_name("column", name, map(str, frame.columns))
    if not len(frame):
        raise ValueError("frame has no rows: nothing to draw; simulate(...).frame has some")
    numbers = pd.to_numeric(frame[x], errors="coerce").astype(np.float64)
    numeric = [name for name in frame if pd.api.types.is_numeric_dtype(frame[name])]
    if numbers.isna().all():
        raise ValueError(
            f"x = {x!r} holds no numbers: name a column that does, such as {', '.join(numeric[:6])}"
        )
    rows = frame.assign(**{x: numbers})[numbers.notna() & frame["mean"].notna()]
    if rows.empty:
        raise ValueError("frame has no risk to draw: every mean is missing; run what is missing")
    if x in _COUNTS:
        rows = rows[rows[x] > 0]
    if rows.empty:
        raise ValueError(
            f"nothing to draw: every {x} is 0, which a logarithmic axis has no place for; use "
            f"{x} >= 1"
        )
    return rows


def _split(rows: pd.DataFrame, panels: list[str]) -> list[tuple[tuple[Any, ...], pd.DataFrame]]:
    if not panels:
        return [((), rows)]
    ordered = all(_ordered(rows[name]) for name in panels)
    return list(rows.groupby(panels, sort=ordered, dropna=False))


def _listed(names: list[str]) -> str:
    """Return names as Python takes them: one alone, or a list."""
    return repr(names[0] if len(names) == 1 else names)


def _titled(panels: list[str], values: tuple[Any, ...]) -> str:
    pairs = zip(panels, values, strict=True)
    return ", ".join(str(value) if name == "loss" else f"{name} = {value}" for name, value in pairs)


def _ordered(column: pd.Series) -> bool:
    """Return whether values have an order of their own: numbers do, names come as they came."""
    from pandas.api.types import is_numeric_dtype

    return bool(is_numeric_dtype(column))


def _refuse_several(rows: pd.DataFrame, panels: list[str], others: list[str]) -> None:
    """Raise an error where two rows would be at one place of a curve."""
    keys = [*panels, *others]
    twice = rows[rows.duplicated(keys, keep=False)]
    if twice.empty:
        return
    first = twice[(twice[keys] == twice[keys].iloc[0]).all(axis=1)]
    differ = [name for name in _SAID if name in first and first[name].nunique(dropna=False) > 1]
    where = ", ".join(f"{name} = {_said(first[name].iloc[0])}" for name in keys)
    if not differ:
        raise ValueError(f"frame has {len(first)} rows at {where}: keep one, drop_duplicates() may")
    raise ValueError(
        f"frame has {len(first)} rows at {where}, which differ in {', '.join(differ)}: name them "
        f"as panel or hue, such as panel={_listed([*panels, *_enough(first, differ)])}"
    )


def _enough(rows: pd.DataFrame, differ: list[str]) -> list[str]:
    """Return a column that tells all rows apart, or else all that tell any."""
    alone = [name for name in differ if rows[name].nunique(dropna=False) == len(rows)]
    return alone[:1] or differ


def _said(value: Any) -> str:
    plain = value.item() if hasattr(value, "item") else value
    return f"{plain:g}" if isinstance(plain, float) else shown(plain)


def _curves(part: pd.DataFrame, x: str, hue: str | None, every: pd.DataFrame) -> list[Curve]:
    if hue is None:
        return [_curve("risk", looks(["risk"], "")["risk"], part, x)]
    column = every[hue]
    values = list(column.drop_duplicates())
    if _ordered(column):
        values.sort()
    look = looks(values, hue)
    named = "" if hue in ("student", "access", "teacher", "loss") else f"{hue} = "
    found = []
    for value in values:
        mine = part[part[hue] == value]
        if len(mine):
            label = f"{value:g}" if isinstance(value, float) else str(value)
            found.append(_curve(named + label, look[value], mine, x))
    return found


def _curve(label: str, look: Any, rows: pd.DataFrame, x: str) -> Curve:
    ordered = rows.sort_values(x)
    missing = np.full(len(ordered), np.nan)
    columns = [
        ordered[name].to_numpy(dtype=np.float64) if name in ordered else missing
        for name in (x, "mean", "low", "high")
    ]
    return Curve(label, look, *columns)


def _panel(axes: Any, part: pd.DataFrame, curves: list[Curve], x: str, arrows: Any) -> None:
    log, loss = log_values(part), _loss(part)
    places = np.concatenate([curve.x for curve in curves])
    low, high = float(places.min()), float(places.max())
    label_axes(axes, x, "risk, E TV" if loss == "tv" else f"risk, E {loss}")
    if low > 0 and (x in _COUNTS or high > _FAR * low):
        spread_over(axes, places)
    if log:
        axes.set_yscale("log")
    largest = 1.0 if loss in _BOUNDED else np.inf
    ends = reach(curves, log, largest)
    axes.set_ylim(ends)
    if log:
        readable(axes.yaxis, *ends)
    for handle in draw_curves(axes, curves, log=log):
        arrows[handle.get_label()] = handle


def _align(axes: Sequence[Any]) -> None:
    """Give all panels the same ranges, so that they can be compared."""
    for which in ("x", "y"):
        ends = [getattr(one, f"get_{which}lim")() for one in axes]
        low, high = min(end[0] for end in ends), max(end[1] for end in ends)
        for one in axes:
            getattr(one, f"set_{which}lim")(low, high)
            axis = getattr(one, f"{which}axis")
            if axis.get_scale() == "log":
                readable(axis, low, high)


def _loss(part: pd.DataFrame) -> str:
    return str(part["loss"].iloc[0]) if "loss" in part else "tv"


def _title(axes: Any, text: str) -> None:
    """Put a title no longer than the axes, more or less."""
    width = axes.get_position().width * axes.figure.get_figwidth()
    longest = max(8, int(_LETTERS * width))
    house.title(axes, text if len(text) <= longest else f"{text[: longest - 3]}...")


def _about(part: pd.DataFrame) -> str:
    """Return a title: what is the same for all rows."""
    said = []
    for name, words in (("teacher", "{}"), ("inputs", "S = {:g}"), ("labels", "A = {:g}")):
        if name in part and part[name].nunique() == 1:
            said.append(words.format(part[name].iloc[0]))
    return ", ".join(said)
