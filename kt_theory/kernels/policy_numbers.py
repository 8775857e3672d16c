"""What kernels of storage call policies, and the columns of what they take and give."""

from __future__ import annotations

SOFT, RENORMALISED, EVEN_TAIL, TAIL_MASS, TOP_P, SAMPLED, SAMPLED_STATED = range(7)
AS_IS, ROUNDED, QUANTISED = range(3)

KIND, SIZE, CHANNEL, POOLED = range(4)
"""Columns of `what`: the kind, k or N, the channel, and N times the visits."""

SHARE, AMOUNT, LAST_CODE, TAU, CHANNEL_ERROR = range(5)
"""Columns of `how`: p or t, step or bits, the last code of a step, the temperature, and how far at
most the channel moves a row that it cannot see."""

TV_LEAST, TV_MOST, KL_LEAST, KL_MOST, STORED = range(5)
"""Columns of what is found: losses, and how many labels are stored (at most)."""

FRACTION = 40
"""Sums are kept in units of 2^-40."""

ORDER = 6
"""Sums of so many powers stand for the light labels of the rest: N p at most `LIGHT`, so that
the first term that is left out is below 2^-51 of the sum."""

LIGHT = 1.0 / 128.0
UNITS = 2.0**40

ROUNDING = 2.0**-52
