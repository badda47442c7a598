"""How much load."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


def amount(default: float, words: str) -> Any:
    """A field with its help for the command line."""
    return field(default=default, metadata={"help": f"{words}; default {default}"})


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much of each kind of load."""

    number: int = amount(200, "logins, and evictions, one after the other")
    clients: int = amount(32, "logins at the same time in a storm")
    accounts: int = amount(500, "accounts that have sessions before a storm")
    seconds: float = amount(5.0, "how long a storm, the messages and the idle sessions last")
    pairs: int = amount(50, "pairs of a sender and a receiver")
    window: int = amount(8, "messages of a pair that may be under way")
    sessions: int = amount(1000, "idle sessions")
