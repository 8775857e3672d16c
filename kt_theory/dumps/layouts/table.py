"""All layouts, and what tells the files of each apart."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from kt_theory.dumps.layouts.columns import column_names
from kt_theory.dumps.layouts.distillkit import (
    DISTILLKIT,
    DISTILLKIT_COMPRESSED,
    DISTILLKIT_LEGACY,
)
from kt_theory.dumps.layouts.layout import Layout
from kt_theory.dumps.layouts.sidecar import SIDECAR

_ALL = (DISTILLKIT, DISTILLKIT_COMPRESSED, DISTILLKIT_LEGACY, SIDECAR)

LAYOUTS: Mapping[str, Layout] = {layout.name: layout for layout in _ALL}
"""By name; a file has the first one that it can have."""

HEADS: Mapping[str, Callable[[Path], Collection[str]]] = {".parquet": column_names}
"""How the names of columns, fields or arrays of a file are read, by the ending of its name."""
