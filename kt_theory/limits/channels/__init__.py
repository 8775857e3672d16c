"""Distorted answers: what a channel or noise adds to the limits of the level without it."""
