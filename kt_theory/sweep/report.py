"""The report: one HTML file that needs no network, from the table of a sweep. Plots by Plotly,
whose code is inside.
"""

from __future__ import annotations

import html
import json
import math
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kt_theory.output import refuse_unwritable
from kt_theory.rates import PowerLawWarning, fit_exponents, fit_rate
from kt_theory.sweep.overview import clock
from kt_theory.sweep.results import load
from kt_theory.sweep.store import Store, replace
from kt_theory.validation import as_path

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = (
    *("teacher", "inputs", "labels", "student", "loss", "n", "mean", "std_error", "exact"),
    *("infinite", "access"),
    *("lower_bound", "minimax_lower", "minimax_upper", "upper_bound", "q50"),
    *("repeats", "status", "error", "cell"),
)
_MOST_FAILURES = 50
_MARKS = re.compile("@(?:TITLE|DATA|PLOTLY)@")
_SHAPE = ["teacher", "inputs", "labels", "loss"]
_HARD_RATE, _OTHER_RATE = -0.5, -1.0
_SAME = 0.02
_FEWEST_POINTS = 3
_SMALLEST = 1e-12
_DIGITS = 6
"""Significant digits of the page's numbers; the table shows five."""


def write_report(folder: str | Path, out: str | Path, *, minimax: bool = False) -> Path:
    """Write the report of a sweep and return its path.

    Parameters
    ----------
    folder : Path
        The sweep's folder; it may still be running.
    out : Path
        The HTML file.
    minimax : bool
        See `load`.

    Raises
    ------
    ValueError
        If Plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise ValueError("the report needs Plotly: pip install 'kt_theory[report]'") from None
    place, target = as_path(folder, "folder"), as_path(out, "out")
    store = Store(place)
    refuse_unwritable([target])
    frame = load(place, exact=True, minimax=minimax)
    page = (Path(__file__).parent / "report.html").read_text(encoding="utf-8")
    content = json.dumps(_plain(_content(store, frame)), allow_nan=False)
    parts = {
        "@TITLE@": html.escape(f"Sweep {store.about['spec']['name']}"),
        "@DATA@": content.replace("<", "\\u003c"),
        "@PLOTLY@": get_plotlyjs().replace("</script", "<\\/script"),
    }
    # In one pass: what is put in may hold a mark.
    page = _MARKS.sub(lambda found: parts[found[0]], page)
    replace(target, lambda file: file.write_bytes(page.encode()))
    return target


def _content(store: Store, frame: pd.DataFrame) -> dict[str, Any]:
    done = frame[frame["status"] == "done"]
    statuses = frame["status"].value_counts()
    counts = ", ".join(f"{count:,} {status}" for status, count in statuses.items())
    spec, runs = store.about["spec"], store.about["runs"]
    shown = ["started", "host", "executor", "workers", "shard", "git"]
    last = runs[-1]
    versions = {"python": last["python"], "machine": last["machine"], **last["versions"]}
    return {
        "summary": f"{len(frame):,} cells: {counts}; {int(frame['repeats'].sum()):,} repeats, "
        f"{clock(frame['seconds'].sum())} of one core; seed {spec.get('seed', 0)}",
        "curves": [_curve(name, rows) for name, rows in _drawn(done, _SHAPE)],
        "slopes": _table(_slopes(done)),
        "exponents": _table(_exponents(done)),
        "cells": _table(frame.assign(cell=frame["cell"].str[:12])[_shown(frame)]),
        "failures": _failures(store, frame),
        "failed": int((frame["status"] == "failed").sum()),
        "runs": {
            "columns": shown,
            "texts": [None] * len(shown),
            "rows": [[_text(run.get(key)) for key in shown] for run in runs],
        },
        "spec": json.dumps(spec, indent=1),
        "versions": json.dumps(versions, indent=1),
    }


def _drawn(done: pd.DataFrame, keys: list[str]) -> Any:
    """Return the points that have logarithms, grouped."""
    drawn = (done["mean"] > _SMALLEST) & (done["mean"] < math.inf) & (done["n"] > 0)
    return done[drawn].groupby(keys, sort=False)


def _shown(frame: pd.DataFrame) -> list[str]:
    """Return the columns of the table: those that say something of one cell at least."""
    empty = {name for name in _SHOWN if (frame[name].isna() | (frame[name] == "")).all()}
    if (frame["loss"] == "tv").all():
        empty |= {"loss", "infinite"}
    return [name for name in _SHOWN if name not in empty]


def _curve(shape: Any, rows: pd.DataFrame) -> dict[str, Any]:
    teacher, inputs, labels, loss = shape
    students, levels = [], []
    for student, curve in rows.groupby("student", sort=False):
        points = curve.sort_values("n")
        facts = {"student": student, "access": points["access"].iloc[0]}
        facts |= {"std_error": points["std_error"].tolist()}
        taken = {"n": "n", "mean": "mean", "exact": "exact", "upper": "upper_bound"}
        students.append(facts | _logs(points, taken))
    for access, curve in rows.groupby("access", sort=False):
        points = curve.drop_duplicates("n").sort_values("n")
        taken = {"n": "n", "lower": "lower_bound", "low": "minimax_lower", "high": "minimax_upper"}
        levels.append({"access": access} | _logs(points, taken))
    name = f"{teacher}, S = {int(inputs)}, A = {int(labels)}"
    name += f", {loss}" * (loss != "tv")
    return {"name": name, "students": students, "levels": levels}


def _logs(points: pd.DataFrame, taken: dict[str, str]) -> dict[str, list[float | None]]:
    """Return columns for a logarithmic axis, None for what would only stretch it."""
    return {
        key: [float(value) if value > _SMALLEST else None for value in points[column]]
        for key, column in taken.items()
    }


def _slopes(done: pd.DataFrame) -> pd.DataFrame:
    """Return the fitted slope of every curve with enough points, with its verdict."""
    import pandas as pd

    keys = ["teacher", "student", "access", "loss", "inputs", "labels"]
    fits = []
    for _, curve in _drawn(done, keys):
        if curve["n"].nunique() < _FEWEST_POINTS:
            continue
        noisy = (curve["std_error"] > 1e-9 * curve["mean"]).all()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PowerLawWarning)
            fit = fit_rate(curve if noisy else curve.drop(columns="std_error"), by=keys)
        fits.append(fit.assign(verdict=_verdict(fit.iloc[0])))
    columns = [*keys, "slope", "slope_low", "slope_high", "points", "slope_change", "verdict"]
    found = pd.concat(fits)[columns] if fits else pd.DataFrame(columns=columns)
    return found.drop(columns="loss") if (done["loss"] == "tv").all() else found


def _verdict(fit: Any) -> str:
    if not fit["power_law"]:
        return "no power law"
    if fit["loss"] != "tv":
        return ""
    if abs(fit["slope"]) < _SAME:
        return "does not fall"
    hard = fit["access"] == "hard"
    rate, name = (_HARD_RATE, "n^-1/2") if hard else (_OTHER_RATE, "n^-1")
    if fit["slope_low"] <= rate <= fit["slope_high"] or abs(fit["slope"] - rate) < _SAME:
        return f"as {name}"
    return f"{'faster' if fit['slope'] < rate else 'slower'} than {name}"


def _exponents(done: pd.DataFrame) -> pd.DataFrame:
    """Return the exponents in n, S and A of all teachers and students run at several sizes."""
    import pandas as pd

    keys = ["teacher", "student", "loss"]
    fits = []
    for _, rows in _drawn(done, keys):
        moving = [name for name in ("n", "inputs", "labels") if rows[name].nunique() > 1]
        if len(moving) > 1 and len(rows) > len(moving) + 1:
            fits.append(fit_exponents(rows.drop(columns="std_error"), by=keys, x=moving))
    found = pd.concat(fits) if fits else pd.DataFrame(columns=keys)
    return found.drop(columns="loss") if (done["loss"] == "tv").all() else found


def _failures(store: Store, frame: pd.DataFrame) -> list[dict[str, str]]:
    store.refresh()
    found = []
    for row in frame[frame["status"] == "failed"].head(_MOST_FAILURES).itertuples():
        record = store.errors.get(row.cell)
        where = f"{row.teacher}, {row.student}" + f", {row.loss}" * (row.loss != "tv")
        what = f"{where}, n = {row.n}, seed = {row.seed}: {row.error}"
        command = f"kt-theory sweep replay {store.path} {row.cell[:12]} --debug"
        trace = record.block.traceback if record else ""
        found.append({"what": what, "replay": command, "traceback": trace})
    return found


def _table(frame: pd.DataFrame) -> dict[str, Any]:
    """Return columns and rows; where texts repeat, rows hold places in `texts`, and the page has
    each text once.
    """
    texts: list[list[str] | None] = []
    shown = frame.astype(object)
    for name in frame.columns:
        found = list(dict.fromkeys(frame[name]))
        if len(found) == len(frame) or not all(isinstance(value, str) for value in found):
            texts.append(None)
            continue
        places = {text: place for place, text in enumerate(found)}
        shown[name] = [places[text] for text in frame[name]]
        texts.append(found)
    rows = shown.to_numpy(dtype=object).tolist()
    return {"columns": list(frame.columns), "texts": texts, "rows": rows}


def _text(value: Any) -> str:
    if value is None:
        return ""
    return "/".join(map(str, value)) if isinstance(value, list) else str(value)


def _plain(value: Any) -> Any:
    """Return what JSON can say: no NaN, no NumPy numbers, no more digits than one can see."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    plain = value.item() if hasattr(value, "item") else value
    if not isinstance(plain, float):
        return plain
    return float(f"{plain:.{_DIGITS}g}") if math.isfinite(plain) else None
