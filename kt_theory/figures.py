"""Tables of risks to pictures: PNG and SVG that are the same bytes for the same table.

Students keep one colour, marker and line everywhere; the colours are Okabe and Ito's, which
colour-blind readers can tell apart, and the markers carry the same information in print.
"""

from __future__ import annotations

import contextlib
import io
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory.output import write_bytes

if TYPE_CHECKING:
    import pandas as pd

STUDENT_STYLE = {
    "ce_sgl": ("#0072B2", "o", "CE_sgl (hard labels)"),
    "ce_ptl": ("#E69F00", "s", "CE_ptl (partial)"),
    "sel_ptl": ("#009E73", "^", "SEL_ptl (partial)"),
    "ce_ful": ("#CC3377", "D", "CE_ful (soft labels)"),
}
ACCESS_COLOUR = {"hard": "#0072B2", "partial": "#009E73", "soft": "#CC3377"}
_THEOREMS = {
    "hard": ("3.2-mean", "3.1"),
    "partial": ("4.4-mean", "4.1"),
    "soft": ("5.2-mean", "5.1"),
}
"""The paper's upper and lower bound in mean of each access level."""
DASHED, DOTTED = (0, (5, 3)), (0, (1, 2))
BIAS: dict[str, Any] = {"color": STUDENT_STYLE["ce_ptl"][0], "linestyle": "-."}
"""The line of CE_ptl's bias, which no number of samples removes."""
_MORE_STYLES = [("#56B4E9", "v"), ("#8C564B", "P"), ("#555555", "X"), ("#000000", "*")]
_RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "legend.fontsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "svg.hashsalt": "kt_theory",
    "svg.fonttype": "path",
    "path.simplify": False,
}
KINDS = (".png", ".svg", ".pdf")
BAND = 2.0
"""Half-width of the bands, in standard errors."""


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Return a context in which everything drawn and saved has the package's style, whatever the
    user's settings.
    """
    import matplotlib as mpl

    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def canvas(
    rows: int, columns: int, width: float = 10.5, height: float = 3.4
) -> tuple[Any, np.ndarray]:
    """Return (figure, (rows, columns) array of axes) that pyplot does not know of: no display,
    nothing to close.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def risk_curves(
    axes: Any, frame: pd.DataFrame, *, skip: tuple[str, ...] = (), floor: float = 0.0
) -> None:
    """Draw mean risk against n, one line per student with a band of two standard errors.

    Parameters
    ----------
    axes : matplotlib Axes
    frame : DataFrame
        Columns student, n, mean, std_error.
    skip : tuple of str
        Students to leave out.
    floor : float
        Where logarithmic axes end below: a mean of 0 is drawn there as an arrow that points down,
        which the caption is to explain; an infinite one at the upper end as one that points up.
    """
    names = [name for name in frame["student"].drop_duplicates() if name not in skip]
    arrows = 0
    for name in names:
        rows = frame[frame["student"] == name].sort_values("n")
        colour, marker, label = student_style(name, names)
        n, mean, error = rows[["n", "mean", "std_error"]].to_numpy(dtype=np.float64).T
        line = {"marker": marker, "markersize": 4, "linewidth": 1.4, "label": label}
        mean = np.where(mean < np.inf, mean, np.nan)
        axes.plot(n, np.where(mean > 0.0, mean, np.nan), color=colour, zorder=3, **line)
        ends = {"v": (mean == 0.0, axes.transData, floor)}
        ends["^"] = (np.isnan(mean), axes.get_xaxis_transform(), 1.0)
        for pointer, (there, transform, height) in ends.items():
            if floor > 0.0 and there.any():
                # Students whose arrows would hide each other stand side by side.
                beside = 1.0 + 0.06 * arrows
                arrows += 1
                at_end = np.full(there.sum(), height)
                arrow = {"marker": pointer, "markersize": 9, "linestyle": "none", "clip_on": False}
                arrow |= {"color": colour, "zorder": 4, "transform": transform}
                axes.plot(n[there] * beside, at_end, **arrow)
        low, high = mean - BAND * error, mean + BAND * error
        axes.fill_between(n, low, high, color=colour, alpha=0.25, linewidth=0, zorder=2)


def student_style(name: str, names: list[str]) -> tuple[str, str, str]:
    """Return (colour, marker, label) of a student; those not the paper's get the next free ones."""
    if name in STUDENT_STYLE:
        return STUDENT_STYLE[name]
    others = [other for other in names if other not in STUDENT_STYLE]
    colour, marker = _MORE_STYLES[others.index(name) % len(_MORE_STYLES)]
    return colour, marker, name


def bound_lines(axes: Any, frame: pd.DataFrame) -> None:
    """Draw the paper's bounds in mean for the access levels in `frame`: dashed above, dotted below.

    They hold for the worst teacher of the class, not for the teacher of the picture.
    """
    from kt_theory.limits import paper as bounds

    inputs, labels = int(frame["inputs"].iloc[0]), int(frame["labels"].iloc[0])
    low, high = max(1, frame["n"].min()), max(1, frame["n"].max())
    if low == high:
        low, high = max(1, low // 2), 2 * high
    n = np.unique(np.geomspace(low, high, 200).astype(np.int64))
    thin: dict[str, Any] = {"linewidth": 0.9, "zorder": 1, "alpha": 0.8}
    for access, colour in ACCESS_COLOUR.items():
        if access in set(frame["access"]):
            for theorem, line in zip(_THEOREMS[access], (DASHED, DOTTED), strict=True):
                curve = bounds.curve(theorem, inputs, labels, n)
                axes.plot(n, curve, color=colour, linestyle=line, **thin)


def title(axes: Any, text: str, note: str = "") -> None:
    """Put a title at the left, cut to the width of the axes, with a smaller note below it.

    `$` is a dollar sign.
    """
    if " " in text:
        text = textwrap.shorten(text, 70, placeholder=" ...")
    elif len(text) > 70:
        text = text[:67] + "..."
    axes.set_title(text, loc="left", parse_math=False, pad=20 if note else None)
    if note:
        small = {"fontsize": 8, "color": "#333333", "parse_math": False}
        axes.text(0.0, 1.02, note, transform=axes.transAxes, **small)


def legend_and_caption(
    figure: Any, axes: Any, text: str, *, bounds: bool, extra: tuple[Any, ...] = ()
) -> None:
    """Put a legend of the curves of `axes` above all panels and a wrapped caption below them."""
    handles, _ = axes.get_legend_handles_labels()
    if bounds:
        grey: dict[str, Any] = {"color": "#666666", "linewidth": 0.9}
        for side, line in (("upper", DASHED), ("lower", DOTTED)):
            label = f"{side} bound for the class*"
            handles.append(legend_line(label, linestyle=line, **grey))
    handles += extra
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    caption(figure, text)


def legend_line(label: str, **style: Any) -> Any:
    """Return an entry for a legend: a line that is drawn nowhere else."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **style)


def caption(figure: Any, text: str) -> None:
    """Put a wrapped caption below all panels."""
    width = int(15.5 * figure.get_figwidth())
    wrapped = "\n".join(textwrap.wrap(text, width))
    figure.supxlabel(wrapped, x=0.01, ha="left", fontsize=8, color="#333333")


def write(figure: Any, path: Path) -> Path:
    """Write the figure as PNG, SVG or PDF by its suffix, the same bytes for the same figure."""
    bare = {
        ".png": {"Software": None},
        ".svg": {"Date": None, "Creator": None},
        ".pdf": {"CreationDate": None},
    }
    buffer = io.BytesIO()
    figure.savefig(
        buffer, format=path.suffix[1:].lower(), dpi=150, metadata=bare[path.suffix.lower()]
    )
    return write_bytes(path, buffer.getvalue())
