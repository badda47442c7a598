"""Waits until a file is on disk, while other threads and greenlets go on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

SYNC: Final[Callable[[int], None]] = getattr(os, "fdatasync", os.fsync)  # macOS has only the latter


class Disk:
    """The disk under the file that a path names. The file is kept open.

    SQLite would wait for the disk inside COMMIT. Under gevent all greenlets of the process would stand still meanwhile;
    so a thread of its own waits for it. The pool of gevent's hub also looks up names, which may take long.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._pool: Any = None
        monkey = sys.modules.get("gevent.monkey")
        if monkey is not None and monkey.is_module_patched("threading"):
            self._pool = import_module("gevent.threadpool").ThreadPool(1)

    def sync(self) -> None:
        """Return when all that was written to the file is on disk.

        Raises:
            OSError: it is not, and what was written may be lost.
        """
        self.run(SYNC, self._file)

    def run(self, work: Callable[..., object], *args: object) -> None:
        """Do work that waits for a disk, while other threads and greenlets go on."""
        if self._pool is None:
            work(*args)
        else:
            self._pool.apply(work, args)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.kill()
        os.close(self._file)
