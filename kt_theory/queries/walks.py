"""Exact laws of a Markov chain's visits by dynamic programs of non-negative terms.

Legend: P (S, S) transitions, mu (S,) start, steps: the number of inputs visited, the first one
included.
"""

from __future__ import annotations

import numpy as np


def survival(
    transitions: np.ndarray,
    start: np.ndarray,
    steps: list[int],
    sets: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (missed, hit): the probabilities that a walk avoids a set and that it does not, each
    (N, T).

    missed = mu D (P D)^(steps-1) 1 with D the identity outside the set. Step by step for all sets,
    or by powers of P D set by set, whichever takes fewer operations.

    Parameters
    ----------
    transitions : (S, S) array
    start : (S,) array
    steps : list of N int
    sets : (T, S) bool array
    """
    missed = np.ones((len(steps), len(sets)))
    hit = np.zeros((len(steps), len(sets)))
    by_steps, by_powers = _costs(transitions, steps, len(sets))
    outside = (~sets).astype(np.float64)
    if by_powers < by_steps:
        reaches = reachable(transitions)
        for t, free in enumerate(outside):
            lost = ~(reaches[:, sets[t]].any(axis=1) | sets[t])
            for i, number in enumerate(steps):
                if number:
                    matrix = transitions * np.outer(free, free)
                    missed[i, t] = min(_by_powers(matrix, start * free, number - 1, lost), 1.0)
        return missed, 1.0 - missed
    mass = np.broadcast_to(start, outside.shape)
    caught = np.zeros(len(sets))
    for at in range(1, max(steps, default=0) + 1):
        caught = caught + (mass * sets).sum(axis=1)
        mass = mass * outside
        for i, number in enumerate(steps):
            if number == at:
                missed[i] = mass.sum(axis=1)
                hit[i] = caught
        mass = mass @ transitions
    return missed, hit


def survival_cost(transitions: np.ndarray, steps: list[int], sets: int) -> float:
    """Return the multiplications that `survival` takes."""
    return min(_costs(transitions, steps, sets))


def _costs(transitions: np.ndarray, steps: list[int], sets: int) -> tuple[float, float]:
    inputs = len(transitions)
    squarings = sum(number.bit_length() for number in steps)
    by_steps = float(max(steps, default=0)) * sets * inputs**2
    by_powers = float(squarings) * sets * inputs**3
    return by_steps, by_powers


def _by_powers(
    matrix: np.ndarray,
    mass: np.ndarray,
    power: int,
    lost: np.ndarray,
) -> float:
    """Return mass matrix^power 1. From inputs in `lost` the set is never reached: their rows sum to
    1 for ever.
    """
    while power:
        matrix[lost] /= matrix[lost].sum(axis=1, keepdims=True)
        if power & 1:
            mass = mass @ matrix
        matrix = matrix @ matrix
        power = power >> 1
    return float(mass.sum())


def never_met(transitions: np.ndarray, start: np.ndarray, sets: np.ndarray) -> np.ndarray:
    """Return the probability that an endless walk avoids a set, (T,).

    Outside the set, x_j = P(never | now at j) is 1 where the set cannot be reached, and (I - P_RR)
    x_R = P_RU 1 on the inputs R from which it can: a walk leaves R with probability 1.
    """
    reaches = reachable(transitions)
    never = np.empty(len(sets))
    for t, members in enumerate(sets):
        lost = ~(reaches[:, members].any(axis=1) | members)
        open_ended = ~(lost | members)
        x = lost.astype(np.float64)
        if open_ended.any():
            inside = transitions[np.ix_(open_ended, open_ended)]
            x[open_ended] = np.linalg.solve(
                np.eye(len(inside)) - inside, transitions[np.ix_(open_ended, lost)].sum(axis=1)
            )
        never[t] = start @ x
    return never


def reachable(transitions: np.ndarray) -> np.ndarray:
    """Return the (S, S) bool array of which inputs follow which in one step or more."""
    closure = transitions > 0
    for _ in range(len(transitions).bit_length()):
        one_or_two = closure.astype(np.float64)
        closure = closure | (one_or_two @ one_or_two > 0)
    return closure


def visit_counts(
    transitions: np.ndarray,
    start: np.ndarray,
    steps: int,
    s: int,
) -> np.ndarray:
    """Return the law of the number of visits of input s in a walk: (steps + 1,), by a table over
    (visits, input).
    """
    law = np.zeros(steps + 1)
    if steps == 0:
        return np.ones(1)
    table = np.zeros((steps + 1, len(start)))
    table[0] = start
    for at in range(1, steps + 1):
        if at > 1:
            table[:at] = table[:at] @ transitions
        table[1 : at + 1, s] = table[:at, s].copy()
        table[0, s] = 0.0
    law[:] = table.sum(axis=1)
    return law


def visit_counts_cost(transitions: np.ndarray, steps: int) -> float:
    """Return the multiplications that `visit_counts` takes."""
    return 0.5 * float(steps) ** 2 * len(transitions) ** 2


def sum_law(law: np.ndarray, times: int) -> tuple[int, np.ndarray]:
    """Return (k0, P(sum = k0), P(sum = k0 + 1), ...) of `times` independent counts of `law`, by
    repeated squaring.

    Ends are dropped where they are below 1e-30 of the largest probability; all terms are
    non-negative.
    """
    total = (0, np.ones(1))
    square = (0, law)
    while times:
        if times & 1:
            total = _sum(total, square)
        times >>= 1
        if times:
            square = _sum(square, square)
    return total


def _sum(first: tuple[int, np.ndarray], second: tuple[int, np.ndarray]) -> tuple[int, np.ndarray]:
    chance = np.convolve(first[1], second[1])
    kept = np.flatnonzero(chance > 1e-30 * chance.max())
    least = first[0] + second[0] + int(kept[0])
    return least, chance[kept[0] : kept[-1] + 1]


def sum_cost(horizon: int, n: int) -> float:
    """Return the most multiplications that `sum_law` takes for counts up to `horizon` that add up
    to at most n.

    By Bernstein's inequality with variance horizon^2 / 4 each, a sum stays within that width but
    for e^-70.
    """
    return min(float(n), 50.0 * horizon + 12.0 * np.sqrt(n * horizon)) ** 2


def mean_visits(transitions: np.ndarray, start: np.ndarray, steps: int) -> np.ndarray:
    """Return the expected visits of each input, sum_{t < steps} mu P^t: (S,), by doubling."""
    total = np.eye(len(start))
    power = transitions
    done = 1
    for bit in bin(steps)[3:]:
        power = power / power.sum(
            axis=1, keepdims=True
        )  # or the rounding of the sums doubles with every squaring
        total = total + total @ power
        power = power @ power
        done = 2 * done
        if bit == "1":
            total = total + power
            power = power @ transitions
            done = done + 1
    return start @ total
