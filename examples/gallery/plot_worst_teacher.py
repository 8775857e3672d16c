"""
Which teacher is the worst for a student?
=========================================

``kt.worst_teacher`` searches for the teacher of a size on which a student's exact risk is largest, or
on which it loses most against another student.
"""

# %%
# Four inputs, five labels, forty samples of hard labels.
import kt_theory as kt

worst = kt.worst_teacher("ce_sgl", inputs=4, labels=5, n=40)
print(worst)

# %%
# Its rows, and how probable each input is.
ax = worst.teacher.plot()

# %%
# Where does counting lose most against Laplace's rule? On rows that are even, and the other way
# round on rows that hold one label.
for student, other in (("ce_sgl", "laplace"), ("laplace", "ce_sgl")):
    found = kt.worst_teacher(student, against=other, inputs=4, labels=5, n=40)
    print(f"{student} less {other}: {found.value:.4f}")
    ax = found.teacher.plot()
