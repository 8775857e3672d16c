"""What a sweep says of its cost, and of repeats that an earlier run left."""

import time

from click.testing import CliRunner

from kt_theory.cli.main import main
from kt_theory.sweep import Spec, load, run
from kt_theory.sweep.overview import estimates, total_seconds


def _spec(repeats, sizes=(10, 20), name="tiny"):
    lines = [f'name = "{name}"', "seed = 0", 'students = ["ce_sgl", "sel_ptl"]']
    lines += [f"repeats = {repeats}", f"n = {list(sizes)}"]
    lines += ["[[teachers]]", 'family = "uniform"', "inputs = 2", "labels = 3"]
    return "\n".join(lines)


def test_fewer_repeats_than_are_there_are_said(tmp_path):
    file, folder = tmp_path / "spec.toml", tmp_path / "out"
    said = []
    for repeats in (600, 300):
        file.write_text(_spec(repeats))
        done = CliRunner().invoke(
            main, ["sweep", "run", str(file), "--out", str(folder), "--quiet"]
        )
        assert done.exit_code == 0
        said.append(done.output)
    assert "earlier run" not in said[0]
    assert "4 cells keep up to 600 repeats of an earlier run where 300 are asked for" in said[1]
    frame = load(folder)
    assert (frame["repeats"] == 600).all()
    assert (frame["asked"] == 300).all()
    assert ((frame["low"] < frame["exact"]) & (frame["exact"] < frame["high"])).mean() >= 0.5


def test_the_time_of_many_small_cells_is_foretold(tmp_path):
    """Within a factor of two on a machine at rest; of three in CPU time, whatever runs beside it."""
    spec, warm = (_read(tmp_path, _spec(100, sizes)) for sizes in (range(10, 310), [9, 310]))
    run(warm, tmp_path / "warm", progress=False, workers=1)
    start = time.process_time()
    run(spec, tmp_path / "out", progress=False, workers=1)
    took = time.process_time() - start
    foretold = sum(each.seconds for each in estimates(spec))
    assert took / 3 < foretold < 3 * took
    assert total_seconds(estimates(spec)) > foretold + 1.0


def _read(folder, text):
    file = folder / "spec.toml"
    file.write_text(text)
    return Spec.read(file)
