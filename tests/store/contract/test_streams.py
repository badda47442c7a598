"""How the streams of an instance are opened, closed and cut."""

from __future__ import annotations

from dataclasses import replace

from tests.store.contract.conftest import LogIn
from tests.support.actors import APP, DAY, GRACE, Clock, new_id
from tests.support.seats import NODE, live, reason, why_not
from tim.ends import AWAY, LOGGED_OUT, UNKNOWN, Gone
from tim.store.base import Store

# attach and detach


def test_an_attached_instance_is_online_with_its_first_stream(store: Store, log_in: LogIn, clock: Clock) -> None:
    admitted = log_in(attached=False)
    attached = store.attach(admitted.id, NODE, 1).instance
    assert attached == replace(admitted, stream=attached.stream, detached_at=None, node=NODE)
    assert attached.stream > 0
    assert attached.online
    assert store.get(admitted.id) == attached
    assert store.instances(APP, "alice") == [attached]


def test_stream_numbers_grow_with_each_attach(store: Store, log_in: LogIn) -> None:
    tab = log_in()
    numbers = [tab.stream]
    for _ in range(3):
        numbers.append(store.attach(tab.id, NODE, 10).instance.stream)
    store.detach(tab.id, numbers[-1])
    numbers.append(store.attach(tab.id, NODE, 10).instance.stream)
    assert numbers == sorted(set(numbers))


def test_a_reload_keeps_the_seat_and_its_age_and_evicts_nobody(store: Store, log_in: LogIn, clock: Clock) -> None:
    reloading, other = log_in(limit=2), log_in(limit=2)
    for _ in range(50):
        clock.advance(1)
        assert store.detach(reloading.id, reloading.stream)
        clock.advance(1)
        again = store.attach(reloading.id, NODE, 2).instance
        assert (again.generation, again.since) == (reloading.generation, reloading.since)
        reloading = again
    assert live(store) == [reloading.id, other.id]


def test_the_late_detach_of_an_older_stream_changes_nothing(store: Store, log_in: LogIn, clock: Clock) -> None:
    # A reload: the page's new socket is open before its old one has closed.
    old = log_in()
    new = store.attach(old.id, NODE, 1).instance
    assert store.detach(old.id, old.stream) is False
    assert store.get(old.id) == new
    clock.advance(GRACE * 2)
    assert reason(store, new) is None
    assert store.detach(new.id, new.stream) is True
    assert store.get(new.id).detached_at == clock()


def test_a_second_detach_of_the_same_stream_changes_nothing(store: Store, log_in: LogIn, clock: Clock) -> None:
    tab = log_in()
    assert store.detach(tab.id, tab.stream)
    left_at = clock()
    clock.advance(30)
    assert store.detach(tab.id, tab.stream) is False
    assert store.get(tab.id).detached_at == left_at


def test_a_detach_of_a_stream_that_never_was_changes_nothing(store: Store, log_in: LogIn) -> None:
    tab = log_in()
    assert store.detach(tab.id, tab.stream + 1) is False
    assert store.detach(new_id(), 1) is False
    assert store.get(tab.id).online


def test_a_detach_of_one_that_has_ended_does_not_bring_it_back(store: Store, log_in: LogIn) -> None:
    tab = log_in()
    store.remove(tab.id, Gone(LOGGED_OUT, 0))
    assert store.detach(tab.id, tab.stream) is False
    assert reason(store, tab) == LOGGED_OUT


def test_a_detached_seat_is_kept_for_the_grace_time_and_not_longer(store: Store, log_in: LogIn, clock: Clock) -> None:
    tab = log_in()
    store.detach(tab.id, tab.stream)
    clock.advance(GRACE - 0.001)
    assert live(store) == [tab.id]
    clock.advance(0.001)
    assert live(store) == []
    assert store.get(tab.id).gone == Gone(AWAY, clock())


def test_a_seat_that_nobody_ever_attached_is_kept_for_the_grace_time(store: Store, log_in: LogIn, clock: Clock) -> None:
    tab = log_in(attached=False)
    clock.advance(GRACE - 1)
    assert live(store) == [tab.id]
    clock.advance(1)
    assert reason(store, tab) == AWAY


def test_an_attached_instance_stays_however_long_it_is_silent(store: Store, log_in: LogIn, clock: Clock) -> None:
    tab = log_in()
    clock.advance(30 * DAY)
    assert store.sweep() == []
    assert live(store) == [tab.id]


def test_nobody_can_attach_what_nobody_knows(store: Store) -> None:
    unknown = new_id()
    assert why_not(lambda: store.attach(unknown, NODE, 1)).reason == UNKNOWN
    assert why_not(lambda: store.append(APP, unknown, "alice", "hello", new_id())).reason == UNKNOWN
    gone = store.get(unknown).gone
    assert gone is not None
    assert gone.reason == UNKNOWN


# cut


def test_a_cut_is_for_an_open_stream_alone_and_changes_nothing(store: Store, log_in: LogIn, clock: Clock) -> None:
    online, closed, expired = log_in(), log_in(attached=False), log_in(life=GRACE)
    before = store.instances(APP, "alice")
    assert store.cut(online.id) == online
    assert store.cut(closed.id) is None
    assert store.cut(new_id()) is None
    assert store.instances(APP, "alice") == before
    clock.advance(GRACE)
    assert store.cut(expired.id) is None


# attaching again


def test_a_stream_is_opened_again_only_where_no_later_one_was(store: Store, log_in: LogIn) -> None:
    tab = log_in()
    again = store.attach_again(tab.id, NODE, 10, tab.stream)
    assert again is not None
    assert again.stream == tab.stream + 1
    later = store.attach(tab.id, NODE, 10).instance
    assert store.attach_again(tab.id, NODE, 10, again.stream) is None
    assert store.get(tab.id) == later, "nothing was done"


def test_a_stream_of_one_that_has_ended_is_not_opened_again(store: Store, log_in: LogIn) -> None:
    tab = log_in()
    later = store.attach(tab.id, NODE, 10).instance
    store.remove(tab.id, Gone(LOGGED_OUT, 0))
    for stream in (tab.stream, later.stream):
        reason = why_not(lambda stream=stream: store.attach_again(tab.id, NODE, 10, stream)).reason  # type: ignore[misc]
        assert reason == LOGGED_OUT
