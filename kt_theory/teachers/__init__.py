"""Where teachers come from: the paper's instances, parametric families, texts, files and fitted
classifiers.
"""

from kt_theory.teachers.families import deterministic, dirichlet, log_linear, uniform, zipf
from kt_theory.teachers.files import from_classifier, from_table
from kt_theory.teachers.paper import (
    NotDefined,
    instance0,
    instance1,
    instance2,
    instance3,
    smallest_n,
)
from kt_theory.teachers.text import ngram

__all__ = [
    "NotDefined",
    "deterministic",
    "dirichlet",
    "from_classifier",
    "from_table",
    "instance0",
    "instance1",
    "instance2",
    "instance3",
    "log_linear",
    "ngram",
    "smallest_n",
    "uniform",
    "zipf",
]
