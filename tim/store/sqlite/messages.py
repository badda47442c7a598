"""The table of messages: each account has a log, numbered 1, 2, 3, … without gaps.

Runs inside a transaction of `tim.store.sqlite.engine`.
"""

from __future__ import annotations

import math
import sqlite3
from dataclasses import replace
from typing import Final

from tim.errors import TooManyMessages
from tim.model import Message
from tim.rules import MAX_LOG, MINUTE, distinct_id, log_size
from tim.store.sqlite import accounts, instances
from tim.store.sqlite.pace import Pace

COLUMNS: Final = "seq, id, sender, receiver, text, time, instance"
"""In the order of the fields of a Message."""


def append(db: sqlite3.Connection, app: int, message: Message, pace: Pace, most: int) -> tuple[Message, Message | None]:
    """Write a message of an instance into the logs of its sender and its receiver, once; both copies.

    The instance may send `most` within a MINUTE.

    Raises:
        NoSuchAccount, TooManyMessages.
    """
    sender, to, now = message.sender, message.to, message.time
    found = _find(db, app, sender, message, since=-math.inf)
    if found.seq:
        # A repeated message. If the receiver has no copy now, it was deleted since.
        received = _find(db, app, to, replace(found, seq=0), since=found.time)
        return found, received if received.seq and to != sender else None
    accounts.require(db, app, to)
    wait = pace.wait(message.instance, now, most)
    if wait:
        raise TooManyMessages(wait, most)
    pace.count(message.instance, now)
    sent = _write(db, app, sender, found)
    return sent, None if to == sender else _copy(db, app, to, found)


def deliver(db: sqlite3.Connection, app: int, message: Message, *, copy: bool) -> tuple[Message | None, Message | None]:
    """Write a message that no instance sends into the log of its receiver, and where `copy` of its sender, once.

    Raises:
        NoSuchAccount.
    """
    sender, to, now = message.sender, message.to, message.time
    accounts.require(db, app, to)
    received = _find(db, app, to, message, since=now - MINUTE)
    if not received.seq:
        received = _write(db, app, to, received)
    if to == sender:
        return received, None
    own = copy and accounts.exists(db, app, sender)
    return _copy(db, app, sender, replace(received, seq=0)) if own else None, received


def newest(
    db: sqlite3.Connection, app: int, user: str, after: int, limit: int, *, up_to: int, since: float
) -> list[Message]:
    """The newest `limit` messages numbered above `after` and at most `up_to`, of the time `since` or later, oldest
    first."""
    if not limit or after >= up_to:
        return []
    rows = db.execute(
        f"SELECT {COLUMNS} FROM messages WHERE app = ? AND user = ? AND seq > ? AND seq <= ? AND time >= ?"
        " ORDER BY seq DESC LIMIT ?",
        (app, user, after, up_to, since, limit),
    )
    return [Message(*row) for row in rows][::-1]


def delete_older(db: sqlite3.Connection, before: float) -> None:
    """Delete what is older than `before`, in unix seconds."""
    _subtract_bytes(
        db, db.execute("DELETE FROM messages WHERE time < ? RETURNING app, user, text", (before,)).fetchall()
    )


def _find(db: sqlite3.Connection, app: int, user: str, message: Message, *, since: float) -> Message:
    """The copy of `message` in the account's log, or `message` itself under the id it is to be written with.

    A copy has the same sender, receiver, text, instance and id, and is not older than `since` (unix seconds). A message
    without a copy has the number 0. Where another message has its id, it gets one of its own.
    """
    first = _newest_of(db, app, user, message)
    if first is None or _is_copy(first, message, since):
        return first or message
    apart = replace(message, id=distinct_id(message))
    second = _newest_of(db, app, user, apart)
    if second is not None and _is_copy(second, apart, since):
        return second
    return apart if first.time >= since else message


def _copy(db: sqlite3.Connection, app: int, user: str, message: Message) -> Message:
    """The copy of a message, without a number yet, that stands in another log; written now if this log has none."""
    found = _find(db, app, user, message, since=message.time)
    return found if found.seq else _write(db, app, user, found)


def _write(db: sqlite3.Connection, app: int, user: str, message: Message) -> Message:
    """Add `message` to the log of an account that exists. Returns the copy with its number. The oldest make room."""
    is_read = user == message.sender or instances.is_online(db, app, user, message.time)
    seq, size = db.execute("SELECT seq, bytes FROM accounts WHERE app = ? AND user = ?", (app, user)).fetchone()
    seq, size = seq + 1, size + log_size(message.text)
    db.execute(
        "UPDATE accounts SET seq = ?, read_seq = iif(?, ?, read_seq), bytes = ? WHERE app = ? AND user = ?",
        (seq, is_read, seq, size, app, user),
    )
    db.execute(
        "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (app, user, seq, message.id, message.sender, message.to, message.text, message.time, message.instance),
    )
    if size > MAX_LOG:
        _make_room(db, app, user, size - MAX_LOG)
    return replace(message, seq=seq)


def _make_room(db: sqlite3.Connection, app: int, user: str, excess: int) -> None:
    """Delete the oldest messages of a log, `excess` bytes of them or a little more."""
    oldest = db.execute("SELECT seq, text FROM messages WHERE app = ? AND user = ? ORDER BY seq", (app, user))
    last = 0
    while excess > 0:
        last, text = oldest.fetchone()
        excess -= log_size(text)
    oldest.close()
    gone = "DELETE FROM messages WHERE app = ? AND user = ? AND seq <= ? RETURNING app, user, text"
    _subtract_bytes(db, db.execute(gone, (app, user, last)).fetchall())


def _subtract_bytes(db: sqlite3.Connection, deleted: list[sqlite3.Row]) -> None:
    db.executemany(
        "UPDATE accounts SET bytes = bytes - ? WHERE app = ? AND user = ?",
        [(log_size(row["text"]), row["app"], row["user"]) for row in deleted],
    )


def _newest_of(db: sqlite3.Connection, app: int, user: str, message: Message) -> Message | None:
    """The newest message in the account's log with the instance and id of this one."""
    # Without INDEXED BY, SQLite would walk through the whole log, as that is in this order.
    row = db.execute(
        f"SELECT {COLUMNS} FROM messages INDEXED BY messages_by_id"
        " WHERE app = ? AND user = ? AND instance = ? AND id = ? ORDER BY seq DESC LIMIT 1",
        (app, user, message.instance, message.id),
    ).fetchone()
    return None if row is None else Message(*row)


def _is_copy(found: Message, message: Message, since: float) -> bool:
    same = (found.sender, found.to, found.text) == (message.sender, message.to, message.text)
    return same and found.time >= since
