"""`kt-theory fit`: argument parsing only."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click

from kt_theory.commands import clear_errors, in_options
from kt_theory.transfer.options import read_records, reading_options


@click.command("fit", epilog="Example: kt-theory fit answers.jsonl --student sel_ptl --out copy.parquet")
@click.argument("file", type=Path)
@click.option(
    "--student",
    help="The student, by name, or top_k(5), top_k_only(5), add_c(0.5), tempered(2), rounded(0.1), quantised(8)."
    "  [default: all that the records state, or ce_sgl]",
)
@click.option("--out", type=Path, help="Write the copy to this file: .parquet, .csv or .json.")
@click.option("--confidence", type=float, default=0.95, show_default=True, help="Of the certificate.")
@click.option("--json", "as_json", is_flag=True, help="Print the same for programs, as one JSON object.")
@reading_options
@clear_errors
def fit_command(
    file: Path, student: str | None, out: Path | None, confidence: float, as_json: bool, **options: Any
) -> None:
    """Learn a copy of a teacher from real records, and say how good it is.

    FILE holds one record a line, or JSON, CSV or Parquet with records: what servers return, or columns such as input,
    label and logprob. The certificate is an upper confidence bound on the total variation distance, in [0, 1], between
    the copy and the teacher, averaged over the inputs as they are asked; it needs the records alone, and names what it
    takes for granted.
    """
    from kt_theory.output import refuse_unwritable
    from kt_theory.transfer import words
    from kt_theory.transfer.copying import WRITABLE, fit
    from kt_theory.validation import unit_interval

    unit_interval(confidence, "--confidence")
    if out is not None:
        refuse_unwritable([out], inputs=[file])
        if out.suffix not in WRITABLE:
            raise ValueError(f"--out {out}: must end in {', '.join(WRITABLE)}")
    transfer = read_records(file, options)
    copy = fit(transfer, _student(student))
    certificate = copy.certificate(confidence)
    if as_json:
        click.echo(json.dumps(words.for_programs(copy, certificate), ensure_ascii=False))
    else:
        lines = [*transfer.account.warnings, *words.answer(copy, certificate), "", *map(str, (transfer.account, copy))]
        click.echo(in_options("\n".join([*lines, str(certificate)])))
    if out is not None:
        click.echo(copy.write(out), err=as_json)


def _student(name: str | None) -> Any:
    from kt_theory import students

    words = re.fullmatch(r"(\w+)\(([\d.]+)\)", name or "")
    if words is None or words[1] not in _WITH_NUMBER:
        return name
    kind, number = words[1], float(words[2]) if "." in words[2] else int(words[2])
    if kind == "top_k_only":
        return students.top_k(number, sampled=False)  # type: ignore[arg-type]
    return getattr(students, kind)(number)


_WITH_NUMBER = ("top_k", "top_k_only", "add_c", "tempered", "rounded", "quantised")
