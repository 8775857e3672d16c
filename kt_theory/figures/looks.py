"""How a student, an access level or another value looks: colour, marker, line.

Students keep one look everywhere; the colours are Okabe and Ito's, which colour-blind readers can
tell apart, and the markers carry the same information in print.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

DASHED, DOTTED = (0, (5, 3)), (0, (1, 2))
STUDENT_STYLE = {
    "ce_sgl": ("#0072B2", "o", "CE_sgl (hard labels)"),
    "ce_ptl": ("#E69F00", "s", "CE_ptl (partial)"),
    "sel_ptl": ("#009E73", "^", "SEL_ptl (partial)"),
    "ce_ful": ("#CC3377", "D", "CE_ful (soft labels)"),
}
ACCESS_STYLE = {
    "hard": ("#0072B2", "o"),
    "partial": ("#009E73", "^"),
    "soft": ("#CC3377", "D"),
    "gradient": ("#000000", "*"),
}
BIAS: dict[str, Any] = {"color": STUDENT_STYLE["ce_ptl"][0], "linestyle": "-."}
"""The line of CE_ptl's bias, which no number of samples removes."""
_COLOURS = (
    *("#56B4E9", "#8C564B", "#555555", "#000000"),
    *("#0072B2", "#E69F00", "#009E73", "#CC3377"),
)
_MARKERS = ("v", "P", "X", "*", "p", "h", "<", ">", "d", "8", "H")
_DARKEST, _LIGHTEST = 0.0, 0.88
"""Where the ends of a scale of numbers lie in viridis; its end is too light for lines."""
_FEW = 4


@dataclass(frozen=True)
class Look:
    """How one curve looks.

    Attributes
    ----------
    colour, marker : str
    line : str or tuple
        A line style of matplotlib.
    """

    colour: str
    marker: str
    line: Any = "-"


def looks(values: Sequence[Any], column: str = "student") -> dict[Any, Look]:
    """Return the look of each value of a column, all different up to 88 values.

    The paper's students and the main access levels have their own; numbers go from dark to light.

    Parameters
    ----------
    values : sequence
        Different ones, in the order of the legend.
    column : str
    """
    kept: dict[str, Any] = {"student": STUDENT_STYLE, "access": ACCESS_STYLE}
    own = kept.get(column, {})
    plain = [value for value in values if value not in own]
    if len(plain) > 2 and all(isinstance(value, numbers.Real) for value in plain):
        return dict(zip(plain, _scale(len(plain)), strict=True))
    found = {value: Look(*own[value][:2]) for value in values if value in own}
    # Where nothing has a look of its own, all eight colours are free.
    first = 0 if own else _FEW
    return found | {value: _nth(first, place) for place, value in enumerate(plain)}


def student_style(name: str, names: Sequence[str]) -> tuple[str, str, str]:
    """Return (colour, marker, label) of a student; those not the paper's get the next free ones."""
    look = looks(names)[name]
    label = STUDENT_STYLE[name][2] if name in STUDENT_STYLE else name
    return look.colour, look.marker, label


def _nth(first: int, place: int) -> Look:
    colour = _COLOURS[(first + place) % len(_COLOURS)]
    dashed = place >= (len(_COLOURS) if first else _FEW)
    return Look(colour, _MARKERS[place % len(_MARKERS)], DASHED if dashed else "-")


def _scale(many: int) -> list[Look]:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    colours = colormaps["viridis"](np.linspace(_DARKEST, _LIGHTEST, many))
    markers = ("o", "s", "^", "D", *_MARKERS)
    return [Look(to_hex(c), markers[i % len(markers)]) for i, c in enumerate(colours)]
