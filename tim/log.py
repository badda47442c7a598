"""One log line for each event: what happened, and its fields."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import Final

from tim.audit import kind_of
from tim.ends import TYPES, UNKNOWN, Gone
from tim.model import Instance

PLAIN: Final = re.compile(r"[\w.:/@+-]+", re.ASCII)
"""A value that needs no quotes in a line of text."""
FORGOTTEN: Final = "forgotten"
"""An instance of a store that was told to forget everything."""

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
    """Write a line about the end of an instance, under the kind of its entry in the audit; or FORGOTTEN."""
    more = {} if gone.by is None else {"by_browser": gone.by.browser, "by_address": gone.by.address}
    if gone.reason == TYPES.KICKED_OUT_USERSIG_EXPIRED:
        more["cause"] = instance.expiry_cause
    log_instance(FORGOTTEN if gone.reason == UNKNOWN else kind_of(gone), instance, type=gone.reason, **more)


def _write(level: int, kind: str, fields: Mapping[str, str | float]) -> None:
    """The record has `event` and `fields`, for handlers that write another form than text."""
    if _log.isEnabledFor(level):
        present = {name: value for name, value in fields.items() if value != ""}
        text = " ".join([kind, *(f"{name}={_quoted(value)}" for name, value in present.items())])
        # Not by `log`, which looks for more that a record could have.
        record = logging.LogRecord(_log.name, level, "", 0, text, None, None)
        record.event, record.fields = kind, present
        _log.handle(record)


def _quoted(value: str | float) -> str:
    return value if isinstance(value, str) and PLAIN.fullmatch(value) else json.dumps(value)
