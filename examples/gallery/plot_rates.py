"""
How fast do the four students learn a Zipf teacher?
===================================================

A teacher whose labels follow Zipf's law is copied by the paper's four students, from hard labels to
whole rows of probabilities. The rate is the slope of log risk on log n, with its interval.
"""

# %%
# Fifty inputs of ten labels. All students learn from the same transfer sets.
import kt_theory as kt

teacher = kt.teachers.zipf(inputs=50, labels=10)
sizes = [100, 300, 1000, 3000, 10_000]
run = kt.simulate(teacher, n=sizes, repeats=400, seed=0, progress=False)

# %%
# Bands are 95 % intervals. An arrow at the floor is a risk of 0: no loss was seen, and the bar above
# it ends at the largest risk that this leaves.
ax = run.plot()

# %%
# Hard labels take n^-1/2. ``ce_ptl``, trained on revealed probabilities with the plain cross-entropy,
# does not converge at all.
for student in ("ce_sgl", "ce_ptl"):
    rate = kt.fit_rate(run.frame[run.frame.student == student], n_min=1000).iloc[0]
    print(f"{student}: n^{rate.slope:.3f}, from {rate.slope_low:.3f} to {rate.slope_high:.3f}")
