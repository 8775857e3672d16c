"""What a student writes: its compiled rule called on one row, or one whole table, after the other."""

from __future__ import annotations

from numba import njit

from kt_theory.kernels.options import LEAF
from kt_theory.kernels.rules import call_rule


@njit(**LEAF)
def write_tables(address, rows, labels, counts, revealed, out):
    """Call the rule at `address` on each of C pieces of R = `rows` rows: 1 for a row rule, S for a table rule.

    counts int64 and revealed float64 hold C R A entries, piece after piece. out (C, R A + 1) float64 has the prior, or
    NaN, and receives what the rule writes; the last entry of a piece is set to 1 once the rule has returned, and the
    first piece on which it does not ends the loop.
    """
    word = 8 * rows * labels
    for i in range(len(out)):
        ahead = i * word
        seen, shown, written = counts.ctypes.data + ahead, revealed.ctypes.data + ahead, out.ctypes.data + ahead + 8 * i
        call_rule(address, rows, labels, seen, shown, written)  # type: ignore[call-arg]
        if out[i, rows * labels] != 1.0:
            break
