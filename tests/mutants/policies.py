"""Mutants of policies of storage: copies, bounds on what is hidden, draws, tallies."""

from __future__ import annotations

from mutants.mutant import Mutant

_TESTS = "policies"

MUTANTS = (
    Mutant(
        "threads-share-their-room",
        "policies/losses.py",
        "def _room(together: int, head: int",
        "@lru_cache(maxsize=2)\ndef _room(together: int, head: int",
        "rows of several threads are mixed",
        "policies/test_rows.py::test_threads_that_ask_at_a_time_get_their_own_rows",
    ),
    Mutant(
        "storage-share-of-one-label-more",
        "kernels/kept_labels.py",
        "    share = given / (rows.labels - k)\n",
        "    share = given / (rows.labels - k + 1)\n",
        "an even tail leaves some mass out",
        _TESTS,
    ),
    Mutant(
        "storage-corner-puts-too-few-at-the-cap",
        "kernels/kept_labels.py",
        "most += full * max(cap - share, 0.0) + max(mass - full * cap - share, 0.0)",
        "most += full * max(cap - share, 0.0)",
        "the largest loss of an even tail is too small",
        _TESTS,
    ),
    Mutant(
        "storage-beyond-the-list-too-little",
        "kernels/kept_labels.py",
        "least, most = 0.0, mass * (b - a) / (b + a)",
        "least, most = 0.0, mass * (b - a) / (b + 3.0 * a)",
        "an even tail of more labels than are listed can lose more",
        _TESTS,
    ),
    Mutant(
        "storage-draws-miss-once-too-often",
        "kernels/drawn_labels.py",
        "        return _missed(q, draws)\n",
        "        return _missed(q, draws + 1)\n",
        "hidden labels are drawn once more than they are",
        _TESTS,
    ),
    Mutant(
        "storage-unseen-labels-vary-too-little",
        "kernels/drawn_labels.py",
        "    part = 0.5\n",
        "    part = 0.0\n",
        "the lower bound of draws with probabilities is the mean at c",
        _TESTS,
    ),
    Mutant(
        "storage-weights-need-no-sum",
        "kernels/drawn_labels.py",
        "    spread = 0.5 * math.sqrt(",
        "    spread = 0.0 * math.sqrt(",
        "dividing by the sum of the weights is taken to cost nothing",
        _TESTS,
    ),
    Mutant(
        "storage-light-labels-end-a-term-early",
        "kernels/drawn_labels.py",
        "        factor *= -(draws - j) / (j + 1.0)\n",
        "        factor *= -(draws - j) / (j + 2.0)\n",
        "the binomial series of light labels is wrong",
        _TESTS,
    ),
    Mutant(
        "storage-heavy-labels-one-hit-less",
        "kernels/drawn_labels.py",
        "choose[hits] * chances[a]",
        "choose[hits - 1] * chances[a]",
        "labels that are expected more than once count by the wrong binomial coefficient",
        _TESTS,
    ),
    Mutant(
        "storage-rest-crosses-too-late",
        "kernels/heaviest.py",
        "below + sums[at] <= left",
        "below <= left",
        "the labels of the rest that reach a mass leave more than they may",
        _TESTS,
    ),
    Mutant(
        "storage-alike-labels-get-nothing",
        "kernels/coded_values.py",
        "        total += size * nothing\n",
        "        total += nothing\n",
        "labels of the rest that are shown as 0 share what is left as one",
        _TESTS,
    ),
    Mutant(
        "storage-visits-do-not-pool",
        "policies/kept.py",
        "return self.draws, self.draws * visits, self.power",
        "return self.draws, self.draws, self.power",
        "draws of several visits do not count together",
        _TESTS,
    ),
)
