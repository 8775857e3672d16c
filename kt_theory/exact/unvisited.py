"""What is lost on inputs that were not asked, where the students of the paper are uniform."""

from __future__ import annotations

import numpy as np

from kt_theory.numeric import complement, log_missed, power_of
from kt_theory.teacher import RowClasses
from kt_theory.validation import SUM_TOLERANCE


def uniform_distance(rows: np.ndarray) -> np.ndarray:
    """Return TV(Uniform, row) of each row, the loss of an unvisited row for all of the paper's
    students.
    """
    return np.maximum(rows - 1.0 / rows.shape[1], 0.0).sum(axis=1)


def unvisited_risk(classes: RowClasses, n: np.ndarray) -> np.ndarray:
    """Return sum_s rho_s (1-rho_s)^n TV(Uniform, pi_s), which is all of the risk of ce_ful, (N,).

    Zhao and Zhu (2023), Theorem 5.2 and section 6 (the uniform distribution on unvisited rows).
    """
    weight = classes.weight * uniform_distance(classes.rows)
    return still_missed(weight, log_unasked(classes), n)


def log_unasked(classes: RowClasses) -> np.ndarray:
    """Return the log of the chance that one query misses an input of each class, (C,).

    Classes whose weights are the law of the inputs tell how much lies outside a large one.
    """
    weight, rest = classes.weight, 1.0 - classes.rho
    top = int(classes.rho.argmax())
    if classes.multiplicity[top] == 1 and abs(weight.sum() - 1.0) <= SUM_TOLERANCE:
        rest[top] = complement(classes.rho[top], np.delete(weight, top).sum())
    return log_missed(classes.rho, rest)


def still_missed(weight: np.ndarray, log: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return sum_s weight_s e^(n log_s), (N,): `log` is that of the chance that one query
    misses s.
    """
    return np.array([weight @ power_of(log, draws) for draws in n])
