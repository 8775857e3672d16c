"""
What do rounded log-probabilities cost?
=======================================

Servers round. Log-probabilities in steps of delta leave a floor that no number of queries removes;
with exact ones the risk would go on falling.
"""

# %%
# The same teacher through four channels.
import kt_theory as kt

teacher = kt.teachers.dirichlet(inputs=20, labels=6, alpha=0.5, seed=0)
STEPS = [1.0, 0.1, 0.01]
students = ["ce_ful", *(kt.students.rounded(step) for step in STEPS)]
sizes = [10, 30, 100, 300, 1000]
run = kt.simulate(teacher, students, n=sizes, repeats=300, seed=0, progress=False)
ax = run.plot()

# %%
# The floors, of this teacher and of the worst one: tanh(delta/4).
for step in STEPS:
    own = kt.exact_risk(teacher, kt.students.rounded(step), n=10**9)
    worst = kt.minimax_risk(kt.access.rounded(step), inputs=20, labels=6, n=10**9)
    print(f"delta = {step}: {own:.5f} here, at most {worst.upper:.5f}")
