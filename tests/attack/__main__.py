"""Attack the package: `make attack`.

Every attempt has a number, from which all that is random in it comes; `--only NAME --first I --count 1`
repeats one. What has been tried stands in a journal, a line for each hundred or so; the same command goes on
where it stopped. At the end it prints, and writes as Markdown, how many attempts were made, survived, gave
something wrong, and hung.

An attempt survives if it gives a result that holds, or a ValueError, OSError or KeyError of one line. Any other
exception, a warning of NumPy, a result that cannot be, the death of the process or more than 4 GB of memory are
wrong. An attempt that takes longer than its limit hangs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from attack.plan import ATTACKS, Attack
from attack.runs import may_mount

OUTCOMES = ("survived", "wrong", "hung")


def command(attack: Attack) -> list[str]:
    """Return what starts a worker."""
    return [sys.executable, "-m", "attack.worker", attack.name]


class Worker:
    """A process that makes attempts, and is watched."""

    def __init__(self, attack: Attack) -> None:
        self.attack = attack
        self.process = subprocess.Popen(
            command(attack),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.said: queue.Queue[str] = queue.Queue()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.put(line)
        self.said.put("")

    def attempt(self, number: int) -> tuple[str, str]:
        """Return the outcome of an attempt and what there is to say of it."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{number}\n")
            self.process.stdin.flush()
            answer = self.said.get(timeout=self.attack.seconds)
        except queue.Empty:
            self.end()
            return "hung", f"more than {self.attack.seconds} s"
        except OSError:
            answer = ""
        if not answer:
            self.end()
            return "wrong", f"the process ended with {self.process.returncode}"
        outcome, detail = json.loads(answer)
        return outcome, detail

    def end(self) -> None:
        """End the process, and what it has started: a sweep that hangs would go on for ever."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        self.process.kill()
        self.process.wait()
        self.listener.join()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]


def chunk(attack: Attack, first: int, stop: int) -> dict[str, Any]:
    """Make the attempts first, ..., stop - 1."""
    counts, faults = dict.fromkeys(OUTCOMES, 0), []
    worker = Worker(attack)
    for number in range(first, stop):
        outcome, detail = worker.attempt(number)
        counts[outcome] += 1
        if outcome != "survived":
            faults.append([number, outcome, detail])
        if worker.process.poll() is not None:
            worker = Worker(attack)
    worker.end()
    return {"attack": attack.name, "first": first, "stop": stop, **counts, "faults": faults}


def table(lines: list[dict[str, Any]]) -> str:
    """Return the table of what was tried, as Markdown."""
    found = ["| attack | tried | survived | wrong | hung |", "|---|--:|--:|--:|--:|"]
    for attack in ATTACKS.values():
        mine = [line for line in lines if line["attack"] == attack.name]
        numbers = [sum(line[name] for line in mine) for name in OUTCOMES]
        if mine:
            found.append(
                "| "
                + " | ".join([attack.title, *(f"{x:,}" for x in (sum(numbers), *numbers))])
                + " |"
            )
    return "\n".join(found)


def main(words: list[str] | None = None) -> None:
    """Attack, print what came of it, and leave with 1 if anything was wrong or hung."""
    parser = argparse.ArgumentParser(prog="attack", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=Path("attack.jsonl"), help="the journal")
    parser.add_argument(
        "--only", choices=ATTACKS, action="append", help="an attack; again for another"
    )
    parser.add_argument("--first", type=int, default=0, help="the first number")
    parser.add_argument("--count", type=int, help="how many attempts, of each attack")
    parser.add_argument(
        "--minutes", type=float, default=60.0, help="stop after that time; go on later"
    )
    parser.add_argument("--workers", type=int, default=2, help="how many processes")
    given = parser.parse_args(words)
    deadline = time.monotonic() + 60.0 * given.minutes
    lines = (
        [json.loads(line) for line in given.out.read_text().splitlines()]
        if given.out.exists()
        else []
    )
    done = {(line["attack"], line["first"], line["stop"]) for line in lines}
    todo: queue.Queue[tuple[Attack, int, int]] = queue.Queue()
    names = given.only or list(ATTACKS)
    if "disks" in names and not may_mount():
        names.remove("disks")
        print("disks: no file system may be mounted here; not tried")
    for name in names:
        attack, first = ATTACKS[name], given.first
        last = first + (attack.count if given.count is None else given.count)
        for start in range(first, last, attack.chunk):
            piece = (attack, start, min(start + attack.chunk, last))
            if (name, *piece[1:]) not in done:
                todo.put(piece)
    lock = threading.Lock()

    def work() -> None:
        while time.monotonic() < deadline:
            try:
                piece = todo.get_nowait()
            except queue.Empty:
                return
            line = chunk(*piece)
            with lock:
                lines.append(line)
                with given.out.open("a", encoding="utf-8") as journal:
                    journal.write(json.dumps(line) + "\n")
                for number, outcome, detail in line["faults"]:
                    print(f"{line['attack']} {number}: {outcome}: {detail}", flush=True)

    crew = [threading.Thread(target=work) for _ in range(given.workers)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    print(table(lines))
    if not todo.empty():
        print(f"not tried: {todo.qsize()} pieces; the same command goes on")
    sys.exit(any(line["faults"] for line in lines))


if __name__ == "__main__":
    main()
