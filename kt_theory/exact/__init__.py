"""Exact risks as objects that students carry, and what they are made of: sums over rows and visit
counts.
"""
