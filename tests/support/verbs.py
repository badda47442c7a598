"""Every verb of a store on Redis, once, in a small world where it has something to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from tests.support.actors import APP, DAY, GRACE, Clock
from tests.support.redis_server import RedisCluster, RedisServer
from tim.audit import REFUSED, AuditFilter, Entry
from tim.ends import LOGGED_OUT, Client, Gone
from tim.job import FINISHED, KICK, Job
from tim.model import AppSettings, Disowned, Instance, Limits
from tim.rules import instance_id
from tim.search import Search
from tim.state_change import Delivery, StateChange
from tim.store.redis.engine import RedisStore
from tim.store.redis.scripts import SCRIPTS

BEGIN: Final = 1_750_000_000.0
"""When the world begins, in unix seconds: so two of them are the same to the byte."""

SENDER: Final = "sender-1"
DELIVERY: Final = Delivery("e-1", "alice", "Login", BEGIN, 200, 0.1, 1)


JOB: Final = Job("job-1", KICK, "console admin", "spam", Search("a"), total=2)


@dataclass(frozen=True, slots=True)
class World:
    """Bob has never logged in, and carol has an unread message.

    Attributes:
        online: alice's, at node-1.
        closed: hers too; it has not opened its stream yet.
        due: dora's; its grace time is over, and no sweep has noticed.
    """

    store: RedisStore
    online: Instance
    closed: Instance
    due: Instance


def newcomer(name: str, user: str = "alice") -> Instance:
    """An instance to be admitted; the same one for the same name."""
    id = instance_id(APP, user, f"{name:0>32}")
    return Instance(id, APP, user, Client("Firefox", "203.0.113.7"), 0, BEGIN + 365 * DAY)


def world(servers: RedisServer | RedisCluster, store: RedisStore, clock: Clock) -> World:
    """A new one, and nothing else."""
    servers.forgets_everything()
    clock.now = BEGIN
    store.queue_events(APP, True)
    store.look_at_clock()
    due, _ = store.admit(newcomer("due", "dora"), 10)
    clock.advance(GRACE)
    store.join("node-1")
    closed, _ = store.admit(newcomer("closed"), 10)
    online, _ = store.admit(newcomer("online"), 10)
    online = store.attach(online.id, "node-1", 10).instance
    for user in ("bob", "carol"):
        store.import_account(APP, user)
    store.deliver(APP, "alice", "carol", "hello", "m-0", copy=True)
    store.open_session(APP, "handle-0", "viewer")
    clock.advance(1)
    return World(store, online, closed, due)


def _delete(at: World) -> list[Instance]:
    return at.store.delete_account(APP, "alice")


def _disown(at: World) -> Disowned:
    for name in ("owner", "thief"):
        at.store.admit(newcomer(name, "bob"), 1)
    return at.store.disown(newcomer("owner", "bob").id)


def _take_job(at: World) -> Job:
    at.store.start_job(APP, JOB)
    job = at.store.take_job(APP, "node-1", 10)
    assert job is not None
    return job


def _take(at: World) -> StateChange | None:
    return at.store.take_event(APP, "alice", SENDER, 10)


def _taken(at: World) -> str:
    """The event that is taken; none is where a clock was set."""
    event = _take(at)
    return "none" if event is None else event.id


CHANGING: Final[dict[str, Callable[[World], object]]] = {
    "admit": lambda at: at.store.admit(newcomer("new"), 2),
    "enter": lambda at: at.store.enter(newcomer("new"), 2, node="node-1"),
    "attach": lambda at: at.store.attach(at.closed.id, "node-1", 10, 0, 10),
    "detach": lambda at: at.store.detach(at.online.id, at.online.stream),
    "renew": lambda at: at.store.renew("node-1"),
    "remove": lambda at: at.store.remove(at.online.id, Gone(LOGGED_OUT, 0, Client("Chrome", "198.51.100.1"))),
    "sign_out": lambda at: at.store.sign_out(at.online.id, at.closed.id),
    "sign_out_others": lambda at: at.store.sign_out_others(at.online.id),
    "rename": lambda at: at.store.rename(at.online.id, "my laptop"),
    "vouch": lambda at: at.store.vouch(at.online.id, at.closed.id),
    "disown": _disown,
    "sweep": lambda at: at.store.sweep(),
    "append": lambda at: at.store.append(APP, at.online.id, "bob", "hello", "m-1"),
    "deliver": lambda at: at.store.deliver(APP, "alice", "bob", "hello", "m-1", copy=True),
    "mark_read": lambda at: at.store.mark_read(APP, "carol", 1),
    "kick_account": lambda at: at.store.kick_account(APP, "alice"),
    "delete_account": _delete,
    "block": lambda at: at.store.block(APP, "alice", BEGIN + 365 * DAY, "spam", "console admin"),
    "unblock": lambda at: (
        at.store.block(APP, "bob", None, "", "console admin"),
        at.store.unblock(APP, "bob", "console admin"),
    ),
    "revoke": lambda at: at.store.revoke(APP, "alice", "console admin"),
    "enforce": lambda at: at.store.enforce(APP, "alice", 1, "console admin"),
    "start_job": lambda at: at.store.start_job(APP, JOB),
    "take_job": _take_job,
    "save_job": lambda at: at.store.save_job(APP, replace(_take_job(at), state=FINISHED), "node-1", 10),
    "stop_job": lambda at: at.store.stop_job(APP, at.store.start_job(APP, JOB).id, "console admin"),
    "count_failure": lambda at: at.store.count_failure("account/alice", 20),
    "take_event": _take,
    "event_sent": lambda at: at.store.event_sent(APP, "alice", SENDER, _taken(at)),
    "event_failed": lambda at: at.store.event_failed(APP, "alice", SENDER, _taken(at), 1.0),
    "retry_events": lambda at: at.store.retry_events(APP),
    "log_deliveries": lambda at: at.store.log_deliveries(APP, [DELIVERY]),
    "save_settings": lambda at: at.store.save_settings(APP, AppSettings(Limits(3)), "console admin"),
    "open_session": lambda at: at.store.open_session(APP, "handle-1", "admin"),
    "close_session": lambda at: at.store.close_session(APP, "handle-0"),
    "note": lambda at: at.store.note(APP, Entry("", 0, REFUSED, "alice", code="70009")),
    "count": lambda at: at.store.count(APP, {"overflows": 2}),
}
"""Verbs that change something, by the name of their script."""

NOTIFYING: Final[dict[str, Callable[[World], object]]] = {"cut": lambda at: at.store.cut(at.online.id)}
"""Verbs that send a hint and change nothing, by the name of their script."""

READING: Final[dict[str, Callable[[World], object]]] = {
    "account": lambda at: at.store.account(APP, "alice"),
    "attached": lambda at: at.store.attached("node-1"),
    "audit": lambda at: at.store.audit(APP, AuditFilter()),
    "counters": lambda at: at.store.counters(APP),
    "minutes": lambda at: at.store.minutes(APP, 0),
    "get": lambda at: [at.store.get(each.id) for each in (at.online, at.closed, at.due)],
    "due_events": lambda at: at.store.due_events(APP, 100),
    "event_queue": lambda at: at.store.event_queue(APP),
    "history": lambda at: at.store.history(APP, "carol", 0, 10),
    "instances": lambda at: at.store.instances(APP, "alice"),
    "crowded": lambda at: at.store.crowded(APP, 1),
    "search": lambda at: at.store.search(APP, Search()),
    "live_accounts": lambda at: at.store.live_accounts(APP),
    "number": lambda at: at.store.number(APP, Search()),
    "online": lambda at: at.store.online(),
    "view": lambda at: [at.store.view(each.id, 10) for each in (at.online, at.closed, at.due)],
}
"""Verbs that change nothing."""

COMMANDS: Final[dict[str, Callable[[World], object]]] = {
    "job": lambda at: at.store.job(APP),
    "accounts": lambda at: at.store.accounts(APP, ["alice", "bob", "nobody"]),
    "import_account": lambda at: at.store.import_account(APP, "dave"),
    "deliveries": lambda at: at.store.deliveries(APP),
    "settings": lambda at: at.store.settings(APP),
    "session": lambda at: at.store.session(APP, "handle-0"),
}
"""Verbs without a script."""

EVERYTHING: Final = CHANGING | NOTIFYING | READING | COMMANDS

assert set(CHANGING | NOTIFYING) == {name for name, script in SCRIPTS.items() if "flags=no-writes" not in script.text}
assert set(CHANGING | NOTIFYING | READING) == set(SCRIPTS)
