"""What `make attack` does: see `attack.__main__`."""
