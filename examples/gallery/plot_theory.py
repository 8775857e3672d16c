"""
Where does my risk curve lie between the bounds?
================================================

Simulated risks beside what theory says: the paper's bounds for the worst teacher of this size, and
the minimax risk between them. No student does better than the minimax risk on every teacher, but a
teacher may be easier than the worst.
"""

# %%
import kt_theory as kt

teacher = kt.teachers.zipf(inputs=20, labels=10)
sizes = [30, 100, 300, 1000, 3000]
students = ["sel_ptl", "ce_ful"]
run = kt.simulate(teacher, students, n=sizes, repeats=200, seed=0, progress=False)

# %%
# ``theory`` names what is drawn beside the curves: "paper", "minimax", "exact", or several.
ax = kt.plot.risks(run.frame, theory=["paper", "minimax"])

# %%
# Exact risks need no simulation. On this teacher the risk falls exponentially once every label of
# every input has been seen; on the worst teacher it takes n^-1.
for student in students:
    print(student, kt.exact_risk(teacher, student, n=sizes))
