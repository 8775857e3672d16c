"""The theorems of Zhao and Zhu (2023, arXiv 2310.07838), each with its explicit constant and its
regime.

S inputs, A labels, n samples. A lower bound holds for the best student on its worst teacher, an
upper bound for the named student on every teacher. Outside its regime a theorem gives no number.
Where the printed proofs slip, the docstring of the bound says what was repaired; every constant
below is proved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import e, exp, log, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from kt_theory.losses import ACCEPTANCE, TV, as_loss
from kt_theory.numeric import total_variation
from kt_theory.teacher import Teacher, require_teacher
from kt_theory.validation import (
    as_floats,
    positive,
    sample_sizes,
    shown,
    unit_interval,
    unknown_name,
    whole_number,
)

if TYPE_CHECKING:
    import pandas as pd

    from kt_theory.losses import Loss


@dataclass(frozen=True)
class Bound:
    """What one theorem says at one point.

    Attributes
    ----------
    id : str
        Key of `THEOREMS`, such as "3.1".
    access : str
        Access level: "hard", "partial" or "soft"; "any" where it does not matter.
    student : str
        The student bounded; "any" for a bound on the best student.
    kind : str
        "lower", "upper", or "limit" for a value reached as n -> infinity.
    form : str
        "mean", "with probability 1-delta" or "always".
    n : int
        Samples.
    value : float or None
        The total variation, or None where the theorem does not apply.
    formula, regime, reference : str
        What is computed, where it holds, and where it is proved.
    """

    id: str
    access: str
    student: str
    kind: str
    form: str
    n: int
    value: float | None
    formula: str
    regime: str
    reference: str

    @property
    def applies(self) -> bool:
        """Whether the point lies in the theorem's regime."""
        return self.value is not None

    @property
    def vacuous(self) -> bool:
        """Whether the value is 1 or more, which says nothing of a total variation."""
        return self.value is not None and self.value >= 1.0


@dataclass(frozen=True, eq=False)
class _Case:
    """Where a theorem is evaluated; floats, for the product SA may pass 2^63."""

    inputs: float
    labels: float
    n: np.ndarray
    delta: float
    teacher: Teacher | None


@dataclass(frozen=True)
class Theorem:
    """A theorem: its identity (see `Bound`) and `rule`, which gives its values over n, NaN outside
    the regime.
    """

    access: str
    student: str
    kind: str
    form: str
    formula: str
    regime: str
    reference: str
    rule: Callable[[_Case], np.ndarray]


def table(
    inputs: int,
    labels: int,
    n: Any,
    delta: float = 0.05,
    teacher: Teacher | None = None,
    *,
    loss: str | Loss = "tv",
) -> pd.DataFrame:
    """Return every theorem at every n, one row each.

    Parameters
    ----------
    inputs, labels : int
        S and A, at least 1.
    n : int or array_like of int
        Samples, at least 0.
    delta : float
        Failure probability of the bounds that hold with probability 1-delta, in (0, 1).
    teacher : Teacher, optional
        Gives the bounds for one teacher (instance-dependent, limit of `ce_ptl`) their values.
    loss : str or Loss
        Other than tv: what follows by the order laws of `kt_theory.limits.losses`, if anything
        does; of acceptance lower bounds become upper ones.

    Returns
    -------
    DataFrame with the fields of `Bound` and inputs, labels, delta, applies, vacuous. `value` is NaN
    and `applies` False outside the regime; `vacuous` marks values of 1 or more, which say nothing
    of a total variation, and what follows from them.
    """
    import pandas as pd

    case = _case(inputs, labels, n, delta, teacher)
    rows = [
        asdict(bound)
        | {"value": np.nan if bound.value is None else bound.value}
        | {"applies": bound.applies, "vacuous": bound.vacuous}
        for id in THEOREMS
        for bound in _bounds(id, case)
    ]
    frame = pd.DataFrame(rows).assign(
        inputs=int(case.inputs), labels=int(case.labels), delta=case.delta
    )
    measure = as_loss(loss)
    if measure != TV:
        frame = _in_loss(frame, measure, int(case.labels))
    first = [
        "id",
        "access",
        "student",
        "kind",
        "form",
        "inputs",
        "labels",
        "n",
        "delta",
        "value",
        "applies",
        "vacuous",
    ]
    return frame[[*first, "formula", "regime", "reference"]]


def _in_loss(frame: pd.DataFrame, loss: Loss, labels: int) -> pd.DataFrame:
    """Return what bounds in tv imply of another loss."""
    from kt_theory.limits.order_laws import order_law, uniform_cost

    tv, turned = frame["value"], {"lower": "upper", "upper": "lower"}
    if loss == ACCEPTANCE:
        return frame.assign(value=1.0 - tv, kind=frame["kind"].replace(turned))
    law, most = order_law(loss, labels), uniform_cost(loss, labels)
    factor = most / (1.0 - 1.0 / labels) if labels > 1 else 0.0
    shares = frame["student"].isin(["sel_ptl", "ce_ful"])
    slope = np.where(shares, min(factor, law.slope), law.slope)
    is_lower, is_upper = frame["kind"] == "lower", frame["kind"] == "upper"
    value = np.select([is_lower, is_upper], [law.square * tv**2, slope * tv], np.nan)
    value = np.where(np.isinf(value), np.nan, value)
    return frame.assign(value=value, applies=~np.isnan(value))


def bound(
    id: str, inputs: int, labels: int, n: int, delta: float = 0.05, teacher: Teacher | None = None
) -> Bound:
    """Return what theorem `id`, a key of `THEOREMS`, says at one n; the rest is as for `table`."""
    return _bounds(_known(id), _case(inputs, labels, whole_number(n, "n"), delta, teacher))[0]


def curve(
    id: str, inputs: int, labels: int, n: Any, delta: float = 0.05, teacher: Teacher | None = None
) -> np.ndarray:
    """Return the values of theorem `id` over an array of n, NaN outside its regime; arguments as
    for `table`.
    """
    return THEOREMS[_known(id)].rule(_case(inputs, labels, n, delta, teacher))


def ce_ptl_limit(teacher: Teacher) -> float:
    """Return the loss that `ce_ptl` keeps however many samples it sees.

    sum_s rho(s) TV(pi(.|s)^2 / sum_a pi(a|s)^2, pi(.|s)): its almost sure limit for a teacher fixed
    in n. It is 0 only if every row with rho > 0 is uniform on its support; Theorem 4.3 names only
    uniform rows and point masses.

    References
    ----------
    Zhao and Zhu (2023), Lemma 4.2 and Theorem 4.3, applied to each input with rho > 0.
    """
    require_teacher(teacher)
    rows, rho, multiplicity = teacher.classes
    squares = rows**2
    limit = squares / squares.sum(axis=1, keepdims=True)
    return float(total_variation(limit, rows, rho * multiplicity))


def log_linear(feature_norm: float, distance: float) -> float:
    """Return M ||theta - theta'||_2, an upper bound on TV between two log-linear conditional
    distributions.

    Both are proportional to exp(<phi, theta>) with the same features phi; the bound holds for every
    input law (Zhao and Zhu 2023, Proposition H.2).

    Parameters
    ----------
    feature_norm : float
        M, a bound on ||phi(x, y)||_2.
    distance : float
        ||theta - theta'||_2.
    """
    for name, value in (("feature_norm", feature_norm), ("distance", distance)):
        number = as_floats(value, name)
        if number.ndim or not 0.0 <= number < np.inf:
            raise ValueError(f"{name} = {shown(value)}: must be a finite number >= 0")
    return float(as_floats(feature_norm, "feature_norm")) * float(as_floats(distance, "distance"))


def _hard_lower(case: _Case) -> np.ndarray:
    """Theorem 3.1: exp(-1/2)/16 sqrt(SA/n) for n >= SA/4, A >= 2.

    The proof takes A even. For A odd, use A-1 labels and the step d = sqrt(S(A-1)/n)/4 <= 1/2: the
    exponent of (C.6) is ln((1+d)/(1-d))/(8d) <= ln(3)/4, so the proof gives 3^(-1/4)/16
    sqrt(S(A-1)/n), and 3^(-1/4) sqrt(2/3) > exp(-1/2).
    """
    S, A, n = case.inputs, case.labels, case.n
    return _inside((A >= 2) & (n >= S * A / 4), lambda n: exp(-0.5) / 16 * np.sqrt(S * A / n), n)


def _hard_upper_delta(case: _Case) -> np.ndarray:
    """Theorem 3.2, (D.7) and (D.8), with L = ln((S+1)/delta), n >= 1.

    S > 1: sqrt((A ln 2 + L)/2) sqrt(S/n) + sqrt(2 (S ln 2 + L)/n). S = 1: sqrt((A ln 2 +
    ln(1/delta))/(2n)), Lemma E.4.
    """
    S, A, n, delta = case.inputs, case.labels, case.n, case.delta
    if S == 1:
        factor = sqrt((A * log(2) + log(1 / delta)) / 2)
    else:
        L = log((S + 1) / delta)
        factor = sqrt((A * log(2) + L) / 2 * S) + sqrt(2 * (S * log(2) + L))
    return _inside(n >= 1, lambda n: factor / np.sqrt(n), n)


def _hard_upper_mean(case: _Case) -> np.ndarray:
    """Theorem 3.2, (D.9) to (D.11): sqrt(SA/n)/2 + sqrt(S/n), n >= 1. S = 1: sqrt(A/n)/2, Lemma
    E.3.

    After (D.11) the paper writes sqrt(A/(2n)) where its own steps give sqrt(A/n)/2.
    """
    S, A, n = case.inputs, case.labels, case.n
    factor = sqrt(A) / 2 if S == 1 else sqrt(S * A) / 2 + sqrt(S)
    return _inside(n >= 1, lambda n: factor / np.sqrt(n), n)


def _hard_upper_instance(case: _Case) -> np.ndarray:
    """Theorem 3.2, (D.16): sqrt(xi SA / (2(n+1))) + sum_s rho (1-rho)^n, xi = max_s sum_a min(pi,
    1-pi).

    The maximum runs over inputs with rho > 0; the missing mass is exact instead of (D.16)'s
    4S/(9n).
    """
    if case.teacher is None:
        return np.full(case.n.shape, np.nan)
    rows, rho, multiplicity = case.teacher.classes
    live = rho > 0
    xi = float(np.minimum(rows[live], 1 - rows[live]).sum(axis=1).max())
    missing = [_missing_mass(rho[live], multiplicity[live], n) for n in case.n]
    return np.sqrt(xi * case.inputs * case.labels / (2 * (case.n + 1))) + missing


def _partial_lower(case: _Case) -> np.ndarray:
    """Theorem 4.1, (C.13): S(A-1) / (4e(n+1)) for n >= S(A-1)/2 - 1, A > 2.

    The proof takes A odd. For A even, let B = A-1 and give, in each row, a random (B+1)/2 of B
    light labels the mass St/(n+1), t = min(1, 2(n+1)/(S(B+1))) >= B/(B+1), and the other z =
    (B-1)/2 none. With U light labels unseen the best guess loses St/(n+1) Uz/(U+z), and E Uz/(U+z)
    >= (B^2-1)/(4B) q (1 + (1-q)/2), q = (1-t/(n+1))^n >= exp(-t). The factors t q (1 + (1-q)/2)
    (1-1/B^2) exceed 1/e for every B >= 3.
    """
    S, A, n = case.inputs, case.labels, case.n
    return _inside(
        (A > 2) & (n >= S * (A - 1) / 2 - 1), lambda n: S * (A - 1) / (4 * e * (n + 1)), n
    )


def _ce_ptl_floor(case: _Case) -> np.ndarray:
    """Theorem 4.3: sum_s rho TV(pi^2 / sum pi^2, pi), the limit of the loss as n -> infinity (see
    `ce_ptl_limit`).
    """
    return np.full(case.n.shape, np.nan if case.teacher is None else ce_ptl_limit(case.teacher))


def _partial_upper_delta(case: _Case) -> np.ndarray:
    """Theorem 4.4, (D.17) to (D.26), with L = ln((S+2)/delta), n >= 1.

    S > 1, delta < min(1, (S+2)/10):
    (4A/9 + 3 sqrt(A) L)/n (12 S + 200/99 S ln(S(S+2)/delta)) + 4S/(9n) + 3 sqrt(S) L/n.
    S = 1, delta <= 1/10: 4A/(9n) + 3 sqrt(A) ln(1/delta)/n, Lemma E.7.

    Three steps of the paper are repaired. Lemma E.7 gives 3 sqrt(A) L, not the printed sqrt(A L).
    (D.21) loses a factor 2 that is not needed: n_s >= 1 bounds n rho/n_s directly. Above (D.25),
    rho >= 200/99 ln(.)/n does not give eta <= 0.9 (that takes 200/81); but the Chernoff bound
    before its weakening in Lemma E.9, P(n_s <= n rho/10) <= exp(-0.669 n rho), gives n rho/n_s <=
    10 with the constant 200/99.
    """
    S, A, n, delta = case.inputs, case.labels, case.n, case.delta
    if S == 1:
        return _inside((n >= 1) & (delta <= 0.1), lambda n: _missing_mass_delta(A, delta) / n, n)
    tenth = delta / (S + 2)
    rows = _missing_mass_delta(A, tenth) * S * (12 + 200 / 99 * log(S / tenth))
    inside = (n >= 1) & (delta < min(1.0, (S + 2) / 10))
    return _inside(inside, lambda n: (rows + _missing_mass_delta(S, tenth)) / n, n)


def _partial_upper_mean(case: _Case) -> np.ndarray:
    """Theorem 4.4, (D.27) to (D.32): 8SA/(9n) + SA/(n+1), n >= 1."""
    pairs, n = case.inputs * case.labels, case.n
    return _inside(n >= 1, lambda n: 8 * pairs / (9 * n) + pairs / (n + 1), n)


def _partial_upper_sharp(case: _Case) -> np.ndarray:
    """Beyond the paper: SA/(n+1). The loss is at most the missing mass of the SA pairs, in mean at
    most SA/(n+1).
    """
    return case.inputs * case.labels / (case.n + 1)


def _soft_lower(case: _Case) -> np.ndarray:
    """Theorem 5.1, (C.17): (S-1) / (2e(n+1)) for n > S-1, S > 1, A > 1.

    The heavy input has 1 - (S-1)/(n+1) where the paper prints 1 - S^(-1)/(n+1). A odd needs no
    pairing: a guess loses 1 - 1/A >= 1/2 on average over the point masses.
    """
    S, A, n = case.inputs, case.labels, case.n
    return _inside((S > 1) & (A > 1) & (n > S - 1), lambda n: (S - 1) / (2 * e * (n + 1)), n)


def _soft_upper_delta(case: _Case) -> np.ndarray:
    """Theorem 5.2, (D.34): 4S/(9n) + 3 sqrt(S) ln(1/delta)/n, delta <= 1/10, n >= 1."""
    S, n, delta = case.inputs, case.n, case.delta
    return _inside((n >= 1) & (delta <= 0.1), lambda n: _missing_mass_delta(S, delta) / n, n)


def _soft_upper_mean(case: _Case) -> np.ndarray:
    """Theorem 5.2, (E.1): 4S/(9n), n >= 1. Lemma E.5 prints (4/9)n and means 4/(9n)."""
    return _inside(case.n >= 1, lambda n: 4 * case.inputs / (9 * n), case.n)


def _missing_mass_delta(atoms: float, delta: float) -> float:
    """Lemma E.7, times n: 4K/9 + 3 sqrt(K) ln(1/delta) bounds n times K atoms' missing mass."""
    return 4 * atoms / 9 + 3 * sqrt(atoms) * log(1 / delta)


def _no_value(case: _Case) -> np.ndarray:
    """Of a theorem whose value is no function of n and the sizes."""
    return np.full(case.n.shape, np.nan)


def _missing_mass(rho: np.ndarray, multiplicity: np.ndarray, n: float) -> float:
    """Return sum rho (1-rho)^n over inputs with rho > 0; log1p keeps it exact for tiny rho and huge
    n.
    """
    with np.errstate(divide="ignore"):
        unseen = np.exp(n * np.log1p(-np.minimum(rho, 1.0))) if n else np.ones(rho.shape)
    return float((rho * unseen) @ multiplicity)


def _inside(
    regime: np.ndarray, formula: Callable[[np.ndarray], np.ndarray], n: np.ndarray
) -> np.ndarray:
    values = np.full(n.shape, np.nan)
    values[regime] = formula(n[regime])
    return values


def _case(inputs: int, labels: int, n: Any, delta: float, teacher: Teacher | None) -> _Case:
    S, A = whole_number(inputs, "inputs", low=1), whole_number(labels, "labels", low=1)
    if teacher is not None:
        require_teacher(teacher)
    if teacher is not None and (teacher.inputs, teacher.labels) != (S, A):
        shape = f"{teacher.inputs} inputs and {teacher.labels} labels"
        raise ValueError(f"teacher has {shape}: must have inputs = {S} and labels = {A}")
    return _Case(
        float(S),
        float(A),
        np.array(sample_sizes(n), dtype=np.float64),
        positive(unit_interval(delta, "delta"), "delta", low=_SMALLEST_DELTA),
        teacher,
    )


def _known(id: str) -> str:
    if not isinstance(id, str) or id not in THEOREMS:
        raise unknown_name("theorem", id, THEOREMS)
    return id


def _bounds(id: str, case: _Case) -> list[Bound]:
    theorem = THEOREMS[id]
    facts = {name: value for name, value in vars(theorem).items() if name != "rule"}
    values = theorem.rule(case)
    return [
        Bound(id=id, n=int(n), value=None if np.isnan(value) else float(value), **facts)
        for n, value in zip(case.n, values, strict=True)
    ]


_SMALLEST_DELTA = 1e-290
"""Divided by the number of inputs it is no zero."""

_DELTA = "with probability 1-delta"
_FIXED = "one teacher fixed in n: give teacher="

THEOREMS: dict[str, Theorem] = {
    "3.1": Theorem(
        "hard", "any", "lower", "mean", "exp(-1/2)/16 sqrt(SA/n)", "n >= SA/4, A >= 2",
        "Theorem 3.1, (C.6)", _hard_lower,
    ),
    "3.2-delta": Theorem(
        "hard", "ce_sgl", "upper", _DELTA,
        "sqrt((A ln2 + L) S/(2n)) + sqrt(2(S ln2 + L)/n), L = ln((S+1)/delta); S = 1: sqrt((A ln2 "
        "+ ln(1/delta))/(2n))",
        "n >= 1, 0 < delta < 1", "Theorem 3.2, (D.7), (D.8), Lemma E.4", _hard_upper_delta,
    ),
    "3.2-mean": Theorem(
        "hard", "ce_sgl", "upper", "mean", "sqrt(SA/n)/2 + sqrt(S/n); S = 1: sqrt(A/n)/2",
        "n >= 1", "Theorem 3.2, (D.9)-(D.11), Lemma E.3", _hard_upper_mean,
    ),
    "3.2-instance": Theorem(
        "hard", "ce_sgl", "upper", "mean",
        "sqrt(xi SA/(2(n+1))) + sum_s rho (1-rho)^n, xi = max_s sum_a min(pi, 1-pi)",
        _FIXED, "Theorem 3.2, (3.5), (D.16)", _hard_upper_instance,
    ),
    "4.1": Theorem(
        "partial", "any", "lower", "mean", "S(A-1)/(4e(n+1))",
        "n >= S(A-1)/2 - 1, A > 2", "Theorem 4.1, (C.13)", _partial_lower,
    ),
    "4.3": Theorem(
        "partial", "ce_ptl", "limit", "mean", "sum_s rho TV(pi^2/sum pi^2, pi)",
        f"n -> infinity; {_FIXED}", "Lemma 4.2, Theorem 4.3", _ce_ptl_floor,
    ),
    "4.4-delta": Theorem(
        "partial", "sel_ptl", "upper", _DELTA,
        "(4A/9 + 3 sqrt(A) L)/n (12 S + 200/99 S ln(S(S+2)/delta)) + 4S/(9n) + 3 sqrt(S) L/n, L = "
        "ln((S+2)/delta); S = 1: 4A/(9n) + 3 sqrt(A) ln(1/delta)/n",
        "n >= 1; S > 1: delta < min(1, (S+2)/10); S = 1: delta <= 1/10",
        "Theorem 4.4, (D.20)-(D.26), Lemma E.7", _partial_upper_delta,
    ),
    "4.4-mean": Theorem(
        "partial", "sel_ptl", "upper", "mean", "8SA/(9n) + SA/(n+1)", "n >= 1",
        "Theorem 4.4, (D.27)-(D.32)", _partial_upper_mean,
    ),
    "4.4-mean-sharp": Theorem(
        "partial", "sel_ptl", "upper", "mean", "SA/(n+1)", "n >= 0",
        "beyond the paper: mean missing mass of SA pairs", _partial_upper_sharp,
    ),
    "5.1": Theorem(
        "soft", "any", "lower", "mean", "(S-1)/(2e(n+1))",
        "n > S-1, S > 1, A > 1", "Theorem 5.1, (C.17)", _soft_lower,
    ),
    "5.2-delta": Theorem(
        "soft", "ce_ful", "upper", _DELTA, "4S/(9n) + 3 sqrt(S) ln(1/delta)/n",
        "n >= 1, delta <= 1/10", "Theorem 5.2, (D.34)", _soft_upper_delta,
    ),
    "5.2-mean": Theorem(
        "soft", "ce_ful", "upper", "mean", "4S/(9n)", "n >= 1",
        "Theorem 5.2, (E.1)", _soft_upper_mean,
    ),
    "H.2": Theorem(
        "any", "any", "upper", "always", "M ||theta - theta'||_2 if ||phi||_2 <= M",
        "log-linear teacher and student: use log_linear(feature_norm, distance)", "Proposition H.2",
        _no_value,
    ),
}  # fmt: skip
"""Every theorem by id, in the paper's order."""


def lower_of(access: str) -> str | None:
    """Return the theorem below every student of an access level in mean, None if the paper has
    none.
    """
    return _first("lower", "access", access)


def upper_of(student: str) -> str | None:
    """Return the paper's theorem above a student in mean, for every teacher; None without one."""
    return _first("upper", "student", student)


def _first(kind: str, key: str, name: str) -> str | None:
    found = (
        id
        for id, theorem in THEOREMS.items()
        if (theorem.kind, theorem.form, getattr(theorem, key)) == (kind, "mean", name)
    )
    return next(found, None)
