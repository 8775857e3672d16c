"""What the planner's tests share."""

from __future__ import annotations

import pytest

from kt_theory.planner.posterior import draws, inputs


@pytest.fixture
def rough(monkeypatch):
    """Posteriors of a third of the draws and particles: for tests of what is said, not of how near a number is."""
    monkeypatch.setattr(draws, "DRAWS", draws.FEWEST_DRAWS)
    monkeypatch.setattr(inputs, "_PARTICLES", inputs._PARTICLES // 3)
    monkeypatch.setattr(inputs, "_PROPOSALS", inputs._PROPOSALS // 3)
