"""What opens the stream of an instance, and what its tab shows.

Runs inside a transaction of `tim.store.sqlite.engine`.
"""

from __future__ import annotations

import sqlite3

from tim.model import Instance, View
from tim.rules import REMEMBERED, ended
from tim.store.sqlite import accounts, instances, messages


def attach(
    db: sqlite3.Connection, instance: Instance, node: str, limit: int, *, now: float, grace: float, action: bool = True
) -> Instance:
    """Open a stream of the instance, as its row is, at the node. Returns it as it is then: attached, or ended.

    `action` is that of `instances.opened`.
    """
    if ended(instance, now=now, grace=grace) is not None:
        return instances.come_back(db, instance, node, limit, now, grace=grace, action=action)
    attached = instances.opened(instance, node, now, action=action)
    update = "UPDATE instances SET stream = ?, node = ?, detached_at = NULL, active_at = ? WHERE id = ?"
    db.execute(update, (attached.stream, node, attached.active_at, instance.id))
    return attached


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
