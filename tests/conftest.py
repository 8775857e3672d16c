from __future__ import annotations

import gc
import sys
from pathlib import Path

from hypothesis import settings

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "examples")]
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=40)
settings.load_profile("repeatable")


def pytest_collection_finish() -> None:
    """Take what is loaded by now for kept: to go through it again and again takes a tenth of the time."""
    gc.collect()
    gc.freeze()
