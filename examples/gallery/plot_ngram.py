"""
Can a text be my teacher?
=========================

The bigram of a text is a teacher: an input for each letter, a label for the letter that follows. Its
rows are far from even, so that students learn it faster than the worst teacher of its size.
"""

# %%
import kt_theory as kt

TEXT = (
    "the rain in spain falls mainly on the plain and the train in the main lane gains again "
    "in hertford hereford and hampshire hurricanes hardly ever happen "
) * 4
teacher = kt.teachers.ngram(TEXT, order=2)
print(teacher)

# %%
# Rows are letters, with their frequency.
ax = teacher.plot()

# %%
# The frequency of letters decides what is seen; the paper's bounds are for the worst teacher.
students = ["ce_sgl", "sel_ptl", "ce_ful"]
sizes = [30, 100, 300, 1000, 3000]
run = kt.simulate(teacher, students, n=sizes, repeats=300, seed=0, progress=False)
ax = kt.plot.risks(run.frame, theory="paper")
