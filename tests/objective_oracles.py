"""The population losses of the objectives, written out once more, and members of their sets of
minimisers: what the tests compare with.
"""

from __future__ import annotations

import numpy as np
from scipy.special import rel_entr

from kt_theory import objectives

K = 2
"""Of the objectives on the most probable labels, in rows of five."""


def top_of(p):
    """Which labels are the K most probable, by counting those before each."""
    index = np.arange(p.shape[-1])
    larger = p[..., None, :] > p[..., :, None]
    before = (p[..., None, :] == p[..., :, None]) & (index[None, :] < index[:, None])
    return (larger | before).sum(axis=-1) < K


def kl(p, q):
    return rel_entr(p, q).sum(axis=-1)


def logs(q):
    with np.errstate(divide="ignore"):
        return np.log(q)


def centred(z):
    return z - z.mean(axis=-1, keepdims=True)


def unit(z):
    return z / np.sqrt((z**2).mean(axis=-1, keepdims=True))


def correlation(x, y):
    return (unit(centred(x)) * unit(centred(y))).mean(axis=-1)


def heated(p, tau):
    powers = p ** (1.0 / tau)
    return powers / powers.sum(axis=-1, keepdims=True)


def on_top(p, q):
    return np.where(top_of(p), p, 0.0), np.where(top_of(p), q, 0.0)


def shares(x):
    return x / x.sum(axis=-1, keepdims=True)


def bucketed(p, q):
    one, other = on_top(p, q)
    rest = [1.0 - part.sum(axis=-1, keepdims=True) for part in (one, other)]
    return np.concatenate([one, rest[0]], -1), np.concatenate([other, np.maximum(rest[1], 0)], -1)


def hinge(p, q, margin):
    z = logs(q)
    gap = z[..., :, None] - z[..., None, :]
    missing = np.where(np.isposinf(gap), 0.0, np.maximum(0.0, margin - np.nan_to_num(gap)))
    return np.where(p[..., :, None] > p[..., None, :], missing, 0.0).sum(axis=(-1, -2))


def mixed(p, q, alpha, tau):
    cross = -(p * logs(q)).sum(axis=-1)
    return alpha * cross + (1.0 - alpha) * tau**2 * kl(heated(p, tau), heated(q, tau))


LOSSES = {
    "forward_kl": kl,
    "reverse_kl": lambda p, q: kl(q, p),
    "js": lambda p, q: 0.5 * (kl(p, (p + q) / 2) + kl(q, (p + q) / 2)),
    "js(0.1)": lambda p, q: 0.1 * kl(p, 0.1 * p + 0.9 * q) + 0.9 * kl(q, 0.1 * p + 0.9 * q),
    "skewed_kl(0.1)": lambda p, q: kl(p, 0.1 * p + 0.9 * q),
    "skewed_reverse_kl(0.1)": lambda p, q: kl(q, 0.9 * p + 0.1 * q),
    "tv": lambda p, q: 0.5 * np.abs(p - q).sum(axis=-1),
    "probability_mse": lambda p, q: ((p - q) ** 2).mean(axis=-1),
    "cosine": lambda p, q: (
        1.0 - (p * q).sum(axis=-1) / np.sqrt((p**2).sum(axis=-1) * (q**2).sum(axis=-1))
    ),
    "logit_mse": lambda p, q: (centred(logs(q) - logs(p)) ** 2).mean(axis=-1),
    "standardised_logits": lambda p, q: (
        (unit(centred(logs(q))) - unit(centred(logs(p)))) ** 2
    ).mean(axis=-1),
    "cosine_logits": lambda p, q: 1.0 - correlation(logs(q), logs(p)),
    "correlation": lambda p, q: 1.0 - correlation(q, p),
    "pairwise(1)": lambda p, q: hinge(p, q, 1.0),
    "pairwise(0)": lambda p, q: hinge(p, q, 0.0),
    "sorted_distance": lambda p, q: np.abs(np.sort(p) - np.sort(q)).sum(axis=-1),
    "sampled_weights": lambda p, q: -(p * logs(q)).sum(axis=-1),
    "greedy": lambda p, q: (
        -np.take_along_axis(
            logs(q), p.argmax(axis=-1)[..., None] + np.zeros(q.shape[:-1], int)[..., None], -1
        )[..., 0]
    ),
    "sampled_probabilities": lambda p, q: (p * 0.5 * (logs(q) - logs(p)) ** 2).sum(axis=-1),
    "sampled_tail(2)": kl,
    "hinton(0.5)": lambda p, q: mixed(p, q, 0.5, 1.0),
    "hinton(0.3, 2)": lambda p, q: mixed(p, q, 0.3, 2.0),
    "ce_weighted(1)": lambda p, q: -(p**2 * logs(q)).sum(axis=-1),
    "ce_weighted(0.5)": lambda p, q: -(p**1.5 * logs(q)).sum(axis=-1),
    "label_smoothing(0.1)": lambda p, q: -((0.9 * p + 0.1 / p.shape[-1]) * logs(q)).sum(axis=-1),
    "forward_kl_top(2)": lambda p, q: kl(shares(on_top(p, q)[0]), q),
    "reverse_kl_top(2)": lambda p, q: kl(q, shares(on_top(p, q)[0])),
    "forward_kl_truncated(2)": lambda p, q: np.where(top_of(p), p * (logs(p) - logs(q)), 0.0).sum(
        axis=-1
    ),
    "reverse_kl_truncated(2)": lambda p, q: np.where(top_of(p), rel_entr(q, p), 0.0).sum(axis=-1),
    "forward_kl_within(2)": lambda p, q: kl(*map(shares, on_top(p, q))),
    "reverse_kl_within(2)": lambda p, q: kl(*map(shares, reversed(on_top(p, q)))),
    "forward_kl_tail(2)": lambda p, q: kl(*bucketed(p, q)),
    "reverse_kl_tail(2)": lambda p, q: kl(*reversed(bucketed(p, q))),
}
"""(p, q) to the loss, over the last axis of arrays that broadcast."""

SMOOTH = [
    "forward_kl",
    "reverse_kl",
    "js(0.1)",
    "skewed_kl(0.1)",
    "skewed_reverse_kl(0.1)",
    "probability_mse",
    "cosine",
    "hinton(0.3, 2)",
    "ce_weighted(1)",
    "label_smoothing(0.1)",
    "forward_kl_top(2)",
    "forward_kl_truncated(2)",
    "reverse_kl_truncated(2)",
    "forward_kl_tail(2)",
    "reverse_kl_tail(2)",
]
"""Those that a solver of smooth problems can be trusted with."""


def rays(rng, p, number):
    """Members of p^a / sum p^a."""
    powers = np.concatenate([[1e-4, 1.0, 1e6], rng.exponential(2.0, number)])
    z = powers[:, None] * np.log(p)
    weights = np.exp(z - z.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def segment(rng, p, number):
    """Members of 1/A + c (p - 1/A)."""
    even = 1.0 / p.size
    largest = even / (even - p.min())
    c = largest * np.concatenate([[1e-6, 1.0 / largest, 1.0 - 1e-12], rng.random(number)])
    return even + c[:, None] * (p - even)


def in_order(margin):
    def members(rng, p, number):
        """Rows with log-odds between labels in a row of at least the margin: few large gaps."""
        scale = 10.0 ** rng.uniform(-4.0, 2.0, (number, p.size))
        gaps = margin + np.minimum(scale * rng.exponential(1.0, (number, p.size)), 100.0)
        near = np.full((p.size, p.size), margin) + 60.0 * np.eye(p.size)
        z = -np.cumsum(np.concatenate([gaps, near]), axis=1)
        weights = np.exp(z - z.max(axis=1, keepdims=True))
        found = np.empty_like(weights)
        found[:, np.argsort(-p)] = weights / weights.sum(axis=1, keepdims=True)
        itself = (np.diff(np.log(np.sort(p))) >= margin).all()
        return np.concatenate([found, p[None, :]]) if itself else found

    return members


def permuted(rng, p, number):
    """Permutations, the antitone one among them."""
    antitone = np.empty_like(p)
    antitone[np.argsort(p)] = np.sort(p)[::-1]
    return np.array([p, antitone, *(rng.permutation(p) for _ in range(number))])


def outside(rng, p, number):
    """Shares of the labels that are not among the K most probable, each label alone first."""
    hidden = ~top_of(p)
    size = int(hidden.sum())
    found = np.zeros((number + size + 1, p.size))
    rest = p[hidden] / p[hidden].sum()
    found[:, hidden] = [*np.eye(size), rest, *rng.dirichlet(np.ones(size), number)]
    return found


def tails(rng, p, number):
    rest = outside(rng, p, number)
    top = np.where(top_of(p), p, 0.0)
    return top + (1.0 - top.sum()) * rest


def cut(rng, p, number):
    rest = outside(rng, p, number)
    top = np.where(top_of(p), p, 0.0) * np.exp(-1.0)
    return top + (1.0 - top.sum()) * rest


def odds(rng, p, number):
    rest = outside(rng, p, number)
    top = np.where(top_of(p), p, 0.0)
    mass = 10.0 ** -rng.uniform(0.0, 9.0, len(rest))
    mass[: -number - 1] = 1e-9
    mass[-number - 1] = top.sum()
    return mass[:, None] * top / top.sum() + (1.0 - mass[:, None]) * rest


SETS = {
    "standardised_logits": rays,
    "cosine_logits": rays,
    "correlation": segment,
    "pairwise(1)": in_order(1.0),
    "pairwise(0)": in_order(1e-12),
    "sorted_distance": permuted,
    "reverse_kl_truncated(2)": cut,
    "forward_kl_within(2)": odds,
    "reverse_kl_within(2)": odds,
    "forward_kl_tail(2)": tails,
    "reverse_kl_tail(2)": tails,
}
"""(rng, p, number) to members of the set of minimisers, (M, A), near its extremes among them."""

WITH_PARAMETERS = {
    "js(0.1)": objectives.js(0.1),
    "skewed_kl(0.1)": objectives.skewed_kl(0.1),
    "skewed_reverse_kl(0.1)": objectives.skewed_reverse_kl(0.1),
    "pairwise(1)": objectives.pairwise(1),
    "pairwise(0)": objectives.pairwise(0),
    "hinton(0.5)": objectives.hinton(0.5),
    "hinton(0.3, 2)": objectives.hinton(0.3, 2.0),
    "ce_weighted(1)": objectives.ce_weighted(1),
    "ce_weighted(0.5)": objectives.ce_weighted(0.5),
    "label_smoothing(0.1)": objectives.label_smoothing(0.1),
    "sampled_tail(2)": objectives.sampled_tail(K),
    **{
        f"{name}(2)": getattr(objectives, name)(K)
        for name in (
            "forward_kl_top",
            "reverse_kl_top",
            "forward_kl_truncated",
            "reverse_kl_truncated",
            "forward_kl_within",
            "reverse_kl_within",
            "forward_kl_tail",
            "reverse_kl_tail",
        )
    },
}

OBJECTIVES = {**objectives.NAMED, **WITH_PARAMETERS}
"""Every objective of these tests by its name."""
