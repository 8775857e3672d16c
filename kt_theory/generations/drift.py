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

from kt_theory.exact.averages import mean_over_visits, visit_window
from kt_theory.exact.cost import NoExactRisk, refuse_beyond
from kt_theory.exact.empirical import Empirical
from kt_theory.exact.settled import WholeRows
from kt_theory.exact.smoothed import Smoothed
from kt_theory.generations.pools import (
    ACCUMULATE,
    REPLACE,
    as_share,
    fresh_labels,
    refuse_stated,
)
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
    *,
    data: Any = REPLACE,
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

    Where labels accumulate, the student after K of them is q with D q_a = N_a + c, D = K + c A. Of
    k more, drawn from q, N'_a + c = D q_a + m_a, and E sum_a (D q_a + m_a)^2 = D^2 F + 2 D k F + k
    + k (k-1) F, so that

        h' = h (1 - k / (K' + c A)^2),    K' = K + k.

    With k visits a generation and c = 0, generation t multiplies h by 1 - k / (t k)^2 = 1 - 1/(k
    t^2): the diversity kept is prod_t (1 - 1/(k t^2)), which ends at sin(pi / sqrt k) / (pi / sqrt
    k), about 1 - pi^2 / (6k), however many generations there are.

    With n_1 of n labels fresh, m = m_1 + m_2 of the truth p and of the last row q, and C = sum_a
    p_a q_a, E sum_a (m_a + c)^2 = k + 2 c k + c^2 A + k (k-1) [w_11 F_0 + 2 w_12 C + w_22 F], w_ij
    the chances that two of the n labels are of i and of j; C' has a recursion of its own. With
    fixed visits and c = 0 it is C = F_0, and

        h -> (1 - 1/k) (1 - w_22) h_0 / (1 - (1 - 1/k) w_22).

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
    data : "replace", "accumulate" or float
        As for `lineage`.

    Returns
    -------
    (generations + 1,) array; entry 0 is the teacher's own.

    Raises
    ------
    NoExactRisk
        For other students; `lineage` simulates them. Before more than half a minute of work.
    ValueError
        For labels of several generations, of a student that sees more than labels.

    Source: Wright (1931), Genetics 16; Furlanello et al. (2018), arXiv 1805.04770.
    """
    require_teacher(teacher)
    chosen = one_student(student)
    share = as_share(data)
    refuse_stated(chosen, share)
    course = _course_of(chosen, share)
    size = whole_number(n, "n")
    number = whole_number(generations, "generations")
    classes = teacher.classes
    same = (classes.rows**2).sum(axis=1)
    rhos, place = np.unique(classes.rho, return_inverse=True)
    cost = number * (1e4 + 10.0 * len(classes.rho))
    if share == ACCUMULATE:
        cost += sum(0.5 * (number * _widths(size, float(r))[1]) ** 2 for r in rhos)
    refuse_beyond(cost, f"{number} generations", "give fewer")
    laws = [course(size, min(float(r), 1.0), teacher.labels, number) for r in rhos]
    start, slope = np.array(laws)[place].transpose(1, 2, 0)
    found = [classes.weight @ (1.0 - a - b * same) for a, b in zip(start, slope, strict=True)]
    return np.array(found, dtype=np.float64)


_Course = Callable[[int, float, int, int], tuple[np.ndarray, np.ndarray]]
"""(n, rho, labels, generations): (a, b), (generations + 1,) each, with E F = a + b F_0."""


def _course_of(student: Student, data: float | str) -> _Course:
    match student.exact:
        case Empirical():
            return _counting_course(0.0, data)
        case Smoothed(c):
            return _counting_course(c, data)
        case WholeRows():
            return partial(_repeated, _copying)
    raise NoExactRisk(
        f"student {student.name!r} has no exact heterozygosity: use lineage(teacher, [(student, "
        "n)])"
    )


def _counting_course(c: float, data: float | str) -> _Course:
    if data == REPLACE:
        return partial(_repeated, partial(_counting, c))
    if data == ACCUMULATE:
        return partial(_accumulated, c)
    return partial(_refreshed, c, float(data))


def _repeated(
    stage: Callable[[int, float, int], tuple[float, float]],
    n: int,
    rho: float,
    labels: int,
    generations: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The course of equal stages, each of which makes a + b F of F."""
    a, b = stage(n, rho, labels)
    start, slope = np.zeros(generations + 1), np.ones(generations + 1)
    for t in range(1, generations + 1):
        start[t] = a + b * start[t - 1]
        slope[t] = b * slope[t - 1]
    return start, slope


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


def _accumulated(
    c: float, n: int, rho: float, labels: int, generations: int
) -> tuple[np.ndarray, np.ndarray]:
    """The course of a pool: means over the law of how many labels it holds, generation by
    generation.
    """
    from scipy.stats import binom

    low, width = _widths(n, rho)
    k = np.arange(low, low + width)
    chance = binom.pmf(k, n, rho)
    pairs = k + c * labels
    # 1 - F after the first generation is 1 - one - two F_0.
    with np.errstate(invalid="ignore", divide="ignore"):
        one = np.where(k > 0, (k + 2.0 * c * k + c**2 * labels) / pairs**2, 1.0 / labels)
        two = np.where(k > 0, k / pairs * ((k - 1.0) / pairs), 0.0)
    held = np.array([chance * (1.0 - one), chance * two])
    start, slope = np.zeros(generations + 1), np.ones(generations + 1)
    for t in range(1, generations + 1):
        if t > 1:
            pool = low * t + np.arange(width * t - t + 1) + c * labels
            lost = np.array([np.convolve(each, k * chance) for each in held])
            held = np.array([np.convolve(each, chance) for each in held])
            held -= np.divide(lost, pool**2, out=np.zeros_like(lost), where=pool > 0)
        diversity, minus = held.sum(axis=1)
        start[t], slope[t] = 1.0 - diversity, minus
    return start, slope


def _widths(n: int, rho: float) -> tuple[int, int]:
    """The least number of visits that counts, and how many numbers do."""
    low, high = (int(end[0]) for end in visit_window(np.array([float(n)]), min(rho, 1.0)))
    return low, high - low + 1


def _refreshed(
    c: float, share: float, n: int, rho: float, labels: int, generations: int
) -> tuple[np.ndarray, np.ndarray]:
    """The course of labels that are in part of the truth: F and C = sum_a p_a q_a, a + b F_0
    each.
    """
    fresh = fresh_labels(share, n)
    last = n - fresh
    pairs_of = max(n * (n - 1), 1)
    both, mixed, other = fresh * (fresh - 1), 2 * fresh * last, last * (last - 1)
    a, b = _counting(c, n, rho, labels)

    def seen(k: np.ndarray) -> np.ndarray:
        return k / (k + c * labels)

    own = mean_over_visits(seen, n, rho)
    even = (1.0 - own) / labels
    same, cross = np.array([0.0, 1.0]), np.array([0.0, 1.0])
    found = [same]
    for _ in range(generations):
        weighed = np.array([0.0, both]) + mixed * cross + other * same
        same = np.array([a, 0.0]) + b / pairs_of * weighed
        cross = np.array([even, own * fresh / max(n, 1)]) + own * last / max(n, 1) * cross
        found.append(same)
    start, slope = np.array(found).T
    return start, slope


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
