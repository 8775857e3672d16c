"""What vLLM, SGLang, llama.cpp and Gemini return in their own formats."""

from __future__ import annotations

import math
from functools import cache, lru_cache
from typing import Any, NamedTuple

from kt_theory.transfer.account import Skip
from kt_theory.transfer.answers import (
    CENSORED,
    UNSTATED,
    Answer,
    Key,
    Reading,
    asked,
    each_once,
    failed,
    finished,
    log_probability,
    malformed,
    probability,
    shared_out,
    token_key,
    want,
)
from kt_theory.transfer.openai import body_of, each_choice, first_choice
from kt_theory.transfer.reasoning import beside, spoken, thought_before, tokens_counted
from kt_theory.transfer.sampling import Origin, origin_of
from kt_theory.transfer.steps import Entry, Steps, labelled, tell_unshown, token_id


def is_vllm(body: dict[str, Any], doc: dict[str, Any]) -> bool:
    """vLLM's own outputs, or a prompt that it scored; a chat that was answered is one of OpenAI's."""
    if "outputs" in body:
        return True
    choice = first_choice(body)
    # vLLM writes the field into every answer, null where it was not asked for.
    if not (body.get("prompt_logprobs") or choice.get("prompt_logprobs")) or choice.get("logprobs"):
        return False
    message = choice.get("message")
    return not (isinstance(message, dict) and message.get("content"))


def vllm(doc: dict[str, Any], reading: Reading) -> list[Answer]:
    """vLLM's RequestOutput: outputs[].logprobs[] keyed by token id, or, where nothing was generated, prompt_logprobs.

    A record that holds `prompt_logprobs` alone scores its prompt: its last token is the label that was asked about, not
    one that was sampled, so the record states probabilities only.
    """
    failed(doc)
    body = body_of(doc)
    if body.get("finished") is False:
        raise Skip("no label", "the output is not finished: it is one on the way, of a stream")
    # Ids of the prompt stand in for its text only where no request is at hand.
    alone = "prompt" in doc or ("request" in doc and "prompt" not in body)
    question = asked(doc if alone or reading.input else {**doc, **body}, reading)
    origin = origin_of((doc.get("request"), doc.get("sampling_params")), (body, doc))
    outputs = want(body.get("outputs") or body.get("choices") or [], list, "outputs")
    if "choices" in body and len({id(one) for one in shared_out(doc, len(outputs))}) > 1:
        raise malformed("several prompts in one request that scores them: ask each on its own")
    # The completions endpoint puts the scores of the prompt beside the choice.
    scored = next((place["prompt_logprobs"] for place in (body, *outputs) if _scores(place)), None)
    answers = []
    for output in outputs:
        finished(want(output, dict, "output").get("finish_reason"))
        listed, text = output.get("logprobs"), output.get("text")
        thought = beside(output) or thought_before(body, (doc.get("request"), doc))
        if listed:
            answers.append(labelled(question, text, _ById.of(output, listed, reading), thought, origin, reading))
        elif isinstance(text, str) and text and not scored:
            answers.append(labelled(question, text, None, thought, origin, reading))
    if answers:
        return answers
    if not scored or want(scored, list, "prompt_logprobs")[-1] is None:
        raise Skip("no label", "no token was generated and none of the prompt is scored")
    stated = each_once(_by_id(scored[-1], reading))
    return [Answer(_before_last(question, body, stated, reading), None, stated, origin)]


def _before_last(question: str, body: dict[str, Any], stated: dict[Key, float], reading: Reading) -> str:
    """What was asked where a prompt was scored: the prompt without the label at its end, if that can be told."""
    ids = body.get("prompt_token_ids")
    last = ids[-1] if isinstance(ids, list) and ids else None
    text = reading.texts.get(last, "") if isinstance(last, int) and last in stated else ""
    if reading.input is None and text and question.endswith(text) and question != text:
        return question.removesuffix(text)
    return question


def _scores(place: Any) -> bool:
    return isinstance(place, dict) and bool(place.get("prompt_logprobs"))


class _ById(NamedTuple):
    """Tokens as vLLM lists them: ids, and for each an object from token id to what is stated."""

    ids: list[Any]
    rows: list[Any]
    reading: Reading

    @classmethod
    def of(cls, output: dict[str, Any], listed: Any, reading: Reading) -> _ById:
        ids = want(output.get("token_ids"), list, "token_ids")
        rows = want(listed, list, "logprobs")
        if not ids or len(ids) < len(rows):
            raise malformed(f"{len(ids)} token_ids, {len(rows)} logprobs: each needs its token")
        return cls(ids, rows, reading)

    def size(self) -> int:
        return len(self.rows)

    def text(self, position: int) -> str:
        stated = want(self.rows[position], dict, "logprobs").get(str(self.ids[position]))
        found = stated.get("decoded_token") if isinstance(stated, dict) else None
        return found if isinstance(found, str) else ""

    def values(self) -> list[Any]:
        pairs = zip(self.rows, self.ids, strict=False)
        return [_value(want(row, dict, "logprobs").get(str(number))) for row, number in pairs]

    def at(self, position: int) -> tuple[Key, float, list[Entry]]:
        entries = _by_id(self.rows[position], self.reading)
        key = token_key(None, None, self.ids[position])
        return key, dict(entries).get(key, UNSTATED), entries


def _by_id(row: Any, reading: Reading) -> list[tuple[Key, float]]:
    """The entries of a dict from token id to {logprob, rank, decoded_token}, or to a bare log-probability."""
    entries: list[tuple[Key, float]] = []
    texts = reading.texts
    for name, stated in want(row, dict, "logprobs").items():
        number = _token_id(name)
        if type(stated) is dict:
            if number not in texts and type(stated.get("decoded_token")) is str:
                texts[number] = stated["decoded_token"]
            stated = stated.get("logprob")
        entries.append((number, log_probability(stated)))
    return entries


_token_id = lru_cache(maxsize=1 << 17)(token_id)


def _value(stated: Any) -> Any:
    return stated.get("logprob") if isinstance(stated, dict) else stated


def is_sglang(body: dict[str, Any], doc: dict[str, Any]) -> bool:
    """SGLang tells of an answer in `meta_info`."""
    return "meta_info" in body


def sglang(doc: dict[str, Any], reading: Reading) -> list[Answer]:
    """SGLang: meta_info.output_token_logprobs and output_top_logprobs of (log-probability, token id, text)."""
    failed(doc)
    body = body_of(doc)
    alone = body is doc or reading.input or type(doc.get("request")) is dict
    question = asked(doc if alone else {**body, **doc}, reading)
    meta = want(body.get("meta_info"), dict, "meta_info")
    finished(meta.get("finish_reason"))
    requests = (doc.get("request"), doc.get("sampling_params"))
    origin = origin_of(requests, (body, doc))
    thought = beside(body) or thought_before(meta, (*requests, doc))
    tokens = meta.get("output_token_logprobs")
    steps = _Triples(want(tokens, list, "output_token_logprobs"), meta, reading) if tokens else None
    answer = labelled(question, body.get("text"), steps, thought, origin, reading)
    tell_unshown(meta.get("completion_tokens"), lambda: [(body.get("text"), steps)], [answer], reading)
    return [answer]


class _Triples(NamedTuple):
    """Tokens as SGLang lists them: [logprob, token id, text]."""

    tokens: list[Any]
    meta: dict[str, Any]
    reading: Reading

    def size(self) -> int:
        return len(self.tokens)

    def text(self, position: int) -> str:
        token = self.tokens[position]
        found = token[-1] if type(token) is list and token else None
        return found if type(found) is str else ""

    def values(self) -> list[Any]:
        return [_triple(token)[0] for token in self.tokens]

    def at(self, position: int) -> tuple[Key, float, list[Entry]]:
        triples = [self.tokens[position], *self._beside("output_top_logprobs", position)]
        if "output_token_ids_logprobs" in self.meta:
            # Labels that the request named by their ids, whatever their rank.
            triples += self._beside("output_token_ids_logprobs", position)
        (key, value), *entries = _from_triples(triples, self.reading)
        return key, value, entries

    def _beside(self, name: str, position: int) -> list[Any]:
        rows = self.meta.get(name)
        if not rows or position >= len(want(rows, list, name)):
            return []
        row = rows[position]
        return want(row, list, f"{name}[]") if row else []


def _triple(entry: Any) -> list[Any]:
    """What an entry holds, None in place of a text that is not sent."""
    if not isinstance(entry, list) or len(entry) not in (2, 3):
        raise malformed("an entry of output_token_logprobs must be [logprob, token id, text]")
    return entry if len(entry) == 3 else [*entry, None]


def _from_triples(triples: list[Any], reading: Reading) -> list[Entry]:
    texts = reading.texts
    found: list[Entry] = []
    for entry in triples:
        value, number, text = entry if type(entry) is list and len(entry) == 3 else _triple(entry)
        if type(number) is not int or number not in texts:
            number = token_key(text, None, want(number, int, "token id"), texts)
        if type(value) is not float or not CENSORED < value <= 0.0:
            value = log_probability(value)
        found.append((number, value))
    return found


def is_llama_cpp(body: dict[str, Any], doc: dict[str, Any]) -> bool:
    """llama.cpp's own endpoint lists `completion_probabilities`, or its settings beside the content."""
    return "completion_probabilities" in body or ("content" in body and "generation_settings" in body)


def llama_cpp(doc: dict[str, Any], reading: Reading) -> list[Answer]:
    """llama.cpp: completion_probabilities[] of {id, token, bytes, logprob, top_logprobs}, or of prob and top_probs.

    Older servers send {content, probs: [{tok_str, prob}]}.
    """
    failed(doc)
    body = body_of(doc)
    question = asked(doc if "prompt" in doc or reading.input else {**body, **doc}, reading)
    requests = (doc.get("request"),)
    origin = origin_of(requests, (body, doc))
    tokens = body.get("completion_probabilities")
    steps = _Llama(want(tokens, list, "completion_probabilities"), reading) if tokens else None
    thought = beside(body) or thought_before(body, (*requests, doc))
    answer = labelled(question, body.get("content"), steps, thought, origin, reading)
    tell_unshown(body.get("tokens_predicted"), lambda: [(body.get("content"), steps)], [answer], reading)
    return [answer]


class _Llama(NamedTuple):
    """Tokens as llama.cpp lists them."""

    tokens: list[Any]
    reading: Reading

    def size(self) -> int:
        return len(self.tokens)

    def text(self, position: int) -> str:
        found = _llama_text(want(self.tokens[position], dict, "completion_probabilities[]"))
        return found if type(found) is str else ""

    def values(self) -> list[Any]:
        return [_stated(token) for token in self.tokens]

    def at(self, position: int) -> tuple[Key, float, list[Entry]]:
        token = want(self.tokens[position], dict, "completion_probabilities[]")
        listed = token.get("top_logprobs", token.get("top_probs", token.get("probs"))) or []
        entries = [(_llama_key(e, self.reading), _stated(e)) for e in want(listed, list, "top_logprobs")]
        key = _llama_key(token, self.reading)
        own = _stated(token) if "logprob" in token or "prob" in token else dict(entries).get(key, UNSTATED)
        return key, own, entries


def _llama_text(place: dict[str, Any]) -> Any:
    return place.get("token", place.get("tok_str", place.get("content")))


def _llama_key(entry: Any, reading: Reading) -> Key:
    place = want(entry, dict, "entry")
    return token_key(_llama_text(place), place.get("bytes"), place.get("id"), reading.texts)


def _stated(entry: Any) -> float:
    """The log-probability that an entry states, as `logprob` or as `prob`."""
    place = want(entry, dict, "entry")
    if "logprob" in place:
        # The server writes null for -inf.
        return math.nan if place["logprob"] is None else log_probability(place["logprob"])
    return probability(place.get("prob"))


def is_gemini(body: dict[str, Any], doc: dict[str, Any]) -> bool:
    """Gemini returns candidates, or why there are none."""
    return "candidates" in body or "promptFeedback" in body or "prompt_feedback" in body


def gemini(doc: dict[str, Any], reading: Reading) -> list[Answer]:
    """Gemini: candidates[].logprobsResult.chosenCandidates[] and topCandidates[].candidates[].

    Parts that are thoughts are no answer; where there are some, or `thoughtsTokenCount` counts some, the label alone
    counts.
    """
    failed(doc)
    body = body_of(doc)
    feedback = body.get("promptFeedback", body.get("prompt_feedback"))
    if isinstance(feedback, dict) and _either(feedback, "blockReason") not in (None, "BLOCK_REASON_UNSPECIFIED"):
        raise Skip("refused", f"block reason {_either(feedback, 'blockReason')}")
    question = asked(doc, reading)
    requests = (doc.get("request"), doc.get("config"))
    origin = origin_of(requests, (body, doc))
    thought = thought_before(body, (*requests, doc))
    candidates = want(body.get("candidates"), list, "candidates")
    answers = each_choice(
        candidates, lambda each: _gemini_candidate(each, question, thought, origin, reading), "candidate"
    )
    tell_unshown(tokens_counted(body), lambda: [_gemini_shown(each, reading) for each in candidates], answers, reading)
    return answers


def _either(place: dict[str, Any], name: str) -> Any:
    """A field in camelCase, as REST sends it, or in snake_case, as the Python client dumps it."""
    return place[name] if name in place else place.get(_snake(name))


@cache
def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def _gemini_shown(candidate: dict[str, Any], reading: Reading) -> tuple[Any, Steps | None]:
    content, result = candidate.get("content"), _either(candidate, "logprobsResult")
    text = spoken(content.get("parts"))[0] if isinstance(content, dict) else None
    return text, _Chosen.of(result, reading) if isinstance(result, dict) else None


def _gemini_candidate(
    candidate: dict[str, Any], question: str, thought: bool, origin: Origin, reading: Reading
) -> Answer:
    reason = _either(candidate, "finishReason")
    # The Python client of old dumps enumerations as their numbers.
    finished(_REASONS.get(reason, reason) if isinstance(reason, int) else reason)
    result = _either(candidate, "logprobsResult")
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    text, inside = spoken(want(parts or [], list, "parts"))
    if any([type(part) is dict and _either(part, "functionCall") is not None for part in parts or []]):
        raise Skip("no label", "the answer calls a tool")
    steps = _Chosen.of(result, reading) if isinstance(result, dict) else None
    return labelled(question, text or None, steps, thought or inside, origin, reading)


class _Chosen(NamedTuple):
    """Tokens as Gemini lists them: those chosen, and for each the most probable."""

    chosen: list[Any]
    tops: list[Any]
    reading: Reading

    @classmethod
    def of(cls, result: dict[str, Any], reading: Reading) -> _Chosen | None:
        chosen = want(_either(result, "chosenCandidates") or [], list, "chosenCandidates")
        if not chosen:
            return None
        return cls(chosen, want(_either(result, "topCandidates") or [], list, "topCandidates"), reading)

    def size(self) -> int:
        return len(self.chosen)

    def text(self, position: int) -> str:
        found = want(self.chosen[position], dict, "candidate").get("token")
        return found if type(found) is str else ""

    def values(self) -> list[Any]:
        return [_gemini_stated(want(token, dict, "candidate")) for token in self.chosen]

    def at(self, position: int) -> tuple[Key, float, list[Entry]]:
        top = self.tops[position] if position < len(self.tops) else {}
        listed = want(want(top, dict, "topCandidates[]").get("candidates") or [], list, "topCandidates[].candidates")
        key, own = _gemini_entry(self.chosen[position], self.reading)
        return key, own, [_gemini_entry(entry, self.reading) for entry in listed]


def _gemini_stated(place: dict[str, Any]) -> Any:
    # Zero values are left out of the JSON: a token without logProbability is certain.
    stated = _either(place, "logProbability")
    return 0.0 if stated is None else stated


_REASONS = {0: None, 1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION"}


def _gemini_entry(entry: Any, reading: Reading) -> tuple[Key, float]:
    place = want(entry, dict, "candidate")
    number, text, stated = place.get("tokenId"), place.get("token"), place.get("logProbability")
    if type(number) is int and type(text) is str and type(stated) is float and CENSORED < stated <= 0.0:
        if number not in reading.texts:
            reading.texts[number] = text
        return number, stated
    key = token_key(text, None, _either(place, "tokenId"), reading.texts)
    return key, log_probability(_gemini_stated(place))
