"""Rules that are made of other rules."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from numba.extending import register_jitable


@cache
def let_rules_call(function: Callable[..., Any]) -> None:
    """Let compiled rules call a plain function; in plain Python it stays as it is."""
    register_jitable(function)
