"""All layouts, and what tells the files of each apart."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from kt_theory.dumps.layouts import hdf5, lines, npy, safetensors
from kt_theory.dumps.layouts.axolotl import AXOLOTL
from kt_theory.dumps.layouts.base64_arrays import BASE64
from kt_theory.dumps.layouts.columns import column_names
from kt_theory.dumps.layouts.distillkit import (
    DISTILLKIT,
    DISTILLKIT_COMPRESSED,
    DISTILLKIT_LEGACY,
)
from kt_theory.dumps.layouts.layout import Layout
from kt_theory.dumps.layouts.nemo_aligner import NEMO_ALIGNER
from kt_theory.dumps.layouts.sidecar import SIDECAR
from kt_theory.dumps.layouts.stored import STORED
from kt_theory.dumps.layouts.vllm import VLLM

_ALL = (
    STORED,
    DISTILLKIT,
    DISTILLKIT_COMPRESSED,
    DISTILLKIT_LEGACY,
    SIDECAR,
    NEMO_ALIGNER,
    BASE64,
    AXOLOTL,
    VLLM,
    npy.NPY,
    npy.NPZ,
    safetensors.SAFETENSORS,
    hdf5.HDF5,
)

LAYOUTS: Mapping[str, Layout] = {layout.name: layout for layout in _ALL}
"""By name; a file has the first one that it can have."""

HEADS: Mapping[str, Callable[[Path], Collection[str]]] = {
    ".parquet": column_names,
    **dict.fromkeys(lines.SUFFIXES, lines.first_record),
    ".npy": npy.no_names,
    ".npz": npy.names_of_members,
    ".safetensors": safetensors.names_of_tensors,
    **dict.fromkeys(hdf5.SUFFIXES, hdf5.data_sets),
}
"""How the names of columns, fields or arrays of a file are read, by the ending of its name."""
