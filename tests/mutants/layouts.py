"""Mutants of how dumps are read and written in columns."""

from __future__ import annotations

from mutants.mutant import Mutant

MUTANTS = (
    Mutant(
        "rows-are-of-their-own-token",
        "dumps/layouts/texts.py",
        "after = own + self.ahead\n        if",
        "after = own.copy()\n        if",
        "what follows a position is the token before it",
        "dumps/test_distillkit.py dumps/test_sidecar.py",
    ),
    Mutant(
        "masks-are-of-the-row-s-own-token",
        "dumps/layouts/texts.py",
        "keep = kept[np.where(after < ends, after, own)]",
        "keep = kept[own]",
        "the first token of a response is left out, and what follows its prompt is not",
        "dumps/test_distillkit.py",
    ),
    Mutant(
        "documents-of-a-row-run-together",
        "dumps/layouts/texts.py",
        "documents.flat[1:] != documents.flat[:-1]",
        "documents.flat[1:] > documents.flat[:-1] + 9",
        "a document goes on where another one ended",
        "dumps/test_distillkit.py",
    ),
    Mutant(
        "rows-of-all-tokens-taken-for-answers",
        "dumps/layouts/texts.py",
        "only = (counts == held) & (held < tokens.counts)",
        "only = counts == held",
        "rows of whole texts are of their own token",
        "dumps/test_sidecar.py",
    ),
    Mutant(
        "bits-begin-at-bytes",
        "dumps/layouts/bits.py",
        "(8 * width - bits - first % 8)",
        "(8 * width - bits - 0 * first)",
        "ids that do not begin at a byte are read askew",
        "dumps/test_distillkit.py",
    ),
    Mutant(
        "halfway-goes-up",
        "dumps/layouts/bits.py",
        "bits + np.uint32(0x7FFF) + even",
        "bits + np.uint32(0x8000) + np.uint32(0) * even",
        "bfloat16 is not what DistillKit has",
        "dumps/test_distillkit.py",
    ),
    Mutant(
        "residuals-off-by-one-code",
        "dumps/layouts/compression.py",
        "(whole - 2 ** (self.bits - 1))",
        "(whole - 2 ** (self.bits - 1) + 1)",
        "what a curve leaves is off by a step",
        "dumps/test_distillkit.py",
    ),
    Mutant(
        "ranks-from-one",
        "dumps/layouts/compression.py",
        "np.arange(count, dtype=wide)",
        "np.arange(1, count + 1, dtype=wide)",
        "the curve is moved by a rank",
        "dumps/test_distillkit.py",
    ),
    Mutant(
        "the-last-code-is-a-step",
        "dumps/layouts/codes.py",
        "np.where(codes == np.iinfo(codes.dtype).max, 0.0, weights)",
        "weights",
        "what has no probability comes back with one",
        "policies/test_store.py",
    ),
    Mutant(
        "what-lacks-of-one-is-shared-among-the-listed",
        "policies/stock.py",
        "to_one = not isinstance(policy.kept, EvenTail)",
        "to_one = True",
        "an even tail comes back as renormalised rows",
        "policies/test_store.py",
    ),
)
