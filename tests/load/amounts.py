"""How much load."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much of each kind.

    Attributes:
        number: logins, and evictions, one after the other.
        clients: logins at the same time in a storm.
        accounts: that have sessions before a storm.
        seconds: that a storm, the messages, and the idle sessions last.
        pairs: of a sender and a receiver.
        window: messages of a pair that may be under way.
        sessions: that are idle.
    """

    number: int = 200
    clients: int = 32
    accounts: int = 500
    seconds: float = 5.0
    pairs: int = 50
    window: int = 8
    sessions: int = 1000
