"""The Python API, as a person with tabs lives it: in, ready, kicked out, logged out, and what is said meanwhile."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from tests.support.actors import APP, GRACE, KEY, ATab, Clock, Person, allows, messages
from tests.support.engines import PATIENT
from tests.support.inside import hub_of, store_of
from tests.support.redis_server import RedisServer
from tests.support.waiting import PATIENCE, until
from tim import EVENT, TYPES, Backend, Client, Event, IMError, IMResponse
from tim.ends import LOGGED_OUT, UNKNOWN, Gone
from tim.errors import BadParameter, InstanceGone, SettingError, StoreUnavailable
from tim.mailbox import MAILBOX, End, News
from tim.model import MESSAGES_A_MINUTE, Message, View
from tim.rules import ADMINISTRATOR, MINUTE
from tim.tab import HISTORY, Tab
from tim.timing import Timing

Persons = Callable[[str], Person]
MULT_ACCOUNT = TYPES.KICKED_OUT_MULT_ACCOUNT


def code(call: Callable[[], object]) -> int:
    """What the call is refused with."""
    with pytest.raises(IMError) as refused:
        call()
    assert str(refused.value.code) in str(refused.value)
    assert refused.value.message
    return refused.value.code


def says_many(backend: Backend, to: str, texts: list[str]) -> None:
    """An administrator says so much to `to`: an instance may not."""
    for text in texts:
        backend.admin().send(ADMINISTRATOR, to, text)


class BusyWithAMessage:
    """Keeps the page of `tab` in its handler of the first message until `ends`."""

    def __init__(self, tab: ATab) -> None:
        self._begun, self._ended = threading.Event(), threading.Event()
        tab.sdk.on(EVENT.MESSAGE_RECEIVED, self._handle)

    def has_begun(self) -> None:
        assert self._begun.wait(PATIENCE), "no message arrives"

    def ends(self) -> None:
        self._ended.set()

    def _handle(self, _: Event) -> None:
        self._begun.set()
        self._ended.wait(PATIENCE)


def names(tab: ATab) -> list[str]:
    return [event.name for event in tab.heard()]


# In and out


def test_a_login_answers_and_then_the_tab_is_ready(person: Persons) -> None:
    alice = person("alice")
    tab = alice.opens("A")
    assert not tab.sdk.is_ready()
    assert tab.sdk.get_login_user() == ""
    response = tab.sdk.login(user_id="alice", user_sig=alice.user_sig())
    assert isinstance(response, IMResponse)
    assert response.code == 0
    assert "repeatLogin" not in response.data
    tab.is_ready()
    assert tab.sdk.get_login_user() == "alice"
    alice.has_tabs("A")
    assert names(tab) == [EVENT.SDK_READY]


def test_the_same_login_again_changes_nothing(person: Persons) -> None:
    alice = person("alice")
    tab = alice.logs_in("A")
    [before] = alice.instances()
    assert tab.sdk.login(user_id="alice", user_sig=alice.user_sig()).data["repeatLogin"] is True
    assert alice.instances() == [before]
    assert names(tab) == [EVENT.SDK_READY]
    tab.is_ready()


def test_a_second_tab_sends_the_first_one_out(person: Persons) -> None:
    alice = person("alice")
    first = alice.logs_in("A")
    second = alice.logs_in("B")
    first.is_kicked_out(MULT_ACCOUNT)
    assert names(first) == [EVENT.SDK_READY, EVENT.KICKED_OUT, EVENT.SDK_NOT_READY]
    second.is_ready()
    alice.has_tabs("B")
    assert names(second) == [EVENT.SDK_READY], "whoever came last hears nothing of it"


def test_who_was_kicked_out_may_log_in_again_and_kicks_the_other(person: Persons) -> None:
    alice = person("alice")
    first, second = alice.logs_in("A"), alice.logs_in("B")
    first.is_kicked_out(MULT_ACCOUNT)
    first.sdk.login("alice", alice.user_sig())
    first.hears(EVENT.SDK_READY, times=2)
    second.is_kicked_out(MULT_ACCOUNT)
    alice.has_tabs("A")


@allows(3)
def test_with_room_for_three_the_fourth_sends_out_the_oldest(person: Persons, backend: Backend) -> None:
    alice = person("alice")
    tabs = {name: alice.logs_in(name) for name in "ABCD"}
    tabs["A"].is_kicked_out(MULT_ACCOUNT)
    alice.has_tabs("B", "C", "D")
    for name in "BCD":
        tabs[name].is_ready()


def test_accounts_do_not_kick_one_another(person: Persons) -> None:
    alice, bob = person("alice"), person("bob")
    tabs = alice.logs_in("A"), bob.logs_in("B")
    for tab in tabs:
        tab.is_ready()
    alice.has_tabs("A")
    bob.has_tabs("B")


@allows(2)
def test_a_logout_ends_this_tab_and_no_other(person: Persons, backend: Backend) -> None:
    alice = person("alice")
    leaves, stays = alice.logs_in("A"), alice.logs_in("B")
    assert leaves.sdk.logout().code == 0
    assert not leaves.sdk.is_ready()
    assert leaves.sdk.get_login_user() == ""
    alice.has_tabs("B")
    leaves.hears(EVENT.SDK_NOT_READY)
    assert names(leaves) == [EVENT.SDK_READY, EVENT.SDK_NOT_READY], "who leaves is not kicked out"
    stays.is_ready()
    assert names(stays) == [EVENT.SDK_READY]
    assert code(leaves.sdk.logout) == 2024


def test_after_a_logout_the_seat_is_free_and_nobody_is_kicked_out_of_it(person: Persons) -> None:
    alice = person("alice")
    first = alice.logs_in("A")
    first.sdk.logout()
    alice.logs_in("B")
    first.hears(EVENT.SDK_NOT_READY)
    alice.leaves()
    assert first.heard(EVENT.KICKED_OUT) == []


def test_another_account_on_the_same_object_takes_the_place_of_the_first(person: Persons) -> None:
    alice, bob = person("alice"), person("bob")
    tab = alice.logs_in("A")
    assert "repeatLogin" not in tab.sdk.login("bob", bob.user_sig()).data
    tab.hears(EVENT.SDK_READY, times=2)
    assert tab.sdk.get_login_user() == "bob"
    alice.has_tabs()
    bob.has_tabs("A")
    tab.hears(EVENT.SDK_NOT_READY)
    assert tab.heard(EVENT.KICKED_OUT) == []


def test_a_destroyed_one_is_logged_out_and_says_no_more(person: Persons) -> None:
    alice = person("alice")
    tab = alice.logs_in("A")
    tab.sdk.destroy()
    alice.has_tabs()
    alice.leaves()
    assert names(tab) == [EVENT.SDK_READY]
    assert code(lambda: tab.says("alice", "hello")) == 2024
    tab.sdk.destroy()


def test_the_servers_time_is_in_milliseconds(person: Persons, clock: Clock) -> None:
    sdk = person("alice").opens("A").sdk
    for _ in range(2):
        # A clock of Redis is read now and then, and goes on by ours in between.
        assert 0 <= sdk.get_server_time() - int(clock() * 1000) < PATIENCE * 1000
        clock.advance(3600)


# Other ends


def test_a_user_sig_that_runs_out_ends_the_tab(person: Persons, backend: Backend, clock: Clock) -> None:
    alice = person("alice")
    tab = alice.logs_in("A", expire=100)
    clock.advance(99)
    backend.renew()
    tab.is_ready()
    clock.advance(1)
    backend.renew()
    tab.is_kicked_out(TYPES.KICKED_OUT_USERSIG_EXPIRED)
    alice.has_tabs()
    assert code(lambda: tab.sdk.login("alice", "")) == 70002


@allows(2)
def test_an_app_ends_a_login_that_is_idle_or_has_lasted_for_long(
    person: Persons, backend: Backend, clock: Clock
) -> None:
    alice = person("alice")
    before = alice.logs_in("before")
    backend.settings.change(lambda now: replace(now, session_life=250, idle_life=100), "API")
    tab = alice.logs_in("A")
    for _ in range(2):
        clock.advance(99)
        tab.says("alice", "hello")
        backend.renew()
        tab.is_ready()
    clock.advance(52)
    backend.renew()
    tab.is_kicked_out(TYPES.KICKED_OUT_USERSIG_EXPIRED)
    idle = alice.logs_in("B")
    clock.advance(100)
    backend.renew()
    idle.is_kicked_out(TYPES.KICKED_OUT_USERSIG_EXPIRED)
    before.is_ready()
    alice.has_tabs("before")


@pytest.mark.parametrize("why", [TYPES.KICKED_OUT_REST_API, TYPES.KICKED_OUT_MULT_DEVICE])
def test_an_end_whose_hint_was_lost_is_heard_with_the_next_renewal(person: Persons, backend: Backend, why: str) -> None:
    # Somebody else, another process say, ended the instance in the store, and nobody told the hub.
    alice = person("alice")
    tab = alice.logs_in("A")
    [instance] = alice.instances()
    store_of(backend).remove(instance.id, Gone(why, 0))
    backend.renew()
    tab.is_kicked_out(why)
    backend.renew()
    alice.leaves()
    assert len(tab.heard(EVENT.KICKED_OUT)) == 1


def test_what_nobody_has_told_it_is_heard_by_itself_within_the_renewal_period(
    make_backend: Callable[..., Backend],
) -> None:
    backend = make_backend(timing=Timing(renewal_period=0.05))
    alice = Person(backend, "alice")
    tab = alice.logs_in("A")
    [instance] = alice.instances()
    store_of(backend).remove(instance.id, Gone(TYPES.KICKED_OUT_REST_API, 0))
    tab.is_kicked_out(TYPES.KICKED_OUT_REST_API)
    alice.leaves()


@allows(2)
def test_another_tab_of_the_account_can_sign_this_one_out(person: Persons, backend: Backend, clock: Clock) -> None:
    alice, bob = person("alice"), person("bob")
    here, there, stranger = alice.logs_in("A"), alice.logs_in("B"), bob.logs_in("C")
    (mine, other), [foreign] = alice.instances(), bob.instances()
    assert code(lambda: backend.peers.sign_out(foreign.id, other.id)) == 70402
    backend.peers.sign_out(mine.id, other.id)
    backend.peers.sign_out(mine.id, other.id)
    there.hears(EVENT.SDK_NOT_READY)
    assert there.heard(EVENT.KICKED_OUT) == [], "that was no kick by the server"
    assert store_of(backend).get(other.id).gone == Gone(LOGGED_OUT, clock(), mine.client)
    alice.has_tabs("A")
    here.is_ready()
    stranger.is_ready()


def test_a_stream_whose_successor_has_come_and_gone_does_not_go_on_as_if_it_were_the_newest(
    person: Persons, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two pages of one tab open at once. The store gives the first page stream 1. Before its thread goes on, the
    # second page gets stream 2, is told of nothing, and closes again: by the store, nobody has the tab open. The
    # first page must not believe that it has.
    alice = person("alice")
    instance = backend.login(APP, "alice", alice.user_sig(), Client("A", "203.0.113.7"))
    attach, first = store_of(backend).attach, threading.Event()

    def slowly(*words: Any) -> View:
        attached = attach(*words)
        if not first.is_set():
            first.set()
            Tab.open(backend, words[0], lambda: None).close()
        return attached

    monkeypatch.setattr(store_of(backend), "attach", slowly)
    tab = Tab.open(backend, instance.id, lambda: None)
    assert store_of(backend).get(instance.id).online or any(isinstance(item, End) for item in tab.read())
    tab.close()


def test_an_instance_that_is_never_attached_gives_its_seat_back(
    person: Persons, backend: Backend, clock: Clock
) -> None:
    alice = person("alice")
    backend.login(APP, "alice", alice.user_sig(), Client("A", "203.0.113.7"))
    alice.has_tabs("A")
    clock.advance(GRACE)
    backend.renew()
    alice.has_tabs()


def test_who_comes_in_the_very_moment_in_which_the_seat_is_given_up_has_it(
    person: Persons, backend: Backend, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    attach = store_of(backend).attach

    def given_up_before(*words: Any) -> View:
        clock.advance(GRACE)
        backend.renew()
        return attach(*words)

    monkeypatch.setattr(store_of(backend), "attach", given_up_before)
    alice = person("alice")
    tab = alice.logs_in()
    monkeypatch.setattr(store_of(backend), "attach", attach)
    tab.says("alice", "hello")
    assert tab.heard(EVENT.SDK_NOT_READY) == []
    assert [instance.online for instance in alice.instances()] == [True]


def test_a_renewal_evicts_nobody_who_is_there(person: Persons, backend: Backend, clock: Clock) -> None:
    alice = person("alice")
    tab = alice.logs_in("A")
    for _ in range(10):
        clock.advance(GRACE)
        backend.renew()
    alice.has_tabs("A")
    assert names(tab) == [EVENT.SDK_READY]


# Refusals


@pytest.mark.parametrize("user_id", ["", "a" * 33, "al ice", "älice", "alice\n"])
def test_a_malformed_user_id_is_refused(person: Persons, user_id: str) -> None:
    alice = person("alice")
    tab = alice.logs_in("A")
    assert code(lambda: alice.opens("B").sdk.login(user_id, alice.user_sig())) == 70402
    assert code(lambda: tab.sdk.create_text_message(user_id, "hello")) == 70402
    alice.has_tabs("A")


def test_a_login_that_is_refused_evicts_nobody_and_is_an_error_event(person: Persons) -> None:
    alice, bob = person("alice"), person("bob")
    first, refused = alice.logs_in("A"), alice.opens("B")
    for expected, sig in ((70002, ""), (70003, "x"), (70013, bob.user_sig())):
        assert code(lambda sig=sig: refused.sdk.login("alice", sig)) == expected  # type: ignore[misc]
    assert [event.data["code"] for event in refused.heard(EVENT.ERROR) if isinstance(event.data, dict)] == [
        70002,
        70003,
        70013,
    ]
    assert not refused.sdk.is_ready()
    assert refused.sdk.get_login_user() == ""
    first.is_ready()
    alice.has_tabs("A")


def test_an_app_that_is_not_served_here_is_refused(backend: Backend, person: Persons) -> None:
    sdk = backend.create(sdk_app_id=APP + 1)
    assert code(lambda: sdk.login("alice", person("alice").user_sig())) == 70020


def test_who_is_not_logged_in_sends_nothing(person: Persons) -> None:
    alice = person("alice")
    tab = alice.opens("A")
    assert code(lambda: tab.says("alice", "too early")) == 2024
    assert code(tab.sdk.logout) == 2024
    tab.sdk.login("alice", alice.user_sig())
    tab.is_ready()
    tab.sdk.logout()
    assert code(lambda: tab.says("alice", "too late")) == 2024


def test_who_was_kicked_out_sends_nothing(person: Persons, backend: Backend) -> None:
    alice = person("alice")
    first, _ = alice.logs_in("A"), alice.logs_in("B")
    first.is_kicked_out(MULT_ACCOUNT)
    assert code(lambda: first.says("alice", "too late")) == 2024
    assert store_of(backend).history(APP, "alice", 0, 10) == []


def test_who_is_not_ready_yet_sends_nothing(person: Persons, backend: Backend) -> None:
    # The unread messages are told before SDK_READY; whoever answers at once is too early.
    alice, bob = person("alice"), person("bob")
    bob.logs_in("B").sdk.logout()
    alice.logs_in("A").says("bob", "are you there?")
    answers: list[int] = []
    tab = bob.opens("C")
    tab.sdk.on(EVENT.MESSAGE_RECEIVED, lambda _: answers.append(code(lambda: tab.says("alice", "yes"))))
    tab.sdk.login("bob", bob.user_sig())
    tab.is_ready()
    assert answers == [2999]
    assert [message.text for message in store_of(backend).history(APP, "alice", 0, 10)] == ["are you there?"]


def test_nobody_can_write_to_an_account_that_does_not_exist(person: Persons) -> None:
    tab = person("alice").logs_in("A")
    assert code(lambda: tab.says("nobody", "hello")) == 20003
    tab.is_ready()


def test_a_text_that_is_too_long_or_empty_is_refused(person: Persons) -> None:
    tab = person("alice").logs_in("A")
    assert code(lambda: tab.says("alice", "x" * (12 * 1024 + 1))) == 80002
    assert code(lambda: tab.says("alice", "é" * (6 * 1024) + "x")) == 80002
    assert code(lambda: tab.says("alice", "")) == 70402
    tab.says("alice", "x" * (12 * 1024))


# Messages


def test_a_message_arrives_and_says_from_whom(person: Persons, clock: Clock) -> None:
    alice, bob = person("alice"), person("bob")
    here, there = alice.logs_in("A"), bob.logs_in("B")
    response = here.sdk.send_message(here.sdk.create_text_message(to="bob", text="hello"))
    sent = response.data["message"]
    there.reads("hello")
    [received] = messages(there.hears(EVENT.MESSAGE_RECEIVED))
    for message in (sent, received):
        assert (message.sender, message.to, message.text, message.time) == ("alice", "bob", "hello", clock())
    assert sent.id == received.id


@allows(3)
def test_the_senders_other_tabs_hear_what_it_sent_and_itself_does_not(person: Persons, backend: Backend) -> None:
    alice, bob = person("alice"), person("bob")
    sender, other, there = alice.logs_in("A"), alice.logs_in("B"), bob.logs_in("C")
    sender.says("bob", "hello")
    sender.says("alice", "a note")
    other.reads("hello", "a note")
    there.reads("hello")
    # What the other tab says comes after all that the sender could have heard of its own.
    other.says("alice", "the end")
    sender.reads("the end")
    assert other.texts() == ["hello", "a note"]


def test_the_same_object_sent_twice_is_one_message(person: Persons) -> None:
    alice, bob = person("alice"), person("bob")
    here, there = alice.logs_in("A"), bob.logs_in("B")
    message = here.sdk.create_text_message("bob", "hello")
    first = here.sdk.send_message(message).data["message"]
    assert here.sdk.send_message(message).data["message"] == first
    here.says("bob", "the end")
    there.reads("hello", "the end")


def test_what_came_meanwhile_is_told_before_the_tab_is_ready_and_only_once(person: Persons) -> None:
    alice, bob = person("alice"), person("bob")
    bob.logs_in("B").sdk.logout()
    here = alice.logs_in("A")
    here.says("bob", "one")
    here.says("bob", "two")
    back = bob.logs_in("C")
    back.reads("one", "two")
    assert names(back) == [EVENT.MESSAGE_RECEIVED, EVENT.SDK_READY]
    here.says("bob", "three")
    back.reads("one", "two", "three")
    back.sdk.logout()
    assert bob.logs_in("D").texts() == []


def test_more_may_wait_than_a_page_shows(person: Persons, backend: Backend) -> None:
    bob = person("bob")
    bob.logs_in("B").sdk.logout()
    texts = [str(n) for n in range(HISTORY + 50)]
    says_many(backend, "bob", texts)
    bob.logs_in("C").reads(*texts)


def test_a_page_that_was_busy_hears_all_that_came_meanwhile_in_order(person: Persons, backend: Backend) -> None:
    # More comes than its mailbox holds, so its stream is closed and opened again.
    alice, bob = person("alice"), person("bob")
    here, there = alice.logs_in("A"), bob.logs_in("B")
    busy = BusyWithAMessage(there)
    texts = [str(n) for n in range(MAILBOX + 500)]
    here.says("bob", texts[0])
    busy.has_begun()
    says_many(backend, "bob", texts[1:])
    busy.ends()
    there.reads(*texts)


def test_a_store_that_fails_in_the_midst_makes_nothing_be_told_twice_or_lost(
    person: Persons, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = person("alice"), person("bob")
    here, there = alice.logs_in("A"), bob.logs_in("B")
    here.says("bob", "one")
    there.reads("one")
    read, failed = Tab.read, threading.Event()

    def fails_once(tab: Tab) -> list[News]:
        if tab.instance.user == "bob" and not failed.is_set():
            failed.set()
            raise StoreUnavailable("it is restarting")
        return read(tab)

    monkeypatch.setattr(Tab, "read", fails_once)
    here.says("bob", "two")
    assert failed.wait(PATIENCE)
    there.hears(EVENT.SDK_READY, times=2)
    here.says("bob", "three")
    there.reads("one", "two", "three")


def test_a_login_as_somebody_else_that_cannot_end_the_first_one_is_reported_once(
    person: Persons, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = person("alice").logs_in("A")

    def unavailable(*_: object) -> None:
        raise StoreUnavailable("it has gone away")

    with monkeypatch.context() as away:
        away.setattr(store_of(backend), "remove", unavailable)
        with pytest.raises(StoreUnavailable):
            tab.sdk.login("carol", person("carol").user_sig())
    assert len(tab.heard(EVENT.ERROR)) == 1
    assert tab.sdk.get_login_user() == "alice"
    assert tab.sdk.is_ready()


def test_a_refused_login_as_somebody_else_leaves_who_is_logged_in(person: Persons) -> None:
    tab = person("alice").logs_in("A")
    with pytest.raises(IMError) as refused:
        tab.sdk.login("carol", "not a ticket")
    assert refused.value.code == 70003
    assert tab.sdk.get_login_user() == "alice"
    assert tab.sdk.is_ready()


@pytest.mark.parametrize(("user_id", "user_sig", "code"), [(None, "x", 70402), (5, "x", 70402), ("alice", 5, 70003)])
def test_what_is_no_string_is_refused_like_a_malformed_one(
    person: Persons, user_id: Any, user_sig: Any, code: int
) -> None:
    with pytest.raises(IMError) as refused:
        person("alice").opens("A").sdk.login(user_id, user_sig)
    assert refused.value.code == code


@pytest.mark.parametrize("arguments", [{"online_web_instances": 0}, {"online_web_instances": 11}, {"secret_key": ""}])
def test_a_backend_that_could_not_keep_its_promises_is_not_made(arguments: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=next(iter(arguments))):
        Backend("sqlite://", **arguments)


def test_what_one_wrote_oneself_is_not_unread(person: Persons) -> None:
    alice, bob = person("alice"), person("bob")
    here, there = alice.logs_in("A"), bob.logs_in("B")
    here.says("bob", "hello")
    here.says("alice", "a note")
    there.reads("hello")
    here.sdk.logout()
    there.says("alice", "hello yourself")
    assert alice.logs_in("C").texts() == ["hello yourself"]


def test_what_comes_while_a_tab_is_opening_is_not_lost(person: Persons, backend: Backend) -> None:
    # Bob has one unread message. His tab's stream is open, and before it has read its account's log there comes
    # another message. Both are news to him.
    alice, bob = person("alice"), person("bob")
    bob.logs_in("B").sdk.logout()
    here = alice.logs_in("A")
    here.says("bob", "before")
    instance = backend.login(APP, "bob", bob.user_sig(), Client("C", "203.0.113.7"))
    tab = Tab.open(backend, instance.id, lambda: None)
    here.says("bob", "meanwhile")
    _, unread = tab.waiting()
    tab.become_ready()
    here.says("bob", "after")
    told = [message.text for message in unread]
    told += [item.text for item in tab.read() if isinstance(item, Message)]
    tab.close()
    assert told == ["before", "meanwhile", "after"]


def test_what_comes_before_the_hub_knows_the_account_of_an_opening_stream_is_not_lost(
    person: Persons, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The store has opened the stream, and its reply is under way when a message is written. It is in no view.
    alice, bob = person("alice"), person("bob")
    bob.logs_in("B").sdk.logout()
    here = alice.logs_in("A")
    instance = backend.login(APP, "bob", bob.user_sig(), Client("C", "203.0.113.7"))
    attach = store_of(backend).attach

    def slowly(*words: Any) -> View:
        view = attach(*words)
        here.says("bob", "meanwhile")
        return view

    monkeypatch.setattr(store_of(backend), "attach", slowly)
    tab = Tab.open(backend, instance.id, lambda: None)
    assert tab.waiting()[1] == []
    assert [item.text for item in tab.read() if isinstance(item, Message)] == ["meanwhile"]
    tab.close()


def test_of_one_store_for_two_apps_each_shows_opens_and_kicks_its_own_instances(
    make_backend: Callable[..., Backend], server: RedisServer
) -> None:
    ours = make_backend(server.url)
    theirs = Backend(server.url, sdk_app_id=APP + 1, secret_key=KEY, timing=PATIENT)
    alice = ours.login(APP, "alice", ours.user_sig("alice"), Client("A", "203.0.113.7"))
    tab = Tab.open(ours, alice.id, lambda: None)
    for refused in (lambda: theirs.view(alice.id, 0), lambda: theirs.attach(alice.id, lambda: None)):
        with pytest.raises(InstanceGone) as error:
            refused()
        assert error.value.gone.reason == UNKNOWN
    assert theirs.streams == 0
    [unknown] = theirs.listing.find([alice.id])
    assert unknown.gone is not None
    assert unknown.gone.reason == UNKNOWN
    assert theirs.listing.kick([alice.id], "", "console admin") == []
    theirs.close()
    assert ours.view(alice.id, 0).instance.id == alice.id
    tab.close()


@pytest.mark.parametrize("moment", ["before reading the log", "before being ready"])
def test_a_message_that_comes_in_the_midst_of_opening_is_told_once(
    person: Persons, backend: Backend, moment: str
) -> None:
    alice, bob = person("alice"), person("bob")
    bob.logs_in("B").sdk.logout()
    here = alice.logs_in("A")
    instance = backend.login(APP, "bob", bob.user_sig(), Client("C", "203.0.113.7"))
    tab = Tab.open(backend, instance.id, lambda: None)
    if moment == "before reading the log":
        here.says("bob", "meanwhile")
    _, unread = tab.waiting()
    if moment == "before being ready":
        here.says("bob", "meanwhile")
    tab.become_ready()
    told = [message.text for message in unread]
    told += [item.text for item in tab.read() if isinstance(item, Message)]
    tab.close()
    assert told == ["meanwhile"]
    assert bob.logs_in("D").texts() == [], "and what has been told is not unread any more"


def test_two_hints_that_overtake_each_other_are_put_in_order(person: Persons, backend: Backend) -> None:
    # Two senders have written 1 and 2; the thread of the second is quicker and tells the hub first.
    alice, bob = person("alice"), person("bob")
    alice.logs_in("A")
    [sender] = alice.instances()
    tab = bob.logs_in("B")
    one = store_of(backend).append(APP, sender.id, "bob", "one", "1")[1]
    two = store_of(backend).append(APP, sender.id, "bob", "two", "2")[1]
    assert one is not None
    assert two is not None
    hub_of(backend).post(APP, "bob", two)
    tab.reads("one", "two")
    hub_of(backend).post(APP, "bob", one)
    hub_of(backend).post(APP, "bob", two)
    backend.send(sender.id, "bob", "three")
    tab.reads("one", "two", "three")


def test_a_message_whose_hint_was_lost_comes_with_the_next_one(person: Persons, backend: Backend) -> None:
    alice, bob = person("alice"), person("bob")
    alice.logs_in("A")
    [sender] = alice.instances()
    tab = bob.logs_in("B")
    store_of(backend).append(APP, sender.id, "bob", "one", "1")
    backend.send(sender.id, "bob", "two")
    tab.reads("one", "two")


@allows(10)
def test_of_what_many_say_at_once_every_tab_hears_all_in_one_order(
    person: Persons, backend: Backend, rounds: int
) -> None:
    bob = person("bob")
    listening = [bob.logs_in(f"listener-{n}") for n in range(3)]
    speaking = [person(f"sender-{n}").logs_in("S") for n in range(6)]
    speaking += [bob.logs_in(f"own-{n}") for n in range(2)]
    each = min(20 * rounds, MESSAGES_A_MINUTE)
    together = threading.Barrier(len(speaking))

    def speak(number: int) -> None:
        together.wait(PATIENCE)
        for n in range(each):
            speaking[number].says("bob", f"{number}:{n}")

    with ThreadPoolExecutor(len(speaking)) as pool:
        list(pool.map(speak, range(len(speaking))))
    total = len(speaking) * each
    for tab in listening:
        until(lambda tab=tab: len(tab.numbers()) >= total, "a message is missing")  # type: ignore[misc]
        assert tab.numbers() == list(range(1, total + 1)), "each once, none missing, in the order of the log"
    assert len({tuple(tab.texts()) for tab in listening}) == 1
    for number in range(len(speaking)):
        heard = [text for text in listening[0].texts() if text.startswith(f"{number}:")]
        assert heard == [f"{number}:{n}" for n in range(each)]


def test_whoever_logs_in_while_many_speak_misses_nothing(
    person: Persons, backend: Backend, clock: Clock, rounds: int
) -> None:
    speaking = [person(f"sender-{n}").logs_in("S") for n in range(4)]
    each = 20  # all together fewer than the newest hundred, which is what a tab is shown when it opens
    total = len(speaking) * each

    def speak(tab: ATab, to: str) -> None:
        for n in range(each):
            tab.says(to, str(n))

    for time in range(10 * rounds):
        clock.advance(MINUTE)
        bob = person(f"bob-{time}")
        bob.logs_in("before").sdk.logout()
        with ThreadPoolExecutor(len(speaking)) as pool:
            running = [pool.submit(speak, tab, bob.user_id) for tab in speaking]
            until(lambda bob=bob: store_of(backend).history(APP, bob.user_id, 0, 1), "nobody speaks")  # type: ignore[misc]
            tab = bob.logs_in("meanwhile")
            for one in running:
                one.result()
        speaking[0].says(bob.user_id, "the end")
        until(lambda tab=tab: "the end" in tab.texts(), "the last message is missing")  # type: ignore[misc]
        assert tab.numbers() == list(range(1, total + 2))


# Handlers


def test_a_handler_that_raises_stops_nothing(person: Persons) -> None:
    alice, bob = person("alice"), person("bob")
    here, there = alice.logs_in("A"), bob.opens("B")

    def broken(_: Event) -> None:
        raise RuntimeError("a bug of the page")

    heard_after: list[str] = []
    for name in (EVENT.SDK_READY, EVENT.MESSAGE_RECEIVED, EVENT.KICKED_OUT):
        there.sdk.on(name, broken)
        there.sdk.on(name, lambda event: heard_after.append(event.name))
    there.sdk.login("bob", bob.user_sig())
    there.is_ready()
    here.says("bob", "one")
    here.says("bob", "two")
    there.reads("one", "two")
    bob.logs_in("C")
    there.is_kicked_out(MULT_ACCOUNT)
    assert heard_after == [
        EVENT.SDK_READY,
        EVENT.MESSAGE_RECEIVED,
        EVENT.MESSAGE_RECEIVED,
        EVENT.KICKED_OUT,
    ]


def test_a_handler_that_was_taken_off_is_not_called(person: Persons) -> None:
    alice = person("alice")
    tab, called = alice.opens("A"), []

    def handler(event: Event) -> None:
        called.append(event)

    tab.sdk.on(EVENT.SDK_READY, handler)
    tab.sdk.off(EVENT.SDK_READY, handler)
    tab.sdk.login("alice", alice.user_sig())
    tab.is_ready()
    assert called == []


def test_taking_a_handler_off_that_is_not_there_has_no_effect(person: Persons) -> None:
    alice = person("alice")
    tab = alice.opens("A")
    called: list[Event] = []
    tab.sdk.off(EVENT.KICKED_OUT, called.append)
    tab.sdk.on(EVENT.SDK_READY, called.append)
    tab.sdk.off(EVENT.SDK_READY, print)
    tab.sdk.login("alice", alice.user_sig())
    tab.is_ready()
    assert [event.name for event in called] == [EVENT.SDK_READY]
    tab.sdk.off(EVENT.SDK_READY, called.append)
    tab.sdk.off(EVENT.SDK_READY, called.append)


@pytest.mark.parametrize("name", ["SDK_READY", "sdkstateready", ""])
def test_a_name_of_no_event_is_refused(person: Persons, name: str) -> None:
    sdk = person("alice").opens("A").sdk
    for call in (sdk.on, sdk.off):
        with pytest.raises(BadParameter, match=re.escape(f"there is no event {name!r}")):
            call(name, print)


def test_a_handler_may_log_in_send_and_log_out(person: Persons) -> None:
    alice = person("alice")
    tab = alice.opens("A")
    done = threading.Event()

    def on_ready(_: Event) -> None:
        tab.says("alice", "a note")
        tab.sdk.logout()
        done.set()

    tab.sdk.on(EVENT.SDK_READY, on_ready)
    tab.sdk.login("alice", alice.user_sig())
    assert done.wait(PATIENCE)
    tab.hears(EVENT.SDK_NOT_READY)
    alice.has_tabs()


def test_handlers_are_called_one_at_a_time_also_from_one_login_to_the_next(person: Persons) -> None:
    # The page is still busy with what alice's login made it hear, when bob logs in on the same object.
    alice, bob = person("alice"), person("bob")
    tab = alice.opens("A")
    busy, overlap = threading.Lock(), threading.Event()
    entered = threading.Event()

    def handler(_: Event) -> None:
        if not busy.acquire(blocking=False):
            overlap.set()
            return
        entered.set()
        overlap.wait(0.3)  # as long as that, another call has a chance to come in between
        busy.release()

    for name in (EVENT.SDK_READY, EVENT.SDK_NOT_READY):
        tab.sdk.on(name, handler)
    tab.sdk.login("alice", alice.user_sig())
    assert entered.wait(PATIENCE)
    tab.sdk.login("bob", bob.user_sig())
    tab.hears(EVENT.SDK_READY, times=2)
    assert not overlap.is_set()


def test_what_a_login_made_it_hear_comes_before_what_the_next_one_does(person: Persons) -> None:
    # Bob's login is ready while the page is still busy with a message to alice. What the page hears last of alice,
    # that she is not ready any more, must not come after bob's SDK_READY, or it takes bob for not ready.
    alice, bob, carol = person("alice"), person("bob"), person("carol")
    tab = alice.logs_in("A")
    busy = BusyWithAMessage(tab)
    carol.logs_in("C").says("alice", "hello")
    busy.has_begun()
    switching = threading.Thread(target=lambda: tab.sdk.login("bob", bob.user_sig()))
    switching.start()
    switching.join(0.3)  # it may wait for the page or not
    busy.ends()
    switching.join(PATIENCE)
    tab.hears(EVENT.SDK_READY, times=2)
    tab.hears(EVENT.SDK_NOT_READY)
    ready_states = [name for name in names(tab) if name != EVENT.MESSAGE_RECEIVED]
    assert ready_states == [EVENT.SDK_READY, EVENT.SDK_NOT_READY, EVENT.SDK_READY]


def test_nothing_says_ready_after_a_logout_has_returned(person: Persons, backend: Backend) -> None:
    # The page logs out while what waited for its account is still being told.
    alice, bob = person("alice"), person("bob")
    bob.logs_in("B").sdk.logout()
    alice.logs_in("A").says("bob", "are you there?")
    tab = bob.opens("C")
    busy = BusyWithAMessage(tab)
    tab.sdk.login("bob", bob.user_sig())
    busy.has_begun()
    tab.sdk.logout()
    busy.ends()
    bob.has_running(0)
    assert not tab.sdk.is_ready()
    assert tab.heard(EVENT.SDK_READY) == []


def test_nobody_hears_of_a_kick_after_its_logout_has_returned(person: Persons) -> None:
    # Another tab has taken the seat, but this page is still busy with a message and has not heard of it.
    alice, bob = person("alice"), person("bob")
    tab = alice.logs_in("A")
    busy = BusyWithAMessage(tab)
    bob.logs_in("B").says("alice", "hello")
    busy.has_begun()
    alice.logs_in("C")
    tab.sdk.logout()
    busy.ends()
    tab.hears(EVENT.SDK_NOT_READY)
    assert tab.heard(EVENT.KICKED_OUT) == []


def test_nobody_hears_a_message_after_its_logout_has_returned(person: Persons, backend: Backend) -> None:
    # Two messages wait for a page that is busy with a first one. Then it logs out, in the midst of the first.
    alice, bob = person("alice"), person("bob")
    tab, there, go_on = alice.logs_in("A"), bob.logs_in("B"), threading.Event()
    busy: list[Event] = []

    def slow(event: Event) -> None:
        busy.append(event)
        if len(busy) == 1:
            go_on.wait(PATIENCE)
        if len(busy) == 2:
            tab.sdk.logout()

    tab.sdk.on(EVENT.MESSAGE_RECEIVED, slow)
    for text in ("one", "two", "three"):
        there.says("alice", text)
        until(lambda: busy, "the first message does not arrive")
    go_on.set()
    tab.hears(EVENT.SDK_NOT_READY)
    assert tab.texts() == ["one", "two"]


def test_a_page_that_does_not_keep_up_is_told_that_it_is_not_ready(person: Persons, backend: Backend) -> None:
    alice, bob = person("alice"), person("bob")
    here, there = alice.logs_in("A"), bob.logs_in("B")
    busy = BusyWithAMessage(there)
    here.says("bob", "hello")
    busy.has_begun()
    says_many(backend, "bob", ["hello"] * (MAILBOX + 1))
    busy.ends()
    until(lambda: there.heard(EVENT.SDK_NOT_READY) or len(there.texts()) == MAILBOX + 2, "it was told nothing")


def test_a_store_that_fails_for_a_moment_makes_the_tab_wait_and_no_more(
    person: Persons, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The login is done; then the store does not answer when the tab opens its stream.
    alice = person("alice")
    tab = alice.opens("A")
    attach, failed = store_of(backend).attach, threading.Event()

    def fails_once(*words: Any) -> View:
        if not failed.is_set():
            failed.set()
            raise StoreUnavailable("it is restarting")
        return attach(*words)

    monkeypatch.setattr(store_of(backend), "attach", fails_once)
    tab.sdk.login("alice", alice.user_sig())
    tab.is_ready()
    assert failed.is_set()
    assert tab.heard(EVENT.KICKED_OUT) == []
    alice.has_tabs("A")


def test_a_store_that_stays_away_is_told_once_and_not_with_every_attempt(
    person: Persons, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = person("alice")
    tab = alice.opens("A")
    attach, attempts = store_of(backend).attach, count(1)

    def fails_ten_times(*words: Any) -> View:
        if next(attempts) <= 10:
            raise StoreUnavailable("it is restarting")
        return attach(*words)

    monkeypatch.setattr(store_of(backend), "attach", fails_ten_times)
    tab.sdk.login("alice", alice.user_sig())
    tab.is_ready()
    assert next(attempts) > 10
    assert [event.name for event in tab.heard()] == [EVENT.ERROR, EVENT.SDK_NOT_READY, EVENT.SDK_READY]


# Many at once


@allows(3)
def test_sixty_who_log_in_at_once_are_all_accepted_and_never_more_than_three_are_live(
    person: Persons, backend: Backend, rounds: int
) -> None:
    for each in range(rounds):
        # A new account each time: those who are ready stay while others are still on their way to their streams.
        alice = person(f"alice-{each}")
        tabs = [alice.opens(f"{each}-{n}") for n in range(60)]
        sig = alice.user_sig()
        together, most, stop = threading.Barrier(61), [0], threading.Event()

        def come(tab: ATab, alice: Person = alice, together: threading.Barrier = together, sig: str = sig) -> int:
            together.wait(PATIENCE)
            try:
                return tab.sdk.login(alice.user_id, sig).code
            except IMError as refused:
                return refused.code

        def look(
            alice: Person = alice,
            together: threading.Barrier = together,
            most: list[int] = most,
            stop: threading.Event = stop,
        ) -> None:
            together.wait(PATIENCE)
            while not stop.is_set():
                most[0] = max(most[0], len(alice.instances()))

        with ThreadPoolExecutor(61) as pool:
            looking = pool.submit(look)
            codes = list(pool.map(come, tabs))
            stop.set()
            looking.result()
        assert codes == [0] * 60, "the newcomer is always in"
        assert most[0] <= 3
        assert len(alice.instances()) == 3
        until(lambda tabs=tabs: sum(tab.sdk.is_ready() for tab in tabs) == 3, "three are to be ready")  # type: ignore[misc]
        out = [tab for tab in tabs if not tab.sdk.is_ready()]
        assert len(out) == 57
        for tab in out:
            tab.is_kicked_out(MULT_ACCOUNT)
        assert {instance.client.browser for instance in alice.instances()} == {
            tab.name for tab in tabs if tab not in out
        }


@allows(10)
def test_logins_and_logouts_at_once_leave_who_is_left_and_nobody_else(
    person: Persons, backend: Backend, rounds: int
) -> None:
    alice = person("alice")
    sig, tabs = alice.user_sig(), [alice.opens(f"{n}") for n in range(8)]

    def come_and_go(tab: ATab) -> None:
        for n in range(10 * rounds):
            tab.sdk.login("alice", sig)
            if n % 2:
                tab.hears(EVENT.SDK_READY, times=(n + 1) // 2)
            tab.sdk.logout()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(come_and_go, tabs))
    alice.has_tabs()
    alice.leaves()
    assert len(hub_of(backend)) == 0, "no stream is left open"
    assert all(tab.heard(EVENT.KICKED_OUT) == [] for tab in tabs)


def test_a_finished_tab_leaves_no_thread_and_no_stream(person: Persons, backend: Backend) -> None:
    alice = person("alice")
    for n in range(20):
        alice.logs_in(f"{n}")
    until(lambda: len(hub_of(backend)) == 1, "only the last one's stream is open")
    alice.has_running(1)


def test_a_server_that_stops_lets_the_tabs_keep_their_seats(person: Persons, backend: Backend) -> None:
    alice = person("alice")
    tab = alice.logs_in("A")
    backend.drain()
    until(lambda: not tab.sdk.is_ready(), "it goes on as if nothing was")
    alice.has_tabs("A")
    assert tab.heard(EVENT.KICKED_OUT) == []


@pytest.mark.parametrize(
    ("ours", "vendors"),
    [
        (EVENT.SDK_READY, "sdkStateReady"),
        (EVENT.SDK_NOT_READY, "sdkStateNotReady"),
        (EVENT.KICKED_OUT, "kickedOut"),
        (EVENT.MESSAGE_RECEIVED, "onMessageReceived"),
        (EVENT.NET_STATE_CHANGE, "netStateChange"),
        (EVENT.ERROR, "error"),
        (TYPES.KICKED_OUT_MULT_ACCOUNT, "multipleAccount"),
        (TYPES.KICKED_OUT_MULT_DEVICE, "multipleDevice"),
        (TYPES.KICKED_OUT_USERSIG_EXPIRED, "userSigExpired"),
        (TYPES.KICKED_OUT_REST_API, "REST_API_Kick"),
    ],
)
def test_events_and_kinds_of_kicks_are_spelt_as_the_vendor_spells_them(ours: str, vendors: str) -> None:
    assert ours == vendors
