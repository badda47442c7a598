"""How tests wait: until something is so, or to see that it stays so."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final

PATIENCE: Final = float(os.environ.get("PATIENCE", "20"))
"""Seconds of real time after which a test gives up waiting. A busy machine is no failure."""


def until(what: Callable[[], object], why: str | Callable[[], str], patience: float = PATIENCE) -> None:
    """Wait until `what()` is true.

    Raises:
        AssertionError: `why`, after `patience` seconds.
    """
    deadline, pause = time.monotonic() + patience, 0.001
    while not what():
        if time.monotonic() > deadline:
            raise AssertionError(why() if callable(why) else why)
        time.sleep(pause)
        pause = min(2 * pause, 0.05)


def always(what: Callable[[], object], why: str | Callable[[], str], seconds: float) -> None:
    """Watch for `seconds` that `what()` never stops being true.

    Raises:
        AssertionError: `why`, as soon as it is false.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not what():
            raise AssertionError(why() if callable(why) else why)
        time.sleep(0.05)
