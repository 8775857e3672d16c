"""Safetensors files of whole rows: bfloat16, float16, float32 or float64, read without torch.

A file is the length of its header (8 bytes), the header in JSON, which gives each tensor its type,
shape and place, and the tensors as they lie in memory.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import orjson

from kt_theory.dumps.layouts.arrays import LOOKS, USED, Array, Flat, WholeRows, array_part, has_rows
from kt_theory.dumps.layouts.layout import Asked, Layout
from kt_theory.sources import require_file
from kt_theory.validation import shown

_LONGEST_HEADER = 100_000_000
_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}
_BYTES = {"<f8": 8, "<f4": 4, "<f2": 2, "<u2": 2, "<i8": 8, "<i4": 4, "<i2": 2}


def _part(path: Path, asked: Asked) -> WholeRows:
    header, begin = _header(path)
    size = path.stat().st_size
    arrays = {
        name: _tensor(path, name, header[name], begin, size) for name in header if name in USED
    }
    return array_part(path, arrays, asked)


def names_of_tensors(path: Path) -> Collection[str]:
    """Return the names of the tensors of a file.

    Raises
    ------
    ValueError
        If it is damaged, or cut off within its header.
    """
    return list(_header(path)[0])


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """What the header says of each tensor, and where the first one begins."""
    require_file(path)
    size = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(size - 8, _LONGEST_HEADER) or size < 8:
            raise ValueError(f"{path} is no safetensors file, or is cut off within its header")
        raw = file.read(length)
    try:
        header = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise ValueError(f"{path} is no safetensors file: its header is no JSON") from None
    if not isinstance(header, dict):
        raise ValueError(f"{path} is no safetensors file: its header is no object")
    return {name: header[name] for name in header if name != "__metadata__"}, 8 + length


def _tensor(path: Path, name: str, said: Any, begin: int, size: int) -> Array:
    try:
        kind, shape = said["dtype"], tuple(int(axis) for axis in said["shape"])
        start, stop = (int(place) for place in said["data_offsets"])
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{path}: its header says of {name} {shown(said)}") from None
    dtype = _TYPES.get(kind)
    if dtype is None:
        raise ValueError(
            f"{path}: {name} is of the type {shown(kind)}: must be one of {', '.join(_TYPES)}"
        )
    needed = math.prod(shape) * _BYTES.get(dtype, 1)
    if min((*shape, start), default=0) < 0 or stop - start != needed:
        raise ValueError(f"{path}: its header says of {name} {shown(said)}: sizes do not agree")
    if begin + stop > size:
        raise ValueError(
            f"{path} is cut off: {name} ends at byte {begin + stop:,}, the file at {size:,}"
        )
    return Flat(path, begin + start, dtype, shape or (1,), brain=kind == "BF16")


SAFETENSORS = Layout(
    "safetensors",
    LOOKS,
    (".safetensors",),
    has_rows,
    _part,
)
