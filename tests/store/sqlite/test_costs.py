"""What a verb costs SQLite: few statements; nothing for lives that an app does not have; and no sweep reads rows whose
time is not over."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.actors import APP, DAY, GRACE, Clock, new_id, newcomer
from tests.support.documents import row
from tests.support.engines import with_nodes
from tim.ends import LOGGED_OUT, Gone
from tim.rules import ENDS_KEPT, NOT_ME_LIFE
from tim.store.sqlite import disk
from tim.store.sqlite.engine import DELIVERED, SWEPT, SQLiteStore

NODE = "node-1"


@pytest.fixture
def store(clock: Clock) -> Iterator[SQLiteStore]:
    with closing(SQLiteStore("", grace=GRACE, clock=clock)) as store:
        with_nodes(store)
        yield store


def connection(store: SQLiteStore) -> sqlite3.Connection:
    db: sqlite3.Connection = vars(store)["_db"]
    return db


def actions_written(store: SQLiteStore, clock: Clock, idle_life: int) -> list[str]:
    """The statements that write to the table of instances when one of them sends a message."""
    asked = replace(newcomer(expires=clock() + DAY, since=clock()), lasts_until=clock() + 100, idle_life=idle_life)
    tab = store.attach(store.admit(asked, 10)[0].id, NODE, 10).instance
    statements: list[str] = []
    db = connection(store)
    db.set_trace_callback(statements.append)
    store.append(APP, tab.id, "alice", "hello", new_id())
    db.set_trace_callback(None)
    return [each for each in statements if each.startswith("UPDATE instances")]


def test_verbs_cost_what_the_document_says(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    statements: list[str] = []
    synced: list[int] = []
    real = disk.SYNC

    def sync(file: int) -> None:
        synced.append(file)
        real(file)

    monkeypatch.setattr(disk, "SYNC", sync)
    with closing(SQLiteStore(str(tmp_path / "tim.db"), grace=GRACE, clock=clock)) as store:

        def costs(name: str, verb: Callable[[], object]) -> None:
            statements.clear()
            synced.clear()
            verb()
            assert row("docs/costs.md", name) == [str(len(statements)), str(len(synced))], name

        alice = store.enter(newcomer(expires=clock() + DAY), 1, node=NODE)[0].instance
        tab = newcomer(expires=clock() + DAY)
        bob = store.enter(newcomer("bob", expires=clock() + DAY), 1, node=NODE)[0].instance
        connection(store).set_trace_callback(statements.append)
        costs("`admit` that evicts one", lambda: store.admit(tab, 1))
        costs("`renew` with one delivered end", lambda: store.renew(NODE, [alice.id]))
        costs("`renew` without", lambda: store.renew(NODE))
        costs("`view`", lambda: store.view(tab.id, 20))
        costs("`attach`", lambda: store.attach(tab.id, NODE, 1, most=20))
        costs("`enter` that evicts one", lambda: store.enter(newcomer(expires=clock() + DAY), 1, node=NODE, most=20))
        costs("`append`", lambda: store.append(APP, bob.id, "alice", "hello", new_id()))
        costs("`detach`", lambda: store.detach(bob.id, bob.stream))
        costs("`remove`", lambda: store.remove(bob.id, Gone(LOGGED_OUT, 0)))
        connection(store).set_trace_callback(None)


def test_a_message_writes_to_its_instance_only_where_the_app_has_an_idle_life(store: SQLiteStore, clock: Clock) -> None:
    assert actions_written(store, clock, 0) == []
    assert len(actions_written(store, clock, 100)) == 1


def test_a_renewal_lets_logins_run_between_the_many_ends_that_were_delivered(store: SQLiteStore, clock: Clock) -> None:
    users = [f"user{n}" for n in range(DELIVERED + 1)]
    entered = [store.enter(newcomer(user, expires=clock() + DAY), 1, node=NODE)[0].instance for user in users]
    for each in entered:
        store.remove(each.id, Gone(LOGGED_OUT, 0))
    statements: list[str] = []
    connection(store).set_trace_callback(statements.append)
    assert store.renew(NODE, [each.id for each in entered]) == []
    assert statements.count("COMMIT") == 2
    statements.clear()
    assert store.renew(NODE) == []
    connection(store).set_trace_callback(None)
    assert len(statements) == 1, "one that has heard of none writes nothing"


def test_a_sweep_lets_logins_run_between_the_many_ends_that_are_due(store: SQLiteStore, clock: Clock) -> None:
    for n in range(2 * SWEPT + 1):
        store.admit(newcomer(f"user{n}", expires=clock() + 1), 1)
    clock.advance(1)
    statements: list[str] = []
    connection(store).set_trace_callback(statements.append)
    assert len(store.sweep()) == 2 * SWEPT + 1
    connection(store).set_trace_callback(None)
    assert statements.count("COMMIT") == 4, "one for what is deleted"


def test_a_login_and_a_message_read_only_rows_of_their_accounts(store: SQLiteStore, clock: Clock) -> None:
    statements: list[str] = []
    db = connection(store)
    tab = store.enter(newcomer(expires=clock() + DAY), 1, node=NODE)[0].instance
    store.import_account(APP, "bob")
    db.set_trace_callback(statements.append)
    store.enter(newcomer(expires=clock() + DAY), 2, node=NODE)
    store.append(APP, tab.id, "bob", "hello", new_id())
    db.set_trace_callback(None)
    by_id, of_account = "(id=?)", "(app=? AND user=?)"
    of_message = "(app=? AND user=? AND instance=? AND id=?)"
    steps = []
    for each in statements:
        if " FROM instances" in each or " FROM messages" in each:
            [(*_, step)] = db.execute(f"EXPLAIN QUERY PLAN {each}")
            steps.append(step[step.index("(") :])
    assert steps == [by_id, of_account, by_id, of_message, of_message, of_account]


def test_a_sweep_finds_what_is_due_by_an_index(store: SQLiteStore) -> None:
    statements: list[str] = []
    db = connection(store)
    db.set_trace_callback(statements.append)
    store.sweep()
    db.set_trace_callback(None)
    [due] = [each for each in statements if each.startswith("SELECT id, app, user")]
    plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {due}")]
    assert not [step for step in plan if step.startswith("SCAN")], plan
    for index in ("instances_due (detached_at=? AND ends_at<?)", "instances_due (detached_at>?)"):
        assert [step for step in plan if index in step], plan


def test_a_login_takes_no_more_steps_where_its_account_has_many_ends(store: SQLiteStore, clock: Clock) -> None:
    def enter() -> int:
        """Log in once more. Returns how many dozens of steps SQLite has taken for it."""
        taken: list[None] = []
        clock.advance(NOT_ME_LIFE)
        connection(store).set_progress_handler(lambda: taken.append(None), 12)
        store.enter(newcomer(expires=clock() + DAY), 1, node=NODE)
        connection(store).set_progress_handler(None, 0)
        store.renew(NODE, [each.id for each in store.renew(NODE)])
        return len(taken)

    enter()
    few = enter()
    for _ in range(ENDS_KEPT):
        enter()
    assert enter() < 1.2 * few, "ends are counted when the node has closed their streams"


def test_a_login_that_evicts_is_one_transaction(store: SQLiteStore, clock: Clock) -> None:
    store.enter(newcomer(expires=clock() + DAY), 1, node=NODE)
    statements: list[str] = []
    connection(store).set_trace_callback(statements.append)
    _, evicted = store.enter(newcomer(expires=clock() + DAY), 1, node=NODE)
    connection(store).set_trace_callback(None)
    assert len(evicted) == 1
    assert [each for each in statements if each == "COMMIT"] == ["COMMIT"]
    assert not [each for each in statements if each.startswith("UPDATE instances SET stream")], (
        "it is inserted attached"
    )
