"""The page: its layout, and which answer stands where. Dash draws it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kt_theory.explore import answers, drawing, questions
from kt_theory.explore.desk import Desk
from kt_theory.explore.questions import Question
from kt_theory.explore.state import (
    DISTANCES,
    FAMILIES,
    INPUTS,
    LABELS,
    LEVELS,
    MOST_PAIRS,
    PRICES,
    SAMPLES,
    State,
)

_POLL = 300
"""Milliseconds between looks at what was being computed."""

_INDEX = """<!DOCTYPE html>
<html lang="en">
<head>{%metas%}<title>{%title%}</title>{%favicon%}{%css%}</head>
<body>{%app_entry%}<footer>{%config%}{%scripts%}{%renderer%}</footer></body>
</html>"""


@dataclass(frozen=True)
class Slider:
    """A slider over the values at which it stops.

    Attributes
    ----------
    field : str
        What of a `State` it sets; its id, too.
    name : str
    stops : tuple
    """

    field: str
    name: str
    stops: tuple[Any, ...]


SLIDERS = (
    Slider("inputs", "S, inputs", INPUTS),
    Slider("labels", "A, labels", LABELS),
    Slider("n", "n, pairs of a transfer set", SAMPLES),
    Slider("tv", "total variation to plan for", DISTANCES),
    Slider("query_price", "price of a query", PRICES),
    Slider("entry_price", "price of a revealed log-probability", PRICES),
)
_OF_LIMITS, _OF_PLAN = ("inputs", "labels", "n"), ("tv", "query_price", "entry_price")


def explorer(prefix: str) -> Any:
    """Return the Dash application under a path.

    Parameters
    ----------
    prefix : str
        Path of the page, "/.../".
    """
    from dash import Dash

    app = Dash(
        "kt_theory",
        assets_folder=str(Path(__file__).parent / "assets"),
        routes_pathname_prefix=prefix,
        requests_pathname_prefix=prefix,
        index_string=_INDEX,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
        title="kt_theory explorer",
        update_title="",
        add_log_handler=False,
        serve_locally=True,
        compress=False,
        enable_mcp=False,
    )
    app.layout = layout(State())
    # The browser takes a second to load the page: what its first answer needs loads meanwhile.
    _connect(app, Desk([Question(questions.load, ()), questions.limit_asked(State())]))
    return app


def layout(state: State) -> Any:
    """Return the page before anything is moved."""
    from dash import dcc, html

    return html.Main(
        [
            html.H1("What a copy costs"),
            html.P(
                "A student sees n pairs (input, label) of a teacher, and what the access level "
                "reveals. Risk is the mean total variation between student and teacher, in [0, 1]."
            ),
            _section(
                "limits",
                "Limits: the worst teacher of a size",
                [
                    *_sliders(state, _OF_LIMITS),
                    _choice("level", "access level: what one query reveals", LEVELS),
                ],
                [_graph("limits-figure", "limits over n"), _note(_BANDS)],
            ),
            _section(
                "plan",
                "Plan: how many queries suffice",
                _sliders(state, _OF_PLAN),
                [html.Div(id="plan-table", className="scroll")],
            ),
            _section(
                "transfer",
                "One teacher, one transfer set",
                [_choice("family", "teacher", FAMILIES), _buttons()],
                [
                    html.Div(id="copies-table", className="scroll"),
                    _graph("risks-figure", "risks of students on this teacher over n"),
                    _note(_POINTS),
                    html.Div(id="counts-table", className="scroll"),
                    _note(_COUNTS),
                ],
            ),
            dcc.Store(id="steps", data={"seed": state.seed, "sizes": []}),
            dcc.Interval(id="levels-clock", interval=_POLL, disabled=True),
            dcc.Interval(id="teacher-clock", interval=_POLL, disabled=True),
        ]
    )


_BANDS = (
    "Between the edges of a band lies the least worst-case risk of any student. Dashed upright: n. "
    "Tap a name to hide it."
)
_POINTS = (
    "Lines: mean over transfer sets. Points: the copies of this transfer set after each step; an "
    "arrow at the floor is a copy that is off by less than 10^-6, or not at all."
)
_COUNTS = "How often each label was sampled, and in brackets the teacher's probability."


def _section(name: str, title: str, controls: list[Any], shown: list[Any]) -> Any:
    from dash import html

    polite: dict[str, Any] = {"aria-live": "polite"}
    named: dict[str, Any] = {"aria-labelledby": f"{name}-title"}
    said = html.P(id=f"{name}-words", className="answer", **polite)
    status = html.P(id=f"{name}-status", className="note", role="status")
    return html.Section(
        [
            html.H2(title, id=f"{name}-title"),
            html.Div(controls, className="controls"),
            said,
            status,
            *shown,
        ],
        **named,
    )


def _sliders(state: State, fields: tuple[str, ...]) -> list[Any]:
    from dash import dcc, html

    found = []
    for slider in SLIDERS:
        if slider.field in fields:
            place, last = slider.stops.index(getattr(state, slider.field)), len(slider.stops) - 1
            shown = html.Output(id=f"{slider.field}-value", htmlFor=slider.field)
            moved: dict[str, Any] = {
                "type": "range",
                "min": 0,
                "max": last,
                "step": 1,
                "value": place,
            }
            label = html.Label([f"{slider.name}: ", shown], htmlFor=slider.field)
            found.append(html.Div([label, dcc.Input(id=slider.field, **moved)], className="slider"))
    return found


def _choice(name: str, title: str, options: dict[str, str]) -> Any:
    from dash import dcc, html

    items = [{"label": f"{key}: {text}", "value": key} for key, text in options.items()]
    first = getattr(State(), name)
    return html.Fieldset(
        [html.Legend(title), dcc.RadioItems(items, first, id=name, className="choices")]
    )


def _buttons() -> Any:
    from dash import html

    names = {"sample": "Sample the next n pairs", "again": "Start again"}
    names["another"] = "Another teacher"
    buttons = [html.Button(title, id=name) for name, title in names.items()]
    return html.Div(buttons, className="buttons")


def _graph(name: str, title: str) -> Any:
    from dash import dcc, html

    config: Any = {"displaylogo": False, "displayModeBar": False, "responsive": True}
    graph = dcc.Graph(id=name, config=config, responsive=True)
    named: dict[str, Any] = {"aria-label": title}
    return html.Div(graph, className="figure", role="img", **named)


def _note(text: str) -> Any:
    from dash import html

    return html.P(text, className="note")


def table(rows: answers.Table) -> Any:
    """Return a table of texts, whose first row is the header and first column names the rows."""
    from dash import html

    head, *body = rows
    lines = [
        html.Tr([html.Th(row[0], scope="row"), *(html.Td(cell) for cell in row[1:])])
        for row in body
    ]
    top = html.Tr([html.Th(name, scope="col") for name in head])
    return html.Table([html.Thead(top), html.Tbody(lines)])


def _connect(app: Any, desk: Desk) -> None:
    """Let every answer follow what it depends on."""
    _show_values(app)
    _step(app)
    size = ("inputs", "labels", "level")
    _answer(app, ("levels", (*size, "n", *_OF_PLAN)), _LEVELS_SHOWN, partial(_levels, desk))
    _answer(app, ("teacher", (*size, "family", "steps")), _TEACHER_SHOWN, partial(_teacher, desk))


_LEVELS_SHOWN = (
    ("limits-words", "children"),
    ("limits-status", "children"),
    ("limits-figure", "figure"),
    ("plan-words", "children"),
    ("plan-status", "children"),
    ("plan-table", "children"),
)
_TEACHER_SHOWN = (
    ("transfer-words", "children"),
    ("transfer-status", "children"),
    ("copies-table", "children"),
    ("risks-figure", "figure"),
    ("counts-table", "children"),
)
"""What an answer fills."""


def _answer(
    app: Any,
    asked: tuple[str, tuple[str, ...]],
    shown: tuple[tuple[str, str], ...],
    answer: Callable[[State], tuple[list[Any], bool]],
) -> None:
    """Let an answer follow the fields of the state, and its clock while it is not complete."""
    from dash import Input, Output

    name, fields = asked
    moved = [Input(field, "data" if field == "steps" else "value") for field in fields]

    @app.callback(
        Output(f"{name}-clock", "disabled"),
        *(Output(part, what) for part, what in shown),
        *moved,
        Input(f"{name}-clock", "n_intervals"),
    )
    def follow(*values: Any) -> Any:
        found, complete = answer(state_of(dict(zip(fields, values[:-1], strict=True))))
        return complete, *found


def state_of(given: dict[str, Any]) -> State:
    """Return the state of what stands on the page, by the field it sets."""
    stops = {slider.field: slider.stops for slider in SLIDERS}
    found: dict[str, Any] = {}
    for field, value in given.items():
        if field == "steps":
            found |= {"seed": int(value["seed"]), "steps": tuple(map(int, value["sizes"]))}
        else:
            found[field] = stops[field][int(value)] if field in stops else value
    return State(**found)


def _levels(desk: Desk, state: State) -> tuple[list[Any], bool]:
    """Return what `_LEVELS_SHOWN` names, and whether it is complete."""
    lanes = questions.levels_asked(state)
    known = desk.ask(lanes, [questions.limit_asked(state)])
    shown = [
        answers.limit_words(state, known),
        answers.limits_status(state, known),
        drawing.limits_figure(state, answers.limits_known(state, known)),
        answers.plan_words(state, known),
        answers.plan_status(state, known),
        table(answers.plan_table(state, known)),
    ]
    return shown, _complete(known, lanes)


def _teacher(desk: Desk, state: State) -> tuple[list[Any], bool]:
    """Return what `_TEACHER_SHOWN` names, and whether it is complete."""
    curves = questions.curves_asked(state)
    lanes = {f"curve of {name}": [each] for name, each in curves.items()}
    lanes["copies"] = questions.copies_asked(state)
    known = desk.ask(lanes, lanes["copies"][-1:])
    copies, risks = answers.copies_known(state, known), answers.curves_known(state, known)
    shown = [
        answers.transfer_words(state),
        answers.transfer_status(state, known),
        table(answers.copies_table(state, known)),
        drawing.risks_figure(state, risks, copies),
        table(answers.counts_table(state)),
    ]
    return shown, _complete(known, lanes)


def _complete(known: answers.Known, lanes: dict[str, list[Question]]) -> bool:
    return all(each in known for asked in lanes.values() for each in asked)


def _show_values(app: Any) -> None:
    """Let every slider say where it stands."""
    from dash import Input, Output

    @app.callback(
        [Output(f"{slider.field}-value", "children") for slider in SLIDERS],
        [Input(slider.field, "value") for slider in SLIDERS],
    )
    def say(*places: Any) -> list[str]:
        pairs = zip(SLIDERS, places, strict=True)
        return [f"{slider.stops[int(place)]:,}" for slider, place in pairs]


def _step(app: Any) -> None:
    """Let the buttons sample more pairs, start again and draw another teacher; a teacher of another
    size or family has no pairs yet.
    """
    from dash import Input, Output, State, ctx

    @app.callback(
        Output("steps", "data"),
        [Input(name, "n_clicks") for name in ("sample", "again", "another")],
        [Input(name, "value") for name in ("inputs", "labels", "family")],
        State("n", "value"),
        State("steps", "data"),
        prevent_initial_call=True,
    )
    def step(*given: Any) -> dict[str, Any]:
        place, held = given[-2:]
        if ctx.triggered_id == "another":
            return {"seed": held["seed"] + 1, "sizes": []}
        if ctx.triggered_id != "sample":
            return {"seed": held["seed"], "sizes": []}
        sizes = [*held["sizes"], SAMPLES[int(place)]]
        return held if sum(sizes) > MOST_PAIRS else {"seed": held["seed"], "sizes": sizes}
