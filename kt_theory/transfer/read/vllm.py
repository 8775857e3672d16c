"""What vLLM returns in its own formats."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from kt_theory.transfer.account import Skip
from kt_theory.transfer.read.answers import (
    UNSTATED,
    Answer,
    Doc,
    Key,
    Reading,
    asked,
    each_once,
    failed,
    finished,
    log_probability,
    malformed,
    shared_out,
    token_key,
    want,
)
from kt_theory.transfer.read.openai import body_of, first_choice
from kt_theory.transfer.read.reasoning import beside, thought_before
from kt_theory.transfer.read.sampling import origin_of
from kt_theory.transfer.read.steps import Entry, labelled, token_id


def is_vllm(body: Doc, doc: Doc) -> bool:
    """vLLM's own outputs, or a prompt that it scored; a chat that was answered is one of
    OpenAI's.
    """
    if "outputs" in body:
        return True
    choice = first_choice(body)
    # vLLM writes the field into every answer, null where it was not asked for.
    if not (body.get("prompt_logprobs") or choice.get("prompt_logprobs")) or choice.get("logprobs"):
        return False
    message = choice.get("message")
    return not (isinstance(message, dict) and message.get("content"))


def vllm(doc: Doc, reading: Reading) -> list[Answer]:
    """vLLM's RequestOutput: outputs[].logprobs[] keyed by token id, or, where nothing was
    generated, prompt_logprobs.

    A record that holds `prompt_logprobs` alone scores its prompt: its last token is the label that
    was asked about, not one that was sampled, so the record states probabilities only.
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
            answers.append(
                labelled(
                    question, text, _ById.of(output, listed, reading), thought, origin, reading
                )
            )
        elif isinstance(text, str) and text and not scored:
            answers.append(labelled(question, text, None, thought, origin, reading))
    if answers:
        return answers
    if not scored or want(scored, list, "prompt_logprobs")[-1] is None:
        raise Skip("no label", "no token was generated and none of the prompt is scored")
    stated = each_once(_by_id(scored[-1], reading))
    return [Answer(_before_last(question, body, stated, reading), None, stated, origin)]


def _before_last(question: str, body: Doc, stated: dict[Key, float], reading: Reading) -> str:
    """What was asked where a prompt was scored: the prompt without the label at its end, if that
    can be told.
    """
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
    def of(cls, output: Doc, listed: Any, reading: Reading) -> _ById:
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
    """The entries of a dict from token id to {logprob, rank, decoded_token}, or to a bare
    log-probability.
    """
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
