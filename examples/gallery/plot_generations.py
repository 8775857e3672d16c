"""
What is left of a teacher after ten generations of students?
============================================================

Each generation learns from labels of the one before (self-distillation). With fresh sets of labels
the rows lose their diversity; where every generation learns from all labels so far, they keep most
of it.
"""

# %%
import matplotlib.pyplot as plt

import kt_theory as kt

truth = kt.teachers.dirichlet(inputs=10, labels=5, alpha=1.0, seed=0)
stages = [("ce_sgl", 400)] * 10
how = {"repeats": 100, "seed": 0, "progress": False}
lines = {
    "fresh labels": kt.generations.lineage(truth, stages, **how),
    "all labels so far": kt.generations.lineage(truth, stages, data="accumulate", **how),
}

# %%
# Diversity: the probability that two labels of a row differ. Bands are 95 % intervals.
figure, axes = plt.subplots(1, 2, figsize=(8.0, 3.6), layout="constrained")
for (words, line), colour in zip(lines.items(), ("#0072B2", "#E69F00"), strict=True):
    for ax, column in zip(axes, ("heterozygosity", "to_truth"), strict=True):
        ax.plot(line["generation"], line[column], "o-", color=colour, markersize=4, label=words)
        ends = line[f"{column}_low"], line[f"{column}_high"]
        ax.fill_between(line["generation"], *ends, color=colour, alpha=0.25)
axes[0].set(xlabel="generation", ylabel="diversity", ylim=(0.0, None))
axes[1].set(xlabel="generation", ylabel="distance to the truth, TV", ylim=(0.0, None))
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)

# %%
# The exact diversity of the first line, without simulation.
print(kt.generations.heterozygosity(truth, "ce_sgl", n=400, generations=10).round(4))
