"""The same answers as a dozen servers would write them: one function of (input, label, log-probability, top) for each.

Nothing to run here: `transcripts.py` writes with it.
"""

from __future__ import annotations

RECORDS = [
    ("Is it raining?", "yes", -0.25, {"yes": -0.25, "no": -1.75}),
    ("Is it raining?", "no", -1.75, {"yes": -0.25, "no": -1.75}),
    ("Is it late?", "perhaps", -3.0, {"no": -0.125, "yes": -2.5}),
    ("Is it late?", "no", -0.125, {"no": -0.125, "yes": -2.5}),
]
"""Input, sampled label, its log-probability, the listed ones. The third samples a label that is not listed."""

IDS = {"yes": 9891, "no": 2201, "perhaps": 44}


def plain(q, a, own, tops):
    """Return a record of the package's own plain format."""
    return {"input": q, "label": a, "logprob": own, "top_logprobs": tops}


def _token(text, value):
    return {"token": text, "logprob": value, "bytes": list(text.encode())}


def openai_chat(q, a, own, tops):
    """Return a chat completion beside its request."""
    content = [{**_token(a, own), "top_logprobs": [_token(t, v) for t, v in tops.items()]}]
    content.append({**_token(".", -0.5), "top_logprobs": []})
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": f"{a}.", "refusal": None},
        "logprobs": {"content": content, "refusal": None},
        "finish_reason": "stop",
    }
    return {
        "request": {
            "model": "m",
            "messages": [{"role": "user", "content": q}],
            "temperature": 1,
            "top_p": 1,
        },
        "response": {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
        },
    }


def openai_responses(q, a, own, tops):
    """Return an answer of the Responses API beside its request."""
    part = {
        "type": "output_text",
        "text": f"{a}.",
        "annotations": [],
        "logprobs": [
            {**_token(a, own), "top_logprobs": [_token(t, v) for t, v in tops.items()]},
            {**_token(".", -0.5), "top_logprobs": []},
        ],
    }
    body = {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [part],
            },
        ],
        "temperature": 1.0,
        "top_p": 1.0,
        "usage": {"output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 0}},
    }
    return {"request": {"input": q}, "response": body}


def openai_completions(q, a, own, tops):
    """Return a legacy completion: dicts of k + 1 keys where the sampled label is not among the k."""
    logprobs = {
        "tokens": [a, "."],
        "token_logprobs": [own, -0.5],
        "top_logprobs": [{**tops, a: own}, {".": -0.5}],
        "text_offset": [len(q), len(q) + len(a)],
    }
    choice = {"text": f"{a}.", "index": 0, "logprobs": logprobs, "finish_reason": "length"}
    return {"prompt": q, "object": "text_completion", "choices": [choice], "temperature": 1}


def openai_batch(q, a, own, tops):
    """Return a line of a Batch output."""
    body = openai_chat(q, a, own, tops)["response"]
    return {
        "id": "batch_req_1",
        "custom_id": q,
        "response": {"status_code": 200, "request_id": "r", "body": body},
        "error": None,
    }


def vllm(q, a, own, tops):
    """Return an offline output of vLLM: log-probabilities by token id."""
    listed = {**tops, a: own}
    first = {
        str(IDS[t]): {"logprob": v, "rank": rank, "decoded_token": t}
        for rank, (t, v) in enumerate(listed.items(), 1)
    }
    output = {
        "index": 0,
        "text": f"{a}.",
        "token_ids": [IDS[a], 13],
        "cumulative_logprob": own - 0.5,
        "logprobs": [first, {"13": {"logprob": -0.5, "rank": 1, "decoded_token": "."}}],
        "finish_reason": "stop",
    }
    return {
        "request_id": "0",
        "prompt": q,
        "prompt_token_ids": [1, 2],
        "prompt_logprobs": None,
        "outputs": [output],
        "finished": True,
        "sampling_params": {"temperature": 1.0, "top_p": 1.0, "top_k": -1, "min_p": 0.0},
    }


def sglang(q, a, own, tops):
    """Return an answer of SGLang: triples of log-probability, id and text."""
    meta = {
        "id": "1",
        "finish_reason": {"type": "stop", "matched": 2},
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "output_token_logprobs": [[own, IDS[a], a], [-0.5, 13, "."]],
        "output_top_logprobs": [[[v, IDS[t], t] for t, v in tops.items()], [[-0.5, 13, "."]]],
    }
    return {
        "request": {"text": q, "sampling_params": {"temperature": 1, "top_p": 1}},
        "prompt": q,
        "text": f"{a}.",
        "meta_info": meta,
    }


def llama_cpp(q, a, own, tops):
    """Return an answer of the llama.cpp server."""

    def token(t, v):
        return {"id": IDS.get(t, 13), "token": t, "bytes": list(t.encode()), "logprob": v}

    return {
        "content": f"{a}.",
        "prompt": q,
        "stop": True,
        "stop_type": "eos",
        "generation_settings": {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0},
        "completion_probabilities": [
            {**token(a, own), "top_logprobs": [token(t, v) for t, v in tops.items()]},
            {**token(".", -0.5), "top_logprobs": []},
        ],
    }


def gemini(q, a, own, tops):
    """Return an answer of Gemini: chosen and top candidates."""

    def token(t, v):
        return {"token": t, "tokenId": IDS.get(t, 13), "logProbability": v}

    candidate = {
        "content": {"role": "model", "parts": [{"text": f"{a}."}]},
        "finishReason": "STOP",
        "avgLogprobs": own,
        "logprobsResult": {
            "chosenCandidates": [token(a, own), token(".", -0.5)],
            "topCandidates": [
                {"candidates": [token(t, v) for t, v in tops.items()]},
                {"candidates": [token(".", -0.5)]},
            ],
        },
    }
    return {
        "request": {
            "contents": [{"role": "user", "parts": [{"text": q}]}],
            "generationConfig": {
                "temperature": 1.0,
                "topP": 1.0,
                "responseLogprobs": True,
                "logprobs": 2,
            },
        },
        "response": {"candidates": [candidate], "usageMetadata": {}, "modelVersion": "gemini"},
    }


def tgi(q, a, own, tops):
    """Return an answer of Text Generation Inference."""

    def token(t, v):
        return {"id": IDS.get(t, 13), "text": t, "logprob": v, "special": False}

    details = {
        "finish_reason": "length",
        "generated_tokens": 2,
        "seed": 7,
        "prefill": [],
        "tokens": [token(a, own), token(".", -0.5)],
        "top_tokens": [[token(t, v) for t, v in tops.items()], [token(".", -0.5)]],
    }
    parameters = {"do_sample": True, "temperature": 1.0, "details": True, "top_n_tokens": 2}
    return {
        "request": {"inputs": q, "parameters": parameters},
        "response": {"generated_text": f"{a}.", "details": details},
    }


def ollama(q, a, own, tops):
    """Return an answer of Ollama's /api/generate."""
    logprobs = [
        {**_token(a, own), "top_logprobs": [_token(t, v) for t, v in tops.items()]},
        {**_token(".", -0.5), "top_logprobs": []},
    ]
    options = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0}
    return {
        "request": {
            "model": "m",
            "prompt": q,
            "stream": False,
            "logprobs": True,
            "top_logprobs": 2,
            "options": options,
        },
        "response": {
            "model": "m",
            "created_at": "2025-11-20T10:00:00Z",
            "response": f"{a}.",
            "done": True,
            "done_reason": "stop",
            "eval_count": 2,
            "logprobs": logprobs,
        },
    }


def inspect(q, a, own, tops):
    """Return a sample of one of Inspect's logs, beside the settings that stand at the log's head."""
    content = [{**_token(a, own), "top_logprobs": [_token(t, v) for t, v in tops.items()]}]
    content.append({**_token(".", -0.5), "top_logprobs": []})
    answer = {"role": "assistant", "content": f"{a}.", "source": "generate", "model": "m"}
    choice = {"message": answer, "stop_reason": "stop", "logprobs": {"content": content}}
    return {
        "id": 1,
        "epoch": 1,
        "input": q,
        "target": "",
        "messages": [{"role": "user", "content": q}, answer],
        "output": {
            "model": "m",
            "choices": [choice],
            "usage": {"input_tokens": 5, "output_tokens": 2},
        },
        "scores": {},
        "request": {"temperature": 1.0, "top_p": 1.0},
    }


FORMATS = {
    f.__name__: f
    for f in (
        plain,
        openai_chat,
        openai_responses,
        openai_completions,
        openai_batch,
        vllm,
        sglang,
        llama_cpp,
        gemini,
        tgi,
        ollama,
        inspect,
    )
}
