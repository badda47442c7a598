"""How an instance takes a seat: its login, and the streams that it opens and closes."""

from __future__ import annotations

import math
from dataclasses import replace

from tim.audit import LOGIN as LOGGED_IN
from tim.audit import start_of
from tim.ends import AWAY, TYPES, Gone
from tim.errors import InstanceGone, UserSigRevoked
from tim.model import Choice, Instance, View
from tim.rules import EVICT, NEWEST, ended, making_room
from tim.state_change import LOGIN, NO_EVENT
from tim.store.sqlite import accounts, audit, blocks, events, instances, streams
from tim.store.sqlite.database import Database


class Seats:
    """The verbs of `tim.store.base.Instances` by which an instance is admitted, attached and detached.

    Args:
        grace: seconds that a detached instance keeps its seat.
    """

    def __init__(self, database: Database, grace: float) -> None:
        self._db = database.connection
        self._transaction = database.transaction
        self._grace = grace

    def admit(
        self,
        newcomer: Instance,
        limit: int,
        made: float = math.inf,
        policy: str = EVICT,
        choice: Choice | None = None,
    ) -> tuple[Instance, list[Instance]]:
        with self._transaction(durable=False) as now:
            known = instances.find(self._db, newcomer.id)
            if known is not None:
                return known, []
            admitted, evicted, _ = self._admit(newcomer, limit, made, policy, choice, now=now)
            return admitted, evicted

    def enter(
        self,
        newcomer: Instance,
        limit: int,
        made: float = math.inf,
        policy: str = EVICT,
        *,
        node: str,
        most: int = 0,
    ) -> tuple[View, list[Instance]]:
        evicted: list[Instance] = []
        with self._transaction(durable=False) as now:
            found = instances.find(self._db, newcomer.id)
            if found is None:
                at_once = node if newcomer.expires > now else ""  # a stream of one that is over is not opened
                found, evicted, live = self._admit(newcomer, limit, made, policy, None, now=now, node=at_once)
                if found.online:
                    view = streams.view(self._db, found, NEWEST, most, now=now, grace=self._grace, live=live)
                    return view, evicted
            view = self._attach(found, node, limit, NEWEST, most, now=now)
        return _unless_gone(view), evicted

    def attach(self, id: str, node: str, limit: int, after: int = NEWEST, most: int = 0) -> View:
        with self._transaction(durable=False) as now:
            found = instances.written(self._db, id, now)
            view = self._attach(found, node, limit, after, most, now=now)
        return _unless_gone(view)

    def attach_again(self, id: str, node: str, limit: int, after: int) -> Instance | None:
        with self._transaction(durable=False) as now:
            found = instances.written(self._db, id, now)
            gone = ended(found, now=now, grace=self._grace)
            # An instance that has ended for good is reported as such, whichever stream is the newest.
            if found.stream != after and (gone is None or gone.reason == AWAY):
                return None
            attached = streams.attach(self._db, found, node, limit, now=now, grace=self._grace, action=False)
            if attached.gone is None:
                return attached
        raise InstanceGone(attached)

    def detach(self, id: str, stream: int) -> bool:
        with self._transaction(durable=False) as now:
            fence = "id = ? AND stream = ? AND node <> ''"
            instances.deliver(self._db, f"{fence} AND reason IS NOT NULL", [(id, stream)], now)
            closed = f"UPDATE instances SET node = '', detached_at = ? WHERE {fence} AND reason IS NULL"
            return bool(self._db.execute(closed, (now, id, stream)).rowcount)

    def _admit(
        self,
        newcomer: Instance,
        limit: int,
        made: float,
        policy: str,
        choice: Choice | None,
        *,
        now: float,
        node: str = "",
    ) -> tuple[Instance, list[Instance], list[Instance]]:
        """Admit an instance that the store does not have; with a stream at `node`, if given.

        Returns the instance, the evicted ones, and the live ones of its account with it, oldest generation first.
        """
        app, user = newcomer.app, newcomer.user
        if accounts.is_revoked(self._db, app, user, made, newcomer.expires):
            raise UserSigRevoked
        blocks.check(self._db, app, user, now)
        if now < made < math.inf:
            accounts.note_early(self._db, app, user, made, newcomer.expires, now=now)
        live = instances.settle(self._db, app, user, now, self._grace)
        leaving = making_room(live, limit, policy, choice)
        by_newcomer = Gone(TYPES.KICKED_OUT_MULT_ACCOUNT, now, newcomer.client)
        # The event of the login counts the evicted ones.
        evicted = [instances.end(self._db, old, by_newcomer, now, NO_EVENT, by=newcomer.id) for old in leaving]
        audit.write(self._db, app, start_of(newcomer, LOGGED_IN, now), now)
        accounts.create(self._db, app, user)
        lasts_until = newcomer.lasts_until and now + round(newcomer.lasts_until - newcomer.since, 6)
        asked = replace(
            newcomer,
            since=now,
            detached_at=None if node else now,
            stream=newcomer.stream + bool(node),
            node=node,
            lasts_until=lasts_until,
            active_at=now,
        )
        admitted = instances.insert(self._db, asked)
        events.queue(self._db, admitted, LOGIN, at=now, now=now, kicked=len(evicted))
        return admitted, evicted, [*(each for each in live if each not in leaving), admitted]

    def _attach(self, found: Instance, node: str, limit: int, after: int, most: int, *, now: float) -> View:
        """The view of an instance, as its row was, with a new stream. Where it has ended, only that is in the view."""
        attached = streams.attach(self._db, found, node, limit, now=now, grace=self._grace)
        if attached.gone is not None:
            return View(attached, [], 0, 0, [])
        returned = attached.generation != found.generation
        return streams.view(self._db, attached, after, most, now=now, grace=self._grace, returned=returned)


def _unless_gone(view: View) -> View:
    """The view, once its transaction is over: what has ended meanwhile is then written down.

    Raises:
        InstanceGone: its instance has ended.
    """
    if view.instance.gone is not None:
        raise InstanceGone(view.instance)
    return view
