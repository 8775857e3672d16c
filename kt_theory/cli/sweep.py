"""The commands of `kt-theory sweep`: argument parsing only."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import click

from kt_theory import machine
from kt_theory.cli import tables
from kt_theory.cli.shared import Names, Refusal, clear_errors


class _Shard(click.ParamType):
    """I/N, the I-th of N shards."""

    name = "I/N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        left, slash, right = str(value).partition("/")
        numbers = all(re.fullmatch("[0-9]{1,9}", part) for part in (left, right))
        if not (slash and numbers and 1 <= int(left) <= int(right)):
            raise Refusal(f"--shard {value}: must be I/N with 1 <= I <= N, such as 3/8")
        return int(left), int(right)


@click.group("sweep")
def sweep_group() -> None:
    """Sweeps over teachers, students and n that survive: from a file, resumable, on one machine or
    many."""


@sweep_group.command(epilog="Example: kt-theory sweep check rates.toml")
@click.argument("spec", type=Path)
@click.option(
    "--all", "everything", is_flag=True, help=f"Print every line, not only the first {tables.ROWS}."
)
@clear_errors
def check(spec: Path, everything: bool) -> None:
    """Print the cells of SPEC, the time and the space that they will take, before anything runs.

    SPEC is a TOML file with name, seed, students, repeats (or target_se with max_repeats), n and
    one [[teachers]] table for each family. Students with parameters are written as in the tables:
    "top_k(5)", "add_c(0.5)", "grad_ful(path)", "grad_ful(cycle, 2)"; the graphs are path, cycle and
    complete, 2 is the number of hops. Students of your own are imported by name, from Python's path
    or the folder of SPEC, "mypkg.rules:laplace" or "mypkg.rules:discounted(0.5)": their code runs.
    """
    from kt_theory import catalogue
    from kt_theory.sweep.overview import clock, estimates, stored_bytes, total_seconds
    from kt_theory.sweep.run import refuse_memory
    from kt_theory.sweep.spec import Spec

    plan = Spec.read(spec)
    found = estimates(plan)
    refuse_memory(plan, 1)
    click.echo(tables.cells(found, everything=everything))
    undefined = sum(bool(cell.undefined) for cell in plan.cells)
    limit = (
        ""
        if plan.target_se is None
        else f", fewer where the standard error is {plan.target_se:g} before"
    )
    summary = (
        f"{plan.name}: {len(plan.cells):,} cells, {undefined:,} of them not defined; about "
        f"{clock(total_seconds(found))} of one core{limit}; "
        f"{stored_bytes(found) / 2**20:.1f} MiB on disk"
    )
    own = [catalogue.origin(one.recipe) for one in plan.students if one.imported]
    click.echo(f"\n{tables.folded([summary, *own])}")


@sweep_group.command(
    epilog="Example: kt-theory sweep run rates.toml --out rates --executor processes"
)
@click.argument("spec", type=Path)
@click.option(
    "--out",
    type=Path,
    required=True,
    help="Folder of the sweep; one that holds it already goes on.",
)
@click.option(
    "--executor",
    default="threads",
    show_default=True,
    help="threads, processes, dask or dask://HOST:PORT.",
)
@click.option(
    "--workers",
    type=int,
    help="How many at a time; the results do not depend on it.  [default: all cores]",
)
@click.option("--shard", type=_Shard(), help="Only the I-th of N parts, for job arrays.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first cell that fails.")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0),
    help="Stop after that time; the same command goes on later.",
)
@click.option("--quiet", is_flag=True, help="No progress.")
@clear_errors
def run(
    spec: Path,
    out: Path,
    executor: str,
    workers: int | None,
    shard: tuple[int, int] | None,
    fail_fast: bool,
    minutes: float | None,
    quiet: bool,
) -> None:
    """Run what is missing of SPEC. After a crash or an interrupt the same command goes on where it
    stopped.

    A cell that fails is recorded and the others go on; the exit status is then 1.
    """
    from kt_theory.sweep.overview import clock
    from kt_theory.sweep.results import left_over
    from kt_theory.sweep.run import run as run_sweep
    from kt_theory.sweep.spec import Spec

    plan = Spec.read(spec)
    options: dict[str, Any] = {
        "executor": executor,
        "workers": workers,
        "shard": shard,
        "fail_fast": fail_fast,
    }
    options["seconds"] = None if minutes is None else 60.0 * minutes
    try:
        summary = run_sweep(plan, out, **options, progress=not quiet)
    except KeyboardInterrupt as interrupt:
        click.echo("interrupted: what was finished is saved, the same command goes on", err=True)
        sys.exit(machine.exit_status(interrupt))
    stopped = minutes is not None and not {"missing", "unfinished"}.isdisjoint(summary.cells)
    if not summary.blocks and shard is None and stopped:
        click.echo("stopped before a block was done, the same command goes on: ", nl=False)
    elif not summary.blocks and not summary.failures:
        click.echo("nothing to run: ", nl=False)
    else:
        click.echo(
            f"ran {summary.blocks} blocks, {summary.repeats:,} repeats in "
            f"{clock(summary.seconds)}: ",
            nl=False,
        )
    click.echo(tables.counts(summary.cells))
    if said := left_over(out):
        click.echo(said)
    _say_failures(summary.failures, out)
    sys.exit(1 if summary.failures or summary.cells.get("failed") else 0)


@sweep_group.command(epilog="Example: kt-theory sweep status rates")
@click.argument("folder", metavar="DIR", type=Path)
@clear_errors
def status(folder: Path) -> None:
    """Print how the sweep in DIR stands, also while it runs."""
    from kt_theory.sweep.overview import status as sweep_status

    stands = sweep_status(folder)
    summary = (
        f"{stands.name}: {tables.counts(stands.cells)}; {stands.repeats:,} repeats saved over all "
        "students"
    )
    click.echo(tables.folded([summary]))
    if stands.processes:
        many = "1 process" if stands.processes == 1 else f"{stands.processes} processes"
        click.echo(f"{many} at work, {stands.speed:,.0f} repeats/s of a student")
    for line in stands.damage:
        click.echo(line)
    _say_failures(stands.failures, folder)


@sweep_group.command(epilog="Example: kt-theory sweep replay rates 3fa2c1 --repeat 17")
@click.argument("folder", metavar="DIR", type=Path)
@click.argument("cell")
@click.option(
    "--repeat", type=int, help="Only this repeat.  [default: what failed, or all that is stored]"
)
@click.option("--debug", is_flag=True, help="Open the Python debugger where an error is raised.")
@clear_errors
def replay(folder: Path, cell: str, repeat: int | None, debug: bool) -> None:
    """Run one CELL of DIR again, exactly: CELL is its id or the beginning of it.

    An error is raised as it comes; the exit status is then 1. Without one the mean is compared with
    the stored one.
    """
    from kt_theory.sweep.replay import find, replay_cell
    from kt_theory.sweep.store import Store
    from kt_theory.validation import whole_number

    found = find(store := Store(folder), cell)
    if repeat is not None:
        whole_number(repeat, "repeat")
    try:
        again = replay_cell(store, found, repeat)
    except Exception:
        if debug:
            import pdb

            pdb.post_mortem()
        import traceback

        click.echo(traceback.format_exc(), err=True)
        sys.exit(1)
    click.echo(f"{found.place}, seed = {found.seed}")
    if again.repeats == 1:
        click.echo(f"repeat {again.first}: loss {again.mean!r}")
        return
    click.echo(f"repeats {again.first} to {again.first + again.repeats - 1}: mean {again.mean!r}")
    if again.stored is not None:
        click.echo(
            "as stored, to the bit"
            if again.stored == again.mean
            else f"but stored is {again.stored!r}"
        )
        sys.exit(again.stored != again.mean)


@sweep_group.command(epilog="Example: kt-theory sweep merge part1 part2 part3 --out rates")
@click.argument("folders", metavar="DIR...", type=Path, nargs=-1, required=True)
@click.option("--out", type=Path, required=True, help="Folder to put them into.")
@clear_errors
def merge(folders: tuple[Path, ...], out: Path) -> None:
    """Put the folders of shards together and say which shards are missing; the exit status is then
    1."""
    from kt_theory.sweep.shards import merge_shards

    merged = merge_shards(folders, out)
    click.echo(tables.counts(merged.cells))
    for shard, cells in sorted(merged.missing.items()):
        click.echo(f"missing: {cells} cells of --shard {shard}/{merged.shards}")
    sys.exit(1 if merged.missing else 0)


@sweep_group.command(epilog="Example: kt-theory sweep report rates --out rates.html")
@click.argument("folder", metavar="DIR", type=Path)
@click.option("--out", type=Path, help="File to write.  [default: DIR/report.html]")
@click.option(
    "--minimax",
    is_flag=True,
    help="Search for the minimax risks too: up to 6 s for each n and size.",
)
@clear_errors
def report(folder: Path, out: Path | None, minimax: bool) -> None:
    """Write one HTML file that needs no network: what was run, the table, the curves, the slopes,
    the failures."""
    from kt_theory.sweep.report import write_report

    click.echo(write_report(folder, out or folder / "report.html", minimax=minimax))


@sweep_group.command(
    epilog="Example: kt-theory sweep plot rates --x n --hue student --panel labels --out rates.png"
)
@click.argument("folder", metavar="DIR", type=Path)
@click.option("--x", default="n", show_default=True, help="A column of numbers.")
@click.option("--hue", default="student", show_default=True, help="A colour for each value.")
@click.option(
    "--panel", type=Names(), help="A panel for each value, such as teacher, or inputs,labels."
)
@click.option(
    "--theory",
    type=Names(),
    help="Beside the curves: minimax (up to 6 s for each n and size), paper, exact, or several.",
)
@click.option(
    "--out", type=Path, help="File to write: .png, .svg or .pdf.  [default: DIR/plot.png]"
)
@clear_errors
def plot(
    folder: Path,
    x: str,
    hue: str,
    panel: list[str] | None,
    theory: list[str] | None,
    out: Path | None,
) -> None:
    """Draw the risks of the sweep in DIR with their intervals, as far as it has run.

    --x, --hue and --panel name columns of its table: teacher, student, access, loss, n, inputs,
    labels, repeats. They must tell all cells apart: a sweep of several teachers takes --panel
    teacher, or where their sizes differ --panel inputs,labels or one of the two.
    """
    from kt_theory import figures
    from kt_theory.output import refuse_unwritable
    from kt_theory.plot.sweep import sweep_figure

    target = out or folder / "plot.png"
    if target.suffix.lower() not in figures.KINDS:
        raise ValueError(f"--out {target}: must end in {', '.join(figures.KINDS)}")
    if out is not None:
        refuse_unwritable([target])
    with figures.style():
        figure = sweep_figure(folder, x=x, hue=hue, panel=panel, theory=theory)
        click.echo(f"wrote {figures.write(figure, target)}")


def _say_failures(failures: Any, folder: Path) -> None:
    for line in tables.failures(failures, folder):
        click.echo(line, err=True)
