"""Times as people read them, in the language of the request and the time zone of the server.

A time relative to now, such as "2 minutes ago", is out of date a minute later. The stream of a tab therefore keeps what
times its page shows, and sends those whose words have changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from flask import g
from flask_babel import format_datetime, format_timedelta, gettext, ngettext

from tim.web.context import service
from tim.web.language import current

WHOLE: Final = {"en": "d MMM y, HH:mm:ss z", "zh": "y年M月d日 HH:mm:ss z"}
"""The form of a whole time by language."""
OTHER_DAY: Final = {"en": "d MMM, HH:mm", "zh": "M月d日 HH:mm"}
"""The form of a time of another day, in short."""

SKEW: Final = 5
"""Seconds by which what has just happened may seem to lie ahead, as clocks of a node and of the store differ."""


class Shown:
    """The relative times that a page shows, by the id of their element.

    They are kept by the template that wrote them: what it writes again replaces what it wrote before.
    """

    def __init__(self) -> None:
        self._of: dict[str, dict[str, tuple[float, str]]] = {}
        self._writing: dict[str, tuple[float, str]] = {}

    def write(self, template: str) -> None:
        """What is added from now on is written by `template`."""
        self._writing = self._of[template] = {}

    def add(self, id: str, seconds: float, words: str) -> None:
        self._writing[id] = (seconds, words)

    def changed(self, words_of: Callable[[float], str]) -> list[tuple[str, str]]:
        """The ids and new words of those that `words_of` tells otherwise than when this was last asked."""
        found = []
        for written in self._of.values():
            for id, (seconds, words) in written.items():
                if (now := words_of(seconds)) != words:
                    written[id] = (seconds, now)
                    found.append((id, now))
        return found


def clock(seconds: float, form: str = "") -> str:
    """Unix seconds as text, whole unless `form` says otherwise."""
    return str(format_datetime(datetime.fromtimestamp(seconds, UTC), form or WHOLE[current()]))


def moment(seconds: float) -> str:
    """Unix seconds as a short text: without the date if it is today."""
    today = clock(service().backend.clock(), "y-MM-dd") == clock(seconds, "y-MM-dd")
    return clock(seconds, "HH:mm:ss" if today else OTHER_DAY[current()])


def span(seconds: float) -> str:
    """A number of seconds in words, rounded to its largest unit."""
    return str(format_timedelta(timedelta(seconds=seconds), threshold=1.5))


def duration(seconds: int) -> str:
    """A whole number of seconds in words: exact, without the units of which there are none."""
    parts = []
    never = math.inf  # no larger unit in place of many of one
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        number, seconds = divmod(seconds, size)
        if number:
            some = timedelta(seconds=number * size)
            parts.append(str(format_timedelta(some, granularity=unit, threshold=never)))
    return " ".join(parts)


def iso(seconds: float) -> str:
    """Unix seconds in ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def relative(seconds: float, id: str = "") -> str:
    """Unix seconds as words relative to now: "just now", "2 minutes ago", "in 3 hours"; cut to the largest unit.

    On the stream of a tab, the time with this `id` is kept up to date.
    """
    words = distance(seconds - service().backend.clock())
    if id and "shown" in g:
        g.shown.add(id, seconds, words)
    return words


def distance(ahead: float) -> str:
    """So many seconds from now in words; a negative number is past."""
    minutes = int(abs(ahead) / 60)
    hours, days = minutes // 60, minutes // 1440
    if not minutes:
        return str(gettext("in less than a minute") if ahead > SKEW else gettext("just now"))
    if ahead > 0:
        if days:
            return str(ngettext("in %(num)s day", "in %(num)s days", days))
        if hours:
            return str(ngettext("in %(num)s hour", "in %(num)s hours", hours))
        return str(ngettext("in %(num)s minute", "in %(num)s minutes", minutes))
    if days:
        return str(ngettext("%(num)s day ago", "%(num)s days ago", days))
    if hours:
        return str(ngettext("%(num)s hour ago", "%(num)s hours ago", hours))
    return str(ngettext("%(num)s minute ago", "%(num)s minutes ago", minutes))
