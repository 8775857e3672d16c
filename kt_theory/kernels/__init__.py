"""Compiled loops: everything jitted, and nothing else."""
