"""What is lost on inputs that were not asked, where the students of the paper are uniform."""

from __future__ import annotations

import numpy as np

from kt_theory.losses import TV, Loss, SumOverLabels
from kt_theory.numeric import complement, log_missed, power_of
from kt_theory.teacher import RowClasses
from kt_theory.validation import SUM_TOLERANCE


def uniform_distance(rows: np.ndarray) -> np.ndarray:
    """Return TV(Uniform, row) of each row, the loss of an unvisited row for all of the paper's
    students.
    """
    return np.maximum(rows - 1.0 / rows.shape[1], 0.0).sum(axis=1)


def uniform_loss(loss: Loss, rows: np.ndarray) -> np.ndarray:
    """Return loss(row, Uniform) of each row, (C,).

    Raises
    ------
    ValueError
        If a loss of one's own is negative or no number.
    """
    if loss == TV:
        return uniform_distance(rows)
    labels = rows.shape[1]
    found = loss.of_rows(rows, np.full(labels, 1.0 / labels))
    if not isinstance(loss, SumOverLabels) and not (found >= 0.0).all():
        row = int(np.flatnonzero(~(found >= 0.0))[0])
        raise ValueError(
            f"loss {loss.name!r}: it is {found[row]} between row {row} of the teacher and Uniform; "
            "a loss is a number >= 0, or inf"
        )
    return found


def unvisited_risk(classes: RowClasses, n: np.ndarray, loss: Loss = TV) -> np.ndarray:
    """Return sum_s rho_s (1-rho_s)^n loss(pi_s, Uniform), which is all of the risk of ce_ful, (N,).

    Zhao and Zhu (2023), Theorem 5.2 and section 6 (the uniform distribution on unvisited rows).
    """
    return still_lost(classes.weight, uniform_loss(loss, classes.rows), log_unasked(classes), n)


def log_unasked(classes: RowClasses) -> np.ndarray:
    """Return the log of the chance that one query misses an input of each class, (C,).

    Classes whose weights are the law of the inputs tell how much lies outside a large one.
    """
    weight, rest = classes.weight, 1.0 - classes.rho
    top = int(classes.rho.argmax())
    if classes.multiplicity[top] == 1 and abs(weight.sum() - 1.0) <= SUM_TOLERANCE:
        rest[top] = complement(classes.rho[top], np.delete(weight, top).sum())
    return log_missed(classes.rho, rest)


def still_lost(weight: np.ndarray, lost: np.ndarray, log: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return sum_s weight_s lost_s e^(n log_s), (N,): infinite where a row that may be missed costs
    infinitely much, however unlikely that is.
    """
    endless = np.isinf(lost)
    risk = still_missed(weight * np.where(endless, 0.0, lost), log, n)
    at_risk = log[endless & (weight > 0.0)]
    if at_risk.size:
        never = (n > 0) & ((n == np.inf) | (at_risk.max() == -np.inf))
        risk = np.where(never, risk, np.inf)
    return risk


def still_missed(weight: np.ndarray, log: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return sum_s weight_s e^(n log_s), (N,): `log` is that of the chance that one query
    misses s.
    """
    return np.array([weight @ power_of(log, draws) for draws in n])
