"""How many queries a copy within a total variation takes: a bracket or a risk, inverted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from kt_theory.access import Access
from kt_theory.catalogue import level as named_level
from kt_theory.limits.bracket import Bracket, enough, most_too_few
from kt_theory.limits.crossing import Enough
from kt_theory.limits.losses import InLoss, enough_in, too_few_in
from kt_theory.losses import ACCEPTANCE, TV, Loss, as_loss
from kt_theory.minimax import BESIDE, ORDER, Asked
from kt_theory.planner import records as plan_records
from kt_theory.planner import teachers as plan_teachers
from kt_theory.planner.estimate import WEAK
from kt_theory.students import Student
from kt_theory.teacher import Teacher
from kt_theory.transfer.sets import TransferSet
from kt_theory.validation import LARGEST_COUNT, positive, shown, unit_interval


@dataclass(frozen=True)
class SampleSize:
    """How many queries suffice, and how few cannot.

    Attributes
    ----------
    n : int or None
        Queries that suffice; None where there is no such number up to 2^53, or where records
        determine none. For a transfer set: further queries.
    lower : int
        With fewer queries no student succeeds on every teacher. For one teacher in hand: fewer do
        not suffice for the student named in `certificate` (another student may know this teacher).
        For a transfer set 0: nothing is proved.
    reason : str
        Why n is None; otherwise empty.
    certificate : str
        What proves that n suffices, and how sharp it is; an estimate says so: "estimated, not
        proved".
    bracket_tried : tuple of (n, value)
        The bounds or risks evaluated on the way to n, in ascending n.
    access : str
    tv : float
    confidence : float or None
        None: TV in mean at most tv. Otherwise TV at most tv with at least this probability.
    floor : float
        What no number of queries removes; above 0 only where the access hides something of rows for
        good. For a teacher in hand it is that of the level's student.
    interval : tuple of int, or None
        For a transfer set, further queries: with 90 % probability the teacher behind the records
        takes a number in it. A proved n, which is for every teacher, may lie above it.
    weak : bool
        The records determine the interval only: n is None, and `reason` says why.
    loss : str
        In which loss `tv` is the goal, where it is not total variation.
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
    loss: str = "tv"


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
    loss: str | Loss = "tv",
    risk: Any = None,
) -> SampleSize:
    """Return the number of queries that a copy within total variation `tv` takes, or one of at most
    `risk` in another `loss`.

    In the worst case over all teachers and input laws of the given size: n is a number with a
    proved upper(n) <= tv, `lower` one below which a proved lower(n) > tv, of min over students max
    over teachers E TV. As the minimax risk does not increase in n (a student may ignore samples),
    every evaluated n is a certificate for its side. Of soft labels, gradients and one query for all
    n is the least number with the bound, exact to the last query. Bounds that take long to compute
    are evaluated at some n only, and `certificate` then says how close to the least one n is, such
    as "n within 1/1000 of it".

    With `confidence` 1-delta, n is from proved bounds on P(TV > tv) <= delta; and since such a
    student has E TV <= tv + delta (1 - tv), `lower` is that of this larger mean. Estimates are of
    the mean: with a confidence, and neither a certificate nor a proof, n is None, and `reason` has
    the estimate in mean.

    With a teacher, n is the last crossing of the level's student on it: risk(n) <= tv < risk(n-1),
    by simulation where an exact risk is dear or unknown.

    With a transfer set, n is how many more queries are needed: none where the certificate of the
    copy in hand (`kt.fit`) is at most tv; no number where the records contradict themselves by more
    than tv. Otherwise, given all sizes (`inputs`, and `labels` unless the set declares them), a
    proved number for every teacher, from what the records have not resolved yet. Otherwise an
    estimate: the median over teachers drawn given the records, all levels from the same draws, so
    that a level never needs more than one that reveals less; its `certificate` begins with
    "estimated, not proved". `interval` says how sure it is. Where the stated probabilities leave
    over what no named label can take, one more label is planned for.

    "top_k_only" shows the k most probable labels with their probabilities, whatever was sampled,
    and nothing else: the tail of a row is never learnt. The student shares its mass equally; the
    floor that this leaves, in the worst case max_m m/(k+m) (1 - m/(A-k)), may exceed tv, and then
    no number of queries suffices. Distorted answers leave a floor too, but where labels are sampled
    these alone tell all in the end: then n is at most that of hard labels. Where tv lies between
    the floor that is proved for every student and that of the level's own, `reason` says that it is
    not known to be possible.

    Parameters
    ----------
    access : str or Access
        "hard", "partial", "top_k" (with k), "top_k_only" (with k), "soft" or "gradient" (with graph
        and hops); a level of `kt_theory.access`, such as `rounded(0.1)` or `jacobian(features)`; or
        its name as tables print it, such as "top_k_only(3)", "rounded(0.1)" or "noisy(0.5)
        top_k(5)".
    inputs, labels : int
        S and A; with a teacher they may be omitted, and with `graph` so may inputs.
    tv : float
        In (0, 1).
    teacher : Teacher, DataFrame, array_like or TransferSet, optional
        A DataFrame has a column of probabilities for each label, and may have `rho` and `input`; an
        array is (S, A).
    confidence : float, optional
        1-delta in (0, 1).
    k, graph, hops, labels_per_query
        As for `minimax_risk`; n counts queries.
    loss : str or Loss
        As for `minimax_risk`. In other losses than tv and acceptance n is for every teacher and in
        mean: without `teacher` and `confidence`.
    risk : float, optional
        The goal where `loss` is not tv, in its place: above 0; of acceptance the least, in (0, 1).

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
    >>> from kt_theory.planner.sizes import samples_needed
    >>> found = samples_needed(access="soft", inputs=1000, labels=50, tv=0.05)
    >>> found.n == found.lower
    True
    """
    found = asked(access, k, graph, hops, labels_per_query)
    measure = as_loss(loss)
    if measure == TV:
        if risk is not None:
            raise ValueError(f"risk = {shown(risk)}: the goal in loss 'tv' is tv=")
        return needed_at(found, inputs, labels, tv, teacher, confidence)
    if risk is None:
        raise ValueError(f"risk is missing: the goal in loss {measure.name!r} is risk=, not tv=")
    if measure == ACCEPTANCE:
        gap = 1.0 - unit_interval(risk, "risk")
        return needed_at(found, inputs, labels, gap, teacher, confidence)
    for name, given in (("teacher", teacher), ("confidence", confidence)):
        if given is not None:
            raise ValueError(
                f"{name} is given: in loss {measure.name!r} n is for every teacher and in mean; "
                f"leave {name} out, or give loss='tv'"
            )
    return _in_loss(sized(found, inputs, labels, None), measure, positive(risk, "risk"))


def _in_loss(bracket: Bracket, loss: Loss, risk: float) -> SampleSize:
    """Answer for the worst teacher in another loss."""
    proved = enough_in(bracket, loss, risk)
    lower = min(too_few_in(bracket, loss, risk, proved), LARGEST_COUNT + 1)
    floor = InLoss.of(bracket, loss).floor
    return replace(_result(bracket, proved, lower, risk, None, floor), loss=loss.name)


def asked(access: Any, k: Any, graph: Any, hops: Any, labels_per_query: Any) -> Asked:
    """Return the level that is asked for: an object, a name with parameters beside it, or as tables
    print it.
    """
    level = access
    if isinstance(access, str) and access not in (*ORDER, *BESIDE):
        level = named_level(access)
    if isinstance(level, Access) and (k is not None or graph is not None or hops != 1):
        raise ValueError(f"access {level.name!r} says all itself: leave out k, graph and hops")
    return Asked.of(level, k, graph, hops, labels_per_query)


def needed_at(
    level: Asked,
    inputs: Any,
    labels: Any,
    tv: Any,
    teacher: Any,
    confidence: Any,
    tops: Sequence[int] = plan_records.TOPS,
) -> SampleSize:
    """Return `samples_needed` of a level, beside top_k of each k of `tops`."""
    goal = unit_interval(tv, "tv")
    sure = None if confidence is None else unit_interval(confidence, "confidence")
    source = plan_records.as_source(teacher)
    if isinstance(source, TransferSet):
        return _for_records(level, source, inputs, labels, (goal, sure), tops)
    bracket = sized(level, inputs, labels, source)
    if source is None:
        return _for_all(bracket, goal, sure)
    return _for_teacher(level, bracket, source, goal, sure)


def needed_by(student: Student, teacher: Teacher, tv: Any, confidence: Any = None) -> SampleSize:
    """Return how many queries a student of any kind needs on one teacher: from its exact risk, or
    by simulation where that is dear or unknown.

    Parameters
    ----------
    student : Student
    teacher : Teacher
    tv : float
    confidence : None
        Of losses of other students than a level's own nothing is known but the mean.

    Raises
    ------
    ValueError
        If a confidence is given, or the student is not for this teacher.
    """
    goal = unit_interval(tv, "tv")
    if confidence is not None:
        raise ValueError(
            f"confidence = {shown(confidence)}: n of student {student.name!r} is in mean: leave "
            "confidence out, or students"
        )
    student.refuse_other_sizes((teacher.inputs, teacher.labels))
    level = asked(student.access, None, None, 1, 1)
    bracket = sized(level, None, None, teacher)
    one = plan_teachers.OnTeacher(level, bracket, teacher, student)
    if (kept := one.endless) > goal:
        reason = (
            f"impossible, {student.name} keeps TV = {kept:.6g} > {goal:g} on this teacher after "
            "any number of queries"
        )
        certificate = f"exact risk of {student.name} on this teacher as n grows"
        beyond = LARGEST_COUNT + 1
        return SampleSize(
            None, beyond, reason, certificate, (), student.name, goal, None, min(kept, 1.0)
        )
    found, lower = one.enough(goal)
    if found.n is None:
        words = "more than 2^53 queries, beyond which float64 cannot count: does it converge?"
        found = replace(found, reason=words)
    return replace(_result(bracket, found, lower, goal, None, 0.0), access=student.name)


def sized(level: Asked, inputs: Any, labels: Any, teacher: Teacher | None) -> Bracket:
    """Return the bracket of a level; a teacher or the level itself may say how many inputs and
    labels there are.
    """
    sizes = {"inputs": inputs, "labels": labels}
    held = {} if teacher is None else {"inputs": teacher.inputs, "labels": teacher.labels}
    own = level.level.reach.inputs
    for name, value in sizes.items():
        if name in held and value not in (None, held[name]):
            raise ValueError(f"{name} = {shown(value)}: the teacher has {held[name]}; omit {name}")
        if value is None and name in held:
            sizes[name] = held[name]
        if sizes[name] is None and not (name == "inputs" and own is not None):
            raise ValueError(f"{name} is missing: give inputs= and labels=, or teacher=")
    return level.sized(sizes["inputs"], sizes["labels"])


def _for_all(bracket: Bracket, tv: float, sure: float | None) -> SampleSize:
    """Answer for the worst teacher."""
    if tv >= bracket.most:
        certificate = f"{plan_records.UNIFORM} is within 1-1/A of every teacher"
        tried = ((0, bracket.most),)
        return SampleSize(0, 0, "", certificate, tried, bracket.name, tv, sure)
    mean = tv if sure is None else tv + (1.0 - sure) * (1.0 - tv)
    if bracket.floor > mean:
        return _impossible(bracket, tv, sure, bracket.floor)
    proved = enough(bracket, tv, sure)
    sharp = sure is None and proved.exact
    lower = proved.first if sharp else most_too_few(bracket, mean, proved.n)
    found = _result(bracket, proved, min(lower, LARGEST_COUNT + 1), tv, sure)
    if proved.n is not None or bracket.own_floor <= tv:
        return found
    reason = (
        f"{bracket.name}: not known to be possible, the proved upper floor is "
        f"TV = {min(bracket.own_floor, 1.0):.6g} and the proved lower one {bracket.floor:.6g}"
    )
    return replace(found, reason=reason)


def _result(
    bracket: Bracket,
    found: Enough,
    lower: int,
    tv: float,
    sure: float | None,
    floor: float | None = None,
) -> SampleSize:
    reason = found.reason
    if found.n is None and not reason:
        least = "nothing is proved from below"
        if lower:
            least = f"no student succeeds with fewer than {lower}"
        beyond = "more than 2^53 queries, beyond which float64 cannot count"
        reason = f"{bracket.name}: {beyond}; {least}"
    return SampleSize(
        found.n,
        lower,
        reason,
        found.certificate,
        found.tried,
        bracket.name,
        tv,
        sure,
        bracket.floor if floor is None else floor,
        found.interval,
        WEAK in reason,
    )


def _impossible(bracket: Bracket, tv: float, sure: float | None, floor: float) -> SampleSize:
    words = bracket.impossible
    reason = (
        f"{bracket.name}: impossible, {words.hides} TV = {floor:.6g} > {tv:g} after any number of "
        f"queries; it takes {words.way_out}"
    )
    return SampleSize(
        None, LARGEST_COUNT + 1, reason, words.certificate, (), bracket.name, tv, sure, floor
    )


def _for_records(
    level: Asked,
    transfer: TransferSet,
    inputs: Any,
    labels: Any,
    goal: tuple[float, float | None],
    tops: Sequence[int],
) -> SampleSize:
    plan_records.refuse_sizes(transfer, inputs, labels)
    known = inputs is not None and (labels is not None or transfer.closed)
    bracket = sized(
        level,
        len(transfer.input_names) if inputs is None else inputs,
        plan_records.labels_of(transfer) if labels is None else labels,
        None,
    )
    size = None if inputs is None else bracket.inputs
    planned = plan_records.Planned.of(level, bracket)
    needed = plan_records.more_needed(transfer, planned, *goal, size, known, tops)
    return _result(bracket, needed, 0, *goal, floor=0.0)


def _for_teacher(
    level: Asked, bracket: Bracket, teacher: Teacher, tv: float, sure: float | None
) -> SampleSize:
    """Answer for one teacher and the level's student; that of hard labels where a distortion hides
    too much.
    """
    one = plan_teachers.OnTeacher(level, bracket, teacher)
    if one.floor > tv:
        if bracket.labels_too is None:
            return _impossible(bracket, tv, sure, one.floor)
        hard = _for_teacher(plan_teachers.HARD_LABELS, bracket.labels_too, teacher, tv, sure)
        own = f"its own student keeps TV = {one.floor:.6g}"
        words = f"{own}; of the labels that are sampled too: {hard.certificate}"
        return replace(hard, access=bracket.name, certificate=words)
    if sure is not None:
        return _result(bracket, one.enough_surely(tv, 1.0 - sure), 0, tv, sure, one.floor)
    found, lower = one.enough(tv)
    return _result(bracket, found, lower, tv, None, one.floor)
