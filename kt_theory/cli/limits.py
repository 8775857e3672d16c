"""`kt-theory limits`: argument parsing only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kt_theory.cli import tables
from kt_theory.cli.shared import Numbers, Whole, clear_errors, say_left_out

if TYPE_CHECKING:
    from kt_theory.access import Access


@click.command(
    "limits", epilog="Example: kt-theory limits --inputs 100 --labels 25 --n 1000,100000"
)
@click.option("--inputs", type=Whole(), required=True, help="S, the number of inputs.")
@click.option("--labels", type=Whole(), required=True, help="A, the number of labels.")
@click.option("--n", "sizes", type=Numbers(), required=True, help="Samples, such as 100,1000,1e4.")
@click.option(
    "--top", type=Numbers(), default="1,5", show_default=True, help="Which top-k levels to show."
)
@click.option(
    "--level",
    "names",
    multiple=True,
    help="Another level to show: 'rounded(0.1)', 'top_k_only(5)', 'logits'.",
)
@click.option(
    "--loss",
    default="tv",
    show_default=True,
    help="tv, kl, reverse_kl, chi2, hellinger2, js, l2 or acceptance (1 - tv).",
)
@click.option("--csv", "csv", type=Path, help="Also write the table to this file.")
@clear_errors
def limits_command(
    inputs: int,
    labels: int,
    sizes: list[int],
    top: list[int],
    names: tuple[str, ...],
    loss: str,
    csv: Path | None,
) -> None:
    """Print the minimax risk of every access level: no student does better than `lower` on every
    teacher.

    Risks are expected total variation distances, in [0, 1], or means of the `--loss`. Where the
    value is not known exactly it lies between `lower` and `upper`, both proved. In total variation
    the bounds of Zhao and Zhu (2023) stand beside them, where they apply, and below them what the
    risk of each level's own student is made of, and what the limits tend to as n grows. Acceptance
    is the more the better: no student can be sure of more than `upper`.
    """
    from tqdm import tqdm

    from kt_theory import catalogue
    from kt_theory.losses import TV, as_loss
    from kt_theory.output import refuse_unwritable, write_table
    from kt_theory.overview import limits_at, overview_rows

    refuse_unwritable([] if csv is None else [csv])
    measure = as_loss(loss)
    levels = tuple(catalogue.level(name, inputs) for name in names)
    rows = overview_rows(
        limits_at(inputs, labels, size, tuple(top), levels, loss=measure)
        for size in tqdm(sizes, unit="n", delay=2, disable=None, leave=False)
    )
    click.echo(tables.limits(rows))
    say_left_out("top", [f"top_k({k})" for k in top], [row["access"] for row in rows])
    if measure == TV:
        _in_total_variation(rows, levels, (inputs, labels), top)
    if csv is not None:
        import pandas as pd

        click.echo(f"wrote {write_table(pd.DataFrame(rows), csv)}")


def _in_total_variation(
    rows: list[dict[str, Any]], levels: tuple[Access, ...], size: tuple[int, int], top: list[int]
) -> None:
    """Print what risks are made of and where they tend to, and add the parts to the rows."""
    from kt_theory import catalogue
    from kt_theory.minimax import risk_terms

    inputs, labels = size
    given = {level.name: level for level in levels}
    shown = {row["access"]: given.get(row["access"], row["access"]) for row in rows}
    terms = {
        name: risk_terms(catalogue.level(level), inputs, labels) for name, level in shown.items()
    }
    title = "Every level's own student, every teacher: risk <= floor + kappa/(n+1) + noise/sqrt(n)"
    click.echo(f"\n{tables.folded([title])}")
    click.echo(tables.terms(terms))
    for row in rows:
        term = terms[row["access"]]
        row |= {"floor": term.floor, "kappa": term.kappa, "noise": term.noise}
    click.echo(tables.folded(tables.far_away(inputs, labels, top)))
