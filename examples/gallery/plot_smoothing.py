"""
Is Laplace's rule better than counting on sparse rows?
======================================================

Rows drawn from Dirichlet laws, from nearly deterministic (alpha = 0.03) to even (alpha = 3). Both
students learn from the same transfer sets, so that the difference of their losses is known far
better than either risk.
"""

# %%
# Every loss is kept, and the differences are taken set by set.
import matplotlib.pyplot as plt
import numpy as np

import kt_theory as kt

ALPHAS = [0.03, 0.1, 0.3, 1.0, 3.0]
means, halves = [], []
for alpha in ALPHAS:
    teacher = kt.teachers.dirichlet(inputs=20, labels=10, alpha=alpha, seed=3)
    run = kt.simulate(
        teacher, ["laplace", "ce_sgl"], n=200, repeats=400, keep_losses=True, progress=False
    )
    difference = run.losses[0, :, 0] - run.losses[0, :, 1]
    means.append(difference.mean())
    halves.append(1.96 * difference.std(ddof=1) / np.sqrt(len(difference)))

# %%
# Below the line Laplace's rule is better. It spreads mass over labels that sparse rows never have.
figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
ax.axhline(0.0, color="#666666", linewidth=0.9)
ax.errorbar(ALPHAS, means, yerr=halves, fmt="o", color="#0072B2", capsize=3)
ax.set(xscale="log", xlabel="alpha", ylabel="risk of laplace less that of ce_sgl")
for alpha, mean, half in zip(ALPHAS, means, halves, strict=True):
    print(f"alpha = {alpha}: {mean:+.4f} +- {half:.4f}")
