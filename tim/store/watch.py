"""Notices that a file was deleted, replaced or cut short under the process that has it open."""

from __future__ import annotations

from pathlib import Path

_PAGE_SIZE = slice(16, 18)
_PAGES = slice(28, 32)


class Watch:
    """The files at `paths`, as they are now; none of them ever becomes smaller or another one by itself."""

    def __init__(self, *paths: str) -> None:
        self._seen = {path: Path(path).stat() for path in paths}

    def fault(self) -> str:
        """What has happened to them since, in words; empty where nothing has."""
        for path, before in self._seen.items():
            try:
                now = Path(path).stat()
            except FileNotFoundError:
                return f"{path} was deleted"
            except OSError as error:
                return f"{path} cannot be looked at: {error.strerror}"
            if (now.st_dev, now.st_ino) != (before.st_dev, before.st_ino):
                return f"{path} was replaced by another file"
            if now.st_size < before.st_size:
                return f"{path} was cut short"
            self._seen[path] = now
        return ""


def is_cut_short(path: str) -> bool:
    """Whether a database of SQLite lacks some of the pages that its header says it has; its log must be empty.

    Source: the file format of SQLite, "the database header".
    """
    with Path(path).open("rb") as file:
        header = file.read(100)
    page = int.from_bytes(header[_PAGE_SIZE])
    size = (65536 if page == 1 else page) * int.from_bytes(header[_PAGES])
    return len(header) < 100 or Path(path).stat().st_size < size
