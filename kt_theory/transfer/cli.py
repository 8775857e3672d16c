"""`kt-theory fit`: argument parsing only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from kt_theory.commands import Names, clear_errors


@click.command("fit", epilog="Example: kt-theory fit answers.jsonl --student sel_ptl --out copy.parquet")
@click.argument("file", type=Path)
@click.option(
    "--student",
    help="The student, by name, or top_k(5), top_k_only(5), add_c(0.5), tempered(2), rounded(0.1), quantised(8)."
    "  [default: all that the records state]",
)
@click.option("--out", type=Path, help="Write the copy to this file: .parquet, .csv or .json.")
@click.option("--confidence", type=float, default=0.95, show_default=True, help="Of the certificate.")
@click.option(
    "--format",
    "form",
    help="plain, openai_chat, openai_responses, openai_completions, openai_batch, vllm, sglang, llama_cpp or gemini."
    "  [default: recognised]",
)
@click.option("--label", default="first_token", show_default=True, help="The label of a response: first_token or text.")
@click.option("--input", "field", help="The field that holds the input, such as metadata.question.")
@click.option("--labels", type=Names(), help="All labels that there are.  [default: those that occur]")
@click.option("--strict", is_flag=True, help="Stop at the first malformed line.")
@click.option("--other-sampling", is_flag=True, help="Accept records not sampled at temperature 1, top_p 1.")
@clear_errors
def fit_command(
    file: Path,
    student: str | None,
    out: Path | None,
    confidence: float,
    form: str | None,
    label: str,
    field: str | None,
    labels: list[str] | None,
    strict: bool,
    other_sampling: bool,
) -> None:
    """Learn a copy of a teacher from real records, and say how good it is.

    FILE holds one record a line, or is one JSON array of records: plain JSONL, CSV or Parquet with input, label,
    logprob and top_logprobs, or what a server returned. The certificate is an upper confidence bound on the total
    variation distance, in [0, 1], between the copy and the teacher, averaged over the inputs as they are asked; it
    needs the records alone.
    """
    from kt_theory.output import refuse_unwritable
    from kt_theory.transfer.copying import WRITABLE, fit
    from kt_theory.transfer.sets import TransferSet
    from kt_theory.validation import unit_interval

    unit_interval(confidence, "--confidence")
    if out is not None:
        refuse_unwritable([out], inputs=[file])
        if out.suffix not in WRITABLE:
            raise ValueError(f"--out {out}: must end in {', '.join(WRITABLE)}")
    transfer = TransferSet.read(
        file,
        form,
        label=label,
        input=field,
        labels=labels,
        on_error="raise" if strict else "skip",
        other_sampling=other_sampling,
    )
    copy = fit(transfer, _student(student))
    certificate = copy.certificate(confidence)
    for what in (transfer.account, copy, certificate):
        click.echo(str(what))
    if out is not None:
        click.echo(copy.write(out))


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
