"""Independent derivations that the tests share: enumeration of all transfer sets, literal closed forms."""

from __future__ import annotations

import itertools
from collections import Counter
from functools import cache
from math import factorial, prod
from types import FunctionType

import numpy as np

import kt_theory as kt


@cache
def generic(student):
    """The same student on the path of users' rules, not on that of its closed form.

    Rules are equal by content, so that only a function of its own makes one that is not recognised.
    Whoever asks again gets the same student: its rule is compiled once.
    """
    known = student.rule.py_func
    own = FunctionType(known.__code__, known.__globals__, known.__name__)
    twin = kt.Student(f"{student.name}_rule", student.access, kt.RowRule(own), exact=student.exact)
    assert twin.rule != student.rule
    return twin


def transfer_sets(teacher, n):
    """Yield (counts (S, A), probability) over all multisets of n pairs."""
    joint = (teacher.rho[:, None] * teacher.pi).ravel()
    cells = np.flatnonzero(joint)
    for chosen in itertools.combinations_with_replacement(cells, n):
        counts = np.zeros(joint.size, dtype=np.int64)
        for cell, times in Counter(chosen).items():
            counts[cell] = times
        ways = factorial(n) // prod(factorial(int(c)) for c in counts)
        yield counts.reshape(teacher.pi.shape), ways * float(np.prod(joint**counts))


def occurrences(drawn, outcomes):
    """How often each of the outcomes (K, cells) was drawn, (K,): those of (R, cells), each of which must be one."""
    place = (int(outcomes.max()) + 1) ** np.arange(outcomes.shape[1])
    codes, order = outcomes @ place, np.argsort(outcomes @ place)
    found = order[np.minimum(np.searchsorted(codes[order], drawn @ place), len(codes) - 1)]
    assert (outcomes[found] == drawn).all()
    return np.bincount(found, minlength=len(codes))


def paper_table(name, counts, pi):
    """The four closed forms of Zhao and Zhu (2023), section by section, without the package's rules."""
    labels = pi.shape[1]
    table = np.full(pi.shape, 1.0 / labels)
    for s in np.flatnonzero(counts.sum(axis=1)):
        seen = counts[s] > 0
        if name == "ce_sgl":
            table[s] = counts[s] / counts[s].sum()
        elif name == "ce_ptl":
            table[s] = counts[s] * pi[s] / np.dot(counts[s], pi[s])
        elif name == "sel_ptl":
            table[s] = pi[s]
            if not seen.all():
                table[s][~seen] = max(0.0, 1.0 - pi[s][seen].sum()) / np.count_nonzero(~seen)
        else:
            table[s] = pi[s]
    return table


def enumerated_risk(name, teacher, n):
    """The expected loss over all transfer sets."""
    return sum(
        weight
        * float(
            teacher.rho
            @ (0.5 * np.abs(paper_table(name, counts, teacher.pi) - teacher.pi).sum(axis=1))
        )
        for counts, weight in transfer_sets(teacher, n)
    )


@cache
def counts_of(n, parts):
    """All ways to put n into so many parts."""
    if parts == 1:
        return ((n,),)
    return tuple((i, *rest) for i in range(n + 1) for rest in counts_of(n - i, parts - 1))
