"""`kt-theory plan`: argument parsing only."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from kt_theory.cli import tables
from kt_theory.cli.fit import READING, read_records, reading_options
from kt_theory.cli.shared import Levels, Whole, clear_errors, in_options, say_left_out
from kt_theory.cli.teacher import read_teacher, teacher_options


@click.command(
    "plan", epilog="Example: kt-theory plan --inputs 1000 --labels 50 --tv 0.05 --price hard=0.01"
)
@click.option("--inputs", type=Whole(), help="S, the number of inputs.")
@click.option(
    "--labels", help="A, the number of labels; with --answers also their names, as for `fit`."
)
@click.option("--tv", type=float, help="Total variation that the copy may have, in (0, 1).")
@click.option(
    "--acceptance",
    type=float,
    help="In place of --tv: how often tokens of the copy, as the draft of speculative decoding, "
    "shall be accepted, in (0, 1).",
)
@click.option(
    "--confidence", type=float, help="With at least this probability.  [default: in mean]"
)
@click.option(
    "--price",
    "prices",
    multiple=True,
    help="LEVEL=PRICE per query, or LEVEL=PRICE,PRICE per log-probability; "
    '"top_k(5)=0.01" in quotes.',
)
@click.option(
    "--teacher", type=Path, help="Plan for this teacher instead of the worst: a table, or a text."
)
@teacher_options
@click.option(
    "--answers",
    type=Path,
    help="Answers in hand, as for `fit`: n is then how many more are needed.",
)
@reading_options
@click.option(
    "--top",
    type=Whole(),
    multiple=True,
    default=(1, 5),
    show_default=True,
    help="Top-k levels to show.",
)
@click.option(
    "--top-only",
    type=Whole(),
    multiple=True,
    help="Top-k levels without the sampled label to show.",
)
@click.option(
    "--level",
    "levels",
    multiple=True,
    help="Another level to show: 'rounded(0.1)', 'noisy(0.5) top_k(5)', 'logits'.",
)
@click.option(
    "--students",
    type=Levels(),
    help="With --teacher: more students, each at its level: laplace,mypkg.rules:discounted(0.5).",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print answer, table and grounds as JSON, and nothing else.",
)
@click.option("--csv", "csv", type=Path, help="Also write the table to this file.")
@click.option(
    "--plot", type=Path, help="Also draw total variation against cost: .png, .svg or .pdf."
)
@clear_errors
def plan_command(**options: Any) -> None:
    """Print how many queries a copy within a total variation takes at every access level, and what
    they cost.

    `n` queries provably suffice; with fewer than `lower` no student succeeds on every teacher. With
    --teacher both are for that teacher and the level's own student; with --confidence too, `lower`
    is 0: nothing is known from below. With --answers, `n` is how many more queries are needed:
    proved if --inputs and --labels say how many there are, otherwise estimated in mean, which the
    lines below the table say; `low` and `high` hold the number of the teacher itself with 90 %
    probability. Estimates have no --confidence.
    """
    try:
        _plan(**options)
    except ValueError as error:
        raise ValueError(_dashed(str(error))) from error


def _plan(
    prices: tuple[str, ...],
    tv: float | None,
    as_json: bool,
    csv: Path | None,
    plot: Path | None,
    **options: Any,
) -> None:
    from kt_theory import catalogue, figures
    from kt_theory.output import refuse_unwritable, write_table
    from kt_theory.planner import words
    from kt_theory.planner.figure import draw_plan, plan_curves
    from kt_theory.planner.records import copy_in_hand
    from kt_theory.planner.sizes import plan, wanted_tv

    accepted = options["acceptance"]
    if tv is None and accepted is None:
        raise ValueError("--tv is missing: give --tv or --acceptance")
    tv = wanted_tv(tv, accepted)
    options["labels"], options["declared"] = _labels(options["labels"])
    sources = [path for path in (options["teacher"], options["answers"]) if path is not None]
    refuse_unwritable([file for file in (csv, plot) if file is not None], inputs=sources)
    if plot is not None and plot.suffix.lower() not in figures.KINDS:
        raise ValueError(f"--plot {plot}: must end in {', '.join(figures.KINDS)}")
    source = _source(options)
    inputs = getattr(source, "inputs", options["inputs"])
    asked = {
        "confidence": options["confidence"],
        "teacher": source,
        "top": options["top"],
        "top_only": options["top_only"],
        "levels": [catalogue.level(name, inputs) for name in options["levels"]],
        "students": options["students"] or (),
        "prices": _prices(prices, inputs),
    }
    frame = plan(options["inputs"], options["labels"], tv, **asked)
    confidence, further = options["confidence"], options["answers"] is not None
    held = copy_in_hand(asked["teacher"], confidence) if further else None
    answer = words.answer(
        frame, tv, confidence=confidence, further=further, in_hand=held, acceptance=accepted
    )
    grounds = words.rests_on(frame, asked["teacher"], options["inputs"], options["labels"])
    account = getattr(asked["teacher"], "account", None)
    for column in ("certificate", "reason"):
        frame[column] = frame[column].map(_dashed)
    # All is computed before anything is printed or written.
    curves = (
        None
        if plot is None
        else plan_curves(frame, options["inputs"], options["labels"], tv, **asked)
    )
    with figures.style():
        figure = None if curves is None else draw_plan(curves, _title(options), tv)
    if as_json:
        found = words.as_json(frame, tv, confidence, answer, grounds)
        if accepted is not None:
            found["acceptance"] = accepted
        if account is not None:
            found["records"] = account.for_programs()
        click.echo(json.dumps(found, indent=2, allow_nan=False))
    else:
        if account is not None and account.warnings:
            click.echo(tables.folded(map(in_options, account.warnings)))
        click.echo(tables.folded([answer, f"This rests on: {'; '.join(grounds)}."]))
        click.echo(tables.plan(frame))
        columns = (frame[name] for name in ("access", "certificate", "reason"))
        lines = [
            f"{name}: {reason.removeprefix(f'{name}: ') or certificate}"
            for name, certificate, reason in zip(*columns, strict=True)
        ]
        if account is not None:
            lines.append(in_options(str(account)))
        click.echo(tables.folded(lines))
    # Standard output is JSON alone.
    left_out = () if as_json else (("top", "top_k"), ("top_only", "top_k_only"))
    for option, name in left_out:
        say_left_out(option, [f"{name}({k})" for k in options[option]], frame["access"])
    with figures.style():
        if csv is not None:
            click.echo(f"wrote {write_table(frame, csv)}", err=as_json)
        if figure is not None and plot is not None:
            click.echo(f"wrote {figures.write(figure, plot)}", err=as_json)


def _labels(given: str | None) -> tuple[int | None, list[str] | None]:
    """Return the number of labels, or their names."""
    if given is None:
        return None, None
    try:
        number = float(given)
    except ValueError:
        names = [part.strip() for part in given.split(",")]
        if len(names) < 2:
            raise ValueError(
                f"--labels {given}: must be a whole number, or names separated by commas"
            ) from None
        return None, names
    from kt_theory.validation import whole_number

    return whole_number(int(number) if number.is_integer() else number, "--labels", low=1), None


_PYTHON = (
    (re.compile(r"^(tv|acceptance|confidence|inputs|labels) = "), r"--\1 = "),
    (re.compile(r"^prices\['(.+?)'\] = "), r"--price \1 = "),
    (re.compile(r"\b(inputs|labels|teacher|graph)=(?![\w\[.'])"), r"--\1"),
    (re.compile(r"\b(omit|leave) (inputs|labels|confidence|tv)\b"), r"\1 --\2"),
    (re.compile(r"\bkt\.fit has student"), "fit has student"),
)
"""What messages call things in Python, and how the command's own line has it; `shared.in_options`
does the rest."""


def _dashed(text: str) -> str:
    for python, option in _PYTHON:
        text = python.sub(option, text)
    return in_options(text)


def _source(options: dict[str, Any]) -> Any:
    """Return the teacher or the transfer set asked for, None for the worst case."""
    table, answers = options["teacher"], options["answers"]
    reading = [options[name] for name in ("order", "tokens", "logits", "normalise")]
    if table is None and any(reading):
        raise ValueError("--ngram, --tokens, --logits and --normalise go with --teacher FILE")
    if answers is None and any(options[name] for name in (*READING, "declared")):
        given = [f"--{option}" for name, option in READING.items() if options[name]] or [
            "names of --labels"
        ]
        raise ValueError(f"{given[0]}: goes with --answers FILE")
    if table is not None and answers is not None:
        raise ValueError(
            f"--answers {answers} goes without --teacher {table}: plan for the one or the other"
        )
    if answers is not None:
        return read_records(answers, options)
    if table is None:
        return None
    return read_teacher(table, *reading)


def _title(options: dict[str, Any]) -> str:
    if options["answers"] is not None:
        return f"Further queries beside {options['answers'].name}"
    if options["teacher"] is not None:
        return f"Queries for a copy of {options['teacher'].name}"
    return (
        f"Queries for a copy of the worst teacher, S = {options['inputs']}, A = {options['labels']}"
    )


def _prices(given: tuple[str, ...], inputs: int | None) -> dict[str, Any] | None:
    from kt_theory import catalogue

    found: dict[str, Any] = {}
    for text in given:
        written, _, value = text.rpartition("=")
        try:
            numbers = tuple(float(part) for part in value.split(","))
        except ValueError:
            numbers = ()
        if not (written and numbers):
            raise ValueError(
                f"--price {text}: must be LEVEL=PRICE, such as hard=0.01, or LEVEL=PRICE,PRICE"
            )
        name = written
        with suppress(ValueError):  # what names no level is refused with those that there are
            name = catalogue.level(written, inputs).name
        if name in found:
            raise ValueError(f"--price {text}: {name} has a price already")
        found[name] = numbers[0] if len(numbers) == 1 else numbers
    return found or None
