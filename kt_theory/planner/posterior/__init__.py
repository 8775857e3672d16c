"""The posterior of a teacher given records of it: laws of inputs and rows, draws of both, and their
crossings.
"""
