"""Reading records: how files are laid out, a file for each server's formats, and what is told of an
answer.
"""
