"""The law that each table realises, read off its entries: no randomness, so a bias has nowhere to hide."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy import stats

from kt_theory.kernels.alias import alias_table, fill_alias_table
from kt_theory.kernels.lookups import split
from kt_theory.kernels.poisson import MOST_BITS, _bits, _passes, _Shelf, fits, ladder


def realised(entries, alias_bits):
    """The probability of each outcome: a column keeps a draw whose low bits are below its threshold."""
    size = len(entries)
    alias = (entries & np.uint64(2**alias_bits - 1)).astype(np.int64)
    kept = (entries >> np.uint64(alias_bits)).astype(np.float64) / 2.0 ** (64 - alias_bits)
    law = kept.copy()
    np.add.at(law, alias, 1.0 - kept)
    return law / size


@pytest.mark.parametrize("size", [1, 2, 3, 25, 1000, 2**16, 2**20 + 1])
def test_alias_tables_realise_their_weights(size):
    rng = np.random.default_rng(size)
    weights = rng.exponential(size=size) ** 3
    weights[1::5] = 0.0
    bits, entries = alias_table(weights)
    law = realised(entries, bits)
    assert len(entries) == 2**bits
    assert (law[size:] == 0.0).all()
    assert (law[:size][weights == 0.0] == 0.0).all(), "an impossible cell would be drawn"
    gap = 0.5 * np.abs(law[:size] - weights / weights.sum()).sum()
    assert gap < 2.0 ** (bits - 62) + 1e-13
    weights[0] *= 1.001
    assert 0.5 * np.abs(law[:size] - weights / weights.sum()).sum() > 1e-12 or size <= 2


@pytest.mark.parametrize("alias_bits", [1, 7, 16, 20])
def test_a_split_table_is_the_whole_one(alias_bits):
    rng = np.random.default_rng(alias_bits)
    whole = rng.integers(0, 2**64, size=1000, dtype=np.uint64)
    entries, rest = split(whole, alias_bits)
    keep = 2**alias_bits - 1
    for one, entry, lower in zip(whole.tolist(), entries.tolist(), rest.tolist(), strict=True):
        assert entry & keep == one & keep
        assert (entry >> alias_bits) << 32 | lower == one >> alias_bits


def test_a_zero_column_that_rounding_leaves_over_is_never_drawn():
    # Weights whose mean is below 1 run out of large columns, as rounding might.
    weights = np.array([0.0, 0.5, 0.75, 0.0])
    entries = np.empty(4, dtype=np.uint64)
    fill_alias_table(weights, 2, entries, np.empty(4, dtype=np.int64))
    assert (realised(entries, 2)[[0, 3]] == 0.0).all()


def poisson_law(rate, low, outcomes):
    """Poisson(rate) on low .. low + outcomes - 1 by its ratios, in 40 digits."""
    with localcontext() as context:
        context.prec = 40
        weights = [Decimal(1)]
        for k in range(low + 1, low + outcomes):
            weights.append(weights[-1] * Decimal(rate) / k)
        total = sum(weights)
        return np.array([float(weight / total) for weight in weights])


RATES = [0.0, 5e-324, 1e-300, 1e-9, 1 / 32, 0.5, 1.0, 4.0, 31.97, 1000.0, 99_999.5, 1e6, 1.2e7]


@pytest.mark.parametrize("rate", RATES)
def test_poisson_tables_are_poisson_to_1e_13(rate):
    shelf = _Shelf()
    shelf.put(np.array([3.0]))
    (entry,), (low,) = shelf.put(np.array([rate]))
    start, bits = int(entry) >> 5, 32 - (int(entry) & 31)
    assert bits <= MOST_BITS
    law = realised(np.concatenate(shelf.tables)[start : start + 2**bits], MOST_BITS)
    outcomes = low + np.arange(len(law))
    assert 0.5 * np.abs(law - poisson_law(rate, low, len(law))).sum() < 1e-13
    mean, variance = law @ outcomes, law @ (outcomes - rate) ** 2
    assert mean == pytest.approx(rate, rel=1e-12, abs=1e-14)
    assert variance == pytest.approx(rate, rel=1e-9, abs=1e-14)


def test_what_a_table_cuts_off_is_below_1e_17():
    for rate in RATES[3:]:
        low, bits = _Shelf().put(np.array([rate]))[1][0], _bits(np.array([rate]))[0]
        assert stats.poisson.cdf(low - 1, rate) < 1e-17
        assert stats.poisson.sf(low + 2**bits - 1, rate) < 1e-17


@pytest.mark.parametrize("n", [100, 10_000, 10**7])
@pytest.mark.parametrize("size", [1, 7, 400])
def test_passes_and_pool_add_up_to_the_rates(n, size):
    rates = n * np.random.default_rng(0).dirichlet(np.full(size, 0.5))
    floors, rest = _passes(rates)
    assert (rest >= 0.0).all()
    np.testing.assert_allclose(np.sum([*floors, rest], axis=0), rates, rtol=1e-14)
    assert rest.sum() <= size


def test_equal_rows_and_labels_take_one_pass_and_leave_no_rest():
    rates = np.tile([40.0, 2.0, 2.0, 2.0], 100)
    floors, rest = _passes(rates)
    assert len(floors) == 1
    assert rest.sum() == 0.0


def test_rungs_shrink_to_the_size_of_the_table():
    rungs = ladder(np.full(10, 0.1), 10**8)
    assert (np.diff(rungs.least) < 0).all()
    assert rungs.least[0] <= 10**8 + 2 * 10**4
    assert rungs.least[-1] < 60
    assert len(ladder(np.full(1000, 1e-3), 10**4).least) == 1


def test_the_largest_rate_that_fits():
    assert fits(10**9, np.full(100, 0.01))
    assert not fits(10**9, np.full(10, 0.1))
    assert not fits(2**53, np.array([1.0]))
