"""The report, and what becomes of it in a browser: sorted, filtered, toggled, without an error, without a network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib.util import find_spec

import numpy as np
import pytest

from kt_theory.sweep import load, run
from kt_theory.sweep.report import write_report

pytestmark = pytest.mark.skipif(
    find_spec("plotly") is None, reason="no Plotly: pip install 'kt_theory[report]'"
)
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)

WATCH = """<script>
window.seen = [];
window.addEventListener("error", event => window.seen.push("error: " + event.message));
window.addEventListener("securitypolicyviolation", event => window.seen.push("network: " + event.blockedURI));
for (const level of ["error", "warn"]) console[level] = (...words) => window.seen.push(level + ": " + words.join(" "));
</script>"""

ACT = """<script>
window.addEventListener("load", () => setTimeout(async () => {
  const wait = ms => new Promise(done => setTimeout(done, ms));
  const found = {}, table = document.getElementById("cells");
  const column = name => [...table.querySelectorAll("th")].findIndex(cell => cell.textContent === name);
  const values = name => [...table.querySelectorAll("tbody tr")].map(row => row.children[column(name)].textContent);
  found.rows = values("n").length;
  const header = table.querySelectorAll("th button")[column("mean")];
  header.click(); found.up = values("mean");
  header.click(); found.down = values("mean");
  const filter = document.getElementById("filter");
  filter.value = "ce_sgl n=20"; filter.dispatchEvent(new Event("input"));
  found.filtered = values("student").map((s, i) => s + " " + values("n")[i]);
  const plot = document.getElementById("plot");
  const visible = () => plot.querySelectorAll(".scatterlayer .trace").length;
  await wait(300);
  found.before = visible();
  const toggle = plot.querySelector(".legendtoggle"), box = toggle.getBoundingClientRect();
  const where = { bubbles: true, clientX: box.x + 3, clientY: box.y + 3 };
  for (const kind of ["mousedown", "mouseup", "click"]) toggle.dispatchEvent(new MouseEvent(kind, where));
  await wait(1500);
  found.after = visible();
  const select = document.getElementById("curve");
  select.value = "1"; select.dispatchEvent(new Event("change"));
  await wait(300);
  found.other = plot.data.length;
  found.curves = select.options.length;
  found.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  found.screen = window.innerWidth;
  found.seen = window.seen;
  parent.postMessage(JSON.stringify(found), "*");
}, 500));
</script>"""

FRAME = """<body><iframe src="page.html" style="width: @WIDTH@px; height: 844px; border: 0"></iframe><script>
window.addEventListener("message", event => {
  const said = document.createElement("pre");
  said.id = "found"; said.textContent = event.data;
  document.body.appendChild(said);
});
</script></body>"""
"""Chromium's own window is never narrower than 500 pixels."""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    from kt_theory.sweep import Spec

    folder = tmp_path_factory.mktemp("report")
    broken = folder / "broken.csv"
    broken.write_text("a,b\n0.5,0.5\n0.5,0.4\n")
    teachers = [
        {"family": "dirichlet", "inputs": [3, 6], "labels": [5, 9]},
        {"family": "instance2", "inputs": 3, "labels": 5},
        {"file": str(broken), "name": "<b>broken</b></script>"},
    ]
    spec = Spec(name="<i>report", seed=1, n=[2, 20, 60, 200, 600], repeats=2000, teachers=teachers)
    run(spec, folder / "out", progress=False)
    return write_report(folder / "out", folder / "report.html"), folder / "out"


@pytest.fixture(scope="module")
def page_with_limits(report):
    """The same with the limits of every cell, which take most of the time."""
    return write_report(report[1], report[1].parent / "limits.html", minimax=True)


def data(path):
    text = path.read_text()
    return json.loads(
        re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S).group(1)
    )


def test_the_report_says_what_the_table_says(report):
    path, folder = report
    found, frame = data(path), load(folder)
    assert len(found["cells"]["rows"]) == len(frame) == 120
    column = found["cells"]["columns"].index("mean")
    means = [row[column] for row in found["cells"]["rows"]]
    np.testing.assert_array_equal(
        [np.nan if mean is None else mean for mean in means], frame["mean"]
    )
    assert len(found["failures"]) == (frame["status"] == "failed").sum() == 20
    assert all(
        re.search(r"sweep replay \S+ [0-9a-f]{12} --debug$", failure["replay"])
        for failure in found["failures"]
    )
    assert all("Traceback" in failure["traceback"] for failure in found["failures"])
    (soft,) = [row for row in found["exponents"]["rows"] if row[:2] == ["dirichlet", "ce_sgl"]]
    laws = dict(zip(found["exponents"]["columns"], soft, strict=True))
    assert laws["n_low"] < -0.4 < laws["n_high"] or -0.6 < laws["n"] < -0.3
    verdicts = {row[-1] for row in found["slopes"]["rows"]}
    assert any("n^-1" in verdict for verdict in verdicts)
    assert found["runs"]["rows"]


def test_a_report_with_limits_has_them(tmp_path):
    from kt_theory.sweep import Spec

    teachers = [{"family": "dirichlet", "inputs": 2, "labels": 3}]
    spec = Spec(name="limits", seed=1, n=[2, 20], repeats=200, teachers=teachers)
    run(spec, tmp_path / "out", progress=False)
    found = data(write_report(tmp_path / "out", tmp_path / "limits.html", minimax=True))
    frame = load(tmp_path / "out")
    assert len(frame) == 8
    assert frame["minimax_lower"].notna().all()
    assert (frame["minimax_lower"] <= frame["minimax_upper"] + 1e-12).all()
    for name in ("minimax_lower", "minimax_upper"):
        place = found["cells"]["columns"].index(name)
        assert [row[place] for row in found["cells"]["rows"]] == frame[name].tolist()


def test_nothing_is_loaded_from_elsewhere_and_names_are_text(report):
    text = report[0].read_text()
    page = re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:)""", page)
    assert "default-src 'none'" in page
    assert "<b>broken" not in page
    assert "<i>report" not in page
    assert page.count("&lt;i&gt;report") == 2
    assert "@" not in re.sub(r"@media", "", page.split("<script")[0])


def test_a_sweep_without_results_has_a_report(tmp_path):
    from kt_theory.sweep import Spec

    spec = Spec(
        name="none",
        n=[5, 50],
        repeats=10,
        teachers=[{"family": "uniform", "inputs": 2, "labels": 2}],
    )
    run(spec, tmp_path / "out", seconds=0.0, progress=False)
    found = data(write_report(tmp_path / "out", tmp_path / "report.html"))
    assert found["curves"] == found["slopes"]["rows"] == found["failures"] == []
    assert len(found["cells"]["rows"]) == 8


def browse(path, *options):
    words = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=20000",
        *options,
    ]
    flags = ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={path.parent / 'profile'}"]
    return subprocess.run(
        [*words, *flags, path.as_uri()], capture_output=True, text=True, timeout=120
    )


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")
@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_works_in_a_browser(page_with_limits, tmp_path, width):
    text = page_with_limits.read_text().replace("<head>", "<head>" + WATCH, 1)
    (tmp_path / "page.html").write_text(text.replace("</body>", ACT + "</body>"))
    (tmp_path / "frame.html").write_text(FRAME.replace("@WIDTH@", str(width)))
    shown = browse(tmp_path / "frame.html", "--dump-dom", "--window-size=1400,900")
    match = re.search(r'<pre id="found">(.*?)</pre>', shown.stdout, re.S)
    assert match, shown.stderr[-2000:]
    found = json.loads(
        match.group(1).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    )
    assert found["seen"] == []
    assert found["screen"] == width
    assert found["rows"] == 120
    up = [float(value) for value in found["up"] if value != "-"]
    assert up == sorted(up)
    assert [float(value) for value in found["down"] if value != "-"][: len(up)] == up[::-1]
    assert set(found["filtered"]) == {"ce_sgl 20"}
    assert len(found["filtered"]) == 6
    assert 0 < found["after"] < found["before"]
    assert found["curves"] == 5
    assert found["other"] > 0
    assert found["wide"] <= 0  # nothing sticks out of a phone's screen
