"""All compiled code: random streams, count sampling, row rules, losses, the repeat loop. Imports
numpy and numba alone.

Kernels trust their input: whoever calls them has validated it. Names: S inputs, A labels, s an
input, a a label.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import numba


def _drop_stale_machine_code() -> None:
    """Delete cached machine code if any kernel source has changed since it was compiled.

    Numba's cache looks at the file of the outermost function only: after an edit or a git pull, a
    caller would go on using the old code of a function that it inlined from another file.
    """
    here = Path(__file__).parent
    digest = hashlib.sha256(
        b"".join(path.read_bytes() for path in sorted(here.glob("*.py")))
    ).hexdigest()
    stamp = here / "__pycache__" / "kernels.sha256"
    try:
        if not stamp.exists() or stamp.read_text() != digest:
            for cached in stamp.parent.glob("*.nb[ci]"):
                cached.unlink(missing_ok=True)
            stamp.parent.mkdir(exist_ok=True)
            stamp.write_text(digest)
    except OSError:
        return  # a read-only installation: its files are only ever replaced all together


def _find_a_cache() -> None:
    """Keep machine code in the temporary folder if neither the package's nor the user's cache can
    be written.

    Numba would refuse to compile anything. The folder belongs to the user alone, as it holds code
    to be run.
    """
    config: Any = numba.config
    own = Path(__file__).parent / "__pycache__"
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "numba"
    if not config.CACHE_DIR and not _writable(own) and not _writable(user):
        folder = Path(tempfile.gettempdir()) / f"kt_theory-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        safe = folder.stat().st_uid == os.getuid() and not folder.is_symlink()
        config.CACHE_DIR = str(folder if safe else tempfile.mkdtemp(prefix="kt_theory-"))


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


_drop_stale_machine_code()
_find_a_cache()
