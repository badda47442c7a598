"""The audit: what has happened to the accounts of an app, and in its console, an entry each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tim.ends import AWAY, EXPIRY_WORDS, LOGGED_OUT, TYPES, Gone
from tim.model import Instance

LOGIN: Final = "login"
RETURNED: Final = "returned"
"""An instance that was away has taken a seat again."""
REFUSED: Final = "refused"
"""A login that was refused; `code` is the error code."""
LOGOUT: Final = "logout"
SIGNED_OUT: Final = "signed-out"
"""Another instance of the account has ended it."""
EVICTED: Final = "evicted"
KICKED: Final = "kicked"
EXPIRED: Final = "expired"
WENT_AWAY: Final = "away"
"""Detached for the whole grace time, so that it has lost its seat."""
BLOCKED: Final = "blocked"
UNBLOCKED: Final = "unblocked"
REVOKED: Final = "revoked"
"""The UserSigs of the account that were made so far."""
DELETED: Final = "deleted"
"""The account."""
NOT_ME: Final = "not-me"
"""The account of an evicted instance has said that the login which displaced it was not its own; `by` is that one, if
it was still there. What this has ended follows, each as KICKED with the evicted instance as `by`."""
SETTINGS: Final = "settings"
CONSOLE_SIGN_IN: Final = "console-sign-in"
CONSOLE_REFUSED: Final = "console-refused"
CONSOLE_SIGN_OUT: Final = "console-sign-out"
JOB: Final = "job"

REFUSALS: Final = frozenset({REFUSED, CONSOLE_REFUSED})
"""Kinds that a stranger can cause as often as it likes; they are kept apart."""
KINDS: Final = (
    LOGIN, RETURNED, REFUSED, LOGOUT, SIGNED_OUT, EVICTED, KICKED, EXPIRED, WENT_AWAY, BLOCKED, UNBLOCKED, REVOKED,
    DELETED, NOT_ME, SETTINGS, CONSOLE_SIGN_IN, CONSOLE_REFUSED, CONSOLE_SIGN_OUT, JOB,
)  # fmt: skip
"""All kinds of entries."""
SEATED: Final = frozenset({LOGIN, RETURNED})
"""Kinds with which an instance takes a seat."""
UNSEATED: Final = frozenset({LOGOUT, SIGNED_OUT, EVICTED, KICKED, EXPIRED, WENT_AWAY})
"""Kinds with which it no longer has one."""

AUDIT_DAYS: Final = 30
"""Days for which entries are kept, by default."""
SERVER: Final = "server"
"""The actor of what time alone has brought about."""

_ENDS: Final = {
    TYPES.KICKED_OUT_MULT_ACCOUNT: EVICTED,
    TYPES.KICKED_OUT_MULT_DEVICE: SIGNED_OUT,
    TYPES.KICKED_OUT_USERSIG_EXPIRED: EXPIRED,
    TYPES.KICKED_OUT_REST_API: KICKED,
    LOGGED_OUT: LOGOUT,
    AWAY: WENT_AWAY,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that has happened.

    Attributes:
        id: "" until it is written. Orders entries by the time at which they were written.
        at: unix seconds at which it happened. An end that comes with time may be written a little later.
        kind: one of KINDS.
        user: the account; "" where it concerns none.
        instance: the id of the instance that it has happened to.
        browser: of that instance, or of the request that was refused.
        address: the same.
        code: for programs: the error code of a refusal, the reason of an end; "" otherwise.
        words: for people: an operator's reason, what was changed, or which life of the app is over.
        actor: who has done it: "" for the account itself; else "console admin", "REST <identifier>", "API" or SERVER.
        by: the id of the instance that has displaced this one, signed it out or disowned it.
    """

    id: str
    at: float
    kind: str
    user: str = ""
    instance: str = ""
    browser: str = ""
    address: str = ""
    code: str = ""
    words: str = ""
    actor: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries to find; "", an empty set and None mean any.

    Attributes:
        since: unix seconds; entries that were written then or later.
        until: unix seconds; entries that were written earlier.
    """

    user: str = ""
    kinds: frozenset[str] = frozenset()
    address: str = ""
    since: float | None = None
    until: float | None = None

    def matches(self, entry: Entry) -> bool:
        """Whether the entry is one of these, its time aside."""
        return (
            self.user in ("", entry.user)
            and (not self.kinds or entry.kind in self.kinds)
            and self.address in ("", entry.address)
        )


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries, newest first, and where older ones are: the `before` of the next call; "" where there are none.

    One call does a bounded amount of work. So a page may have few entries, or none, and still a `next`.
    """

    entries: list[Entry]
    next: str


@dataclass(frozen=True, slots=True)
class Retention:
    """How much of the audit is kept; sweeps delete the oldest entries that are more, or older.

    Attributes:
        age: seconds.
        entries: number of entries without refusals.
        refusals: number of refusals. They are counted apart, so that a flood of them pushes out nothing else.
    """

    age: float = AUDIT_DAYS * 86400.0
    entries: int = 10_000_000
    refusals: int = 1_000_000


DEFAULT_RETENTION: Final = Retention()


@dataclass(frozen=True, slots=True)
class Lane:
    """What a search found in one of several sequences of entries.

    Attributes:
        entries: newest first.
        reached: the id of the oldest entry that was looked at; "" where no older one is left.
    """

    entries: list[Entry]
    reached: str


def order(id: str) -> tuple[int, int]:
    """Return what sorts entries by their ids: microseconds of unix time, and a number that makes it unique."""
    time, _, number = id.partition("-")
    return int(time), int(number)


def merge(lanes: Iterable[Lane]) -> Lane:
    """Return one lane of several: only as far back as each of them was searched."""
    lanes = list(lanes)
    horizon = max((lane.reached for lane in lanes if lane.reached), key=order, default="")
    found = [entry for lane in lanes for entry in lane.entries if not horizon or order(entry.id) >= order(horizon)]
    return Lane(sorted(found, key=lambda entry: order(entry.id), reverse=True), horizon)


def first_page(lane: Lane, limit: int) -> AuditPage:
    """Return the newest `limit` entries of what was found, as a page."""
    if len(lane.entries) > limit:
        return AuditPage(lane.entries[:limit], lane.entries[limit - 1].id)
    return AuditPage(lane.entries, lane.reached)


def counter(entry: Entry) -> str:
    """Return the name under which an entry is counted."""
    return f"{entry.kind}:{entry.code}"


def kind_of(gone: Gone) -> str:
    """Return the kind of the entry of an end."""
    return SIGNED_OUT if gone.reason == LOGGED_OUT and gone.by is not None else _ENDS[gone.reason]


def end_of(instance: Instance, *, by: str = "", actor: str = "") -> Entry:
    """Return the entry of an instance that has ended.

    Args:
        by: the id of the instance that has displaced it or signed it out.
        actor: who has ended it; where its time was over and nobody else has, SERVER.

    Raises:
        ValueError: it has not ended, or for no reason that the store writes down.
    """
    gone = instance.gone
    if gone is None or gone.reason not in _ENDS:
        raise ValueError(f"{gone!r} is no end that is written down")
    kind = kind_of(gone)
    if kind in (EXPIRED, WENT_AWAY):
        actor = actor or SERVER
    words = EXPIRY_WORDS[instance.expiry_cause] if kind == EXPIRED else gone.words
    client = instance.client
    return Entry("", gone.at, kind, instance.user, instance.id, client.browser, client.address,
                 gone.reason, words, actor, by)  # fmt: skip


def disowning_of(instance: Instance, *, by: str, ended: int, at: float) -> Entry:
    """Return the entry NOT_ME of an evicted instance.

    Args:
        by: the id of the instance that has displaced it, if it was still there.
        ended: how many instances this has ended.
        at: unix seconds.
    """
    client, words = instance.client, f"ended {ended} instance{'' if ended == 1 else 's'}"
    return Entry("", at, NOT_ME, instance.user, instance.id, client.browser, client.address, words=words, by=by)


def start_of(instance: Instance, kind: str, at: float) -> Entry:
    """Return the entry of an instance that takes a seat, a LOGIN or RETURNED, at `at` in unix seconds."""
    client = instance.client
    return Entry("", at, kind, instance.user, instance.id, client.browser, client.address)
