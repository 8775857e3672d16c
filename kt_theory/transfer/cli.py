"""`kt-theory fit`: argument parsing only."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def fit_command() -> Any:
    """Return the click command `fit`."""
    import click

    from kt_theory.transfer.files import READERS
    from kt_theory.transfer.sets import LABELS

    class Refusal(click.ClickException):
        """Bad input: one line on stderr, exit status 2."""

        exit_code = 2

    @click.command(epilog="Example: kt-theory fit answers.jsonl --student sel_ptl --out copy.parquet")
    @click.argument("file", type=Path)
    @click.option("--student", help="The student, by name, or top_k(5).  [default: all that the records state]")
    @click.option("--out", type=Path, help="Write the copy to this file: .parquet, .csv or .json.")
    @click.option("--confidence", type=float, default=0.95, show_default=True, help="Of the certificate.")
    @click.option("--format", "form", help=f"One of {', '.join(READERS)}.  [default: recognised]")
    @click.option("--label", default=LABELS[0], show_default=True, help="The label of a response: first_token or text.")
    @click.option("--input", "field", help="The field that holds the input, such as metadata.question.")
    @click.option("--labels", help="All labels that there are, separated by commas.  [default: those that occur]")
    @click.option("--strict", is_flag=True, help="Stop at the first malformed line.")
    @click.option("--other-sampling", is_flag=True, help="Accept records not sampled at temperature 1, top_p 1.")
    def command(**options: Any) -> None:
        """Learn a copy of a teacher from real records, and say how good it is.

        FILE holds one record a line: plain JSONL, CSV or Parquet with input, label, logprob and top_logprobs, or what a
        server returned. The certificate is an upper confidence bound on the total variation distance, in [0, 1],
        between the copy and the teacher, averaged over the inputs as they are asked; it needs the records alone.
        """
        try:
            _run(click.echo, **options)
        except (ValueError, OSError) as error:
            raise Refusal(" ".join(str(error).split())) from error

    command.name = "fit"
    return command


def _run(
    echo: Any,
    file: Path,
    student: str | None,
    out: Path | None,
    confidence: float,
    form: str | None,
    label: str,
    field: str | None,
    labels: str | None,
    strict: bool,
    other_sampling: bool,
) -> None:
    from kt_theory.transfer.copying import WRITABLE, fit
    from kt_theory.transfer.sets import TransferSet
    from kt_theory.validation import unit_interval

    unit_interval(confidence, "--confidence")
    if out is not None:
        from kt_theory.output import refuse_unwritable

        refuse_unwritable([out], inputs=[file])
        if out.suffix not in WRITABLE:
            raise ValueError(f"--out {out}: must end in {', '.join(WRITABLE)}")
    transfer = TransferSet.read(
        file,
        form,
        label=label,
        input=field,
        labels=None if labels is None else [part.strip() for part in labels.split(",")],
        on_error="raise" if strict else "skip",
        other_sampling=other_sampling,
    )
    copy = fit(transfer, _student(student))
    certificate = copy.certificate(confidence)
    for what in (transfer.account, copy, certificate):
        echo(str(what))
    if out is not None:
        echo(copy.write(out))


def _student(name: str | None) -> Any:
    from kt_theory.students import top_k

    if name is not None and name.startswith("top_k(") and name.endswith(")") and name[6:-1].isdecimal():
        return top_k(int(name[6:-1]))
    return name
