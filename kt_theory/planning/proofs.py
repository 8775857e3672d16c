"""What is proved of a level for every teacher: n that suffice, in mean or with confidence, n that cannot, floors."""

from __future__ import annotations

from dataclasses import replace

from kt_theory.planning.bounds import plain_enough, plain_too_few, surely_enough
from kt_theory.planning.channels import channel_enough, channel_too_few, lower_floor, upper_floor
from kt_theory.planning.hard import joint_bound
from kt_theory.planning.levels import Level
from kt_theory.planning.search import FINE, Enough, first_below
from kt_theory.planning.several import bunched_enough, bunched_too_few
from kt_theory.validation import LARGEST_COUNT


def enough(level: Level, tv: float) -> Enough:
    """Return the least n with a proved upper bound of the minimax risk in mean of at most tv."""
    if level.distorted:
        return channel_enough(level, tv)
    single = plain_enough(level, tv)
    return single if level.times == 1 else bunched_enough(level, tv, single)


def too_few(level: Level, tv: float, n: int | None) -> int:
    """Return a number of queries below which no student has worst-case mean risk at most tv; `n` suffices."""
    if level.distorted:
        return channel_too_few(level, tv)
    if level.times == 1:
        return plain_too_few(level, tv, n)
    alone, soft = level.inputs == 1, replace(level, access="soft", times=1)
    return bunched_too_few(level, tv, plain_too_few(level, tv, None, quick=not alone), plain_too_few(soft, tv, n), n)


def floors(level: Level) -> tuple[float, float]:
    """Return (lower, upper): what no student gets rid of however large n is, and what the level's student leaves."""
    if level.distorted:
        return lower_floor(level), upper_floor(level) if level.greedy else 0.0
    return level.tail_floor, level.tail_floor


def enough_surely(level: Level, tv: float, delta: float) -> Enough:
    """Return the least n with a proved P(TV > tv) <= delta for every teacher."""
    if level.distorted:
        return _channel_surely(level, tv, delta)
    if level.access == "jacobian":
        return plain_enough(level, tv)
    if level.access == "hard":
        found = _hard_surely(level, tv, delta)
        return found if level.times == 1 else _several_surely(level, tv, delta, found)
    if level.access == "non_target":
        return _least(_hard_surely(level, tv, delta), _by_markov(level, tv, delta))
    if level.whole_rows or level.greedy or level.access in ("gradient", "top_k_only"):
        return covered(level, tv, delta, level.tail_floor)
    return covered(level, tv, delta, 0.0, points=level.inputs * level.labels)


def covered(
    level: Level, tv: float, delta: float, floor: float, *, spread: float | None = None, points: int | None = None
) -> Enough:
    """Return where F + D M <= tv, M the Chernoff bound of the missing mass of the inputs, or of other points.

    D = `spread`, 1-1/A-F if omitted, is what an unvisited row may lose beyond a visited one.
    """
    from kt_theory.exact.missing_mass import missing_mass_bounds

    atoms, most = level.rows if points is None else points, 1.0 - 1.0 / level.labels
    more = most - floor if spread is None else spread
    mass = "the inputs" if points is None else "the S A pairs, which bounds the loss of equal sharing"
    words = f"(1-1/A) times the Chernoff bound of the missing mass of {mass}"
    if floor:
        words = f"floor F = {floor:.6g}, and {more:.4g} times the Chernoff bound of the missing mass of the inputs"
    if atoms > LARGEST_COUNT or floor > tv:
        return Enough(None, words, ())

    def loss(n: int) -> float:
        missing = missing_mass_bounds(atoms, n, delta).sharper if n and atoms > 1 else 0.0
        return floor + more * missing if n else most

    found = first_below(
        loss, tv, start=surely_enough(level, tv), digits=FINE, power=None if floor else 1.0,
    )  # fmt: skip
    return Enough.of(found, words + ", every teacher")


def _hard_surely(level: Level, tv: float, delta: float) -> Enough:
    S, A = level.inputs, level.labels
    start = surely_enough(replace(level, access="hard"), tv)
    found = first_below(lambda n: joint_bound(S, A, n, delta), tv, start=start, digits=FINE, power=2.0)
    words = "E TV of the joint frequencies and of the inputs' plus bounded differences, ce_sgl, every teacher"
    return Enough.of(found, words)


def _several_surely(level: Level, tv: float, delta: float, single: Enough) -> Enough:
    """Return the better of one label per query, on one input m-fold samples, and Markov's inequality."""
    if level.inputs == 1:
        return bunched_enough(level, tv, single)
    return _least(single, _by_markov(level, tv, delta))


def _by_markov(level: Level, tv: float, delta: float) -> Enough:
    found = channel_enough(level, tv * delta, hard_too=False) if level.distorted else enough(level, tv * delta)
    return replace(found, certificate=f"Markov's inequality, E TV <= {tv * delta:.4g}: {found.certificate}")


def _channel_surely(level: Level, tv: float, delta: float) -> Enough:
    """Return the least of three proofs: the floor and coverage, hard labels, and Markov's inequality on the mean."""
    most = 1.0 - 1.0 / level.labels
    floor = min(upper_floor(level), most)
    found = Enough(None, f"nothing is proved with confidence for {level.name}", ())
    if floor < most:
        found = _least(found, covered(level, tv, delta, floor))
    if level.greedy:
        return found if floor < most else _least(found, _by_markov(level, tv, delta))
    return _least(_least(found, _hard_surely(level, tv, delta)), _by_markov(level, tv, delta))


def _least(one: Enough, other: Enough) -> Enough:
    return other if other.n is not None and (one.n is None or other.n < one.n) else one
