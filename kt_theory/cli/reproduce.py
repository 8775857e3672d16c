"""`kt-theory reproduce`: argument parsing only."""

from __future__ import annotations

from pathlib import Path

import click

from kt_theory.cli.shared import Names, Whole, clear_errors


@click.command(
    "reproduce", epilog="Example: kt-theory reproduce --only figure1 --repeats 100 --out figures"
)
@click.option(
    "--only", type=Names(), help="Parts to make: figure1, figure2, table1.  [default: all]"
)
@click.option(
    "--repeats",
    type=Whole(),
    help="Transfer sets per point.  [default: the paper's 100 and 64,000]",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Same seed, same files, byte for byte."
)
@click.option(
    "--out", type=Path, default=Path("figures"), show_default=True, help="Folder to write to."
)
@click.option(
    "--limits",
    "beyond",
    is_flag=True,
    help="Instead: the exact limits of every access level over n.",
)
@clear_errors
def reproduce_command(
    only: list[str] | None, repeats: int | None, seed: int, out: Path, beyond: bool
) -> None:
    """Regenerate Figure 1, Figure 2 and Table 1 of Zhao and Zhu (2023) as PNG and SVG, the data as
    CSV beside them.

    With --limits, two pictures beyond the paper: how loose its bounds are around the minimax risk
    and which student attains it, and the price of access. They are exact: --only, --repeats and
    --seed do not apply.
    """
    from kt_theory.reproduce import limits as exact
    from kt_theory.reproduce import paper

    if beyond:
        if only or repeats is not None or seed:
            raise ValueError(
                "--limits draws exact values: --only, --repeats and --seed do not apply"
            )
        written = exact.reproduce(out)
    else:
        written = paper.reproduce(
            out, only=tuple(only) if only else paper.PARTS, repeats=repeats, seed=seed
        )
    for path in written:
        click.echo(path)
