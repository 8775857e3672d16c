"""The paper's students, and those of top-k access and of added counts."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real

import numpy as np

from kt_theory.access import HARD, PARTIAL, SOFT
from kt_theory.access import top_k as access_top_k
from kt_theory.exact.empirical import Empirical
from kt_theory.exact.reweighted import Reweighted
from kt_theory.exact.settled import Shown, WholeRows
from kt_theory.exact.smoothed import Smoothed
from kt_theory.exact.unseen import Unseen
from kt_theory.students import sparse
from kt_theory.students.rules import (
    RowRule,
    frequencies,
    good_turing,
    reweighted_frequencies,
    share_the_rest,
    smoothed_frequencies,
)
from kt_theory.students.student import Student
from kt_theory.validation import shown

_LARGEST_C = 1e100
_PAPER = "Zhao and Zhu (2023), arXiv 2310.07838"

CE_SGL = Student(
    "ce_sgl",
    HARD,
    RowRule(frequencies),
    f"{_PAPER}, (3.3): n_sa / n_s, the maximum likelihood student",
    Empirical(),
    sparse=sparse.Frequencies(),
)
"""Hard labels: n_sa / n_s, the frequencies (maximum likelihood)."""
CE_PTL = Student(
    "ce_ptl",
    PARTIAL,
    RowRule(reweighted_frequencies),
    f"{_PAPER}, (4.3): proportional to n_sa pi(a|s); biased",
    Reweighted(),
    sparse=sparse.Weighted(),
)
"""Partial labels: proportional to n_sa pi(a|s). Biased: its risk does not vanish."""
SEL_PTL = Student(
    "sel_ptl",
    PARTIAL,
    RowRule(share_the_rest),
    f"{_PAPER}, (4.7): pi(a|s) on seen labels, the rest of the mass in equal shares on the unseen "
    "ones",
    Unseen(),
    sparse=sparse.Sharing(),
)
"""Partial labels: exact on the labels that were seen, equal shares of the rest on the others."""
CE_FUL = Student(
    "ce_ful",
    SOFT,
    RowRule(share_the_rest),
    f"{_PAPER}, (5.2): pi(.|s) on visited inputs",
    WholeRows(),
    sparse=sparse.Sharing(),
)
"""Soft labels: exact on visited inputs."""

STUDENTS: dict[str, Student] = {
    student.name: student for student in (CE_SGL, CE_PTL, SEL_PTL, CE_FUL)
}
"""The paper's four students by name. All of them write Uniform(A) on an unvisited input."""


def top_k(k: int, *, sampled: bool = True) -> Student:
    """Return the student of top-k access: exact on the k most probable and the sampled labels, the
    rest shared equally.

    It is exactly minimax for this access, for every n, S and A: averaged over label permutations
    any student treats the hidden labels alike, and among those equal shares lose least. k = 0 is
    `sel_ptl`.

    Without the sampled label no number of queries shows the tail, so that a visited row keeps a
    floor: with M its probability and A - k its labels,

        risk = sum_s rho_s [(1-rho_s)^n TV(Uniform, pi_s)
                            + (1 - (1-rho_s)^n) 1/2 sum_tail |p - M/(A-k)|].

    Parameters
    ----------
    k : int
        At least 0, or 1 if not sampled.
    sampled : bool
        Whether the query also reveals the sampled label.
    """
    level = access_top_k(k, sampled=sampled)
    exact = Unseen(level.shows.top) if sampled else Shown(level.channel, level.shows.top)
    rule = RowRule(share_the_rest)
    reference = "equal sharing of the hidden mass"
    return Student(level.name, level, rule, reference, exact, sparse=sparse.Sharing())


def add_c(c: float) -> Student:
    """Return the hard-label student that adds c to each count: (n_sa + c) / (n_s + c A).

    c = 1 is Laplace's rule, c = 1/2 Krichevsky and Trofimov's; `kt_theory.best_add_c` gives the c
    whose certified worst case is smallest at given A and n. c = 0 is `ce_sgl`.

    Parameters
    ----------
    c : float
        From 0 to 10^100.
    """
    number = c.item() if isinstance(c, np.generic) else c
    real = isinstance(number, Real) and not isinstance(number, bool)
    if not (real and 0.0 <= number <= _LARGEST_C):
        raise ValueError(f"c = {shown(c)}: must be a number from 0 to {_LARGEST_C:g}")
    amount = float(number)
    return Student(
        f"add_c({amount:g})",
        HARD,
        RowRule(smoothed_frequencies, [amount]),
        "additive smoothing",
        Smoothed(amount),
        sparse=sparse.Smoothed(amount),
    )


LAPLACE = replace(add_c(1.0), name="laplace", reference="Laplace (1774): add 1 to each count")
KRICHEVSKY_TROFIMOV = replace(
    add_c(0.5),
    name="krichevsky_trofimov",
    reference="Krichevsky and Trofimov (1981): add 1/2 to each count",
)
GOOD_TURING = Student(
    "good_turing",
    HARD,
    RowRule(good_turing),
    "Good (1953): the share of labels seen once goes to the unseen ones, equally; the rest by "
    "frequency",
)
