"""Risks of students on a given teacher: exactly, and by Monte Carlo."""
