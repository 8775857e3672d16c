"""What n answers leave unknown, measured at the law of the inputs that leaves most.

It has kappa points of which no others tell, all but one of masses m about 1/(n+1), a little apart
so that no row of them is uniform. The mass that stays unknown is (kappa - 1) times the mean of m
(1-m)^n, but for the heavy point's, of order ((kappa-1)/(n+1))^n, so that a measured mass says what
kappa is: see `kt_theory.limits.kappa`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kt_theory import graphs, students
from kt_theory.limits.kappa import kappa
from kt_theory.losses import RowLoss, row_loss
from kt_theory.simulation.run import simulate
from kt_theory.students import Student
from kt_theory.teacher import Teacher

if TYPE_CHECKING:
    import pandas as pd

SAMPLES = (100, 1000, 10_000)


@row_loss
def lost(p, q):
    """Return the mass of the labels that a student gives none, all of it where it is uniform."""
    low, high, missed = q[0], q[0], 0.0
    for a in range(q.size):
        low, high = min(low, q[a]), max(high, q[a])
        missed += p[a] if q[a] == 0.0 else 0.0
    return 1.0 if high - low <= 1e-12 else missed


@row_loss
def mistaken(p, q):
    """Return the mass of the labels whose probability a student has wrong."""
    total = 0.0
    for a in range(q.size):
        total += p[a] if abs(p[a] - q[a]) > 1e-12 * p[a] else 0.0
    return total


class Channel(NamedTuple):
    """A channel without noise, its student, and the law at which it leaves most unknown.

    Attributes
    ----------
    kappa : int
    student : Student
    teacher : callable
        Of n.
    unknown : RowLoss
        The mass that its student does not know.
    """

    kappa: int
    student: Student
    teacher: Callable[[int], Teacher]
    unknown: RowLoss


def channels() -> dict[str, Channel]:
    """Return the channels by the names that `kt_theory.limits.kappa` has for them."""
    inputs, labels, rank = 12, 5, 2
    ring, features = graphs.cycle(21), _in_general_position(9, 3)
    heads = _in_general_position(7, rank)
    every = np.arange(inputs)
    found = {
        "soft": (
            kappa("soft", inputs=inputs),
            students.CE_FUL,
            _rows(_unlike(inputs, labels), every),
            lost,
        ),
        "partial": (
            kappa("partial", inputs=inputs, labels=labels),
            students.SEL_PTL,
            _cells(inputs, labels, labels - 1),
            mistaken,
        ),
        "sampled_logits": (
            kappa("sampled_logits", inputs=inputs, labels=labels),
            students.logits(students.SEL_PTL.access),
            _cells(inputs, labels, labels),
            lost,
        ),
        "gradient": (
            kappa("gradient", graph=ring, hops=1),
            students.grad_ful(ring, 1),
            _rows(_unlike(21, labels), np.arange(0, 20, 2)),
            lost,
        ),
        "jacobian": (
            kappa("jacobian"),
            students.jacobian(features),
            _rows(_affine(features, labels), np.arange(9)),
            lost,
        ),
        "affine_logits": (
            kappa("affine_logits", features=3),
            students.affine_ful(features),
            _rows(_affine(features, labels), np.arange(4)),
            lost,
        ),
        "encoder_rows": (
            kappa("encoder_rows", rank=rank),
            students.features(heads, "complete"),
            _rows(_linear(heads, labels), np.arange(rank)),
            lost,
        ),
        "encoder": (
            kappa("encoder", rank=rank, labels=labels),
            students.features(heads, "sampled"),
            _cells_of(heads, labels),
            lost,
        ),
    }
    return {name: Channel(*parts) for name, parts in found.items()}


def coverage(repeats: int, seed: int, *, progress: bool = True) -> pd.DataFrame:
    """Return the kappa of each channel as theory says and as simulations at the worst law do.

    Returns
    -------
    DataFrame, one row per channel and n: channel, n, unknown (the mean mass that stays unknown),
    fitted, fitted_low, fitted_high (the kappa that it says, with 95 % probability), kappa, agrees
    (within 4.9 standard errors: a false alarm in 10^6).
    """
    import pandas as pd

    rows = []
    for name, (size, student, teacher, unknown) in channels().items():
        for n in SAMPLES:
            run = simulate(teacher(n), student, n, repeats, seed, loss=unknown, progress=progress)
            (found,) = run.estimates
            light = _spread(max(size, 2), n)[1:]
            unit = float((light * (1.0 - light) ** n).mean())
            apart = abs(found.mean - (size - 1.0) * unit)
            rows.append(
                {
                    "channel": name,
                    "n": n,
                    "unknown": found.mean,
                    "fitted": 1.0 + found.mean / unit,
                    "fitted_low": 1.0 + found.low / unit,
                    "fitted_high": 1.0 + found.high / unit,
                    "kappa": size,
                    "agrees": apart <= 4.9 * found.std_error,
                }
            )
    return pd.DataFrame(rows)


def _spread(points: int, n: int) -> np.ndarray:
    """Return the law of so many points: 1/(n+1) each, up to a tenth, and the first has the rest."""
    law = (1.0 + 0.1 * np.sin(np.arange(points))) / (n + 1)
    law[0] = 1.0 - law[1:].sum()
    return law


def _rows(pi: np.ndarray, free: np.ndarray) -> Callable[[int], Teacher]:
    def teacher(n: int) -> Teacher:
        rho = np.zeros(len(pi))
        rho[free] = _spread(len(free), n)
        return Teacher(pi, rho)

    return teacher


def _cells(inputs: int, labels: int, used: int) -> Callable[[int], Teacher]:
    """Return the teacher whose points are the first `used` labels of each input."""

    def teacher(n: int) -> Teacher:
        joint = np.zeros((inputs, labels))
        joint[:, :used] = _spread(inputs * used, n).reshape(inputs, used)
        rho = joint.sum(axis=1)
        return Teacher(joint / rho[:, None], rho)

    return teacher


def _cells_of(features: np.ndarray, labels: int) -> Callable[[int], Teacher]:
    """Return the teacher of logits H V^T whose points are the labels of as many inputs as H has
    dimensions, the first of them.
    """
    rank = features.shape[1]

    def teacher(n: int) -> Teacher:
        joint = _spread(rank * labels, n).reshape(rank, labels)
        rho = joint.sum(axis=1)
        head = np.linalg.solve(features[:rank], np.log(joint / rho[:, None]))
        return Teacher.from_logits(features @ head, np.pad(rho, (0, len(features) - rank)))

    return teacher


def _unlike(inputs: int, labels: int) -> np.ndarray:
    return np.random.default_rng(inputs).dirichlet(np.full(labels, 2.0), inputs)


def _in_general_position(inputs: int, dimension: int) -> np.ndarray:
    return np.random.default_rng(dimension).normal(size=(inputs, dimension))


def _affine(features: np.ndarray, labels: int) -> np.ndarray:
    return _linear(np.column_stack([features, np.ones(len(features))]), labels)


def _linear(features: np.ndarray, labels: int) -> np.ndarray:
    head = np.random.default_rng(labels).normal(size=(features.shape[1], labels))
    return np.asarray(Teacher.from_logits(features @ head).pi)
