"""Rounded and quantised probabilities: the floor that the channel leaves, from above and from
below.

An answer shows in which cell each probability lies: log p within step/2 of a multiple of `step`, or
p within 2^-(b+1) of a multiple of 2^-b. Sampled labels still tell teachers with the same cells
apart, as hard labels do.

From below, pairs of labels with total v: a fair coin each says which of the two has v(1+d)/2 and
which v(1-d)/2, both in one cell. Whatever the student does with N samples of the pair, it loses v d
P(N), P(N) the chance that the majority errs; over uniform rho and all rows the pairs of one kind
lose count v d E P(N), N ~ Bin(n, v/S).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kt_theory.limits.optimise import maximum
from kt_theory.limits.visits import visit_blocks

INSIDE = 1.0 - 1e-9
"""Pairs keep this share of their cell's width, so that rounding cannot carry a probability over its
edge.
"""


class Pairs(NamedTuple):
    """`number` pairs of labels in a row, each of total probability `total`; d of the module is at
    most `contrast`.
    """

    number: int
    total: float
    contrast: float


def rounded_pairs(step: float, labels: int) -> list[list[Pairs]]:
    """Return teachers as lists of pairs whose labels share a code under rounding of
    log-probabilities to `step`.
    """
    half = 0.5 * step * INSIDE
    even = labels - labels % 2
    near, far = (
        np.arange(2, min(even, 2000) + 1, 2),
        2 * (np.geomspace(2, even, 200) // 4).astype(int),
    )
    sizes = np.unique(np.concatenate([near, far, [even]]))
    sizes = sizes[sizes >= 2].astype(np.float64)
    best: dict[float, tuple[float, Pairs]] = {}
    for shift in (-1.0, 0.0, 1.0):
        code = np.minimum(np.round(-np.log(sizes) / step) + shift, 0.0) * step
        with np.errstate(under="ignore"):
            low, high = np.exp(code - half), np.exp(code + half)
        # The middle of the cell where the mass allows it; with all labels in pairs the mass is 1
        # exactly.
        free = sizes < labels
        middle = np.where(free, np.minimum(0.5 * (low + high), 1.0 / sizes), 1.0 / sizes)
        contrast = np.minimum(1.0 - low / middle, high / middle - 1.0)
        for size, m, d in zip(sizes, middle, contrast, strict=True):
            if d > 0.0 and size * m * d > best.get(size, (0.0,))[0]:
                best[float(size)] = (
                    float(size * m * d),
                    Pairs(int(size) // 2, 2.0 * float(m), min(float(d), 1.0)),
                )
    ranked = sorted(best.values(), key=lambda one: -one[0])
    chosen = [pairs for _, pairs in ranked[:1]]
    chosen += [best[size][1] for size in sorted(best, reverse=True)[:2]]
    return [[pairs] for pairs in dict.fromkeys(chosen)]


def quantised_pairs(bits: int, labels: int) -> list[list[Pairs]]:
    """Return teachers as lists of pairs whose labels are shown as the same multiple of 2^-bits."""
    unit, cells = 2.0**-bits, 2**bits
    if labels <= cells:
        code, more = divmod(cells, labels)
        kinds = ((more // 2, code + 1), ((labels - more) // 2, code))
        return [[Pairs(count, 2.0 * c * unit, 0.5 / c * INSIDE) for count, c in kinds if count]]
    # Pairs shown as one unit have mass 2 units and pairs shown as 0 half a unit; one label takes
    # what is left.
    most = (labels - 1) // 2
    once = max(0, (2 * cells - most) // 3)
    plans = [
        (once, min(most - once, 2 * cells - 4 * once)),
        (cells // 2, 0),
        (0, min(most, 2 * cells)),
    ]
    kinds_of = ((2.0 * unit, 0.5 * INSIDE), (0.5 * unit, INSIDE))
    return [
        [Pairs(count, total, d) for count, (total, d) in zip(plan, kinds_of, strict=True) if count]
        for plan in plans
        if min(plan) >= 0 and 4 * plan[0] + plan[1] <= 2 * cells and sum(plan)
    ]


def pairs_lower(inputs: int, n: int, teachers: list[list[Pairs]]) -> float:
    """Return the largest Bayes risk of the teachers, each pair's contrast within its cell."""
    return max(
        (sum(_best_contrast(inputs, n, pairs) for pairs in kinds) for kinds in teachers),
        default=0.0,
    )


def pair_error(n: int, share: float, contrast: float) -> float:
    """Return a lower bound on E P(N), N ~ Bin(n, share): the chance that the majority of N samples
    errs.

    P(0) = 1/2 and P(2i) = P(2i-1) = P(Bin(2i-1, (1+d)/2) <= i-1) = I_((1-d)/2)(i, i).

    Parameters
    ----------
    n : int
    share : float
        Probability that a sample hits the pair.
    contrast : float
        d, in [0, 1].
    """
    from scipy.special import betainc

    ends, chances = visit_blocks(n, share, most=512)
    half = np.ceil(0.5 * ends)
    errs = np.full(len(ends), 0.5)
    errs[half > 0] = betainc(half[half > 0], half[half > 0], 0.5 * (1.0 - contrast))
    return float(chances @ errs)


def _best_contrast(inputs: int, n: int, pairs: Pairs) -> float:
    share = pairs.total / inputs
    value, _ = maximum(lambda d: d * pair_error(n, share, d), 0.0, pairs.contrast)
    return pairs.number * pairs.total * value
