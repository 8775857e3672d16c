"""Where Numba keeps machine code, and that it is not older than the sources."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import numba
from numba.misc.appdirs import AppDirs

from kt_theory import machine


def drop_stale() -> None:
    """Delete cached machine code if any kernel source has changed since it was compiled.

    Numba's cache looks at the file of the outermost function only: after an edit or a git pull, a
    caller would go on using the old code of a function that it inlined from another file.
    """
    here = Path(__file__).parent
    sources = b"".join(path.read_bytes() for path in sorted(here.glob("*.py")))
    digest = hashlib.sha256(sources).hexdigest()
    stamp = here / "__pycache__" / "kernels.sha256"
    try:
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != digest:
            for cached in stamp.parent.glob("*.nb[ci]"):
                cached.unlink(missing_ok=True)
            stamp.parent.mkdir(exist_ok=True)
            stamp.write_bytes(digest.encode())
    except OSError:
        return  # a read-only installation: its files are only ever replaced all together


def find_a_cache() -> None:
    """Keep machine code in the temporary folder if neither usual cache can be written.

    These are the package's and the user's; Numba would refuse to compile anything. The folder
    belongs to the user alone, as it holds code to be run.
    """
    config: Any = numba.config
    own = Path(__file__).parent / "__pycache__"
    user = Path(AppDirs(appname="numba", appauthor=False).user_cache_dir)
    if not config.CACHE_DIR and not writable(own) and not writable(user):
        config.CACHE_DIR = str(machine.private_folder())


def writable(folder: Path) -> bool:
    """Return whether a file can be made in a folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
