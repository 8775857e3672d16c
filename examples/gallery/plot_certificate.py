"""
How good is the copy that I learnt from an API's answers?
=========================================================

Answers with the sampled token and its log-probability, as servers of OpenAI's format return them.
The copy comes with a certificate: an upper confidence bound on its distance from the teacher that
needs the records alone.
"""

# %%
# A teacher of twelve prompts and four labels stands in for the server.
import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import kt_theory as kt

teacher = kt.teachers.dirichlet(inputs=12, labels=4, alpha=0.7, seed=2)
rng = np.random.default_rng(0)
file = Path(tempfile.mkdtemp()) / "answers.jsonl"


def answer():
    """Return a record of one query."""
    s = rng.integers(teacher.inputs)
    a = rng.choice(teacher.labels, p=teacher.pi[s])
    logprob = float(np.log(teacher.pi[s, a]))
    return {"input": f"prompt {s}", "label": f"label {a}", "logprob": logprob}


records = [json.dumps(answer()) for _ in range(4000)]

# %%
# The bound after more and more answers, beside the distance, which here is known.
SIZES = [50, 100, 200, 500, 1000, 2000, 4000]
bounds, distances = [], []
for n in SIZES:
    file.write_text("\n".join(records[:n]), encoding="utf-8")
    copy = kt.fit(kt.TransferSet.read(file), student="sel_ptl")
    bounds.append(copy.certificate(confidence=0.95).bound)
    names = list(copy.transfer.input_names), list(copy.transfer.label_names)
    table = np.full(teacher.pi.shape, 1.0 / teacher.labels)
    for i, prompt in enumerate(names[0]):
        for j, label in enumerate(names[1]):
            table[int(prompt.split()[1]), int(label.split()[1])] = copy.pi[i, j]
    distances.append(kt.total_variation(table, teacher.pi, teacher.rho))

# %%
figure, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
ax.plot(SIZES, bounds, "o-", color="#0072B2", label="certificate, 95 %")
ax.plot(SIZES, distances, "s--", color="#E69F00", label="true distance")
ax.set(xscale="log", xlabel="answers", ylabel="total variation", ylim=(0.0, 1.0))
figure.legend(loc="outside upper center", ncols=2)
print(copy.certificate(confidence=0.95))
