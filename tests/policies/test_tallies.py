"""Tallies: the same bits however a dump is cut and by whom it is counted, and what is read of
them.
"""

import signal
from dataclasses import replace

import numpy as np
import pytest
from policies.oracle import TopOfRows, top_of

import kt_theory as kt
from kt_theory.dumps import Dump
from kt_theory.policies import run as running
from kt_theory.policies import storage, tally
from kt_theory.policies.state import FILE

NAMES = "even_tail(3), top_p(0.6), sampled(5), sampled(5, probabilities=true), tail_mass(4)"


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(9).dirichlet(np.full(30, 0.3), size=300)


def same(one, other):
    return one.frame.equals(other.frame) and one.hidden == other.hidden


@pytest.fixture(scope="module")
def usual(rows):
    return storage(top_of(rows, 8), NAMES)


@pytest.mark.parametrize("cells", [8, 100, 2**22])
def test_the_cut_of_blocks_changes_no_bit(rows, usual, cells):
    assert same(storage(top_of(rows, 8, cells=cells), NAMES), usual)


def test_the_order_of_positions_changes_no_bit(rows, usual, monkeypatch):
    monkeypatch.setattr(tally, "RUN", 64)
    order = np.random.default_rng(1).permutation(len(rows))
    assert same(storage(top_of(rows[order], 8, cells=100), NAMES), usual)


def several(rows):
    """The same rows in three parts."""
    parts = [top_of(some, 8) for some in np.array_split(rows, 3)]
    return Dump(tuple(part.parts[0] for part in parts), parts[0].reading)


def test_threads_change_no_bit(rows, usual):
    assert same(storage(several(rows), NAMES, executor="threads"), usual)


@pytest.mark.long
@pytest.mark.parametrize("executor", ["processes", "dask"])
def test_workers_and_a_cluster_change_no_bit(rows, usual, executor):
    assert same(storage(several(rows), NAMES, executor=executor), usual)


def test_means_quantiles_and_largest_are_those_of_the_positions(rows):
    chosen = "even_tail(3), renormalised(3)"
    found = storage(Dump.from_arrays(rows, kind="probabilities"), chosen).frame
    falling = -np.sort(-rows, axis=1)
    lost = falling[:, 3:].sum(axis=1)
    tail = 0.5 * np.abs(falling[:, 3:] - lost[:, None] / 27).sum(axis=1)
    for j, losses in enumerate((tail, lost)):
        assert found["tv"][j] == pytest.approx(losses.mean(), abs=2.0**-40)
        assert found["tv_max"][j] == pytest.approx(losses.max(), rel=1e-12)
        exact = np.sort(losses)[int(np.ceil(0.95 * len(losses))) - 1]
        assert found["tv_q95"][j] == pytest.approx(exact, rel=2.0**-12)
        assert found["acceptance"][j] == 1.0 - found["tv"][j]
    assert found["kl_infinite"].tolist() == [0.0, 1.0]
    assert found["kl"][1] == np.inf


def test_an_infinite_loss_makes_the_mean_infinite_and_is_counted(rows):
    table = rows[:40].copy()
    table[:10, 5:] = 0.0
    table /= table.sum(axis=1, keepdims=True)
    found = storage(Dump.from_arrays(table, kind="probabilities"), "renormalised(5)").frame
    assert found["kl"][0] == np.inf
    assert found["kl_infinite"][0] == 0.75


def test_the_hidden_mass_is_what_is_not_listed(rows, usual):
    falling = -np.sort(-rows, axis=1)
    assert usual.hidden == pytest.approx(falling[:, 8:].sum(axis=1).mean(), abs=1e-12)


def test_contexts_are_counted(rows):
    random = np.random.default_rng(3)
    tokens = random.integers(0, 3, len(rows) + 1)
    logits = np.log(rows)
    dump = Dump.from_arrays(logits, tokens[: len(rows)], kind="logprobs", context=2)
    seen = {tuple(tokens[max(i - 1, 0) : i + 1]) for i in range(len(rows))}
    found = storage(dump, "soft")
    assert found.repeated == len(rows) / len(seen)
    assert storage(Dump.from_arrays(logits), "soft").repeated is None


def test_many_contexts_are_estimated(monkeypatch):
    """256 digests kept of 20,000: 6 % is one standard deviation, 5 of them one alarm in a
    million.
    """
    monkeypatch.setattr(tally, "DIGESTS", 256)
    digests = np.random.default_rng(5).integers(0, 2**64, 20_000, dtype=np.uint64)
    twice = np.repeat(digests, 2)
    counted = tally.Tally.empty(1)
    for some in np.array_split(twice, 7):
        part = tally.Tally.empty(1)
        least = np.unique(some)[:256]
        counted = counted.plus(
            replace(part, positions=len(some), with_context=len(some), digests=least)
        )
    assert abs(counted.visits / 2.0 - 1.0) < 5.0 / np.sqrt(256)


def test_tallies_are_read_as_they_were_packed(rows):
    question = running._question(30, running.named(NAMES), 1, None)
    (one,) = tally.Tally.of_blocks(top_of(rows, 8).blocks(), question)
    again = tally.Tally.unpacked(one.packed())
    assert again.sums == one.sums
    np.testing.assert_array_equal(again.histogram, one.histogram)
    assert again.positions == len(rows)


class Stops(Exception):
    """An interrupt that comes by a number of rows."""


@pytest.mark.parametrize("parts", [1, 3])
def test_an_interrupted_run_goes_on_to_the_same_bits(rows, usual, parts, tmp_path, monkeypatch):
    monkeypatch.setattr(tally, "RUN", 20)
    dump = top_of(rows, 8, cells=160) if parts == 1 else several(rows)
    listed, read = TopOfRows.listed, []

    def interrupted(part, start):
        for some in listed(part, start):
            if sum(read) >= 200:
                signal.raise_signal(signal.SIGINT)
            read.append(len(some))
            yield some

    monkeypatch.setattr(TopOfRows, "listed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        storage(dump, NAMES, folder=tmp_path)
    assert (tmp_path / FILE).exists()
    before = sum(read)
    read.clear()
    monkeypatch.setattr(TopOfRows, "listed", lambda p, s: _counted(listed(p, s), read))
    assert same(storage(dump, NAMES, folder=tmp_path), usual)
    assert before >= 200
    # The first rows are read once more, to say when drawing pays.
    assert sum(read) - min(64, len(rows)) < len(rows) - 100


def _counted(lists, read):
    for some in lists:
        read.append(len(some))
        yield some


def test_a_finished_run_is_read_back(rows, usual, tmp_path, monkeypatch):
    dump = top_of(rows, 8)
    storage(dump, NAMES, folder=tmp_path)
    monkeypatch.setattr(running, "_of_part", None)
    assert same(storage(dump, NAMES, folder=tmp_path), usual)


def test_tallies_of_another_run_are_refused(rows, tmp_path):
    storage(top_of(rows, 8), "soft", folder=tmp_path)
    for other in (
        {"source": top_of(rows, 8), "policies": "even_tail(2)"},
        {"source": top_of(rows, 7), "policies": "soft"},
        {"source": top_of(rows, 8), "policies": "soft", "visits": 2},
    ):
        with pytest.raises(ValueError, match="of other files, policies or options"):
            storage(**other, folder=tmp_path)
    (tmp_path / FILE).write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ValueError, match="damaged"):
        storage(top_of(rows, 8), "soft", folder=tmp_path)


def test_a_dump_that_does_not_say_how_many_labels_there_are_is_refused(rows):
    dump = top_of(rows, 8)
    unknown = Dump(dump.parts, kt.dumps.kinds.Reading(labels=None))
    with pytest.raises(ValueError, match=r"give labels=\.\.\."):
        storage(unknown, "soft")
    with pytest.raises(ValueError, match="must be a Dump or a Teacher"):
        storage([1, 2])
    with pytest.raises(ValueError, match="no positions"):
        storage(top_of(rows[:0], 8), "soft")
