"""What a process of a team does: each function here runs in a process of its own."""

from __future__ import annotations

import random
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from tests.support.history import Admission, History, Turn
from tests.support.inside import store_of
from tests.support.server import APP
from tests.support.waiting import PATIENCE
from tim import EVENT, Backend, Client, Instance, Message
from tim.app_settings import SavedSettings
from tim.ends import LOGGED_OUT, Gone
from tim.errors import InstanceGone, SettingsChanged, TooManyMessages
from tim.mailbox import Stream
from tim.model import AppSettings, Choice, Limits
from tim.rules import ASK, instance_id
from tim.seat_errors import AtLimit

HERE: Final = "203.0.113.7"
LIFE: Final = 86400.0
MOMENT: Final = 0.3
"""Seconds for which an instance that was refused goes on trying."""
BREATH: Final = 0.01
"""Seconds between two messages of one instance from one process."""


def logs_in(backend: Backend, *, user: str, limit: int, times: int) -> History:
    """Log in so often, as fast as it goes."""
    history = History()
    for _ in range(times):
        _admit(backend, user, limit, history)
    return history


def lives(backend: Backend, *, user: str, limit: int, times: int, seed: str) -> History:
    """Log in so often, and all the while open, close and log out what was logged in here."""
    history, chance = History(), random.Random(seed)
    mine: list[str] = []
    streams: dict[str, Stream] = {}
    for _ in range(times):
        mine.append(_admit(backend, user, limit, history).id)
        for id in (mine[-1], *chance.choices(mine[-3:], k=chance.randrange(5))):
            if id in streams and chance.random() < 0.5:
                _close(backend, streams.pop(id), history)
            elif chance.random() < 0.05:
                removed = store_of(backend).remove(id, Gone(LOGGED_OUT, 0))
                history.left += [] if removed is None else [removed]
            elif id not in streams:
                began = time.monotonic()
                with suppress(InstanceGone):
                    streams[id] = backend.attach(id, _nothing)[1]
                    history.turns.setdefault(id, []).append(Turn(began, time.monotonic(), opened=True))
    for stream in streams.values():
        _close(backend, stream, history)
    return history


def chooses_who_leaves(backend: Backend, *, user: str, limit: int, times: int) -> list[Admission]:
    """Log in so often, and at the limit choose again and again one of those that are shown, until that one has left."""
    admissions = []
    for _ in range(times):
        id = instance_id(APP, user, secrets.token_hex(16))
        asked = Instance(id, APP, user, Client(f"browser {id}", HERE), time.time(), time.time() + LIFE)
        choice: Choice | None = None
        while True:
            began = time.monotonic()
            try:
                admitted, evicted = store_of(backend).admit(asked, limit, policy=ASK, choice=choice)
            except AtLimit as full:
                assert len(full.instances) == limit
                shown = [each.id for each in full.instances]
                choice = Choice(tuple(shown), frozenset({random.choice(shown)}))
            else:
                break
        assert choice is None or {each.id for each in evicted} <= choice.ending
        admissions.append(Admission(began, time.monotonic(), admitted, evicted))
    return admissions


def _close(backend: Backend, stream: Stream, history: History) -> None:
    began = time.monotonic()
    backend.detach(stream)
    history.turns[stream.instance].append(Turn(began, time.monotonic(), opened=False))


def _admit(backend: Backend, user: str, limit: int, history: History) -> Instance:
    id = instance_id(APP, user, secrets.token_hex(16))
    now = time.time()
    # A browser of its own, so that whoever it evicts says by whom.
    asked = Instance(id, APP, user, Client(f"browser {id}", HERE), now, now + LIFE)
    began = time.monotonic()
    admitted, evicted = store_of(backend).admit(asked, limit)
    history.admissions.append(Admission(began, time.monotonic(), admitted, evicted))
    assert (admitted.id, admitted.client) == (asked.id, asked.client)
    return admitted


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Login:
    """A login that has returned at `returned` by the machine's clock, and is ready."""

    instance: str
    returned: float


@dataclass(frozen=True, slots=True)
class Sending:
    """One try to send, begun at `began` by the machine's clock: what was accepted, or why it was refused."""

    began: float
    text: str
    accepted: Message | None = None
    refused: Gone | None = None


def takes_over(backend: Backend, *, user: str, after: float) -> Login:
    """Log in as a script does, after so many seconds."""
    ready = threading.Event()
    sdk = backend.create(APP, Client("the newer one", HERE))
    sdk.on(EVENT.SDK_READY, lambda _: ready.set())
    time.sleep(after)
    sdk.login(user, backend.user_sig(user))
    returned = time.monotonic()
    assert ready.wait(PATIENCE)
    return Login(store_of(backend).instances(APP, user)[-1].id, returned)


def sends(backend: Backend, *, id: str, to: str) -> list[Sending]:
    """Send in the name of the instance again and again, and go on for a moment after it was first refused.

    Several do so at once, and an instance has a number of messages a minute: what is over that is not tried.
    """
    tried: list[Sending] = []
    end = time.monotonic() + PATIENCE
    while (began := time.monotonic()) < end:
        text = secrets.token_hex(8)
        try:
            tried.append(Sending(began, text, accepted=backend.send(id, to, text)))
            time.sleep(BREATH)
        except TooManyMessages:
            time.sleep(BREATH)
        except InstanceGone as error:
            tried.append(Sending(began, text, refused=error.gone))
            end = min(end, began + MOMENT)
    return tried


def saves_settings(backend: Backend, *, app: int, seats: int) -> AppSettings | None:
    """Save the first settings of the app; returns those of another process where that was first."""
    try:
        store_of(backend).save_settings(app, AppSettings(Limits(seats)), f"{seats}")
    except SettingsChanged as refused:
        return refused.current
    return None


def raises_failures(backend: Backend, *, app: int, times: int) -> None:
    """Raise a limit of the app by one, so often."""

    def one_more(newest: AppSettings) -> AppSettings:
        more = newest.limits.failures_per_account + 1
        return replace(newest, limits=replace(newest.limits, failures_per_account=more))

    saved = SavedSettings(store_of(backend), app, AppSettings(), age=0)
    for _ in range(times):
        saved.change(one_more, "API")
