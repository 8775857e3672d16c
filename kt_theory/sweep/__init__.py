"""Sweeps: a design grid from a file, run in blocks that survive, on one machine or many, as one tidy table.

Only the standard library, NumPy and the nouns load with it; the engine, Arrow and the rest load when something runs.
"""

from kt_theory.sweep.results import load as load
from kt_theory.sweep.run import Summary as Summary
from kt_theory.sweep.run import run as run
from kt_theory.sweep.spec import Cell as Cell
from kt_theory.sweep.spec import Spec as Spec
