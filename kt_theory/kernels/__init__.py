"""All compiled code: random streams, count sampling, row rules, losses, the repeat loop. Imports numpy and numba alone.

Kernels trust their input: whoever calls them has validated it. Names: S inputs, A labels, s an input, a a label.
"""

import hashlib
from pathlib import Path


def _drop_stale_machine_code() -> None:
    """Delete cached machine code if any kernel source has changed since it was compiled.

    Numba's cache looks at the file of the outermost function only: after an edit or a git pull, a caller would go on
    using the old code of a function that it inlined from another file.
    """
    here = Path(__file__).parent
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(here.glob("*.py")))).hexdigest()
    stamp = here / "__pycache__" / "kernels.sha256"
    try:
        if not stamp.exists() or stamp.read_text() != digest:
            for cached in stamp.parent.glob("*.nb[ci]"):
                cached.unlink(missing_ok=True)
            stamp.parent.mkdir(exist_ok=True)
            stamp.write_text(digest)
    except OSError:
        return  # a read-only installation: its files are only ever replaced all together


_drop_stale_machine_code()
