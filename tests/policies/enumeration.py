"""Expected losses of policies that draw labels, by enumeration of all that can be drawn."""

from itertools import combinations_with_replacement
from math import factorial, prod

import numpy as np
from policies import oracle


def drawn(draws, law):
    """Yield the counts of so many draws from a law, and their probability."""
    for labels in combinations_with_replacement(range(len(law)), draws):
        counts = np.bincount(labels, minlength=len(law))
        ways = factorial(draws) // prod(factorial(int(count)) for count in counts)
        chance = ways * prod(float(p) ** int(c) for p, c in zip(law, counts, strict=True))
        if chance > 0.0:
            yield counts, chance


def copy_of(row, counts, one):
    """What a student writes of draws: frequencies, weighted ones, or SEL_ptl."""
    if "probabilities" in one.name:
        seen = counts > 0
        copy = np.where(seen, row, 0.0)
        if not seen.all():
            copy[~seen] = row[~seen].sum() / (~seen).sum()
        return copy
    power = one.kept.power
    proposal = row**power / (row**power).sum()
    weights = np.divide(counts * row, proposal, out=np.zeros(len(row)), where=proposal > 0)
    return weights / weights.sum()


def expected_losses(row, one, draws=None):
    """Return E TV, E KL(p||q) and the expected number of labels that are stored."""
    power = getattr(one.kept, "power", 1.0)
    law = row**power / (row**power).sum()
    tv = kl = stored = 0.0
    for counts, chance in drawn(draws or one.kept.draws, law):
        copy = copy_of(row, counts, one)
        tv += chance * oracle.tv(copy, row)
        kl += chance * oracle.kl(row, copy)
        stored += chance * (counts > 0).sum()
    return tv, kl, stored
