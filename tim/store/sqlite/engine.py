"""The embedded store: one SQLite file, one process.

Every verb is one transaction under one lock, so verbs run one after the other. `tim.store.base` has their promises.
An ended instance keeps its row, with the reason, so that a tab that connects later learns why it has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

from tim.audit import DEFAULT_RETENTION, DELETED, REVOKED, Entry, Retention
from tim.ends import AWAY, UNKNOWN, Gone
from tim.errors import InstanceGone
from tim.model import MESSAGES_A_MINUTE, Instance, Message, View
from tim.rules import NEWEST, REMEMBERED
from tim.state_change import DISCONNECT
from tim.store.hints import Hint
from tim.store.sqlite import (
    accounts,
    audit,
    blocks,
    counters,
    events,
    instances,
    listing,
    messages,
    peers,
    schema,
    seats,
    sessions,
    settings,
    streams,
)
from tim.store.sqlite.database import Database
from tim.store.sqlite.failures import Failures
from tim.store.sqlite.jobs import Jobs
from tim.store.sqlite.pace import Pace
from tim.timing import DEFAULT, Timing

SWEPT: Final = 100
"""How many instances one step of `sweep` ends: about 15 ms, in which no other verb runs."""
DELIVERED: Final = 100
"""How many instances one step of `renew` takes note of: about 2 ms, in which no other verb runs."""


class SQLiteStore:
    """A store in the file at `path`; an empty path means in memory.

    Args:
        grace: seconds that a detached instance keeps its seat.
        clock: unix seconds; the time inside the verbs.
        timing: how long what needs not be on disk at once is not.
        retention: how much of the audit is kept.

    Raises:
        SettingError: another process has the file open, or it is not a store of this service.
    """

    def __init__(
        self,
        path: str,
        *,
        grace: float,
        clock: Callable[[], float],
        timing: Timing = DEFAULT,
        retention: Retention = DEFAULT_RETENTION,
    ) -> None:
        self._grace = grace
        self._in_memory = not path
        self._retention = retention
        self._clock = clock
        self._database = Database(path, clock, timing)
        self._db = self._database.connection
        self._lock = self._database.lock  # guards the two below
        self._failures = Failures(clock)
        self._pace = Pace()
        self._transaction, self._reading = self._database.transaction, self._database.reading
        saved = settings.Settings(self._database)
        self.settings = saved.find
        self.save_settings = saved.save
        found = listing.Listing(self._database, grace)
        self.search, self.number = found.search, found.number
        self.live_accounts = found.live_accounts
        self.crowded, self.enforce = found.crowded, found.enforce
        login = seats.Seats(self._database, grace)
        self.admit, self.enter = login.admit, login.enter
        self.attach, self.attach_again, self.detach = login.attach, login.attach_again, login.detach
        jobs = Jobs(self._database)
        self.job, self.start_job, self.stop_job = jobs.find, jobs.start, jobs.stop
        self.take_job, self.save_job = jobs.take, jobs.save
        operators = blocks.Blocks(self._database, grace)
        self.block, self.unblock = operators.block, operators.unblock
        self.revoke, self.account = operators.revoke, operators.account
        account = peers.Peers(self._database, grace)
        self.sign_out, self.sign_out_others = account.sign_out, account.sign_out_others
        self.rename, self.vouch, self.disown = account.rename, account.vouch, account.disown
        queue = events.Events(self._database)
        self.queue_events = queue.switch
        self.due_events = queue.due
        self.take_event = queue.take
        self.event_sent = queue.sent
        self.event_failed = queue.failed
        self.retry_events = queue.retry
        self.event_queue = queue.queue
        self.log_deliveries = queue.log
        self.deliveries = queue.deliveries
        console = sessions.Sessions(self._database)
        self.open_session = console.open
        self.session = console.role
        self.close_session = console.close
        trail, tally = audit.Audit(self._database), counters.Counters(self._database)
        self.note, self.audit = trail.note, trail.page
        self.count, self.counters, self.minutes = tally.count, tally.totals, tally.minutes
        self._detach_all()

    def _detach_all(self) -> None:
        """Detach every instance: no stream outlives its process. Each gets a whole grace time to reconnect."""
        with self._transaction() as now:
            self._db.execute("UPDATE instances SET node = '', detached_at = ? WHERE reason IS NULL", (now,))
            instances.deliver(self._db, "reason IS NOT NULL AND node <> ''", [()], now)

    def now(self) -> float:
        return self._clock()

    def join(self, node: str) -> None:
        """Does nothing: there is one node, for as long as the file is open."""

    def listen(self, node: str, receive: Callable[[Hint], None], missed: Callable[[], None]) -> None:
        """Does nothing: no other node decides anything."""

    def attached(self, node: str) -> dict[str, int]:
        with self._reading():
            here = instances.select(self._db, "node = ? AND reason IS NULL", node)
            return {instance.id: instance.stream for instance in here}

    def online(self) -> dict[str, int]:
        with self._reading():
            counted = "SELECT node, count(*) FROM instances WHERE node <> '' AND reason IS NULL GROUP BY node"
            return dict(self._db.execute(counted).fetchall())

    def renew(self, node: str, delivered: Collection[str] = ()) -> list[Instance]:
        ids, pending = list(delivered), f"id = ? AND node = ? AND reason <> '{AWAY}'"
        for first in range(0, len(ids), DELIVERED):  # logins run in between: after a storm of them, there are many
            with self._transaction(durable=False) as now:
                instances.deliver(self._db, pending, [(id, node) for id in ids[first : first + DELIVERED]], now)
        with self._reading():
            return instances.select(self._db, "node = ? AND node <> '' AND reason IS NOT NULL", node)

    def cut(self, id: str) -> Instance | None:
        instance = self.get(id)
        return instance if instance.online else None

    def remove(self, id: str, gone: Gone, stream: int | None = None, actor: str = "") -> Instance | None:
        with self._transaction() as now:
            instance = instances.find(self._db, id)
            if instance is None or stream not in (None, instance.stream):
                return None
            action = None if stream is None else DISCONNECT  # its page was closed
            return instances.end_for_good(self._db, instance, replace(gone, at=now), self._grace, action, actor=actor)

    def sweep(self) -> list[Instance]:
        with self._transaction(durable=False) as now:
            self._db.execute(
                "DELETE FROM instances WHERE reason IS NOT NULL AND gone_at < ? AND node = ''", (now - REMEMBERED,)
            )
            messages.delete_older(self._db, now - REMEMBERED)
            sessions.delete_older(self._db, now)
            self._pace.forget(now)
            audit.delete_old(self._db, self._retention, now)
            counters.forget(self._db, now)
        found: list[Instance] = []
        while True:  # logins run in between: a minute after a start, all whose tabs have not come back end at once
            with self._transaction(durable=False) as now:
                due = instances.due(self._db, now, self._grace, SWEPT)
                over, _ = instances.end_if_due(self._db, due, now, self._grace)
            found += over
            if len(over) < SWEPT:
                return found

    def get(self, id: str) -> Instance:
        with self._reading() as now:
            return instances.at(self._db, id, now, self._grace)

    def view(self, id: str, most: int) -> View:
        with self._reading() as now:
            instance = instances.at(self._db, id, now, self._grace)
            if instance.gone is not None and instance.gone.reason != AWAY:
                raise InstanceGone(instance)
            return streams.view(self._db, instance, 0, most, now=now, grace=self._grace)

    def instances(self, app: int, user: str) -> list[Instance]:
        with self._reading() as now:
            return instances.live(self._db, app, user, now, self._grace)

    def append(
        self, app: int, id: str, to: str, text: str, message_id: str, *, most: int = MESSAGES_A_MINUTE
    ) -> tuple[Message, Message | None]:
        with self._transaction() as now:
            sender = instances.online(self._db, app, id, now, self._grace)
            message = Message(0, message_id, sender.user, to, text, now, id)
            copies = messages.append(self._db, app, message, self._pace, most)
            instances.note_action(self._db, sender, now)
            return copies

    def deliver(
        self, app: int, sender: str, to: str, text: str, message_id: str, *, copy: bool
    ) -> tuple[Message | None, Message | None]:
        with self._transaction() as now:
            message = Message(0, message_id, sender, to, text, now, "")
            return messages.deliver(self._db, app, message, copy=copy)

    def history(self, app: int, user: str, after: int, limit: int, up_to: int = NEWEST) -> list[Message]:
        with self._reading() as now:
            return messages.newest(self._db, app, user, after, limit, up_to=up_to, since=now - REMEMBERED)

    def mark_read(self, app: int, user: str, seq: int) -> None:
        with self._transaction(durable=False):
            accounts.mark_read(self._db, app, user, seq)

    def import_account(self, app: int, user: str) -> None:
        with self._transaction():
            accounts.create(self._db, app, user)

    def accounts(self, app: int, users: Collection[str]) -> set[str]:
        with self._reading():
            return {user for user in users if accounts.exists(self._db, app, user)}

    def kick_account(self, app: int, user: str, actor: str = "") -> tuple[float, list[Instance]]:
        with self._transaction() as now:
            accounts.require(self._db, app, user)
            left = accounts.revoke(self._db, app, user, now)
            audit.write(self._db, app, Entry("", now, REVOKED, user, actor=actor), now)
            return left, instances.end_all(self._db, app, user, now, self._grace, actor=actor)

    def delete_account(self, app: int, user: str, actor: str = "") -> list[Instance]:
        with self._transaction() as now:
            accounts.require(self._db, app, user)
            ended_now = instances.end_all(self._db, app, user, now, self._grace, actor=actor)
            audit.write(self._db, app, Entry("", now, DELETED, user, actor=actor), now)
            accounts.delete(self._db, app, user)
            return ended_now

    def count_failure(self, name: str, most: int) -> int:
        with self._lock:
            return self._failures.count(name, most)

    def forget(self) -> list[Instance] | None:
        if not self._in_memory:
            return None
        with self._transaction() as now:
            live = instances.select(self._db, "reason IS NULL")
            schema.empty(self._db)
            self._failures, self._pace = Failures(self._clock), Pace()
            return [replace(instance, gone=Gone(UNKNOWN, now)) for instance in live]

    def close(self) -> None:
        self._database.close()
