"""What theory says without looking at any student: the paper's bounds and the minimax risks."""

from kt_theory.limits import groups
from kt_theory.limits import paper as bounds

__all__ = ["bounds", "groups"]
