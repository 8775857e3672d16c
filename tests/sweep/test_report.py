"""The report, and what becomes of it in a browser: sorted, filtered, toggled, without an error, without a network."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.util import find_spec

import numpy as np
import pytest
from browsers import CHROMIUM, FLAGS, needs_chromium

from kt_theory.sweep import load, run
from kt_theory.sweep.report import write_report

pytestmark = pytest.mark.skipif(
    find_spec("plotly") is None, reason="no Plotly: pip install 'kt_theory[report]'"
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
    """What the page holds, with texts in the place of their numbers."""
    found = json.loads(
        re.search(
            r'<script id="data" type="application/json">(.*?)</script>', path.read_text(), re.S
        ).group(1)
    )
    for table in (found[name] for name in ("cells", "slopes", "exponents", "runs")):
        for row in table["rows"]:
            for place, texts in enumerate(table["texts"]):
                row[place] = row[place] if texts is None else texts[row[place]]
    return found


def as_shown(values):
    """Numbers in as many digits as the page holds, six."""
    return [None if np.isnan(value) else float(f"{value:.6g}") for value in values]


def test_the_report_says_what_the_table_says(report):
    path, folder = report
    found, frame = data(path), load(folder)
    assert len(found["cells"]["rows"]) == len(frame) == 120
    column = found["cells"]["columns"].index("mean")
    assert [row[column] for row in found["cells"]["rows"]] == as_shown(frame["mean"])
    for name in ("teacher", "student", "status", "n"):
        column = found["cells"]["columns"].index(name)
        assert [row[column] for row in found["cells"]["rows"]] == frame[name].tolist()
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
        assert [row[place] for row in found["cells"]["rows"]] == as_shown(frame[name])


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


def size(path):
    """Bytes of a page beside Plotly's code."""
    from plotly.offline import get_plotlyjs

    return path.stat().st_size - len(get_plotlyjs().encode())


def browse(path):
    """What Chromium makes of a page, without a name that it could look up."""
    words = [CHROMIUM, "--headless", *FLAGS, "--virtual-time-budget=20000", "--dump-dom"]
    words += ["--window-size=1500,900", "--host-resolver-rules=MAP * ~NOTFOUND"]
    words.append(f"--user-data-dir={path.parent / 'profile'}")
    return subprocess.run([*words, path.as_uri()], capture_output=True, text=True, timeout=120)


def acted(page, folder, width):
    """What a reader finds in a page that many pixels wide: sorts, filters, toggles, chooses."""
    text = page.read_text().replace("<head>", "<head>" + WATCH, 1)
    (folder / "page.html").write_text(text.replace("</body>", ACT + "</body>"))
    (folder / "frame.html").write_text(FRAME.replace("@WIDTH@", str(width)))
    shown = browse(folder / "frame.html")
    match = re.search(r'<pre id="found">(.*?)</pre>', shown.stdout, re.S)
    assert match, shown.stderr[-2000:]
    said = match.group(1).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    found = json.loads(said)
    assert found["screen"] == width
    return found


def assert_works(found, cells, curves):
    assert found["seen"] == []
    assert found["rows"] == min(cells, 500)
    up = [float(value) for value in found["up"] if value != "-"]
    assert up == sorted(up)
    down = [float(value) for value in found["down"] if value != "-"]
    assert down == sorted(down, reverse=True)
    assert cells > 500 or down == up[::-1]
    assert set(found["filtered"]) == {"ce_sgl 20"}
    assert 0 < found["after"] < found["before"]
    assert found["curves"] == curves
    assert found["other"] > 0
    assert found["wide"] <= 0  # nothing sticks out of a phone's screen


@needs_chromium
def test_the_report_works_on_a_phone(report, tmp_path):
    found = acted(report[0], tmp_path, 400)
    assert_works(found, cells=120, curves=5)
    assert len(found["filtered"]) == 6


def test_a_cell_takes_few_bytes(report):
    """So that thousands are below a megabyte: what all pages have is about 12 kB, and failures hold
    their traceback.
    """
    failures = len(json.dumps(data(report[0])["failures"]))
    assert size(report[0]) - failures < 15_000 + 120 * 220


@pytest.mark.long
@needs_chromium
@pytest.mark.parametrize("width", [400, 1400])
def test_a_report_with_limits_works(page_with_limits, tmp_path, width):
    found = acted(page_with_limits, tmp_path, width)
    assert_works(found, cells=120, curves=5)


@pytest.mark.long
@needs_chromium
def test_the_report_of_5000_cells_is_below_a_megabyte_and_works(tmp_path):
    from kt_theory.sweep import Spec

    teachers = [{"family": "zipf", "inputs": [*range(1, 51)], "labels": 3}]
    n = [20, *range(100, 5000, 100)]
    spec = Spec(name="big", n=n, repeats=2, teachers=teachers, students=["ce_sgl", "ce_ful"])
    run(spec, tmp_path / "out", progress=False)
    page = write_report(tmp_path / "out", tmp_path / "big.html")
    assert len(data(page)["cells"]["rows"]) == 5000
    assert size(page) < 1_000_000
    found = acted(page, tmp_path, 1400)
    assert_works(found, cells=5000, curves=50)
