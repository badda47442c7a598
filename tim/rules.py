"""The rules: which instances leave, which have ended, and what is kept how long. All are pure functions of values.

No clock, socket, lock or Flask here. Each engine uses these functions, or scripts that tests compare with them.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from tim.ends import AWAY, TYPES, Gone
from tim.errors import AccountBlocked, UserSigRevoked
from tim.model import Account, AppSettings, Choice, Instance, Message
from tim.seat_errors import AtLimit, NotDisplaced

ADMINISTRATOR: Final = "administrator"
"""The account whose UserSig admits to the REST API, by the vendor's default name. Each app has it from the start."""
LATEST: Final = 253_370_764_800
"""The end of the year 9998, in unix seconds. A later time may be no date in another time zone."""
MAX_INSTANCES: Final = 10
"""The largest "Online Web Instances" an app may have."""
EVICT: Final = "evict"
"""A login at the limit is admitted, and the oldest instance leaves."""
REJECT: Final = "reject"
"""It is refused."""
ASK: Final = "ask"
"""It chooses which instances leave."""
POLICIES: Final = (EVICT, REJECT, ASK)
"""What an app may do with a login at the limit."""
SHARDS: Final = 64
"""Shards of a store. Each account lies in one, and each shard may lie on a server of its own."""
REMEMBERED: Final = 7 * 86400
"""Seconds for which the end of an instance, and a message, are kept: the vendor's default for messages. It is also the
longest life of a tab's cookie that is not renewed."""

ENDS_KEPT: Final = 500
"""Number of ended instances that are kept of one account, the newest; an older one becomes UNKNOWN. Of more that ended
within NOT_ME_LIFE the oldest are kept: later logins do not take "that wasn't me" from an evicted owner. As many
are kept of instances that are away, separately, so that later ends do not displace them."""
EARLY_KEPT: Final = 100
"""Number of UserSigs of one account that are remembered because they were used before their date, the newest. A kick
revokes them one by one."""
AUDITED_KEPT: Final = 1000
"""Number of entries of the audit, the newest, that are found by their account without a search."""
MINUTES_KEPT: Final = 2 * 3600
"""Seconds for which is kept what was counted in each minute."""
NOT_ME_LIFE: Final = 600
"""Seconds for which the account of an evicted instance can say "that wasn't me" of the login that displaced it."""
WINDOW: Final = 60
"""Seconds within which failed attempts are counted together."""
PAUSE: Final = 60
"""Seconds for which an account or address has to wait after one failure too many."""

SIGN_IN_LIFE: Final = 12 * 3600
"""Seconds after which an operator of the console has to sign in again."""
SIGN_IN_FAILURES: Final = 10
"""Tokens of the console that may fail in a minute from one address; the next failure starts a pause."""

NEWEST: Final = 2**53 - 1
"""Stands for the number of the newest message of a log: the largest integer that a double holds exactly."""
MINUTE: Final = 60
"""Seconds in which the messages of one instance are counted together. A message by REST, which no instance sends, is
recognised as a repetition within this time."""
MAX_LOG: Final = 4 * 1024 * 1024
"""Largest size of the log of one account in bytes. The oldest messages are deleted to make room."""
MESSAGE_OVERHEAD: Final = 256
"""Bytes that a message takes in a log in addition to its text."""

EVENT_LIFE: Final = 86400
"""Seconds for which attempts are made to deliver an event to the webhook."""
ACCOUNT_EVENTS: Final = 1000
"""Number of events of one account that wait for the webhook; its oldest one makes room."""
EVENTS_KEPT: Final = 1_000_000
"""Number of events of an app that wait for the webhook. In a full queue, the oldest event of the same account makes
room. With Redis, each shard has an equal part of it."""
LONGEST_PAUSE: Final = 600
"""Largest number of seconds between two attempts to deliver an event."""
DELIVERIES_KEPT: Final = 100
"""Number of attempts in the log of deliveries, the newest."""


def leaving(live: Iterable[Instance], limit: int) -> list[Instance]:
    """Return the instances that must leave so that one more fits under `limit`, in the order of leaving.

    Detached ones leave first, because a closed or sleeping tab must not outrank an online one; then the oldest
    generation. The newcomer is not among them: it is always admitted.
    """
    order = sorted(live, key=lambda instance: (instance.detached_at is None, instance.generation))
    return order[: max(0, len(order) + 1 - limit)]


def making_room(live: Sequence[Instance], limit: int, policy: str, choice: Choice | None = None) -> list[Instance]:
    """Return the instances that leave so that one more fits under `limit`, in the order of leaving.

    By EVICT those of `leaving`; by REJECT none; by ASK those of the choice. A choice from another list than `live` is
    none.

    Args:
        live: the live instances of the account, oldest generation first.

    Raises:
        AtLimit: one more does not fit, whoever leaves by the policy.
    """
    if policy == EVICT:
        return leaving(live, limit)
    if policy not in POLICIES:
        raise ValueError(f"{policy!r} is no policy")
    chosen: list[Instance] = []
    if policy == ASK and choice is not None and choice.seen == tuple(instance.id for instance in live):
        chosen = [instance for instance in live if instance.id in choice.ending]
    if len(live) - len(chosen) >= limit:
        raise AtLimit(live, limit)
    return chosen


def ended(instance: Instance, *, now: float, grace: float) -> Gone | None:
    """Return how an instance has ended by `now`, written to the store or not; None where it is live.

    `grace` is the number of seconds for which a detached instance keeps its seat.
    """
    if instance.gone is not None:
        return instance.gone
    ends_at = instance.ends_at
    away_at = float("inf") if instance.detached_at is None else instance.detached_at + grace
    if min(ends_at, away_at) > now:
        return None
    if ends_at <= away_at:
        return Gone(TYPES.KICKED_OUT_USERSIG_EXPIRED, ends_at)
    return Gone(AWAY, away_at)


def with_lives(newcomer: Instance, settings: AppSettings) -> Instance:
    """Return the newcomer with the lives that the app gives to a login from its `since` on."""
    if not (settings.session_life or settings.idle_life):
        return newcomer
    lasts_until = settings.session_life and newcomer.since + settings.session_life
    return replace(newcomer, lasts_until=lasts_until, idle_life=settings.idle_life)


def displaced_by(live: Sequence[Instance], away_at: float) -> Gone:
    """Return the end of an instance that lost its seat at `away_at` and finds none: the newest of `live` has it."""
    newest = max(live, key=lambda instance: instance.generation)
    return Gone(TYPES.KICKED_OUT_MULT_ACCOUNT, max(newest.since, away_at), newest.client)


def newcomers(this: Instance, instances: Iterable[Instance]) -> list[Instance]:
    """Return those that logged in after `this` one and that nobody has said "it was me" of, oldest first.

    Only `this` one or an older one says so for it: a younger one may be a stranger's itself.

    Args:
        instances: the live ones of its account.
    """
    younger = [each for each in instances if each.ordinal > this.ordinal]
    unknown = [each for each in younger if not 0 < each.vouched <= this.ordinal]
    return sorted(unknown, key=lambda instance: instance.ordinal)


def check_displaced(gone: Gone | None, now: float) -> None:
    """Check that an instance with this end can say "that wasn't me" at `now` of the login that has displaced it.

    Raises:
        NotDisplaced.
    """
    if gone is None or gone.reason != TYPES.KICKED_OUT_MULT_ACCOUNT or gone.by is None:
        raise NotDisplaced(late=False)
    if gone.at + NOT_ME_LIFE <= now:
        raise NotDisplaced(late=True)


def said_since(displaced: Instance, said_at: float) -> bool:
    """Return whether another instance has said "that wasn't me" since this one was displaced.

    Args:
        said_at: unix seconds at which one of its account has said so last; 0 for never.
    """
    return displaced.gone is not None and displaced.gone.at <= said_at


def disowned(displaced: Instance, instances: Iterable[Instance], said_at: float = 0) -> list[Instance]:
    """Return those that "that wasn't me" of a displaced instance ends, in the order of their logins: the younger ones.

    So no instance can end an older one. Where `said_since`, none that logged in after that either, as it had a new
    UserSig: two sides that press in turns cannot keep each other out, however many evicted tabs one of them has.

    Args:
        instances: of its account, live and AWAY.
        said_at: as in `said_since`.
    """
    until = said_at if said_since(displaced, said_at) else float("inf")
    younger = [each for each in instances if each.ordinal > displaced.ordinal and each.since <= until]
    return sorted(younger, key=lambda each: each.ordinal)


def displacer(displaced: Instance, younger: Iterable[Instance]) -> str:
    """Return the id of the one that has displaced an instance: its login was at that instant. "" if it is not there."""
    at = None if displaced.gone is None else displaced.gone.at
    return next((each.id for each in younger if each.since == at), "")


def event_pause(failures: int) -> float:
    """Return the seconds before the next attempt to deliver an event, after `failures` attempts in a row: 1, 2, 4, …"""
    return float(min(2 ** min(failures - 1, 30), LONGEST_PAUSE))


def log_size(text: str) -> int:
    """Return the bytes that a message with this text takes in a log."""
    return len(text.encode()) + MESSAGE_OVERHEAD


def distinct_id(message: Message) -> str:
    """Return the id of a message whose own id another message of the same instance already has.

    It is derived from everything that distinguishes the two, so that a repetition gets the same id.
    """
    content = "\0".join((message.sender, message.to, message.text)).encode()
    return f"{message.id}~{hashlib.sha1(content, usedforsecurity=False).hexdigest()[:16]}"


def shard_of(app: int, user: str) -> int:
    """The shard in which an account lies: 0 to SHARDS - 1."""
    return zlib.crc32(f"{app}:{user}".encode()) % SHARDS


def instance_id(app: int, user: str, unique: str) -> str:
    """Return the id of an instance of this account; `unique` is 128 bits as hex digits, different for each."""
    return f"{unique}{shard_of(app, user):02x}"


def check_account(account: Account, made: float) -> None:
    """Check that the account lets in a UserSig made at `made`, in unix seconds, without admitting an instance.

    Raises:
        UserSigRevoked, AccountBlocked.
    """
    if made < account.revoked_before:
        raise UserSigRevoked
    if account.block is not None:
        raise AccountBlocked(account.block)
