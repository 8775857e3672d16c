"""Exact risks where one query reveals more rows than that of its input."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kt_theory.access import Reach
from kt_theory.exact.queried import unrevealed_risk
from kt_theory.exact.risk import ExactRisk
from kt_theory.exact.unvisited import still_lost, uniform_distance, uniform_loss
from kt_theory.losses import TV, Loss
from kt_theory.numeric import log_missed
from kt_theory.queries.laws import QueryLaw
from kt_theory.teacher import Teacher


@dataclass(frozen=True)
class Balls(ExactRisk):
    """The risk of grad_ful: sum_s rho_s (1 - rho(N_h[s]))^n loss(pi_s, Uniform).

    An input stays unknown as long as no sample falls within `hops` edges of it. The teacher needs a
    dense table: the vertices of the graph are its inputs.
    """

    reach: Reach
    name: str = "grad_ful"
    loss: Loss = TV

    def in_loss(self, loss: Loss) -> ExactRisk:
        """Return the risk in another loss."""
        return replace(self, loss=loss)

    def risk(self, teacher: Teacher, n: np.ndarray) -> np.ndarray:
        """Return the risk after n samples, (N,)."""
        rho = teacher.rho
        vertices = self.reach.inputs
        if vertices != teacher.inputs:
            raise ValueError(
                f"graph has {vertices} vertices: the teacher has {teacher.inputs} inputs, one "
                "vertex each"
            )
        balls = self.reach.balls(teacher.inputs)
        hit = np.minimum(balls @ rho, 1.0)
        missed = 1.0 - hit
        for s in np.flatnonzero(missed < 0.5):
            # The difference from 1 would cancel: add up what lies outside.
            outside = rho.copy()
            outside[balls.indices[balls.indptr[s] : balls.indptr[s + 1]]] = 0.0
            missed[s] = outside.sum()
        lost = uniform_loss(self.loss, teacher.pi)
        return still_lost(rho, lost, log_missed(hit, missed), n)

    def under(
        self,
        teacher: Teacher,
        n: np.ndarray,
        law: QueryLaw,
    ) -> np.ndarray:
        """Return sum_s rho_s P(no query within the ball of s) loss(pi_s, Uniform), (N,)."""
        balls = self.reach.balls(teacher.inputs).toarray()
        return unrevealed_risk(teacher, n, law, self.name, balls, self.loss)


@dataclass(frozen=True)
class OneQuery(ExactRisk):
    """The risk of jacobian: TV(Uniform, pi | rho) before the first query, and 0 after it, wherever
    it falls.
    """

    reach: Reach

    def risk(self, teacher: Teacher, n: np.ndarray) -> np.ndarray:
        """Return the risk after n samples, (N,); a teacher whose logits are not affine is
        refused.
        """
        self.reach.refuse_impossible(teacher.pi)
        return np.where(n == 0, teacher.rho @ uniform_distance(teacher.pi), 0.0)

    def under(
        self,
        teacher: Teacher,
        n: np.ndarray,
        law: QueryLaw,
    ) -> np.ndarray:
        """Return the same, whatever the law."""
        return self.risk(teacher, n)
