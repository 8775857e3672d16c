"""Queries that return the most probable labels whatever was sampled, so that a floor remains."""
