"""Mutants of n-gram models, and of copies of sequence teachers."""

from __future__ import annotations

from mutants.mutant import Mutant

MUTANTS = (
    Mutant(
        "kneser-ney-of-raw-counts",
        "ngrams/discounts.py",
        "shorter = [continuations(pairs, counts[i + 1]) for i, pairs in enumerate(counts[:-1])]",
        "shorter = [pairs.value for pairs in counts[:-1]]",
        "shorter contexts count how often a label follows, not after how many tokens",
        "ngrams/test_smoothings.py",
    ),
    Mutant(
        "continuations-of-beginnings",
        "ngrams/counts.py",
        "return np.where(pairs.contexts.begins[pairs.owner], pairs.value, before)",
        "return before",
        "contexts that begin a text are taken for such that one token stands before",
        "ngrams/test_smoothings.py",
    ),
    Mutant(
        "discount-without-the-pairs-seen-twice",
        "ngrams/discounts.py",
        "return float(n[1] / max(n[1] + 2 * n[2], 1))",
        "return float(n[1] / max(n[1] + n[2], 1))",
        "n_1 / (n_1 + n_2) in place of n_1 / (n_1 + 2 n_2)",
        "ngrams/test_smoothings.py",
    ),
    Mutant(
        "turing-to-the-end",
        "ngrams/good_turing.py",
        "as_turing = np.logical_and.accumulate(unlike)",
        "as_turing = following > 0",
        "sparse counts of counts are not smoothed",
        "ngrams/test_smoothings.py",
    ),
    Mutant(
        "back-off-of-all-labels",
        "ngrams/smoothing.py",
        "left = 1.0 - pairs.total(_of_parents(pairs, levels, labels))",
        "left = np.ones(len(pairs.contexts))",
        "the weight of the shorter context takes listed labels for open",
        "ngrams/test_smoothings.py",
    ),
    Mutant(
        "hidden-mass-beside-the-copy",
        "sequences/held_out.py",
        "low = beside + np.maximum(rows.hidden - rest, 0.0)",
        "low = beside + rows.hidden",
        "the least distance takes hidden mass for none of the copy's",
        "sequences/test_copies.py",
    ),
    Mutant(
        "floor-of-unlisted-zeros",
        "sequences/floor.py",
        "(np.arange(len(places)), cap[own], unlisted),",
        "(np.arange(len(places)), 0.0 * cap[own], unlisted),",
        "a label that a row does not list is taken for impossible",
        "sequences/test_floor.py",
    ),
    Mutant(
        "rounds-without-the-last-token",
        "sequences/rounds.py",
        "for j in range(1, draft + 2):\n        tokens += going",
        "for j in range(1, draft + 2):\n        tokens += going * (j <= draft)",
        "a draft that is accepted as a whole is followed by no token of the teacher",
        "sequences/test_rounds.py",
    ),
    Mutant(
        "stakes-for-a-known-order",
        "sequences/certificate.py",
        "wanted = math.log(len(_STAKES) / delta)",
        "wanted = math.log(1.0 / delta)",
        "every stake is bet with the whole capital",
        "sequences/test_certificate.py",
    ),
)
