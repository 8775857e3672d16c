"""What vLLM, SGLang, llama.cpp and Gemini return in their own formats."""

from __future__ import annotations

import math
from functools import cache, lru_cache
from typing import Any

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
    token_key,
    want,
    with_sampled,
)
from kt_theory.transfer.openai import whole_text
from kt_theory.transfer.sampling import Origin, origin_of


def vllm(doc: dict[str, Any], reading: Reading) -> list[Answer]:
    """vLLM's RequestOutput: outputs[].logprobs[] keyed by token id, or, where nothing was generated, prompt_logprobs.

    A record that holds `prompt_logprobs` alone scores its prompt: its last token is the label that was asked about, not
    one that was sampled, so the record states probabilities only.
    """
    failed(doc)
    body = doc.get("response", doc)
    want(body, dict, "response")
    question = asked(doc if "prompt" in doc or reading.input else {**doc, **body}, reading)
    origin = origin_of((doc.get("request"), doc.get("sampling_params")), (body, doc))
    outputs = want(body.get("outputs") or body.get("choices") or [], list, "outputs")
    # The completions endpoint puts the scores of the prompt beside the choice.
    scored = next((place["prompt_logprobs"] for place in (body, *outputs) if _scores(place)), None)
    answers = []
    for output in outputs:
        finished(want(output, dict, "output").get("finish_reason"))
        listed = output.get("logprobs")
        if listed:
            answers.append(_vllm_output(output, listed, question, origin, reading))
        elif isinstance(output.get("text"), str) and output["text"] and not scored:
            answers.append(Answer(question, output["text"], {}, origin, by_text=True))
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


def _vllm_output(output: dict[str, Any], listed: Any, question: Any, origin: Origin, reading: Reading) -> Answer:
    ids = want(output.get("token_ids"), list, "token_ids")
    rows = want(listed, list, "logprobs")
    if not ids or len(ids) < len(rows):
        raise malformed(f"{len(ids)} token_ids, {len(rows)} logprobs: each needs its token")
    if reading.label == "text":
        chosen = [_value(want(row, dict, "logprobs").get(str(number))) for row, number in zip(rows, ids, strict=False)]
        return whole_text(question, output.get("text"), chosen, origin)
    entries = _by_id(rows[0], reading)
    key = token_key(None, None, ids[0])
    value = dict(entries).get(key, UNSTATED)
    return Answer(question, key, with_sampled(key, value, entries), origin)


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


@lru_cache(maxsize=1 << 17)
def _token_id(name: str) -> int:
    digits = name.removeprefix("token_id:")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 19):
        raise malformed(f"token id {name!r}: must be a whole number")
    return int(digits)


def _value(stated: Any) -> Any:
    return stated.get("logprob") if isinstance(stated, dict) else stated


def sglang(doc: dict[str, Any], reading: Reading) -> list[Answer]:
    """SGLang: meta_info.output_token_logprobs and output_top_logprobs of (log-probability, token id, text)."""
    failed(doc)
    body = want(doc.get("response", doc), dict, "response")
    question = asked({**body, **doc} if not reading.input else doc, reading)
    meta = want(body.get("meta_info"), dict, "meta_info")
    finished(meta.get("finish_reason"))
    origin = origin_of((doc.get("request"), doc.get("sampling_params")), (body, doc))
    tokens = meta.get("output_token_logprobs")
    if tokens is None:
        if isinstance(body.get("text"), str) and body["text"]:
            return [Answer(question, body["text"], {}, origin, by_text=True)]
        raise Skip("no label", "the response holds no text")
    if not want(tokens, list, "output_token_logprobs"):
        raise Skip("no label", "no token was generated")
    if reading.label == "text":
        values = [_triple(token)[0] for token in tokens]
        return [whole_text(question, body.get("text"), values, origin)]
    key, value = _from_triple(tokens[0], reading)
    tops = meta.get("output_top_logprobs") or [None]
    listed = want(want(tops, list, "output_top_logprobs")[0] or [], list, "output_top_logprobs[0]")
    # Labels that the request named by their ids, whatever their rank.
    named = want(meta.get("output_token_ids_logprobs") or [None], list, "output_token_ids_logprobs")[0] or []
    entries = [_from_triple(entry, reading) for entry in [*listed, *want(named, list, "output_token_ids_logprobs[0]")]]
    return [Answer(question, key, with_sampled(key, value, entries), origin)]


def _triple(entry: Any) -> list[Any]:
    if not isinstance(entry, list) or len(entry) not in (2, 3):
        raise malformed("an entry of output_token_logprobs must be [logprob, token id, text]")
    return entry


def _from_triple(entry: Any, reading: Reading) -> tuple[Key, float]:
    if type(entry) is list and len(entry) == 3 and type(entry[1]) is int and type(entry[2]) is str:
        reading.texts.setdefault(entry[1], entry[2])
        return entry[1], log_probability(entry[0])
    parts = _triple(entry)
    text = parts[2] if len(parts) == 3 else None
    return token_key(text, None, want(parts[1], int, "token id"), reading.texts), log_probability(parts[0])


def llama_cpp(doc: dict[str, Any], reading: Reading) -> list[Answer]:
    """llama.cpp: completion_probabilities[] of {id, token, bytes, logprob, top_logprobs}, or of prob and top_probs.

    Older servers send {content, probs: [{tok_str, prob}]}.
    """
    failed(doc)
    body = want(doc.get("response", doc), dict, "response")
    question = asked(doc if "prompt" in doc or reading.input else {**body, **doc}, reading)
    origin = origin_of((doc.get("request"),), (body, doc))
    tokens = body.get("completion_probabilities")
    text = body.get("content")
    if tokens is None:
        if isinstance(text, str) and text:
            return [Answer(question, text, {}, origin, by_text=True)]
        raise Skip("no label", "the response holds no text")
    if not want(tokens, list, "completion_probabilities"):
        raise Skip("no label", "no token was generated")
    if reading.label == "text":
        return [whole_text(question, text, [_stated(token) for token in tokens], origin)]
    first = want(tokens[0], dict, "completion_probabilities[0]")
    listed = first.get("top_logprobs", first.get("top_probs", first.get("probs"))) or []
    entries = [(_llama_key(entry, reading), _stated(entry)) for entry in want(listed, list, "top_logprobs")]
    key = _llama_key(first, reading)
    own = _stated(first) if "logprob" in first or "prob" in first else dict(entries).get(key, UNSTATED)
    return [Answer(question, key, with_sampled(key, own, entries), origin)]


def _llama_key(entry: Any, reading: Reading) -> Key:
    place = want(entry, dict, "entry")
    text = place.get("token", place.get("tok_str", place.get("content")))
    return token_key(text, place.get("bytes"), place.get("id"), reading.texts)


def _stated(entry: Any) -> float:
    """The log-probability that an entry states, as `logprob` or as `prob`."""
    place = want(entry, dict, "entry")
    if "logprob" in place:
        # The server writes null for -inf.
        return math.nan if place["logprob"] is None else log_probability(place["logprob"])
    return probability(place.get("prob"))


def gemini(doc: dict[str, Any], reading: Reading) -> list[Answer]:
    """Gemini: candidates[].logprobsResult.chosenCandidates[] and topCandidates[].candidates[]."""
    failed(doc)
    body = want(doc.get("response", doc), dict, "response")
    feedback = body.get("promptFeedback", body.get("prompt_feedback"))
    if isinstance(feedback, dict) and _either(feedback, "blockReason") not in (None, "BLOCK_REASON_UNSPECIFIED"):
        raise Skip("refused", f"block reason {_either(feedback, 'blockReason')}")
    question = asked(doc, reading)
    origin = origin_of((doc.get("request"), doc.get("config")), (body, doc))
    candidates = want(body.get("candidates"), list, "candidates")
    answers, why = [], Skip("no label", "candidates is empty")
    for candidate in candidates:
        try:
            answers.append(_gemini_candidate(want(candidate, dict, "candidate"), question, origin, reading))
        except Skip as skip:
            if skip.outcome == "malformed":
                raise
            why = skip
    if not answers:
        raise why
    return answers


def _either(place: dict[str, Any], name: str) -> Any:
    """A field in camelCase, as REST sends it, or in snake_case, as the Python client dumps it."""
    return place[name] if name in place else place.get(_snake(name))


@cache
def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def _gemini_candidate(candidate: dict[str, Any], question: Any, origin: Origin, reading: Reading) -> Answer:
    reason = _either(candidate, "finishReason")
    # The Python client of old dumps enumerations as their numbers.
    finished(_REASONS.get(reason, reason) if isinstance(reason, int) else reason)
    result = _either(candidate, "logprobsResult")
    text = "" if isinstance(result, dict) and reading.label != "text" else _gemini_text(candidate)
    if not isinstance(result, dict):
        if text:
            return Answer(question, text, {}, origin, by_text=True)
        raise Skip("no label", "the candidate holds no text")
    chosen = want(_either(result, "chosenCandidates") or [], list, "chosenCandidates")
    if not chosen:
        raise Skip("no label", "no token was generated")
    if reading.label == "text":
        values = [_either(want(token, dict, "candidate"), "logProbability") for token in chosen]
        return whole_text(question, text, values, origin)
    tops = want(_either(result, "topCandidates") or [{}], list, "topCandidates")
    listed = want(want(tops[0], dict, "topCandidates[0]").get("candidates") or [], list, "topCandidates[].candidates")
    key, own = _gemini_entry(chosen[0], reading)
    return Answer(question, key, with_sampled(key, own, [_gemini_entry(e, reading) for e in listed]), origin)


def _gemini_text(candidate: dict[str, Any]) -> str:
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    texts = [part.get("text", "") for part in want(parts or [], list, "parts") if isinstance(part, dict)]
    return "".join(part for part in texts if isinstance(part, str))


_REASONS = {0: None, 1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION"}


def _gemini_entry(entry: Any, reading: Reading) -> tuple[Key, float]:
    place = want(entry, dict, "candidate")
    number, text, stated = place.get("tokenId"), place.get("token"), place.get("logProbability")
    if type(number) is int and type(text) is str and type(stated) is float and CENSORED < stated <= 0.0:
        if number not in reading.texts:
            reading.texts[number] = text
        return number, stated
    key = token_key(text, None, _either(place, "tokenId"), reading.texts)
    # Zero values are left out of the JSON: a token without logProbability is certain.
    stated = _either(place, "logProbability")
    return key, 0.0 if stated is None else log_probability(stated)
