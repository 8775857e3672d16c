"""`make attack` in small, and that it sees what is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import attack.__main__ as attack
import psutil
import pytest
from attack.plan import ATTACKS, Attack

STARTED = [sys.executable, "-c", "import time; time.sleep(61)"]
"""What an attempt that hangs has started."""

FAULTS = Attack("faults", "", "", 4, 4, 3.0)


def faults(number, rng, folder):
    """One attempt that survives, and three that do not."""
    if number == 1:
        raise TypeError("no words for a user")
    if number == 2:
        os._exit(7)
    if number == 3:
        subprocess.run(STARTED, start_new_session=True)
    raise ValueError("n = -1: must be at least 0")


@pytest.fixture
def paths(monkeypatch):
    here = os.path.dirname(__file__)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([here, os.path.join(here, "..", "examples")]))


def test_what_is_wrong_is_seen(paths, tmp_path, monkeypatch):
    (tmp_path / "trial.py").write_text(
        "import sys\nfrom attack import plan, worker\nimport test_attack\n"
        "plan.ATTACKS['faults'] = test_attack.FAULTS\n"
        "plan.Attack.attempt = lambda self: test_attack.faults\nworker.main()\n"
    )
    monkeypatch.setattr(
        attack, "command", lambda one: [sys.executable, str(tmp_path / "trial.py"), one.name]
    )
    line = attack.chunk(FAULTS, 0, 4)
    assert (line["survived"], line["wrong"], line["hung"]) == (1, 2, 1)
    said = {number: detail for number, _, detail in line["faults"]}
    assert "TypeError: no words for a user" in said[1]
    assert "ended with 7" in said[2]
    assert "more than 3.0 s" in said[3]
    alive = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    assert STARTED not in alive


@pytest.mark.parametrize(
    ("names", "count"),
    [
        (("transcripts", "specifications", "tables", "calls"), 10),
        *(
            pytest.param((name,), count, marks=pytest.mark.long)
            for name, count in (("specifications", 100), ("tables", 30))
        ),
    ],
)
def test_nothing_is_wrong(paths, tmp_path, names, count, capsys):
    out = tmp_path / "attack.jsonl"
    words = [word for name in names for word in ("--only", name)]
    words += ["--count", str(count), "--workers", "1", "--out", str(out)]
    for _ in range(2):  # The second time all of it stands in the journal.
        with pytest.raises(SystemExit) as ended:
            attack.main(words)
        assert ended.value.code == 0, capsys.readouterr().out
    said = capsys.readouterr().out
    for name in names:
        assert f"| {ATTACKS[name].title} | {count} | {count} | 0 | 0 |" in said
    survived = sum(json.loads(line)["survived"] for line in out.read_text().splitlines())
    assert survived == count * len(names)
