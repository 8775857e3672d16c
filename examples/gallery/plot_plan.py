"""
Which access level is the cheapest?
===================================

A distance of 0.05 from any teacher of 100 inputs and 25 labels. Each level has a price for a query;
whole rows cost fifty times as much as a label.
"""

# %%
import kt_theory as kt

prices = {"hard": 1.0, "partial": 1.2, "top_k(1)": 1.5, "top_k(5)": 3.0, "soft": 50.0}
plan = kt.plan(inputs=100, labels=25, tv=0.05, prices=prices)
print(plan[["access", "n", "cost", "cheapest"]].to_string(index=False))

# %%
# Points suffice on every teacher. A bar reaches down to where no student can succeed; the cheapest
# level is bold.
ax = kt.plot.plan(plan)

# %%
# Without prices the axis counts queries. Five labels without the sampled one cannot reach it at all.
free = kt.plan(inputs=100, labels=25, tv=0.05, top=(5,), top_only=(5,))
ax = kt.plot.plan(free)
