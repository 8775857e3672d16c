"""Certificates at all times together, and answers that are read until they are certified."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.special import xlogy
from scipy.stats import binom
from transfer_cases import draw, draw_chosen, of_counts

import kt_theory as kt
from kt_theory import cli
from kt_theory.transfer import until
from kt_theory.transfer.certify import divergence
from kt_theory.transfer.fit import fit
from kt_theory.transfer.sets import TransferSet

LIST = {"design": "fixed", "weights": {"q0": 1, "q1": 1}, "labels": ["a", "b"], "other": "none"}


def answers(p=0.9, inputs=2, seed=0):
    """Endless answers to one input after the other: label a with probability p."""
    rng = np.random.default_rng(seed)
    for i in itertools.count():
        yield {"input": f"q{i % inputs}", "label": "a" if rng.random() < p else "b"}


def even(inputs, labels=2):
    return kt.Teacher(np.full((inputs, labels), 1.0 / labels))


def bound_of(table, confidence, **design):
    """The bound that holds at all times, of inputs that weigh the same."""
    transfer = of_counts(even(*np.shape(table)), np.array(table), "hard", design="fixed", **design)
    return fit(transfer, "ce_sgl").certificate(confidence, anytime=True).bound


# The worst stopping rule: whoever knows the teacher stops as soon as the certificate is wrong.


def ever_wrong(p, bounds, last):
    """The probability that |c/k - p| is above bounds[k, c] at some k up to `last`, exactly: paths that were wrong are
    taken out."""
    alive, wrong = np.array([1.0]), 0.0
    for k in range(1, last + 1):
        alive = np.append(alive * (1 - p), 0.0) + np.append(0.0, alive * p)
        bad = np.abs(np.arange(k + 1) / k - p) > bounds[k] + 1e-12
        wrong += alive[bad].sum()
        alive[bad] = 0.0
    return wrong


def test_no_stopping_rule_makes_it_wrong_exactly(monkeypatch):
    """One input, two labels, every path of 14 answers, confidence 0.7: at most 0.3; with a fifth of the regret, more."""
    last, delta = 14, 0.3
    teachers = (0.5, 0.7, 0.9, 0.99)

    def table():
        half = {
            k: [bound_of([[c, k - c]], 1 - delta) for c in range(k // 2 + 1)]
            for k in range(1, last + 1)
        }
        return {k: np.array([half[k][min(c, k - c)] for c in range(k + 1)]) for k in half}

    found = table()
    assert max(ever_wrong(p, found, last) for p in teachers) <= delta
    honest = divergence.regret
    monkeypatch.setattr(divergence, "regret", lambda rows: 0.2 * honest(rows))
    assert max(ever_wrong(p, table(), last) for p in teachers) > delta


def test_the_region_of_one_time_is_wrong_at_some_time():
    """The control, exactly: the region for a fixed number of answers, looked at after each of 600, at confidence 0.7."""
    delta, last = 0.3, 600
    stake, cost = divergence.fixed_stake(np.array([last]), 2, delta)
    alive, wrong = np.array([1.0]), 0.0
    for k in range(1, last + 1):
        alive = 0.5 * (np.append(alive, 0.0) + np.append(0.0, alive))
        f = np.arange(k + 1) / k
        bad = k * (xlogy(f, 2 * f) + xlogy(1 - f, 2 * (1 - f))) > (cost - np.log(delta)) / stake
        wrong += alive[bad].sum()
        alive[bad] = 0.0
    assert wrong > 1.05 * delta


def worst_rule(teacher, repeats, last, confidence):
    """Runs in which the certificate, and half of it, is wrong at some time: looked at after every answer; the next input
    asked is the one that is well known and far off, as fewer answers of it keep it so."""
    bounds, weight = {}, np.array([0.5, 0.5])
    rng = np.random.default_rng(9)
    wrong = np.zeros(2)
    for _ in range(repeats):
        table = np.array([rng.multinomial(1, row) for row in teacher.pi])
        ever = np.zeros(2, dtype=bool)
        for _ in range(last):
            key = tuple(map(tuple, table.tolist()))
            if key not in bounds:
                bounds[key] = bound_of(table, confidence)
            k = table.sum(axis=1, keepdims=True)
            losses = 0.5 * np.abs(table / k - teacher.pi).sum(axis=1)
            ever |= weight @ losses > np.array([1.0, 0.5]) * bounds[key]
            s = int(np.argmin(losses * k[:, 0] + 0.01 * k[:, 0]))
            table[s, rng.choice(teacher.labels, p=teacher.pi[s])] += 1
        wrong += ever
    return wrong


TEACHERS = (
    [[0.5, 0.5], [0.5, 0.5]],
    [[0.9, 0.1], [0.9, 0.1]],
    [[0.99, 0.01], [0.5, 0.5]],
    [[1.0, 0.0], [0.0, 1.0]],
    [[0.7, 0.3], [0.97, 0.03]],
)


@pytest.mark.long
@pytest.mark.parametrize("pi", TEACHERS)
def test_certificates_cover_under_the_worst_stopping_rule(pi):
    """2,000 runs of 60 answers, confidence 0.8: false alarm 1e-6, and a rate of 0.3 is missed as rarely. The control: half of
    the bound is wrong more often, for even rows."""
    wrong, half = worst_rule(kt.Teacher(pi), 2000, 60, 0.8)
    limit = binom.ppf(1 - 1e-6, 2000, 0.2)
    assert binom.cdf(limit, 2000, 0.3) < 1e-6
    assert wrong <= limit
    if pi == TEACHERS[0]:
        assert half > limit


def test_what_is_stated_is_certain_at_all_times():
    """Hidden mass is known whenever one looks: the same bound, whatever the confidence."""
    teacher = kt.teachers.dirichlet(4, 5, seed=0)
    transfer = draw_chosen(teacher, [4] * 4, "partial", np.random.default_rng(0), design="fixed")
    copy = fit(transfer)
    found = copy.certificate(0.9, anytime=True)
    assert found.anytime
    assert found.bound == copy.certificate(0.999, anytime=True).bound >= copy.certificate().bound
    assert "may depend on the answers before" in found.assumptions[0]
    soft = draw_chosen(teacher, [1] * 4, "soft", np.random.default_rng(0), design="fixed")
    assert fit(soft).certificate(anytime=True).bound == pytest.approx(0.0, abs=1e-9)


def test_a_bound_of_all_times_counts_what_was_not_asked():
    alone = bound_of([[20, 10]], 0.95, weights={"0": 1})
    assert bound_of([[20, 10]], 0.95, weights={"0": 3, "x": 1}) == pytest.approx(
        0.75 * alone + 0.125, rel=1e-3
    )


@pytest.mark.parametrize(
    ("level", "design", "words"),
    [
        ("hard", {}, "goes with design='fixed', not with 'drawn'"),
        ("partial", {}, "goes with design='fixed', not with 'drawn'"),
        (
            "hard",
            {"design": "strata", "strata": dict.fromkeys("0123", "a"), "weights": {"a": 1}},
            "not with 'strata'",
        ),
    ],
)
def test_what_does_not_hold_at_all_times_is_refused(level, design, words):
    teacher = even(4)
    if design:
        transfer = draw_chosen(teacher, [5] * 4, level, np.random.default_rng(0), **design)
    else:
        transfer = draw(teacher, 20, level, np.random.default_rng(0))
    with pytest.raises(ValueError, match=words) as error:
        fit(transfer).certificate(anytime=True)
    assert "\n" not in str(error.value)


def test_an_unknown_number_of_labels_is_refused_at_all_times():
    transfer = TransferSet.from_arrays(["q"] * 9, [0, 1, 0] * 3, design="fixed")
    with pytest.raises(ValueError, match="the number of labels must be known where labels alone"):
        fit(transfer).certificate(anytime=True)
    with pytest.raises(ValueError, match="anytime"):
        fit(transfer).certificate(anytime="yes")


# Until it is certified.


def test_reading_stops_at_the_first_look_that_certifies():
    """No more lines are taken than were needed, and the certificate is at most what was asked for."""
    taken = []
    source = (taken.append(1) or record for record in answers())
    found = kt.fit_until(source, 0.1, **LIST)
    assert found.reached
    assert found.lines == len(taken) == found.copy.rows.n
    assert found.certificate.bound <= 0.1
    assert found.certificate.confidence == pytest.approx(0.95)
    assert str(found).startswith(f"Certified after {found.lines} lines")
    assert "order of the answers" in found.certificate.assumptions[-1]
    assert "may depend" not in str(found)


def test_looks_share_the_confidence(monkeypatch):
    """What all looks and all times may fail with together is at most delta, for lists and for draws."""
    honest = until.certify
    for reading in (LIST, {"labels": ["a", "b"], "other": "none"}):
        spent = {True: [], False: []}

        def spy(copy, confidence, *, anytime=False, spent=spent):
            spent[anytime].append(1.0 - confidence)
            return honest(copy, confidence, anytime=anytime)

        monkeypatch.setattr(until, "certify", spy)
        kt.fit_until(itertools.islice(answers(0.5), 400), 0.02, confidence=0.9, **reading)
        rest = 1.0 / (len(spent[False]) + 1)
        share = 0.05 if spent[True] else 0.1
        assert sum(spent[False]) == pytest.approx(share * (1 - rest))
        assert sum(spent[False]) + max(spent[True], default=0.0) <= 0.1


def test_lines_that_end_before_it_is_certified_are_all_read(tmp_path):
    path = tmp_path / "r.jsonl"
    records = list(itertools.islice(answers(), 40))
    path.write_text("".join(json.dumps(record) + "\n\n" for record in records))
    for source in (path, records, path.read_text().splitlines(), path.read_bytes().splitlines()):
        found = kt.fit_until(source, 0.01, **LIST)
        assert not found.reached
        assert found.lines == found.copy.rows.n == 40
        assert "the lines ended after 40" in str(found)
    assert not kt.fit_until(path, 1e-308, **LIST).reached


@pytest.mark.parametrize(
    ("source", "tv", "reading", "words"),
    [
        ([], 0.1, LIST, "holds no records"),
        (["{"], 0.1, LIST, "holds no records"),
        ([1], 0.1, LIST, "record 1 is 1: must be a str, bytes or a dict"),
        ([{"input": b"q"}], 0.1, LIST, "record 1 is no JSON"),
        (3, 0.1, LIST, "source is of type int: must be a path, or give lines one by one"),
        ({"input": "q"}, 0.1, LIST, "source is of type dict"),
        ([], 0.0, LIST, "tv = 0.0"),
        ([], 0.1, {"design": "fixed"}, "design='fixed': give weights=..., as the list must be"),
        ([], 0.1, {"design": "fixt"}, "unknown design 'fixt'"),
    ],
)
def test_what_cannot_be_read_until_certified_is_refused(source, tv, reading, words):
    with pytest.raises(ValueError, match=words) as error:
        kt.fit_until(source, tv, **reading)
    assert "\n" not in str(error.value)


def test_tables_and_packed_files_are_no_lines(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("input,label\nq,a\n")
    with pytest.raises(ValueError, match=r"a record a line; kt.fit reads whole files"):
        kt.fit_until(path, 0.1)


def test_the_command_reads_standard_input_until_it_is_certified(tmp_path):
    """It stops while the answers go on, and says so."""
    weights = tmp_path / "w.json"
    weights.write_text('{"q0": 1, "q1": 1}')
    options = ["--labels", "a,b", "--other", "none", "--design", "fixed", "--weights", str(weights)]
    lines = "".join(json.dumps(record) + "\n" for record in itertools.islice(answers(), 3000))
    done = CliRunner().invoke(
        cli.main, ["fit", "-", "--until", "0.1", *options], input=lines, catch_exceptions=False
    )
    assert done.exit_code == 0
    expected = kt.fit_until(answers(), 0.1, **LIST)
    assert done.output.startswith(f"Certified after {expected.lines} lines, at look")
    path = tmp_path / "r.jsonl"
    path.write_text(lines)
    done = CliRunner().invoke(
        cli.main, ["fit", str(path), "--until", "0.1", "--json", *options], catch_exceptions=False
    )
    told = json.loads(done.output)["until"]
    assert told == {"reached": True, "lines": expected.lines, "looks": expected.looks}
    for wrong, words in ((["--until", "2"], "--until = 2.0"), (["--until", "x"], "--until")):
        done = CliRunner().invoke(cli.main, ["fit", str(path), *wrong], catch_exceptions=False)
        assert done.exit_code == 2
        assert words in done.output


@pytest.mark.long
@pytest.mark.parametrize("p", [0.5, 0.97])
def test_what_stops_the_reading_covers(p):
    """400 runs at confidence 0.8, for a list: false alarm 1e-6."""
    wrong = 0
    for seed in range(400):
        source = itertools.islice(answers(p, seed=seed), 600)
        found = kt.fit_until(source, 0.12, confidence=0.8, **LIST)
        q = found.copy.pi[:, list(found.copy.labels).index("a")]
        wrong += float(np.abs(q - p).mean()) > found.certificate.bound
    assert wrong <= binom.ppf(1 - 1e-6, 400, 0.2)


@pytest.mark.long
def test_a_teacher_that_goes_on_is_stopped():
    """A pipe whose writer has no end: the command ends by itself."""
    program = (
        "import itertools, json\n"
        "for i in itertools.count():\n"
        "    print(json.dumps({'input': f'q{i % 2}', 'label': 'ab'[i % 20 == 0]}), flush=True)\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    options = ["--labels", "a,b", "--other", "none", "--until", "0.2"]
    done = subprocess.run(
        [sys.executable, "-m", "kt_theory", "fit", "-", *options],
        stdin=writer.stdout,
        capture_output=True,
        text=True,
    )
    writer.stdout.close()
    writer.wait()
    assert done.returncode == 0
    assert done.stdout.startswith("Certified after")
