"""The style of every picture, and files that are the same bytes for the same figure."""

from __future__ import annotations

import contextlib
import io
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kt_theory.figures.looks import DASHED, DOTTED
from kt_theory.output import write_bytes

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
