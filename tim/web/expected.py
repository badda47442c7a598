"""What a login would do now to the other sessions of its account, which the login page says before it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from flask import request

from tim.errors import StoreUnavailable
from tim.input_rules import USER_ID
from tim.model import Instance
from tim.rules import EVICT, leaving
from tim.web.context import service


@dataclass(frozen=True, slots=True)
class Expected:
    """What a login would do.

    Attributes:
        policy: the app's, for a login at the limit.
        seats: how many sessions one account may have.
        live: how many the account has; None where the browser may not know.
        ending: those that would end.
    """

    policy: str
    seats: int
    live: int | None
    ending: list[Instance]


def expected(user_id: str) -> Expected:
    """What a login of the account would do, or of any account where `user_id` is empty.

    Only a browser that has a session of the account learns anything about its sessions.
    """
    here = service()
    settings = here.backend.settings.known
    policy, seats = settings.policy, settings.limits.online_web_instances
    live: list[Instance] = []
    if USER_ID.fullmatch(user_id) and here.identity.browser(request) is not None:
        with suppress(StoreUnavailable):  # the page says what it can
            live = here.backend.instances(user_id)
    if not any(here.identity.is_own(request, each.id) for each in live):
        return Expected(policy, seats, None, [])
    return Expected(policy, seats, len(live), leaving(live, seats) if policy == EVICT else [])
