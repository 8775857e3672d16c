"""Limits: the paper's theorems and the exact or certified minimax risks; imports no student and no simulation."""
