"""Sweeps: a design grid from a file, run in blocks that survive, on one machine or many, as one
tidy table.

Only the standard library, NumPy and the nouns load with it; the engine, Arrow and the rest load
when something runs.
"""

from kt_theory.sweep.overview import Status as Status
from kt_theory.sweep.overview import status as status
from kt_theory.sweep.replay import Replay as Replay
from kt_theory.sweep.replay import replay as replay
from kt_theory.sweep.results import load as load
from kt_theory.sweep.run import Summary as Summary
from kt_theory.sweep.run import run as run
from kt_theory.sweep.shards import Merged as Merged
from kt_theory.sweep.shards import merge_shards as merge_shards
from kt_theory.sweep.spec import Cell as Cell
from kt_theory.sweep.spec import Spec as Spec
