"""Slots for calls: each goes to the call that has waited longest, and none is lost."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.support.waiting import PATIENCE, until
from tim.errors import StoreUnavailable
from tim.store.redis.slots import Slots


def test_a_slot_goes_to_who_has_waited_and_not_to_who_comes_as_it_is_put_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tim.store.redis.slots.AT_ONCE", 1)
    slots = Slots("Redis", patience=PATIENCE)
    waits, goes_on = threading.Event(), threading.Event()

    def call() -> None:
        waits.set()
        with slots:
            goes_on.wait(PATIENCE)

    with ThreadPoolExecutor(1) as pool:
        with slots:
            pool.submit(call)
            waits.wait(PATIENCE)
            until(lambda: bool(vars(slots)["_waiting"]), "it does not wait")
            vars(slots)["_patience"] = 0.05
        with pytest.raises(StoreUnavailable, match="1 calls to Redis are waiting already"), slots:
            pass
        goes_on.set()
    with slots:
        pass


def test_no_slot_is_lost_where_calls_give_up_just_as_it_is_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tim.store.redis.slots.AT_ONCE", 2)
    slots = Slots("Redis", patience=0.0002)

    def calls(_: int) -> None:
        for _ in range(300):
            with suppress(StoreUnavailable), slots:
                time.sleep(0.0001)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(calls, range(8)))
    assert (len(vars(slots)["_free"]), len(vars(slots)["_waiting"])) == (2, 0)
