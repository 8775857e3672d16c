"""Figures and tables that one command regenerates: the paper's, and those of the exact limits
beyond it.
"""
