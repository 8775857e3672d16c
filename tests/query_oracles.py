"""Risks under a query law by enumeration of every sequence of inputs and every count of labels."""

from __future__ import annotations

import itertools
from collections import Counter
from math import factorial

import numpy as np
from oracles import paper_table


def step_laws(name, rho, n, *, q=None, transitions=None, start=None, horizon=None):
    """Yield (inputs, probability) for all sequences of n inputs."""
    inputs = len(rho)
    for sequence in itertools.product(range(inputs), repeat=n):
        chance = 1.0
        for i, s in enumerate(sequence):
            if name == "iid":
                chance *= q[s]
            elif i % (horizon or n) == 0:
                chance *= start[s]
            else:
                chance *= transitions[sequence[i - 1], s]
        if chance > 0.0:
            yield sequence, chance


def visit_law(rho, sequences):
    """Return {visits (S,): probability}."""
    law = Counter()
    for sequence, chance in sequences:
        law[tuple(sequence.count(s) for s in range(len(rho)))] += chance
    return law


def label_counts(number, row):
    """Yield (counts (A,), probability) of `number` labels drawn from a row."""
    for counts in itertools.product(range(number + 1), repeat=len(row)):
        if sum(counts) == number:
            ways = factorial(number)
            for count in counts:
                ways //= factorial(count)
            chance = ways * float(np.prod(np.asarray(row) ** np.array(counts)))
            if chance > 0.0:
                yield np.array(counts), chance


def student_row(name, counts, row):
    """Return the row that the student writes, from its definition."""
    if name in ("ce_sgl", "ce_ptl", "sel_ptl", "ce_ful"):
        return paper_table(name, counts[None], row[None])[0]
    if name == "laplace":
        return (counts + 1.0) / (counts.sum() + len(row))
    known = counts > 0  # top_k(1): all but ties
    if counts.sum():
        known = known | (np.arange(len(row)) == np.argmax(row))
    rest = max(0.0, 1.0 - row[known].sum()) / max((~known).sum(), 1)
    return np.where(known, row, rest)


def row_loss(name, number, row):
    """Return the expected row loss after `number` labels."""
    return sum(
        chance * 0.5 * np.abs(student_row(name, counts, row) - row).sum()
        for counts, chance in label_counts(number, row)
    )


def enumerated(name, teacher, law, labels_per_query=1):
    """Return the risk given {visits: probability}."""
    losses = {}
    total = 0.0
    for visits, chance in law.items():
        for s, k in enumerate(visits):
            if (s, k) not in losses:
                losses[s, k] = row_loss(name, k * labels_per_query, teacher.pi[s])
            total += chance * teacher.rho[s] * losses[s, k]
    return total
