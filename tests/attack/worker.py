"""Make the attempts whose numbers come on standard input; see `attack.__main__`."""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

import numpy as np

from attack.plan import ATTACKS, Attempt

_MEMORY = 4 << 30
"""Bytes beyond those in use at the start."""

_SAID = (ValueError, OSError, KeyError)
"""What bad input may raise."""


def outcome(attempt: Attempt, name: str, number: int) -> tuple[str, str]:
    """Return what came of an attempt, and what there is to say of it."""
    rng = np.random.default_rng([number, *name.encode()])
    with tempfile.TemporaryDirectory() as folder:
        try:
            wrong = attempt(number, rng, Path(folder))
        except _SAID as error:
            text = str(error)
            if "\n" in text or not text:
                wrong = f"{type(error).__name__} of more than one line, or of none: {text[:200]!r}"
            else:
                wrong = None
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            notes = " ".join(getattr(error, "__notes__", []))
            where = f"{os.path.basename(last.filename)}:{last.lineno}"
            wrong = f"{type(error).__name__}: {str(error)[:200]} ({where}) {notes}"
    return ("survived", "") if wrong is None else ("wrong", wrong)


def main() -> None:
    """Answer each number by a line."""
    name = sys.argv[1]
    attempt = ATTACKS[name].attempt()
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", RuntimeWarning)
    if name in ("transcripts", "specifications", "tables", "calls"):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY, resource.RLIM_INFINITY))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What the package prints is no answer.
    for line in sys.stdin:
        answers.write(json.dumps(outcome(attempt, name, int(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
