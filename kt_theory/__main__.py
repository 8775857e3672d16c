"""The program `kt-theory`, also run by `python -m kt_theory`."""

import sys

from kt_theory.interrupts import one_line


def main() -> None:
    """Run the command line. An interrupt is one line from here on, while modules load too."""
    one_line()
    for stream in (sys.stdout, sys.stderr):
        # What a terminal cannot show is shown by its number.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    from kt_theory.cli import main as command

    command(prog_name="kt-theory")


if __name__ == "__main__":
    main()
