"""How labels were drawn: from the teacher's own distribution, or from one that settings of the request had changed.

Settings stand in requests, in `extra_body`, in vLLM's `sampling_params`, llama.cpp's `generation_settings`, Gemini's
`generationConfig`, Ollama's `options`, TGI's `parameters`; as JSON, and as text in the cells of a table. Names are
compared without case, `_` and `-`: `topP`, `top_p` and `TOP-P` are one setting.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

Place = dict[str, Any]


class Origin(NamedTuple):
    """Where a label comes from, as far as its record says.

    Attributes
    ----------
    changed : str
        The first setting under which labels do not follow the stated probabilities, such as "temperature = 0";
        empty if there is none.
    said : bool
        The temperature is stated.
    unknown : tuple of str
        Settings of the request that are neither known to change the draw nor known to leave it alone.
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
        Places that hold settings, and nothing else than a request does: what is not known there is reported.
    answers : tuple
        Bodies of answers, and plain records: only names that mean a setting wherever they stand count.
    """
    asked = answered = NOTHING_SAID
    for place in requests:
        if type(place) is dict and place:
            found = _look(place, True, "")
            asked = found if asked is NOTHING_SAID else _both(asked, found)
    last = None
    for place in answers:
        # A bare response is its own record: the same place is not looked at twice.
        if type(place) is dict and place and place is not last:
            last = place
            found = _look(place, False, "")
            answered = found if answered is NOTHING_SAID else _both(answered, found)
    if answered is NOTHING_SAID:
        return asked
    if asked is NOTHING_SAID:
        return answered
    # The answer's own name of the model is the exact one.
    return _both(asked, answered)._replace(model=answered.model or asked.model)


def _look(place: Place, strict: bool, path: str) -> Origin:
    """Return what the settings of one place say."""
    plan = _settings(tuple(place), strict)
    found = NOTHING_SAID
    if plan.names:
        values = tuple([place[name] for name in plan.names])
        found = plan.judged(values, path)
    for name, sure in plan.holders:
        inner = place[name]
        if type(inner) is str:
            inner = _place_in(inner)
            if inner is None and sure:
                found = _both(found, Origin(changed=f"{path}{name} = {_shown(place[name])}, which cannot be read"))
        if type(inner) is dict and inner:
            found = _both(found, _look(inner, strict or sure, f"{path}{name}."))
    return found


@lru_cache(maxsize=1024)
def _place_in(text: str) -> Place | None:
    """The settings in a text: JSON, a Python dict, or what Python prints of an object; None if it is none of these."""
    stripped = text.strip()
    if stripped in _WORDS or not stripped:
        return {}
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(stripped)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return found if isinstance(found, dict) else None
    if _PRINTED.fullmatch(stripped) is None:
        return None
    return {name: value.strip().strip("'\"") for name, value in _PAIRS.findall(stripped)}


_PRINTED = re.compile(r"\w+\([^()]*(?:\([^()]*\)[^()]*)*\)")
_PAIRS = re.compile(r"(\w+)=([^,()\[\]{}]+|\[[^\[\]]*\]|\{[^{}]*\})")


def _both(one: Origin, other: Origin) -> Origin:
    """Return what two places say, the first of them first."""
    if other is NOTHING_SAID:
        return one
    if one is NOTHING_SAID:
        return other
    return Origin(
        one.changed or other.changed,
        one.said or other.said,
        one.unknown + other.unknown,
        one.seed or other.seed,
        one.model or other.model,
    )


def _judge(names: Sequence[str], canonicals: Sequence[str], values: tuple[Any, ...], path: str) -> Origin:
    """Return what settings say, given their names and canonical forms, and their values."""
    changed = seed = model = ""
    said = False
    unknown: tuple[str, ...] = ()
    place = dict(zip(canonicals, values, strict=True))
    for name, canonical, value in zip(names, canonicals, values, strict=True):
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
        elif canonical not in _PLAIN:
            unknown += (f"{path}{name}",)
        else:
            said = said or canonical == "temperature"
            if not changed and not _PLAIN[canonical](_value(value), place):
                changed = f"{path}{name} = {_shown(value)}"
    return Origin(changed, said, unknown, seed, model)


class _Plan:
    """What to look at in a place of given names: settings, and what holds some, surely or not."""

    def __init__(self, settings: list[tuple[str, str]], holders: list[tuple[str, bool]]) -> None:
        self.names = [name for name, _ in settings]
        self.canonicals = [canonical for _, canonical in settings]
        self.holders = holders
        self._known: dict[Any, Origin] = {}

    def judged(self, values: tuple[Any, ...], path: str) -> Origin:
        """Return what values of the settings say. Most requests of a file have the same."""
        try:
            found = self._known.get((path, values))
        except TypeError:
            return _judge(self.names, self.canonicals, values, path)
        if found is None:
            found = _judge(self.names, self.canonicals, values, path)
            if len(self._known) < _KEPT:
                self._known[path, values] = found
        return found


_KEPT = 4096


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


_WORDS: dict[str, Any] = {"": None, "null": None, "none": None, "true": True, "false": False, "{}": None, "[]": None}


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= 40 else f"{text[:37]}..."


@lru_cache(maxsize=4096)
def _settings(names: tuple[str, ...], strict: bool) -> _Plan:
    """Which of the names of a place are settings, each with its canonical form, and which hold settings, surely or not.

    Where `strict`, names that are not known count as settings too.
    """
    settings, holders = [], []
    # A record that holds messages is a request too.
    request = strict or "messages" in names or "contents" in names
    for name in names:
        canonical = _canonical_of(name)
        if canonical in _HOLDERS or canonical in _LIKE_HOLDERS:
            holders.append((name, canonical in _HOLDERS))
        elif canonical in _MODELS or canonical in _SEEDS:
            settings.append((name, canonical))
        elif canonical in _PLAIN:
            if request or canonical not in _WORDS_OF_OTHER_MEANING:
                settings.append((name, canonical))
        elif strict and canonical not in _HARMLESS:
            settings.append((name, canonical))
    return _Plan(settings, holders)


def _canonical_of(name: str) -> str:
    """The canonical form of a name, or of its last part where tables have made names such as request.temperature."""
    head, dot, last = name.rpartition(".") if isinstance(name, str) else ("", "", "")
    if not dot or canonical_name(head.rpartition(".")[2]) not in _HOLDERS | _LIKE_HOLDERS | {"request", "response"}:
        return canonical_name(name)
    setting = canonical_name(last) in _PLAIN or canonical_name(last) in _SEEDS
    return canonical_name(last if setting else name)


@lru_cache(maxsize=4096)
def canonical_name(name: str) -> str:
    """Return a setting's name without case, `_`, `-` and `.`."""
    return name.lower().replace("_", "").replace("-", "").replace(".", "") if isinstance(name, str) else ""


def says_something(names: tuple[str, ...]) -> bool:
    """Return whether a plain record with these fields may say how its label was drawn, or by which model."""
    plan = _settings(names, False)
    # A text named text is no setting.
    return any(canonical != "text" for canonical in plan.canonicals) or bool(plan.holders)


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


def _text_options(value: Any, _: Place) -> bool:
    """`text` of the Responses API: {"format": {"type": "text"}}; anything else by that name is a prompt."""
    if not isinstance(value, dict):
        return True
    return _text_format(value.get("format"), {})


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
    "text": _text_options,
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

_MODELS = frozenset({"model", "modelversion", "modelname", "modelid", "engine", "deployment", "deploymentname"})

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
    {"options", "parameters", "params", "config", "body", "kwargs", "extraargs", "settings", "metadata"}
)
"""What may hold settings."""

_NAMES = """
    messages prompt prompts input inputs inputids prompttokenids contents content query instructions system
    systeminstruction systemprompt developer conversation previousresponseid tools toolchoice toolconfig
    functions functioncall paralleltoolcalls modalities audio images image imagedata prediction documents
    template raw context chattemplate chattemplatekwargs addgenerationprompt continuefinalmessage
    addspecialtokens inputprefix inputsuffix promptcachekey promptcacheretention cachecontrol cachedcontent
    preamble chathistory message connectors citationoptions safetymode safetysettings suffix n candidatecount
    numreturnsequences maxtokens maxcompletiontokens maxnewtokens maxoutputtokens maxtokenstosample maxlength
    npredict numpredict stop stopsequences stoptokenids stopregex stopstrings eostokenid padtokenid bostokenid
    includestopstrinoutput skipspecialtokens spacesbetweenspecialtokens detokenize notrim logprobs toplogprobs
    responselogprobs promptlogprobs returnlogprob toplogprobsnum logprobstartlen tokenidslogprob
    returntextinlogprobs flatlogprobs logprobtokenids nprobs postsamplingprobs returntokens returntokenids
    returntokensastokenids topntokens details decoderinputdetails returnfulltext returndictingenerate
    outputscores outputlogits returnhiddenstates include echo truncate truncatepromptokens truncateprompttokens
    truncation stream streamoptions streaminterval outputkind background verbosity reasoning reasoningeffort
    thinking thinkingconfig thinkingbudget thinkingbudgettokens reasoningformat reasoningincontent
    thinkingforcedopen includereasoning separatereasoning think enablethinking budgettokens user store
    servicetier safetyidentifier priority timeout customid id index key url endpoint method headers extraheaders
    apikey apibase apiversion provider requestid rid cachesalt keepalive created createdat api type object name
    task taskid usecache waitformodel cacheprompt slotid idslot nkeep ndiscard nctx numctx numkeep numbatch
    numgpu maingpu numthread usemmap usemlock numa lowvram f16kv tmaxpredictms tmaxpromptms nindent minkeep
    samplers speculative speculativenmax speculativenmin speculativepmin speculativetype speculativengramsizen
    speculativengramsizem speculativengrammhits timingspertoken chatformat chatparser preservedtokens
    grammarlazy grammartriggers generationprompt returnprogress responsefields dynatempexponent xtcthreshold
    repeatlastn drybase dryallowedlength drypenaltylastn drysequencebreakers penaltylastn penalizenl
    penaltyprompt mirostattau mirostateta smoothingcurve temperaturelast dynatemplow dynatemphigh lengthpenalty
    earlystopping guideddecodingbackend guidedwhitespacepattern strict extraquery usage alltokenids bypassllm
    backendsampling tfsthreshold ignoreeosid
"""

_HARMLESS = frozenset(_NAMES.split())
"""Fields of requests that leave the draw of the first token alone, or that matter only beside a setting above.

In this order: what is asked, and of whom; how much is answered and told of it; thinking before the answer; who asks,
when and where; how the server computes, and what belongs to settings that have values of their own.
"""
