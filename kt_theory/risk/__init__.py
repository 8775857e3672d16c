"""Risks of the students: exact sums and laws."""
