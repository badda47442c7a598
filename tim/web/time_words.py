"""Times as people read them, in one language and the time zone of the server.

A time relative to now, such as "2 minutes ago", is out of date a minute later. The stream of a tab therefore keeps what
times its page shows, and sends those whose words have changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal

from babel.dates import LOCALTZ, format_datetime, format_timedelta

from tim.web.language import catalogue

WHOLE: Final = {"en": "d MMM y, HH:mm:ss z", "zh": "y年M月d日 HH:mm:ss z"}
"""The form of a whole time by language."""
OTHER_DAY: Final = {"en": "d MMM, HH:mm", "zh": "M月d日 HH:mm"}
"""The form of a time of another day, in short."""

UNITS: Final[tuple[tuple[Literal["day", "hour", "minute", "second"], int], ...]] = (
    ("day", 86400),
    ("hour", 3600),
    ("minute", 60),
    ("second", 1),
)
"""The units of a duration, with how many seconds each has."""
SKEW: Final = 5
"""Seconds by which what has just happened may seem to lie ahead, as clocks of a node and of the store differ."""
SECONDS: Final = 4096
"""How many seconds are kept as text. Pages that open together show the same few, such as those of now."""


class Shown:
    """The relative times that one fragment shows, by the id of their element."""

    __slots__ = ("_times",)

    def __init__(self) -> None:
        self._times: dict[str, tuple[float, str]] = {}

    def add(self, id: str, seconds: float, words: str) -> None:
        self._times[id] = (seconds, words)

    def changed(self, words_of: Callable[[float], str]) -> list[tuple[str, str]]:
        """The ids and new words of those that `words_of` tells otherwise than when this was last asked."""
        now = {id: (seconds, words_of(seconds)) for id, (seconds, _) in self._times.items()}
        found = [(id, words) for id, (_, words) in now.items() if words != self._times[id][1]]
        self._times = now
        return found


class TimeWords:
    """The words of one language for times.

    Args:
        clock: unix seconds; what "now" is.
    """

    def __init__(self, language: str, clock: Callable[[], float]) -> None:
        self._language = language
        self._now = clock
        self._texts = catalogue(language)

    def clock(self, seconds: float, form: str = "") -> str:
        """Unix seconds as text, whole unless `form` says otherwise."""
        return _formatted(math.floor(seconds), form or WHOLE[self._language], self._language)

    def moment(self, seconds: float) -> str:
        """Unix seconds as a short text: without the date if it is today."""
        today = _day(math.floor(self._now())) == _day(math.floor(seconds))
        return self.clock(seconds, "HH:mm:ss" if today else OTHER_DAY[self._language])

    def span(self, seconds: float) -> str:
        """A number of seconds in words, rounded to its largest unit."""
        return format_timedelta(timedelta(seconds=seconds), threshold=1.5, locale=self._language)

    def duration(self, seconds: int) -> str:
        """A whole number of seconds in words: exact, without the units of which there are none."""
        parts = []
        never = math.inf  # no larger unit in place of many of one
        for unit, size in UNITS:
            number, seconds = divmod(seconds, size)
            if number:
                some = timedelta(seconds=number * size)
                parts.append(format_timedelta(some, granularity=unit, threshold=never, locale=self._language))
        return " ".join(parts)

    def relative(self, seconds: float, id: str = "", shown: Shown | None = None) -> str:
        """Unix seconds as words relative to now: "just now", "2 minutes ago", "in 3 hours"; cut to the largest unit.

        `shown`, if there is one, keeps the time with this `id`.
        """
        words = self.distance(seconds - self._now())
        if id and shown:
            shown.add(id, seconds, words)
        return words

    def distance(self, ahead: float) -> str:
        """So many seconds from now in words; a negative number is past."""
        gettext, ngettext = self._texts.gettext, self._texts.ngettext
        minutes = int(abs(ahead) / 60)
        hours, days = minutes // 60, minutes // 1440
        number = days or hours or minutes
        if not number:
            words = gettext("in less than a minute") if ahead > SKEW else gettext("just now")
        elif ahead > 0 and days:
            words = ngettext("in %(num)s day", "in %(num)s days", days)
        elif ahead > 0 and hours:
            words = ngettext("in %(num)s hour", "in %(num)s hours", hours)
        elif ahead > 0:
            words = ngettext("in %(num)s minute", "in %(num)s minutes", minutes)
        elif days:
            words = ngettext("%(num)s day ago", "%(num)s days ago", days)
        elif hours:
            words = ngettext("%(num)s hour ago", "%(num)s hours ago", hours)
        else:
            words = ngettext("%(num)s minute ago", "%(num)s minutes ago", minutes)
        return str(words % {"num": number})


def iso(seconds: float) -> str:
    """Unix seconds in ISO 8601."""
    return _iso(math.floor(seconds))


@lru_cache(SECONDS)
def _iso(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()


@lru_cache(SECONDS)
def _formatted(second: int, form: str, language: str) -> str:
    return format_datetime(datetime.fromtimestamp(second, UTC), form, tzinfo=LOCALTZ, locale=language)


@lru_cache(SECONDS)
def _day(second: int) -> date:
    """The day of the server on which this unix second is."""
    return datetime.fromtimestamp(second, LOCALTZ).date()
