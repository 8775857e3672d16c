"""How kernels are compiled.

`OWNER` is for the few that allocate, before their loop. `LEAF` is for all others: without Numba's reference counts, two
atomic operations for every array handed to a function, which would cost more than most of these functions do. `INLINE`
is for those that take several named tuples, which a call would copy array by array. `SIMD` lets LLVM reorder sums; it
leaves NaN alone.
"""

from __future__ import annotations

from typing import Any

OWNER: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
LEAF: dict[str, Any] = {**OWNER, "_nrt": False}
INLINE: dict[str, Any] = {**LEAF, "forceinline": True}
SIMD: dict[str, Any] = {**LEAF, "fastmath": {"reassoc", "nsz", "contract"}}
