"""What all commands share: errors in one line, numbers and names from the command line."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from traceback import walk_tb
from typing import Any

import click

from kt_theory import interrupts, machine
from kt_theory.validation import shown


class Refusal(click.ClickException):
    """Bad input: one line on stderr, exit status 2."""

    exit_code = 2


def clear_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Turn errors that name what is wrong into one line; anything else is a defect and keeps its
    traceback."""

    @wraps(command)
    def run(*args: Any, **options: Any) -> None:
        with machine.ends_interrupt() as seen:
            try:
                command(*args, **options)
            except (Exception, KeyboardInterrupt) as error:
                if seen or isinstance(error, KeyboardInterrupt):
                    click.echo(interrupts.LINE, err=True)
                    sys.exit(128 + seen[-1] if seen else interrupts.STATUS)
                if isinstance(error, OSError) and machine.nobody_reads(error):
                    machine.close_output()
                    return
                message = _line_of(error)
                if message is None:
                    raise
                raise Refusal(_in_a_line(in_options(message))) from error

    return run


def _line_of(error: BaseException) -> str | None:
    """What is wrong in a line, None for a defect."""
    match error:
        case OSError() if error.filename is not None:
            return f"{error.filename}: {error.strerror}"
        case OSError() if reason := machine.no_room(error):
            cached = _cached_by_numba(error)
            return f"{cached}: {reason}, {_CACHE}" if cached else f"{reason} {_UNNAMED}"
        case ValueError() | OSError():
            return str(error)
        case MemoryError():
            return f"there is not enough memory: {error}".removesuffix(": ")
        case RecursionError():
            return "the input is nested too deeply"
    return None


def _in_a_line(message: str) -> str:
    """A message in a line, without most of a name that a file made too long to be read, and without
    characters that a terminal obeys.
    """
    line, half = " ".join(message.split()), _LONGEST // 2
    if len(line) > _LONGEST:
        line = f"{line[:half]} ... {line[-half:]}"
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)


_LONGEST = 2000
"""Characters of a message."""

_CACHE = "where Numba keeps machine code (NUMBA_CACHE_DIR is another folder)"
_UNNAMED = f"where the output goes, or {_CACHE}"
"""What writes files without saying which."""


def _cached_by_numba(error: OSError) -> str:
    """The file of machine code that Numba was writing, which its error does not name."""
    for frame, _ in walk_tb(error.__traceback__):
        if frame.f_globals.get("__name__") == "numba.core.caching" and "filepath" in frame.f_locals:
            return str(frame.f_locals["filepath"])
    return ""


def in_options(text: str) -> str:
    """Return a message with the options of a command in place of what Python calls them."""
    for python, option in _OPTIONS:
        text = text.replace(python, option)
    text = _LISTS.sub(lambda found: f"--{found[1]} {_quoted(re.sub(_MARKS, '', found[2]))}", text)
    text = _VALUES.sub(lambda found: f"--{found[1].replace('_', '-')} {_quoted(found[2])}", text)
    return _OPEN.sub(lambda found: f"--{found[1].replace('_', '-')} ...", text)


def _quoted(value: str) -> str:
    return f'"{value}"' if re.search(r"[^\w.,:/-]", value) else value


_OPTIONS = (
    ("kind='logits'", "--logits"),
    ("normalise=True", "--normalise"),
    ("as_sampled=True", "--as-sampled"),
    ("student=kt.students.top_k(k, sampled=False)", '--student "top_k_only(k)"'),
    ("student=kt.students.rounded(step)", '--student "rounded(step)"'),
)
"""What errors call things in Python, and which option of a command that is."""

_VALUES = re.compile(
    r"\b(student|other|fold|label|model|input|logprob|format|design|panel|theory)"
    r"=['\"]([^'\"]*)['\"]"
)
_LISTS, _MARKS = re.compile(r"\b(panel)=\[([^\]]*)\]"), r"['\" ]"
_OPEN = re.compile(
    r"\b(label_map|requests|input|label|logprob|model|labels|weights|strata)="
    r"(?:\.\.\.|\[\.\.\.\])"
)


def say_left_out(option: str, asked: Iterable[str], shown: Iterable[str]) -> None:
    """Print which levels that `option` asks for have no row: one answer of theirs is as good as the
    whole row."""
    if (
        click.get_current_context().get_parameter_source(option)
        is click.core.ParameterSource.COMMANDLINE
    ):
        for name in sorted(set(asked) - set(shown)):
            click.echo(
                f"{name}: left out, as an answer has all labels or all but one of its row; see soft"
            )


class Whole(click.ParamType):
    """One whole number: 1000 or 1e3."""

    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number, or refuse what is none."""
        if isinstance(value, int):
            return value
        named = param.name if param is not None else None
        try:
            return _whole(str(value), named or "N")
        except ValueError as error:
            raise Refusal(str(error)) from None


class Numbers(click.ParamType):
    """Whole numbers separated by commas: 100,1000,1e4."""

    name = "N,N,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[int]:
        """Return the numbers, or refuse what is none."""
        if isinstance(value, list):
            return value
        try:
            return [_whole(part.strip(), "n") for part in str(value).rstrip(",").split(",")]
        except ValueError as error:
            raise Refusal(str(error)) from None


class Levels(click.ParamType):
    """Names of levels or students separated by commas: "ce_sgl,rounded(0.5, top_k(5))"."""

    name = "NAME,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[str]:
        """Return the names."""
        from kt_theory.catalogue.grammar import split

        return value if isinstance(value, list) else split(str(value))


class Names(click.ParamType):
    """Names separated by commas."""

    name = "NAME,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[str]:
        """Return the names."""
        return value if isinstance(value, list) else _names(str(value))


def _names(text: str) -> list[str]:
    """The parts of a text between its commas, but for those that a closing bracket follows before
    any other: they belong to a name, "ce_sgl,hinton(0.5, 2)".
    """
    found: list[str] = []
    end, inside = len(text), False
    for place in range(len(text) - 1, -1, -1):
        if text[place] in "()":
            inside = text[place] == ")"
        elif text[place] == "," and not inside:
            found.append(text[place + 1 : end].strip())
            end = place
    return [text[:end].strip(), *reversed(found)]


def _whole(text: str, name: str) -> int:
    try:
        number = int(text) if text.lstrip("+-").isdigit() else float(text)
    except ValueError:
        example = (
            "whole numbers separated by commas, such as 100,1000,1e4"
            if name == "n"
            else "a whole number"
        )
        raise ValueError(f"{name} = {shown(text)}: must be {example}") from None
    from kt_theory.validation import whole_number

    return whole_number(number, name, low=-(2**53))
