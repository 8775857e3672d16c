"""The command line: argument parsing only. Every command is a function of the package.

A module for each command; `tables` prints, `shared` and `teacher` hold what several commands take.
What a command needs beyond the parsing of its arguments loads when it runs.
"""

from kt_theory.cli.main import main as main
