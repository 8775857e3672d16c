"""How an answer shows the probabilities that it reveals, where not as they are.

An answer is a row of weights. Weights are the probabilities themselves, or shown at another
temperature, rounded, quantised, up to an unknown factor, or with noise. What is shown of a row is a
function of that row alone, but for noise, which is fresh in every answer.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import numpy as np

LARGEST_NOISE = 50.0
"""Largest standard deviation of the noise on a log-probability, in nats."""

LEAST_LEFT = 1e-9
"""A confusion matrix that leaves less of a difference of two rows counts as one that leaves
nothing.
"""

_GOLDEN = 0.6180339887498949


class Grid(NamedTuple):
    """Stated values that a channel shows as multiples of a unit.

    Attributes
    ----------
    what : str
        What they are called.
    values : (m,) array
        NaN where a value is not stated.
    unit : float
    slack : (m,) array or float
        By how much they may miss a multiple.
    """

    what: str
    values: np.ndarray
    unit: float
    slack: np.ndarray | float

    @property
    def missed(self) -> np.ndarray:
        """Which values are no multiples, (m,) bool; those that are not stated never are."""
        away = np.abs(self.values - self.unit * np.rint(self.values / self.unit))
        return away > self.slack


class Channel(ABC):
    """A distortion of the rows of a teacher; the kinds are the final classes below.

    Attributes
    ----------
    name, description : str
        As it stands before the level's name in tables, and in words; empty for probabilities as
        they are.
    sigma : float
        Standard deviation of the noise on each log-probability; 0 for all channels but `Noisy`.
    tables : int
        How many tables of the teacher's size what is shown takes, beside the teacher's own.
    slack : float
        By how much recorded weights of a whole row may miss `sums`: servers that compute in half
        precision do, values on a grid are exact.
    unrecorded : str
        Why records of log-probabilities cannot serve who knows the channel, behind his name; empty
        if whole rows of them can.
    """

    tables: ClassVar[int] = 1
    slack: ClassVar[float] = 0.01
    unrecorded: ClassVar[str] = ""
    sigma: ClassVar[float] = 0.0
    mixes_labels: ClassVar[bool] = False
    """Whether the label that comes back may be another one than was drawn."""

    @property
    @abstractmethod
    def keeps_order(self) -> bool:
        """Whether the largest weights are those of the most probable labels."""

    @property
    @abstractmethod
    def undone(self) -> bool:
        """Whether a whole row can be computed back from what is shown of it."""

    @property
    @abstractmethod
    def needs_whole_row(self) -> bool:
        """Whether what is shown of one label depends on the probabilities of the others."""

    @property
    @abstractmethod
    def alike(self) -> bool:
        """Whether equal rows are shown alike, so that their answers can be put together."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As it stands before the level's name in tables."""

    @property
    @abstractmethod
    def description(self) -> str:
        """In words."""

    @property
    def fixed(self) -> Channel:
        """The part of it that is the same in every answer: the channel itself, or none where it is
        noise.
        """
        return self

    @abstractmethod
    def shown(self, pi: np.ndarray) -> np.ndarray:
        """Return the weights (S, A) that stand for the probabilities pi (S, A); a probability of 0
        is shown as 0.
        """

    def confusion(self, labels: int) -> np.ndarray | None:
        """Return the chance that label a comes back as b, (A, A), where labels are mixed."""
        return None

    def gives_labels(self, other: Channel) -> bool:
        """Return whether the labels that come back give those of `other`."""
        return not self.mixes_labels or self == other

    def gives(self, other: Channel, *, whole: bool) -> bool:
        """Return whether weights shown so give those of `other`; `whole`: all weights of a row are
        there.
        """
        return self == other or whole

    def undo(self, shown: np.ndarray, power: float = 1.0) -> np.ndarray:
        """Return the rows that the channel's own student writes of whole rows: (R, A), rows sum to
        1.

        Parameters
        ----------
        shown : (R, A) array
            Weights at least 0, not all 0.
        power : float
            What the student takes a temperature for.
        """
        weights = (shown / shown.max(axis=1, keepdims=True)) ** power
        return weights / weights.sum(axis=1, keepdims=True)

    def completed(self, weights: np.ndarray, top: int) -> np.ndarray:
        """Return rows of weights with what the channel's own student gives to the hidden labels:
        equal shares.

        Parameters
        ----------
        weights : (R, A) array
            What is shown of the first `top` labels; 0 on the others, which are hidden.
        top : int
        """
        labels = weights.shape[1]
        left = 1.0 - weights.sum(axis=1, keepdims=True)
        share = np.where(left > labels * 2.0**-52, left, 0.0) / max(labels - top, 1)
        return np.where(np.arange(labels) < top, weights, share)

    @abstractmethod
    def row_error(self, table: np.ndarray, shown: np.ndarray) -> float:
        """Return the largest TV(copy, teacher) on a row of `undo`: what the channel leaves open.

        Parameters
        ----------
        table, shown : (R, A) arrays
            The copy, and what it was made of.
        """

    def sums(self, labels: int) -> tuple[float, float]:
        """Return the least and the most that the weights of a whole row of A `labels` sum to."""
        return 1.0, 1.0

    def grid(self, logp: np.ndarray) -> Grid | None:
        """Return the values that stated log-probabilities (m,) show as multiples of a unit, if the
        channel has one.
        """
        return None

    @abstractmethod
    def floor(self, labels: int) -> float:
        """Return a bound on what a whole row leaves unknown to the channel's own student, at most
        1-1/A.
        """

    @abstractmethod
    def label_floor(self, shown: int) -> float:
        """Return what the channel costs where so many labels are shown one by one."""


@final
@dataclass(frozen=True)
class AsIs(Channel):
    """The probabilities themselves."""

    keeps_order: ClassVar[bool] = True
    undone: ClassVar[bool] = True
    needs_whole_row: ClassVar[bool] = False
    alike: ClassVar[bool] = True
    name: ClassVar[str] = ""
    description: ClassVar[str] = ""
    tables: ClassVar[int] = 0

    def shown(self, pi: np.ndarray) -> np.ndarray:
        """Return pi."""
        return pi

    def gives(self, other: Channel, *, whole: bool) -> bool:
        """Return whether the other's weights follow: always, but from single labels none that need
        the whole row.
        """
        return whole or not other.needs_whole_row

    def row_error(self, table: np.ndarray, shown: np.ndarray) -> float:
        """Return 0: the row is known."""
        return 0.0

    def floor(self, labels: int) -> float:
        """Return 0."""
        return 0.0

    def label_floor(self, shown: int) -> float:
        """Return 0."""
        return 0.0


@final
@dataclass(frozen=True)
class Temperature(Channel):
    """The softmax of the logits divided by tau: p^(1/tau) / sum p^(1/tau). Who knows tau can undo
    it on whole rows.
    """

    keeps_order: ClassVar[bool] = True
    undone: ClassVar[bool] = True
    needs_whole_row: ClassVar[bool] = True
    alike: ClassVar[bool] = True
    tau: float

    @property
    def name(self) -> str:
        """As tables call it."""
        return f"temperature({self.tau:g})"

    @property
    def description(self) -> str:
        """In words."""
        return f"at temperature {self.tau:g}"

    def shown(self, pi: np.ndarray) -> np.ndarray:
        """Return the rows at the temperature."""
        logits = _logs(pi)
        powers = np.exp((logits - logits.max(axis=1, keepdims=True)) / self.tau)
        return powers / powers.sum(axis=1, keepdims=True)

    def row_error(self, table: np.ndarray, shown: np.ndarray) -> float:
        """Return the distance of the copy from the rows: 0 unless the student takes the temperature
        for another.
        """
        return float(0.5 * np.abs(table - self.undo(shown, self.tau)).sum(axis=1).max())

    def floor(self, labels: int) -> float:
        """Return 0: known temperatures can be undone."""
        return 0.0

    def label_floor(self, shown: int) -> float:
        """Return 0: what stays unknown is the scale, which costs no more than hidden labels do."""
        return 0.0


@final
@dataclass(frozen=True)
class Rounded(Channel):
    """Log-probabilities rounded to multiples of `step`: exp(step round(log p / step))."""

    keeps_order: ClassVar[bool] = False
    undone: ClassVar[bool] = False
    needs_whole_row: ClassVar[bool] = False
    alike: ClassVar[bool] = True
    step: float
    slack: ClassVar[float] = 1e-6

    @property
    def name(self) -> str:
        """As tables call it."""
        return f"rounded({self.step:g})"

    @property
    def description(self) -> str:
        """In words."""
        return f"log-probabilities rounded to multiples of {self.step:g}"

    def shown(self, pi: np.ndarray) -> np.ndarray:
        """Return the rounded weights."""
        return np.exp(self.step * np.rint(_logs(pi) / self.step))

    def gives(self, other: Channel, *, whole: bool) -> bool:
        """Return whether the other rounds alike."""
        return self == other

    def undo(self, shown: np.ndarray, power: float = 1.0) -> np.ndarray:
        """Return what is shown, divided by its sum."""
        return shown / shown.sum(axis=1, keepdims=True)

    def row_error(self, table: np.ndarray, shown: np.ndarray) -> float:
        """Return tanh(step/4)."""
        return math.tanh(0.25 * self.step)

    def sums(self, labels: int) -> tuple[float, float]:
        """Return what the weights of a whole row sum to, from exp(-step/2) to exp(step/2)."""
        return math.exp(-0.5 * self.step), math.exp(0.5 * self.step)

    def grid(self, logp: np.ndarray) -> Grid:
        """Return the log-probabilities, multiples of `step`."""
        slack = 1e-6 * np.maximum(self.step, np.abs(logp))
        return Grid("log-probability", logp, self.step, slack)

    def floor(self, labels: int) -> float:
        """Return tanh(step/4), at most 1-1/A, for the student that divides what is shown by its
        sum.

        It is the row tilted by errors of at most step/2 either way, and for every set H of labels
        the odds of its mass change by a factor of at most e^step: p(H) goes from 1/(1+e^-l) to at
        most 1/(1+e^-(l+step)), a change of at most tanh(step/4). It is sharp: where all labels have
        one code e^(j step) = 1/A and a share 1/(1+e^(step/2)) of them e^(step/2)/A, the others
        e^(-step/2)/A, no decoder does better.
        """
        return min(math.tanh(0.25 * self.step), 1.0 - 1.0 / labels)

    def label_floor(self, shown: int) -> float:
        """Return 1 - e^(-step/2), however many labels are shown."""
        return -math.expm1(-0.5 * self.step)


@final
@dataclass(frozen=True)
class Quantised(Channel):
    """Probabilities rounded to multiples of 2^-bits."""

    keeps_order: ClassVar[bool] = False
    undone: ClassVar[bool] = False
    needs_whole_row: ClassVar[bool] = False
    alike: ClassVar[bool] = True
    bits: int
    slack: ClassVar[float] = 1e-6

    @property
    def name(self) -> str:
        """As tables call it."""
        return f"quantised({self.bits})"

    @property
    def description(self) -> str:
        """In words."""
        return f"probabilities rounded to {self.bits} bits"

    @property
    def half(self) -> float:
        """Half a unit, 2^-(bits+1)."""
        return 2.0 ** -(self.bits + 1)

    def shown(self, pi: np.ndarray) -> np.ndarray:
        """Return the nearest multiples."""
        return np.rint(np.ldexp(np.asarray(pi, dtype=np.float64), self.bits)) * 2.0**-self.bits

    def gives(self, other: Channel, *, whole: bool) -> bool:
        """Return whether the other rounds alike."""
        return self == other

    def undo(self, shown: np.ndarray, power: float = 1.0) -> np.ndarray:
        """Return the rows with the error of their sum shared equally; see
        `kt_theory.students.quantised`.
        """
        left = 1.0 - shown.sum(axis=1, keepdims=True)
        takers = (shown > 0) | (left >= 0)
        corrected = np.maximum(
            np.where(takers, shown + left / takers.sum(axis=1, keepdims=True), 0.0), 0.0
        )
        # Weights that a server computed in half precision may be off by more than the smallest of
        # them.
        return corrected / corrected.sum(axis=1, keepdims=True)

    def completed(self, weights: np.ndarray, top: int) -> np.ndarray:
        """Return the rows with the error of their sum shared: by all labels, or taken from those
        shown above 0.
        """
        left = 1.0 - weights.sum(axis=1, keepdims=True)
        sharers = np.where(left < 0, weights > 0, top == weights.shape[1])
        corrected = weights + sharers * left / np.maximum(sharers.sum(axis=1, keepdims=True), 1)
        return super().completed(corrected, top)

    def row_error(self, table: np.ndarray, shown: np.ndarray) -> float:
        """Return A / (4 2^b)."""
        return shown.shape[1] * 0.25 * 2.0**-self.bits

    def sums(self, labels: int) -> tuple[float, float]:
        """Return what the weights of a whole row sum to: off 1 by half a unit for each label."""
        reach = 0.5 * labels * 2.0**-self.bits
        return 1.0 - reach, 1.0 + reach

    def grid(self, logp: np.ndarray) -> Grid:
        """Return the probabilities, multiples of 2^-bits."""
        return Grid("probability", np.exp(logp), 2.0**-self.bits, 1e-9)

    def floor(self, labels: int) -> float:
        """Return a bound on what a whole row leaves unknown.

        p_a lies in a cell [l_a, u_a] of width 2e, or e where 0 is shown; e = 2^-(bits+1). With L =
        sum l_a and W the sum of the widths the student takes q_a = l_a + t (u_a - l_a), t =
        (1-L)/W. For every set H of labels of widths w, p(H) - q(H) <= min((1-t) w, t (W-w)). If B
        labels are shown above 0, then W = (A+B) e, and 1-L = u e for a whole u with the parity of B
        and at most 2^(bits+1) - B. At w = u e the minimum is u (W/e - u)/W e^2, at most W/4; if all
        labels are shown above 0 then w/e is even, and for odd u the neighbours of u are what
        remains. The bound is the largest over B and u: A/(4 2^bits) for even A <= 2^bits, never
        more than 1-1/A.
        """
        shown = np.arange(min(labels, 2 ** (self.bits + 1)) + 1.0)
        width, most = labels + shown, 2.0 ** (self.bits + 1) - shown
        below = np.minimum(np.floor(0.5 * width), most)
        below -= (below - shown) % 2
        best = 0.0
        for u in (below, np.minimum(below + 2, most)):
            loss = np.maximum(u, 0.0) * (width - u) / width
            if shown[-1] == labels and u[-1] % 2:
                loss[-1] = (
                    max(u[-1] * (width[-1] - u[-1] - 1), (width[-1] - u[-1]) * (u[-1] - 1))
                    / width[-1]
                )
            best = max(best, float(loss.max()))
        return min(best * self.half, 1.0 - 1.0 / labels)

    def label_floor(self, shown: int) -> float:
        """Return half a unit for each label shown."""
        return shown * self.half


@final
@dataclass(frozen=True)
class UpToFactor(Channel):
    """Unnormalised logits: p times a factor of the row, between 1/2 and 2, that tells nothing about
    p.
    """

    keeps_order: ClassVar[bool] = True
    undone: ClassVar[bool] = True
    needs_whole_row: ClassVar[bool] = False
    alike: ClassVar[bool] = False
    name: ClassVar[str] = "logits"
    description: ClassVar[str] = "as logits, with an unknown shift for each input"
    unrecorded: ClassVar[str] = (
        " needs logits: records state log-probabilities; take 'ce_ful', 'sel_ptl' or top_k"
    )

    def shown(self, pi: np.ndarray) -> np.ndarray:
        """Return the rows, each times a factor of its own."""
        shift = np.modf(_GOLDEN * np.arange(1, len(pi) + 1))[0]
        return np.asarray(pi, dtype=np.float64) * np.exp2(2.0 * shift - 1.0)[:, None]

    def completed(self, weights: np.ndarray, top: int) -> np.ndarray:
        """Return the weights: hidden labels get none, as nobody knows what is left."""
        return weights

    def row_error(self, table: np.ndarray, shown: np.ndarray) -> float:
        """Return 0: the softmax undoes it."""
        return 0.0

    def floor(self, labels: int) -> float:
        """Return 0: the softmax undoes it."""
        return 0.0

    def label_floor(self, shown: int) -> float:
        """Return 0: what stays unknown is the scale, which costs no more than hidden labels do."""
        return 0.0


@final
@dataclass(frozen=True)
class Centred(Channel):
    """Logits of mean 0 on one scale: p over the geometric mean of its row; p must be positive."""

    keeps_order: ClassVar[bool] = True
    undone: ClassVar[bool] = True
    needs_whole_row: ClassVar[bool] = True
    alike: ClassVar[bool] = True
    name: ClassVar[str] = "centred"
    description: ClassVar[str] = "as a logit on one scale for all inputs"

    def shown(self, pi: np.ndarray) -> np.ndarray:
        """Return the rows over their geometric means."""
        if not np.all(pi):
            s, a = np.argwhere(np.asarray(pi) == 0.0)[0]
            raise ValueError(
                f"pi[{s}, {a}] = 0: logits on one scale are finite; leave the label out"
            )
        logits = _logs(pi)
        return np.exp(logits - logits.mean(axis=1, keepdims=True))

    def row_error(self, table: np.ndarray, shown: np.ndarray) -> float:
        """Return 0: the softmax undoes it."""
        return 0.0

    def floor(self, labels: int) -> float:
        """Return 0: the softmax undoes it."""
        return 0.0

    def label_floor(self, shown: int) -> float:
        """Return 0: what stays unknown is the scale, which costs no more than hidden labels do."""
        return 0.0


@final
@dataclass(frozen=True)
class Noisy(Channel):
    """Gaussian noise of standard deviation `sigma` on each log-probability, fresh in every answer.

    A query that returns m labels gives m answers: a weight that k queries revealed is the geometric
    mean of what they showed, its log-probability plus sigma / sqrt(k) N(0, 1).
    """

    keeps_order: ClassVar[bool] = False
    undone: ClassVar[bool] = False
    needs_whole_row: ClassVar[bool] = False
    alike: ClassVar[bool] = False
    sigma: float  # type: ignore[misc]
    tables: ClassVar[int] = 0
    unrecorded: ClassVar[str] = (
        " needs noisy answers as they came: records cut log-probabilities off at 0"
    )

    @property
    def name(self) -> str:
        """As tables call it."""
        return f"noisy({self.sigma:g})"

    @property
    def description(self) -> str:
        """In words."""
        return f"log-probabilities with noise of standard deviation {self.sigma:g}"

    @property
    def fixed(self) -> Channel:
        """No channel: the noise comes on top, answer by answer."""
        return AsIs()

    def shown(self, pi: np.ndarray) -> np.ndarray:
        """Return pi, without the noise."""
        return pi

    def gives(self, other: Channel, *, whole: bool) -> bool:
        """Return whether the other has at least as much noise, which can be added."""
        return 0.0 < self.sigma <= other.sigma

    def row_error(self, table: np.ndarray, shown: np.ndarray) -> float:
        """Return 1: one noisy answer bounds nothing."""
        return 1.0

    def floor(self, labels: int) -> float:
        """Return 0: noise averages out."""
        return 0.0

    def label_floor(self, shown: int) -> float:
        """Return 0: noise averages out."""
        return 0.0


@final
@dataclass(frozen=True)
class Confused(Channel):
    """Labels that come back as others: a as b with the probability C[a, b]; no weights are shown.

    A rate eta stands for C = 1 - eta on the diagonal and eta / (A-1) elsewhere, whatever A is:
    symmetric noise, and the randomised response of local differential privacy at epsilon = ln((1 -
    eta) (A-1) / eta).
    """

    keeps_order: ClassVar[bool] = False
    undone: ClassVar[bool] = False
    needs_whole_row: ClassVar[bool] = False
    alike: ClassVar[bool] = True
    mixes_labels: ClassVar[bool] = True
    tables: ClassVar[int] = 0
    unrecorded: ClassVar[str] = (
        " needs labels that came back through a confusion matrix: records hold them as drawn; take "
        "'ce_sgl'"
    )
    rate: float | None
    rows: tuple[tuple[float, ...], ...] = ()

    @property
    def name(self) -> str:
        """As tables call it."""
        known = f"{len(self.rows)} labels" if self.rate is None else f"{self.rate:g}"
        return f"confused({known})"

    @property
    def description(self) -> str:
        """In words."""
        if self.rate is None:
            return "through a known confusion matrix"
        return f"another one, all equally likely, with probability {self.rate:g}"

    def confusion(self, labels: int) -> np.ndarray:
        """Return C, (A, A), rows sum to 1.

        Raises
        ------
        ValueError
            If the matrix is of another number of labels.
        """
        if self.rate is None:
            if labels != len(self.rows):
                raise ValueError(
                    f"access {self.name!r}: its confusion matrix has {len(self.rows)} labels, the "
                    f"teacher {labels}"
                )
            return np.array(self.rows)
        others = max(labels - 1, 1)
        kept = 1.0 - self.rate if labels > 1 else 1.0
        found = np.full((labels, labels), self.rate / others)
        np.fill_diagonal(found, kept)
        return found

    def shown(self, pi: np.ndarray) -> np.ndarray:
        """Return pi: no weight is shown."""
        return pi

    def gives(self, other: Channel, *, whole: bool) -> bool:
        """Return whether the other's answers are the same."""
        return self == other

    def least_singular_value(self, labels: int) -> float:
        """Return min |v C| / |v| over rows v that sum to 0: how much of the difference of two rows
        is left; 0 up to rounding counts as 0.

        Of a rate eta it is |1 - eta A / (A-1)|; of 2 labels 1 - 2 eta.
        """
        if labels == 1:
            return 1.0
        centred = np.eye(labels) - 1.0 / labels
        values = np.linalg.svd(centred @ self.confusion(labels), compute_uv=False)
        return float(values[-2]) if values[-2] > LEAST_LEFT else 0.0

    def row_error(self, table: np.ndarray, shown: np.ndarray) -> float:
        """Return 1: one label bounds nothing."""
        return 1.0

    def floor(self, labels: int) -> float:
        """Return 0 where C can be inverted: frequencies tell all in the end; 1-1/A otherwise."""
        return 0.0 if self.least_singular_value(labels) > 0.0 else 1.0 - 1.0 / labels

    def label_floor(self, shown: int) -> float:
        """Return 0: no label is shown with a weight."""
        return 0.0


AnyChannel = AsIs | Temperature | Rounded | Quantised | UpToFactor | Centred | Noisy | Confused
"""Every kind of channel."""


def _logs(pi: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(pi, dtype=np.float64))
