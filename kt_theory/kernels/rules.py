"""How a rule, a plain Python function, becomes machine code that the repeat loop can call.

A row rule is `rule(counts, revealed, out)` with counts (A,) int64, revealed (A,) float64 and out
(A,) float64; a table rule takes the same three with (S, A) entries. A rule with parameters takes
them as a fourth argument, (P,) float64. Compiled, all are C functions of one type known by their
addresses, so that the loop over repeats is compiled once for all rules. Each is called on many rows
at a time, and the loop over the rows is compiled with it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import llvmlite.ir as ir
from numba import carray, cfunc, njit, types

from kt_theory.kernels.options import BARE
from kt_theory.kernels.vectors import intrinsic

_SIGNATURE = types.void(
    types.int64,
    types.int64,
    types.CPointer(types.int64),
    types.CPointer(types.float64),
    types.CPointer(types.float64),
    types.int64,
    types.CPointer(types.float64),
)
_LOSS = types.float64(types.int64, types.CPointer(types.float64), types.CPointer(types.float64))


@cache
def compile_rule(
    rule: Callable[..., None], whole_table: bool, checked: bool, *, parameters: bool = False
) -> Any:
    """Return `rule` as a C function with an `.address`; numba's error passes through if it does not
    compile. `parameters`: it takes some.

    `out` has one entry more than there are cells, where the number of the rows that the rule has
    returned from is written: a rule that raises ends the call. Checks of the bounds keep LLVM from
    using SIMD and double the time of a rule, so that they are on for a trial of the first repeats
    only.
    """
    axes = 2 if whole_table else 1
    numbers = types.Array(types.float64, axes, "C")
    more = [types.Array(types.float64, 1, "C")] if parameters else []
    options = {key: value for key, value in BARE.items() if key not in ("cache", "_nrt")}
    options["boundscheck"] = checked
    signature = types.void(types.Array(types.int64, axes, "C"), numbers, numbers, *more)
    compiled = njit(signature, **options)(rule)

    called = compiled if parameters else _without_parameters(compiled)
    return cfunc(_SIGNATURE)(_table_entry(called) if whole_table else _row_entry(called))


def _without_parameters(compiled: Any) -> Any:
    @njit(nogil=True, error_model="numpy", inline="always")
    def called(counts, revealed, out, parameters):
        compiled(counts, revealed, out)

    return called


def _row_entry(called: Any) -> Callable[..., None]:
    def entry(rows, labels, counts, revealed, out, size, parameters):
        given, shape = carray(parameters, (size,)), (rows, labels)
        seen, shown, written = carray(counts, shape), carray(revealed, shape), carray(out, shape)
        done = carray(out, (rows * labels + 1,))
        for row in range(rows):
            called(seen[row], shown[row], written[row], given)
            done[rows * labels] = row + 1.0

    return entry


def _table_entry(called: Any) -> Callable[..., None]:
    def entry(rows, labels, counts, revealed, out, size, parameters):
        shape = (rows, labels)
        given = carray(parameters, (size,))
        called(carray(counts, shape), carray(revealed, shape), carray(out, shape), given)
        carray(out, (rows * labels + 1,))[rows * labels] = float(rows)

    return entry


@intrinsic
def call_rule(typingctx, address, rows, labels, counts, revealed, out, size, parameters):
    """Call the compiled rule at `address` on three tables and `size` parameters, all given by the
    addresses of their first entries.
    """

    def codegen(context, builder, signature, args):
        kinds = [context.get_value_type(t) for t in _SIGNATURE.args]
        entry = builder.inttoptr(args[0], ir.PointerType(ir.FunctionType(ir.VoidType(), kinds)))
        words = zip(args[3:6], kinds[2:5], strict=True)
        tables = [builder.inttoptr(word, kind) for word, kind in words]
        builder.call(entry, [*args[1:3], *tables, args[6], builder.inttoptr(args[7], kinds[6])])
        return context.get_dummy_value()

    numbers, addresses = [types.int64] * 3, [types.uintp] * 3
    return types.void(*numbers, *addresses, types.int64, types.uintp), codegen


@cache
def compile_loss(loss: Callable[..., float]) -> Any:
    """Return `loss`, a function of two rows (A,) that may not write to them, as a C function with
    an `.address`; numba's error passes through if it does not compile.
    """
    row = types.Array(types.float64, 1, "C", readonly=True)
    options = {key: value for key, value in BARE.items() if key not in ("cache", "_nrt")}
    called = njit(types.float64(row, row), **options)(loss)

    def entry(labels, p, q):
        return called(carray(p, (labels,)), carray(q, (labels,)))

    return cfunc(_LOSS)(entry)


@intrinsic
def call_loss(typingctx, address, labels, p, q):
    """Call the compiled loss at `address` on two rows, given by the addresses of their first
    entries.
    """

    def codegen(context, builder, signature, args):
        kinds = [context.get_value_type(t) for t in _LOSS.args]
        function = ir.FunctionType(ir.DoubleType(), kinds)
        entry = builder.inttoptr(args[0], ir.PointerType(function))
        rows = [builder.inttoptr(word, kinds[1]) for word in args[2:]]
        return builder.call(entry, [args[1], *rows])

    return types.float64(types.int64, types.int64, types.uintp, types.uintp), codegen
