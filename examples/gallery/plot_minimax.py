"""
What is the least risk that any student can guarantee?
======================================================

One input, ten labels. The minimax risk is the least worst-case risk of any student: what an access
level is worth before anybody has looked at the teacher.
"""

# %%
# A ``Limit`` knows the question that it answers, and draws itself over n. The band lies between what
# is proved from below and from above; the circle is the n that was asked for.
import kt_theory as kt

hard = kt.minimax_risk("hard", inputs=1, labels=10, n=100)
print(hard)
ax = hard.plot(n=[1, 10, 100, 1000])

# %%
# With the probability of the sampled label it falls as 1/n in place of n^-1/2. Ten inputs take ten
# times as long; with whole rows the value is exact.
ax = kt.minimax_risk("partial", inputs=1, labels=10, n=100).plot(n=[10, 30, 100, 300, 1000])

# %%
ax = kt.minimax_risk("soft", inputs=10, labels=10, n=100).plot(n=[10, 30, 100, 300, 1000])
