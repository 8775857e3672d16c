"""All compiled code: random streams, count sampling, row rules, losses, the repeat loop.

Imports numpy and numba alone (and `machine`, for where machine code is kept); what only reads
results (`statistics`) does without numba. Kernels trust their input: whoever calls them has
validated it. Names: S inputs, A labels, s an input, a a label.
"""
