"""The distributed store: one Redis or a cluster, for any number of nodes on any number of machines.

Every verb that decides is one script in `lua/`, run by the server that holds the shard of the account. A script runs
alone, so the verbs on an account happen one after the other. `tim.store.base` says what each verb promises.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from dataclasses import astuple
from typing import Any

from tim.audit import DEFAULT_RETENTION, Retention
from tim.ends import Gone
from tim.model import Choice, Disowned, Instance, View, unknown_instance
from tim.rules import EVICT, NEWEST, SHARDS, shard_of
from tim.store.hints import Hint
from tim.store.redis.audit import Audit
from tim.store.redis.blocks import Blocks
from tim.store.redis.connection import Connection
from tim.store.redis.decode import instance_of, instances_of, seconds, us, view_of
from tim.store.redis.events import Events
from tim.store.redis.jobs import Jobs
from tim.store.redis.listener import Listener
from tim.store.redis.listing import Listing
from tim.store.redis.messages import Messages
from tim.store.redis.scripts import EXACT, Scripts, call_id
from tim.store.redis.settings import Settings
from tim.store.redis.shards import account_key, key, shard_of_instance
from tim.store.redis.sockets import Words
from tim.timing import DEFAULT, Timing


class RedisStore:
    """The verbs of `tim.store.base.Store` on the Redis at `url`, a single server or one of a cluster.

    Raises:
        SettingError: it cannot be reached, or could not keep the promises of a store.
    """

    def __init__(
        self, url: str, *, grace: float, timing: Timing = DEFAULT, retention: Retention = DEFAULT_RETENTION
    ) -> None:
        self._timing = timing
        self._retention = retention
        self._connection = Connection(url, timing)
        self._scripts = Scripts(self._connection, grace)
        self._messages = Messages(self._connection, self._scripts, timing)
        self.append, self.deliver, self.history = self._messages.append, self._messages.deliver, self._messages.history
        events = Events(self._connection, self._scripts)
        self.queue_events = events.switch
        self.due_events = events.due
        self.take_event = events.take
        self.event_sent = events.sent
        self.event_failed = events.failed
        self.retry_events = events.retry
        self.event_queue = events.queue
        self.log_deliveries = events.log
        self.deliveries = events.deliveries
        settings = Settings(self._connection, self._scripts)
        self.settings = settings.find
        self.save_settings = settings.save
        listing = Listing(self._scripts)
        self.search, self.number = listing.search, listing.number
        self.live_accounts = listing.live_accounts
        self.crowded, self.enforce = listing.crowded, listing.enforce
        jobs = Jobs(self._connection, self._scripts)
        self.job, self.start_job, self.stop_job = jobs.find, jobs.start, jobs.stop
        self.take_job, self.save_job = jobs.take, jobs.save
        blocks = Blocks(self._scripts)
        self.block = blocks.block
        self.unblock = blocks.unblock
        self.revoke = blocks.revoke
        self.account = blocks.account
        audit = Audit(self._scripts)
        self.note = audit.note
        self.audit = audit.page
        self.count = audit.count
        self.counters = audit.counters
        self.minutes = audit.minutes
        self._listener: Listener | None = None

    def now(self) -> float:
        return self._connection.now()

    def look_at_clock(self) -> None:
        """Correct `now`: a clock of Redis may have been set, and the clock of this node drifts."""
        self._connection.look_at_clocks()

    def join(self, node: str) -> None:
        self._scripts.everywhere_or_fail("renew", node, us(self._timing.lease), 1)

    def listen(self, node: str, receive: Callable[[Hint], None], missed: Callable[[], None]) -> None:
        self._scripts.set_node(node, missed)
        self._listener = Listener(self._connection, node, receive, missed, self._timing)

    def renew(self, node: str, delivered: Collection[str] = ()) -> list[Instance]:
        self.look_at_clock()
        by_shard: dict[int, list[str]] = defaultdict(list)
        for id in delivered:
            by_shard[shard_of_instance(id)].append(id)
        # A shard that does not answer must not hold up the others. It has forgotten the node if it is away for long.
        replies = self._scripts.everywhere("renew", node, us(self._timing.lease), 0, more=by_shard)
        return [instance for reply in replies if reply for instance in instances_of(reply[0])]

    def attached(self, node: str) -> dict[str, int]:
        replies = self._scripts.everywhere_or_fail("attached", node)
        return {id: int(stream) for [streams] in replies for id, stream in streams}

    def online(self) -> dict[str, int]:
        counted: Counter[str] = Counter()
        for [counts] in self._scripts.everywhere_or_fail("online"):
            counted.update({node: int(number) for node, number in counts})
        return dict(+counted)

    def sweep(self) -> list[Instance]:
        ended: list[Instance] = []
        unfinished: list[tuple[int, list[Any]]] = []
        kept = (us(self._retention.age), self._retention.entries // SHARDS, self._retention.refusals // SHARDS)
        again = True
        while again:
            again = False
            unfinished.clear()
            replies = self._scripts.everywhere("sweep", us(self._timing.lease), us(self._timing.outbox_age), *kept)
            for shard, reply in enumerate(replies):
                if reply is not None:
                    more, found, entries = reply
                    again = again or bool(more)
                    ended += instances_of(found)
                    unfinished += [(shard, entry) for entry in entries]
        self._messages.finish(unfinished)
        return ended

    def admit(
        self,
        newcomer: Instance,
        limit: int,
        made: float = EXACT,
        policy: str = EVICT,
        choice: Choice | None = None,
    ) -> tuple[Instance, list[Instance]]:
        words = (*_login(newcomer, limit, made, policy), *_chosen(choice))
        admitted, evicted = self._scripts.call(shard_of(newcomer.app, newcomer.user), "admit", *words)
        return instance_of(admitted), instances_of(evicted)

    def enter(
        self,
        newcomer: Instance,
        limit: int,
        made: float = EXACT,
        policy: str = EVICT,
        *,
        node: str,
        most: int = 0,
    ) -> tuple[View, list[Instance]]:
        words = (*_login(newcomer, limit, made, policy), node, most)
        view, returned, evicted = self._scripts.call(shard_of(newcomer.app, newcomer.user), "enter", *words)
        return view_of(view, returned=bool(returned)), instances_of(evicted)

    def attach(self, id: str, node: str, limit: int, after: int = NEWEST, most: int = 0) -> View:
        view, returned = self._scripts.call(shard_of_instance(id), "attach", id, node, limit, after, most)
        return view_of(view, returned=bool(returned))

    def attach_again(self, id: str, node: str, limit: int, after: int) -> Instance | None:
        [again] = self._scripts.call(shard_of_instance(id), "attach", id, node, limit, 0, 0, after, call_id())
        return instance_of(again) if again else None

    def detach(self, id: str, stream: int) -> bool:
        [detached] = self._scripts.call(shard_of_instance(id), "detach", id, stream)
        return bool(detached)

    def cut(self, id: str) -> Instance | None:
        [online] = self._scripts.call(shard_of_instance(id), "cut", id)
        return instance_of(online) if online else None

    def remove(self, id: str, gone: Gone, stream: int | None = None, actor: str = "") -> Instance | None:
        by = () if gone.by is None else astuple(gone.by)
        fence = "" if stream is None else stream
        words = (id, gone.reason, fence, actor, gone.words, *by)
        [removed] = self._scripts.call(shard_of_instance(id), "remove", *words)
        return instance_of(removed) if removed else None

    def sign_out(self, id: str, other: str) -> Instance | None:
        [ended] = self._scripts.call(shard_of_instance(id), "sign_out", id, other)
        return instance_of(ended) if ended else None

    def sign_out_others(self, id: str) -> list[Instance]:
        [ended] = self._scripts.call(shard_of_instance(id), "sign_out_others", id, call_id())
        return instances_of(ended)

    def rename(self, id: str, name: str) -> Instance:
        [renamed] = self._scripts.call(shard_of_instance(id), "rename", id, name, call_id())
        return instance_of(renamed)

    def vouch(self, id: str, other: str) -> Instance | None:
        [vouched] = self._scripts.call(shard_of_instance(id), "vouch", id, other)
        return instance_of(vouched) if vouched else None

    def disown(self, id: str) -> Disowned:
        left, ended, again = self._scripts.call(shard_of_instance(id), "disown", id, call_id())
        return Disowned(seconds(left), instances_of(ended), bool(again))

    def get(self, id: str) -> Instance:
        now, found = self._scripts.call(shard_of_instance(id), "get", id)
        if not found:
            return unknown_instance(id, seconds(now))
        return instance_of(found)

    def view(self, id: str, most: int) -> View:
        [view] = self._scripts.call(shard_of_instance(id), "view", id, most)
        return view_of(view)

    def instances(self, app: int, user: str) -> list[Instance]:
        [found] = self._scripts.call(shard_of(app, user), "instances", app, user)
        return instances_of(found)

    def mark_read(self, app: int, user: str, seq: int) -> None:
        self._scripts.call(shard_of(app, user), "mark_read", app, user, seq)

    def import_account(self, app: int, user: str) -> None:
        self._connection.command(shard_of(app, user), "HSET", account_key(app, user), "exists", 1)

    def accounts(self, app: int, users: Collection[str]) -> set[str]:
        return {user for user in users if self._messages.exists(app, user)}

    def kick_account(self, app: int, user: str, actor: str = "") -> tuple[float, list[Instance]]:
        left, ended = self._scripts.call(shard_of(app, user), "kick_account", app, user, actor, call_id())
        return seconds(left), instances_of(ended)

    def delete_account(self, app: int, user: str, actor: str = "") -> list[Instance]:
        [ended] = self._scripts.call(shard_of(app, user), "delete_account", app, user, actor, call_id())
        return instances_of(ended)

    def count_failure(self, name: str, most: int) -> int:
        [left] = self._scripts.call(shard_of(0, name), "count_failure", name, most, call_id())
        return math.ceil(int(left) / 1000)

    def open_session(self, app: int, handle: str, role: str, address: str = "") -> None:
        self._scripts.call(shard_of(app, handle), "open_session", app, handle, role, address, call_id())

    def session(self, app: int, handle: str) -> str | None:
        shard = shard_of(app, handle)
        role: str | None = self._connection.command(shard, "GET", key(shard, "session", app, handle))
        return role

    def close_session(self, app: int, handle: str) -> None:
        self._scripts.call(shard_of(app, handle), "close_session", app, handle)

    def forget(self) -> list[Instance] | None:
        """Does nothing: this store is not in memory."""
        return None

    def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        self._connection.close()


def _login(newcomer: Instance, limit: int, made: float, policy: str) -> Words:
    """What a script is given of a login."""
    client = newcomer.client
    whom = (newcomer.id, newcomer.app, newcomer.user, client.browser, client.address, us(newcomer.expires))
    life = us(newcomer.lasts_until - newcomer.since) if newcomer.lasts_until else 0
    return (*whom, limit, int(min(made, EXACT)), newcomer.kind, life, newcomer.idle_life, policy)


def _chosen(choice: Choice | None) -> tuple[str, ...]:
    if choice is None:
        return ()
    # Text of a form that is no id may hold blanks.
    return " ".join(choice.seen), " ".join(id for id in choice.seen if id in choice.ending)
