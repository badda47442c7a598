"""Notices that a file was deleted, replaced, cut short or overwritten under the process that has it open."""

from __future__ import annotations

import os
from typing import Final

MAGIC: Final = b"SQLite format 3\0"
_PAGE_SIZE = slice(16, 18)
_CHANGES = slice(24, 28)
_PAGES = slice(28, 32)


class Watch:
    """The SQLite database at `path`, its -wal and its lock file, as they were at the last check.

    Keeps the file open. Closing any descriptor of a file releases all POSIX locks that the process holds on it,
    including those of SQLite. So make a Watch before SQLite opens the file, and close it afterwards.

    Source of the offsets: the file format of SQLite, "the database header".

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._seen: dict[str, os.stat_result] = {}
        self._changes = 0  # how often the database has changed, as its header counts it
        self._fault = ""

    def begin(self) -> None:
        """Take the state of the files now as the one that must not shrink, be replaced or go back."""
        self._seen = {path: _look_at(path) for path in (self._path, f"{self._path}-wal", f"{self._path}.lock")}
        self._changes = self._number(_CHANGES)

    def fault(self) -> str:
        """What has happened to the files since `begin`, for a person; empty if nothing. The first fault stays."""
        self._fault = self._fault or self._what_is_wrong()
        return self._fault

    def is_cut_short(self) -> bool:
        """Whether the file has fewer pages than its header says; the -wal must be empty."""
        page = self._number(_PAGE_SIZE)
        size = (65536 if page == 1 else page) * self._number(_PAGES)
        return self._header()[:16] != MAGIC or os.fstat(self._file).st_size < size

    def close(self) -> None:
        os.close(self._file)

    def _what_is_wrong(self) -> str:
        for path, before in self._seen.items():
            try:
                now = _look_at(path)
            except FileNotFoundError:
                return f"{path} was deleted"
            except OSError as error:
                return f"{path} cannot be looked at: {error.strerror}"
            if (now.st_dev, now.st_ino) != (before.st_dev, before.st_ino):
                return f"{path} was replaced by another file"
            if now.st_size < before.st_size:
                return f"{path} was cut short"
            self._seen[path] = now
        header = self._header()
        changes = int.from_bytes(header[_CHANGES])
        if header[:16] != MAGIC or changes < self._changes:
            return f"{self._path} was overwritten"
        self._changes = changes
        return ""

    def _header(self) -> bytes:
        return os.pread(self._file, 100, 0)

    def _number(self, at: slice) -> int:
        return int.from_bytes(self._header()[at])


def _look_at(path: str) -> os.stat_result:
    return os.stat(path)  # noqa: PTH116 - before each verb, and a Path takes twice as long
