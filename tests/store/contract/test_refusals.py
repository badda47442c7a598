"""Refusals carry the instance as it is; a store that closes refuses."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.store.contract.conftest import LogIn
from tests.support.actors import APP, DAY, Clock, new_id, newcomer
from tests.support.engines import Engine
from tests.support.seats import NODE
from tests.support.waiting import PATIENCE
from tim.ends import TYPES, UNKNOWN
from tim.errors import InstanceGone, StoreUnavailable
from tim.store.base import Store

EXPIRED = TYPES.KICKED_OUT_USERSIG_EXPIRED


# Refusals carry the instance


def test_the_refusal_of_an_ended_instance_carries_it_as_get_returns_it(store: Store, log_in: LogIn) -> None:
    log_in("bob")
    tab, other = log_in(limit=2), log_in(limit=2)
    log_in(limit=1, browser="Chrome")
    ended = store.get(tab.id)
    assert ended.gone is not None
    assert ended.gone.by is not None
    for call in (
        lambda: store.attach(tab.id, NODE, 1),
        lambda: store.view(tab.id, 1),
        lambda: store.append(APP, tab.id, "bob", "too late", new_id()),
        lambda: store.sign_out(tab.id, other.id),
        lambda: store.sign_out_others(tab.id),
        lambda: store.rename(tab.id, "my laptop"),
        lambda: store.vouch(tab.id, other.id),
    ):
        with pytest.raises(InstanceGone) as refused:
            call()
        assert refused.value.instance == ended
        assert refused.value.gone == ended.gone


def test_the_refusal_of_an_instance_that_has_just_expired_carries_its_end(
    store: Store, log_in: LogIn, clock: Clock
) -> None:
    log_in("bob")
    tab = log_in(life=100)
    clock.advance(100)  # no sweep has written the end yet
    with pytest.raises(InstanceGone) as refused:
        store.append(APP, tab.id, "bob", "too late", new_id())
    assert refused.value.instance == store.get(tab.id)
    assert refused.value.gone.reason == EXPIRED


def test_the_refusal_of_an_unknown_instance_carries_its_id(store: Store) -> None:
    unknown = newcomer(expires=DAY).id
    for call in (
        lambda: store.attach(unknown, NODE, 1),
        lambda: store.view(unknown, 1),
        lambda: store.append(APP, unknown, "bob", "hello", new_id()),
        lambda: store.sign_out(unknown, unknown),
        lambda: store.sign_out_others(unknown),
        lambda: store.rename(unknown, "my laptop"),
        lambda: store.vouch(unknown, unknown),
    ):
        with pytest.raises(InstanceGone) as refused:
            call()
        assert refused.value.instance == store.get(unknown)
        assert refused.value.gone.reason == UNKNOWN


# close


def test_calls_under_way_while_the_store_closes_are_refused(engine: Engine, tmp_path: Path, clock: Clock) -> None:
    store = engine.open(tmp_path, clock)
    calling = threading.Barrier(9)

    def calls_until_refused() -> None:
        store.instances(APP, "alice")
        calling.wait(PATIENCE)
        with pytest.raises(StoreUnavailable):
            while True:
                store.instances(APP, "alice")

    with ThreadPoolExecutor(8) as pool:
        callers = [pool.submit(calls_until_refused) for _ in range(8)]
        calling.wait(PATIENCE)
        store.close()
        for caller in callers:
            caller.result()
