"""What an instance decides about itself and the other instances of its account."""

from __future__ import annotations

from dataclasses import replace

from tim.audit import REVOKED, Entry, disowning_of
from tim.ends import LOGGED_OUT, TYPES, Gone
from tim.errors import InstanceGone, NoSuchInstance
from tim.model import Disowned, Instance, unknown_instance
from tim.rules import check_displaced, disowned, displacer, said_since
from tim.store.sqlite import accounts, audit, instances
from tim.store.sqlite.database import Database


class Peers:
    """The verbs of `tim.store.base.Instances` by which one instance acts on its account."""

    def __init__(self, database: Database, grace: float) -> None:
        self._db = database.connection
        self._transaction = database.transaction
        self._grace = grace

    def sign_out(self, id: str, other: str) -> Instance | None:
        with self._transaction() as now:
            instance = self._acting(id, now)
            return self._end(instance, self._peer(instance, other), now)

    def sign_out_others(self, id: str) -> list[Instance]:
        with self._transaction() as now:
            instance = self._acting(id, now)
            others = instances.remaining(self._db, instance.app, instance.user, now, self._grace)
            ended = [self._end(instance, other, now) for other in others if other.id != id]
            return [other for other in ended if other is not None]

    def rename(self, id: str, name: str) -> Instance:
        with self._transaction() as now:
            instance = self._acting(id, now)
            self._db.execute("UPDATE instances SET name = ? WHERE id = ?", (name, id))
            return replace(instance, name=name)

    def vouch(self, id: str, other: str) -> Instance | None:
        with self._transaction() as now:
            instance = self._acting(id, now)
            known = self._peer(instance, other)
            if instances.at(self._db, other, now, self._grace).gone is not None:
                return None
            oldest = min(instance.ordinal, known.vouched or instance.ordinal)
            self._db.execute("UPDATE instances SET vouched = ? WHERE id = ?", (oldest, other))
            return instances.find(self._db, other)

    def disown(self, id: str) -> Disowned:
        with self._transaction() as now:
            this = instances.find(self._db, id)
            if this is None:
                raise InstanceGone(unknown_instance(id, now))
            if this.disowned:
                return Disowned(0, [], again=True)
            check_displaced(this.gone, now)
            said_at = instances.disowned_at(self._db, this.app, this.user)
            since = said_since(this, said_at)
            remaining = instances.remaining(self._db, this.app, this.user, now, self._grace)
            younger = disowned(this, remaining, said_at)
            if since and not younger:
                return Disowned(0, [], again=True)
            self._db.execute("UPDATE instances SET disowned = ? WHERE id = ?", (said_at if since else now, id))
            said = disowning_of(this, by=displacer(this, younger), ended=len(younger), at=now)
            audit.write(self._db, this.app, said, now)
            left = 0.0
            if not since:  # else its UserSigs of then are revoked, and later ones are none of a stranger's
                left = accounts.revoke(self._db, this.app, this.user, now)
                audit.write(self._db, this.app, Entry("", now, REVOKED, this.user), now)
            gone = Gone(TYPES.KICKED_OUT_REST_API, now, this.client)
            return Disowned(left, [instances.end(self._db, each, gone, now, by=id) for each in younger])

    def _acting(self, id: str, now: float) -> Instance:
        """The instance, which must be live, and acts now. Raises InstanceGone."""
        return instances.note_action(self._db, instances.seated(self._db, id, now, self._grace), now)

    def _peer(self, instance: Instance, other: str) -> Instance:
        """The instance `other` of the same account. Raises NoSuchInstance."""
        found = instances.find(self._db, other)
        if found is None or (found.app, found.user) != (instance.app, instance.user):
            raise NoSuchInstance
        return found

    def _end(self, by: Instance, other: Instance, now: float) -> Instance | None:
        gone = Gone(LOGGED_OUT, now, by.client)
        return instances.end_for_good(self._db, other, gone, self._grace, by=by.id)
