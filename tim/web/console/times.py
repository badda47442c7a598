"""A time that an operator types: as the field shows it, in the time zone of the server."""

from __future__ import annotations

from datetime import datetime

from babel.dates import LOCALTZ

from tim.errors import BadParameter
from tim.rules import LATEST
from tim.text import text


def typed_time(typed: str, name: str) -> float:
    """Return the time in `typed` in unix seconds.

    Raises:
        BadParameter: `name` is no time, or none that every store and page can tell.
    """
    try:
        time = datetime.fromisoformat(typed).replace(tzinfo=LOCALTZ).timestamp()
    except (ValueError, OverflowError):
        time = 0
    if not 0 < time < LATEST:
        rule = text("%(name)s must be a date and a time from 1970 to 9998, such as 2030-12-31T23:59", name=name)
        raise BadParameter(name, rule)
    return time
