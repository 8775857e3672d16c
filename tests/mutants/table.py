"""All mutants."""

from __future__ import annotations

from mutants import (
    access,
    dumps,
    exact,
    generations,
    kernels,
    layouts,
    limits,
    numeric,
    objectives,
    planner,
    policies,
    sequences,
    students,
    sweep,
)
from mutants import transfer as records

ROOMS = (
    kernels,
    exact,
    limits,
    planner,
    records,
    sweep,
    students,
    access,
    generations,
    numeric,
    objectives,
    dumps,
    layouts,
    sequences,
    policies,
)

MUTANTS = {mutant.name: mutant for room in ROOMS for mutant in room.MUTANTS}
"""By name."""
