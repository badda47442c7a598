"""What every store promises of the audit: an entry for each thing that has happened, found again, kept for a while."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.actors import APP, DAY, GRACE, Clock, newcomer
from tests.support.engines import PATIENT, Engine, with_nodes
from tim.audit import (
    BLOCKED,
    CONSOLE_REFUSED,
    CONSOLE_SIGN_IN,
    CONSOLE_SIGN_OUT,
    DELETED,
    EVICTED,
    EXPIRED,
    KICKED,
    LOGIN,
    LOGOUT,
    REFUSED,
    RETURNED,
    REVOKED,
    SERVER,
    SIGNED_OUT,
    UNBLOCKED,
    WENT_AWAY,
    AuditFilter,
    Entry,
    Retention,
    counter,
    order,
)
from tim.ends import AWAY, LOGGED_OUT, TYPES, Gone
from tim.errors import InstanceGone, NoSuchAccount
from tim.model import Instance
from tim.rules import MINUTES_KEPT
from tim.store import open_store
from tim.store.base import Store

NODE = "node-1"
ALL = AuditFilter()
Keep = Callable[[Retention], Store]


@pytest.fixture
def keep(engine: Engine, tmp_path: Path, clock: Clock) -> Iterator[Keep]:
    """`keep(Retention(entries=100))`: a store that keeps so much of the audit."""
    with ExitStack() as stack:

        def opened(retention: Retention) -> Store:
            address = engine.address(tmp_path, clock)
            store = open_store(address, grace=GRACE, clock=clock, timing=PATIENT, retention=retention)
            return with_nodes(stack.enter_context(closing(store)))

        yield opened


def log_in(store: Store, clock: Clock, user: str = "alice", *, limit: int = 10, life: float = 9 * DAY) -> Instance:
    admitted, _ = store.admit(newcomer(user, browser=f"{user}'s", expires=clock() + life), limit)
    return store.attach(admitted.id, NODE, limit).instance


def everything(store: Store, where: AuditFilter = ALL, limit: int = 50) -> list[Entry]:
    """All that matches, newest first, page by page."""
    found: list[Entry] = []
    before = ""
    while True:
        page = store.audit(APP, where, before, limit)
        assert len(page.entries) <= limit
        found += page.entries
        before = page.next
        if not before:
            return found


def last(store: Store, *, where: AuditFilter = ALL) -> Entry:
    """The newest entry, its id aside."""
    return replace(store.audit(APP, where, limit=1).entries[0], id="")


def about(instance: Instance, kind: str, at: float, code: str = "", **more: str) -> Entry:
    client = instance.client
    return Entry("", at, kind, instance.user, instance.id, client.browser, client.address, code, **more)


def note(store: Store, number: int, *, kind: str = CONSOLE_SIGN_IN, user: str = "", address: str = "") -> None:
    store.note(APP, Entry("", 0, kind, user, words=str(number), address=address))


# An entry for each change


def test_a_login_has_an_entry_and_a_repeated_one_has_no_second(store: Store, clock: Clock) -> None:
    asked = newcomer(expires=clock() + DAY)
    for _ in range(2):
        admitted, _ = store.admit(asked, 1)
    found = everything(store)
    assert [replace(entry, id="") for entry in found] == [about(admitted, LOGIN, clock())]


def test_an_eviction_tells_which_login_has_caused_it(store: Store, clock: Clock) -> None:
    old = log_in(store, clock)
    clock.advance(5)
    new = log_in(store, clock, limit=1)
    assert {replace(entry, id="") for entry in everything(store)} == {
        about(old, LOGIN, clock() - 5),
        about(old, EVICTED, clock(), TYPES.KICKED_OUT_MULT_ACCOUNT, by=new.id),
        about(new, LOGIN, clock()),
    }


def test_a_logout_and_a_sign_out_by_another_instance_are_told_apart(store: Store, clock: Clock) -> None:
    first, second = log_in(store, clock), log_in(store, clock)
    store.sign_out(first.id, second.id)
    assert last(store) == about(second, SIGNED_OUT, clock(), LOGGED_OUT, by=first.id)
    store.remove(first.id, Gone(LOGGED_OUT, 0))
    assert last(store) == about(first, LOGOUT, clock(), LOGGED_OUT)
    assert store.remove(first.id, Gone(LOGGED_OUT, 0)) is None
    with pytest.raises(InstanceGone):
        store.attach(second.id, NODE, 10)
    assert len(everything(store)) == 4, "what changes nothing has no entry"


def test_the_sign_out_of_all_others_has_an_entry_for_each_and_a_change_of_names_has_none(
    store: Store, clock: Clock
) -> None:
    first, *others = (log_in(store, clock) for _ in range(3))
    store.rename(first.id, "my laptop")
    store.vouch(first.id, others[0].id)
    store.sign_out_others(first.id)
    assert {replace(entry, id="") for entry in everything(store)[:2]} == {
        about(other, SIGNED_OUT, clock(), LOGGED_OUT, by=first.id) for other in others
    }
    assert len(everything(store)) == 5


def test_a_kick_of_one_instance_has_its_actor_and_the_reason_that_the_account_reads(store: Store, clock: Clock) -> None:
    alice = log_in(store, clock)
    gone = Gone(TYPES.KICKED_OUT_REST_API, clock(), words="two accounts, one person")
    ended = store.remove(alice.id, replace(gone, at=0), actor="console admin")
    assert ended is not None
    assert ended.gone == store.get(alice.id).gone == gone
    assert [each.gone for each in store.renew(NODE)] == [gone]
    expected = about(alice, KICKED, clock(), gone.reason, words=gone.words, actor="console admin")
    assert last(store) == expected


def test_a_kick_of_an_account_tells_of_each_instance_and_of_the_revocation(store: Store, clock: Clock) -> None:
    tabs = [log_in(store, clock) for _ in range(2)]
    store.kick_account(APP, "alice", "API")
    ends = {about(tab, KICKED, clock(), TYPES.KICKED_OUT_REST_API, actor="API") for tab in tabs}
    assert {replace(entry, id="") for entry in everything(store)[:3]} == {
        Entry("", clock(), REVOKED, "alice", actor="API"),
        *ends,
    }
    with pytest.raises(NoSuchAccount):
        store.kick_account(APP, "nobody", "API")
    assert everything(store, AuditFilter("nobody")) == []


def test_a_deleted_account_keeps_its_audit(store: Store, clock: Clock) -> None:
    alice = log_in(store, clock)
    store.delete_account(APP, "alice", "REST administrator")
    found = [(entry.kind, entry.instance, entry.actor) for entry in everything(store, AuditFilter("alice"))]
    assert found == [
        (DELETED, "", "REST administrator"),
        (KICKED, alice.id, "REST administrator"),
        (LOGIN, alice.id, ""),
    ]


def test_what_time_ends_has_the_time_of_its_end_whenever_that_is_written(store: Store, clock: Clock) -> None:
    away, expires = log_in(store, clock), log_in(store, clock, life=100)
    store.detach(away.id, away.stream)
    began = clock()
    clock.advance(1000)
    store.sweep()
    assert {replace(entry, id="") for entry in everything(store)[:2]} == {
        about(away, WENT_AWAY, began + GRACE, AWAY, actor=SERVER),
        about(expires, EXPIRED, began + 100, TYPES.KICKED_OUT_USERSIG_EXPIRED, actor=SERVER),
    }


@pytest.mark.parametrize("final", [LOGGED_OUT, TYPES.KICKED_OUT_REST_API, TYPES.KICKED_OUT_USERSIG_EXPIRED])
def test_that_an_instance_was_away_is_told_also_where_it_ends_before_a_sweep(
    store: Store, clock: Clock, final: str
) -> None:
    alice, began = log_in(store, clock, life=2 * GRACE), clock()
    store.detach(alice.id, alice.stream)
    clock.advance(2 * GRACE)
    if final == LOGGED_OUT:
        store.remove(alice.id, Gone(LOGGED_OUT, 0))
    elif final == TYPES.KICKED_OUT_REST_API:
        store.kick_account(APP, "alice")
    else:
        with pytest.raises(InstanceGone):
            store.attach(alice.id, NODE, 1)
    ends = [(entry.at, entry.code) for entry in everything(store) if entry.instance == alice.id][:2]
    assert ends == [(clock(), final), (began + GRACE, AWAY)]


def test_an_instance_that_was_away_returns_or_is_displaced(store: Store, clock: Clock) -> None:
    alice = log_in(store, clock)
    for _ in range(2):
        store.detach(alice.id, alice.stream)
        clock.advance(GRACE)
        alice = store.attach(alice.id, NODE, 1).instance
        assert last(store) == about(alice, RETURNED, clock())
    store.detach(alice.id, alice.stream)
    clock.advance(GRACE)
    other = log_in(store, clock, limit=1)
    clock.advance(1)
    with pytest.raises(InstanceGone):
        store.attach(alice.id, NODE, 1)
    expected = about(alice, EVICTED, clock() - 1, TYPES.KICKED_OUT_MULT_ACCOUNT, by=other.id)
    assert last(store) == expected


@pytest.mark.parametrize("kind", [CONSOLE_SIGN_IN, REFUSED, CONSOLE_REFUSED])
def test_an_entry_of_no_change_is_noted_as_it_is_but_for_its_time(store: Store, clock: Clock, kind: str) -> None:
    entry = Entry("", 1, kind, "alice", "an-id", 'a "browser"', "2001:db8::1", "70009", "wörds\n", "API", "other")
    store.note(APP, entry)
    assert last(store) == replace(entry, at=clock())


def test_a_block_an_unblock_and_a_revocation_have_their_actor(store: Store, clock: Clock) -> None:
    alice = log_in(store, clock)
    store.block(APP, "alice", None, "spam", "console admin")
    store.unblock(APP, "alice", "API")
    assert store.unblock(APP, "alice", "API") is False
    store.revoke(APP, "alice", "API")
    found = [(entry.kind, entry.words, entry.actor) for entry in everything(store, AuditFilter("alice"))]
    assert sorted(found[:-1]) == [
        (BLOCKED, "spam", "console admin"),
        (KICKED, "spam", "console admin"),
        (REVOKED, "", "API"),
        (UNBLOCKED, "", "API"),
    ]
    assert store.get(alice.id).gone == Gone(TYPES.KICKED_OUT_REST_API, clock(), words="spam")


def test_a_session_of_the_console_is_told_when_it_opens_and_when_it_is_closed(store: Store, clock: Clock) -> None:
    store.open_session(APP, "a handle", "viewer", "192.0.2.1")
    assert last(store) == Entry("", clock(), CONSOLE_SIGN_IN, address="192.0.2.1", actor="console viewer")
    for _ in range(2):
        store.close_session(APP, "a handle")
    assert last(store) == Entry("", clock(), CONSOLE_SIGN_OUT, actor="console viewer")
    assert len(everything(store)) == 2


# Finding them


def test_pages_have_everything_once_newest_first_also_where_all_happened_at_once(store: Store, clock: Clock) -> None:
    users = [f"user-{number}" for number in range(20)]
    for user in users:
        log_in(store, clock, user)
        note(store, 1, kind=REFUSED, user=user)
    clock.advance(1)
    for user in users:
        log_in(store, clock, user, limit=1)
    found = everything(store, limit=7)
    assert Counter((entry.kind, entry.user) for entry in found) == {
        **dict.fromkeys([(LOGIN, user) for user in users], 2),
        **dict.fromkeys([(kind, user) for user in users for kind in (REFUSED, EVICTED)], 1),
    }
    keys = [order(entry.id) for entry in found]
    assert keys == sorted(set(keys), reverse=True)
    assert found == everything(store, limit=1000)


def test_a_page_stays_the_same_while_more_is_written(store: Store, clock: Clock) -> None:
    for number in range(9):
        note(store, number, user=f"user-{number}")
    page = store.audit(APP, ALL, limit=3)
    clock.advance(1)
    for number in range(9, 20):
        note(store, number, user=f"user-{number}")
    older = store.audit(APP, ALL, page.next, 50).entries
    assert {entry.words for entry in page.entries + older} == {str(number) for number in range(9)}


def test_entries_are_found_by_account_kind_address_and_time(store: Store, clock: Clock) -> None:
    began = clock()
    for number in range(12):
        user, kind = ("alice", "bob")[number % 2], (CONSOLE_SIGN_IN, REFUSED, LOGIN)[number % 3]
        note(store, number, kind=kind, user=user, address=f"192.0.2.{number % 4}")
        clock.advance(10)

    def found(where: AuditFilter) -> list[int]:
        return sorted(int(entry.words) for entry in everything(store, where, limit=2))

    assert found(AuditFilter("alice")) == [0, 2, 4, 6, 8, 10]
    assert found(AuditFilter("Alice")) == []
    assert found(AuditFilter(kinds=frozenset({REFUSED}))) == [1, 4, 7, 10]
    assert found(AuditFilter(kinds=frozenset({REFUSED, LOGIN}))) == [1, 2, 4, 5, 7, 8, 10, 11]
    assert found(AuditFilter(kinds=frozenset({REFUSED, CONSOLE_REFUSED}))) == [1, 4, 7, 10]
    assert found(AuditFilter(address="192.0.2.3")) == [3, 7, 11]
    assert found(AuditFilter(since=began + 30, until=began + 60)) == [3, 4, 5]
    assert found(AuditFilter("bob", since=began + 30, until=began + 60)) == [3, 5]
    everywhere = AuditFilter("alice", frozenset({REFUSED}), "192.0.2.0", began, began + 1000)
    assert found(everywhere) == [4]
    assert store.audit(APP + 1, ALL).entries == []


@pytest.mark.parametrize("user", ["", "bob"])
def test_a_search_that_finds_nothing_for_long_goes_on_in_the_next_page(
    store: Store, clock: Clock, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bound in ("sqlite.audit.SCANNED", "redis.audit.SCANNED", "redis.audit.SCANNED_ALONE"):
        monkeypatch.setattr(f"tim.store.{bound}", 5)
    note(store, 0, kind=REFUSED, user="bob", address="192.0.2.9")
    clock.advance(1)
    for number in range(60):  # more than one call looks at, all in one shard
        note(store, number, kind=REFUSED, user="bob", address="192.0.2.1")
    where = AuditFilter(user, address="192.0.2.9")
    first = store.audit(APP, where)
    assert (first.entries, first.next != "") == ([], True)
    assert [entry.words for entry in everything(store, where)] == ["0"]


def test_no_flood_of_refusals_hides_the_rest_of_an_account(store: Store, clock: Clock) -> None:
    alice = log_in(store, clock)
    for number in range(100):
        note(store, number, kind=REFUSED, user="alice")
    where = AuditFilter("alice", frozenset({LOGIN}))
    assert [entry.instance for entry in store.audit(APP, where).entries] == [alice.id]


def test_a_clock_that_is_set_back_changes_neither_the_order_nor_what_a_page_finds(store: Store, clock: Clock) -> None:
    note(store, 0, user="alice")
    clock.advance(-3600)
    for number in (1, 2):
        note(store, number, user="alice")
        assert last(store).at == clock()
    page = store.audit(APP, AuditFilter("alice"), limit=1)
    assert [entry.words for entry in page.entries] == ["2"]
    assert [entry.words for entry in store.audit(APP, AuditFilter("alice"), page.next).entries] == ["1", "0"]


# How long they are kept


def test_entries_are_kept_for_the_set_time_and_no_longer(keep: Keep, clock: Clock) -> None:
    store = keep(Retention(age=3 * DAY))
    for number in range(120):
        note(store, number, user="alice")
        note(store, number, kind=REFUSED, user="alice")
    clock.advance(3 * DAY)
    store.sweep()
    assert len(everything(store)) == 240
    note(store, 120, user="alice")
    clock.advance(1)
    store.sweep()
    assert [entry.words for entry in everything(store)] == ["120"]
    assert [entry.words for entry in everything(store, AuditFilter("alice"))] == ["120"]


def test_at_most_a_set_number_is_kept_and_refusals_push_out_nothing_else(keep: Keep, clock: Clock) -> None:
    store = keep(Retention(entries=128, refusals=64))
    log_in(store, clock)
    for number in range(200):
        note(store, number, kind=REFUSED, user="alice")
    store.sweep()
    kinds = Counter(entry.kind for entry in everything(store))
    assert kinds[LOGIN] == 1
    assert 1 <= kinds[REFUSED] <= 64
    assert last(store, where=AuditFilter(kinds=frozenset({REFUSED}))).words == "199"
    for number in range(200):
        note(store, number, user="alice")
    store.sweep()
    newest = [int(entry.words) for entry in everything(store, AuditFilter(kinds=frozenset({CONSOLE_SIGN_IN})))]
    assert newest == list(range(199, 199 - len(newest), -1))
    assert 2 <= len(newest) <= 128


# Counting


def test_each_entry_counts_by_its_kind_and_code_in_total_and_in_its_minute(store: Store, clock: Clock) -> None:
    clock.now -= clock.now % 60
    first, began = log_in(store, clock), int(clock())
    clock.advance(61)
    log_in(store, clock, limit=1)
    note(store, 0, kind=REFUSED, user="bob")
    store.remove(first.id, Gone(LOGGED_OUT, 0))
    assert store.counters(APP) == Counter(counter(entry) for entry in everything(store))
    assert store.counters(APP) == {"login:": 2, f"evicted:{TYPES.KICKED_OUT_MULT_ACCOUNT}": 1, "refused:": 1}
    now = {"login:": 1, f"evicted:{TYPES.KICKED_OUT_MULT_ACCOUNT}": 1, "refused:": 1}
    assert store.minutes(APP, began) == {began: {"login:": 1}, began + 60: now}
    assert store.minutes(APP, began + 60) == store.minutes(APP, began + 119) == {began + 60: now}
    assert (store.counters(APP + 1), store.minutes(APP + 1, 0)) == ({}, {})


def test_what_nodes_count_is_added_up(store: Store, clock: Clock) -> None:
    store.count(APP, {"overflows": 2, "late": 1})
    store.count(APP, {"overflows": 3})
    assert store.counters(APP) == {"overflows": 5, "late": 1}
    assert list(store.minutes(APP, clock()).values()) == [{"overflows": 5, "late": 1}]


def test_minutes_go_and_totals_stay(store: Store, clock: Clock) -> None:
    store.count(APP, {"late": 1})
    clock.advance(MINUTES_KEPT + 61)
    store.count(APP, {"late": 2})
    store.sweep()
    assert list(store.minutes(APP, 0).values()) == [{"late": 2}]
    assert store.counters(APP) == {"late": 3}
