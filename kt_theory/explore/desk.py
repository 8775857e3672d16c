"""The desk: questions are computed in the background and kept, and whoever asks gets at once what
is known.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from typing import Any

from kt_theory.explore.questions import Question, load

_KEPT = 5000
PATIENCE = 0.1
"""Seconds that an answer waits for what is quick."""


class Desk:
    """What was asked, and what is known of it. Each lane is a thread of its own: what is slow holds
    up nothing but its lane.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._loading = threading.Lock()
        self._known: OrderedDict[Question, Future[Any]] = OrderedDict()
        self._waiting: dict[str, list[Question]] = {}

    def ask(
        self, lanes: Mapping[str, Sequence[Question]], patience: float = PATIENCE
    ) -> dict[Question, Any]:
        """Return the answers that are known within `patience` seconds; the others are computed in
        order. What its lane was asked before and has not begun is forgotten.

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
        done = wait(futures.values(), timeout=patience).done
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

    def _work(self, lane: str) -> None:
        # Threads that import a module at the same time may see it half made.
        with self._loading:
            load()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting[lane])
                question = self._waiting[lane].pop(0)
                future = self._known.get(question)
                if future is None or future.running() or future.done():
                    continue
                future.set_running_or_notify_cancel()
            try:
                future.set_result(question())
            except Exception as error:
                future.set_exception(error)
