"""The posterior of the input law: how often each input is asked per query, visited or not.

An input is asked Poisson(lambda) times in the n queries in hand, lambda = n rho. The lambdas are
independent draws of a law f on a grid of log lambda: a gamma, two gammas, a lognormal or a cut
power law. Inputs that were never asked do not show, so that the visit counts j follow the
zero-truncated mixture; of inputs known to be S in all, S - V were asked 0 times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

STEP = 0.05
"""Of the grid of log lambda."""

SHARPEST = 400
"""A visit count above it is taken as known to the 5 % that so many would give: the grid is no
finer.
"""

_PARTICLES, _PROPOSALS = 400, 150
"""For each parameter of a family: drawn uniformly at first, and then proposed at each temperature.
"""

_TEMPERATURES = (0.03, 0.1, 0.3, 0.6, 1.0, 1.0)
_FREEDOM = 5.0


@dataclass(frozen=True, eq=False)
class Family:
    """A family of laws of log lambda: a name and the box of its parameters, (D, 2), uniform before
    any data.

    `prior` is its weight before any data. Two humps have a small one: records hardly contradict a
    few inputs that are asked rarely, and what they hide would leave every curve of whole rows open.
    """

    name: str
    box: np.ndarray
    prior: float = 1.0

    def law(self, parameters: np.ndarray, grid: np.ndarray) -> np.ndarray:
        """Return the laws on the grid for parameters (P, D): (P, G), rows sum to 1."""
        first, second = parameters[:, :1], parameters[:, 1:2]
        if self.name == "gamma":
            # Shape and mean, in logarithms.
            log = np.exp(first) * grid - np.exp(first - second) * np.exp(grid)
        elif self.name == "lognormal":
            # Spread in logarithms, and the logarithm of the mean of the law weighted by lambda.
            spread = np.exp(first)
            log = -0.5 * ((grid - (second - spread**2)) / spread) ** 2
        elif self.name == "two gammas":
            return _two_gammas(parameters, grid)
        elif self.name == "power":
            high = second + parameters[:, 2:3]
            below, above = np.minimum(grid - second, 0.0), np.maximum(grid - high, 0.0)
            log = -np.exp(first) * grid - ((below**2 + above**2) / 0.06**2)
        else:
            raise ValueError(f"family {self.name!r} has no law")
        log -= log.max(axis=1, keepdims=True)
        weight: np.ndarray = np.exp(log, out=log)
        weight /= weight.sum(axis=1, keepdims=True)
        return weight


def _two_gammas(parameters: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Return laws of one shape with two means, the lower below the higher by a ratio, and the share
    of the inputs that has it.

    The humps are added as they are, not in logarithms, in units of the highest point of either.
    """
    shape, mean, ratio, share = parameters.T[:, :, None]
    shape = np.exp(shape)
    log = grid - mean
    lam = np.exp(-mean) * np.exp(grid)
    high = log - lam
    high *= shape
    high += np.log1p(-share)
    lam *= np.exp(ratio)
    low = log
    low -= lam
    low += ratio
    low *= shape
    low += np.log(share)
    peak = np.maximum(high.max(axis=1), low.max(axis=1))[:, None]
    high -= peak
    low -= peak
    weight: np.ndarray = np.exp(high, out=high)
    weight += np.exp(low, out=low)
    weight /= weight.sum(axis=1, keepdims=True)
    return weight


def families(largest: float) -> tuple[Family, ...]:
    """Return the families, wide enough for a mean of `largest` visits."""
    most = np.log(max(3e3, 2.0 * largest))
    least = np.log(0.02)
    return (
        Family("gamma", np.array([(-4.0, 7.0), (least, most)])),
        Family(
            "two gammas",
            np.array([(-1.0, 7.0), (least, most), (0.7, 6.0), (0.05, 0.95)]),
            prior=0.25,
        ),
        Family("lognormal", np.array([(np.log(0.03), np.log(4.0)), (least, most)])),
        Family(
            "power", np.array([(np.log(0.3), np.log(4.0)), (np.log(1e-3), most - 1.8), (0.1, 9.0)])
        ),
    )


@dataclass(frozen=True, eq=False)
class InputLaw:
    """Posterior draws of f.

    Attributes
    ----------
    visits : (V,) int64
    inputs : int or None
        S, if it is known.
    grid : (G,) float64
        log lambda.
    laws : (T, G) float64
        T draws of f, rows sum to 1.
    """

    visits: np.ndarray
    inputs: int | None
    grid: np.ndarray
    laws: np.ndarray

    def draw(
        self, which: int, kept: np.ndarray, most: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return lambdas of the kept inputs, those of points of inputs never asked, and how many
        each point stands for.

        Parameters
        ----------
        which : int
            Which of the T draws of f.
        kept : (R,) int64
        most : int
            Points of inputs never asked.
        rng : Generator
        """
        law, lam = self.laws[which], np.exp(self.grid)
        different, inverse = np.unique(self.visits[kept], return_inverse=True)
        weight = np.exp(log_visits(different, self.grid).T) * law + 1e-300
        visited = lam[_pick(np.cumsum(weight, axis=1)[inverse], rng)]
        # Where all are asked hundreds of times, the chance of none underflows.
        never = law * np.exp(-lam) + 1e-300
        unseen = self._unseen(float(never.sum()), rng)
        points = min(unseen, most)
        asked = never * lam
        if points < unseen:
            # Points that are drawn by their mass stand for fewer inputs where these are asked more
            # often.
            place = rng.choice(len(lam), points, p=asked / asked.sum())
            stands = unseen * asked.sum() / never.sum() / points / lam[place]
        else:
            place = rng.choice(len(lam), points, p=never / never.sum())
            stands = np.ones(points)
        jitter = (
            rng.uniform(-STEP / 2, STEP / 2, len(visited)),
            rng.uniform(-STEP / 2, STEP / 2, points),
        )
        return visited * np.exp(jitter[0]), lam[place] * np.exp(jitter[1]), stands

    def _unseen(self, chance: float, rng: np.random.Generator) -> int:
        """Return how many inputs were never asked, each with probability `chance`: given V,
        negative binomial.
        """
        if self.inputs is not None:
            return self.inputs - len(self.visits)
        asked = min(max(1.0 - chance, 1e-6), 1.0 - 1e-12)
        return int(rng.negative_binomial(len(self.visits), asked))


def log_visits(visits: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Return log P(j visits | lambda), (G, J), up to a constant for each j."""
    from scipy.special import gammaln

    j = visits.astype(np.float64)
    sharp = np.minimum(j, SHARPEST)
    # Poisson up to SHARPEST; beyond it a gamma density of that shape and the same mode.
    scale = np.where(j > SHARPEST, sharp / np.maximum(j, 1.0), 1.0)
    shifted = grid[:, None] + np.log(scale)
    found: np.ndarray = sharp * shifted - np.exp(shifted) - gammaln(sharp + 1.0)
    return found


def input_law(
    visits: np.ndarray, draws: int, rng: np.random.Generator, inputs: int | None = None
) -> InputLaw:
    """Return posterior draws of the law of lambda, each family weighed by its evidence.

    Parameters
    ----------
    visits : (V,) int64
        At least 1 each.
    draws : int
    rng : Generator
    inputs : int, optional
        S, if it is known.
    """
    largest = float(visits.max())
    grid = np.arange(np.log(1e-4), np.log(max(2e4, 8.0 * largest)), STEP)
    different, number = np.unique(visits, return_counts=True)
    chance = np.exp(log_visits(different, grid))
    never = np.exp(-np.exp(grid))

    def log_likelihood(law: np.ndarray) -> np.ndarray:
        missed = law @ never
        log = np.log(np.maximum(law @ chance, 1e-300)) @ number
        if inputs is None:
            return log - len(visits) * np.log(np.maximum(1.0 - missed, 1e-300))
        found: np.ndarray = log + (inputs - len(visits)) * np.log(np.maximum(missed, 1e-300))
        return found

    known = families(largest)
    sampled = [_particles(family, grid, log_likelihood, rng) for family in known]
    evidence = np.array([_log_mean(weight) for _, weight in sampled])
    odds = np.exp(evidence - evidence.max()) * np.array([family.prior for family in known])
    picked = rng.choice(len(known), draws, p=odds / odds.sum())
    laws = np.empty((draws, len(grid)))
    for place, (family, (parameters, weight)) in enumerate(zip(known, sampled, strict=True)):
        mine = np.flatnonzero(picked == place)
        share = np.exp(weight - weight.max())
        laws[mine] = family.law(
            parameters[rng.choice(len(share), len(mine), p=share / share.sum())], grid
        )
    return InputLaw(visits, inputs, grid, laws)


def _particles(
    family: Family,
    grid: np.ndarray,
    log_likelihood: Callable[[np.ndarray], np.ndarray],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return parameters and their log weights: population Monte Carlo, the likelihood tempered, t
    mixtures proposed.
    """
    low, high = family.box.T
    volume = float(np.log(high - low).sum())

    def value(parameters: np.ndarray) -> np.ndarray:
        outside = ((parameters < low) | (parameters > high)).any(axis=1)
        inside = np.clip(parameters, low, high)
        return np.where(outside, -np.inf, log_likelihood(family.law(inside, grid)))

    at = low + (high - low) * rng.random((_PARTICLES * len(low), len(low)))
    log = value(at)
    proposal = np.full(len(at), -volume)
    for temperature in _TEMPERATURES:
        weight = temperature * log - proposal
        share = np.exp(weight - weight.max())
        share /= share.sum()
        spread = at - share @ at
        cover = 0.6 * ((spread * share[:, None]).T @ spread + np.diag(((high - low) * 0.004) ** 2))
        at, proposal = _proposed(
            at[rng.choice(len(at), _PROPOSALS * len(low), p=share)], cover, rng
        )
        log = value(at)
    return at, log - volume - proposal


def _proposed(
    centres: np.ndarray, cover: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return a draw around each centre and the log density, at each draw, of the mixture of all
    centres.
    """
    from scipy.special import gammaln

    count, size = centres.shape
    root = np.linalg.cholesky(cover)
    inverse = np.linalg.inv(root).T
    scale = np.sqrt(rng.chisquare(_FREEDOM, count) / _FREEDOM)
    at = centres + rng.normal(size=(count, size)) @ root.T / scale[:, None]
    left, right = at @ inverse, centres @ inverse
    square = (-2.0 * left) @ right.T
    square += (left**2).sum(axis=1)[:, None]
    square += (right**2).sum(axis=1)
    np.maximum(square, 0.0, out=square)
    # (1 + square / freedom) to the power -(freedom + size) / 2 takes products and a root: no draw
    # is so far from its own centre that all of them underflow.
    square /= _FREEDOM
    square += 1.0
    density = np.reciprocal(square, out=square)
    log = np.log(_half_power(density, int(_FREEDOM) + size).mean(axis=1))
    constant = (
        gammaln(0.5 * (_FREEDOM + size))
        - gammaln(0.5 * _FREEDOM)
        - 0.5 * size * np.log(_FREEDOM * np.pi)
    )
    return at, log + constant - np.log(np.diag(root)).sum()


def _half_power(base: np.ndarray, twice: int) -> np.ndarray:
    """Return base to the power twice / 2."""
    found = np.sqrt(base) if twice % 2 else np.ones_like(base)
    for _ in range(twice // 2):
        found *= base
    return found


def _log_mean(log: np.ndarray) -> float:
    peak = log.max()
    return float(peak + np.log(np.exp(log - peak).mean()))


def _pick(cumulated: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return one column of each row, drawn by weights that are cumulated along the row."""
    level = rng.random(len(cumulated)) * cumulated[:, -1]
    found: np.ndarray = np.minimum((cumulated < level[:, None]).sum(axis=1), cumulated.shape[1] - 1)
    return found
