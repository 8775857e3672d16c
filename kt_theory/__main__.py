"""Run the command line by `python -m kt_theory`."""

from kt_theory.cli import main

main(prog_name="kt-theory")
