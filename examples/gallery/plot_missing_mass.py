"""
How much of the inputs will n queries miss?
===========================================

The risk of a student of whole rows is the mass of the inputs that nobody asked about. Its law is
known exactly; the paper's bound in high probability is far above.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

import kt_theory as kt

teacher = kt.teachers.uniform(inputs=100, labels=5)
law = kt.missing_mass_law(teacher, n=200)
drawn = kt.draw_counts(teacher, n=200, repeats=2000, seed=0)
missed = (drawn.sum(axis=2) == 0) @ teacher.rho

# %%
# The exact law, two thousand transfer sets, and two bounds that hold with probability 95 %.
x = np.linspace(0.0, 0.35, 351)
bounds = kt.missing_mass_bounds(inputs=100, n=200, delta=0.05)
figure, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
ax.ecdf(missed, color="#E69F00", label="simulated")
ax.step(x, law.cdf(x), color="#0072B2", where="post", label="exact law")
ax.axvline(law.quantile(0.95), color="#0072B2", linestyle=":", label="95 % quantile")
ax.axvline(bounds.sharper, color="#009E73", linestyle="--", label="Chernoff bound, 95 %")
ax.set(xlabel="mass of the inputs without a query", ylabel="probability", xlim=(0.0, 0.35))
figure.legend(loc="outside upper center", ncols=2)
print(f"95 % quantile {law.quantile(0.95):.3f}, bounds {bounds}")
