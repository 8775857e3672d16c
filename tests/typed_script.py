"""What a user writes with the names of the README, for `mypy --strict`; nothing runs it."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

import numpy as np
from numpy.typing import NDArray

import kt_theory as kt

Rows = NDArray[np.float64]

teacher = kt.teachers.instance0(inputs=100, labels=25)
assert_type(teacher, kt.Teacher)
own = kt.Teacher([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], rho=[0.5, 0.5], name="mine")

run = kt.simulate(teacher, students=kt.STUDENTS, n=[20_000, 40_000], repeats=10, seed=0)
assert_type(run, kt.Simulation)
assert_type(run.estimates[0], kt.RiskEstimate)
assert_type(run.estimates[0].mean, float)
rates = kt.fit_rate(run.frame[run.frame.student == "ce_sgl"])[["slope", "slope_low"]]

assert_type(kt.exact_risk(teacher, "ce_sgl", n=20_000), float)
assert_type(kt.exact_risk(teacher, "ce_sgl", n=float("inf")), float)
ratio: float = kt.exact_risk(teacher, kt.STUDENTS["ce_ful"], n=np.int64(5)) / 2
curve = kt.exact_risk(teacher, "ce_sgl", n=[100, 1000]).max()

limit = kt.minimax_risk("partial", inputs=100, labels=25, n=20_000)
assert_type(limit, kt.Limit)
assert_type((limit.lower, limit.upper), tuple[float, float])
if limit.teacher is not None:
    assert_type(kt.exact_risk(limit.teacher, "ce_ful", n=20_000), float)
bounds = kt.bounds.table(inputs=100, labels=25, n=20_000)
needed = kt.samples_needed(access="soft", inputs=1000, labels=50, tv=0.05)
assert_type(needed, kt.SampleSize)
assert_type(kt.missing_mass_law(teacher, n=300).quantile(0.95), float)
low, high = kt.missing_mass_bounds(inputs=100, n=300, delta=0.05)


@kt.row_rule
def laplace(counts: Rows, revealed: Rows, out: Rows) -> None:
    """Add one to each count."""
    out[:] = (counts + 1.0) / (counts.sum() + counts.size)


@kt.row_loss
def largest(p: Rows, q: Rows) -> float:
    """Return the largest difference."""
    return float(np.abs(p - q).max())


assert_type(laplace, kt.RowRule)
mine = kt.Student("laplace", access="hard", rule=laplace)
assert_type(mine, kt.Student)
assert_type(mine.access, kt.Access)
believing = kt.Student("even", kt.access.PARTIAL, laplace, prior=[[0.5, 0.5]])
assert_type(kt.simulate(own, ["ce_sgl", mine], 20, loss=largest), kt.Simulation)
assert_type(kt.simulate(own, mine, np.array([1, 2])).estimates[0].std_error, float)

assert_type(kt.students.top_k(3), kt.Student)
assert_type(kt.students.with_prior("sel_ptl", np.full((2, 3), 1 / 3)), kt.Student)
assert_type(kt.students.grad_ful(kt.graphs.cycle(5), 1), kt.Student)
assert_type(kt.access.rounded(0.1), kt.Access)
assert_type(kt.losses.KL.name, str)
asked = kt.exact_risk(own, "ce_ful", n=3, queries=kt.queries.iid([0.5, 0.5])) + 1.0

records = kt.TransferSet.read("answers.jsonl")
assert_type(records, kt.TransferSet)
copy = kt.fit(records, student="sel_ptl")
assert_type(copy, kt.Copy)
assert_type(copy.certificate(confidence=0.95), kt.Certificate)
assert_type(copy.certificate().bound, float)
assert_type(kt.acceptance(0.2, draft=4, cost=0.05).tokens_per_round.value, float | None)

spec = kt.sweep.Spec.read(Path("rates.toml"))
summary = kt.sweep.run(spec, Path("rates"))
assert_type(summary, kt.sweep.Summary)
assert_type(kt.Dump.read("logits.npy"), kt.Dump)
assert_type(kt.consistency("forward_kl", "soft", 3), kt.Consistency)
