"""Transfer sets to test with: the same records as every server would write them, and draws of a known teacher."""

from __future__ import annotations

import numpy as np
from servers import FORMATS as FORMATS
from servers import IDS as IDS
from servers import RECORDS as RECORDS
from servers import openai_chat as openai_chat
from servers import plain as plain


def stated(transfer):
    """Per record: input, sampled label, {label: log-probability}, names in place of codes."""
    found = []
    for i in range(len(transfer)):
        label = transfer.sampled[i]
        mine = transfer.entry_record == i
        found.append(
            (
                transfer.input_names[transfer.inputs[i]],
                transfer.label_names[label] if label >= 0 else None,
                {
                    transfer.label_names[a]: float(v)
                    for a, v in zip(
                        transfer.entry_label[mine], transfer.entry_logp[mine], strict=True
                    )
                },
            )
        )
    return found


def draw(teacher, n, level, rng):
    """A transfer set of n records of a teacher at an access level: "hard", "partial", "soft" or k."""
    cells = (teacher.rho[:, None] * teacher.pi).ravel()
    counts = rng.multinomial(n, cells / cells.sum()).reshape(teacher.pi.shape)
    return of_counts(teacher, counts, level)


def draw_chosen(teacher, answers, level, rng, **design):
    """The same, each input asked so many times: (S,)."""
    counts = np.array([rng.multinomial(k, row) for k, row in zip(answers, teacher.pi, strict=True)])
    return of_counts(teacher, counts, level, **design)


def of_counts(teacher, counts, level, **design):
    """The transfer set of a teacher with these counts, (S, A), at an access level."""
    from kt_theory.access import label_ranks
    from kt_theory.transfer.sets import TransferSet

    s, a = np.nonzero(counts)
    s, a = np.repeat(s, counts[s, a]), np.repeat(a, counts[s, a])
    labels = [str(j) for j in range(teacher.labels)]
    if level == "hard":
        return TransferSet.from_arrays(s, a, labels=labels, **design)
    top = {"partial": 0, "soft": teacher.labels}.get(level, level)
    shown = label_ranks(teacher.pi)[s] < top
    shown[np.arange(len(s)), a] = True
    with np.errstate(divide="ignore"):
        logp = np.maximum(np.log(teacher.pi[s]), -900.0)
    stated = np.where(shown, logp, np.nan)
    return TransferSet.from_arrays(s, a, logprobs=stated, labels=labels, **design)
