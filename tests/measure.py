"""What the service costs. `python -m tests.measure` prints the tables of docs/costs.md, for this machine and its Redis.

Calls, commands and keys are exact. Bytes and microseconds are not: those of an idle machine are the ones to believe.
"""

from __future__ import annotations

import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Final

from redis import Redis

from tests.support.actors import APP, DAY
from tests.support.costs import costs, opened
from tests.support.engines import PATIENT
from tests.support.inside import store_of
from tests.support.redis_server import RedisServer
from tests.support.redis_watch import Cost, Watch, cost
from tests.support.server import Server
from tests.support.wire import log_in
from tim import Backend
from tim.audit import LOGIN, Entry, start_of
from tim.ends import LOGGED_OUT, Client, Gone
from tim.model import Instance
from tim.rules import NEWEST, SHARDS, instance_id, shard_of
from tim.search import Search
from tim.store.redis.engine import RedisStore
from tim.tab import HISTORY

MANY: Final = 850
"""Things of a kind among which what they share is divided; such that Redis is never just enlarging a table."""
NODE: Final = "a-node"


@dataclass(frozen=True, slots=True)
class Kept:
    """What one more takes in a Redis."""

    keys: int
    bytes: int


def kept() -> Iterator[tuple[str, Kept]]:
    """What the store keeps, in words, and what one of it takes."""
    with _store() as (redis, store):
        held = (0, 0)
        audited = False

        def each(number: int) -> Kept:
            nonlocal held
            _a_minute_passes(redis)
            if not audited:
                _is_not_audited(redis)
            before, held = held, (redis.dbsize(), _bytes(redis))
            return Kept(round((held[0] - before[0]) / number), round((held[1] - before[1]) / number))

        users = list(islice(_users(), MANY))
        each(1)
        for user in users:
            store.import_account(APP, user)
        yield "An account, for ever", each(MANY)
        tabs = [_enters(store, user) for user in users]
        yield "A tab that is logged in", each(MANY)
        writers = [_enters(store, user) for user in users]
        for tab in tabs:
            store.detach(tab.id, tab.stream)
        yield "A tab that has ended, for 7 days, at most 500 of an account", each(MANY)
        for writer in writers:
            _says(store, writer, 32)
        yield "The log of an account, until 7 days after its last message", each(MANY)
        for size, words in ((32, "32 bytes"), (1024, "1 KiB")):
            for number in range(MANY):
                _says(store, writers[number % 20], size)  # none of them says too much
            yield f"A copy of a message of {words}, for 7 days", each(MANY)
        audited = True
        for user in users:
            store.note(APP, _login_of(user))
        yield "The list of an account's entries in the audit", each(MANY)
        for user in users:
            store.note(APP, _login_of(user))
        yield "An entry of the audit, for 30 days, at most 10 million", each(MANY)


def renewal(tabs: int) -> Cost:
    """What a process asks every five seconds, with so many tabs."""
    with ExitStack() as stack:
        redis = RedisServer().start()
        stack.callback(redis.kill)
        watch = stack.enter_context(Watch(redis))
        backend = Backend(redis.url, sdk_app_id=APP, secret_key="of the app", timing=PATIENT)
        stack.enter_context(closing(backend))
        watch.asked("sweep", SHARDS)  # the renewal with which it begins
        for number in range(tabs):
            tab, _ = store_of(backend).admit(_newcomer(f"user-{number}"), 1)
            backend.attach(tab.id, lambda: None)
        watch.asked()
        backend.renew()
        return cost(watch.asked())


def microseconds() -> dict[str, float]:
    """What one call takes of the time of a Redis, with all that the network takes of it, by its name."""
    with _store() as (redis, store):
        took: dict[str, float] = {}

        def each(name: str, act: Callable[[int], object], number: int = MANY) -> None:
            began = _busy(redis)
            for n in range(number):
                act(n)
            took[name] = (_busy(redis) - began) / number * 1e6

        users = list(islice(_users(), MANY))
        for user in users:
            _enters(store, user)
        tabs = [_newcomer(user) for user in users]
        each("admit", lambda n: store.admit(tabs[n], 1))
        each("attach", lambda n: store.attach(tabs[n].id, NODE, 1, NEWEST, HISTORY))
        pages = [_newcomer(f"page-{number}") for number in range(MANY)]
        each("enter", lambda n: store.enter(pages[n], 1, node=NODE, most=HISTORY))
        each("renewal", lambda n: (store.renew(NODE), store.sweep()), 100)
        each("append", lambda n: _says(store, tabs[n], 32))
        each("deliver", lambda n: store.deliver(APP, "x", users[n], "y" * 32, secrets.token_hex(16), copy=False))
        each("mark_read", lambda n: store.mark_read(APP, users[n], 1))
        each("history", lambda n: store.history(APP, users[n], 0, 100))
        each("get", lambda n: store.get(tabs[n].id))
        each("account", lambda n: store.account(APP, users[n]))
        each("view", lambda n: store.view(tabs[n].id, HISTORY))
        each("instances", lambda n: store.instances(APP, users[n]))
        each("detach", lambda n: store.detach(tabs[n].id, 1))
        each("remove", lambda n: store.remove(tabs[n].id, Gone(LOGGED_OUT, 0)))
        for user in users:
            _enters(store, user)
        each("kick_account", lambda n: store.kick_account(APP, users[n]))
        each("count_failure", lambda n: store.count_failure(users[n], 20))
        each("HEXISTS", lambda n: store.accounts(APP, [users[n]]))
        each("note", lambda n: store.note(APP, _login_of(users[n])))
        whole_service: dict[str, Callable[[int], object]] = {
            "counters": lambda _: store.counters(APP),
            "event_queue": lambda _: store.event_queue(APP),
            "number": lambda _: store.number(APP, Search()),
            "search": lambda _: store.search(APP, Search()),
            "online": lambda _: store.online(),
        }
        for name, act in whole_service.items():
            each(name, act, 50)
            took[name] /= SHARDS
        took["ZREM"] = took["GET"] = took["HEXISTS"]
        took["append"] -= took["HEXISTS"]
        return took


def process(tabs: int, home: Path) -> tuple[float, float]:
    """MiB that a process takes without tabs, and KiB more for each tab that is open."""
    with ExitStack() as stack:
        redis = RedisServer().start()
        stack.callback(redis.kill)
        server = Server(home, gevent=True, STORE=redis.url)
        stack.callback(server.stop)
        server.start()
        log_in(server, "first").gets()
        worker = Path(f"/proc/{server.pid()}/task/{server.pid()}/children").read_text().split()[0]
        empty = _resident(worker)
        lines = [opened(log_in(server, f"user-{number}")) for number in range(tabs)]
        full = _resident(worker)
        assert len(lines) == tabs
        return empty / 1024, (full - empty) / tabs


def _resident(pid: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


@contextmanager
def _store() -> Iterator[tuple[Redis, RedisStore]]:
    """A store of its own and a client of its Redis, with a node that has joined."""
    server = RedisServer().start()
    try:
        with server.client() as redis, closing(RedisStore(server.url, grace=60)) as store:
            store.join(NODE)
            store.sweep()
            yield redis, store
    finally:
        server.kill()


def _users() -> Iterator[str]:
    """Accounts of one shard, which is as full as in a large service."""
    names = (f"user-{number:08d}" for number in count())
    return (name for name in names if shard_of(APP, name) == 0)


def _newcomer(user: str) -> Instance:
    id = instance_id(APP, user, secrets.token_hex(16))
    return Instance(id, APP, user, Client("Chrome 156 on Windows", "203.0.113.7"), 0, time.time() + 7 * DAY)


def _enters(store: RedisStore, user: str) -> Instance:
    tab, _ = store.admit(_newcomer(user), 1)
    return store.attach(tab.id, NODE, 1).instance


def _says(store: RedisStore, tab: Instance, size: int) -> None:
    """To itself, so that there is one copy."""
    store.append(APP, tab.id, tab.user, "x" * size, secrets.token_hex(16))


def _a_minute_passes(redis: Redis) -> None:
    """What is kept of the times at which an instance has sent has gone, and so have replies."""
    for name in ("rate", "reply"):
        for key in redis.scan_iter(f"*:{name}:*"):
            redis.delete(key)


def _is_not_audited(redis: Redis) -> None:
    """The audit has a row of its own in the table."""
    for name in ("audit", "audited:*", "minute:*"):
        for key in redis.scan_iter(f"tim:*:{name}"):
            redis.delete(key)


def _login_of(user: str) -> Entry:
    tab = _newcomer(user)
    return start_of(tab, LOGIN, 0)


def _bytes(redis: Redis) -> int:
    """What the server has allocated, with no client but this one, as each has buffers."""
    redis.client_kill_filter(_type="normal", skipme=True)
    return int(redis.info("memory")["used_memory"])


def _busy(redis: Redis) -> float:
    """Seconds that the server has worked so far."""
    used = redis.info("cpu")
    return float(used["used_cpu_sys"] + used["used_cpu_user"])


def main() -> None:
    say = sys.stdout.write
    with tempfile.TemporaryDirectory() as home:
        # The quickest, as the others shared the machine with somebody.
        rounds = [microseconds() for _ in range(5)]
        took = {name: min(each[name] for each in rounds) for name in rounds[0]}
        say("| what | calls to Redis | commands in their scripts | its time |\n| --- | --- | --- | --- |\n")
        for what, its in costs(Path(home)):
            time_taken = sum(took[name] * times for name, times in its.calls.items())
            say(f"| {what} | {its} | {its.within} | {round(time_taken, -1):.0f} µs |\n")
        for tabs in (0, 1000, 10_000):
            its = renewal(tabs)
            time_taken = round(took["renewal"], -1)
            say(f"| A node with {tabs} tabs, every 5 s | {its} | {its.within} | {time_taken:.0f} µs |\n")
        say("\n| what | keys | bytes |\n| --- | --- | --- |\n")
        for what, one in kept():
            say(f"| {what} | {one.keys} | {one.bytes} |\n")
        empty, each = process(500, Path(home) / "process")
        say(f"\nA node takes {empty:.0f} MiB, and {each:.0f} KiB for each tab.\n\n")
        for name, us in took.items():
            say(f"{name}: {us:.0f} µs\n")


if __name__ == "__main__":
    main()
