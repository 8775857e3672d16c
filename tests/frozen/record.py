"""Write the record anew: `PYTHONPATH=tests .venv/bin/python -m frozen.record [GROUP ...]`.

All groups if none is named. One may where a result changes on purpose and an issue says so: then
read the diff of the record, key by key, and name in the commit what changed and why. Never to make
a move of code pass. A defect that is put right moves from `expected_to_change` into its group.
"""

from __future__ import annotations

import json
import sys
import time

from frozen.cases import GROUPS, HERE, collected

if __name__ == "__main__":
    for group in sys.argv[1:] or GROUPS:
        started = time.process_time()
        found = collected(group)
        lines = [f"{json.dumps(key)}: {json.dumps(found[key])}" for key in sorted(found)]
        (HERE / "record" / f"{group}.json").write_text(
            "{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8"
        )
        print(f"{group}: {len(found)} cases, {time.process_time() - started:.1f} s")
