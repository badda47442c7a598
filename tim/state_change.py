"""What the webhook of an app reports: an instance has logged in, logged out or disconnected."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from tim.ends import AWAY
from tim.model import Instance

LOGIN: Final = "Login"
LOGOUT: Final = "Logout"
DISCONNECT: Final = "Disconnect"
TEST: Final = "Test"
"""Our own: an event that an operator sends to try the webhook."""
REASONS: Final = {LOGIN: "Register", LOGOUT: "Unregister", DISCONNECT: "LinkClose", TEST: "Test"}
"""The vendor's `Reason` of an event, by its `Action`."""

NO_EVENT: Final = "none"
"""Stands for the action of an end that no event reports."""


@dataclass(frozen=True, slots=True)
class StateChange:
    """One event of an account. Each login has one, and so has its end, unless it is among `kicked` of another login.

    Attributes:
        id: the same on every attempt to deliver it; 32 hex digits.
        action: one of REASONS.
        at: unix seconds of the change.
        address: of the instance's client.
        kicked: how many instances had to leave for this login.
        attempts: how many attempts to deliver it have failed.
    """

    id: str
    app: int
    user: str
    action: str
    at: float
    address: str
    kicked: int = 0
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class EventQueue:
    """The events of an app.

    Attributes:
        waiting: how many are not delivered yet.
        dropped: how many never will be: the queue was full, or a day of attempts was over.
    """

    waiting: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to deliver an event.

    Attributes:
        event: the id of the event.
        at: unix seconds.
        status: the HTTP status of the answer; 0 without one.
        seconds: how long it took.
        attempt: 1 for the first.
        failure: why it counts as failed; empty for a success.
    """

    event: str
    user: str
    action: str
    at: float
    status: int
    seconds: float
    attempt: int
    failure: str = ""


def event_id(instance: Instance, action: str) -> str:
    """Return the id of an event: an instance logs in, and its login ends, once in each generation."""
    text = f"{instance.id}/{instance.generation}/{int(action == LOGIN)}"
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:32]


def action_of(reason: str) -> str:
    """Return the action that reports an end for this reason."""
    return DISCONNECT if reason == AWAY else LOGOUT
