"""`kt-theory risk`: argument parsing only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kt_theory.cli import tables
from kt_theory.cli.shared import Levels, Names, Numbers, Whole, clear_errors
from kt_theory.cli.standard_input import NAME
from kt_theory.cli.teacher import read_teacher, teacher_options


@click.command(
    "risk", epilog="Example: kt-theory risk book.txt --ngram 2 --n 100,1000,10000 --plot risks.png"
)
@click.argument("teacher", type=Path)
@click.option(
    "--n",
    "sizes",
    type=Numbers(),
    required=True,
    help="Pairs per transfer set, such as 100,1000,1e4.",
)
@teacher_options
@click.option(
    "--students",
    type=Levels(),
    help="Such as ce_sgl,laplace,top_k(5).  [default: the paper's that --access allows]",
)
@click.option(
    "--access",
    help="The level granted, such as soft or 'top_k(5)'; a student that needs more is refused.",
)
@click.option(
    "--loss",
    "losses",
    type=Names(),
    default="tv",
    show_default=True,
    help="tv, kl, reverse_kl, chi2, hellinger2, js, l2, acceptance, or several of them.",
)
@click.option(
    "--repeats", type=Whole(), default=10_000, show_default=True, help="Transfer sets per n."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same numbers.")
@click.option(
    "--threads", type=int, help="Threads; the numbers do not depend on it.  [default: all cores]"
)
@click.option("--csv", "csv", type=Path, help="Also write the table to this file.")
@click.option("--plot", type=Path, help="Also draw the risks into this file: .png, .svg or .pdf.")
@clear_errors
def risk_command(
    teacher: Path,
    sizes: list[int],
    order: int | None,
    tokens: str | None,
    logits: bool,
    normalise: bool,
    students: list[str] | None,
    access: str | None,
    losses: list[str],
    repeats: int,
    seed: int,
    threads: int | None,
    csv: Path | None,
    plot: Path | None,
) -> None:
    """Simulate the risks of students of your own teacher, the paper's bounds beside them. Exact
    risks are `kt.exact_risk` in Python.

    TEACHER is a table of pi(a|s), one row per input and one column per label. CSV or Parquet: the
    columns are named after the labels; a column `rho` is the input law (uniform if there is none),
    a column `input` or an unnamed first one names the inputs. NPY: the table alone. NPZ: an array
    `pi` or `logits`, and `rho` if wanted. With --ngram it is a text. - is standard input.

    Losses are total variation distances, in [0, 1], or those of --loss, which may be infinite. The
    bounds hold for the worst teacher of the same size.
    """
    from kt_theory import catalogue, figures, study
    from kt_theory.losses import as_losses
    from kt_theory.output import refuse_unwritable, write_table
    from kt_theory.plot.page import risks_page
    from kt_theory.simulation.run import simulate
    from kt_theory.students import as_students
    from kt_theory.validation import whole_number

    refuse_unwritable([path for path in (csv, plot) if path is not None], inputs=[teacher])
    if plot is not None and plot.suffix.lower() not in figures.KINDS:
        raise ValueError(f"--plot {plot}: must end in {', '.join(figures.KINDS)}")
    whole_number(repeats, "repeats", low=2)
    as_losses(losses)
    source = read_teacher(teacher, order, tokens, logits, normalise)
    granted = None if access is None else catalogue.level(access, source.inputs)
    asked = [catalogue.student(name, source.inputs) for name in students or []]
    chosen = as_students(asked or catalogue.default_students(granted))
    how: dict[str, Any] = {"access": granted, "threads": threads, "loss": losses}
    run = simulate(source, chosen, sizes, repeats, seed, **how)
    frame = run.frame.copy()
    study.bound_columns(frame)
    picture = None
    if plot is not None:
        with figures.style():
            name = NAME if str(teacher) == "-" else teacher.name
            picture = risks_page(frame, source, name)
    click.echo(tables.folded([str(source)]))
    click.echo(tables.risks(frame))
    if csv is not None:
        click.echo(f"wrote {write_table(frame, csv)}")
    if plot is not None:
        with figures.style():
            click.echo(f"wrote {figures.write(picture, plot)}")
