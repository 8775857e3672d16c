"""Losses of simulations at four sizes, written as a file: run on two processors and compared."""

from __future__ import annotations

import sys

import numpy as np

import kt_theory as kt

SIZES = {
    "one row": (kt.teachers.uniform(inputs=1, labels=3), 7),
    "sparse": (kt.teachers.zipf(inputs=40, labels=30), 60),
    "dense": (kt.teachers.instance0(inputs=10, labels=25), 20_000),
    "wide": (kt.teachers.dirichlet(inputs=5, labels=300), 10**6),
}


def losses():
    """Return the losses of the paper's students at each size, (repeats, students)."""
    found = {}
    for name, (teacher, n) in SIZES.items():
        each = kt.simulate(teacher, n=n, repeats=200, seed=3, threads=1, keep_losses=True)
        found[name] = each.losses[0]
    return found


if __name__ == "__main__":
    np.savez(sys.argv[1], **losses())
