"""What is frozen: a few small teachers, and every student and access level on six inputs."""

from __future__ import annotations

from functools import cache

import numpy as np

import kt_theory as kt

INPUTS, LABELS = 6, 4
POINTS = np.array(
    [[0.0, 1.0], [0.5, -0.25], [1.25, 0.5], [-0.75, 0.25], [0.25, 0.25], [-1.0, -0.75]]
)
HEADS = np.array([[0.875, -0.375, 0.25, -0.75], [-0.25, 0.75, -0.5, -0.125]])
DISTANCES = np.sqrt(((POINTS[:, None] - POINTS[None]) ** 2).sum(axis=2))
PRIOR = np.array([[0.4, 0.3, 0.2, 0.1]] * 3 + [[0.1, 0.2, 0.3, 0.4]] * 3)
MASK = np.array([True, True, True, False])
GROUPS = [0, 0, 0, 1, 1, 1]
RHO = [0.3, 0.25, 0.2, 0.1, 0.1, 0.05]
WALK = np.full((INPUTS, INPUTS), 0.05) + 0.7 * np.roll(np.eye(INPUTS), 1, axis=1)


@cache
def teachers():
    """The teachers by name; the last three are such as some students or levels need."""
    sparse = [[1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0], [0.2, 0.0, 0.8, 0.0]]
    sparse += [[0.0, 0.6, 0.4, 0.0], [0.3, 0.3, 0.4, 0.0], [1 / 3, 1 / 3, 1 / 3, 0.0]]
    return {
        "dirichlet": kt.Teacher(kt.teachers.dirichlet(INPUTS, LABELS, seed=5).pi, RHO),
        "instance0": kt.teachers.instance0(INPUTS, LABELS),
        "sparse": kt.Teacher(sparse, [0.4, 0.2, 0.2, 0.1, 0.1, 0.0]),
        "affine": kt.Teacher.from_logits(POINTS @ HEADS, RHO, name="affine"),
        "grouped": kt.Teacher(PRIOR[[0, 0, 0, 3, 3, 3]], RHO),
        "one": kt.Teacher([[0.55, 0.3, 0.1, 0.05]]),
    }


@kt.row_rule
def half_up(counts, revealed, out):
    out[:] = (counts + 0.5) / (counts.sum() + 0.5 * counts.size)


@kt.table_rule
def pooled(counts, revealed, out):
    for s in range(counts.shape[0]):
        out[s, :] = (counts.sum(axis=0) + 1.0) / (counts.sum() + counts.shape[1])


@cache
def students():
    """Every student by a readable name."""
    make, access = kt.students, kt.access
    named = [
        "ce_sgl",
        "ce_ptl",
        "sel_ptl",
        "ce_ful",
        "laplace",
        "krichevsky_trofimov",
        "good_turing",
    ]
    named += ["argmax", "argmax_hedged", "non_target"]
    found = {name: name for name in named}
    found |= {f"add_c({c})": make.add_c(c) for c in (0.3, 2.0)}
    found |= {f"top_k({k})": make.top_k(k) for k in (0, 1, 2, 4)}
    found |= {f"top_k_only({k})": make.top_k(k, sampled=False) for k in (1, 2)}
    bases = {"soft": access.SOFT, "partial": access.PARTIAL, "top_k(2)": access.top_k(2)}
    bases["top_k_only(2)"] = access.top_k(2, sampled=False)
    for name, base in bases.items():
        found[f"tempered(2, {name})"] = lambda base=base: make.tempered(2.0, of=base)
        found[f"tempered(2, 1.5, {name})"] = lambda base=base: make.tempered(2.0, 1.5, of=base)
        found[f"rounded(0.5, {name})"] = lambda base=base: make.rounded(0.5, of=base)
        found[f"quantised(3, {name})"] = lambda base=base: make.quantised(3, of=base)
        found[f"noisy(0.3, {name})"] = lambda base=base: make.noisy(0.3, of=base)
        found[f"logits({name})"] = lambda base=base: make.logits(of=base)
    found["tempered_mle(2)"] = make.tempered_mle(2.0)
    for alpha, temperature in ((0.0, 1.0), (0.5, 1.0), (0.5, 2.0), (1.0, 1.0)):
        found[f"hinton({alpha:g}, {temperature:g})"] = make.hinton(alpha, temperature)
    found["grad_ful(cycle, 1)"] = make.grad_ful(kt.graphs.cycle(INPUTS), 1)
    found["grad_ful(path, 2)"] = make.grad_ful(kt.graphs.path(INPUTS), 2)
    found["grad_ful(path, 0)"] = make.grad_ful(kt.graphs.path(INPUTS), 0)
    found["jacobian"] = make.jacobian(POINTS)
    found["affine_ful"] = make.affine_ful(POINTS)
    for targets in ("hard", "sampled", "complete"):
        found[f"features({targets})"] = make.features(POINTS, targets)
        found[f"features({targets}, queried)"] = make.features(POINTS, targets, shipped=False)
        found[f"relations({targets})"] = make.relations(DISTANCES, targets)
    for name in ("ce_sgl", "sel_ptl", "ce_ful", "good_turing", "argmax", "non_target"):
        found[f"with_prior({name})"] = lambda name=name: make.with_prior(name, PRIOR)
        found[f"masked({name})"] = lambda name=name: make.masked(name, MASK)
        found[f"grouped({name})"] = lambda name=name: make.grouped(name, GROUPS)
    found["with_prior(level top_k(2))"] = make.with_prior(access.top_k(2), PRIOR)
    found["with_prior(level rounded(0.5))"] = lambda: make.with_prior(access.rounded(0.5), PRIOR)
    found["masked(rounded(0.5))"] = lambda: make.masked(make.rounded(0.5), MASK)
    found["masked(hinton(0.5, 2))"] = lambda: make.masked(make.hinton(0.5, 2.0), MASK)
    found["grouped(top_k(1))"] = lambda: make.grouped(make.top_k(1), GROUPS)
    found["grouped(noisy(0.3))"] = lambda: make.grouped(make.noisy(0.3), GROUPS)
    found["shrink(2)"] = make.shrink(PRIOR, 2.0)
    found["moment_prior"] = lambda: make.with_prior("sel_ptl", moments())
    found["own row rule"] = kt.Student("half_up", access="hard", rule=half_up)
    found["own table rule"] = kt.Student("pooled", access="hard", rule=pooled)
    return {
        name: cache(student) if callable(student) else student for name, student in found.items()
    }


def moments():
    """A prior from the labels' moments, over two maps of the inputs."""
    teacher = teachers()["dirichlet"]
    maps = np.stack([np.ones(INPUTS), POINTS[:, 0]], axis=1)
    return kt.students.moment_prior(maps, (teacher.rho[:, None] * teacher.pi).T @ maps, teacher.rho)


@cache
def levels():
    """Every access level by a readable name: a name that needs no parameter, or an object."""
    access, make = kt.access, kt.students
    found = {name: name for name in ("hard", "partial", "soft", "argmax", "non_target")}
    found |= {f"{level.name} object": level for level in (access.HARD, access.PARTIAL, access.SOFT)}
    found |= {f"{name} object": access.as_access(name) for name in ("argmax", "non_target")}
    found |= {f"top_k({k})": access.top_k(k) for k in (0, 1, 2, 9)}
    found |= {f"top_k_only({k})": access.top_k(k, sampled=False) for k in (1, 2, 9)}
    bases = {"soft": access.SOFT, "partial": access.PARTIAL, "top_k(2)": access.top_k(2)}
    bases["top_k_only(2)"] = access.top_k(2, sampled=False)
    for name, base in bases.items():
        found[f"temperature(2) {name}"] = access.temperature(2.0, of=base)
        found[f"rounded(0.05) {name}"] = access.rounded(0.05, of=base)
        found[f"rounded(1) {name}"] = access.rounded(1.0, of=base)
        found[f"quantised(6) {name}"] = access.quantised(6, of=base)
        found[f"noisy(0.3) {name}"] = access.noisy(0.3, of=base)
        found[f"logits {name}"] = access.logits(of=base)
    found["gradient(cycle, 1)"] = access.gradient(kt.graphs.cycle(INPUTS), 1)
    found["gradient(path, 2)"] = access.gradient(kt.graphs.path(INPUTS), 2)
    found["gradient(path, 0)"] = access.gradient(kt.graphs.path(INPUTS), 0)
    found["gradient(grid, 1)"] = access.gradient(kt.graphs.grid(2, 3), 1)
    found["gradient(neighbours, 1)"] = access.gradient(kt.graphs.nearest_neighbours(POINTS, 2), 1)
    found["jacobian"] = access.jacobian(POINTS)
    for targets in ("hard", "sampled", "complete"):
        found[f"features({targets})"] = make.features(POINTS, targets).access
        found[f"features({targets}, queried)"] = make.features(
            POINTS, targets, shipped=False
        ).access
    return found


def laws():
    """Query laws by name; the design is for the Dirichlet teacher."""
    queries, teacher = kt.queries, teachers()["dirichlet"]
    q = [0.05, 0.1, 0.1, 0.2, 0.25, 0.3]
    return {
        "iid(rho), 3 labels": queries.iid(labels_per_query=3),
        "iid(q)": queries.iid(q),
        "iid(q), 2 labels": queries.iid(q, labels_per_query=2),
        "chain": queries.chain(WALK),
        "chain, 2 labels": queries.chain(WALK, q, labels_per_query=2),
        "episodes": queries.episodes(WALK, q, 4),
        "adaptive": queries.adaptive(q),
        "adaptive, 2 labels": queries.adaptive(q, labels_per_query=2),
        "oracle": queries.oracle(teacher),
        "two_stage": queries.two_stage(0.3),
        "two_stage, 2 labels": queries.two_stage(0.3, labels_per_query=2),
    }
