"""The explorer in Chromium: sliders move, numbers are the library's, nothing leaves this machine."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from browsers import needs_chromium, needs_playwright, opened, overflow

import kt_theory as kt
from kt_theory.explore.state import INPUTS, LABELS, SAMPLES

pytestmark = [
    pytest.mark.long,
    needs_chromium,
    needs_playwright,
    pytest.mark.skipif(
        find_spec("dash") is None, reason="no Dash: pip install 'kt_theory[explore]'"
    ),
]
PICTURE = Path(__file__).parents[2] / "figures" / "explore.png"
LONGEST = 120_000
"""Milliseconds for what is computed in the background."""


@pytest.fixture(scope="module")
def address():
    """The address of a server of its own, which an interrupt ends as it ends every command."""
    command = [sys.executable, "-m", "kt_theory", "explore", "--no-browser"]
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    said = server.stdout.readline()
    yield said.strip()
    server.send_signal(signal.SIGINT)
    _, errors = server.communicate(timeout=60)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/\n", said)
    assert (server.returncode, len(errors.splitlines())) == (130, 1), errors
    assert errors.startswith("Interrupted")


def move(page, name, stops, value):
    """Move a slider as a keyboard does, by its arrow keys."""
    slider = page.locator(f"#{name}")
    slider.focus()
    for _ in range(abs(gap := stops.index(value) - int(slider.input_value()))):
        page.keyboard.press("ArrowRight" if gap > 0 else "ArrowLeft")
    page.wait_for_function(
        "([name, text]) => document.getElementById(`${name}-value`).textContent === text",
        arg=[name, f"{value:,}"],
    )


def said(page, name, words):
    """What a section says once it holds the words."""
    place = page.locator(f"#{name}")
    place.filter(has_text=re.compile(words)).wait_for(timeout=LONGEST)
    return place.inner_text()


def test_sliders_move_and_the_number_is_the_librarys(address):
    with opened(1400) as (page, seen):
        page.goto(address)
        said(page, "limits-words", "100 inputs and 25 labels")
        page.get_by_label("soft: all probabilities").check()
        for name, stops, value in (
            ("inputs", INPUTS, 50),
            ("labels", LABELS, 10),
            ("n", SAMPLES, 200),
        ):
            move(page, name, stops, value)
        words = said(page, "limits-words", "After 200 pairs of all prob.* 50 inputs and 10 labels")
        limit = kt.minimax_risk("soft", inputs=50, labels=10, n=200)
        # By hand: no law of 50 inputs misses more than 49 of mass 1/201 and one of the rest.
        by_hand = 0.9 * 49 / 201 * (200 / 201) ** 200
        assert limit.lower == pytest.approx(by_hand, rel=5e-3)
        assert float(re.search(r"is (0\.\d+):", words).group(1)) == float(f"{limit.upper:.4g}")
        assert page.locator("#inputs").get_attribute("aria-valuetext") == "50"
        plan = said(page, "plan-words", "A copy within total variation 0.05 takes")
        needed = kt.samples_needed("hard", inputs=50, labels=10, tv=0.05).n
        assert f"takes {needed:,} queries of hard labels" in plan
        assert seen.complaints == []


def test_a_transfer_set_fills_step_by_step(address):
    with opened(1400) as (page, seen):
        page.goto(address)
        said(page, "limits-words", "100 inputs and 25 labels")
        move(page, "n", SAMPLES, 500)
        for step in (1, 2):
            page.get_by_role("button", name="Sample the next n pairs").click()
            said(page, "transfer-words", f"{500 * step:,} pairs in {step} step")
        teacher = kt.teachers.zipf(100, 25, seed=0)
        counts = sum(kt.draw_counts(teacher, 500, 1, seed=step)[0] for step in (1, 2))
        shown = page.locator("#counts-table tbody td").all_inner_texts()
        assert [int(cell.split()[0]) for cell in shown] == counts[:8, :8].ravel().tolist()
        copy = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        copy[counts.sum(axis=1) == 0] = 1 / 25
        off = float(kt.total_variation(copy, teacher.pi, teacher.rho))
        row = page.locator("#copies-table tbody tr", has_text="ce_sgl").inner_text().split()
        assert row[:3] == ["ce_sgl", "hard", f"{off:.4f}"]
        page.get_by_role("button", name="Start again").click()
        said(page, "transfer-words", "The transfer set is empty")
        assert seen.complaints == []


def test_edges_and_what_has_no_limit(address):
    with opened(1400) as (page, seen):
        page.goto(address)
        said(page, "limits-words", "100 inputs and 25 labels")
        page.get_by_label("gradient(cycle, 1)").check()
        for name, stops, value in (("inputs", INPUTS, 1), ("labels", LABELS, 2), ("n", SAMPLES, 1)):
            move(page, name, stops, value)
        assert "must be at least 3" in said(page, "limits-words", "No limit: ")
        page.get_by_label("hard: the sampled label").check()
        # One pair of two labels: 1/4, as the best student hedges between the two.
        assert "is 0.25:" in said(page, "limits-words", "After 1 pair of hard labels")
        for name in ("query_price", "entry_price"):
            slider = page.locator(f"#{name}")
            slider.focus()
            page.keyboard.press("Home")
        page.wait_for_function(
            "() => !document.querySelector('#plan-table').textContent.includes('cost')"
        )
        page.get_by_role("button", name="Sample the next n pairs").click()
        said(page, "transfer-words", "1 pair in 1 step: 1 of 1 input")
        assert seen.complaints == []


@pytest.mark.parametrize("width", [400, 1400])
def test_it_fits_every_window_and_asks_this_machine_alone(address, width):
    with opened(width) as (page, seen):
        page.goto(address)
        said(page, "limits-words", "100 inputs and 25 labels")
        for step in (1, 2, 3):
            page.get_by_role("button", name="Sample the next n pairs").click()
            said(page, "transfer-words", f"{1000 * step:,} pairs in {step} step")
        for clock in ("limits-status", "plan-status"):
            page.wait_for_function(
                "name => !/omputing/.test(document.getElementById(name).textContent)",
                arg=clock,
                timeout=LONGEST,
            )
        assert overflow(page) == 0
        assert {urlsplit(each).hostname for each in seen.asked if not each.startswith("data:")} == {
            "127.0.0.1"
        }
        token = urlsplit(address).path
        assert all(
            urlsplit(each).path.startswith(token)
            for each in seen.asked
            if not each.startswith("data:")
        )
        assert seen.complaints == []
        if width == 1400:
            top = {"x": 0, "y": 0, "width": 1400, "height": 1330}
            page.screenshot(path=PICTURE, clip=top, full_page=True)
            assert PICTURE.stat().st_size < 150_000
