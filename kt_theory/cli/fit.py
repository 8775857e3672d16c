"""`kt-theory fit`, and the options by which commands read records: argument parsing only."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kt_theory.cli.dumps import (
    copy_of_dump,
    dump_options,
    refuse_for_a_dump,
    refuse_without_context,
    said_of_copy,
)
from kt_theory.cli.shared import Names, clear_errors, in_options
from kt_theory.cli.standard_input import as_file
from kt_theory.cli.tables import folded
from kt_theory.validation import unit_interval

if TYPE_CHECKING:
    from kt_theory.students import Student
    from kt_theory.transfer.sets import TransferSet
    from kt_theory.transfer.until import Stopped

READING = {
    "form": "format",
    "label": "label",
    "field": "input",
    "logprob": "logprob",
    "other": "other",
    "label_map": "label-map",
    "fold": "fold",
    "model": "model",
    "requests": "requests",
    "strict": "strict",
    "as_sampled": "as-sampled",
}
"""What the options of reading are called where a command takes them, and on its line; `declared`,
--labels, beside."""

CHOICE = ("design", "weights", "strata")
"""The options that say how inputs were chosen, of commands that have them."""

_OPTIONS = (
    click.option(
        "--format",
        "form",
        help="Of the records, such as plain, openai_chat or ollama: see docs/answers.md."
        "  [default: recognised]",
    ),
    click.option(
        "--label",
        help="The label: first_token or text of a response, or a column.  [default: first_token]",
    ),
    click.option(
        "--input",
        "field",
        help="The field or column that holds the input, such as metadata.question.",
    ),
    click.option("--logprob", help="The column that holds the label's log-probability."),
    click.option(
        "--other",
        help="Labels that are not declared: keep them, pool them in <other>, condition on the "
        "declared ones, or none: there are none.  [default: keep]",
    ),
    click.option(
        "--label-map",
        type=Path,
        help="A file, .json or .csv, of variants and the labels they count as.",
    ),
    click.option(
        "--fold", help="strip,casefold: labels that differ by spaces around, or by case, are one."
    ),
    click.option("--model", help="Of a file with the answers of several models, the one to read."),
    click.option(
        "--requests", type=Path, help="The requests of a Batch, joined to its answers by custom_id."
    ),
    click.option("--strict", is_flag=True, help="A line that gives no record is an error."),
    click.option(
        "--as-sampled",
        is_flag=True,
        help="Accept labels drawn at another temperature, truncated, biased, guided.",
    ),
)


def reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `read_records` but `declared`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_records(path: Path, options: dict[str, Any]) -> TransferSet:
    """Return the transfer set of a file, or of standard input, read as the options say."""
    from kt_theory.transfer.sets import TransferSet

    with as_file(path) as file:
        return TransferSet.read(file, **_reading(options))


def _reading(options: dict[str, Any]) -> dict[str, Any]:
    """What the options of reading are for `TransferSet.read`."""
    return {
        "format": options["form"],
        "label": options["label"] or "first_token",
        "input": options["field"],
        "logprob": options["logprob"],
        "labels": options["declared"],
        "other": options["other"] or "keep",
        "label_map": options["label_map"],
        "fold": options["fold"] or (),
        "model": options["model"],
        "requests": options["requests"],
        "on_error": "raise" if options["strict"] else "skip",
        "as_sampled": options["as_sampled"],
        **{name: options[name] for name in CHOICE if options.get(name) is not None},
    }


@click.command(
    "fit", epilog="Example: kt-theory fit answers.jsonl --student sel_ptl --out copy.parquet"
)
@click.argument("file", type=Path)
@click.option(
    "--student",
    help="The student, such as sel_ptl, top_k(5), rounded(0.1) or 'masked(ce_sgl, mask.npy)'."
    "  [default: all that the records state, or ce_sgl]",
)
@click.option("--out", type=Path, help="Write the copy to this file: .parquet, .csv or .json.")
@click.option(
    "--confidence", type=float, default=0.95, show_default=True, help="Of the certificate."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the same for programs, as one JSON object."
)
@click.option(
    "--labels",
    "declared",
    type=Names(),
    help="The labels that are asked about.  [default: all that occur]",
)
@click.option(
    "--design",
    default="drawn",
    show_default=True,
    help="How inputs were chosen: drawn, a fixed list, or strata.",
)
@click.option(
    "--weights",
    type=Path,
    help="A file, .json or .csv, of inputs and their weights (--design fixed), or of strata and "
    "theirs.  [default: equal]",
)
@click.option(
    "--strata", type=Path, help="A file, .json or .csv, of inputs and the strata they are of."
)
@click.option(
    "--until",
    type=float,
    metavar="TV",
    help="Read a record a line as they come, and stop as soon as that total variation distance is "
    "certified.",
)
@dump_options
@reading_options
@clear_errors
def fit_command(
    file: Path,
    student: str | None,
    out: Path | None,
    confidence: float,
    as_json: bool,
    until: float | None,
    context: int | None,
    kind: str | None,
    aligned: str | None,
    **options: Any,
) -> None:
    """Learn a copy of a teacher from real records, and say how good it is.

    FILE holds one record a line, or JSON, CSV or Parquet with records: what servers return, or
    columns such as input, label and logprob; - is standard input. The certificate is an upper
    confidence bound on the total variation distance, in [0, 1], between the copy and the teacher,
    averaged over the inputs as they are asked, or as --design says; it needs the records alone, and
    names what it takes for granted.

    With --context H, FILE is a dump of a sequence teacher's log-probabilities: a file, a folder or
    a pattern (docs/dumps.md). The copy sees the last H tokens, learns from four texts of five, and
    is measured on the others; --labels is how many the teacher has.
    """
    from kt_theory.output import refuse_unwritable
    from kt_theory.transfer import words
    from kt_theory.transfer.fit import WRITABLE, fit

    unit_interval(confidence, "--confidence")
    if context is not None:
        refuse_for_a_dump()
        copied = copy_of_dump(file, student, context, (kind, aligned), options)
        click.echo(said_of_copy(copied, confidence, as_json))
        return
    refuse_without_context()
    if out is not None:
        refuse_unwritable([out], inputs=[file])
        if out.suffix not in WRITABLE:
            raise ValueError(f"--out {out}: must end in {', '.join(WRITABLE)}")
    if until is None:
        transfer = read_records(file, options)
        copy = fit(transfer, _student(student, len(transfer.input_names)))
        certificate = copy.certificate(confidence)
    else:
        stopped = _until(file, until, confidence, _student(student, None), options)
        copy, certificate = stopped.copy, stopped.certificate
        transfer = copy.transfer
    if as_json:
        found = words.for_programs(copy, certificate)
        if until is not None:
            found["until"] = stopped.for_programs()
        for name in ("warnings", "notes"):
            found["records"][name] = [in_options(text) for text in found["records"][name]]
        click.echo(json.dumps(found, ensure_ascii=sys.stdout.encoding.lower() != "utf-8"))
    else:
        lines = [
            *([stopped.summary] if until is not None else []),
            *transfer.account.warnings,
            *words.answer(copy, certificate),
            "",
            *map(str, (transfer.account, copy)),
        ]
        click.echo(folded([in_options("\n".join([*lines, str(certificate)]))]))
    if out is not None:
        click.echo(copy.write(out), err=as_json)


def _until(
    path: Path, tv: float, confidence: float, student: Student | None, options: dict[str, Any]
) -> Stopped:
    """Read the lines of a file, or of standard input as they come, until they are certified."""
    from kt_theory.transfer.until import fit_until

    lines = sys.stdin.buffer if str(path) == "-" else path
    unit_interval(tv, "--until")
    return fit_until(lines, tv, confidence=confidence, student=student, **_reading(options))


def _student(name: str | None, inputs: int | None) -> Student | None:
    if name is None:
        return None
    from kt_theory import catalogue

    return catalogue.student(name, inputs)
