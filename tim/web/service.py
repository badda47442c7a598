"""What the routes of one server share."""

from __future__ import annotations

from dataclasses import dataclass, field

from flask import current_app

from tim.backend import Backend
from tim.web.identity import Identity
from tim.web.lobby import Lobby
from tim.web.settings import Settings


@dataclass(frozen=True, slots=True)
class Service:
    """One server's parts; kept in `app.extensions["tim"]`."""

    settings: Settings
    backend: Backend
    identity: Identity
    lobby: Lobby = field(default_factory=Lobby)


def service() -> Service:
    """The parts of the server that handles this request."""
    parts: Service = current_app.extensions["tim"]
    return parts
