"""Ensembles: what is left of the errors of m noisy teachers when their answers are averaged."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory.access import LARGEST_NOISE
from kt_theory.generations.running import Running, blocks
from kt_theory.numeric import total_variation
from kt_theory.simulation.run import progress_bar
from kt_theory.teacher import Teacher, require_teacher
from kt_theory.validation import positive, whole_number

if TYPE_CHECKING:
    import pandas as pd

AVERAGES = ("arithmetic", "geometric")
_ARRAYS = 6
_STEP = 0.2


def ensemble(
    teacher: Teacher,
    sigma: float,
    members: Any,
    repeats: int = 1000,
    seed: int = 0,
    *,
    progress: bool = True,
) -> pd.DataFrame:
    """Return the error of ensembles: each member has the teacher's logits with Gaussian noise of
    its own.

    Member i is softmax(z + sigma g_i), g_i standard normal on every (input, label), and the
    ensemble is the mean of m of them. The mean of their log-probabilities, normalised (geometric),
    is softmax(z + sigma / sqrt(m) g), one member of less noise: no floor, and

        E TV <= 1/2 sigma / sqrt(m)          (E KL <= sigma^2 / (2m), and Pinsker).

    The mean of their probabilities (arithmetic) tends to E softmax(z + sigma g), which is flatter
    than p:

        floor <= E TV <= floor + 1/2 sum_s rho_s sum_a sd(q_a) / sqrt(m),
        floor = `ensemble_floor`.

    Rows that are uniform on their labels of positive probability have no floor and go like
    1/sqrt(m) for ever. A label of bias b = E q_a - p_a adds at most exp(-2 m b^2) / (4 m |b|) to
    the floor (Hoeffding), so that 1/sqrt(m) is the rate only until the noise has fallen below the
    bias.

    Parameters
    ----------
    teacher : Teacher
    sigma : float
        Standard deviation of the noise on a logit in nats, above 0 and at most 50.
    members : int or array_like of int
        How many teachers, at least 1.
    repeats : int
        At least 2.
    seed : int
    progress : bool
        Show a bar on a terminal once the run has taken 2 seconds.

    Returns
    -------
    DataFrame
        One row per average and number of members: teacher, average, members, sigma, inputs, labels;
        mean, std_error, low and high (95 %) with their kind, interval, of TV(ensemble, pi | rho);
        repeats, seed. Ensembles of one run share their members.

    Source: Allen-Zhu and Li (2020), arXiv 2012.09816; Hinton, Vinyals and Dean (2015), arXiv
    1503.02531.
    """
    import pandas as pd

    require_teacher(teacher)
    noise = positive(sigma, "sigma", high=LARGEST_NOISE)
    values = (
        [members] if np.ndim(members) == 0 else list(np.ravel(np.asarray(members, dtype=object)))
    )
    sizes = sorted({whole_number(value, "members", low=1, high=2**31) for value in values})
    if not sizes:
        raise ValueError("members = []: give at least one number of teachers")
    repeats = whole_number(repeats, "repeats", low=2)
    seed = whole_number(seed, "seed", high=2**128)
    totals = {size: Running(len(AVERAGES)) for size in sizes}
    with progress_bar(repeats * sizes[-1], progress) as shown:
        for count, rng in blocks(repeats, _ARRAYS * teacher.pi.size, seed):
            sums, noises = np.zeros((2, count, *teacher.pi.shape))
            for member in range(1, sizes[-1] + 1):
                drawn = rng.standard_normal(sums.shape)
                drawn *= noise
                noises += drawn
                sums += _tilted(teacher.pi, drawn)
                if member in totals:
                    both = sums / member, _tilted(teacher.pi, noises / member)
                    totals[member].add(
                        np.array([total_variation(q, teacher.pi, teacher.rho) for q in both])
                    )
                shown.update(count)
    rows = [
        {
            "teacher": teacher.name,
            "average": average,
            "members": size,
            "sigma": noise,
            "inputs": teacher.inputs,
            "labels": teacher.labels,
        }
        | {
            **totals[size].estimate(i),
            "repeats": repeats,
            "seed": seed,
        }
        for i, average in enumerate(AVERAGES)
        for size in sizes
    ]
    return pd.DataFrame(rows)


def ensemble_floor(teacher: Teacher, sigma: float) -> float:
    """Return TV(E softmax(z + sigma g), pi | rho): what no number of members takes from an
    arithmetic mean.

    With Gumbel variables G_b the softmax of x is the law of argmax_b (x_b + G_b). So the mean over
    the noise is

        E softmax_a = P(z_a + sigma g_a + G_a is the largest)
                    = integral f(v - z_a) prod_{b != a} F(v - z_b) dv,

    F and f the distribution function and the density of sigma g + G: one integral for any number of
    labels. Both it and F come from the trapezoidal rule, whose error falls like exp(-pi^2 / step)
    as all is analytic in a strip of width pi/2: about 12 digits. F and f are interpolated.

    Parameters
    ----------
    teacher : Teacher
        From a dense table or from row classes.
    sigma : float
        In nats, above 0 and at most 50.

    Returns
    -------
    float, in [0, 1].
    """
    require_teacher(teacher)
    noise = positive(sigma, "sigma", high=LARGEST_NOISE)
    rows = teacher.classes.rows
    distances = np.empty(len(rows))
    with progress_bar(len(rows), True) as shown:
        for i, row in enumerate(rows):
            distances[i] = total_variation(mean_softmax(row, noise), row)
            shown.update()
    return float(teacher.classes.weight @ distances)


def mean_softmax(row: np.ndarray, sigma: float) -> np.ndarray:
    """Return E softmax(log row + sigma g), (A,); labels of probability 0 keep it."""
    mean = np.zeros(len(row))
    values, place, times = np.unique(row[row > 0], return_inverse=True, return_counts=True)
    z = np.log(values)
    # The largest of A Gaussians has a standard deviation of about sigma / sqrt(2 ln A).
    step = _STEP * max(1.0, sigma / (1.0 + np.sqrt(2.0 * np.log(len(row)))))
    first = z[-1] - 9.0 * sigma - 5.0
    last = z[-1] + 9.0 * sigma + np.log(len(row)) + 40.0
    v = np.arange(first, last, step)
    low, high, law = _interpolated(sigma)
    both = law(np.clip(v[:, None] - z, low, high))
    below, density = np.moveaxis(both, -1, 0)
    log = np.log(np.maximum(below, 1e-300))
    others = np.exp((log @ times)[:, None] - log)
    mean[row > 0] = step * (density * others).sum(axis=0)[place]
    return mean


@lru_cache(maxsize=1)
def _interpolated(sigma: float) -> tuple[float, float, Any]:
    """Return `_noisy_gumbel` from low to high, beyond which nothing changes, as a spline of degree
    5.
    """
    from scipy.interpolate import make_interp_spline

    step = 0.1 * _STEP * max(1.0, sigma)
    v = np.arange(-9.0 * sigma - 5.0, 9.0 * sigma + 40.0, step)
    laws = np.stack(_noisy_gumbel(v, sigma), axis=-1)
    return v[0], v[-1], make_interp_spline(v, laws, k=5)


def _noisy_gumbel(v: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the distribution function and the density of G + sigma g at v (V,)."""
    from scipy.special import ndtr

    if sigma <= 1.0:
        # The mean over g of Gumbel's law: a finer step would be needed for a larger sigma.
        g = np.arange(-9.0, 9.0, _STEP)
        weight = np.exp(-0.5 * g**2) / np.sqrt(2.0 * np.pi) * _STEP
        down = np.exp(sigma * g - v[:, None])
        return np.exp(-down) @ weight, (np.exp(-down) * down) @ weight
    # The mean over G of the normal law.
    gumbel = np.arange(-5.0, 40.0, _STEP)
    weight = np.exp(-gumbel - np.exp(-gumbel)) * _STEP
    score = (v[:, None] - gumbel) / sigma
    density = np.exp(-0.5 * score**2) @ weight
    return ndtr(score) @ weight, density / (sigma * np.sqrt(2.0 * np.pi))


def _tilted(pi: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return softmax(log pi + noise), (R, S, A)."""
    weights = pi * np.exp(noise - noise.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)
