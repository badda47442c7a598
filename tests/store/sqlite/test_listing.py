"""A search walks along the list, and a number without a filter is counted in an index."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.store.test_listing import ADDRESSES, NODES, Crowd
from tests.support.actors import APP, GRACE, Clock
from tests.support.engines import with_nodes
from tim.search import DETACHED, ONLINE, Search
from tim.store.sqlite.engine import SQLiteStore


@pytest.fixture
def crowd(clock: Clock) -> Iterator[Crowd]:
    with closing(SQLiteStore("", grace=GRACE, clock=clock)) as store:
        with_nodes(store)
        yield Crowd(store, clock)


def plans(crowd: Crowd, where: Search) -> list[list[str]]:
    """How SQLite answers a search and its number."""
    db = vars(crowd.store)["_db"]
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    crowd.store.search(APP, where, "a1 ", 7)
    crowd.store.number(APP, where)
    db.set_trace_callback(None)
    return [[step[3] for step in db.execute(f"EXPLAIN QUERY PLAN {each}")] for each in statements]


@pytest.mark.parametrize(
    "where",
    [
        Search("a"),
        Search(address=ADDRESSES[0]),
        Search(browser="F"),
        Search(since=1),
        Search(state=ONLINE),
        Search(state=DETACHED),
        Search(node=NODES[0]),
    ],
)
def test_a_search_walks_along_the_list_and_sorts_nothing(crowd: Crowd, where: Search) -> None:
    for [step] in plans(crowd, where):
        assert step.startswith("SEARCH instances USING INDEX instances_live (app=?")


def test_all_are_counted_by_indexes(crowd: Crowd) -> None:
    _, [written], [ended], [away] = plans(crowd, Search())
    assert written == "SEARCH instances USING INDEX instances_live (app=?)"
    assert ended == "SEARCH instances USING INDEX instances_ending (ends_at<?)"
    assert away == "SCAN instances USING INDEX instances_due"
