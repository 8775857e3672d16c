"""The command line: argument parsing only. Every command is a function of the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kt_theory import __version__
from kt_theory.commands import Names, Numbers, Whole, clear_errors, say_left_out
from kt_theory.planner.cli import plan_command
from kt_theory.transfer.cli import fit_command
from kt_theory.validation import whole_number

if TYPE_CHECKING:
    from kt_theory.access import Access
    from kt_theory.limits.law import Terms
    from kt_theory.students import Student

_FAR = 2**40
"""Samples at which n times a limit of order 1/n no longer changes."""


class _Commands(click.Group):
    """All commands; that of sweeps loads when it is named, as it takes half of the time that the others start in."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), "sweep"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name != "sweep":
            return super().get_command(ctx, cmd_name)
        from kt_theory.sweep.cli import sweep_group

        return sweep_group


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="kt-theory")
def main() -> None:
    """The fundamental limits of knowledge transfer (distillation) over finite domains."""


@main.command(epilog="Example: kt-theory reproduce --only figure1 --repeats 100 --out figures")
@click.option("--only", type=Names(), help="Parts to make: figure1, figure2, table1.  [default: all]")
@click.option("--repeats", type=Whole(), help="Transfer sets per point.  [default: the paper's 100 and 64,000]")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same files, byte for byte.")
@click.option("--out", type=Path, default=Path("figures"), show_default=True, help="Folder to write to.")
@click.option("--limits", "beyond", is_flag=True, help="Instead: the exact limits of every access level over n.")
@clear_errors
def reproduce(only: list[str] | None, repeats: int | None, seed: int, out: Path, beyond: bool) -> None:
    """Regenerate Figure 1, Figure 2 and Table 1 of Zhao and Zhu (2023) as PNG and SVG, the data as CSV beside them.

    With --limits, two pictures beyond the paper: how loose its bounds are around the minimax risk and which student
    attains it, and the price of access. They are exact: --only, --repeats and --seed do not apply.
    """
    from kt_theory.reproduce import limits as exact
    from kt_theory.reproduce import paper

    if beyond:
        if only or repeats is not None or seed:
            raise ValueError("--limits draws exact values: --only, --repeats and --seed do not apply")
        written = exact.reproduce(out)
    else:
        written = paper.reproduce(out, only=tuple(only) if only else paper.PARTS, repeats=repeats, seed=seed)
    for path in written:
        click.echo(path)


@main.command(epilog="Example: kt-theory risk book.txt --ngram 2 --n 100,1000,10000 --plot risks.png")
@click.argument("teacher", type=Path)
@click.option("--n", "sizes", type=Numbers(), required=True, help="Pairs per transfer set, such as 100,1000,1e4.")
@click.option("--ngram", "order", type=int, help="TEACHER is a UTF-8 text: learn its n-gram of this order.")
@click.option("--tokens", help="With --ngram: what it counts, char or word.  [default: char]")
@click.option("--logits", is_flag=True, help="The table holds logits, not probabilities.")
@click.option("--normalise", is_flag=True, help="Divide rows that do not sum to 1 by their sum.")
@click.option(
    "--students", type=Names(), help="Such as ce_sgl,laplace,top_k(5).  [default: the paper's that --access allows]"
)
@click.option("--access", help="The level granted, such as soft or 'top_k(5)'; a student that needs more is refused.")
@click.option("--repeats", type=Whole(), default=10_000, show_default=True, help="Transfer sets per n.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same numbers.")
@click.option("--threads", type=int, help="Threads; the numbers do not depend on it.  [default: all cores]")
@click.option("--csv", "csv", type=Path, help="Also write the table to this file.")
@click.option("--plot", type=Path, help="Also draw the risks into this file: .png, .svg or .pdf.")
@clear_errors
def risk(
    teacher: Path,
    sizes: list[int],
    order: int | None,
    tokens: str | None,
    logits: bool,
    normalise: bool,
    students: list[str] | None,
    access: str | None,
    repeats: int,
    seed: int,
    threads: int | None,
    csv: Path | None,
    plot: Path | None,
) -> None:
    """Simulate the risks of students of your own teacher, the paper's bounds beside them.

    TEACHER is a table of pi(a|s), one row per input and one column per label. CSV or Parquet: the columns are named
    after the labels; a column `rho` is the input law (uniform if there is none), a column `input` or an unnamed first
    one names the inputs. NPY: the table alone. NPZ: an array `pi` or `logits`, and `rho` if wanted. With --ngram it is
    a text.

    Losses are total variation distances, in [0, 1]. The bounds hold for the worst teacher of the same size.
    """
    from kt_theory import figures, study
    from kt_theory.access import as_access
    from kt_theory.output import refuse_unwritable, write_table
    from kt_theory.students import NAMED, as_students
    from kt_theory.sweep.recipes import build_student, student_recipe
    from kt_theory.teachers.command import read_teacher

    refuse_unwritable([path for path in (csv, plot) if path is not None], inputs=[teacher])
    if plot is not None and plot.suffix.lower() not in figures.KINDS:
        raise ValueError(f"--plot {plot}: must end in {', '.join(figures.KINDS)}")
    granted = None if access is None else as_access(access) if access == "gradient" else _level(access)
    whole_number(repeats, "repeats", low=2)
    source = read_teacher(teacher, order, tokens, logits, normalise)
    asked = [name if name in NAMED else build_student(student_recipe(name), source.inputs) for name in students or []]
    chosen = as_students(asked or _students_of(granted))
    click.echo(source)
    frame = study.risk_table(source, chosen, sizes, repeats, seed, access=granted, threads=threads)
    click.echo(_screen(frame))
    if csv is not None:
        click.echo(f"wrote {write_table(frame, csv)}")
    if plot is not None:
        with figures.style():
            click.echo(f"wrote {figures.write(study.draw_risks(frame, source, teacher.name), plot)}")


@main.command(epilog="Example: kt-theory limits --inputs 100 --labels 25 --n 1000,100000")
@click.option("--inputs", type=Whole(), required=True, help="S, the number of inputs.")
@click.option("--labels", type=Whole(), required=True, help="A, the number of labels.")
@click.option("--n", "sizes", type=Numbers(), required=True, help="Samples, such as 100,1000,1e4.")
@click.option("--top", type=Numbers(), default="1,5", show_default=True, help="Which top-k levels to show.")
@click.option(
    "--level", "names", multiple=True, help="Another level to show: 'rounded(0.1)', 'top_k_only(5)', 'logits'."
)
@click.option("--csv", "csv", type=Path, help="Also write the table to this file.")
@clear_errors
def limits(
    inputs: int, labels: int, sizes: list[int], top: list[int], names: tuple[str, ...], csv: Path | None
) -> None:
    """Print the minimax risk of every access level: no student does better than `lower` on every teacher.

    Risks are expected total variation distances, in [0, 1]. Where the value is not known exactly it lies between
    `lower` and `upper`, both proved. Beside them stand the bounds of Zhao and Zhu (2023), where they apply, and below
    them what the risk of each level's own student is made of, and what the limits tend to as n grows.
    """
    from tqdm import tqdm

    from kt_theory.access import top_k
    from kt_theory.limits.constants import asymptotic_rates, fixed_labels, light_labels
    from kt_theory.minimax import minimax_risk
    from kt_theory.overview import limits_at, overview_rows
    from kt_theory.minimax import risk_terms
    from kt_theory.output import refuse_unwritable, write_table

    refuse_unwritable([] if csv is None else [csv])
    levels = tuple(_level(name) for name in names)
    rows = overview_rows(
        limits_at(inputs, labels, size, tuple(top), levels)
        for size in tqdm(sizes, unit="n", delay=2, disable=None, leave=False)
    )
    click.echo(_limits_table(rows))
    say_left_out("top", [f"top_k({k})" for k in top], [row["access"] for row in rows])
    click.echo("\nEvery level's own student, every teacher: risk <= floor + kappa/(n+1) + noise/sqrt(n)")
    known = {f"top_k({k})": top_k(k) for k in top} | {level.name: level for level in levels}
    terms = {
        name: risk_terms(known.get(name, name), inputs, labels) for name in dict.fromkeys(r["access"] for r in rows)
    }
    click.echo(_terms_table(terms))
    for row in rows:
        term = terms[row["access"]]
        row |= {"floor": term.floor, "kappa": term.kappa, "noise": term.noise}
    click.echo(f"\nAs n grows, S = {inputs}, A = {labels}: minimax risk ~ constant * rate")
    for rate in asymptotic_rates(inputs, labels):
        click.echo(f"  {rate.access:9} {rate.constant:.10g} * {rate.rate}  ({rate.regime}; {rate.reference})")
    for k in (k for k in top if k < labels - 1):
        far = minimax_risk("top_k", inputs, labels, _FAR, k=k)
        low, high = far.lower * _FAR, far.upper * _FAR
        click.echo(f"  top_k({k})  {low:.6g} to {high:.6g} * 1/n  (n times the certified interval at n = 2^40)")
    light = light_labels()
    click.echo(
        f"c2 = {light.value:.15g}, t = {light.t:.15g}: a share f = {light.fraction:.6g} of the labels has mass t/n"
    )
    for size in sorted({max(labels - 1, 1), labels}):
        worst = fixed_labels(size)
        click.echo(f"K({size}) = {worst.value:.12g}: {worst.light} labels have mass {worst.t:.6g}/n, the others 0")
    if csv is not None:
        import pandas as pd

        click.echo(f"wrote {write_table(pd.DataFrame(rows), csv)}")


@main.command(epilog="Example: kt-theory warmup")
@clear_errors
def warmup() -> None:
    """Compile the simulation kernels once, about 15 seconds; later commands start in under a second."""
    from kt_theory.simulation.warmup import warmup as compile_all

    click.echo(f"compiled in {compile_all():.1f} s")


def _screen(frame: Any) -> str:
    """The table as it is shown on the screen: fewer columns, four digits."""
    table = frame[["n", "student", "access", "mean", "std_error", "q05", "q95", "lower_bound", "upper_bound"]]
    table = table.rename(columns={"mean": "risk", "lower_bound": "class lower", "upper_bound": "class upper"})
    says_something = table["class upper"].map(lambda x: "-" if x != x else f"{x:.4g}" if x < 1 else ">= 1")
    table["class upper"] = says_something
    return _table(table)


def _limits_table(rows: list[dict[str, Any]]) -> str:
    """The limits as they are shown on the screen, without the time that a data frame takes to load."""
    bounds = ("paper_lower", "lower", "upper", "paper_upper")
    columns = [["n", *(str(row["n"]) for row in rows)], ["access", *(row["access"] for row in rows)]]
    columns += [[name, *("-" if row[name] != row[name] else f"{row[name]:.4g}" for row in rows)] for name in bounds]
    columns.append(["exact", *("yes" if row["exact"] else "" for row in rows)])
    return _aligned(columns)


def _terms_table(terms: dict[str, Terms]) -> str:
    columns = [["access", *terms], ["floor", *(f"{term.floor:.4g}" for term in terms.values())]]
    columns.append(["kappa", *(f"{term.kappa:,}" for term in terms.values())])
    columns.append(["noise", *(f"{term.noise:.4g}" for term in terms.values())])
    return _aligned(columns)


def _level(name: str) -> Access:
    from kt_theory.planner.levels import parse

    return parse(name)


def _students_of(granted: Access | None) -> list[Student]:
    """Return the paper's students that a level allows and its own; where there are none, all named that it allows."""
    from kt_theory.access import HARD
    from kt_theory.students import NAMED, STUDENTS

    if granted is None:
        return [*STUDENTS.values()]
    allowed = [student for student in NAMED.values() if granted.covers(student.access)]
    if not allowed:
        raise ValueError(f"--access {granted.name}: no student without parameters needs so little; give --students")
    beside = granted is not HARD
    return [one for one in allowed if one.name in STUDENTS or (beside and one.access is granted)] or allowed


def _aligned(columns: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in columns]
    return "\n".join("  ".join(map(str.rjust, line, widths)) for line in zip(*columns, strict=True))


def _table(frame: Any) -> str:
    return frame.to_string(index=False, float_format=lambda x: f"{x:.4g}", na_rep="-")


main.add_command(fit_command)
main.add_command(plan_command)
