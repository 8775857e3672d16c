"""Mutants of training objectives: what minimises them, and how far that is from the teacher."""

from __future__ import annotations

from mutants.mutant import Mutant

_TESTS = "objectives"

MUTANTS = (
    Mutant(
        "objective-truncated-keeps-too-much",
        "objectives/top.py",
        "_KEPT = 1.0 / math.e",
        "_KEPT = 0.4",
        "q log(q/p) is taken to be least elsewhere",
        _TESTS,
    ),
    Mutant(
        "objective-bucket-of-one-label-more",
        "objectives/top.py",
        "hidden = rows.shape[1] - self.k\n        return np.where",
        "hidden = rows.shape[1] - self.k + 1\n        return np.where",
        "equal shares are too small",
        _TESTS,
    ),
    Mutant(
        "objective-largest-bias-of-the-wrong-row",
        "objectives/top.py",
        "spread = np.maximum(size - self.k, 0.0) * (labels - size)",
        "spread = np.maximum(size - self.k, 0.0) * (labels - size - 1.0)",
        "a teacher of larger bias than the largest",
        _TESTS,
    ),
    Mutant(
        "objective-weights-once-too-few",
        "objectives/sampled.py",
        ") ** (1.0 + self.gamma)",
        ") ** self.gamma",
        "the frequencies are forgotten",
        _TESTS,
    ),
    Mutant(
        "objective-deviation-over-all-labels",
        "objectives/whole.py",
        "deviation = np.sqrt((logs**2).sum(axis=1) / number)",
        "deviation = np.sqrt((logs**2).mean(axis=1))",
        "labels of probability 0 count",
        _TESTS,
    ),
    Mutant(
        "objective-end-of-the-segment-too-far",
        "objectives/whole.py",
        "ends = np.maximum(to_even, (reach - 1.0) * to_even)",
        "ends = np.maximum(to_even, reach * to_even)",
        "a row that is no minimiser is further away than all",
        _TESTS,
    ),
    Mutant(
        "objective-order-of-the-wrong-side",
        "objectives/whole.py",
        "return softmax(-self.margin * _different(rows))",
        "return softmax(-2.0 * self.margin * _different(rows))",
        "another member than that of largest entropy",
        _TESTS,
    ),
    Mutant(
        "objective-student-of-one-label-too-many",
        "students/minimiser.py",
        "out[a] = 1.0 / (width + hidden)",
        "out[a] = 1.0 / (width + hidden + 1.0)",
        "what the rule writes is no row of the set",
        _TESTS,
    ),
    Mutant(
        "objective-student-smooths-twice",
        "students/minimiser.py",
        "out[a] = (1.0 - spread) * share + spread / counts.size",
        "out[a] = (1.0 - spread) ** 2 * share + (2.0 - spread) * spread / counts.size",
        "the rule smooths what is smooth",
        _TESTS,
    ),
    Mutant(
        "objective-consistent-where-the-student-is",
        "consistency.py",
        "widest.value == 0.0",
        "bias == 0.0",
        "one teacher is taken for all",
        _TESTS,
    ),
)
