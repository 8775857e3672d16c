"""
What shall I keep of a teacher's logits?
========================================

Whole rows of a language model's probabilities do not fit on a disk. Each policy keeps some of them;
the picture shows what a student loses by it, against the bytes it takes.
"""

# %%
# A teacher of forty contexts and two thousand tokens with Zipf's law stands in for a dump.
import kt_theory as kt

teacher = kt.teachers.zipf(inputs=40, labels=2000, exponent=1.3, seed=0)
found = kt.storage(teacher, tv=0.05)
print(found)

# %%
# The dashed line joins the policies that no other undercuts in bytes and in loss both.
ax = found.plot()
