"""What is exact of self-distillation: how fast a lineage of equal stages loses its diversity, and
where it ends.

A row taught by k labels of the last generation's row, and teaching k to the next, is the
Wright-Fisher model of a gene without mutation: labels are alleles, generations are generations.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.exact.averages import mean_over_visits
from kt_theory.exact.cost import NoExactRisk, refuse_beyond
from kt_theory.exact.empirical import Empirical
from kt_theory.exact.settled import WholeRows
from kt_theory.exact.smoothed import Smoothed
from kt_theory.numeric import missed
from kt_theory.students import Student
from kt_theory.students.named import one_student
from kt_theory.teacher import Teacher, require_teacher
from kt_theory.validation import distributions, whole_number

_MOST_VISITS = 5000


def heterozygosity(
    teacher: Teacher,
    student: Any,
    n: int,
    generations: int,
) -> np.ndarray:
    """Return the exact mean heterozygosity sum_s rho_s (1 - sum_a q(a|s)^2) of each generation of
    self-distillation.

    For the student (n_a + c) / (k + c A) of k labels of a row p, F = sum_a p_a^2 becomes in the
    mean

        [k + k (k-1) F + 2 c k + c^2 A] / (k + c A)^2,

    because E n_a^2 = k p_a + k (k-1) p_a^2. It is linear in F, so its average over k ~ Bin(n,
    rho_s) can be iterated. For ce_sgl, c = 0, each generation of k visits leaves h = 1 - F exactly
    the fraction 1 - 1/k, and with 1/A for F on an unvisited row

        h' = P(k = 0) (1 - 1/A) + h (P(k >= 1) - E[1/k; k >= 1]).

    With fixed visits its rows end as point masses (`fixation`). They are unbiased, so that E |q -
    p|^2 = h_0 - h_g: g generations of k labels are worth one of about k/g, and the loss grows like
    sqrt(g). With iid inputs they do not end: an unvisited row goes back to Uniform, and h tends to
    P(k = 0) (1 - 1/A) / (P(k = 0) + E[1/k; k >= 1]).

    Parameters
    ----------
    teacher : Teacher
        The first generation's, from a dense table or from row classes.
    student : str or Student
        ce_sgl, add_c (laplace, krichevsky_trofimov), or ce_ful and others that copy visited rows.
    n : int
        Pairs per generation, inputs iid from rho. One input is visited n times: the case of fixed
        visits.
    generations : int

    Returns
    -------
    (generations + 1,) array; entry 0 is the teacher's own.

    Raises
    ------
    NoExactRisk
        For other students; `lineage` simulates them. Before more than half a minute of work.

    Source: Wright (1931), Genetics 16; Furlanello et al. (2018), arXiv 1805.04770.
    """
    require_teacher(teacher)
    chosen = one_student(student)
    stage = _stage_of(chosen)
    size = whole_number(n, "n")
    number = whole_number(generations, "generations")
    classes = teacher.classes
    cost = number * (1e4 + 10.0 * len(classes.rho))
    refuse_beyond(cost, f"{number} generations", "give fewer")
    same = (classes.rows**2).sum(axis=1)
    rhos, place = np.unique(classes.rho, return_inverse=True)
    laws = [stage(size, min(float(r), 1.0), teacher.labels) for r in rhos]
    start, slope = np.array(laws)[place].T
    found = []
    for _ in range(number + 1):
        found.append(float(classes.weight @ (1.0 - same)))
        same = start + slope * same
    return np.array(found)


_Stage = Callable[[int, float, int], tuple[float, float]]
"""(n, rho, labels): (a, b) with E F' = a + b F after one generation."""


def _stage_of(student: Student) -> _Stage:
    match student.exact:
        case Empirical():
            return partial(_counting, 0.0)
        case Smoothed(c):
            return partial(_counting, c)
        case WholeRows():
            return _copying
    raise NoExactRisk(
        f"student {student.name!r} has no exact heterozygosity: use lineage(teacher, [(student, "
        "n)])"
    )


def _copying(n: int, rho: float, labels: int) -> tuple[float, float]:
    never = missed(rho, n)
    return never / labels, 1.0 - never


def _counting(
    c: float,
    n: int,
    rho: float,
    labels: int,
) -> tuple[float, float]:
    def start(k: np.ndarray) -> np.ndarray:
        pairs = k + c * labels
        return (k + 2.0 * c * k + c**2 * labels) / pairs**2

    def slope(k: np.ndarray) -> np.ndarray:
        pairs = k + c * labels
        return k / pairs * ((k - 1.0) / pairs)

    never = missed(rho, n) / labels
    return never + mean_over_visits(start, n, rho), mean_over_visits(slope, n, rho)


def fixation(row: ArrayLike, visits: int, generations: int) -> np.ndarray:
    """Return the exact probability that ce_sgl has made a row a point mass on each label,
    generation by generation.

    The count of one label among `visits` = k is a Markov chain on 0..k with the rows Bin(k, i/k),
    absorbed at both ends. It is a martingale: in the end label a is the only one left with
    probability p_a. Until then it takes about -2k (1-p)/p ln(1-p) generations for a label of
    probability p that makes it (Kimura and Ohta 1969).

    Parameters
    ----------
    row : (A,) array_like
        The first teacher's row, sums to 1.
    visits : int
        Labels per generation, from 1 to 5000.
    generations : int

    Returns
    -------
    (generations + 1, A) array; sum over the labels: the probability that the row has collapsed.

    Raises
    ------
    NoExactRisk
        Before more than half a minute of work.

    Source: Fisher (1930), Wright (1931), Genetics 16.
    """
    from scipy.stats import binom

    p = np.minimum(distributions(row, "row", 1), 1.0)
    k = whole_number(visits, "visits", low=1, high=_MOST_VISITS)
    number = whole_number(generations, "generations")
    refuse_beyond(
        float(number) * len(p) * k**2,
        f"fixation over {number} generations",
        "give fewer, or fewer visits",
    )
    states = np.arange(k + 1)
    # Piece by piece: SciPy needs several times the memory of what it returns.
    step = np.vstack(
        [binom.pmf(states, k, piece[:, None] / k) for piece in np.array_split(states, 1 + k // 64)]
    )
    law = binom.pmf(states[None, :], k, p[:, None])
    found = [(p >= 1.0).astype(np.float64)]
    for _ in range(number):
        found.append(law[:, k].copy())
        law = law @ step
    return np.array(found)
