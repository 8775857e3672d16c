"""Parametric families of teachers; the random ones are a function of their integer seed alone
(PCG64).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kt_theory.teacher import Teacher
from kt_theory.validation import number_between, whole_number

LARGEST_TABLE = 2**28
"""Most cells (inputs x labels) of a dense table that this room builds: 2 GiB of float64."""

_BLOCK = 2**22
"""Feature entries drawn at a time by `log_linear`, so that memory does not grow with the dimension.
"""


def uniform(inputs: int, labels: int) -> Teacher:
    """Return the teacher pi(a|s) = 1/A with rho uniform.

    Parameters
    ----------
    inputs, labels : int
        S and A, at least 1.
    """
    shape = table_shape(inputs, labels)
    return Teacher(np.full(shape, 1.0 / shape[1]), name="uniform")


def deterministic(inputs: int, labels: int, seed: int | None = None) -> Teacher:
    """Return a teacher of point masses, pi(.|s) = Dirac(l(s)), with rho uniform.

    Parameters
    ----------
    inputs, labels : int
        S and A, at least 1.
    seed : int, optional
        Without a seed l(s) = s mod A; with one, the l(s) are independent and uniform over the
        labels.
    """
    shape = table_shape(inputs, labels)
    rows = np.arange(shape[0])
    chosen = rows % shape[1] if seed is None else _generator(seed).integers(shape[1], size=shape[0])
    pi = np.zeros(shape)
    pi[rows, chosen] = 1.0
    return Teacher(pi, name=family_name("deterministic", seed=seed))


def dirichlet(inputs: int, labels: int, alpha: float = 1.0, seed: int = 0) -> Teacher:
    """Return a teacher whose rows are independent draws from the symmetric Dirichlet(alpha), with
    rho uniform.

    Parameters
    ----------
    inputs, labels : int
        S and A, at least 1.
    alpha : float
        Concentration of each label, from 1e-6 (rows near point masses) to 1e6 (rows near uniform);
        1 is uniform over the simplex.
    seed : int
        Seed of the draw, at least 0.
    """
    shape = table_shape(inputs, labels)
    concentration = number_between(alpha, "alpha", low=1e-6, high=1e6)
    rows = _generator(seed).dirichlet(np.full(shape[1], concentration), shape[0])
    return Teacher(rows, name=family_name("dirichlet", alpha=alpha, seed=seed))


def zipf(
    inputs: int,
    labels: int,
    exponent: float = 1.0,
    *,
    input_exponent: float = 0.0,
    seed: int | None = None,
) -> Teacher:
    """Return a teacher with Zipf rows: the r-th most probable label of a row has pi proportional to
    r^-exponent.

    Parameters
    ----------
    inputs, labels : int
        S and A, at least 1.
    exponent : float
        Of the labels, in [0, 1e3]; 0 makes the rows uniform.
    input_exponent : float
        Of the inputs, in [0, 1e3]: rho(s) proportional to (s+1)^-input_exponent, as the prompts of
        real users are distributed. 0 makes rho uniform.
    seed : int, optional
        Without a seed label a has rank a+1 in every row; with one, each row has an independent
        uniform order of labels.
    """
    shape = table_shape(inputs, labels)
    pi = np.tile(
        _zipf_law(shape[1], number_between(exponent, "exponent", low=0.0, high=1e3)), (shape[0], 1)
    )
    rho = _zipf_law(shape[0], number_between(input_exponent, "input_exponent", low=0.0, high=1e3))
    if seed is not None:
        _generator(seed).permuted(pi, axis=1, out=pi)
    name = family_name("zipf", exponent=exponent, input_exponent=input_exponent or None, seed=seed)
    return Teacher(pi, rho, name=name)


def log_linear(
    inputs: int, labels: int, dimension: int, scale: float = 1.0, seed: int = 0
) -> Teacher:
    """Return a log-linear teacher, pi(a|s) proportional to exp(<phi(s,a), theta>), with rho
    uniform.

    The features phi(s,a) are independent and uniform on the unit sphere of R^dimension, so
    ||phi(s,a)||_2 = 1, and theta is `scale` times one such direction, so ||theta||_2 = scale.
    Features and direction depend on the seed and the sizes only: two teachers that differ in scale
    alone obey TV(pi, pi' | rho) <= |scale - scale'|.

    Parameters
    ----------
    inputs, labels : int
        S and A, at least 1.
    dimension : int
        Of the features, at least 1.
    scale : float
        Norm of theta, in [0, 1e6]; logits lie in [-scale, scale].
    seed : int
        Seed of the draw, at least 0.

    References
    ----------
    Zhao and Zhu (2023), Appendix H, Proposition H.2 with M = 1.
    """
    shape = table_shape(inputs, labels)
    size = whole_number(dimension, "dimension", low=1, high=2**24)
    norm = number_between(scale, "scale", low=0.0, high=1e6)
    rng = _generator(seed)
    theta = norm * _unit_vectors(rng, 1, size)[0]
    logits = np.empty(shape[0] * shape[1])
    step = max(1, _BLOCK // size)
    for start in range(0, len(logits), step):
        block = logits[start : start + step]
        block[:] = _unit_vectors(rng, len(block), size) @ theta
    name = family_name("log_linear", dimension=size, scale=scale, seed=seed)
    return Teacher.from_logits(logits.reshape(shape), name=name)


def family_name(family: str, **given: Any) -> str:
    """Return how tables call a teacher of a family: without what is None, and without sizes, which
    have columns of their own.
    """
    inside = ", ".join(f"{name}={value}" for name, value in given.items() if value is not None)
    return f"{family}({inside})" if inside else family


FAMILIES = {
    family.__name__: family
    for family in (
        uniform,
        deterministic,
        dirichlet,
        zipf,
        log_linear,
    )
}
"""Every parametric family, by name."""


def table_shape(inputs: Any, labels: Any) -> tuple[int, int]:
    """Return (S, A), both at least 1, for a dense table of at most `LARGEST_TABLE` cells.

    Raises
    ------
    ValueError
        If a size is not a whole number >= 1, or the table would be larger than that.
    """
    shape = whole_number(inputs, "inputs", low=1), whole_number(labels, "labels", low=1)
    refuse_large(
        *shape, "Teacher.from_classes describes a large teacher by its classes of equal rows"
    )
    return shape


def refuse_large(inputs: int, labels: int, way_out: str) -> None:
    """Raise ValueError if an inputs x labels table has more than `LARGEST_TABLE` cells, naming
    `way_out`.
    """
    if inputs * labels > LARGEST_TABLE:
        size = inputs * labels * 8 / 2**30
        raise ValueError(
            f"inputs x labels = {inputs} x {labels}: a dense table of {size:.4g} GiB, the limit is "
            f"{LARGEST_TABLE * 8 // 2**30} GiB (2^28 cells); {way_out}"
        )


def _unit_vectors(rng: np.random.Generator, count: int, dimension: int) -> np.ndarray:
    vectors = rng.standard_normal((count, dimension))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _zipf_law(size: int, exponent: float) -> np.ndarray:
    weights = np.arange(1.0, size + 1.0) ** -exponent
    return weights / weights.sum()


def _generator(seed: Any) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(whole_number(seed, "seed", high=2**64 - 1)))
