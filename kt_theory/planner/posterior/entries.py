"""Kinds of rows without a formula: what the entries are is learnt from those that the records
state.

`EntryLaw`: the entries of a row are independent draws of one law F, given that they sum to 1. F is
a histogram over log p. For gamma F that is a Dirichlet row. It is fitted to the stated
probabilities, and to the hidden ones by their mean: given its mass m, u hidden entries of a row are
about draws of F tilted, F(p) e^(-t p) / M, to the mean m/u (Gibbs' conditioning).

`Profile`: all rows have the same values in different orders, as Zipf's do. H(p) entries of each row
lie in the bin of p, and those that a row states are no longer among its hidden ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_WIDTH = 0.12
GRID = np.exp(np.arange(-16.0, 1e-4, _WIDTH))
"""Values p of the histogram."""

_LOG_SIZE = np.log(GRID * 2.0 * np.sinh(0.5 * _WIDTH))
"""Log widths of its bins, in p."""

_ROUNDS, _TRIES = 12, 6
_LEAST, _CELLS = -6.5, 2**24
_CELL = 24.5 / _CELLS
"""Tilts are sought from sinh(-6.5) to sinh(18), to a cell of arsinh t."""

_MOST_FITTED = 200
"""Rows that a profile is fitted to."""

_THIN = 0.08
"""A bin that would hold fewer entries of a row than this, and shows none in any, is taken for
empty.
"""

_IMPOSSIBLE = 0.02
"""Chance of one more value of a bin than the profile has."""

_PARAMETERS = 30
"""So many numbers of F count as fitted: each costs half a log of the number of stated entries
(Schwarz 1978).
"""


@dataclass(frozen=True, eq=False)
class Values:
    """Stated probabilities by bin.

    `sorted` (P,): those of bin g from start[g] to start[g + 1]; start (G + 1,); `centre` (G,):
    their mean, and the middle of a bin without any. Hidden entries have a known mean, which middles
    would miss by a few per cent.
    """

    sorted: np.ndarray
    start: np.ndarray
    centre: np.ndarray

    def draw(self, place: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a value in each bin of `place`: one that is stated, so that values that recur stay
        equal.

        Where none is stated, anywhere in the bin.
        """
        size = self.start[place + 1] - self.start[place]
        chosen = self.start[place] + (rng.random(place.shape) * size).astype(np.int64)
        stated = self.sorted[np.minimum(chosen, len(self.sorted) - 1)]
        anywhere = GRID[place] * np.exp(rng.uniform(-0.5 * _WIDTH, 0.5 * _WIDTH, place.shape))
        return np.where(size > 0, stated, anywhere)


def stated_values(stated: np.ndarray, known: np.ndarray) -> Values:
    """Return the stated probabilities by bin."""
    p = np.sort(stated[known])
    number = np.bincount(_bin(p), minlength=len(GRID))
    total = np.bincount(_bin(p), weights=p, minlength=len(GRID))
    centre = np.where(number > 0, total / np.maximum(number, 1), GRID)
    return Values(p, np.concatenate([[0], np.cumsum(number)]), centre)


@dataclass(frozen=True, eq=False)
class EntryLaw:
    """Independent entries; `log_law` (G,) is the logarithm of F on `GRID`, `values` what the
    records state.
    """

    log_law: np.ndarray
    values: Values

    def evidence(self, stated: np.ndarray, known: np.ndarray, cap: np.ndarray) -> np.ndarray:
        """Return the log density of each row's stated probabilities, given that the row sums to 1:
        (R,).
        """
        hidden = (~known).sum(axis=1)
        mass = np.clip(1.0 - np.where(known, stated, 0.0).sum(axis=1), 1e-12, 1.0)
        each = np.where(known, (self.log_law - _LOG_SIZE)[_bin(stated)], 0.0)
        whole = self._log_sum_density(np.array([known.shape[1]]), np.ones(1), np.ones(1))
        found: np.ndarray = each.sum(axis=1) - whole
        some = hidden > 0
        if some.any():
            found[some] += self._log_sum_density(hidden[some], mass[some], cap[some])
        return found - 0.5 * _PARAMETERS * np.log(max(known.sum(), 2)) / len(stated)

    def _log_sum_density(
        self, number: np.ndarray, total: np.ndarray, cap: np.ndarray
    ) -> np.ndarray:
        """Return the log density that `number` entries sum to `total`, by the saddle point of F."""
        _, log_norm, tilt, variance = _tilted(self.log_law, total / number, cap, self.values.centre)
        found: np.ndarray = (
            number * log_norm + tilt * total - 0.5 * np.log(2.0 * np.pi * number * variance)
        )
        return found

    def hidden(self, stated: np.ndarray, known: np.ndarray, cap: np.ndarray) -> np.ndarray:
        """Return the law of a hidden entry of each row, F tilted to the mean that it must have: (R,
        G).
        """
        each = np.maximum(_hidden_mass(stated, known), 1e-12) / _hidden_labels(known)
        return _tilted(self.log_law, each, cap, self.values.centre)[0]

    def draw(
        self, stated: np.ndarray, known: np.ndarray, weight: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Return rows given what is stated of them, which is kept exactly, and the laws of their
        `hidden` entries: (R, A).
        """
        mass = _hidden_mass(stated, known)
        cumulated = np.cumsum(weight, axis=1)
        # One sorted array for all rows: row r lies in (r, r + 1].
        cumulated = cumulated / cumulated[:, -1:] + np.arange(len(stated))[:, None]
        best, least = np.zeros(stated.shape), np.full(len(stated), np.inf)
        for _ in range(_TRIES):
            level = rng.random(stated.shape) + np.arange(len(stated))[:, None]
            place = np.searchsorted(cumulated.ravel(), level.ravel()).reshape(stated.shape)
            place = np.minimum(place - len(GRID) * np.arange(len(stated))[:, None], len(GRID) - 1)
            value = np.where(known, 0.0, self.values.draw(place, rng))
            total = np.maximum(value.sum(axis=1), 1e-300)
            off = np.abs(np.log(np.maximum(mass, 1e-12) / total))
            closer = off < least
            best[closer] = (value * (mass / total)[:, None])[closer]
            least = np.minimum(off, least)
        return np.where(known, stated, best)


def entry_law(stated: np.ndarray, known: np.ndarray, cap: np.ndarray) -> EntryLaw:
    """Return F fitted to the stated entries, and to the hidden ones by expectation and
    maximisation.
    """
    hidden = (~known).sum(axis=1)
    some = hidden > 0
    mass = np.clip(1.0 - np.where(known, stated, 0.0).sum(axis=1), 1e-12, 1.0)
    values = stated_values(stated, known)
    seen = np.diff(values.start).astype(np.float64)
    law = seen + 0.02 * seen.sum() / len(GRID) + 0.1
    law /= law.sum()
    for _ in range(_ROUNDS):
        weight, _, _, _ = _tilted(
            np.log(law), (mass / np.maximum(hidden, 1))[some], cap[some], values.centre
        )
        law = seen + 0.05 + hidden[some] @ weight
        law /= law.sum()
    return EntryLaw(np.log(law), values)


@dataclass(frozen=True, eq=False)
class Profile:
    """The same values in every row; `number` (G,) of them in each bin, A in all; `values` what the
    records state.
    """

    number: np.ndarray
    values: Values

    def evidence(self, stated: np.ndarray, known: np.ndarray, cap: np.ndarray) -> np.ndarray:
        """Return the log density of each row's stated probabilities: (R,).

        The labels take the values one after the other, without replacement; what is left of them
        must have the mass that is hidden, to the width of a bin.
        """
        labels, taken = known.shape[1], _taken(stated, known)
        each = np.log(self.number / labels) - _LOG_SIZE
        found = taken @ each
        for i in range(1, int(taken.max(initial=0))):
            # The i-th further value of a bin; a bin that has no more than i is next to impossible.
            left = np.log(np.maximum(1.0 - i / self.number, _IMPOSSIBLE))
            found += np.where(taken > i, left, 0.0).sum(axis=1)
        states = known.sum(axis=1)
        order = np.concatenate([[0.0], np.cumsum(np.log1p(-np.arange(labels - 1) / labels)), [0.0]])
        found -= order[np.minimum(states, labels - 1)]
        hidden = states < labels
        left_over = np.maximum(self.number - taken, 0.0)
        mass = np.clip(1.0 - np.where(known, stated, 0.0).sum(axis=1), 1e-12, 1.0)
        found += np.where(hidden, _log_sum_near(left_over, mass, self.values.centre), 0.0)
        found -= _log_sum_near(self.number[None], np.ones(1), self.values.centre)
        return found - 0.5 * _PARAMETERS * np.log(max(known.sum(), 2)) / len(stated)

    def draw(
        self, stated: np.ndarray, known: np.ndarray, weight: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Return rows given what is stated of them, which is kept exactly, and the laws of their
        `hidden` entries: (R, A).

        The hidden labels take what is left by systematic sampling: as many values of each bin as
        expected, to one.
        """
        hidden, mass = _hidden_labels(known), _hidden_mass(stated, known)
        cumulated = np.cumsum(weight, axis=1)
        rows = np.arange(len(stated))[:, None]
        cumulated = cumulated / cumulated[:, -1:] + rows
        order = np.argsort(
            np.argsort(np.where(known, 2.0, rng.random(stated.shape)), axis=1), axis=1
        )
        level = np.minimum((order + rng.random((len(stated), 1))) / hidden[:, None], 1.0) + rows
        place = (
            np.searchsorted(cumulated.ravel(), level.ravel()).reshape(stated.shape)
            - len(GRID) * rows
        )
        value = np.where(known, 0.0, self.values.draw(np.clip(place, 0, len(GRID) - 1), rng))
        scale = mass / np.maximum(value.sum(axis=1), 1e-300)
        return np.where(known, stated, value * scale[:, None])

    def hidden(self, stated: np.ndarray, known: np.ndarray, cap: np.ndarray) -> np.ndarray:
        """Return the law of a hidden entry of each row, tilted to the mean that it must have: (R,
        G).
        """
        number = np.maximum(self.number - _taken(stated, known), _IMPOSSIBLE * self.number)
        each = np.maximum(_hidden_mass(stated, known), 1e-12) / _hidden_labels(known)
        return _tilted(np.log(number), each, cap, self.values.centre)[0]


def profile(law: EntryLaw, stated: np.ndarray, known: np.ndarray, cap: np.ndarray) -> Profile:
    """Return the profile fitted to stated and hidden entries, starting at a law of entries: EM."""
    step = max(len(stated) // _MOST_FITTED, 1)
    stated, known, cap = stated[::step], known[::step], cap[::step]
    hidden = (~known).sum(axis=1)
    some = hidden > 0
    seen = _taken(stated, known).sum(axis=0)
    found = Profile(known.shape[1] * np.exp(law.log_law), law.values)
    for _ in range(_ROUNDS):
        weight = found.hidden(stated[some], known[some], cap[some])
        number = seen + hidden[some] @ weight
        thin = (seen == 0) & (number < _THIN * len(stated))
        number = np.where(thin, 0.0, number) + 1e-6
        found = Profile(number * known.shape[1] / number.sum(), law.values)
    return found


def _hidden_labels(known: np.ndarray) -> np.ndarray:
    """Return how many labels of each row are hidden, 1 where none is: (R,)."""
    found: np.ndarray = np.maximum((~known).sum(axis=1), 1)
    return found


def _hidden_mass(stated: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the mass of each row that no stated label has: (R,)."""
    return np.clip(1.0 - np.where(known, stated, 0.0).sum(axis=1), 0.0, 1.0)


def _taken(stated: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return how many entries of each row are stated in each bin: (R, G) float64."""
    row, _ = np.nonzero(known)
    place = row * len(GRID) + _bin(stated)[known]
    return (
        np.bincount(place, minlength=len(known) * len(GRID))
        .reshape(len(known), len(GRID))
        .astype(np.float64)
    )


def _log_sum_near(number: np.ndarray, total: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Return the log density at `total` of the sum of so many values of each bin, (R,): Cauchy, as
    a row may be off.

    Its width is that of the bins, each value anywhere in its own, and 3 % of the mean.
    """
    mean = number @ grid
    width = 0.03 * mean + np.sqrt(number @ grid**2) * _WIDTH / np.sqrt(12.0) + 1e-12
    found: np.ndarray = -np.log(np.pi * width) - np.log1p(((total - mean) / width) ** 2)
    return found


def _bin(stated: np.ndarray) -> np.ndarray:
    place = np.round((np.log(np.maximum(stated, 1e-12)) - np.log(GRID[0])) / _WIDTH)
    found: np.ndarray = np.clip(place.astype(np.int64), 0, len(GRID) - 1)
    return found


def _tilted(
    log_law: np.ndarray, mean: np.ndarray, cap: np.ndarray, grid: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return F, (G,) or (R, G), tilted to each mean, below each cap: weights (R, G); log M, t and
    variance, (R,).
    """
    log = np.where(cap[:, None] * 1.06 >= grid, log_law, -np.inf)
    log[:, 0] = np.maximum(log[:, 0], -60.0)
    tilt = np.sinh(_LEAST + (_cells(log, mean, grid) + 0.5) * _CELL)
    exponent = log - tilt[:, None] * grid
    peak = exponent.max(axis=1)
    weight = np.exp(exponent - peak[:, None])
    norm = weight.sum(axis=1)
    weight /= norm[:, None]
    found = weight @ grid
    variance = np.maximum(weight @ grid**2 - found**2, (0.03 * found) ** 2)
    return weight, np.log(norm) + peak, tilt, variance


def _cells(log: np.ndarray, mean: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Return for each row the cell of arsinh t in which its tilted mean falls below `mean`: (R,),
    of 0 to `_CELLS` - 1.

    Newton's method on the logarithm of the mean; every fourth step, and where it leads out of what
    is known of the cell, bisection instead.
    """
    low, high = np.zeros(len(mean)), np.full(len(mean), float(_CELLS))
    at = np.full(len(mean), float(round((1.5 - _LEAST) / _CELL)))
    found, rows, step = np.empty(len(mean)), np.arange(len(mean)), 0
    while len(rows):
        x = _LEAST + at * _CELL
        weight = np.sinh(x)[:, None] * grid
        np.subtract(log, weight, out=weight)
        weight -= weight.max(axis=1, keepdims=True)
        np.exp(weight, out=weight)
        total, first, second = weight.sum(axis=1), weight @ grid, weight @ grid**2
        above = first > mean * total
        low, high = np.where(above, at, low), np.where(above, high, at)
        step += 1
        middle = np.floor(0.5 * (low + high))
        if step % 4 == 0:
            at = middle
        else:
            ratio = first / total
            slope = np.cosh(x) * np.maximum(second / total - ratio**2, 0.0) / ratio
            near = at + np.log(ratio / mean) / np.maximum(slope * _CELL, 1e-300)
            # The cell's own ends are next once Newton's steps are shorter than the cell.
            near = np.where(above, np.floor(near), np.ceil(near))
            near = np.where(near == at, at + np.where(above, 1.0, -1.0), near)
            at = np.where((near > low) & (near < high), near, middle)
        going = high - low > 1.0
        if not going.all():
            found[rows[~going]] = low[~going]
            rows, low, high, at = rows[going], low[going], high[going], at[going]
            log, mean = log[going], mean[going]
    return found
