"""Limits of knowledge transfer: what theorems say, without looking at any student's code or simulation."""
