"""Where blocks run: threads of this process, processes of this machine, a Dask cluster, or any
other executor.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from kt_theory import machine
from kt_theory.validation import shown, whole_number

KINDS = ("threads", "processes", "dask", "dask://HOST:PORT")
CONNECT_SECONDS = 10


@dataclass
class Crew(AbstractContextManager["Crew"]):
    """An executor with what the run needs to know of it.

    Attributes
    ----------
    executor : concurrent.futures.Executor
    width : int
        How many blocks it runs at a time.
    name : str
    renew : callable or None
        Makes a new executor after a worker has died; None for one that is not ours to replace.
    deaths : tuple of exception types
        What a block ends with whose workers have died while the executor lives on.
    """

    executor: Executor
    width: int
    name: str
    renew: Callable[[], Executor] | None = None
    finish: list[Callable[[], Any]] = field(default_factory=list)
    deaths: tuple[type[Exception], ...] = ()

    def replace(self) -> bool:
        """Start afresh after the executor broke; False if it is not ours."""
        if self.renew is None:
            return False
        self.executor.shutdown(wait=False)
        self.executor = self.renew()
        return True

    def __exit__(self, *exception: Any) -> None:
        if self.renew is not None:
            self.executor.shutdown(wait=True)
        for close in self.finish:
            close()


def crew(executor: Any = "threads", workers: int | None = None) -> Crew:
    """Return the crew of an executor.

    Parameters
    ----------
    executor : str or concurrent.futures.Executor
        "threads", "processes", "dask" (a cluster of this machine's cores), "dask://HOST:PORT" (one
        that runs), or an executor, such as mpi4py's or loky's, which stays open.
    workers : int, optional
        All available cores if omitted.

    Raises
    ------
    ValueError
        If there is no such executor, or Dask is not installed.
    ConnectionError
        If the scheduler does not answer within 10 seconds.
    """
    given = machine.cores() if workers is None else workers
    count = whole_number(given, "workers", low=1, high=10**6)
    if not isinstance(executor, str) and callable(getattr(executor, "submit", None)):
        width = count if workers is not None else getattr(executor, "_max_workers", None) or count
        return Crew(executor, width, type(executor).__name__)
    if not isinstance(executor, str) or not (executor in KINDS or executor.startswith("dask://")):
        raise ValueError(
            f"executor = {shown(executor)}: must be one of {', '.join(KINDS)}, or have the method "
            "submit"
        )
    if executor == "threads":
        return _owned(lambda: ThreadPoolExecutor(count), count, "threads")
    if executor == "processes":
        # Not the standard library's pool: a few kills of its workers and it waits forever for an
        # answer.
        from loky import ProcessPoolExecutor

        watched = {"initializer": machine.end_with, "initargs": (os.getpid(),)}
        return _owned(lambda: ProcessPoolExecutor(count, **watched), count, "processes")
    return _dask(executor, count)


def _owned(make: Callable[[], Executor], count: int, name: str) -> Crew:
    return Crew(make(), count, name, make)


def _dask(address: str, count: int) -> Crew:
    try:
        from distributed import Client, KilledWorker, LocalCluster
    except ImportError:
        raise ValueError(
            f"executor = {address!r} needs Dask: pip install 'kt_theory[dask]'"
        ) from None
    finish: list[Callable[[], Any]] = []
    if address == "dask":
        how = {"threads_per_worker": 1, "dashboard_address": None, "silence_logs": logging.ERROR}
        place: Any = LocalCluster(n_workers=count, **how)
        finish.append(place.close)
    else:
        if not re.fullmatch("dask://.+:[0-9]{1,5}", address):
            raise ValueError(f"executor = {shown(address)}: must be dask://HOST:PORT")
        place = address.replace("dask://", "tcp://")
    try:
        client = Client(place, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"no Dask scheduler answers at {address} within {CONNECT_SECONDS} s "
            f"({type(error).__name__}): is it running, and reachable from here?"
        ) from None
    threads = sum(client.nthreads().values())
    hands = Crew(client.get_executor(), max(threads, 1), address, deaths=(KilledWorker,))
    hands.finish = [client.close, *finish]
    return hands
