"""Partial soft labels and top-k: equal sharing of the hidden mass is exactly minimax."""
