"""Proved upper bounds of hard labels at some sizes: `python benchmarks/hard_proved.py` writes
kt_theory/limits/hard/proved.json, in some minutes on one core; `python benchmarks/hard_proved.py
20 200` prints that of A = 20, n = 200.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from kt_theory.limits.hard.bent import bent_bound

LABELS = (10, 12, 15, 17, 20, 22, 25, 30, 35, 40, 50, 60, 70, 80, 100, 150, 200, 250, 300)
LABELS += (400, 500, 600, 700, 800, 900, 1000)
RATIOS = (10,)
OUT = Path(__file__).parents[1] / "kt_theory" / "limits" / "hard" / "proved.json"


def main() -> None:
    if len(sys.argv) == 3:
        print(bent_bound(int(sys.argv[1]), int(sys.argv[2])))
        return
    rows = json.loads(OUT.read_text()) if OUT.exists() else []
    done = {(labels, n) for labels, n, _ in rows}
    for labels, n in ((labels, ratio * labels) for ratio in RATIOS for labels in LABELS):
        if (labels, n) in done:
            continue
        start = time.process_time()
        value = bent_bound(labels, n)
        rows = sorted([*rows, [labels, n, round(value * (1.0 + 1e-7), 9)]])
        OUT.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
        print(labels, n, value, f"{time.process_time() - start:.1f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
