"""Waits until a file is on disk. Other threads go on meanwhile; greenlets go on where the disk is slow."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

SYNC: Final[Callable[[int], None]] = getattr(os, "fdatasync", os.fsync)  # macOS has only the latter
SLOW: Final = 0.001
"""Seconds that a disk may take before greenlets no longer stand still for it. The way to a thread and back takes about
half of that."""
LEFT: Final = 20
"""How many times as long as it has taken a slow disk is then left to a thread. So greenlets stand still for a slow disk
during a twentieth of the time at most."""


class Disk:
    """The disk under the file that a path names. The file is kept open.

    Under gevent all greenlets of the process stand still while one of them waits for the disk. That is shorter than the
    way to a thread and back, as long as the disk is quick; otherwise a thread of its own waits for it. The pool of
    gevent's hub also looks up names, which may take long.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._slow_until = 0.0  # by the monotonic clock
        self._pool: Any = None
        monkey = sys.modules.get("gevent.monkey")
        if monkey is not None and monkey.is_module_patched("threading"):
            self._pool = import_module("gevent.threadpool").ThreadPool(1)

    def sync(self) -> None:
        """Return when all that was written to the file is on disk.

        Raises:
            OSError: it is not, and what was written may be lost.
        """
        begun = time.monotonic()
        if begun < self._slow_until:
            self.run(SYNC, self._file)
            return
        SYNC(self._file)
        ended = time.monotonic()
        if ended - begun > SLOW:
            self._slow_until = ended + LEFT * (ended - begun)

    def run(self, work: Callable[..., object], *args: object) -> None:
        """Do work that waits for a disk, while other threads and greenlets go on. Raises what it raises."""
        if self._pool is None:
            work(*args)
        else:
            error = self._pool.apply(_error_of, (work, *args))
            if error is not None:
                raise error

    def close(self) -> None:
        if self._pool is not None:
            self._pool.kill()
        os.close(self._file)


def _error_of(work: Callable[..., object], *args: object) -> Exception | None:
    """The error that this work ends with.

    One that a thread of gevent's pool raises is printed first. Where stderr is on the same full disk that fails too,
    and whoever waits for the work would wait for ever, with the locks of the store.
    """
    try:
        work(*args)
    except Exception as error:
        return error
    return None
