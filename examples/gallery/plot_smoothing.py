"""
Is Laplace's rule better than counting on sparse rows?
======================================================

Rows drawn from Dirichlet laws, from nearly deterministic (alpha = 0.03) to even (alpha = 3). Both
students learn from the same transfer sets, so that the difference of their losses is known far
better than either risk.
"""

# %%
# ``compare`` takes the differences set by set, with their interval.
import matplotlib.pyplot as plt
import pandas as pd

import kt_theory as kt

ALPHAS = [0.03, 0.1, 0.3, 1.0, 3.0]
STUDENTS = ["laplace", "ce_sgl"]
tables = []
for alpha in ALPHAS:
    teacher = kt.teachers.dirichlet(inputs=20, labels=10, alpha=alpha, seed=3)
    how = {"n": 200, "repeats": 400, "keep_losses": True, "progress": False}
    run = kt.simulate(teacher, STUDENTS, **how)
    tables.append(run.compare("ce_sgl").assign(alpha=alpha))
table = pd.concat(tables)
print(table[["alpha", "difference", "low", "high", "better"]].round(4).to_string(index=False))

# %%
# Below the line Laplace's rule is better. It spreads mass over labels that sparse rows never have.
figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
ax.axhline(0.0, color="#666666", linewidth=0.9)
ends = [table["difference"] - table["low"], table["high"] - table["difference"]]
ax.errorbar(table["alpha"], table["difference"], yerr=ends, fmt="o", color="#0072B2", capsize=3)
ax.set(xscale="log", xlabel="alpha", ylabel="risk of laplace less that of ce_sgl")
