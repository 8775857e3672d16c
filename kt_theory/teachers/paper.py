"""The paper's hard-to-learn instances (Zhao and Zhu 2023, Appendix F) and the smallest n at which
each is defined.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kt_theory.teacher import Teacher
from kt_theory.teachers.families import table_shape
from kt_theory.validation import unknown_name, whole_number


class NotDefined(ValueError):
    """An instance of the paper asked for where its formula is not a distribution.

    Attributes
    ----------
    smallest_n : int or None
        The smallest number of samples at which it is defined; None where no n will do.
    """

    def __init__(self, message: str, smallest_n: int | None = None) -> None:
        super().__init__(message)
        self.smallest_n = smallest_n


def smallest_n(family: str, inputs: int, labels: int) -> int:
    """Return the smallest n at which an instance of the paper is defined.

    With A' = A for an even A in instance 1 and an odd A in instances 2 and 3, and A' = A-1
    otherwise: instance 0 does not depend on n: 0. Instance 1: ceil(SA'/16), where d = 0.25
    sqrt(SA'/n) <= 1. Instance 2: S(A'-1)/2 - 1, where the heavy label has mass >= 0. Instance 3:
    the larger of that and S-1, where no input is heavier than the last one.

    Parameters
    ----------
    family : {"instance0", "instance1", "instance2", "instance3"}
    inputs, labels : int
        S and A, at least 1.

    Raises
    ------
    NotDefined
        For instance 1 with one label, which is defined for no n.
    """
    if not isinstance(family, str) or family not in _SMALLEST:
        raise unknown_name("instance", family, _SMALLEST)
    return _SMALLEST[family](
        whole_number(inputs, "inputs", low=1), whole_number(labels, "labels", low=1)
    )


def instance0(inputs: int, labels: int) -> Teacher:
    """Return Instance 0: pi(.|s) = 1/2 Uniform(A) + 1/2 Dirac(s mod A), rho uniform.

    Rows far from both uniform and point masses, on which CE_ptl is biased (Theorem 4.3).

    Parameters
    ----------
    inputs, labels : int
        S and A, at least 1.

    References
    ----------
    Zhao and Zhu (2023), Appendix F. Labels are counted from 0 here, from 1 there (s mod A + 1).
    """
    shape = table_shape(inputs, labels)
    pi = np.full(shape, 0.5 / shape[1])
    rows = np.arange(shape[0])
    pi[rows, rows % shape[1]] += 0.5
    return Teacher(pi, name="instance0")


def instance1(inputs: int, labels: int, n: int) -> Teacher:
    """Return Instance 1, hard for hard labels: pi(2j-1|s) = (1+d)/A, pi(2j|s) = (1-d)/A, d = 0.25
    sqrt(SA/n).

    Labels are counted from 1 in the formula; rho is uniform. If A is odd, the last label has mass 0
    and A-1 takes the place of A. The lower bound of Theorem 3.1 uses it where n >= SA/4; it is a
    distribution where n >= SA/16.

    Parameters
    ----------
    inputs, labels : int
        S at least 1, A at least 2.
    n : int
        Number of samples that the teacher is made hard for.

    Raises
    ------
    NotDefined
        If d > 1, that is 16 n < SA, or if A = 1.

    References
    ----------
    Zhao and Zhu (2023), Appendix F, after (C.4).
    """
    shape = table_shape(inputs, labels)
    samples = _defined("instance1", shape, n)
    even = _even(shape[1])
    d = 0.25 * math.sqrt(shape[0] * even / samples)
    pi = np.zeros(shape)
    pi[:, 0:even:2] = (1.0 + d) / even
    pi[:, 1:even:2] = (1.0 - d) / even
    return Teacher(pi, name="instance1")


def instance2(inputs: int, labels: int, n: int) -> Teacher:
    """Return Instance 2, hard for partial soft labels: light labels of mass S/(n+1), as many of
    mass 0, one heavy.

    pi(2j-1|s) = S/(n+1), pi(2j|s) = 0 for 1 <= j <= (A-1)/2 and pi(A|s) = 1 - (S/2)(A-1)/(n+1),
    labels counted from 1; rho is uniform. If A is even, the last label has mass 0 and A-1 takes the
    place of A; with A <= 2 every row is the point mass at the first label.

    Parameters
    ----------
    inputs, labels : int
        S and A, at least 1.
    n : int
        Number of samples that the teacher is made hard for.

    Raises
    ------
    NotDefined
        If the heavy label would have a negative mass, that is n+1 < S(A-1)/2.

    References
    ----------
    Zhao and Zhu (2023), Appendix F, after Appendix C.3.
    """
    shape = table_shape(inputs, labels)
    return Teacher(_light_and_heavy(shape, _defined("instance2", shape, n)), name="instance2")


def instance3(inputs: int, labels: int, n: int) -> Teacher:
    """Return Instance 3, hard for soft labels: rho = 1/(n+1) on every input but the last, the
    teacher of Instance 2.

    The last input has the rest, 1 - (S-1)/(n+1). (The paper prints "same as that in Instance 3" for
    the teacher and means Instance 2.)

    Parameters
    ----------
    inputs, labels : int
        S and A, at least 1.
    n : int
        Number of samples that the teacher is made hard for.

    Raises
    ------
    NotDefined
        If n < S-1 (the last input would be lighter than the others) or Instance 2 is not defined.

    References
    ----------
    Zhao and Zhu (2023), Appendix F, after Appendix C.4.
    """
    shape = table_shape(inputs, labels)
    samples = _defined("instance3", shape, n)
    rho = np.full(shape[0], 1 / (samples + 1))
    rho[-1] = (samples + 2 - shape[0]) / (samples + 1)
    return Teacher(_light_and_heavy(shape, samples), rho, name="instance3")


def _light_and_heavy(shape: tuple[int, int], samples: int) -> np.ndarray:
    inputs, odd = shape[0], _odd(shape[1])
    pi = np.zeros(shape)
    pi[:, 0 : odd - 1 : 2] = inputs / (samples + 1)
    # One quotient of whole numbers: 1 - light * (A-1)/2 could round below 0 at the smallest n.
    pi[:, odd - 1] = (samples + 1 - inputs * (odd - 1) // 2) / (samples + 1)
    return pi


def _even(labels: int) -> int:
    return labels - labels % 2


def _odd(labels: int) -> int:
    return labels - 1 + labels % 2


def _smallest_1(inputs: int, labels: int) -> int:
    if labels == 1:
        raise NotDefined(
            "labels = 1: instance1 pairs its labels, at least 2 are needed; no n defines it"
        )
    return -(-inputs * _even(labels) // 16)


def _smallest_2(inputs: int, labels: int) -> int:
    return max(0, inputs * (_odd(labels) - 1) // 2 - 1)


_SMALLEST: dict[str, Callable[[int, int], int]] = {
    "instance0": lambda inputs, labels: 0,
    "instance1": _smallest_1,
    "instance2": _smallest_2,
    "instance3": lambda inputs, labels: max(_smallest_2(inputs, labels), inputs - 1),
}

_RULES = {
    "instance1": "d = 0.25 sqrt(SA/n) must be at most 1",
    "instance2": "the heavy label needs mass 1 - (S/2)(A-1)/(n+1) >= 0",
    "instance3": "the heavy label needs mass 1 - (S/2)(A-1)/(n+1) >= 0 and the last input needs "
    "n >= S-1",
}


def _defined(family: str, shape: tuple[int, int], n: Any) -> int:
    samples = whole_number(n, "n")
    least = smallest_n(family, *shape)
    if samples < least:
        raise NotDefined(
            f"n = {samples}: {family} with S = {shape[0]} inputs and A = {shape[1]} labels is "
            f"defined from n = {least}: {_RULES[family]}",
            least,
        )
    return samples
