"""
Which teacher is the worst for a student?
=========================================

``kt.worst_teacher`` searches for the teacher of a size on which a student's exact risk is largest, or
on which it loses most against another student.
"""

# %%
# Three inputs, four labels, twenty samples of hard labels.
import kt_theory as kt

worst = kt.worst_teacher("ce_sgl", inputs=3, labels=4, n=20)
print(worst)

# %%
# Its rows, and how probable each input is.
ax = worst.teacher.plot()

# %%
# Where does Laplace's rule lose most against counting? On rows that hold one label.
found = kt.worst_teacher("laplace", against="ce_sgl", inputs=3, labels=4, n=20)
print(f"laplace less ce_sgl: {found.value:.4f}")
ax = found.teacher.plot()
