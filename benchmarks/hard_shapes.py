"""The shapes of shrinkage behind the upper bound of hard labels: `python benchmarks/hard_shapes.py`
writes kt_theory/limits/hard/shapes.json, in about a quarter of an hour on one core.

Each is the h that nearly minimises max over teachers of the risk without the scatter of the sum of
h, by cutting planes: for a teacher, given as a law of the mean counts x with mean N, that risk is
convex in h. No proof rests on it: `bent_upper` proves a bound of any h.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array

from kt_theory.limits.hard.priors import log_binomial

LABELS = (12, 40, 1000)
RATIOS = (1, 1.5, 2, 3, 5, 7, 10, 14, 20, 30, 45, 70, 100)
ETA = 0.6
FIRST, LATER = (0, 1, 2, 3, 4, 5), (0.7, 1, 1.4, 1.8, 2.4, 3.2, 4.4, 6, 8.5)
SHIFTS, ROUNDS, TRUST = np.linspace(-0.45, 0.5, 41), 70, 0.25
OUT = Path(__file__).parents[1] / "kt_theory" / "limits" / "hard" / "shapes.json"


class Game:
    """Teachers with A labels and n samples, as laws over a grid of mean counts."""

    def __init__(self, labels: int, n: int, knots: np.ndarray) -> None:
        N = n / labels
        wide = N + 7.0 * math.sqrt(N)
        x = np.concatenate([[0.0, N], np.linspace(0.0, wide, 120), np.geomspace(wide, n, 36)])
        self.N, self.x, self.knots = N, np.unique(x[x <= n]), knots
        reach = 8.0 * np.sqrt(self.x) + 14.0
        spans = [
            np.unique(np.linspace(max(a - b, 0), min(a + b, n), 700).round())
            for a, b in zip(self.x, reach, strict=True)
        ]
        self.i = np.repeat(np.arange(len(self.x)), [len(span) for span in spans])
        self.k = np.concatenate(spans)
        law = np.exp(log_binomial(self.k, n - self.k, self.x[self.i] / n))
        self.law = law / np.bincount(self.i, weights=law)[self.i]
        at = np.minimum(self.k, knots[-1])
        j = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
        part = (at - knots[j]) / (knots[j + 1] - knots[j])
        r = np.arange(len(at))
        rows, columns = np.concatenate([r, r]), np.concatenate([j, j + 1])
        shape = (len(at), len(knots))
        self.basis = csr_array((np.concatenate([1.0 - part, part]), (rows, columns)), shape=shape)
        self.means = np.stack([self.mean(np.asarray(c)) for c in self.basis.toarray().T], axis=1)
        self.weight = 1.0 - ETA + ETA * self.k / N

    def mean(self, f: np.ndarray) -> np.ndarray:
        return np.bincount(self.i, weights=self.law * f)

    def error(self, h: np.ndarray, m: float) -> np.ndarray:
        return self.k + self.basis @ h - m * self.weight - self.x[self.i]

    def worst(self, h: np.ndarray, m: float) -> tuple[float, np.ndarray | None]:
        """Return the largest risk of a law with mean shift m, and that law."""
        found = linprog(
            -self.mean(np.abs(self.error(h, m))),
            A_eq=np.stack([np.ones_like(self.x), self.x, self.means @ h]),
            b_eq=[1.0, self.N, m],
            method="highs",
        )
        return (-found.fun, found.x) if found.status == 0 else (-math.inf, None)

    def plane(self, h: np.ndarray, m: float, law: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the risk of h on a law, and its slopes in h."""
        z = self.error(h, m)
        mass = self.law * law[self.i]
        side = np.sign(z) * mass
        slopes = self.basis.T @ side - (side @ self.weight) * (law @ self.means)
        return float(np.abs(z) @ mass), slopes


def best_shape(game: Game) -> tuple[float, np.ndarray]:
    """Return the least worst risk found, and its h at the knots."""
    knots, N = game.knots, game.N
    steep, far = 0.42 / math.sqrt(N), 8.0 * N
    h = steep * far * np.expm1(-knots / far)
    middle = int(np.abs(knots - N).argmin())
    h -= h[middle]
    shifts, trust = SHIFTS * math.sqrt(N / 10.0), TRUST * math.sqrt(N / 10.0)
    best, at_best, planes = math.inf, h, []
    for _ in range(ROUNDS):
        found = [(m, *game.worst(h, m)) for m in shifts]
        top = max(value for _, value, _ in found)
        better = top < best - 1e-6
        if better:
            best, at_best = top, h
        trust *= 1.3 if better else 0.75
        for m, value, law in found:
            if law is not None and value > 0.98 * top:
                risk, slopes = game.plane(h, m, law)
                planes.append(np.append(slopes, slopes @ h - risk))
        table = np.array(planes)
        step = linprog(
            np.append(np.zeros(len(h)), 1.0),
            A_ub=np.column_stack([table[:, :-1], -np.ones(len(table))]),
            b_ub=table[:, -1],
            bounds=[(y - trust, y + trust) for y in at_best] + [(None, None)],
            method="highs",
        )
        if step.status or best - step.fun < 1e-4 * best or trust < 1e-4:
            break
        h = step.x[:-1] - step.x[middle]
    return best, at_best


def main() -> None:
    shapes = []
    for labels in LABELS:
        for ratio in RATIOS:
            n = round(ratio * labels)
            later = np.round(np.array(LATER) * ratio)
            knots = np.unique(np.concatenate([FIRST, later[later > FIRST[-1]]]))
            knots = knots[knots <= 0.85 * n].astype(float)
            value, h = best_shape(Game(labels, n, knots))
            entry = {"labels": labels, "ratio": ratio, "knots": [int(k) for k in knots]}
            shapes.append(entry | {"values": [round(float(y), 3) for y in h]})
            print(labels, ratio, f"{0.5 * labels * value / n:.6f}", file=sys.stderr, flush=True)
            rows = ",\n".join(json.dumps(shape) for shape in shapes)
            OUT.write_text(f"[\n{rows}\n]\n")


if __name__ == "__main__":
    main()
