"""One log line for each event: what happened, and its fields."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import Final

from tim.ends import AWAY, LOGGED_OUT, TYPES, UNKNOWN, Gone
from tim.model import Instance

PLAIN: Final = re.compile(r"[\w.:/@+-]+", re.ASCII)
"""A value that needs no quotes in a line of text."""
KINDS: Final = {
    TYPES.KICKED_OUT_MULT_ACCOUNT: "evicted",
    TYPES.KICKED_OUT_MULT_DEVICE: "kicked",
    TYPES.KICKED_OUT_REST_API: "kicked",
    TYPES.KICKED_OUT_USERSIG_EXPIRED: "expired",
    LOGGED_OUT: "logout",
    AWAY: "away",
    UNKNOWN: "forgotten",
}
"""The event by the reason of an instance's end."""

_log = logging.getLogger("tim")


def log_event(kind: str, /, **fields: str | float) -> None:
    """Write a line about an event of this kind. Fields with an empty value are left out."""
    _write(logging.INFO, kind, fields)


def log_problem(kind: str, /, **fields: str | float) -> None:
    """Write the same as a warning."""
    _write(logging.WARNING, kind, fields)


def log_instance(kind: str, instance: Instance, **more: str | float) -> None:
    """Write a line about an event of an instance."""
    client = instance.client
    log_event(kind, user=instance.user, instance=instance.id, browser=client.browser, address=client.address, **more)


def log_end(instance: Instance, gone: Gone) -> None:
    """Write a line about the end of an instance."""
    kind = "signed-out" if gone.reason == LOGGED_OUT and gone.by is not None else KINDS[gone.reason]
    by = {} if gone.by is None else {"by_browser": gone.by.browser, "by_address": gone.by.address}
    log_instance(kind, instance, type=gone.reason, **by)


def _write(level: int, kind: str, fields: Mapping[str, str | float]) -> None:
    """The record has `event` and `fields`, for handlers that write another form than text."""
    if _log.isEnabledFor(level):
        present = {name: value for name, value in fields.items() if value != ""}
        text = " ".join([kind, *(f"{name}={_quoted(value)}" for name, value in present.items())])
        _log.log(level, "%s", text, extra={"event": kind, "fields": present})


def _quoted(value: str | float) -> str:
    return value if isinstance(value, str) and PLAIN.fullmatch(value) else json.dumps(value)
