"""How a row rule, a plain Python function, becomes machine code that the repeat loop can call.

A rule is `rule(counts, revealed, out)` with counts (A,) int64, revealed (A,) float64 and out (A,) float64. Compiled, it
is a C function known by its address, so that the repeat loop itself is compiled once for all rules.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import llvmlite.ir as ir
from numba import carray, cfunc, njit, types
from numba.extending import intrinsic

_SIGNATURE = types.void(
    types.int64, types.CPointer(types.int64), types.CPointer(types.float64), types.CPointer(types.float64)
)


@cache
def compile_rule(rule: Callable[..., None], checked: bool) -> Any:
    """Return `rule` as a C function with an `.address`; numba's error passes through if it does not compile.

    `out` has one entry more than there are labels, which is set to 1 once the rule has returned: a rule that raises
    leaves it alone, which is how the repeat loop learns of it. Checks of the bounds keep LLVM from using SIMD and
    double the time of a rule, so that they are on for a trial of the first repeats only.
    """
    row = types.Array(types.float64, 1, "C")
    compiled = njit(
        types.void(types.Array(types.int64, 1, "C"), row, row),
        nogil=True,
        error_model="numpy",
        boundscheck=checked,
    )(rule)

    @cfunc(_SIGNATURE)
    def entry(labels, counts, revealed, out):
        compiled(carray(counts, (labels,)), carray(revealed, (labels,)), carray(out, (labels,)))
        carray(out, (labels + 1,))[labels] = 1.0

    return entry


@intrinsic
def call_rule(typingctx, address, labels, counts, revealed, out):
    """Call the compiled rule at `address` on three rows given by the addresses of their first entries."""

    def codegen(context, builder, signature, args):
        kinds = [context.get_value_type(t) for t in _SIGNATURE.args]
        entry = builder.inttoptr(args[0], ir.PointerType(ir.FunctionType(ir.VoidType(), kinds)))
        rows = [builder.inttoptr(word, kind) for word, kind in zip(args[2:], kinds[1:], strict=True)]
        builder.call(entry, [args[1], *rows])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.uintp, types.uintp, types.uintp), codegen
