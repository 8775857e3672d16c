"""The same job done by the engine and by its peers: the losses of the paper's four students on the same transfer sets.

Every contestant is a function of a repeat count that draws that many transfer sets of n pairs and returns the (repeats,
4) losses of CE_sgl, CE_ptl, SEL_ptl and CE_ful, so that the runner can check that all of them estimate the same risks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numba
import numpy as np

import kt_theory as kt

Contestant = Callable[[int], np.ndarray]
STUDENTS = tuple(kt.STUDENTS)
NAIVE_LARGEST_N = 10**4
LIBRARY_LARGEST_WORK = 10**7
BATCH_BYTES = (2**18, 2**21, 2**24)


def contestants(teacher: kt.Teacher, n: int, *, peers: bool = True) -> dict[str, Contestant]:
    """Return the contestants that can do this cell in reasonable time, by name."""
    found: dict[str, Contestant] = {}
    if peers and n <= NAIVE_LARGEST_N:
        found["naive"] = naive(teacher, n)
    if peers:
        found["batched"] = batched(teacher, n)
        found["numba"] = library_numba(teacher, n)
    if peers and find_spec("jax") and n <= 10**5:
        found["jax"] = jax_cpu(teacher, n)
    found["engine"] = engine(teacher, n, threads=1)
    found["engine x2"] = engine(teacher, n, threads=2)
    return found


def engine(teacher: kt.Teacher, n: int, threads: int, students: Any = STUDENTS) -> Contestant:
    """Return `kt.simulate`, called as a user calls it."""

    def run(repeats: int) -> np.ndarray:
        found = kt.simulate(
            teacher,
            students,
            n=n,
            repeats=max(2, repeats),
            seed=1,
            threads=threads,
            keep_losses=True,
            progress=False,
        )
        assert found.losses is not None
        return found.losses[0]

    return run


def dense_losses(
    counts: np.ndarray, pi: np.ndarray, rho: np.ndarray, fallback: np.ndarray
) -> np.ndarray:
    """Return the (B, 4) losses of counts (B, S, A), in as few passes over dense arrays as NumPy allows."""
    work = counts.astype(np.float64)
    visits = work.sum(axis=-1)
    visited = visits > 0
    unseen = work == 0.0
    losses = np.empty((len(counts), 4))
    uniform = np.where(visited, 0.0, fallback) @ rho

    def risk(distance: np.ndarray) -> np.ndarray:
        return 0.5 * np.where(visited, distance, 0.0) @ rho + uniform

    gap = work / np.maximum(visits, 1.0)[..., None]
    gap -= pi
    losses[:, 0] = risk(np.abs(gap, out=gap).sum(axis=-1))
    work *= pi
    work /= np.maximum(work.sum(axis=-1), 1e-300)[..., None]
    work -= pi
    losses[:, 1] = risk(np.abs(work, out=work).sum(axis=-1))
    hidden = np.multiply(unseen, pi, out=gap)
    number = unseen.sum(axis=-1)
    share = hidden.sum(axis=-1) / np.maximum(number, 1)
    np.subtract(pi, share[..., None], out=work)
    np.abs(work, out=work)
    work *= unseen
    losses[:, 2] = risk(work.sum(axis=-1))
    losses[:, 3] = uniform
    return losses


def batched(teacher: kt.Teacher, n: int) -> Contestant:
    """Return the best vectorised NumPy for this cell: joint or row by row, at the batch size that is fastest here."""
    pi, rho = np.array(teacher.pi), np.array(teacher.rho)
    joint = (rho[:, None] * pi).ravel()
    joint /= joint.sum()
    fallback = np.asarray(kt.total_variation(np.full(teacher.labels, 1 / teacher.labels), pi))
    rng = np.random.default_rng(1)

    def by_joint(size: int) -> np.ndarray:
        return rng.multinomial(n, joint, size=size).reshape(size, *pi.shape)

    def by_rows(size: int) -> np.ndarray:
        return rng.multinomial(rng.multinomial(n, rho, size=size), pi)

    def runner(draw: Callable[[int], np.ndarray], batch: int) -> Contestant:
        def run(repeats: int) -> np.ndarray:
            sizes = [min(batch, repeats - at) for at in range(0, repeats, batch)]
            return np.concatenate([dense_losses(draw(size), pi, rho, fallback) for size in sizes])

        return run

    batches = sorted({max(1, b // (8 * pi.size)) for b in BATCH_BYTES})
    candidates = [(runner(draw, b), b) for draw in (by_joint, by_rows) for b in batches]
    return min(candidates, key=lambda pair: _cost(pair[0], pair[1]))[0]


def _cost(run: Contestant, batch: int) -> float:
    run(1)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        run(batch)
        times.append((time.perf_counter() - start) / batch)
    return min(times)


def naive(teacher: kt.Teacher, n: int) -> Contestant:
    """Return the loop that most people write first: `rng.choice` of n pairs, `np.add.at`, one repeat at a time."""
    pi, rho = np.array(teacher.pi), np.array(teacher.rho)
    joint = (rho[:, None] * pi).ravel()
    joint /= joint.sum()
    fallback = np.asarray(kt.total_variation(np.full(teacher.labels, 1 / teacher.labels), pi))
    rng = np.random.default_rng(2)

    def run(repeats: int) -> np.ndarray:
        losses = []
        for _ in range(repeats):
            counts = np.zeros(joint.size, dtype=np.int64)
            np.add.at(counts, rng.choice(joint.size, size=n, p=joint), 1)
            losses.append(dense_losses(counts.reshape(1, *pi.shape), pi, rho, fallback))
        return np.concatenate(losses)

    return run


@numba.njit(cache=True)
def _library_loop(n, joint, pi, rho, fallback, losses):
    inputs, labels = pi.shape
    for r in range(len(losses)):
        counts = np.random.multinomial(n, joint)  # noqa: NPY002
        losses[r] = 0.0
        for s in range(inputs):
            row = counts[s * labels : (s + 1) * labels]
            visits = row.sum()
            if visits == 0:
                losses[r] += rho[s] * fallback[s]
                continue
            weight, mass, unseen = 0.0, 0.0, 0
            for a in range(labels):
                weight += row[a] * pi[s, a]
                if row[a] == 0:
                    mass += pi[s, a]
                    unseen += 1
            share = mass / max(unseen, 1)
            for a in range(labels):
                losses[r, 0] += 0.5 * rho[s] * abs(row[a] / visits - pi[s, a])
                losses[r, 1] += 0.5 * rho[s] * abs(row[a] * pi[s, a] / weight - pi[s, a])
                losses[r, 2] += 0.5 * rho[s] * abs(share - pi[s, a]) if row[a] == 0 else 0.0


def library_numba(teacher: kt.Teacher, n: int) -> Contestant:
    """Return a plain jitted loop around Numba's own `np.random.multinomial`."""
    pi, rho = np.array(teacher.pi), np.array(teacher.rho)
    joint = (rho[:, None] * pi).ravel()
    joint /= joint.sum()
    fallback = np.ascontiguousarray(
        kt.total_variation(np.full(teacher.labels, 1 / teacher.labels), pi)
    )

    def run(repeats: int) -> np.ndarray:
        losses = np.empty((repeats, 4))
        _library_loop(n, joint, pi, rho, fallback, losses)
        return losses

    return run


def jax_cpu(teacher: kt.Teacher, n: int) -> Contestant:
    """Return a jitted JAX version on the CPU: categorical draws, a scatter-add, dense losses."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", True)
    pi, rho = jnp.asarray(teacher.pi), jnp.asarray(teacher.rho)
    edges = jnp.cumsum((rho[:, None] * pi).ravel())
    fallback = 0.5 * jnp.abs(pi - 1 / teacher.labels).sum(axis=1)

    def one(key: Any) -> Any:
        cells = jnp.minimum(
            jnp.searchsorted(edges, jax.random.uniform(key, (n,)) * edges[-1]), pi.size - 1
        )
        counts = jnp.zeros(pi.size).at[cells].add(1.0).reshape(pi.shape)
        visits = counts.sum(axis=1)
        seen = counts > 0

        def risk(distance: Any) -> Any:
            return jnp.where(visits > 0, 0.5 * distance, fallback) @ rho

        weight = counts * pi
        share = (pi * ~seen).sum(axis=1) / jnp.maximum((~seen).sum(axis=1), 1)
        sgl = jnp.abs(counts / jnp.maximum(visits, 1)[:, None] - pi).sum(axis=1)
        ptl = jnp.abs(weight / jnp.maximum(weight.sum(axis=1), 1e-300)[:, None] - pi).sum(axis=1)
        sel = (jnp.abs(pi - share[:, None]) * ~seen).sum(axis=1)
        return jnp.stack([risk(sgl), risk(ptl), risk(sel), risk(jnp.zeros_like(rho))])

    batch = max(1, min(256, 2**22 // (n + pi.size)))
    many = jax.jit(jax.vmap(one))
    state = {"key": jax.random.key(1)}

    def run(repeats: int) -> np.ndarray:
        parts = []
        for _ in range(-(-repeats // batch)):
            state["key"], use = jax.random.split(state["key"])
            parts.append(np.asarray(many(jax.random.split(use, batch))))
        return np.concatenate(parts)

    return run
