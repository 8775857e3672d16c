"""Policies by name: "even_tail(50)", "renormalised(50) rounded(0.1)", "sampled(50, 0.8)"."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from kt_theory.catalogue.grammar import Call, Value, parse, split
from kt_theory.policies.kept import (
    AllLabels,
    EvenTail,
    Kept,
    Renormalised,
    Sampled,
    SampledStated,
    TailMass,
    TopP,
)
from kt_theory.policies.policy import MOST_DRAWS, Policy
from kt_theory.policies.values import (
    FLOATS,
    LARGEST_STEP,
    LEAST_STEP,
    MOST_BITS,
    Steps,
    Units,
    Values,
)
from kt_theory.validation import (
    entries_of,
    number_between,
    positive,
    shown,
    unit_interval,
    unknown_name,
    whole_number,
)


@dataclass(frozen=True)
class _Word:
    """A name within a policy's name.

    Attributes
    ----------
    parameters : tuple of str
        In order; those that end in "?" can be left out.
    make : callable
        From their values to the part of the policy.
    example : str
    """

    parameters: tuple[str, ...]
    make: Callable[..., Kept | Values | float]
    example: str


def _drawn(draws: Any, t: Any, probabilities: Any) -> Kept:
    number = whole_number(draws, "N", low=1, high=MOST_DRAWS)
    power = 1.0 if t is None else number_between(t, "t", low=1e-3, high=1.999)
    stated = "false" if probabilities is None else str(probabilities).lower()
    if stated not in ("true", "false"):
        raise ValueError(f"probabilities = {shown(probabilities)}: must be true or false")
    if stated == "false":
        return Sampled(number, power)
    if power != 1.0:
        raise ValueError("t and probabilities=true: draws with their probabilities need no weights")
    return SampledStated(number)


def _first(kind: Callable[[int], Kept]) -> Callable[[Any], Kept]:
    def make(k: Any) -> Kept:
        return kind(whole_number(k, "k", low=1))

    return make


def _top_p(p: Any) -> Kept:
    return TopP(unit_interval(p, "p"))


def _rounded(step: Any) -> Values:
    return Steps(positive(step, "d", low=LEAST_STEP, high=LARGEST_STEP))


def _quantised(bits: Any) -> Values:
    return Units(whole_number(bits, "b", low=1, high=MOST_BITS))


def _temperature(tau: Any) -> float:
    return positive(tau, "tau", low=1e-2, high=1e2)


WORDS = {
    "soft": _Word((), AllLabels, "soft"),
    "renormalised": _Word(("k",), _first(Renormalised), "renormalised(50)"),
    "even_tail": _Word(("k",), _first(EvenTail), "even_tail(50)"),
    "tail_mass": _Word(("k",), _first(TailMass), "tail_mass(50)"),
    "top_p": _Word(("p",), _top_p, "top_p(0.99)"),
    "sampled": _Word(("N", "t?", "probabilities?"), _drawn, "sampled(50, probabilities=true)"),
    "rounded": _Word(("d",), _rounded, "rounded(0.1)"),
    "quantised": _Word(("b",), _quantised, "quantised(8)"),
    "temperature": _Word(("tau",), _temperature, "temperature(2)"),
}
"""All that a policy's name can be made of."""


def policy(name: str | Policy) -> Policy:
    """Return the policy of a name.

    Parameters
    ----------
    name : str or Policy
        One of what is kept, soft, renormalised(k), even_tail(k), tail_mass(k), top_p(p),
        sampled(N), sampled(N, t), sampled(N, probabilities=true), and, behind it, how: rounded(d)
        or quantised(b), and temperature(tau). What is kept is "soft", whole rows, if omitted.

    Raises
    ------
    ValueError
        With what is wrong, and an example.
    """
    if isinstance(name, Policy):
        return name
    try:
        parts = list(_calls(parse(str(name))))
    except ValueError:
        raise ValueError(f"policies = {shown(name)}: write it as {_EXAMPLE}") from None
    made = [_made(part, name) for part in parts]
    kept = [part for part in made if isinstance(part, Kept)]
    values = [part for part in made if isinstance(part, Values)]
    taus = [part for part in made if isinstance(part, float)]
    if len(kept) > 1 or len(values) > 1 or len(taus) > 1:
        raise ValueError(
            f"policies = {shown(name)}: says twice what is kept or how; write it as {_EXAMPLE}"
        )
    kinds = (*kept, AllLabels())[0], (*values, FLOATS)[0]
    found = Policy(*kinds)
    if values and not found.kept.takes_values:
        raise ValueError(f"policies = {shown(name)}: draws are stored as they are, {_EXAMPLE}")
    if taus and not found.kept.takes_temperature:
        raise ValueError(
            f"policies = {shown(name)}: a temperature goes with soft, renormalised(k) or top_p(p)"
        )
    return replace(found, tau=taus[0]) if taus else found


_EXAMPLE = "'renormalised(50) rounded(0.1)'"


def policies(names: str | Policy | Iterable[str | Policy]) -> list[Policy]:
    """Return the policies of several names: a list, or a text with commas between them.

    Raises
    ------
    ValueError
        If there are none, or one comes twice.
    """
    if isinstance(names, Policy):
        return [names]
    listed = split(names) if isinstance(names, str) else entries_of(names, "policies")
    found = [policy(name) for name in listed]
    if not found:
        raise ValueError(f"policies = []: give at least one, such as {_EXAMPLE}")
    seen: set[str] = set()
    for one in found:
        if one.name in seen:
            raise ValueError(f"policies: {one.name!r} is named twice")
        seen.add(one.name)
    return found


def _calls(value: Value) -> Iterable[Call]:
    """Yield the words of a phrase one by one."""
    if not isinstance(value, Call):
        yield Call(str(value), ())
        return
    inner = [given for key, given in value.arguments if key == "of"]
    yield Call(value.name, tuple(pair for pair in value.arguments if pair[0] != "of"))
    for one in inner:
        yield from _calls(one)


def _made(call: Call, name: Any) -> Kept | Values | float:
    word = WORDS.get(call.name)
    if word is None:
        raise unknown_name("policy", call.name, WORDS)
    given: dict[str, Any] = dict.fromkeys(part.rstrip("?") for part in word.parameters)
    for key, value in call.arguments:
        free = [part for part, held in given.items() if held is None]
        place = key or next(iter(free), "")
        if place not in free:
            raise ValueError(f"policies = {shown(name)}: write it as {word.example!r}")
        given[place] = value
    if any(given.get(part) is None for part in word.parameters if not part.endswith("?")):
        raise ValueError(f"policies = {shown(name)}: write it as {word.example!r}")
    try:
        return word.make(*given.values())
    except ValueError as error:
        raise ValueError(f"policies = {shown(name)}: {error}") from None
