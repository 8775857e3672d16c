"""`kt-theory objectives`: argument parsing only."""

from __future__ import annotations

from pathlib import Path

import click

from kt_theory.cli import tables
from kt_theory.cli.shared import Whole, clear_errors
from kt_theory.cli.teacher import read_teacher, teacher_options

_LABELS, _TOP = 100, 20


@click.command(
    "objectives", epilog="Example: kt-theory objectives --labels 50 --k 5 --plot objectives.png"
)
@click.option("--labels", type=Whole(), help="A.  [default: that of the teacher, or 100]")
@click.option(
    "--k", "top", type=Whole(), help="Of objectives on the k most probable labels.  [default: 20]"
)
@click.option("--teacher", type=Path, help="Also the bias on this teacher: a table, or a text.")
@teacher_options
@click.option("--csv", "csv", type=Path, help="Also write the table to this file.")
@click.option("--plot", type=Path, help="Also draw it into this file: .png, .svg or .pdf.")
@clear_errors
def objectives_command(
    labels: int | None,
    top: int | None,
    teacher: Path | None,
    order: int | None,
    tokens: str | None,
    logits: bool,
    normalise: bool,
    csv: Path | None,
    plot: Path | None,
) -> None:
    """Print which training objectives reach the teacher, and how far off the others end.

    Columns are access levels: an objective is consistent there, has the largest bias over all
    teachers of A labels that stands there, in total variation, or needs more than the level shows.
    Where several rows minimise an objective, its student writes one of them, and `any minimiser` is
    the worst of them. What is not marked `at least` is proved.
    """
    from kt_theory import figures
    from kt_theory.consistency import draw, table
    from kt_theory.objectives.objective import label_number
    from kt_theory.output import refuse_unwritable, write_table

    sources = [] if teacher is None else [teacher]
    refuse_unwritable([path for path in (csv, plot) if path is not None], inputs=sources)
    if plot is not None and plot.suffix.lower() not in figures.KINDS:
        raise ValueError(f"--plot {plot}: must end in {', '.join(figures.KINDS)}")
    if teacher is None and (order is not None or tokens or logits or normalise):
        raise ValueError(
            "--ngram, --tokens, --logits and --normalise are for a teacher: give --teacher FILE"
        )
    source = None
    if teacher is not None:
        source = read_teacher(teacher, order, tokens, logits, normalise)
        labels = source.labels if labels is None else labels
        click.echo(tables.folded([str(source)]))
    number = label_number(_LABELS if labels is None else labels)
    k = max(min(_TOP, number - 1), 1) if top is None else top
    levels = ["hard", "partial", f"top_k_only({k})", f"top_k({k})", "soft"]
    if k >= number:
        levels = ["hard", "partial", "soft"]
    rows = table(number, k, levels, source)
    click.echo(tables.objectives(rows, levels))
    if k >= number:
        click.echo(f"the {k} most probable labels are all there are: as soft")
    if csv is not None:
        import pandas as pd

        click.echo(f"wrote {write_table(pd.DataFrame(rows), csv)}")
    if plot is not None:
        with figures.style():
            picture = draw(rows, f"Training objectives, {number:,} labels")
            click.echo(f"wrote {figures.write(picture, plot)}")
