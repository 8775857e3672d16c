"""Checks at the border: every message names the argument, the value, the rule and, where possible,
the way out.
"""

from __future__ import annotations

import difflib
import math
import operator
import os
from collections.abc import Iterable
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np

LARGEST_COUNT = 2**53
"""Counts above this are no longer whole numbers in float64."""

SUM_TOLERANCE = 1e-9
"""How far from 1 a float64 distribution may sum."""

ROUNDING = 1e-12
"""Sums within this of 1 are rounding; rows further off are divided by their sum."""


def shown(value: Any) -> str:
    """Return what Python prints of a value, in one line that is not long."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        # Numbers of thousands of digits, lists nested without end.
        text = f"a {type(value).__name__}"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


_LONGEST = 300


def entries_of(values: Any, name: str) -> list[Any]:
    """Return a sequence as a list, or refuse what is none."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable) or _is_scalar(values):
        raise ValueError(f"{name} = {shown(values)}: must be a sequence")
    return list(values)


def _is_scalar(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.ndim == 0


def as_path(value: Any, name: str) -> Path:
    """Return a path, or refuse what is none."""
    if not isinstance(value, (str, os.PathLike)):
        raise ValueError(f"{name} = {shown(value)}: must be a str or a Path")
    return Path(value)


def true_or_false(value: Any, name: str) -> bool:
    """Return a truth value, or refuse what is none, though Python would take it for one."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} = {shown(value)}: must be True or False")
    return bool(value)


def refuse_no_text(**values: Any) -> None:
    """Raise an error where one of some values is neither a text nor None."""
    for name, value in values.items():
        if not isinstance(value, (str, NoneType)):
            raise ValueError(f"{name} = {shown(value)}: must be a text")


def in_unicode(text: str) -> str:
    """Return a text as a table can hold it: a file's name that is no UTF-8 has halves of surrogate
    pairs, which are written as numbers.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def as_floats(values: Any, name: str) -> np.ndarray:
    """Return an array-like as float64, or refuse what holds no numbers, or masked ones."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(f"{name}: {_MASKED}")
    try:
        if np.asarray(values).dtype.kind == "c":
            raise TypeError
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            f"{name}: must be a table of real numbers; it holds text, complex or ragged entries"
        ) from None


_MASKED = "entries are masked, which is missing data: entries must be finite"


def whole_number(value: Any, name: str, *, low: int = 0, high: int = LARGEST_COUNT) -> int:
    """Return `value` as an int in [low, high]; accepts 1000, 1e3 and NumPy's numbers, refuses 2.5,
    True, "7" and arrays.
    """
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0):
        raise ValueError(f"{name} = {shown(value)}: must be one whole number; ask for each alone")
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = int(value) if isinstance(value, (float, np.floating)) else operator.index(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} = {shown(value)}: must be a whole number") from None
    if number != value:
        raise ValueError(
            f"{name} = {shown(value)}: must be a whole number, not a fraction; round it"
        )
    if number < low:
        raise ValueError(f"{name} = {shown(value)}: must be at least {low}")
    if number > high:
        limit = "2^53, above which float64 cannot count" if high == LARGEST_COUNT else str(high)
        raise ValueError(f"{name} = {shown(value)}: must be at most {limit}")
    return number


def sample_sizes(n: Any, *, endless: bool = False) -> list[Any]:
    """Return `n`, one whole number or an array-like of them, as a list of ints in [0, 2^53]; or
    inf, if `endless`.
    """
    values = [n] if np.ndim(n) == 0 else list(np.ravel(np.asarray(n, dtype=object)))
    if not values:
        raise ValueError("n = []: give at least one number of samples")
    return [value if endless and infinite(value) else whole_number(value, "n") for value in values]


def infinite(value: Any) -> bool:
    """Return whether `value` is the float inf."""
    return isinstance(value, (float, np.floating)) and bool(value == np.inf)


def as_given(values: Any, n: Any) -> float | np.ndarray:
    """Return `values`, one for each of `sample_sizes(n)`, in the shape of n: a float for one."""
    return float(values[0]) if np.ndim(n) == 0 else np.reshape(values, np.shape(n))


def unit_interval(value: Any, name: str) -> float:
    """Return `value` as a float strictly between 0 and 1."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} = {shown(value)}: must be a number between 0 and 1") from None
    if not 0.0 < number < 1.0:
        raise ValueError(f"{name} = {shown(value)}: must lie strictly between 0 and 1")
    return number


_SHAPES = {
    "features": "(inputs, features)",
    "tables": "(values of u, inputs, labels)",
    "row": "(labels,)",
    "moments": "(labels, features)",
    "jacobian": "(labels, features)",
    "transitions": "(inputs, inputs)",
    "distances": "(inputs, inputs)",
}


def positive(value: Any, name: str, *, low: float = 0.0, high: float = np.inf) -> float:
    """Return `value` as a finite float above 0, from `low` to `high`."""
    try:
        number = float(value) if not isinstance(value, bool) else 0.0
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} = {shown(value)}: must be a number above 0") from None
    if not 0.0 < number < np.inf:
        raise ValueError(f"{name} = {shown(value)}: must be a finite number above 0")
    if not low <= number <= high:
        raise ValueError(
            f"{name} = {shown(value)}: must lie from {low:g} to {high:g}, "
            f"beyond which float64 fails"
        )
    return number


def number_between(value: Any, name: str, *, low: float, high: float) -> float:
    """Return `value` as a float from `low` to `high`; a high of inf leaves out inf itself."""
    try:
        number = math.nan if isinstance(value, (bool, np.bool_, str)) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if math.isinf(high) and not low <= number < math.inf:
        raise ValueError(f"{name} = {shown(value)}: must be a finite number, at least {low:g}")
    if not low <= number <= high:
        raise ValueError(f"{name} = {shown(value)}: must be a number from {low:g} to {high:g}")
    return number


def unknown_name(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """Return the error for a name that is none of `known`: it suggests the nearest and lists them
    all.
    """
    choices = sorted(known)
    near = difflib.get_close_matches(str(name).lower(), choices, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return ValueError(f"unknown {kind} {shown(name)}{hint}: must be one of {', '.join(choices)}")


def numeric_array(values: Any, name: str, ndim: int) -> np.ndarray:
    """Return `values` as a fresh C-ordered float array of `ndim` axes without NaN, infinity or
    empty axes.

    float32 and float16 keep their type, so that the caller can tell how finely they were rounded.
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(f"{name}: {_MASKED}")
    try:
        array = np.asarray(values)
        if array.dtype.kind in "cOSU":
            if array.dtype.kind == "c":
                raise TypeError
            array = array.astype(np.float64)
        elif array.dtype not in (np.float16, np.float32):
            array = array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            f"{name}: must be a table of real numbers; it holds text, complex or ragged entries"
        ) from None
    if array.ndim != ndim:
        shape = _SHAPES.get(name, "(inputs, labels)" if ndim == 2 else "(inputs,)")
        raise ValueError(f"{name} has shape {array.shape}: must have {ndim} axes, {shape}")
    if array.size == 0:
        raise ValueError(
            f"{name} has shape {array.shape}: must have at least one input and one label"
        )
    _refuse_entries(~np.isfinite(array), array, name, "entries must be finite")
    return np.array(array, order="C")


def distributions(
    values: Any, name: str, ndim: int, *, normalise: bool | None = None
) -> np.ndarray:
    """Return `values` as float64 distributions along the last axis.

    Rows must be non-negative and sum to 1 within 1e-9. float64 rows within 1e-12 are kept to the
    bit, others divided by their sum; float32 and float16 rows are accepted within their own
    rounding and divided by their sum in float64. `normalise=True` divides by any positive sum; None
    is for callers that have no such argument to offer.
    """
    if normalise is not None:
        true_or_false(normalise, "normalise")
    raw = numeric_array(values, name, ndim)
    _refuse_entries(raw < 0, raw, name, "probabilities must be >= 0")
    table = raw.astype(np.float64)
    with np.errstate(over="ignore"):
        sums = table.sum(axis=-1, keepdims=True)
    if normalise:
        _refuse_rows(sums <= 0, sums, name, "cannot be normalised: the sum must be positive")
        table = table / table.max(
            axis=-1, keepdims=True
        )  # so that huge entries do not overflow the sum
        return table / table.sum(axis=-1, keepdims=True)
    rounding = (
        0.0 if raw.dtype == np.float64 else float(np.finfo(raw.dtype).eps) * np.sqrt(raw.shape[-1])
    )
    tolerance = max(SUM_TOLERANCE, rounding)
    way_out = "divide by the sum" if normalise is None else "normalise=True divides by the sum"
    _refuse_rows(np.abs(sums - 1.0) > tolerance, sums, name, f"must sum to 1; {way_out}")
    if raw.dtype != np.float64:
        return table / sums
    return np.where(np.abs(sums - 1.0) > ROUNDING, table / sums, table)


def probabilities(values: Any, name: str) -> np.ndarray:
    """Return `values` as float64, refused where an entry is no probability; no sum is looked at."""
    array = np.atleast_1d(as_floats(values, name))
    if not (array.min(initial=0.0) >= -_SINGLE and array.max(initial=0.0) <= 1.0 + _SINGLE):
        wrong = ~((array >= -_SINGLE) & (array <= 1.0 + _SINGLE))
        _refuse_entries(wrong, array, name, "probabilities must lie in [0, 1]")
    return array


_SINGLE = 1e-6
"""How far beyond [0, 1] sums in single precision may carry a probability."""


def input_law(rho: Any, inputs: int, *, normalise: bool | None = None) -> np.ndarray:
    """Return `rho` as the law of so many inputs, uniform if it is None."""
    if rho is None:
        return np.full(inputs, 1.0 / inputs)
    law = distributions(rho, "rho", 1, normalise=normalise)
    if len(law) != inputs:
        raise ValueError(
            f"rho has {len(law)} entries: pi has {inputs} inputs, one entry is needed for each"
        )
    return law


def _refuse_entries(wrong: np.ndarray, array: np.ndarray, name: str, rule: str) -> None:
    for place in np.argwhere(wrong):
        where = ", ".join(map(str, place))
        raise ValueError(f"{name}[{where}] = {array[tuple(place)]}: {rule}")


def _refuse_rows(wrong: np.ndarray, sums: np.ndarray, name: str, rule: str) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        where = ", ".join(map(str, np.unravel_index(rows[0], sums.shape[:-1])))
        row = f" row {where}" if where else ""
        more = f" (and {len(rows) - 1} more rows)" if len(rows) > 1 else ""
        raise ValueError(f"{name}{row} sums to {np.ravel(sums)[rows[0]]:.12g}{more}: {rule}")
