"""Dumps: what a sequence teacher says of each position of a text, as it lies on disks."""

from kt_theory.dumps.block import Block
from kt_theory.dumps.dump import Dump
from kt_theory.dumps.part import Part

__all__ = ["Block", "Dump", "Part"]
