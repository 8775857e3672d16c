"""The words of a command, read as it reads them, without what it then does."""

from __future__ import annotations

from typing import Any

import click


def read(command: click.Command, words: list[str]) -> dict[str, Any]:
    """Return the options and arguments that the words give to a command, or to one of a group.

    Raises
    ------
    click.UsageError
        If it does not know them.
    """
    while isinstance(command, click.Group):
        _, found, words = command.resolve_command(click.Context(command), words)
        command = found or command
    return command.make_context(command.name, words).params
