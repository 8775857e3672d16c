"""
What is another access level worth?
===================================

The minimax risk of five access levels at equal numbers of queries: ten inputs, ten labels. Where one
curve lies a factor below another, the better answers buy that factor.
"""

# %%
import matplotlib.pyplot as plt

import kt_theory as kt

SIZES = [10, 100, 1000, 10_000]
LEVELS = {
    "hard": "the label",
    "partial": "and its probability",
    "top_k": "and the five most probable",
    "soft": "all probabilities",
}

# %%
# Partial and whole rows are cheap to compute; hard labels take a second for each n.
figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
for level, words in LEVELS.items():
    more = {"k": 5} if level == "top_k" else {}
    limits = [kt.minimax_risk(level, inputs=10, labels=10, n=n, **more) for n in SIZES]
    (line,) = ax.plot(SIZES, [limit.upper for limit in limits], marker="o", label=words)
    lower = [limit.lower for limit in limits]
    ax.fill_between(SIZES, lower, line.get_ydata(), color=line.get_color(), alpha=0.3)
ax.set(xscale="log", yscale="log", xlabel="n", ylabel="minimax risk, TV")
figure.legend(loc="outside upper center", ncols=2, title="one query reveals")

# %%
# How many queries suffice for a distance of 0.05?
for level in ("hard", "partial", "soft"):
    print(level, kt.samples_needed(level, inputs=10, labels=10, tv=0.05).n)
