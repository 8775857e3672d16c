"""
Can a table of logits be my teacher?
====================================

A CSV file with a row for each input, a column for each label, and an optional column ``rho`` with the
law of the inputs. ``kt-theory risk`` reads the same file.
"""

# %%
# Five inputs, four labels, logits up to a constant in each row.
import tempfile
from pathlib import Path

import kt_theory as kt

file = Path(tempfile.mkdtemp()) / "logits.csv"
file.write_text(
    "input,cat,dog,bird,fish,rho\n"
    "whiskers,4.1,1.0,-0.5,0.2,0.4\n"
    "tail,2.0,2.2,0.1,0.4,0.3\n"
    "wings,-1.0,-1.2,3.9,0.0,0.1\n"
    "fins,-0.5,-0.3,-1.0,4.4,0.1\n"
    "fur,2.5,2.6,-2.0,-3.0,0.1\n",
    encoding="utf-8",
)
teacher = kt.teachers.from_table(file, kind="logits")
print(teacher)

# %%
ax = teacher.plot()

# %%
run = kt.simulate(teacher, n=[10, 30, 100, 300, 1000], repeats=400, seed=0, progress=False)
ax = run.plot()
