"""The planner: how many queries a copy within a total variation takes, at every access level, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from kt_theory.access import Access
from kt_theory.planning import levels as plan_levels
from kt_theory.planning import proofs
from kt_theory.planning import records as plan_records
from kt_theory.planning import teachers as plan_teachers
from kt_theory.planning.estimate import WEAK
from kt_theory.planning.levels import Level
from kt_theory.planning.search import Enough
from kt_theory.teacher import Teacher
from kt_theory.transfer.sets import TransferSet
from kt_theory.validation import LARGEST_COUNT, unit_interval


@dataclass(frozen=True)
class SampleSize:
    """How many queries suffice, and how few cannot.

    Attributes
    ----------
    n : int or None
        Queries that suffice; None where there is no such number up to 2^53, or where records determine none. For a
        transfer set: further queries.
    lower : int
        With fewer queries no student succeeds on every teacher. For one teacher in hand: fewer do not suffice for the
        student named in `certificate` (another student may know this teacher). For a transfer set 0: nothing is proved.
    reason : str
        Why n is None; otherwise empty.
    certificate : str
        What proves that n suffices, and how sharp it is; an estimate says so: "estimated, not proved".
    bracket_tried : tuple of (n, value)
        The bounds or risks evaluated on the way to n, in ascending n.
    access : str
    tv : float
    confidence : float or None
        None: TV in mean at most tv. Otherwise TV at most tv with at least this probability.
    floor : float
        What no number of queries removes; above 0 only where the access hides something of rows for good. For a teacher
        in hand it is that of the level's student.
    interval : tuple of int, or None
        For a transfer set, further queries: with 90 % probability the teacher behind the records takes a number in it.
        A proved n, which is for every teacher, may lie above it.
    weak : bool
        The records determine the interval only: n is None, and `reason` says why.
    """

    n: int | None
    lower: int
    reason: str
    certificate: str
    bracket_tried: tuple[tuple[int, float], ...]
    access: str
    tv: float
    confidence: float | None
    floor: float = 0.0
    interval: tuple[int, int] | None = None
    weak: bool = False


def samples_needed(
    access: str | Access = "soft",
    inputs: Any = None,
    labels: Any = None,
    tv: Any = 0.05,
    *,
    teacher: Any = None,
    confidence: Any = None,
    k: Any = None,
    graph: Any = None,
    hops: Any = 1,
    labels_per_query: Any = 1,
) -> SampleSize:
    """Return the number of queries that a copy within total variation `tv` takes.

    In the worst case over all teachers and input laws of the given size: n is the least number with a proved
    upper(n) <= tv, `lower` the least with a proved lower(n) <= tv, of min over students max over teachers E TV. As the
    minimax risk does not increase in n (a student may ignore samples), every evaluated n is a certificate for its side.

    With `confidence` 1-delta, n is from proved bounds on P(TV > tv) <= delta; and since such a student has
    E TV <= tv + delta (1 - tv), `lower` is that of this larger mean. Estimates are of the mean: with a confidence, and
    neither a certificate nor a proof, n is None, and `reason` has the estimate in mean.

    With a teacher, n is the last crossing of the level's student on it: risk(n) <= tv < risk(n-1), by simulation where
    an exact risk is dear or unknown.

    With a transfer set, n is how many more queries are needed: none where the certificate of the copy in hand
    (`kt.fit`) is at most tv; no number where the records contradict themselves by more than tv. Otherwise, given all
    sizes (`inputs`, and `labels` unless the set declares them), a proved number for every teacher, from what the
    records have not resolved yet. Otherwise an estimate: the median over teachers drawn given the records, all levels
    from the same draws, so that a level never needs more than one that reveals less; its `certificate` begins with
    "estimated, not proved". `interval` says how sure it is. Where the stated probabilities leave over what no named
    label can take, one more label is planned for.

    "top_k_only" shows the k most probable labels with their probabilities, whatever was sampled, and nothing else: the
    tail of a row is never learnt. The student shares its mass equally; the floor that this leaves, in the worst case
    max_m m/(k+m) (1 - m/(A-k)), may exceed tv, and then no number of queries suffices. Distorted answers leave a floor
    too, but where labels are sampled these alone tell all in the end: then n is at most that of hard labels. Where tv
    lies between the floor that is proved for every student and that of the level's own, `reason` says that it is not
    known to be possible.

    Parameters
    ----------
    access : str or Access
        "hard", "partial", "top_k" (with k), "top_k_only" (with k), "soft" or "gradient" (with graph and hops); a level
        of `kt_theory.access`, such as `rounded(0.1)` or `jacobian(features)`; or its name as tables print it, such as
        "top_k_only(3)", "rounded(0.1)" or "noisy(0.5) top_k(5)".
    inputs, labels : int
        S and A; with a teacher they may be omitted, and with `graph` so may inputs.
    tv : float
        In (0, 1).
    teacher : Teacher, DataFrame, array_like or TransferSet, optional
        A DataFrame has a column of probabilities for each label, and may have `rho` and `input`; an array is (S, A).
    confidence : float, optional
        1-delta in (0, 1).
    k, graph, hops, labels_per_query
        As for `minimax_risk`; n counts queries.

    Returns
    -------
    SampleSize

    Raises
    ------
    ValueError
        Naming the argument that is missing, out of range, or of another level.

    References
    ----------
    Zhao and Zhu (2023), Theorems 3.1 to 5.2, sharpened by `minimax_risk` and `missing_mass_bounds`.

    Examples
    --------
    >>> from kt_theory.planning.sizes import samples_needed
    >>> found = samples_needed(access="soft", inputs=1000, labels=50, tv=0.05)
    >>> found.n == found.lower
    True
    """
    return needed_at(named(access, k, graph, hops, labels_per_query), inputs, labels, tv, teacher, confidence)


def named(
    access: Any, k: Any = None, graph: Any = None, hops: Any = 1, labels_per_query: Any = 1
) -> Callable[..., Level]:
    """Return a function of inputs, labels and teacher that gives the level at its sizes."""
    return partial(plan_levels.level, access, k=k, graph=graph, hops=hops, times=labels_per_query)


def needed_at(
    sized: Callable[..., Level],
    inputs: Any,
    labels: Any,
    tv: Any,
    teacher: Any,
    confidence: Any,
    tops: Sequence[int] = plan_records.TOPS,
) -> SampleSize:
    """Return `samples_needed` of the level that `sized` gives at its sizes, beside top_k of each k of `tops`."""
    goal = unit_interval(tv, "tv")
    sure = None if confidence is None else unit_interval(confidence, "confidence")
    source = plan_records.as_source(teacher)
    if isinstance(source, TransferSet):
        return _for_records(source, partial(sized, teacher=None), inputs, labels, goal, sure, tops)
    level = sized(inputs, labels, teacher=source)
    return _for_all(level, goal, sure) if source is None else _for_teacher(level, source, goal, sure)


def _for_all(level: Level, tv: float, sure: float | None) -> SampleSize:
    """Answer for the worst teacher."""
    if tv >= 1.0 - 1.0 / level.labels:
        certificate = f"{plan_records.UNIFORM} is within 1-1/A of every teacher"
        return SampleSize(0, 0, "", certificate, ((0, 1.0 - 1.0 / level.labels),), level.name, tv, sure)
    mean = tv if sure is None else tv + (1.0 - sure) * (1.0 - tv)
    floor, upper_floor = proofs.floors(level)
    if floor > mean:
        return _impossible(level, tv, sure, floor)
    enough = proofs.enough(level, tv) if sure is None else proofs.enough_surely(level, tv, 1.0 - sure)
    lower = enough.first if sure is None and enough.exact else proofs.too_few(level, mean, enough.n)
    found = _result(level, enough, min(lower, LARGEST_COUNT + 1), tv, sure, floor)
    if enough.n is not None or upper_floor <= tv:
        return found
    reason = (
        f"{level.name}: not known to be possible, the proved upper floor is TV = {min(upper_floor, 1.0):.6g} and the "
        f"proved lower one {floor:.6g}"
    )
    return replace(found, reason=reason)


def _result(level: Level, enough: Enough, lower: int, tv: float, sure: float | None, floor: float = 0.0) -> SampleSize:
    reason = enough.reason
    if enough.n is None and not reason:
        least = f"no student succeeds with fewer than {lower}" if lower else "nothing is proved from below"
        reason = f"{level.name}: more than 2^53 queries, beyond which float64 cannot count; {least}"
    weak = WEAK in reason
    return SampleSize(
        enough.n, lower, reason, enough.certificate, enough.tried, level.name, tv, sure, floor, enough.interval, weak
    )


def _impossible(level: Level, tv: float, sure: float | None, floor: float) -> SampleSize:
    tails = level.access == "top_k_only" and not level.distorted
    hides = "the tails that it hides leave" if tails else "what it hides leaves"
    way_out = "a larger k, or the sampled label's probability too (top_k)"
    if not tails:
        way_out = "sampled labels, or answers that show more"
    reason = (
        f"{level.name}: impossible, {hides} TV = {floor:.6g} > {tv:g} after any number of queries; it takes {way_out}"
    )
    certificate = "1/2 sum_s rho_s sum_tail |p - M/(A-k)|, M the mass of the tail, equally shared"
    if level.access == "argmax":
        certificate = "point masses and uniform rows of the same most probable label are told apart by no answer"
    if level.distorted:
        certificate = "the tails that are hidden, or pairs of rows that are shown alike"
    return SampleSize(None, LARGEST_COUNT + 1, reason, certificate, (), level.name, tv, sure, floor)


def _for_records(
    transfer: TransferSet,
    sized: Callable[..., Level],
    inputs: Any,
    labels: Any,
    tv: float,
    sure: float | None,
    tops: Sequence[int],
) -> SampleSize:
    plan_records.refuse_sizes(transfer, inputs, labels)
    known = inputs is not None and (labels is not None or transfer.closed)
    level = sized(
        inputs=len(transfer.input_names) if inputs is None else inputs,
        labels=plan_records.labels_of(transfer) if labels is None else labels,
    )
    size = None if inputs is None else level.inputs
    needed = plan_records.more_needed(transfer, level, tv, sure, size, known, tops)
    return _result(level, needed, 0, tv, sure)


def _for_teacher(level: Level, teacher: Teacher, tv: float, sure: float | None) -> SampleSize:
    """Answer for one teacher and the level's student; that of hard labels where a distortion hides too much."""
    floor = plan_teachers.floor_of(level, teacher)
    if floor > tv:
        if level.greedy or not level.distorted:
            return _impossible(level, tv, sure, floor)
        hard = _for_teacher(plan_teachers.hard_of(level), teacher, tv, sure)
        words = f"its own student keeps TV = {floor:.6g}; of the labels that are sampled too: {hard.certificate}"
        return replace(hard, access=level.name, certificate=words)
    if sure is not None:
        return _result(level, plan_teachers.enough_surely_on(level, teacher, tv, 1.0 - sure), 0, tv, sure, floor)
    enough, lower = plan_teachers.enough_on(level, teacher, tv)
    return _result(level, enough, lower, tv, None, floor)
