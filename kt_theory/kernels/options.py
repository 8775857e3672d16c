"""How kernels are compiled.

`LEAF`: nothing is allocated, so Numba's reference counts are off; they would be two atomic
operations for every array handed to a function, more than most of these functions cost. `BARE` is
for functions that only others call: without the entrances from Python and C they compile in half
the time. `INLINE` is for those that take several named tuples, which a call would copy array by
array; `WITHIN` is the same for those chosen by type. No option lets LLVM
reorder sums, so that results are the same on every processor. Whoever compiles into the cache takes
its options from here: loading this module has made the cache ready.
"""

from __future__ import annotations

from typing import Any

from kt_theory.kernels.machine_code import drop_stale, find_a_cache

drop_stale()
find_a_cache()

PLAIN: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
LEAF: dict[str, Any] = {**PLAIN, "_nrt": False}
BARE: dict[str, Any] = {**LEAF, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
INLINE: dict[str, Any] = {**BARE, "forceinline": True}
WITHIN: Any = {key: INLINE[key] for key in INLINE if key != "cache"}
