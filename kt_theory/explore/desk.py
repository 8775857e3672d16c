"""The desk: questions are computed in the background and kept, and whoever asks gets at once what
is known.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from typing import Any

from kt_theory.explore.questions import Question

_KEPT = 5000
PATIENCE = 0.25
"""Seconds that an answer waits for what it is mainly about."""
_MORE = 0.05
"""Seconds that it then waits for the rest."""


class Desk:
    """What was asked, and what is known of it. Each lane is a thread of its own: what is slow holds
    up nothing but its lane.

    Parameters
    ----------
    first : sequence of Question
        Computed before any lane begins, which would only take time from them.
    """

    def __init__(self, first: Sequence[Question] = ()) -> None:
        self._changed = threading.Condition()
        self._known: OrderedDict[Question, Future[Any]] = OrderedDict()
        self._waiting: dict[str, list[Question]] = {}
        self._open = threading.Event()
        threading.Thread(target=self._begin, args=(first,), daemon=True).start()

    def ask(
        self,
        lanes: Mapping[str, Sequence[Question]],
        awaited: Sequence[Question] = (),
        patience: float = PATIENCE,
    ) -> dict[Question, Any]:
        """Return the answers that are known; the others are computed in order. What its lane was
        asked before and has not begun is forgotten.

        Parameters
        ----------
        lanes : mapping of str to sequence of Question
        awaited : sequence of Question
            Those that are waited for, at most `patience` seconds.
        patience : float

        Raises
        ------
        Exception
            Whatever computing an answer raised; who asks again has it computed again.
        """
        with self._changed:
            every = [question for asked in lanes.values() for question in asked]
            futures = {question: self._wanted(question) for question in every}
            for lane, asked in lanes.items():
                if lane not in self._waiting:
                    threading.Thread(target=self._work, args=(lane,), daemon=True).start()
                self._waiting[lane] = [each for each in asked if not futures[each].done()]
            self._changed.notify_all()
        wait([futures[question] for question in awaited], timeout=patience)
        done = wait(futures.values(), timeout=_MORE).done
        known = {question: future for question, future in futures.items() if future in done}
        failed = [question for question, future in known.items() if future.exception()]
        with self._changed:
            for question in failed:
                self._known.pop(question, None)
        return {question: future.result() for question, future in known.items()}

    def _wanted(self, question: Question) -> Future[Any]:
        if question not in self._known:
            self._known[question] = Future()
        self._known.move_to_end(question)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return self._known[question]

    def _begin(self, first: Sequence[Question]) -> None:
        for question in first:
            self._compute(question)
        self._open.set()

    def _work(self, lane: str) -> None:
        self._open.wait()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting[lane])
                question = self._waiting[lane].pop(0)
            self._compute(question)

    def _compute(self, question: Question) -> None:
        """Compute an answer, unless that has begun elsewhere."""
        with self._changed:
            future = self._wanted(question)
            if future.running() or future.done():
                return
            future.set_running_or_notify_cancel()
        try:
            future.set_result(question())
        except Exception as error:
            future.set_exception(error)
