"""Policies of storage: what to keep of a teacher's rows on disk, and what a student loses by it."""

from kt_theory.policies.names import policies, policy
from kt_theory.policies.policy import Policy
from kt_theory.policies.run import storage
from kt_theory.policies.table import Storage
from kt_theory.policies.write import store

__all__ = ["Policy", "Storage", "policies", "policy", "storage", "store"]
