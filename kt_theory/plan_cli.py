"""`kt-theory plan`: argument parsing only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click


def plan_command(
    clear_errors: Callable[..., Any], whole: Any, read_teacher: Callable[..., Any], table: Callable[[Any], str]
) -> click.Command:
    """Return the command `plan`, to be attached to the command line.

    Parameters
    ----------
    clear_errors : callable
        Decorator that turns errors that name what is wrong into one line.
    whole : click.ParamType
        A whole number.
    read_teacher : callable
        (path, n-gram order, tokens, logits, normalise) to Teacher.
    table : callable
        DataFrame to text.
    """
    import click

    @click.command("plan", epilog="Example: kt-theory plan --inputs 1000 --labels 50 --tv 0.05 --price hard=0.01")
    @click.option("--inputs", type=whole, help="S, the number of inputs.")
    @click.option("--labels", type=whole, help="A, the number of labels.")
    @click.option("--tv", type=float, required=True, help="Total variation that the copy may have, in (0, 1).")
    @click.option("--confidence", type=float, help="With at least this probability.  [default: in mean]")
    @click.option(
        "--price", "prices", multiple=True, help="LEVEL=PRICE per query, or LEVEL=PRICE,PRICE per log-probability."
    )
    @click.option("--teacher", type=Path, help="Plan for this teacher instead of the worst: a table, or a text.")
    @click.option("--ngram", "order", type=int, help="The teacher is a UTF-8 text: learn its n-gram of this order.")
    @click.option("--tokens", help="With --ngram: what it counts, char or word.  [default: char]")
    @click.option("--logits", is_flag=True, help="The table holds logits, not probabilities.")
    @click.option("--normalise", is_flag=True, help="Divide rows that do not sum to 1 by their sum.")
    @click.option("--top", type=whole, multiple=True, default=(1, 5), show_default=True, help="Top-k levels to show.")
    @click.option("--csv", "csv", type=Path, help="Also write the table to this file.")
    @click.option("--plot", type=Path, help="Also draw total variation against cost: .png, .svg or .pdf.")
    @clear_errors
    def command(prices: tuple[str, ...], top: tuple[int, ...], tv: float, **options: Any) -> None:
        """Print how many queries a copy within a total variation takes at every access level, and what they cost.

        `n` queries provably suffice; with fewer than `lower` no student succeeds on every teacher. With --teacher both
        are for that teacher.
        """
        from kt_theory import figures
        from kt_theory.output import refuse_unwritable, write_table
        from kt_theory.plan_figure import draw_plan, plan_curves
        from kt_theory.planning import plan

        csv, plot, path = options["csv"], options["plot"], options["teacher"]
        refuse_unwritable([file for file in (csv, plot) if file is not None], inputs=[path] if path else [])
        if plot is not None and plot.suffix.lower() not in figures.KINDS:
            raise ValueError(f"--plot {plot}: must end in {', '.join(figures.KINDS)}")
        reading = [options[name] for name in ("order", "tokens", "logits", "normalise")]
        if path is None and any(reading):
            raise ValueError("--ngram, --tokens, --logits and --normalise go with --teacher FILE")
        source = None if path is None else read_teacher(path, *reading)
        asked = {"confidence": options["confidence"], "teacher": source, "top": top, "prices": _prices(prices)}
        frame = plan(options["inputs"], options["labels"], tv, **asked)
        click.echo(table(frame.drop(columns=["certificate", "reason"])))
        for name, certificate, reason in zip(frame["access"], frame["certificate"], frame["reason"], strict=True):
            click.echo(f"{name}: {reason or certificate}")
        if csv is not None:
            click.echo(f"wrote {write_table(frame, csv)}")
        if plot is not None:
            curves = plan_curves(options["inputs"], options["labels"], tv, **asked)
            with figures.style():
                click.echo(f"wrote {figures.write(draw_plan(curves, 'Queries for a copy'), plot)}")

    return command


def _prices(given: tuple[str, ...]) -> dict[str, Any] | None:
    found: dict[str, Any] = {}
    for text in given:
        name, _, value = text.partition("=")
        if name in found:
            raise ValueError(f"--price {text}: {name} has a price already")
        try:
            numbers = tuple(float(part) for part in value.split(","))
        except ValueError:
            raise ValueError(f"--price {text}: must be LEVEL=PRICE, such as hard=0.01, or LEVEL=PRICE,PRICE") from None
        found[name] = numbers[0] if len(numbers) == 1 else numbers
    return found or None
