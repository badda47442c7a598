"""What the routes of one server share."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Final

from flask import Request, current_app
from flask.globals import request_ctx

from tim.backend import Backend
from tim.operators import Operators
from tim.timing import Timing
from tim.web.allowance import Allowances
from tim.web.identity import Identity
from tim.web.lobby import Lobby
from tim.web.metrics import Metrics
from tim.web.settings import Settings

QUESTIONS_PER_SECOND: Final = 10
"""Requests a second, in the long run, of one account's SDK pages for messages that they have missed."""
QUESTIONS: Final = 300
"""The same at once. The longest absence takes fewer: each request is answered with one page of messages."""
RETURNS_PER_SECOND: Final = 1
"""New connections a second, in the long run, on which the page of one instance comes back."""
RETURNS: Final = 20
"""The same at once."""


@dataclass(frozen=True, slots=True)
class Service:
    """The objects that the routes of one node share; kept in `app.extensions["tim"]`.

    Attributes:
        operators: who may use the console.
        lobby: connections of the SDK without a login.
        questions: rate at which the pages of each account may request missed messages.
        returns: rate at which the page of each instance may log in again.
    """

    settings: Settings
    backend: Backend
    identity: Identity
    timing: Timing
    operators: Operators
    metrics: Metrics
    lobby: Lobby = field(default_factory=Lobby)
    questions: Allowances = field(default_factory=partial(Allowances, QUESTIONS_PER_SECOND, QUESTIONS))
    returns: Allowances = field(default_factory=partial(Allowances, RETURNS_PER_SECOND, RETURNS))


def service() -> Service:
    """The service of the application that handles this request."""
    here: Service = current_app.extensions["tim"]
    return here


def asked() -> Request:
    """The request itself, for who looks at it often: Flask's `request` searches for it with each look."""
    return request_ctx.request
