"""What the atlas runs: sweeps over all that has a name, from files that it writes itself.

Four teachers: `instance0` of Zhao and Zhu (2023); `zipf` rows; `instance3`, whose light inputs and
labels are so rare at each n that a constant part of them stays unseen, and half of whose labels
never occur; and `affine`, whose logits are affine in two features and whose inputs come in equal
pairs. Channels that need such a teacher are run on that one alone.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from kt_theory.catalogue import OBJECTIVES, STUDENTS
from kt_theory.output import write_bytes
from kt_theory.sweep import Spec
from kt_theory.teacher import Teacher
from kt_theory.teachers import instance3

SIZES = ((1, 20), (6, 8), (24, 5))
"""(S, A)."""

SAMPLES = (100, 300, 1000, 3000, 10_000, 30_000, 100_000)

PARAMETERS: dict[str, tuple[str, ...]] = {
    "top_k": ("2",),
    "top_k_only": ("2",),
    "add_c": ("0.25",),
    "grad_ful": ("path, 1",),
    "tempered": ("2", "2, 1.5"),
    "tempered_mle": ("2",),
    "rounded": ("0.5",),
    "quantised": ("4",),
    "noisy": ("0.5",),
    "logits": ("", "partial"),
    "hinton": ("0.5", "0.5, 2"),
}
"""Of each student with parameters, as they are written; one of another name is run as it is."""

OBJECTIVE_PARAMETERS: dict[str, str] = {
    "js": "0.25",
    "skewed_kl": "0.1",
    "skewed_reverse_kl": "0.1",
    "pairwise": "1",
    "hinton": "0.5",
    "label_smoothing": "0.1",
    "ce_weighted": "1",
}
"""Of each objective with parameters other than k, which is 2."""

ALL_LABELS_OCCUR = ("true_logits",)
"""Students of logits on one scale, which are finite for labels that occur alone."""

ON_INSTANCE3: dict[str, tuple[str, ...]] = {
    "masked": ("sel_ptl, {mask}", "ce_sgl, {mask}"),
}
"""Students that need files about the teacher, as `PARAMETERS`."""

ON_AFFINE: dict[str, tuple[str, ...]] = {
    "jacobian": ("{features}",),
    "affine_ful": ("{features}",),
    "features": ("{heads}, complete", "{heads}, sampled", "{heads}, hard"),
    "relations": ("{distances}, complete", "{distances}, sampled", "{distances}, hard"),
    "with_prior": ("ce_ful, {prior}", "ce_sgl, {prior}"),
    "shrink": ("{prior}, 4",),
    "grouped": ("ce_sgl, {groups}", "ce_ful, {groups}"),
    "confused": ("{confusion}",),
}


def names() -> list[str]:
    """Return every student of the catalogue that needs no file, objectives among them."""
    found = []
    for name, entry in STUDENTS.items():
        if name in ON_AFFINE or name in ON_INSTANCE3 or name == "minimiser":
            continue
        given = PARAMETERS.get(name, ("",)) if entry.parameters else ("",)
        found += [f"{name}({values})" if values else name for values in given]
    for name, objective in OBJECTIVES.items():
        needs = [each.name for each in objective.parameters]
        given_to = "2" if needs[:1] == ["k"] else OBJECTIVE_PARAMETERS.get(name, "")
        inner = f"{name}({given_to})" if needs else name
        found.append(f"minimiser({inner})")
    return found


def names_with(files: dict[str, str], given: dict[str, tuple[str, ...]]) -> list[str]:
    """Return the students that need files, given the files' names."""
    return [f"{name}({one.format(**files)})" for name, values in given.items() for one in values]


def specs(folder: Path, repeats: int, seed: int) -> dict[str, Spec]:
    """Return the sweeps by the names of their folders; the files that they need are written into
    `folder`.
    """
    common: dict[str, Any] = {"n": list(SAMPLES), "repeats": repeats, "seed": seed}
    teachers = [
        {"family": family, "inputs": inputs, "labels": labels}
        for family in ("instance0", "zipf")
        for inputs, labels in SIZES
    ]
    found = {"fixed": Spec(name="fixed", students=names(), teachers=teachers, **common)}
    for inputs, labels in SIZES:
        size = {"inputs": inputs, "labels": labels}
        place = f"instance3_{inputs}x{labels}"
        mask = instance3(inputs, labels, SAMPLES[0]).pi.any(axis=0)
        files = _write(folder / "files" / place, {"mask": np.tile(mask, (inputs, 1))})
        students = [name for name in names() if name not in ALL_LABELS_OCCUR]
        students += names_with(files, ON_INSTANCE3)
        moving = {"family": "instance3", **size}
        found[place] = Spec(name=place, students=students, teachers=[moving], **common)
        place = f"affine_{inputs}x{labels}"
        files = _write(folder / "files" / place, _about_affine(inputs, labels))
        students = [*names(), *names_with(files, ON_AFFINE)]
        table = {"file": files["teacher"], "name": "affine"}
        found[place] = Spec(name=place, students=students, teachers=[table], **common)
    return found


def points(inputs: int) -> np.ndarray:
    """Return the features of the affine teacher, (S, 2): inputs 2 i and 2 i + 1 have the same."""
    angle = 2.0 * np.pi * (np.arange(inputs) // 2) / max(1, inputs // 2) + 0.3
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def affine_table(inputs: int, labels: int) -> np.ndarray:
    """Return the affine teacher's table, (S, A)."""
    heads = np.random.default_rng(labels).normal(size=(3, labels))
    return np.asarray(Teacher.from_logits(_with_constant(points(inputs)) @ heads).pi)


def _with_constant(features: np.ndarray) -> np.ndarray:
    return np.concatenate([features, np.ones((len(features), 1))], axis=1)


def _about_affine(inputs: int, labels: int) -> dict[str, np.ndarray]:
    """Return the teacher and what its students know of it, by name."""
    features, table = points(inputs), affine_table(inputs, labels)
    return {
        "teacher": table,
        "features": features,
        "heads": _with_constant(features),
        "distances": np.linalg.norm(features[:, None] - features[None], axis=2),
        "prior": 0.75 * table + 0.25 / labels,
        "groups": np.arange(inputs) // 2,
        "confusion": 0.7 * np.eye(labels) + 0.3 / labels,
    }


def _write(folder: Path, arrays: dict[str, np.ndarray]) -> dict[str, str]:
    """Write arrays into a folder; return the files' names."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, array in arrays.items():
        stream = io.BytesIO()
        np.save(stream, array)
        found[name] = str(write_bytes(folder / f"{name}.npy", stream.getvalue()))
    return found
