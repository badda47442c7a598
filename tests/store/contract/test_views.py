"""What a tab shows, read in one step."""

from __future__ import annotations

import pytest

from tests.store.contract.conftest import LogIn
from tests.support.actors import APP, GRACE, Clock, new_id
from tests.support.seats import NODE
from tim.ends import LOGGED_OUT, Gone
from tim.errors import InstanceGone
from tim.model import View
from tim.rules import NEWEST, REMEMBERED
from tim.store.base import Store


def test_a_view_is_what_get_instances_and_history_return(store: Store, log_in: LogIn, clock: Clock) -> None:
    alice, closed, bob = log_in("alice"), log_in("alice"), log_in("bob")
    store.detach(closed.id, closed.stream)
    assert store.view(alice.id, 100) == View(alice, store.instances(APP, "alice"), 0, 0, [])
    store.remove(bob.id, Gone(LOGGED_OUT, 0))
    for n in range(5):
        store.append(APP, alice.id, "bob", str(n), new_id())
    store.mark_read(APP, "bob", 3)
    back = log_in("bob", attached=False)
    log = store.history(APP, "bob", 0, 100)
    assert store.view(back.id, 100) == View(back, [back], 5, 3, log)
    assert store.view(back.id, 2).messages == log[-2:]
    assert store.view(back.id, 0).messages == []
    clock.advance(REMEMBERED + 1)
    later = log_in("bob", attached=False)
    assert store.view(later.id, 100) == View(later, [later], 5, 3, []), "what is not remembered is not shown"


def test_a_view_is_of_an_instance_that_is_live_or_may_come_back(store: Store, log_in: LogIn, clock: Clock) -> None:
    out, away, expired, stays = log_in(), log_in(), log_in(life=50), log_in()
    store.remove(out.id, Gone(LOGGED_OUT, 0))
    store.detach(away.id, away.stream)
    clock.advance(GRACE)
    for swept in (False, True):
        assert store.view(away.id, 0) == View(store.get(away.id), [stays], 0, 0, []), swept
        for gone in (out, expired):
            with pytest.raises(InstanceGone) as refused:
                store.view(gone.id, 0)
            assert refused.value.instance == store.get(gone.id)
        store.sweep()


def test_who_opens_a_stream_gets_the_view_after_it(store: Store, log_in: LogIn, clock: Clock) -> None:
    alice, bob = log_in("alice", attached=False), log_in("bob")
    view = store.attach(alice.id, NODE, 10)
    assert view == View(store.get(alice.id), [view.instance], 0, 0, [])
    assert view.instance.online
    store.detach(alice.id, view.instance.stream)
    clock.advance(GRACE)
    store.append(APP, bob.id, "alice", "hello", new_id())
    other = log_in("alice")
    back = store.attach(alice.id, NODE, 2, 0, 10)
    assert back.instance.generation > other.generation
    log = store.history(APP, "alice", 0, 10)
    assert back == View(store.get(alice.id), [other, back.instance], 1, 0, log, returned=True)


def test_who_opens_a_stream_gets_the_messages_that_its_page_lacks_and_the_unread_ones(
    store: Store, log_in: LogIn
) -> None:
    alice, bob = log_in("alice"), log_in("bob", attached=False)
    for n in range(5):
        store.append(APP, alice.id, "bob", str(n), new_id())
    store.mark_read(APP, "bob", 3)

    def numbers(after: int, most: int) -> list[int]:
        view = store.attach(bob.id, NODE, 10, after, most)
        assert (view.newest, view.read_seq) == (5, 3), "opening a stream does not mark anything as read"
        return [message.seq for message in view.messages]

    assert numbers(0, 100) == [1, 2, 3, 4, 5]
    assert numbers(2, 100) == [3, 4, 5]
    assert numbers(2, 2) == [4, 5]
    assert numbers(3, 100) == numbers(4, 100) == numbers(5, 100) == numbers(NEWEST, 100) == [4, 5]
    assert numbers(0, 0) == []
    store.append(APP, alice.id, "bob", "arrives", new_id())  # read, as a stream is open
    view = store.attach(bob.id, NODE, 10, NEWEST, 100)
    assert (view.newest, view.read_seq, view.messages) == (6, 6, [])
