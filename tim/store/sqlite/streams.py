"""What opens the stream of an instance, and what its tab shows.

Runs inside a transaction of `tim.store.sqlite.engine`.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from tim.audit import RETURNED, start_of
from tim.ends import AWAY, TYPES, Gone
from tim.model import Instance, View
from tim.rules import REMEMBERED, displaced_by, ended
from tim.state_change import LOGIN, NO_EVENT
from tim.store.sqlite import accounts, audit, events, instances, messages


def attach(
    db: sqlite3.Connection, instance: Instance, node: str, limit: int, *, now: float, grace: float, action: bool = True
) -> Instance:
    """Open a stream of the instance, as its row is, at the node. Returns it as it is then: attached, or ended.

    `action` is whether its page opens it, and not the node by itself.
    """
    if ended(instance, now=now, grace=grace) is not None:
        return _come_back(db, instance, node, limit, now, grace=grace, action=action)
    attached = _opened(instance, node, now, action=action)
    update = "UPDATE instances SET stream = ?, node = ?, detached_at = NULL, active_at = ? WHERE id = ?"
    db.execute(update, (attached.stream, node, attached.active_at, instance.id))
    return attached


def _opened(instance: Instance, node: str, now: float, *, action: bool) -> Instance:
    """The instance with a new stream at the node. `action` is that of `attach`."""
    acted_at = now if action and instance.idle_life else instance.active_at
    return replace(instance, stream=instance.stream + 1, detached_at=None, node=node, active_at=acted_at)


def _come_back(
    db: sqlite3.Connection, instance: Instance, node: str, limit: int, now: float, *, grace: float, action: bool
) -> Instance:
    """Open a stream at the node of an instance that has ended, if it was AWAY and finds a free seat.

    Returns it, or how it has ended for good. `action` is that of `attach`.
    """
    gone = ended(instance, now=now, grace=grace)
    # Writes down that this one has ended, if it was not yet; the event of that is its last.
    seats = instances.settle(db, instance.app, instance.user, now, grace)
    if gone is None or gone.reason != AWAY:
        return replace(instance, gone=gone)
    if instance.ends_at <= now:
        return instances.end(db, instance, Gone(TYPES.KICKED_OUT_USERSIG_EXPIRED, instance.ends_at), now, NO_EVENT)
    if len(seats) >= limit:
        return instances.end(db, instance, displaced_by(seats, gone.at), now, NO_EVENT, by=seats[-1].id)
    db.execute("DELETE FROM instances WHERE id = ?", (instance.id,))
    returned = instances.insert(db, replace(_opened(instance, node, now, action=action), gone=None))
    audit.write(db, instance.app, start_of(instance, RETURNED, now), now)
    events.queue(db, returned, LOGIN, at=now, now=now)
    return returned


def view(
    db: sqlite3.Connection,
    instance: Instance,
    after: int,
    most: int,
    *,
    now: float,
    grace: float,
    returned: bool = False,
    live: list[Instance] | None = None,
) -> View:
    """What the tab of the instance shows, with the messages that `tim.store.base` describes for `attach`.

    `live` are the live instances of its account, where the caller knows them.
    """
    app, user = instance.app, instance.user
    newest, read_seq = accounts.cursors(db, app, user)
    if live is None:
        live = instances.live(db, app, user, now, grace)
    found = messages.newest(db, app, user, min(after, read_seq), most, up_to=newest, since=now - REMEMBERED)
    return View(instance, live, newest, read_seq, found, returned)
