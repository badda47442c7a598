"""What the processes of the server take of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

TICK: Final = os.sysconf("SC_CLK_TCK")


class Processes:
    """The processes with these numbers, and all that descend from them."""

    def __init__(self, roots: Iterable[int]) -> None:
        self._roots = list(roots)

    def __bool__(self) -> bool:
        return bool(self._roots)

    def cpu(self) -> float:
        """Seconds of CPU that those which run now have used."""
        return sum(self._used(pid) for pid in self._all())

    def memory(self) -> float:
        """KiB of memory that they hold; what several share is divided among them."""
        return sum(self._held(pid) for pid in self._all())

    def _all(self) -> set[int]:
        found: set[int] = set()
        left = list(self._roots)
        while left:
            pid = left.pop()
            if pid not in found:
                found.add(pid)
                for children in Path(f"/proc/{pid}/task").glob("*/children"):
                    with suppress(OSError):
                        left += map(int, children.read_text().split())
        return found

    def _used(self, pid: int) -> float:
        with suppress(OSError):
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return (int(words[11]) + int(words[12])) / TICK
        return 0.0

    def _held(self, pid: int) -> float:
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            return sum(float(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return 0.0
