"""Exponentials of vectors: the same bits on every processor, at a fraction of the price of the C
library's.
"""

from __future__ import annotations

import math
from typing import Any

from kt_theory.kernels.vectors import LONG, REAL, Lanes

# exp x = 2^n exp r, n = round(x / log 2): the halves of log 2 are those of fdlibm, and 13 terms of
# the series of exp r, |r| <= log(2) / 2, err by less than 5e-18.
_TO_POWER = 1.44269504088896338700
_LOG_2, _LOG_2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_ROUNDER = 6755399441055744.0
_ROUNDER_BITS = 0x4338000000000000
_MANTISSA, _BIAS = 52, 1023
_LEAST, _MOST = -708.0, 709.0
_SERIES = tuple(1.0 / math.factorial(n) for n in range(13, -1, -1))


def exp(lanes: Lanes, x: Any) -> Any:
    """Return exp x, lane by lane: 0 below -708, exp 709 above 709, NaN of NaN."""
    builder = lanes.builder

    def real(value: float) -> Any:
        return lanes.constant(REAL, value)

    below = builder.fcmp_ordered("<", x, real(_LEAST))
    above = builder.fcmp_ordered(">", x, real(_MOST))
    kept = builder.select(below, real(_LEAST), builder.select(above, real(_MOST), x))
    shifted = lanes.fused(kept, real(_TO_POWER), real(_ROUNDER))
    power = builder.fsub(shifted, real(_ROUNDER))
    r = lanes.fused(power, real(-_LOG_2), kept)
    r = lanes.fused(power, real(-_LOG_2_LOW), r)
    value = real(_SERIES[0])
    for coefficient in _SERIES[1:]:
        value = lanes.fused(value, r, real(coefficient))
    n = builder.sub(
        builder.bitcast(shifted, lanes.kind(LONG)), lanes.constant(LONG, _ROUNDER_BITS - _BIAS)
    )
    scale = builder.bitcast(builder.shl(n, lanes.constant(LONG, _MANTISSA)), lanes.kind(REAL))
    return builder.select(below, real(0.0), builder.fmul(value, scale))
