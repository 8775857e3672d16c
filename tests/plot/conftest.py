"""Pictures are drawn without a screen, and closed after each test."""

import matplotlib
import pytest


@pytest.fixture(autouse=True)
def no_screen():
    from matplotlib import pyplot

    before = matplotlib.get_backend()
    pyplot.switch_backend("agg")
    settings = dict(matplotlib.rcParams)
    yield
    assert dict(matplotlib.rcParams) == settings  # no picture changes the user's settings
    pyplot.close("all")
    pyplot.switch_backend(before)
