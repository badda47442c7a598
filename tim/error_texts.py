"""Texts of errors that are put together from what the error is about."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from tim.model import Block, Instance
from tim.text import Text, text

PLACES_SHOWN: Final = 3
"""Largest number of instances that an error names."""
UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def _utc(at: float) -> str:
    """Unix seconds in words, to the minute."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def blocked(block: Block) -> Text:
    """The account is blocked: until when, and why, where there is an end or a reason."""
    # The next whole minute, so that nobody comes too early.
    until = None if block.until is None else _utc(math.ceil(block.until / 60) * 60)
    if until and block.words:
        return text(
            "this account is blocked until %(until)s (%(why)s); ask the operator of this service",
            until=until,
            why=block.words,
        )
    if until:
        return text("this account is blocked until %(until)s; ask the operator of this service", until=until)
    if block.words:
        return text("this account is blocked (%(why)s); ask the operator of this service", why=block.words)
    return text("this account is blocked; ask the operator of this service")


def at_limit(instances: Sequence[Instance], limit: int) -> Text:
    """The account has as many instances as it may have: where PLACES_SHOWN of them are, and how many more there are."""
    places = _place(instances[0]) if instances else text("none")
    for instance in instances[1:PLACES_SHOWN]:
        places = text("%(places)s; %(next)s", places=places, next=_place(instance))
    if len(instances) > PLACES_SHOWN:
        places = text("%(places)s; and %(number)s more", places=places, number=len(instances) - PLACES_SHOWN)
    return text(
        "this account is at its limit (Online Web Instances: %(limit)s): %(places)s; log out there first, or wait "
        "until a closed one has lost its seat",
        limit=limit,
        places=places,
    )


def _place(instance: Instance) -> Text:
    """Where an instance is, and since when."""
    what = {
        "name": instance.name or instance.client.browser,
        "address": instance.client.address,
        "since": _utc(instance.since),
    }
    if instance.online:
        return text("%(name)s at %(address)s since %(since)s", **what)
    return text("%(name)s at %(address)s since %(since)s, closed but still seated", **what)


def bad_user_id(name: str, user_id: str, most: int) -> Text:
    """The rule for UserIDs, which `user_id`, the parameter `name`, breaks, and what to do; `most` characters fit."""
    rule = text("%(name)s must be 1 to %(most)s letters, digits or ASCII signs", name=name, most=most)
    if not user_id.strip():
        return text("%(rule)s; it is empty", rule=rule)
    if UUID.fullmatch(user_id):
        return text("%(rule)s; this UUID has 36 characters: remove the dashes", rule=rule)
    if user_id != user_id.strip():
        return text("%(rule)s; remove the blank at its beginning or end", rule=rule)
    if not user_id.isascii() or not user_id.isprintable() or " " in user_id:
        return text(
            "%(rule)s, without blanks and other characters; use the account's number or mail address, for example",
            rule=rule,
        )
    return text("%(rule)s; this one has %(length)s: use a shorter one", rule=rule, length=len(user_id))
