"""Pictures by one call: tables of risks, plans and sweeps, on axes of matplotlib.

Each function returns the axes that it drew on, new ones or those given as `ax`. Nothing is shown
and no setting of matplotlib is changed: save a picture with `ax.figure.savefig("risks.png")`.
`Simulation.plot`, `Limit.plot` and `Teacher.plot` are their kin.
"""

from kt_theory.plot.plan import plan as plan
from kt_theory.plot.risks import risks as risks
from kt_theory.plot.sweep import sweep as sweep
