"""Arrow's columns without pandas, which `pyarrow.array` would load: most of a second in every
process that writes a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


def column(values: Sequence[Any], kind: str) -> pa.Array:
    """Return values, None where there is none, as an array of type `kind`: "string", or the name
    of a type of whole numbers or floats that has as many bytes in NumPy.
    """
    import pyarrow as pa

    if kind == "string":
        builder = pa.lib.StringBuilder()
        builder.append_values(values)
        return builder.finish()
    known = [value is not None for value in values]
    if all(known):
        return _of_buffers(np.array(values, dtype=kind), kind)
    given = [0 if value is None else value for value in values]
    bits = np.packbits(known, bitorder="little")
    return _of_buffers(np.array(given, dtype=kind), kind, bits)


def lists(parts: Sequence[Any], kind: str) -> pa.ListArray:
    """Return one list of whole numbers for each part."""
    import pyarrow as pa

    offsets = np.cumsum([0, *map(len, parts)]).astype(np.int32)
    flat = np.concatenate([np.zeros(0, dtype=kind), *parts]).astype(kind)
    return pa.ListArray.from_arrays(_of_buffers(offsets, "int32"), _of_buffers(flat, kind))


def _of_buffers(numbers: np.ndarray, kind: str, bits: np.ndarray | None = None) -> pa.Array:
    import pyarrow as pa

    buffers = [None if bits is None else pa.py_buffer(bits), pa.py_buffer(numbers)]
    return pa.Array.from_buffers(pa.type_for_alias(kind), len(numbers), buffers)
