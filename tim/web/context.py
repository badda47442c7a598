"""What the routes of one server share."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Final

from flask import current_app

from tim.backend import Backend
from tim.timing import Timing
from tim.web.allowance import Allowances
from tim.web.identity import Identity
from tim.web.lobby import Lobby
from tim.web.settings import Settings

QUESTIONS_PER_SECOND: Final = 10
"""Questions of one account's SDK pages for what they have missed, for long, and"""
QUESTIONS: Final = 300
"""at once: more than the longest absence needs, of which each question is told a page."""
RETURNS_PER_SECOND: Final = 1
"""Times that the page of one instance comes back over a new connection, for long, and"""
RETURNS: Final = 20
"""at once."""


@dataclass(frozen=True, slots=True)
class Service:
    """One server's parts; kept in `app.extensions["tim"]`.

    Attributes:
        lobby: connections of the SDK that nobody has logged in on.
        questions: how often each account's pages may ask for what they have missed.
        returns: how often the page of each instance may come back.
    """

    settings: Settings
    backend: Backend
    identity: Identity
    timing: Timing
    lobby: Lobby = field(default_factory=Lobby)
    questions: Allowances = field(default_factory=partial(Allowances, QUESTIONS_PER_SECOND, QUESTIONS))
    returns: Allowances = field(default_factory=partial(Allowances, RETURNS_PER_SECOND, RETURNS))


def service() -> Service:
    """The parts of the server that handles this request."""
    parts: Service = current_app.extensions["tim"]
    return parts
