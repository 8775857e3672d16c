"""What an exact risk may cost, and the refusal that comes before any long computation."""

from __future__ import annotations

LARGEST_COST = 3e10
"""Elementary operations of about a nanosecond each that one call may take: half a minute."""


class NoExactRisk(ValueError):
    """No exact value is to be had in reasonable time; the message says why, and the way out."""


def refuse_beyond(
    cost: float,
    what: str,
    way_out: str,
    largest: float = LARGEST_COST,
) -> None:
    """Raise `NoExactRisk` if `cost` exceeds `largest`.

    Parameters
    ----------
    cost : float
        Estimated before any of it is spent.
    what : str
        What is so dear, with its sizes.
    way_out : str
        What to call instead.
    """
    if cost > largest:
        raise NoExactRisk(
            f"{what} takes about {cost:.1g} operations or table entries, more than {largest:.1g}: "
            f"{way_out}"
        )
