"""Learning on one's own inputs: the student is asked where its own labels lead, and the teacher
answers there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from kt_theory.content import ByContent
from kt_theory.generations.learning import Learner
from kt_theory.generations.pools import ACCUMULATE, REPLACE
from kt_theory.generations.running import Running, blocks
from kt_theory.numeric import total_variation
from kt_theory.simulation.run import progress_bar
from kt_theory.students import Student
from kt_theory.students.named import one_student
from kt_theory.teacher import Teacher, require_teacher
from kt_theory.validation import (
    numeric_array,
    positive,
    shown,
    unknown_name,
    whole_number,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

_MEASURES = ("own_inputs", "teacher_inputs", "laws_apart")
_ARRAYS = 8
_MANY = 2.0**50
"""Visits of a row that stand for infinitely many."""


@dataclass(frozen=True, eq=False)
class FixedPoint(ByContent):
    """Where a student that learns on its own inputs ends.

    Attributes
    ----------
    table : (S, A) array
        What it writes; on inputs that it never meets, what it writes of nothing.
    law : (S,) array
        Its own inputs, which this table leads to.
    teacher_law : (S,) array
        Those of the teacher.
    risk : float
        TV(table, pi | law), in [0, 1].
    teacher_risk : float
        TV(table, pi | teacher_law), in [0, 1].
    rounds : int
        After how many rounds of infinitely many pairs it is reached.
    """

    table: np.ndarray
    law: np.ndarray
    teacher_law: np.ndarray
    risk: float
    teacher_risk: float
    rounds: int


class OnPolicy(ByContent):
    """A chain of inputs driven by labels: input s with label a leads to input following[s, a].

    At each step it starts anew from the teacher's rho with the probability `restart`. So a table q
    meets the inputs by the law

        d_q = restart * rho (I - (1 - restart) P_q)^(-1),   P_q(s, t) = sum_a q(a|s) 1[following[s,
        a] = t].

    With restart 1 it is rho, whatever q is. In a round of on-policy learning the inputs of n pairs
    are drawn from d_q of the student's last table, the labels from the teacher.

    Where the student ends: let L be what it writes of a row after infinitely many visits, and R the
    inputs that are reached from rho by labels of L. If it looks at each row alone, the fixed point
    is L on R, with the law d_L, and it is reached from any first table. For the inputs of a round
    hold those of rho, and all that follow, by L, an input of the round before: so they hold R after
    at most S rounds, and once L is written on R nothing outside R is met. Students without bias end
    as the teacher on its own inputs. Of a biased one, such as ce_ptl, the law moves with the bias:
    `fixed_point`.

    Parameters
    ----------
    teacher : Teacher
        Its rho is the law of the first input.
    following : (S, A) array_like of int
        The next input, from 0 to S-1. Of the bigram of a text, input and label are tokens alike and
        it is the label.
    restart : float
        In (0, 1].

    Source: Ross, Gordon and Bagnell (2011), arXiv 1011.0686: data of one's own inputs accumulated;
    Agarwal et al. (2023), arXiv 2306.13649: on-policy distillation.

    Examples
    --------
    >>> import kt_theory as kt
    >>> teacher = kt.Teacher([[0.9, 0.1], [0.5, 0.5]])
    >>> chain = kt.generations.OnPolicy(teacher, [[0, 1], [0, 1]], restart=0.2)
    >>> chain.law(teacher.pi).round(4)
    array([0.7353, 0.2647])
    >>> found = chain.fixed_point("ce_ptl")
    >>> found.law.round(4), round(found.risk, 4), round(found.teacher_risk, 4)
    (array([0.82, 0.18]), 0.072, 0.0646)
    """

    def __init__(self, teacher: Teacher, following: ArrayLike, restart: float = 0.1) -> None:
        require_teacher(teacher)
        table = numeric_array(following, "following", 2)
        inputs = teacher.inputs
        if table.shape != teacher.pi.shape:
            raise ValueError(
                f"following has shape {table.shape}: must be the teacher's, {teacher.pi.shape}"
            )
        wrong = ~((table >= 0) & (table < inputs) & (table == np.floor(table)))
        if wrong.any():
            s, a = np.argwhere(wrong)[0]
            raise ValueError(
                f"following[{s}, {a}] = {table[s, a]:g}: must be an input, from 0 to {inputs - 1}"
            )
        self.teacher = teacher
        self.restart = positive(restart, "restart", high=1.0)
        self._following = table.astype(np.int64)

    def compared(self) -> Iterator[Any]:
        """Yield the teacher, what follows, and the chance to start anew."""
        return iter((self.teacher, self._following, self.restart))

    def law(self, table: ArrayLike) -> np.ndarray:
        """Return d_q, the inputs that tables lead to.

        Parameters
        ----------
        table : (S, A) or (R, S, A) array_like
            Rows sum to 1.

        Returns
        -------
        (S,) or (R, S) array.
        """
        q = np.asarray(table, dtype=np.float64)
        inputs = self.teacher.inputs
        if q.shape[-2:] != self.teacher.pi.shape:
            raise ValueError(
                f"table has shape {q.shape}: must be the teacher's, {self.teacher.pi.shape}"
            )
        tables = q.reshape(-1, *q.shape[-2:])
        step = np.zeros((len(tables), inputs, inputs))
        for a, target in enumerate(self._following.T):
            step[:, target, np.arange(inputs)] += (1.0 - self.restart) * tables[:, :, a]
        start = np.broadcast_to(self.restart * self.teacher.rho[:, None], (len(tables), inputs, 1))
        found = np.maximum(np.linalg.solve(np.eye(inputs) - step, start)[..., 0], 0.0)
        return (found / found.sum(axis=1, keepdims=True)).reshape(q.shape[:-1])

    def fixed_point(self, student: Any) -> FixedPoint:
        """Return where a student ends that gets infinitely many pairs of its own inputs in every
        round and keeps what it has learnt of inputs that it met before.

        Parameters
        ----------
        student : str or Student

        Returns
        -------
        FixedPoint
            Up to rounding: 2^50 visits stand for infinitely many, noise of answers left out.
        """
        chosen = one_student(student)
        chosen.refuse_other_sizes(self.teacher.pi.shape)
        met = np.zeros(self.teacher.inputs, dtype=bool)
        table = self._learnt(chosen, met)
        rounds = 0
        while (self._reached(table) & ~met).any():
            met |= self._reached(table)
            table = self._learnt(chosen, met)
            rounds += 1
        pi, law, teacher_law = self.teacher.pi, self.law(table), self.law(self.teacher.pi)
        own, other = (float(total_variation(table, pi, each)) for each in (law, teacher_law))
        return FixedPoint(table, law, teacher_law, own, other, rounds)

    def _reached(self, table: np.ndarray) -> np.ndarray:
        """Which inputs the labels of a table lead to from those of rho: (S,) bool."""
        found = self.teacher.rho > 0.0
        newest = found
        while self.restart < 1.0 and newest.any():
            after = np.zeros(len(found), dtype=bool)
            after[self._following[newest][table[newest] > 0.0]] = True
            newest = after & ~found
            found = found | newest
        return found

    def _learnt(self, student: Student, met: np.ndarray) -> np.ndarray:
        """What a student writes of infinitely many visits of the inputs that it met."""
        pi, level = self.teacher.pi, student.access
        confusion = level.channel.confusion(pi.shape[1])
        drawn = pi if confusion is None else pi @ confusion
        counts = np.where(drawn > 0.0, np.maximum(np.rint(_MANY * drawn), 1.0), 0.0) * met[:, None]
        steady = replace(level, channel=level.channel.fixed, name="", description="")
        seen = level.shows.answered(counts, pi)
        return student.table(seen, steady.reveal(counts, pi))

    def simulate(
        self,
        student: Any,
        n: int,
        rounds: int = 10,
        repeats: int = 1000,
        seed: int = 0,
        *,
        data: str = REPLACE,
        progress: bool = True,
    ) -> pd.DataFrame:
        """Return how far a student is from the teacher, round by round of n pairs on its own
        inputs.

        Parameters
        ----------
        student : str or Student
        n : int
            Pairs of a round.
        rounds : int
            At least 1.
        repeats : int
            At least 2.
        seed : int
        data : "replace" or "accumulate"
            Whether a round forgets the pairs of those before, or adds its own to them.
        progress : bool
            Show a bar on a terminal once the run has taken 2 seconds.

        Returns
        -------
        DataFrame
            One row per round, 0 for what the student writes of nothing: round, student, access, n,
            data, restart, inputs, labels; the means over the repeats of own_inputs and
            teacher_inputs, TV(., pi | .) under the student's own inputs and under the teacher's;
            and of laws_apart, the TV between the two; each with _se, _low, _high and _interval as
            in `lineage`; repeats, seed.
        """
        import pandas as pd

        chosen = one_student(student)
        size = whole_number(n, "n")
        number = whole_number(rounds, "rounds", low=1)
        repeats = whole_number(repeats, "repeats", low=2)
        seed = whole_number(seed, "seed", high=2**128)
        pooled = _pools(data, chosen)
        learner = Learner(chosen, *self.teacher.pi.shape)
        totals = [Running(len(_MEASURES)) for _ in range(number + 1)]
        cells = _ARRAYS * self.teacher.pi.size + 4 * self.teacher.inputs**2
        with progress_bar(repeats * (number + 1), progress) as bar:
            for count, rng in blocks(repeats, cells, seed):
                shape = (count, *self.teacher.pi.shape)
                pi, pool = np.broadcast_to(self.teacher.pi, shape), np.zeros(shape, dtype=np.int64)
                for total in totals:
                    table = learner.write(*chosen.access.answers(pool, pi, rng), bar.update)
                    law = self.law(table)
                    total.add(self._measures(table, law))
                    drawn = learner.drawn(pi, law, size, rng)
                    pool = pool + drawn if pooled else drawn
        same = {"student": chosen.name, "access": chosen.access.name, "n": size, "data": data}
        same |= {"restart": self.restart}
        same |= {"inputs": self.teacher.inputs, "labels": self.teacher.labels}
        rows = []
        for at, total in enumerate(totals):
            found: dict[str, Any] = {"round": at} | same
            for i, column in enumerate(_MEASURES):
                names = (
                    column,
                    *(f"{column}_{part}" for part in ("se", "low", "high", "interval")),
                )
                found |= dict(zip(names, total.estimate(i).values(), strict=True))
            rows.append(found | {"repeats": repeats, "seed": seed})
        return pd.DataFrame(rows)

    def _measures(self, tables: np.ndarray, laws: np.ndarray) -> np.ndarray:
        """Return the measures in the order of _MEASURES, (3, R)."""
        rows = 0.5 * np.abs(tables - self.teacher.pi).sum(axis=-1)
        teacher_law = self.law(self.teacher.pi)
        apart = 0.5 * np.abs(laws - teacher_law).sum(axis=-1)
        return np.array([(rows * laws).sum(axis=-1), rows @ teacher_law, apart])

    def __repr__(self) -> str:
        return f"OnPolicy({self.teacher!r}, restart={self.restart:g})"


def _pools(data: Any, student: Student) -> bool:
    """Whether rounds accumulate; refused where that would draw noise of old answers anew."""
    if data not in (REPLACE, ACCUMULATE):
        raise unknown_name("data", data, (REPLACE, ACCUMULATE))
    channel = student.access.channel
    if data == ACCUMULATE and (channel.fixed != channel or channel.mixes_labels):
        raise ValueError(
            f"data = {shown(data)}: the noise that student {student.name!r} sees is fresh in every "
            f"answer; give data={REPLACE!r}, or a student of answers without noise"
        )
    return bool(data == ACCUMULATE)
