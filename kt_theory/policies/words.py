"""What a table of policies says in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kt_theory.dumps.block import without_row
from kt_theory.kernels.policy_numbers import SAMPLED, SAMPLED_STATED
from kt_theory.policies.kept import id_bytes
from kt_theory.policies.policy import USUAL

if TYPE_CHECKING:
    from kt_theory.policies.table import Storage


_DRAWN = (SAMPLED, SAMPLED_STATED)


def described(result: Storage) -> str:
    """Return the words, then the table."""
    return "\n".join([*sentences(result), "", shown(result)])


def sentences(result: Storage) -> list[str]:
    """Return what matters most first: what the usual policy loses, what is cheapest, how sure."""
    found = [
        f"{_positions(result.positions)}, {result.labels:,} labels; {widths(result.labels)}, "
        "values 4 bytes unless they are rounded or quantised."
    ]
    found += _loss(result)
    found += _goal(result)
    found += result.notes
    found.append(_sure(result))
    found += _infinite(result)
    found += _visits(result)
    return found + without_row(result.skipped)


def _row(result: Storage, name: str) -> Any:
    return result.frame[result.frame["policy"] == name].iloc[0]


def _policy(result: Storage, name: str) -> Any:
    return next(policy for policy in result.policies if policy.name == name)


def _range(low: float, high: float) -> str:
    """Return one number where two are equal to four digits."""
    one, other = f"{low:.4g}", f"{high:.4g}"
    return one if one == other else f"{one} to {other}"


def _loss(result: Storage) -> Iterator[str]:
    name = usual(result)
    row = _row(result, name)
    tv = _range(row.tv_lower, row.tv_upper)
    accepted = _range(1.0 - row.tv_upper, 1.0 - row.tv_lower)
    yield (
        f"{name} ({_policy(result, name).words}) takes {row.bytes:,.4g} bytes a position and "
        f"loses TV {tv} on average: {accepted} of a student's drafts are accepted. At most "
        f"{row.tv_q95:.4g} is lost at 95 % of the positions, {row.tv_max:.4g} at the worst."
    )


def _goal(result: Storage) -> Iterator[str]:
    if result.goal is None:
        return
    name = result.cheapest
    if name is None:
        best = result.frame.sort_values(["tv_upper", "bytes"]).iloc[0]
        yield (
            f"No policy here is sure to lose at most TV {result.goal:g}: the best, {best.policy}, "
            f"loses up to {best.tv_upper:.4g}."
        )
        return
    row = _row(result, name)
    yield (
        f"The cheapest that loses at most TV {result.goal:g}: {name} "
        f"({_policy(result, name).words}), {row.bytes:,.4g} bytes a position, TV "
        f"{_range(row.tv_lower, row.tv_upper)}."
    )


def _sure(result: Storage) -> str:
    if result.hidden > 0.0:
        return (
            f"The dump hides a mass of {result.hidden:.3g} a position on average: where tv_lower "
            "and tv_upper differ, both hold for every way in which the hidden labels can share it."
        )
    frame = result.frame
    wide = frame[frame["tv_upper"] - frame["tv_lower"] > 1e-9]
    if wide.empty:
        return "Losses are exact for the rows as they are given."
    names = ", ".join(wide["policy"])
    return (
        "Losses are exact for the rows as they are given, but for proved intervals, tv_lower to "
        f"tv_upper: {names}."
    )


def _infinite(result: Storage) -> Iterator[str]:
    some = result.frame[result.frame["kl_infinite"] > 0.0]
    if not some.empty:
        yield (
            f"KL(p||q) is, or may be, infinite under {len(some)} of {len(result.frame)} policies: "
            "a label of positive probability gets 0 (kl_infinite is the share of such positions)."
        )


def _visits(result: Storage) -> Iterator[str]:
    if result.repeated is not None:
        yield (
            f"A context comes {result.repeated:.3g} times on average in this dump; losses are "
            f"those after {_times(result.visits)} (visits=m for others)."
        )
    elif any(policy.kept.number in _DRAWN for policy in result.policies):
        yield f"Losses are those after {_times(result.visits)} of a context."
    if result.crossing is not None:
        yield result.crossing.words


def _positions(number: int) -> str:
    return f"{number:,} position{'s' if number > 1 else ''}"


def _times(visits: int) -> str:
    return f"{visits:,} visit{'s' if visits > 1 else ''}"


def shown(result: Storage) -> str:
    """Return the table as it is printed: fewest bytes first, four digits."""
    frame = result.frame.sort_values(["bytes", "tv_upper"], kind="stable")
    table = frame[["policy", "bytes"]].copy()
    table["tv"] = [_range(*pair) for pair in zip(frame["tv_lower"], frame["tv_upper"], strict=True)]
    table["tv_q95"], table["tv_max"] = frame["tv_q95"], frame["tv_max"]
    table["kl"] = [_range(*pair) for pair in zip(frame["kl_lower"], frame["kl_upper"], strict=True)]
    table["acceptance"] = frame["acceptance"]
    text: str = table.to_string(index=False, float_format="{:.4g}".format)
    return text


def usual(result: Storage) -> str:
    """Return the policy that people use most, of those in the table: `USUAL`, or the first that
    divides the most probable labels by their sum, or the first.
    """
    names = [policy.name for policy in result.policies]
    if USUAL.name in names:
        return USUAL.name
    alike = [p.name for p in result.policies if p.kept.number == USUAL.kept.number]
    return max(alike, key=_size, default=names[0])


def _size(name: str) -> tuple[bool, int, str]:
    """Order by k, plain values first."""
    digits = "".join(letter for letter in name.split(")")[0] if letter.isdigit())
    return (" " not in name, int(digits or 0), name)


def widths(labels: int) -> str:
    """Return in words how wide numbers of labels are."""
    size = id_bytes(labels)
    return f"numbers of labels take {size} byte{'s' if size > 1 else ''} (A = {labels:,})"
