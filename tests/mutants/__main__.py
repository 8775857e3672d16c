"""Try every mutant: `make mutants`.

Each is applied to a copy of the checkout, and its likely tests run there until one fails. The
whole quick suite is run on those that all likely tests let pass, when all others are done: hours,
if there are many. Convictions stand in a journal and hold while the package, the mutation and the
file of the test are what they were; the same command goes on where it stopped. At the end a table
says which test killed which mutant, or that it survived, and the exit status is 1 if one did or
could not be tried. `--only NAME` tries one mutant, or the room of that name.
"""

from __future__ import annotations

import argparse
import json
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from tqdm import tqdm

from mutants.mutant import Mutant
from mutants.table import MUTANTS, ROOMS
from mutants.trial import HERE, Verdict, copied, mark, tried


def chosen(names: list[str]) -> list[Mutant]:
    """Return the mutants of these names, or rooms; all of them if there are none."""
    rooms = {room.__name__.rpartition(".")[2]: room.MUTANTS for room in ROOMS}
    found: list[Mutant] = []
    for name in names:
        if name not in MUTANTS and name not in rooms:
            sys.exit(f"{name!r} is no mutant and no room: see tests/mutants")
        found += rooms[name] if name in rooms else (MUTANTS[name],)
    return found or list(MUTANTS.values())


def remembered(journal: Path, wanted: list[Mutant]) -> dict[str, Verdict]:
    """Return the convictions that still hold."""
    lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
    found = {}
    names = {mutant.name for mutant in wanted}
    for name, by, seconds, digest in map(json.loads, lines):
        if name in names and mark(MUTANTS[name], by, HERE) == digest:
            found[name] = Verdict(True, by, seconds)
    return found


def table(wanted: list[Mutant], verdicts: dict[str, Verdict]) -> str:
    """Return what became of each mutant, as Markdown."""
    lines = ["| mutant | killed by | s |", "|---|---|--:|"]
    for mutant in wanted:
        verdict = verdicts.get(mutant.name)
        words = "not tried" if verdict is None else verdict.by or "**SURVIVED**"
        seconds = "" if verdict is None else f"{verdict.seconds:.0f}"
        lines.append(f"| {mutant.name} | {words} | {seconds} |")
    return "\n".join(lines)


def main() -> None:
    """Try them, print the table, and leave with 1 if one survived or could not be tried."""
    parser = argparse.ArgumentParser(prog="mutants", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--only", action="append", default=[], help="a mutant or a room; again")
    parser.add_argument("--workers", type=int, default=2, help="how many at a time")
    parser.add_argument("--journal", type=Path, default=HERE / "mutants.jsonl")
    given = parser.parse_args()
    wanted = chosen(given.only)
    verdicts = remembered(given.journal, wanted)
    todo: queue.PriorityQueue[tuple[bool, int, Mutant]] = queue.PriorityQueue()
    for number, mutant in enumerate(wanted):
        if mutant.name not in verdicts:
            todo.put((False, number, mutant))
    folder = Path(tempfile.mkdtemp(prefix="mutants-"))
    pristine = copied(HERE, folder / "pristine")
    if not todo.empty():
        subprocess.run([sys.executable, "-m", "kt_theory", "warmup"], cwd=pristine, check=True)
    lock, wrong = threading.Lock(), []
    bar = tqdm(total=len(wanted), initial=len(verdicts), unit="mutants")

    def work() -> None:
        while not wrong:
            try:
                by_all, number, mutant = todo.get_nowait()
            except queue.Empty:
                return
            try:
                verdict = tried(mutant, pristine, folder, by_all=by_all)
            except Exception as error:
                wrong.append(f"{mutant.name}: {error}")
                return
            if not (verdict.killed or by_all):
                tqdm.write(f"{mutant.name}: its likely tests pass ({verdict.seconds:.0f} s)")
                todo.put((True, number, mutant))
                continue
            with lock:
                verdicts[mutant.name] = verdict
                if verdict.killed:
                    digest = mark(mutant, verdict.by, pristine)
                    line = [mutant.name, verdict.by, verdict.seconds, digest]
                    with given.journal.open("a", encoding="utf-8") as journal:
                        journal.write(json.dumps(line) + "\n")
                tqdm.write(f"{mutant.name}: {verdict.by or 'SURVIVED'} ({verdict.seconds:.0f} s)")
                bar.update()

    crew = [threading.Thread(target=work) for _ in range(given.workers)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    bar.close()
    shutil.rmtree(folder, ignore_errors=True)
    print(table(wanted, verdicts))
    print("\n".join(wrong))
    sys.exit(bool(wrong) or not all(verdict.killed for verdict in verdicts.values()))


if __name__ == "__main__":
    main()
