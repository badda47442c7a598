"""A search that many instances pass walks along the list instead of sorting them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from tests.store.test_listing import ADDRESSES, NODES, Crowd, every
from tests.support.actors import APP, GRACE, Clock
from tests.support.engines import with_nodes
from tim.search import DETACHED, ONLINE, Search
from tim.store.sqlite import listing
from tim.store.sqlite.engine import SQLiteStore


@pytest.fixture
def crowd(clock: Clock) -> Iterator[Crowd]:
    with closing(SQLiteStore("", grace=GRACE, clock=clock)) as store:
        with_nodes(store)
        yield Crowd(store, clock)


@pytest.mark.parametrize("few", [1, 5, 50, 1000])
def test_what_is_found_does_not_depend_on_the_index(crowd: Crowd, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "FEW", few)
    for user in ("", "a", "a1"):
        for state in ("", ONLINE, DETACHED):
            where = Search(user, browser="F", state=state)
            for more in (where, replace(where, address=ADDRESSES[0]), replace(where, node=NODES[1])):
                assert every(crowd.store, more, 7) == crowd.found(more)
                assert crowd.store.number(APP, more) == len(crowd.found(more))
