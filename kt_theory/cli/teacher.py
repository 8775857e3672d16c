"""The teacher that a command is asked for: a table or a text."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kt_theory.cli.standard_input import as_file

if TYPE_CHECKING:
    from kt_theory.teacher import Teacher

_OPTIONS = (
    click.option(
        "--ngram",
        "order",
        type=int,
        help="The teacher is a UTF-8 text: learn its n-gram of this order.",
    ),
    click.option("--tokens", help="With --ngram: what it counts, char or word.  [default: char]"),
    click.option("--logits", is_flag=True, help="The table holds logits, not probabilities."),
    click.option(
        "--normalise", is_flag=True, help="Divide rows that do not sum to 1 by their sum."
    ),
)


def teacher_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `read_teacher`: order, tokens, logits, normalise."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_teacher(
    path: Path, order: int | None, tokens: str | None, logits: bool, normalise: bool
) -> Teacher:
    """Return the teacher of a file, or of standard input.

    Parameters
    ----------
    path : Path
    order : int or None
        The file is a UTF-8 text, the teacher its n-gram of this order; None: a table, as
        `from_table` reads.
    tokens : str or None
        What the n-gram counts.
    logits, normalise : bool
        As for `from_table`.

    Raises
    ------
    ValueError, OSError
        In one line, by the names of the command's options.
    """
    with as_file(path) as file:
        return _teacher_of(file, order, tokens, logits, normalise)


def _teacher_of(
    path: Path, order: int | None, tokens: str | None, logits: bool, normalise: bool
) -> Teacher:
    from kt_theory.sources import require_file
    from kt_theory.teachers.files import TableWarning, from_table
    from kt_theory.teachers.text import ngram

    if order is None:
        if tokens is not None:
            raise ValueError(f"--tokens {tokens} goes with --ngram ORDER: a table has no tokens")
        if path.suffix.lower() in {".txt", ".md"}:
            raise ValueError(
                f"{path} is a text: give --ngram ORDER, such as --ngram 2, to learn a teacher from "
                "it"
            )
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", TableWarning)
            teacher = from_table(path, kind="logits" if logits else None, normalise=normalise)
        for warning in said:
            click.echo(f"{path}: {warning.message}", err=True)
        return teacher
    if logits or normalise:
        raise ValueError(
            "--logits and --normalise are for tables: with --ngram the teacher is learnt from a "
            "text"
        )
    try:
        require_file(path)
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not a UTF-8 text: byte {error.start} cannot be decoded"
        ) from None
    except OSError as error:
        raise OSError(f"{path} cannot be read: {error.strerror or error}") from None
    return ngram(text, order, tokens or "char").named(f"{path.name}, {order}-gram")
