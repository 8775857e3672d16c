"""Sweeps over losses: a cell each, on the same transfer sets; those of total variation are what they
were."""

import math

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import kt_theory as kt
from kt_theory.sweep import Spec, load, run
from kt_theory.sweep.replay import replay
from kt_theory.sweep.report import write_report

TEACHER = {"family": "dirichlet", "inputs": 4, "labels": 3}
STUDENTS = ["ce_sgl", "laplace", "sel_ptl"]


def spec(loss=None, **more):
    document = {"name": "losses", "n": [12, 40, 90], "students": STUDENTS, "teachers": [TEACHER]}
    document |= {"repeats": 600} if "target_se" not in more else {}
    return Spec(**document, **({} if loss is None else {"loss": loss}), **more)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("losses") / "sweep"
    run(spec(["l2", "tv", "kl"]), place, progress=False)
    return place


def test_cells_of_total_variation_keep_their_names():
    plain = [cell.id for cell in spec().cells]
    assert [cell.id for cell in spec("tv").cells] == plain
    several = spec(["l2", "tv", "kl"]).cells
    assert [cell.id for cell in several if cell.loss == "tv"] == plain
    assert len({cell.id for cell in several}) == 3 * len(plain)
    assert {cell.group for cell in several} == {cell.group for cell in spec().cells}


def test_a_loss_is_the_same_alone_and_beside_others(folder, tmp_path):
    found = load(folder, exact=False)
    assert set(found["status"]) == {"done"}
    for loss in ("tv", "kl"):
        run(spec(loss), tmp_path / loss, progress=False)
        alone = load(tmp_path / loss, exact=False)
        here = found[found["loss"] == loss].reset_index(drop=True)
        columns = ["cell", "student", "n", "mean", "std_error", "low", "high", "q05", "q95"]
        pd.testing.assert_frame_equal(alone[[*columns, "infinite"]], here[[*columns, "infinite"]])


def test_risks_of_a_sweep_are_the_exact_ones(folder):
    """Each lies within 5.2 standard errors and 3/R of the range of its exact risk: 27 risks, a false
    alarm in 10^5; laplace's KL off by a tenth would be found."""
    found = load(folder)
    assert len(found) == 27
    endless = (found["student"] == "ce_sgl") & (found["loss"] == "kl")
    assert (found["mean"][endless] == math.inf).all()
    assert (found["exact"][endless] == math.inf).all()
    assert (found["infinite"] > 0).tolist() == endless.tolist()
    rest = found[~endless]
    gap = (rest["mean"] - rest["exact"]).abs()
    assert (gap <= 5.2 * rest["std_error"] + 3.0 / 600).all()
    one = rest[(rest["student"] == "laplace") & (rest["loss"] == "kl")]
    assert (0.1 * one["exact"] > 5.2 * one["std_error"]).all()
    of_tv = found["loss"] == "tv"
    assert found["lower_bound"].notna().tolist() == of_tv.tolist()


def test_one_cell_runs_again_to_the_bit(folder):
    cell = next(c for c in spec(["l2", "tv", "kl"]).cells if c.loss == "kl" and c.n == 90)
    for one in (cell, spec().cells[0]):
        again = replay(folder, one.id)
        assert again.mean == again.stored


def test_an_infinite_risk_needs_no_more_repeats(tmp_path):
    run(
        spec(["kl", "l2"], target_se=5e-4, max_repeats=2**16),
        tmp_path / "sweep",
        progress=False,
    )
    found = load(tmp_path / "sweep", exact=False)
    assert set(found["status"]) == {"done"}
    endless = found["mean"] == math.inf
    assert endless.any()
    assert (found["repeats"][endless] == 1024).all()
    assert (found["std_error"][~endless] <= 5e-4).all()


def test_the_table_of_an_earlier_release_is_made_anew(folder, tmp_path):
    run(spec(), tmp_path / "sweep", progress=False)
    file = tmp_path / "sweep" / "results.parquet"
    right = load(tmp_path / "sweep", exact=False)
    table = pq.read_table(file)
    pq.write_table(table.drop_columns(["loss", "infinite"]), file)
    pd.testing.assert_frame_equal(load(tmp_path / "sweep", exact=False), right)


def test_curves_of_losses_are_told_apart(folder, tmp_path):
    page = write_report(folder, tmp_path / "report.html").read_text(encoding="utf-8")
    for name in ("S = 4, A = 3, kl", "S = 4, A = 3, l2"):
        assert name in page
    plain = tmp_path / "plain"
    run(spec(), plain, progress=False)
    assert '"loss"' not in write_report(plain, tmp_path / "plain.html").read_text(encoding="utf-8")
    frame = load(folder, exact=False)
    finite = frame[np.isfinite(frame["mean"])]
    with pytest.warns(kt.PowerLawWarning):
        rates = kt.fit_rate(finite)
    assert len(rates) == finite.groupby(["student", "loss"]).ngroups


@pytest.mark.parametrize(
    ("loss", "message"),
    [("k1", "unknown loss 'k1'.*kl"), ([], "empty axis"), (["kl", "kl"], "twice"), (3, "3")],
)
def test_bad_losses_are_refused(loss, message):
    with pytest.raises(ValueError, match=message):
        spec(loss)
