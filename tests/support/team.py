"""Processes that each serve the same app on the same Redis, and do what they are told at one moment."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, wait
from multiprocessing.synchronize import Barrier
from typing import Any, TypeVar

from tests.support.server import APP, SDK_KEY
from tests.support.waiting import PATIENCE
from tim import Backend

T = TypeVar("T")
Task = Callable[[Backend], T]
"""What one process does with its backend. It can be pickled, and so can what it returns."""


class Team:
    """So many processes, each with a `Backend` of its own on the Redis at `url`."""

    def __init__(self, url: str, size: int) -> None:
        self.size = size
        # Not forked: nothing of a process of ours, no connection and no clock of renewals, is that of another.
        spawn = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(size, spawn, initializer=_open, initargs=(url, spawn.Barrier(size)))

    def does(self, *tasks: Task[T]) -> list[T]:
        """Each task is for a process of its own; they begin when every process is ready. What each has returned."""
        assert len(tasks) <= self.size
        begun = [self._pool.submit(_begin, task) for task in tasks]
        idle = [self._pool.submit(_begin, _nothing) for _ in range(self.size - len(tasks))]
        everything: list[Future[Any]] = [*begun, *idle]
        wait(everything)  # so that the next tasks find every process free
        return [one.result() for one in begun]

    def close(self) -> None:
        self._pool.shutdown()


# What follows runs in a process of the team, which has one backend for as long as it lives.

_backend: Backend
_meeting: Barrier


def _open(url: str, meeting: Barrier) -> None:
    global _backend, _meeting  # noqa: PLW0603
    threading.Thread(target=_end_with_the_tests, daemon=True).start()
    _backend = Backend(url, sdk_app_id=APP, secret_key=SDK_KEY)
    _meeting = meeting


def _begin(task: Task[T]) -> T:
    _meeting.wait(PATIENCE)
    return task(_backend)


def _nothing(_: Backend) -> None:
    pass


def _end_with_the_tests() -> None:
    """However these end: a pool waits for ever for a parent that was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
