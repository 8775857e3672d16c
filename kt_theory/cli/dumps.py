"""`kt-theory fit --context`: a copy of a sequence teacher, from its dump; argument parsing only."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kt_theory.cli.tables import folded
from kt_theory.validation import shown, whole_number

if TYPE_CHECKING:
    from kt_theory.sequences import SequenceCopy

_OPTIONS = (
    click.option(
        "--context",
        type=int,
        help="FILE is a dump of a sequence teacher: the copy sees so many of the last tokens.",
    ),
    click.option(
        "--kind",
        help="With --context: what the values of the dump are, such as logprobs, logits or "
        "probabilities.  [default: recognised]",
    ),
    click.option(
        "--aligned",
        help="With --context: whether row i of a text is of its token i + 1 (next) or i (same)."
        "  [default: as the layout has it]",
    ),
)

_OF_DUMPS = {"file", "student", "confidence", "as_json", "form", "declared", "context"}
"""The parameters that a dump has too."""


def dump_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options by which a dump is read."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def refuse_for_a_dump() -> None:
    """Raise an error for an option that is for records alone."""
    for parameter in _given():
        if parameter.name not in {*_OF_DUMPS, "kind", "aligned"}:
            raise ValueError(f"{parameter.opts[0]} is for records, --context for a dump: omit one")


def refuse_without_context() -> None:
    """Raise an error for an option that is for dumps alone."""
    for parameter in _given():
        if parameter.name in ("kind", "aligned"):
            raise ValueError(f"{parameter.opts[0]} is for a dump: give --context too")


def _given() -> list[click.Parameter]:
    context = click.get_current_context()
    return [
        parameter
        for parameter in context.command.params
        if context.get_parameter_source(str(parameter.name))
        is click.core.ParameterSource.COMMANDLINE
    ]


def copy_of_dump(
    file: Path,
    student: str | None,
    context: int,
    read_as: tuple[str | None, str | None],
    options: dict[str, Any],
) -> SequenceCopy:
    """Return the copy that a student learns from the dump of a file, a folder or a pattern."""
    from kt_theory.dumps import Dump
    from kt_theory.sequences import fit_dump

    kind, aligned = read_as
    dump = Dump.read(
        file,
        options["form"],
        labels=_number_of_labels(options["declared"]),
        context=whole_number(context, "--context", low=0, high=64),
        kind=kind,
        aligned=aligned,
    )
    return fit_dump(dump, student, context)


def said_of_copy(copy: SequenceCopy, confidence: float, as_json: bool) -> str:
    """Return what is printed of a copy: in words, or for programs."""
    from kt_theory.sequences import words

    if as_json:
        found = words.for_programs(copy, confidence)
        return json.dumps(found, ensure_ascii=sys.stdout.encoding.lower() != "utf-8")
    return folded(["\n".join(words.answer(copy, confidence))])


def _number_of_labels(declared: list[str] | None) -> int | None:
    if declared is None:
        return None
    if len(declared) == 1 and declared[0].isdecimal():
        return int(declared[0])
    raise ValueError(
        f"--labels = {shown(','.join(declared))}: of a dump it is how many labels the teacher has"
    )
