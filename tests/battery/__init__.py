"""The random words of the engine under TestU01: `make battery`."""
