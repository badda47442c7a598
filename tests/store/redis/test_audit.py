"""How a Redis finds the entries of one account, and what is deleted with them."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.actors import APP, DAY, Clock
from tests.support.redis_server import RedisCluster, RedisServer
from tim.audit import CONSOLE_SIGN_IN, REFUSED, AuditFilter, Entry
from tim.audit_export import all_entries
from tim.rules import AUDITED_KEPT
from tim.store.redis.engine import RedisStore

Open = Callable[..., RedisStore]
Servers = RedisServer | RedisCluster


def note(store: RedisStore, number: int, kind: str = CONSOLE_SIGN_IN) -> None:
    store.note(APP, Entry("", 0, kind, "alice", words=str(number)))


def test_an_account_lists_its_newest_entries(servers: Servers, open_redis: Open) -> None:
    store = open_redis(servers.url)
    for number in range(AUDITED_KEPT + 5):
        note(store, number)
    entries = all_entries(lambda before: store.audit(APP, AuditFilter("alice"), before, 1000))
    assert [int(entry.words) for entry in entries] == list(range(AUDITED_KEPT + 4, 4, -1))


def test_what_names_a_deleted_entry_goes_with_it(servers: Servers, open_redis: Open, clock: Clock) -> None:
    store = open_redis(servers.url)
    for number in range(150):  # more than one call deletes
        note(store, number)
        note(store, number, REFUSED)
    clock.advance(31 * DAY)
    store.sweep()
    assert servers.keys("*:audited:*") == set()
    with servers.client() as client:
        assert {client.xlen(key) for name in ("audit", "refusals") for key in servers.keys(f"*:{name}")} == {0}
