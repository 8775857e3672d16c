"""Mutants of the kernels: the conceptual ones, a dozen."""

from __future__ import annotations

from mutants.mutant import Mutant

MUTANTS = (
    Mutant(
        "alias-draws-what-has-no-mass",
        "kernels/alias.py",
        "entries[i] = uint64(heaviest) if weight[i] == 0.0 else entries[i]",
        "entries[i] = entries[i]",
        "a zero column that rounding has left over is its own alias, and is drawn",
        "kernels/test_tables.py::test_a_zero_column_that_rounding_leaves_over_is_never_drawn",
    ),
    Mutant(
        "alias-keeps-the-mass-that-it-gave",
        "kernels/alias.py",
        "weight[j] = (weight[j] + weight[i]) - 1.0",
        "weight[j] = weight[j] - 0.99 * (1.0 - weight[i])",
        "a large column gives 1 % less than it is charged",
        "kernels",
    ),
    Mutant(
        "streams-keep-weak-gammas",
        "kernels/streams.py",
        "state[1] = gamma ^ _ALTERNATING if number < _FEWEST_FLIPS else gamma",
        "state[1] = gamma",
        "one stream in sixty moves few bits of its counter at a time",
        "kernels/test_draws.py::test_no_stream_is_another_ones_neighbour_and_none_is_weak",
    ),
    Mutant(
        "streams-share-their-starts",
        "kernels/streams.py",
        "base = _TWO * uint64(repeat)",
        "base = uint64(repeat)",
        "the gamma of a repeat is the start of the next one",
        "kernels/test_draws.py::test_no_stream_is_another_ones_neighbour_and_none_is_weak",
    ),
    Mutant(
        "variance-over-n",
        "kernels/statistics.py",
        "spread / (repeats * (repeats - 1)) / SCALE**2",
        "spread / (repeats * repeats) / SCALE**2",
        "the variance is divided by R, not by R - 1",
        "kernels simulation",
    ),
    Mutant(
        "interval-of-equal-losses-two-sided",
        "kernels/statistics.py",
        "math.log1p(-CONFIDENCE) / repeats",
        "math.log1p(-CONFIDENCE) / (2 * repeats)",
        "R equal losses leave out half of what they cannot exclude",
        "kernels simulation/test_intervals.py",
    ),
    Mutant(
        "quantiles-rounded-down",
        "kernels/statistics.py",
        "np.ceil(np.multiply(probabilities, float(cumulative[-1])))",
        "np.floor(np.multiply(probabilities, float(cumulative[-1])))",
        "a quantile has fewer repeats at or below it than it says",
        "kernels simulation",
    ),
    Mutant(
        "binomial-rejection-half-a-count",
        "kernels/binomial.py",
        "- (n - k + 0.5) * np.log1p(-d / above)",
        "- (n - k) * np.log1p(-d / above)",
        "half a count is forgotten in the ratio of probabilities",
        "kernels simulation/test_visits.py",
    ),
    Mutant(
        "poisson-keeps-too-large-totals",
        "kernels/poisson.py",
        "if total + rest > most:",
        "if total > most:",
        "the pooled rest does not count when a draw is judged",
        "kernels",
    ),
    Mutant(
        "loss-of-hidden-mass-over-all-labels",
        "kernels/losses.py",
        "lanes[_HIDDEN + i] = lanes[_HIDDEN + i] / max(lanes[_UNSEEN + i], 1.0)",
        "lanes[_HIDDEN + i] = lanes[_HIDDEN + i] / (lanes[_UNSEEN + i] + 1.0)",
        "the hidden mass of woven rows is shared by one label too many",
        "simulation test_students_losses.py",
    ),
    Mutant(
        "noise-of-the-counts",
        "kernels/noise.py",
        "noise_key[0] = mix64(key[0] ^ _TAG)\n    noise_key[1] = mix64(key[1] ^ _TAG)",
        "noise_key[0] = key[0]\n    noise_key[1] = key[1]",
        "the noise comes from the stream of the counts, and depends on them",
        "kernels simulation test_students_channels.py",
    ),
    Mutant(
        "two-stage-spread-without-its-root",
        "kernels/visits.py",
        "spread += math.sqrt(p * max(1.0 - p, 0.0))",
        "spread += p * max(1.0 - p, 0.0)",
        "queries in two stages go where the variance is, not its root",
        "simulation/test_visits.py test_queries.py",
    ),
)
