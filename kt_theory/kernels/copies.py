"""What a student writes: its compiled rule called on one row or whole table after the other."""

from __future__ import annotations

from numba import njit

from kt_theory.kernels.options import LEAF
from kt_theory.kernels.rules import call_rule


@njit(**LEAF)
def write_tables(address, parameters, rows, labels, counts, revealed, out):
    """Call the rule at `address` on each of C pieces of `rows` rows, and return whether it returned
    from all of them. parameters (P,) float64 are what it is given besides.

    rows is 1 for a row rule and S for a table rule. counts int64 and revealed float64 hold all
    pieces in C order. out (R, C / R, rows A + 1) float64 has the prior, or NaN, and receives what
    the rule writes; the last entry of a piece is how many rows the rule has returned from, and the
    first piece on which it does not return from all ends the loop.
    """
    cells = rows * labels
    seen, shown, written = counts.ctypes.data, revealed.ctypes.data, out.ctypes.data
    given = parameters.ctypes.data
    for r in range(out.shape[0]):
        for i in range(out.shape[1]):
            call_rule(address, rows, labels, seen, shown, written, parameters.size, given)
            if out[r, i, cells] != rows:
                return False
            seen, shown, written = seen + 8 * cells, shown + 8 * cells, written + 8 * cells + 8
    return True
