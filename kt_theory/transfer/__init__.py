"""Real transfer sets: records of what a teacher answered, the copy learnt from them and its
certificate.
"""
