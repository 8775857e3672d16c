"""`kt-theory storage`: argument parsing only."""

from __future__ import annotations

from pathlib import Path

import click

from kt_theory.cli.shared import Levels, Whole, clear_errors
from kt_theory.cli.tables import folded

TABLES = ("storage.csv", "storage.parquet", "storage.png")
"""What --out has in the end, beside the tallies."""


@click.command(
    "storage", epilog="Example: kt-theory storage logits.npy --tv 0.05 --visits 4 --out storage"
)
@click.argument("logits", type=Path)
@click.option(
    "--policies",
    type=Levels(),
    help="Such as 'renormalised(50) rounded(0.1),sampled(50)'.  [default: the usual ones]",
)
@click.option("--tv", type=float, help="Name the cheapest policy that loses at most so much.")
@click.option(
    "--visits",
    type=Whole(),
    default=1,
    show_default=True,
    help="Of each context: draws are pooled.",
)
@click.option("--labels", type=Whole(), help="How many the teacher has, if the files do not say.")
@click.option(
    "--context", type=Whole(), help="An input is the last so many tokens.  [default: all before]"
)
@click.option("--format", "form", help="The layout of the files.  [default: recognised]")
@click.option("--kind", help="What the values are, such as logits.  [default: as the layout has]")
@click.option("--aligned", help="next or same: the token that a row is of.  [default: recognised]")
@click.option(
    "--options", "settings", type=Path, help="A file of settings that the layout needs beside."
)
@click.option(
    "--executor", help="Count the files side by side: processes, dask or dask://HOST:PORT."
)
@click.option(
    "--out", type=Path, help="A folder for table and picture; an interrupted run goes on there."
)
@clear_errors
def storage_command(
    logits: Path,
    policies: list[str] | None,
    tv: float | None,
    visits: int,
    labels: int | None,
    context: int | None,
    form: str | None,
    kind: str | None,
    aligned: str | None,
    settings: Path | None,
    executor: str | None,
    out: Path | None,
) -> None:
    """Say what to store of a teacher's log-probabilities, and what each choice loses.

    LOGITS is a file, a folder or a pattern such as "logits/*.parquet": full logits, or the most
    probable labels of each position, in a layout that is known. Losses are total variation
    distances, in [0, 1], between the student's rows and the teacher's, over positions: 1 - TV is
    the share of drafts that speculative decoding accepts. Where the files list only some labels,
    they are bounds that hold however the hidden mass is spread.
    """
    from kt_theory.dumps import Dump
    from kt_theory.policies import policies as named
    from kt_theory.policies import storage
    from kt_theory.validation import unit_interval

    if tv is not None:
        unit_interval(tv, "--tv")
    chosen = None if policies is None else named(policies)
    if out is not None:
        _refuse(out)
    dump = Dump.read(
        logits,
        form,
        labels=labels,
        context=context,
        kind=kind,
        aligned=aligned,
        options=settings,
    )
    result = storage(dump, chosen, tv, visits, executor=executor, folder=out, progress=True)
    click.echo(folded([str(result)]))
    if out is not None:
        for name in TABLES:
            click.echo(f"wrote {result.write(out / name)}")


def _refuse(out: Path) -> None:
    """Raise an error where nothing can be written: no folder, or its files are none."""
    from kt_theory.output import refuse_unwritable

    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"--out {out} is not a folder")
    if out.is_dir():
        refuse_unwritable([out / name for name in TABLES])
    elif not out.resolve().parent.is_dir():
        raise FileNotFoundError(f"--out {out}: the folder {out.parent} does not exist")
