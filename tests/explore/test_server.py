"""Nobody but who has the address gets an answer, whatever is asked."""

from __future__ import annotations

import json
import re
import socket
from importlib.util import find_spec

import pytest
from click.testing import CliRunner

from kt_theory.cli.main import main
from kt_theory.explore import server

needs_dash = pytest.mark.skipif(
    find_spec("dash") is None, reason="no Dash: pip install 'kt_theory[explore]'"
)
PREFIX = "/secret/"
HOME = {"base_url": "http://127.0.0.1:5000", "buffered": True}


@pytest.fixture(scope="module")
def client():
    from werkzeug.test import Client

    from kt_theory.explore.page import explorer

    return Client(server.guarded(explorer(PREFIX), PREFIX))


@pytest.fixture(scope="module")
def paths(client):
    """All that the page loads when it opens, and what it then asks."""
    page = client.get(PREFIX, **HOME).text
    found = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(found) > 10
    asked = ("_dash-layout", "_dash-dependencies", "_dash-update-component", "_reload-hash")
    return [PREFIX, *found, *(PREFIX + name for name in asked)]


@needs_dash
def test_all_that_the_page_loads_is_under_the_secret_path(client, paths):
    for path in paths[:-2]:
        assert path.startswith(PREFIX)
        answer = client.get(path, **HOME)
        assert answer.status_code == 200, path
        assert "connect-src" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self';")
        assert answer.headers["Referrer-Policy"] == "no-referrer"


@needs_dash
@pytest.mark.parametrize("other", ["/", "/guess!/", "/Secret/", "/secret", "/secre/", "//secret/"])
def test_without_the_token_everything_is_refused(client, paths, other):
    for path in paths:
        address = path.replace(PREFIX, other, 1)
        for answer in (client.get(address, **HOME), client.post(address, json={}, **HOME)):
            assert answer.status_code == 403, address
            assert "kt-theory explore" in answer.text


@needs_dash
@pytest.mark.parametrize("name", ["evil.example", "evil.example:5000", "127.0.0.1", "127.0.0.1:81"])
def test_a_foreign_name_that_points_here_is_refused(client, paths, name):
    for path in paths:
        assert client.get(path, headers={"Host": name}, **HOME).status_code == 403
    assert client.get(PREFIX, headers={"Host": "localhost:5000"}, **HOME).status_code == 200


def call(client, name, given, triggered):
    """Call the callback whose first output is `name` as the page does."""
    listed = json.loads(client.get(f"{PREFIX}_dash-dependencies", **HOME).text)
    (found,) = [each for each in listed if name in each["output"]]
    outputs = [
        dict(zip(("id", "property"), part.rsplit(".", 1), strict=True))
        for part in found["output"].strip(".").split("...")
    ]
    parts = {
        kind: [{**each, "value": given[each["id"]]} for each in found[kind]]
        for kind in ("inputs", "state")
    }
    asked = {"output": found["output"], "outputs": outputs, "changedPropIds": [triggered], **parts}
    if len(outputs) == 1:
        asked["outputs"] = outputs[0]
    return client.post(f"{PREFIX}_dash-update-component", json=asked, **HOME).json["response"]


@needs_dash
def test_sliders_say_where_they_stand(client):
    given = dict.fromkeys(("inputs", "labels", "n", "tv", "query_price", "entry_price"), 0)
    found = call(client, "n-value", given | {"inputs": 15}, "inputs.value")
    values = {name: part["children"] for name, part in found.items()}
    assert values["inputs-value"] == "1,000"
    assert values["labels-value"] == "2"
    assert values["query_price-value"] == "0.0"


@needs_dash
def test_buttons_sample_start_again_and_change_the_teacher(client):
    given = {"sample": 1, "again": None, "another": None, "inputs": 0, "labels": 0}
    given |= {"family": "zipf", "n": 3, "steps": {"seed": 4, "sizes": [1]}}

    def after(triggered, **changed):
        return call(client, "steps.data", given | changed, triggered)["steps"]["data"]

    assert after("sample.n_clicks") == {"seed": 4, "sizes": [1, 5]}
    assert after("again.n_clicks") == {"seed": 4, "sizes": []}
    assert after("another.n_clicks") == {"seed": 5, "sizes": []}
    assert after("inputs.value") == {"seed": 4, "sizes": []}
    full = {"seed": 4, "sizes": [10**7]}
    assert after("sample.n_clicks", steps=full) == full


def run(*words):
    return CliRunner().invoke(main, ["explore", *words])


def test_without_dash_the_command_says_what_to_install(monkeypatch):
    monkeypatch.setattr(server, "find_spec", {}.get)
    result = run("--no-browser")
    assert result.exit_code == 2
    assert result.output == "Error: the explorer needs Dash: pip install 'kt_theory[explore]'\n"


@needs_dash
def test_ports_that_cannot_be_had_are_refused():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("--no-browser", "--port", str(port))
    assert result.exit_code == 2
    assert result.output.startswith(f"Error: --port {port}: ")
    for port in ("0", "65536", "many"):
        result = run("--no-browser", "--port", port)
        assert result.exit_code == 2
        assert len(result.output.splitlines()) == 1
