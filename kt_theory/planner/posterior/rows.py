"""The posterior of the rows: what kind each row is of, and draws of what the records hide of it.

A row is of one of several kinds, each with an unknown share of all rows: Dirichlet(alpha); or a
spike, a share w ~ Beta(c, d) of the row at a label that is equally likely any, the others sharing 1
- w as Dirichlet(alpha) (`Kind`); or, where probabilities are stated, a row whose entries are draws
of one law that the records show themselves (`entries.EntryLaw`).

Stated probabilities are kept exactly: a kind is weighed by the density of what is stated, and what
is hidden is drawn given it. That the stated labels are those that were sampled adds a factor that
is the same for all kinds.

Legend: R rows, A labels, K kinds, u hidden labels of a row, m the mass that they share, w the
spike, t its share of m.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ALPHAS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.2, 2.5, 5.0, 12.0, 40.0, 200.0, 2000.0)
SPIKES = ((1.0, 1.0), (6.0, 1.5))

_LOGIT_STEP = 12.0 / 35.0
_NODES = 1.0 / (1.0 + np.exp(-(np.arange(36) * _LOGIT_STEP - 6.0)))
"""Shares t of the hidden mass at which a hidden spike is looked for."""

_LOG_STEP = np.log(_NODES * (1.0 - _NODES) * _LOGIT_STEP)
_TINY = 1e-300
_CAP_CELLS = 200_000
_EVEN = 100.0
"""From this alpha on the hidden labels of a row share so evenly that no cap on them says anything.
"""


@dataclass(frozen=True)
class Kind:
    """Dirichlet(alpha), or with spike (c, d) a spike at one label and Dirichlet(alpha) over the
    others.
    """

    alpha: float
    spike: tuple[float, float] | None = None


KINDS = tuple(Kind(alpha, spike) for alpha in ALPHAS for spike in (None, *SPIKES))


def count_evidence(count: np.ndarray) -> np.ndarray:
    """Return the log probability of each row's counts under each kind, up to a constant of the row:
    (R, K).
    """
    from scipy.special import gammaln, logsumexp

    labels, total = count.shape[1], count.sum(axis=1)
    found = np.empty((len(count), len(KINDS)))
    for place, kind in enumerate(KINDS):
        if kind.spike is None:
            each = gammaln(kind.alpha + count) - gammaln(kind.alpha)
            whole = labels * kind.alpha
            found[:, place] = gammaln(whole) - gammaln(whole + total) + each.sum(axis=1)
        else:
            found[:, place] = logsumexp(_spike_at_label(count, kind), axis=1)
    return found


def _spike_at_label(count: np.ndarray, kind: Kind) -> np.ndarray:
    """Return the log probability of the counts and of a spike at each label: (R, A)."""
    from scipy.special import betaln, gammaln

    assert kind.spike is not None
    c, d = kind.spike
    labels, total = count.shape[1], count.sum(axis=1, keepdims=True)
    rest = (labels - 1) * kind.alpha
    each = gammaln(kind.alpha + count) - gammaln(kind.alpha)
    at_spike = betaln(c + count, d + total - count) - betaln(c, d)
    if labels == 1:
        return at_spike
    others = gammaln(rest) - gammaln(rest + total - count) + each.sum(axis=1, keepdims=True) - each
    found: np.ndarray = at_spike + others - np.log(labels)
    return found


def stated_evidence(stated: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the log density of each row's stated probabilities under each kind: (R, K)."""
    from scipy.special import gammaln, logsumexp

    hidden, mass, logs = _hidden(stated, known)
    known_labels, total = known.sum(axis=1), logs.sum(axis=1)
    found = np.empty((len(stated), len(KINDS)))
    for place, kind in enumerate(KINDS):
        if kind.spike is None:
            share = np.maximum(hidden, 1) * kind.alpha
            rest = np.where(hidden > 0, (share - 1.0) * np.log(mass) - gammaln(share), 0.0)
            whole = gammaln(known.shape[1] * kind.alpha) - known_labels * gammaln(kind.alpha)
            found[:, place] = whole + (kind.alpha - 1.0) * total + rest
        else:
            found[:, place] = logsumexp(_spike_anywhere(stated, known, kind), axis=1)
    return found


def _hidden(stated: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return u, m and the logarithms of what is stated, 0 where hidden."""
    mass = np.clip(1.0 - np.where(known, stated, 0.0).sum(axis=1), 1e-12, 1.0)
    return (~known).sum(axis=1), mass, np.where(known, np.log(np.maximum(stated, _TINY)), 0.0)


def _spike_anywhere(stated: np.ndarray, known: np.ndarray, kind: Kind) -> np.ndarray:
    """Return the log density of what is stated and of where the spike is: (R, A + nodes).

    At each known label; or hidden, with each share t of the hidden mass, summed over which label it
    is.
    """
    from scipy.special import betaln, gammaln

    assert kind.spike is not None
    (c, d), alpha, labels = kind.spike, kind.alpha, stated.shape[1]
    hidden, mass, logs = _hidden(stated, known)
    u, m = hidden[:, None], mass[:, None]
    known_labels, total = labels - u, logs.sum(axis=1, keepdims=True)
    whole = gammaln(max(labels - 1, 1) * alpha)

    def spike(w: np.ndarray) -> np.ndarray:
        density = (
            (c - 1.0) * np.log(w) + (d - 1.0) * np.log(np.maximum(1.0 - w, 1e-12)) - betaln(c, d)
        )
        # The others share 1 - w.
        found: np.ndarray = density + (1.0 - (labels - 1) * alpha) * np.log(
            np.maximum(1.0 - w, 1e-12)
        )
        return found

    share = np.maximum(u, 1) * alpha
    rest = np.where(u > 0, (share - 1.0) * np.log(m) - gammaln(share), 0.0)
    seen = spike(np.maximum(stated, _TINY)) + whole - (known_labels - 1) * gammaln(alpha)
    seen = np.where(known, seen + (alpha - 1.0) * (total - logs) + rest, -np.inf)
    share = np.maximum(u - 1, 1) * alpha
    unseen = (
        spike(m * _NODES)
        + whole
        - known_labels * gammaln(alpha)
        - gammaln(share)
        + (alpha - 1.0) * total
    )
    # Beyond the last node the integrand falls as exp(-share logit): a geometric series, added to
    # that node.
    unseen[:, -1:] -= np.log(-np.expm1(-share * _LOGIT_STEP))
    unseen = (
        unseen
        + (share - 1.0) * np.log(m * (1.0 - _NODES))
        + np.log(m)
        + _LOG_STEP
        + np.log(np.maximum(u, 1))
    )
    found: np.ndarray = np.concatenate([seen, np.where(u >= 2, unseen, -np.inf)], axis=1) - np.log(
        labels
    )
    return found


def cap_evidence(
    stated: np.ndarray, known: np.ndarray, cap: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the log probability that no hidden label of a row exceeds its cap, for each kind: (R,
    K), estimated.
    """
    found = np.zeros((len(stated), len(ALPHAS)))
    bounded = np.flatnonzero((cap < 1.0) & ((~known).sum(axis=1) > 1))
    _, mass, _ = _hidden(stated, known)
    repeats = int(min(max(_CAP_CELLS // max(len(bounded) * stated.shape[1], 1), 6), 24))
    for place, alpha in enumerate(ALPHAS):
        if alpha <= _EVEN and len(bounded):
            inside = np.zeros(len(bounded))
            for _ in range(repeats):
                share = shares(
                    np.broadcast_to(alpha, (len(bounded), stated.shape[1])), ~known[bounded], rng
                )
                inside += (mass[bounded, None] * share).max(axis=1) <= cap[bounded] * 1.0001
            found[bounded, place] = np.log((inside + 0.5) / (repeats + 1.0))
    return np.repeat(found, 1 + len(SPIKES), axis=1)


def shares(parameter: np.ndarray, used: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return draws of Dirichlet(parameter) over the `used` labels of each row, 0 elsewhere: (R, A).

    Gamma(a) is Gamma(a + 1) U^(1/a), in logarithms, -log U being exponential: for small a the gamma
    itself underflows.
    """
    log = (
        np.log(rng.standard_gamma(parameter + 1.0))
        - rng.standard_exponential(parameter.shape) / parameter
    )
    log = np.where(used, log, -np.inf)
    peak = np.where(used.any(axis=1), log.max(axis=1), 0.0)
    weight = np.exp(log - peak[:, None])
    found: np.ndarray = weight / np.maximum(weight.sum(axis=1, keepdims=True), _TINY)
    return found


def draw_counted(count: np.ndarray, kind: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return rows given their counts and kinds: (R, A), rows sum to 1."""
    alpha = np.array([one.alpha for one in KINDS])[kind]
    parameter = alpha[:, None] + count
    used = np.ones(count.shape, dtype=bool)
    spike = np.zeros(len(count))
    label = np.zeros(len(count), dtype=np.int64)
    for place in np.unique(kind).tolist():
        one = KINDS[place]
        if one.spike is None:
            continue
        mine = np.flatnonzero(kind == place)
        label[mine] = _pick(_spike_at_label(count[mine], one), rng)
        x, total = count[mine, label[mine]], count[mine].sum(axis=1)
        spike[mine] = rng.beta(one.spike[0] + x, one.spike[1] + total - x)
        used[mine, label[mine]] = False
    rows = shares(parameter, used, rng) * (1.0 - spike[:, None])
    has_spike = ~used.all(axis=1)
    rows[has_spike, label[has_spike]] = spike[has_spike]
    return rows / rows.sum(axis=1, keepdims=True)


def draw_stated(
    stated: np.ndarray,
    known: np.ndarray,
    cap: np.ndarray,
    kind: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return rows given what is stated of them, which is kept exactly, their caps and kinds: (R,
    A).
    """
    hidden_spike = np.zeros(len(stated))
    for place in np.unique(kind).tolist():
        if KINDS[place].spike is not None:
            mine = np.flatnonzero(kind == place)
            where = _pick(_spike_anywhere(stated[mine], known[mine], KINDS[place]), rng)
            inside = where >= stated.shape[1]
            hidden_spike[mine[inside]] = _NODES[where[inside] - stated.shape[1]]
    alpha = np.array([one.alpha for one in KINDS])[kind]
    mass = np.clip(1.0 - np.where(known, stated, 0.0).sum(axis=1), 0.0, 1.0)
    hidden = _shared(mass, known, alpha, hidden_spike, rng)
    for _ in range(6):
        over = np.flatnonzero(hidden.max(axis=1) > cap)
        if not len(over):
            break
        hidden[over] = _shared(mass[over], known[over], alpha[over], hidden_spike[over], rng)
    return np.where(known, stated, under(hidden, known, cap))


def _shared(
    mass: np.ndarray,
    known: np.ndarray,
    alpha: np.ndarray,
    spike: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the hidden masses: a share `spike` (0: none) at a hidden label, the rest as
    Dirichlet(alpha).
    """
    used = ~known
    found = np.zeros(known.shape)
    has = np.flatnonzero(spike > 0.0)
    label = np.where(known[has], -1.0, rng.random((len(has), known.shape[1]))).argmax(axis=1)
    used[has, label] = False
    found[has, label] = mass[has] * spike[has]
    rest = mass * (1.0 - spike)
    found += rest[:, None] * shares(np.broadcast_to(alpha[:, None], known.shape), used, rng)
    return found


def under(hidden: np.ndarray, known: np.ndarray, cap: np.ndarray) -> np.ndarray:
    """Return hidden masses none of which exceeds its row's cap: the excess goes where there is
    room, in proportion.
    """
    for _ in range(8):
        excess = np.where(known, 0.0, np.maximum(hidden - cap[:, None], 0.0))
        if not excess.any():
            break
        hidden = hidden - excess
        room = np.where(known, 0.0, np.maximum(cap[:, None] - hidden, 0.0))
        hidden = hidden + excess.sum(axis=1, keepdims=True) * room / np.maximum(
            room.sum(axis=1, keepdims=True), _TINY
        )
    return hidden


def strata(visits: np.ndarray) -> np.ndarray:
    """Return the third of the visit counts to which each row belongs, 0 the least: (R,). Kinds may
    depend on rho.
    """
    low, high = np.quantile(visits, [1 / 3, 2 / 3])
    found: np.ndarray = (visits > low).astype(np.int64) + (visits > high)
    return found


CONCENTRATION, TIE, ROUNDS = 2.0, 12.0, 15
"""Dirichlet weight of the shares of the kinds, how closely the strata follow the shares of all, and
Gibbs rounds.
"""


def draw_kinds(
    evidence: np.ndarray, stratum: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the kind of each row, (R,), and the shares of the kinds in stratum 0, (K,): one draw,
    by Gibbs sampling.

    The shares of a stratum are Dirichlet around those of all rows, as many as `TIE` rows.
    """
    kinds, groups = evidence.shape[1], int(stratum.max(initial=0)) + 1
    # Rows along the last axis: sums over the kinds then run over all rows at once.
    weight = np.exp(evidence - evidence.max(axis=1, keepdims=True)).T.copy()
    base = 0.9 * rng.dirichlet(np.full(kinds, CONCENTRATION / kinds)) + 0.1 / kinds
    share = np.tile(base, (groups, 1))
    kind = np.zeros(len(evidence), dtype=np.int64)
    for _ in range(ROUNDS):
        cumulated = np.cumsum(weight * share.T[:, stratum], axis=0)
        level = rng.random(len(evidence)) * cumulated[-1]
        kind = np.minimum((cumulated < level).sum(axis=0), kinds - 1)
        base = rng.dirichlet(
            np.maximum(CONCENTRATION / kinds + np.bincount(kind, minlength=kinds), 1e-3)
        )
        for group in range(groups):
            number = np.bincount(kind[stratum == group], minlength=kinds)
            share[group] = rng.dirichlet(np.maximum(TIE * base + number, 1e-3))
    return kind, share[0]


def _pick(log: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return one column of each row, drawn by log weights."""
    found: np.ndarray = (log + rng.gumbel(size=log.shape)).argmax(axis=1)
    return found
