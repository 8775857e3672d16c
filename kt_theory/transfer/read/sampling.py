"""How labels were drawn: from the teacher's own distribution, or from one that settings of the
request had changed.

Settings stand in requests, in `extra_body`, in vLLM's `sampling_params`, llama.cpp's
`generation_settings`, Gemini's `generationConfig`, Ollama's `options`, TGI's `parameters`; as JSON,
and as text in the cells of a table. Names are compared without case, `_` and `-`: `topP`, `top_p`
and `TOP-P` are one setting.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

Place = dict[str, Any]


class Origin(NamedTuple):
    """Where a label comes from, as far as its record says.

    Attributes
    ----------
    changed : str
        The first setting under which labels do not follow the stated probabilities, such as
        "temperature = 0"; empty if there is none.
    said : bool
        The temperature is stated.
    unknown : tuple of str
        Settings of the request that are neither known to change the draw nor known to leave it
        alone.
    seed : str
        The seed of the draw, empty if there is none.
    model : str
        The teacher's name, empty if it is not stated.
    """

    changed: str = ""
    said: bool = False
    unknown: tuple[str, ...] = ()
    seed: str = ""
    model: str = ""


NOTHING_SAID = Origin()


def origin_of(requests: tuple[Any, ...], answers: tuple[Any, ...] = ()) -> Origin:
    """Return what requests and answers say of the draw.

    Parameters
    ----------
    requests : tuple
        Places that hold settings, and nothing else than a request does: what is not known there is
        reported.
    answers : tuple
        Bodies of answers, and plain records: only names that mean a setting wherever they stand
        count.
    """
    asked: list[_Seen] = []
    answered: list[_Seen] = []
    for place in requests:
        if type(place) is dict and place:
            _gather(place, True, "", asked)
    last = None
    for place in answers:
        # A bare response is its own record: the same place is not looked at twice.
        if type(place) is dict and place and place is not last:
            last = place
            _gather(place, False, "", answered)
            inner = place.get("request")
            if place is not answers[-1] and type(inner) is dict and inner:
                # The request of the record is among the requests.
                _gather(inner, False, "request.", answered)
    if not asked and not answered:
        return NOTHING_SAID
    try:
        return _judged(tuple(asked), tuple(answered))
    except TypeError:
        # Lists and objects cannot be looked up.
        return _judge_all(asked, answered)


def _gather(place: Place, strict: bool, path: str, seen: list[_Seen]) -> None:
    """Take down the values of all settings of a place, and of the places in it that hold some."""
    plan = _plan(tuple(place), strict, path)
    if plan.names:
        seen.append((plan, plan.values(place)))
    if not plan.holds:
        return
    for name in plan.asking:
        inner = place[name]
        if type(inner) is dict and holds_request(inner):
            _gather(inner, strict, f"{path}{name}.", seen)
    for name, sure in plan.holders:
        inner = place[name]
        if type(inner) is str:
            text, inner = inner, _place_in(inner)
            if inner is None and (sure or len(text) > MOST_WRITTEN):
                seen.append((_Plan(path, [name], [_UNREADABLE], [], []), text))
        if type(inner) is dict and inner:
            _gather(inner, strict or sure, f"{path}{name}.", seen)


@lru_cache(maxsize=1024)
def _place_in(text: str) -> Place | None:
    """The settings in a text: JSON, a Python dict, or what Python prints of an object; None if it
    is none of these.
    """
    if len(text) > MOST_WRITTEN:
        return None
    stripped = text.strip()
    if stripped in _WORDS or not stripped:
        return {}
    if stripped[0] == "{":
        for read in (json.loads, literal):
            try:
                found = read(stripped)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                continue
            return found if isinstance(found, dict) else None
    if _PRINTED.fullmatch(stripped) is None:
        return None
    return {name: value.strip().strip("'\"") for name, value in _PAIRS.findall(stripped)}


def literal(text: str) -> Any:
    """Return the value that a text is in Python.

    Raises
    ------
    ValueError, SyntaxError, MemoryError, RecursionError
        If it is none, or longer than `MOST_WRITTEN`.
    """
    if len(text) > MOST_WRITTEN:
        raise ValueError(f"more than {MOST_WRITTEN:,} letters")
    return ast.literal_eval(text)


MOST_WRITTEN = 1 << 20
"""Letters of settings, or of a value in Python: to parse one takes up to 500 bytes of memory."""

_PRINTED = re.compile(r"\w+\([^()]*(?:\([^()]*\)[^()]*)*\)")
_PAIRS = re.compile(r"\b(\w+)=([^,()\[\]{}]+|\[[^\[\]]*\]|\{[^{}]*\})")


class _Plan:
    """What to look at in a place of given names.

    Attributes
    ----------
    path : str
        The names of what holds the place, each with a dot behind it.
    names, canonicals : list of str
        Settings, and their canonical forms.
    holders : list of (str, bool)
        What holds settings, surely or perhaps.
    asking : list of str
        What holds some where it is an object that looks like a request.
    values : callable
        Returns the values of the settings of a place: a tuple, or the only one.
    holds : bool
        There are holders, or what perhaps asks.
    """

    def __init__(
        self,
        path: str,
        names: list[str],
        canonicals: list[str],
        holders: list[tuple[str, bool]],
        asking: list[str],
    ) -> None:
        self.path = path
        self.names = names
        self.canonicals = canonicals
        self.holders = holders
        self.asking = asking
        self.values: Callable[[Place], Any] = itemgetter(*names) if names else _no_values
        self.holds = bool(holders or asking)


def _no_values(_: Place) -> tuple[()]:
    return ()


_Seen = tuple[_Plan, Any]
"""Settings of a place, and their values."""


def _judge_all(asked: Sequence[_Seen], answered: Sequence[_Seen]) -> Origin:
    """Return what all places say, the first of them first."""
    asks, told = (
        _all_of([_judge(plan, found) for plan, found in seen]) for seen in (asked, answered)
    )
    # The answer's own name of the model is the exact one.
    return _all_of([asks, told])._replace(model=told.model or asks.model)


_judged = lru_cache(maxsize=4096)(_judge_all)
"""Most requests of a file have the same settings."""


def _all_of(found: list[Origin]) -> Origin:
    return Origin(
        next((each.changed for each in found if each.changed), ""),
        any(each.said for each in found),
        tuple([name for each in found for name in each.unknown]),
        next((each.seed for each in found if each.seed), ""),
        next((each.model for each in found if each.model), ""),
    )


def _judge(plan: _Plan, found: Any) -> Origin:
    """Return what the settings of a place say."""
    values = (found,) if len(plan.names) == 1 else found
    changed = seed = model = ""
    said = False
    unknown: tuple[str, ...] = ()
    place = dict(zip(plan.canonicals, values, strict=True))
    for name, canonical, value in zip(plan.names, plan.canonicals, values, strict=True):
        if value is None or (type(value) is float and not value > -1e300):
            # Missing numbers are NaN in tables.
            continue
        if canonical in _MODELS:
            named = value.get("name", value.get("id")) if isinstance(value, dict) else value
            if isinstance(named, str) and (canonical == "model" or not model):
                model = named
        elif canonical in _SEEDS:
            # -1 and 2^32 - 1 ask for a seed of the server's own choice.
            seed = seed or ("" if value in _NO_SEED else str(value))
        elif canonical == _UNREADABLE:
            changed = f"{plan.path}{name} = {_shown(value)}, which cannot be read"
        elif canonical not in _PLAIN:
            unknown += (f"{plan.path}{name}",)
        else:
            said = said or canonical == "temperature"
            if not changed and not _PLAIN[canonical](_value(value), place):
                changed = f"{plan.path}{name} = {_shown(value)}"
    return Origin(changed, said, unknown, seed, model)


_UNREADABLE = "in place of the canonical form"
"""Of what surely holds settings, as a text that is none of those which `_place_in` reads."""


def _value(value: Any) -> Any:
    """Text of a table's cell as the number or the word that it stands for."""
    if not isinstance(value, str):
        return value
    word = value.strip().lower()
    if word in _WORDS:
        return _WORDS[word]
    try:
        return float(word.replace(",", ".") if word.count(",") == 1 else word)
    except ValueError:
        return value


_WORDS: dict[str, Any] = {
    "": None,
    "null": None,
    "none": None,
    "true": True,
    "false": False,
    "{}": None,
    "[]": None,
}


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    text = " ".join(text[:1000].split())
    return text if len(text) <= 40 else f"{text[:37]}..."


@lru_cache(maxsize=4096)
def _plan(names: tuple[str, ...], strict: bool, path: str) -> _Plan:
    """Which of the names of a place are settings, and which hold some. Where `strict`, unknown
    names are settings.
    """
    settings, canonicals, holders, asking = [], [], [], []
    # A record that holds messages is a request too, and `text` of the Responses API is but part of
    # one.
    request = strict or "messages" in names or "contents" in names or path.endswith("text.")
    for name in names:
        canonical = _canonical_of(name)
        if canonical in _HOLDERS or _is_like_holder(canonical):
            holders.append((name, canonical in _HOLDERS))
        elif canonical in _ASKING and (path or canonical != "request"):
            # The request of a record is a place of its own.
            asking.append(name)
        elif canonical in _MODELS or canonical in _SEEDS or _is_setting(canonical, strict, request):
            settings.append(name)
            canonicals.append(canonical)
    return _Plan(path, settings, canonicals, holders, asking)


def _is_setting(canonical: str, strict: bool, request: bool) -> bool:
    if canonical in _PLAIN:
        return request or canonical not in _WORDS_OF_OTHER_MEANING
    return strict and canonical not in _HARMLESS


def may_hold_settings(name: str) -> bool:
    """Return whether a field of this name may hold settings, and may hold a text that is none."""
    return _is_like_holder(canonical_name(name))


def _is_like_holder(canonical: str) -> bool:
    return canonical in _LIKE_HOLDERS or (
        canonical.endswith(_ENDINGS) and canonical not in _HARMLESS
    )


def holds_request(place: Place) -> bool:
    """Return whether an object looks like a request, or like the options of its text."""
    return not _ASKED.isdisjoint(place)


_ASKED = frozenset(
    {"messages", "contents", "prompt", "input", "inputs", "sampling_params", "format"}
)
_ASKING = frozenset({"text", "input", "inputs", "prompt", "query", "payload", "data", "request"})
"""What holds settings where it is an object with one of `_ASKED`: elsewhere it is a text, or part
of a question.
"""


def _canonical_of(name: str) -> str:
    """The canonical form of a name, or of its last part where tables have made names such as
    request.temperature.
    """
    head, dot, last = name.rpartition(".") if isinstance(name, str) else ("", "", "")
    inside = canonical_name(head.rpartition(".")[2])
    if not dot or not (
        inside in _HOLDERS or _is_like_holder(inside) or inside in ("request", "response")
    ):
        return canonical_name(name)
    setting = canonical_name(last) in _PLAIN or canonical_name(last) in _SEEDS
    return canonical_name(last if setting else name)


@lru_cache(maxsize=4096)
def canonical_name(name: str) -> str:
    """Return a setting's name without case, `_`, `-` and `.`."""
    return (
        name.lower().replace("_", "").replace("-", "").replace(".", "")
        if isinstance(name, str)
        else ""
    )


def says_something(names: tuple[str, ...]) -> bool:
    """Return whether a plain record with these fields may say how its label was drawn, or by which
    model.
    """
    plan = _plan(names, False, "")
    return bool(plan.names or plan.holders)


Plain = Callable[[Any, Place], bool]
"""Whether a setting of that value, in that place, leaves the distribution as it is."""


def _is(*values: float) -> Plain:
    """A number among the values; what is no number cannot be judged."""

    def plain(value: Any, _: Place) -> bool:
        return value is None or (isinstance(value, (int, float)) and value in values)

    return plain


def _whatever(value: Any, _: Place) -> bool:
    """Looked at beside another setting alone."""
    return True


def _absent(value: Any, _: Place) -> bool:
    return value is None or value is False or value in (0, "", [], {})


def _true(value: Any, _: Place) -> bool:
    return value is None or value is True or value == 1


def _sampled(value: Any, _: Place) -> bool:
    return value in (None, "sample")


def _text_format(value: Any, _: Place) -> bool:
    """No format, or text without a form."""
    if isinstance(value, dict):
        value = value.get("type", value.get("format")) if value else None
        if isinstance(value, dict):
            value = value.get("type")
    return value is None or value is False or value in ("", "text", "text/plain")


def _best_of_all(value: Any, place: Place) -> bool:
    return not isinstance(value, (int, float)) or value <= max(1, _number(place.get("n")))


def _number(value: Any) -> float:
    return value if isinstance(value, (int, float)) else 1


_PLAIN: dict[str, Plain] = {
    "temperature": _is(1),
    "temp": _is(1),
    "greedy": _absent,
    "cachehit": _absent,
    "topp": _is(1),
    "nucleus": _is(1),
    "p": _is(1),
    "k": _is(0),
    "topk": _is(0, -1),
    "minp": _is(0),
    "topa": _is(0),
    "typicalp": _is(0, 1),
    "typical": _is(0, 1),
    "tfs": _is(1),
    "tfsz": _is(1),
    "mirostat": _is(0),
    "mirostatmode": _is(0),
    "dynatemprange": _is(0),
    "dynamictemperature": _absent,
    "smoothingfactor": _is(0),
    "xtcprobability": _is(0),
    "topnsigma": _is(0, -1),
    "drymultiplier": _is(0),
    "epsiloncutoff": _is(0),
    "etacutoff": _is(0),
    "penaltyalpha": _is(0),
    "repeatpenalty": _is(1),
    "repetitionpenalty": _is(1),
    "encoderrepetitionpenalty": _is(1),
    "presencepenalty": _is(0),
    "frequencypenalty": _is(0),
    "norepeatngramsize": _is(0),
    "guidancescale": _is(1),
    "cfgscale": _is(1),
    "logitbias": _absent,
    "badwords": _absent,
    "badwordsids": _absent,
    "suppresstokens": _absent,
    "beginsuppresstokens": _absent,
    "forcedbostokenid": _absent,
    "allowedtokenids": _absent,
    "sequencebias": _absent,
    "mintokens": _is(0),
    "minnewtokens": _is(0),
    "minlength": _is(0),
    "ignoreeos": _absent,
    "banseostoken": _absent,
    "watermark": _absent,
    "logitsprocessors": _absent,
    "bestof": _best_of_all,
    "n": _whatever,
    "usebeamsearch": _absent,
    "numbeams": _is(1),
    "beams": _is(1),
    "beamsize": _is(1),
    "beamwidth": _is(1),
    "nbest": _is(1),
    "dosample": _true,
    "decodingmethod": _sampled,
    "guidedjson": _absent,
    "guidedregex": _absent,
    "guidedchoice": _absent,
    "guidedgrammar": _absent,
    "guideddecoding": _absent,
    "guidedjsonobject": _absent,
    "structuredoutputs": _absent,
    "structuraltag": _absent,
    "responseformat": _text_format,
    "responsemimetype": _text_format,
    "responseschema": _absent,
    "responsejsonschema": _absent,
    "jsonschema": _absent,
    "outputformat": _text_format,
    "ebnf": _absent,
    "grammar": _absent,
    "regex": _absent,
    "choice": _absent,
    "format": _text_format,
    "json": _absent,
}
"""Settings that change the draw, and when they leave labels to follow the stated probabilities.

Penalties act on words of the prompt too; least lengths forbid the end of the answer.
"""

_WORDS_OF_OTHER_MEANING = frozenset(
    {
        "n",
        "p",
        "k",
        "temp",
        "greedy",
        "nucleus",
        "beams",
        "format",
        "regex",
        "grammar",
        "choice",
        "json",
        "watermark",
        "tfs",
        "typical",
        "responseschema",
        "nbest",
    }
)
"""What may stand in an answer or in a column of a table and mean something else."""

_MODELS = frozenset(
    {"model", "modelversion", "modelname", "modelid", "engine", "deployment", "deploymentname"}
)

_SEEDS = frozenset({"seed", "randomseed", "samplingseed"})

_NO_SEED = (-1, 4294967295, "-1", "4294967295", "", "null", "None")

_HOLDERS = frozenset(
    {
        "extrabody",
        "samplingparams",
        "samplingparameters",
        "generationsettings",
        "generationconfig",
        "generationkwargs",
        "genkwargs",
        "modelkwargs",
        "llmrequest",
        "requestbody",
        "requestparams",
        "modelparameters",
        "invocationparams",
        "inferenceconfig",
        "optionalparams",
        "defaultgenerationsettings",
    }
)
"""What holds settings wherever it stands."""

_LIKE_HOLDERS = frozenset(
    {"body", "metadata", "meta", "extra", "sampling", "decoding", "generation", "inference",
     "invocation", "llm", "hparams", "wrapper"}
)  # fmt: skip
_ENDINGS = (
    "params",
    "parameters",
    "config",
    "configuration",
    "settings",
    "options",
    "kwargs",
    "args",
    "arguments",
)
"""What may hold settings, and how the names of more of that end."""

_NAMES = """
    messages prompt prompts input inputs inputids prompttokenids contents content query instructions
    system systeminstruction systemprompt developer conversation previousresponseid tools toolchoice
    toolconfig functions functioncall paralleltoolcalls modalities audio images image imagedata
    prediction documents template raw context chattemplate chattemplatekwargs addgenerationprompt
    continuefinalmessage addspecialtokens inputprefix inputsuffix promptcachekey
    promptcacheretention cachecontrol cachedcontent preamble chathistory message connectors
    citationoptions safetymode safetysettings suffix n candidatecount numreturnsequences maxtokens
    maxcompletiontokens maxnewtokens maxoutputtokens maxtokenstosample maxlength npredict numpredict
    stop stopsequences stoptokenids stopregex stopstrings eostokenid padtokenid bostokenid
    includestopstrinoutput skipspecialtokens spacesbetweenspecialtokens detokenize notrim logprobs
    toplogprobs responselogprobs promptlogprobs returnlogprob toplogprobsnum logprobstartlen
    tokenidslogprob returntextinlogprobs flatlogprobs logprobtokenids nprobs postsamplingprobs
    returntokens returntokenids returntokensastokenids topntokens details decoderinputdetails
    returnfulltext returndictingenerate outputscores outputlogits returnhiddenstates include echo
    truncate truncatepromptokens truncateprompttokens truncation stream streamoptions streaminterval
    outputkind background verbosity reasoning reasoningeffort thinking thinkingconfig thinkingbudget
    thinkingbudgettokens reasoningformat reasoningincontent thinkingforcedopen includereasoning
    separatereasoning think enablethinking budgettokens user store servicetier safetyidentifier
    priority timeout customid id index key url endpoint method headers extraheaders apikey apibase
    apiversion provider requestid rid cachesalt keepalive created createdat api type object name
    task taskid usecache waitformodel cacheprompt slotid idslot nkeep ndiscard nctx numctx numkeep
    numbatch numgpu maingpu numthread usemmap usemlock numa lowvram f16kv tmaxpredictms tmaxpromptms
    nindent minkeep samplers speculative speculativenmax speculativenmin speculativepmin
    speculativetype speculativengramsizen speculativengramsizem speculativengrammhits
    timingspertoken chatformat chatparser preservedtokens grammarlazy grammartriggers
    generationprompt returnprogress responsefields dynatempexponent xtcthreshold repeatlastn drybase
    dryallowedlength drypenaltylastn drysequencebreakers penaltylastn penalizenl penaltyprompt
    mirostattau mirostateta smoothingcurve temperaturelast dynatemplow dynatemphigh lengthpenalty
    earlystopping guideddecodingbackend guidedwhitespacepattern strict extraquery usage alltokenids
    bypassllm backendsampling tfsthreshold ignoreeosid
"""

_HARMLESS = frozenset(_NAMES.split())
"""Fields of requests that leave the draw of the first token alone, or that matter only beside a
setting above.

In this order: what is asked, and of whom; how much is answered and told of it; thinking before the
answer; who asks, when and where; how the server computes, and what belongs to settings that have
values of their own.
"""
