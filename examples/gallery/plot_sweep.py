"""
How do I run a sweep, extend it, and draw it?
=============================================

A sweep is a grid of teachers, students and n in a file. It survives interrupts; the same call goes on
where it stopped, and runs only what is new after an edit.
"""

# %%
# Two numbers of labels first. In a file this is TOML, for ``kt-theory sweep run rates.toml``.
import tempfile
from pathlib import Path

import kt_theory as kt

folder = Path(tempfile.mkdtemp()) / "rates"
family = {"family": "zipf", "inputs": 20, "labels": [4, 16]}
design = {"name": "rates", "seed": 7, "repeats": 300, "students": ["ce_sgl", "sel_ptl"]}
design["n"] = [100, 1000, 10_000]
spec = kt.sweep.Spec(**design, teachers=[family])
print(kt.sweep.run(spec, folder, progress=False).cells)

# %%
# A third one is added: the eight cells that are there already are kept.
wider = kt.sweep.Spec(**design, teachers=[{**family, "labels": [4, 16, 64]}])
done = kt.sweep.run(wider, folder, progress=False)
print(f"{done.blocks} blocks run now, {done.cells} in all")

# %%
# A panel for each number of labels, all with the same ranges; on the command line
# ``kt-theory sweep plot rates --panel labels``.
axes = kt.plot.sweep(folder, panel="labels")

# %%
# Any column can be the axis: how the risk grows with the number of labels.
table = kt.sweep.load(folder)
ax = kt.plot.sweep(table[table.student == "ce_sgl"], x="labels", hue="n")
