"""Who acts in the tests: a clock that can be set, and people with tabs.

What a person or a tab "is", "has" or "hears" is a check: it waits for it, and fails where it does not come.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from typing import Final

import pytest

from tests.support.inside import store_of
from tests.support.waiting import PATIENCE, until
from tim import EVENT, Backend, Client, Event, Instance, Message
from tim.rules import instance_id
from tim.store.base import Store

APP: Final = 1400000000
KEY: Final = "signs-the-usersigs-of-tests"
GRACE: Final = 60.0
"""Seconds a detached instance keeps its seat in the stores under test."""
DAY: Final = 86400.0
EVENTS: Final = (
    EVENT.SDK_READY,
    EVENT.SDK_NOT_READY,
    EVENT.KICKED_OUT,
    EVENT.MESSAGE_RECEIVED,
    EVENT.NET_STATE_CHANGE,
    EVENT.ERROR,
)


class Clock:
    """Unix seconds that pass only when told to."""

    def __init__(self, now: float = 1_750_000_000.0) -> None:
        self._now = now
        self._followers: list[Callable[[float], None]] = []

    def __call__(self) -> float:
        return self._now

    @property
    def now(self) -> float:
        return self._now

    @now.setter
    def now(self, now: float) -> None:
        self._now = now
        for show in self._followers:
            show(now)

    def leads(self, follower: Callable[[float], None]) -> None:
        """Show it the time, at once and whenever it changes."""
        self._followers.append(follower)
        follower(self._now)

    def leaves(self, follower: Callable[[float], None]) -> None:
        """Show it the time no more."""
        self._followers.remove(follower)

    def advance(self, seconds: float) -> None:
        self.now += seconds


_ids = count(1)


def new_id() -> str:
    """An instance id that no other test has."""
    return f"{next(_ids):032x}"


def read_seq(store: Store, user: str) -> int:
    """The number of the newest message that the account has read, as an instance that has just logged in sees it."""
    tab, _ = store.admit(newcomer(user, expires=store.now() + DAY), 10)
    return store.view(tab.id, 0).read_seq


def newcomer(user: str = "alice", *, browser: str = "Firefox", expires: float, since: float = 0) -> Instance:
    """Somebody who asks to be admitted."""
    return Instance(instance_id(APP, user, new_id()), APP, user, Client(browser, "203.0.113.7"), since, expires)


def messages(event: Event) -> list[Message]:
    """The messages that an event tells of."""
    assert isinstance(event.data, list)
    return event.data


def allows(tabs: int) -> pytest.MarkDecorator:
    """A mark: the `backend` of this test allows so many tabs for each account."""
    return pytest.mark.parametrize("backend", [tabs], indirect=True, ids=[f"{tabs}-tabs"])


class ATab:
    """One SDK instance, and everything that it has heard."""

    def __init__(self, backend: Backend, name: str) -> None:
        self.name = name
        self.sdk = backend.create(APP, Client(name, "203.0.113.7"))
        self._heard: list[Event] = []
        self._something_heard = threading.Condition()  # owns _heard
        for event in EVENTS:
            self.sdk.on(event, self._hear)

    def _hear(self, event: Event) -> None:
        with self._something_heard:
            self._heard.append(event)
            self._something_heard.notify_all()

    def heard(self, *names: str) -> list[Event]:
        """What it has heard so far, of these names or of all."""
        with self._something_heard:
            return [event for event in self._heard if not names or event.name in names]

    def hears(self, name: str, times: int = 1) -> Event:
        """Wait for the event; the `times`-th one is returned."""
        with self._something_heard:
            if not self._something_heard.wait_for(lambda: len(self._of(name)) >= times, PATIENCE):
                raise AssertionError(f"tab {self.name} waited for {name} and heard {[e.name for e in self._heard]}")
            return self._of(name)[times - 1]

    def reads(self, *texts: str) -> None:
        """Wait until it has been told of exactly these texts, in this order."""
        with self._something_heard:
            self._something_heard.wait_for(lambda: len(self._texts()) >= len(texts), PATIENCE)
            assert self._texts() == list(texts)

    def texts(self) -> list[str]:
        """The texts it has been told of so far."""
        with self._something_heard:
            return self._texts()

    def numbers(self) -> list[int]:
        """The numbers, in the account's log, of the messages it has been told of so far."""
        return [message.seq for event in self.heard(EVENT.MESSAGE_RECEIVED) for message in messages(event)]

    def is_ready(self) -> None:
        self.hears(EVENT.SDK_READY)
        assert self.sdk.is_ready()

    def is_kicked_out(self, why: str) -> None:
        """It heard why, once, and is not ready any more."""
        assert self.hears(EVENT.KICKED_OUT).data == {"type": why}
        self.hears(EVENT.SDK_NOT_READY)
        assert not self.sdk.is_ready()
        assert self.sdk.get_login_user() == ""
        assert len(self.heard(EVENT.KICKED_OUT)) == 1

    def says(self, to: str, text: str) -> None:
        self.sdk.send_message(self.sdk.create_text_message(to, text))

    def _of(self, name: str) -> list[Event]:
        return [event for event in self._heard if event.name == name]

    def _texts(self) -> list[str]:
        return [message.text for event in self._of(EVENT.MESSAGE_RECEIVED) for message in messages(event)]


class Person:
    """An account, and the tabs it has opened."""

    def __init__(self, backend: Backend, user_id: str) -> None:
        self._backend = backend
        self.user_id = user_id
        self.opened: list[ATab] = []

    def user_sig(self, expire: int = 7 * 86400) -> str:
        return self._backend.user_sig(self.user_id, expire)

    def opens(self, tab: str) -> ATab:
        """A tab that has not logged in yet."""
        opened = ATab(self._backend, tab)
        self.opened.append(opened)
        return opened

    def logs_in(self, tab: str = "A", *, expire: int = 7 * 86400) -> ATab:
        """A new tab that has logged in and is ready."""
        opened = self.opens(tab)
        opened.sdk.login(self.user_id, self.user_sig(expire))
        opened.is_ready()
        return opened

    def leaves(self) -> None:
        """Close every tab, and wait until nothing of them runs any more."""
        for tab in self.opened:
            tab.sdk.destroy()
        self.has_running(0)

    def has_running(self, tabs: int) -> None:
        """So many of its tabs still have a thread that tells them something."""
        name = f"tim-{self.user_id}"
        until(
            lambda: sum(thread.name == name for thread in threading.enumerate()) == tabs,
            f"{tabs} tabs of {self.user_id} should be running",
        )

    def instances(self) -> list[Instance]:
        """Its live instances, oldest login first."""
        return store_of(self._backend).instances(APP, self.user_id)

    def tabs(self) -> list[str]:
        """The names of its live tabs, oldest login first."""
        return [instance.client.browser for instance in self.instances()]

    def has_tabs(self, *names: str) -> None:
        """Exactly these tabs are logged in, oldest login first."""
        until(lambda: self.tabs() == list(names), f"{self.user_id} should have {names} and has {self.tabs()}")
