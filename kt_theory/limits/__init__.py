"""What theory says without looking at any student: the paper's bounds and the minimax risks."""

from kt_theory.limits import paper as bounds, groups

__all__ = ["bounds", "groups"]
