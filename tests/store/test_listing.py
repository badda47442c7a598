"""The list of live instances, on every store: what a search finds is what a plain filter finds, page after page.

And the accounts that have more of them than a limit allows.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import count, islice
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.actors import APP, DAY, GRACE, Clock, new_id
from tim.ends import LOGGED_OUT, TYPES, Client, Gone
from tim.model import Instance
from tim.rules import instance_id, leaving, shard_of
from tim.search import DETACHED, ONLINE, Page, Search, matches
from tim.store.base import Store

BROWSERS: Final = ("Firefox 145 on Linux", "Firefox 9 on Windows", "firefox", "Chrome 156 on Windows", "", "Ünïcode")
ADDRESSES: Final = ("203.0.113.7", "203.0.113.70", "2001:db8::")
NODES: Final = ("node-1", "node-2")


def pages(store: Store, where: Search, limit: int) -> list[Page]:
    """Every page, from the first to the last."""
    found = [store.search(APP, where, limit=limit)]
    while found[-1].next:
        found.append(store.search(APP, where, found[-1].next, limit))
        assert len(found) < 1000, "it goes round in circles"
    return found


def every(store: Store, where: Search, limit: int = 50) -> list[Instance]:
    return [instance for page in pages(store, where, limit) for instance in page.instances]


NAMELESS: Final = Client("", "")


def enters(store: Store, clock: Clock, user: str, client: Client = NAMELESS, app: int = APP) -> Instance:
    asked = Instance(instance_id(app, user, new_id()), app, user, client, 0, clock() + DAY)
    return store.admit(asked, 1000)[0]


class Crowd:
    """Many instances of many accounts, most of one shard, where Redis has to choose how it searches."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.begin = clock()
        chance = random.Random(9)
        names = (f"{prefix}{n}" for n in count() for prefix in ("a", "ab", "B", "~", "!"))
        users = [*islice((name for name in names if shard_of(APP, name) == 0), 40), *(f"a{n}" for n in range(20))]
        tabs: list[Instance] = []
        for _ in range(200):
            clock.advance(chance.choice([0, 1]))
            client = Client(chance.choice(BROWSERS), chance.choice(ADDRESSES))
            tab = enters(store, clock, chance.choice(users), client)
            if chance.random() < 0.85:
                tab = store.attach(tab.id, chance.choice([NODES[0], *NODES]), 1000).instance
            tabs.append(tab)
        enters(store, clock, "a1", app=APP + 1)
        for tab in tabs[::9]:
            store.remove(tab.id, Gone(LOGGED_OUT, 0))
        clock.advance(GRACE - 40)  # some that never opened their stream are away, and no sweep has noticed
        for tab in tabs[1::9]:
            store.detach(tab.id, tab.stream)
        known = [store.get(tab.id) for tab in tabs]
        self.live = sorted((each for each in known if each.gone is None), key=lambda each: (each.user, each.id))
        self.end = clock()

    def found(self, where: Search) -> list[Instance]:
        """What a plain filter finds."""
        return [instance for instance in self.live if matches(instance, where)]


@pytest.fixture
def crowd(store: Store, clock: Clock) -> Crowd:
    return Crowd(store, clock)


def searches(crowd: Crowd) -> st.SearchStrategy[Search]:
    times = st.none() | st.integers(-1, int(crowd.end - crowd.begin) + 1).map(lambda after: crowd.begin + after)
    return st.builds(
        Search,
        user=st.sampled_from(["", "", "a", "ab", "a1", "B", "~", "nobody", "!"]),
        address=st.sampled_from(["", "", "", *ADDRESSES, "203.0.113"]),
        browser=st.sampled_from(["", "", "", *BROWSERS, "FIREFOX", "chrome 1", "Ünï", "ünï", "none"]),
        state=st.sampled_from(["", "", ONLINE, DETACHED]),
        node=st.sampled_from(["", "", "", *NODES, "node-3"]),
        since=times,
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_search_finds_what_a_plain_filter_finds_and_counts_as_many(crowd: Crowd, data: st.DataObject) -> None:
    where = data.draw(searches(crowd))
    limit = data.draw(st.sampled_from([1, 7, 50, 1000]))
    expected = crowd.found(where)
    found = pages(crowd.store, where, limit)
    assert [instance for page in found for instance in page.instances] == expected
    assert len(found) == max(1, -(-len(expected) // limit)), "no page is shorter than it could be, but the last"
    assert crowd.store.number(APP, where) == len(expected)


def test_each_filter_leaves_some_and_finds_some(crowd: Crowd) -> None:
    middle = (crowd.begin + crowd.end - GRACE) / 2
    for where in (
        Search("ab"),
        Search(address=ADDRESSES[0]),
        Search(browser="fire"),
        Search(state=ONLINE),
        Search(state=DETACHED),
        Search(node=NODES[1]),
        Search(since=middle),
    ):
        assert 0 < len(crowd.found(where)) < len(crowd.live), where


@pytest.mark.parametrize("few", [3, 6])
def test_the_few_that_match_come_page_by_page(crowd: Crowd, few: int) -> None:
    where = Search(since=sorted(each.since for each in crowd.live)[-few])
    assert every(crowd.store, where, limit=1) == crowd.found(where)


def test_an_app_without_instances_has_one_empty_page(store: Store) -> None:
    assert store.search(APP, Search()) == Page([])
    assert store.number(APP, Search()) == 0


def test_a_place_that_no_instance_has_is_one_to_go_on_from(store: Store, clock: Clock) -> None:
    tab = enters(store, clock, "m")
    for after in ("", "a", "l z", "m", "m ", "\x00", "é", "[x"):
        assert store.search(APP, Search(), after).instances == ([] if after == "é" else [tab])
    assert store.search(APP, Search(), "n").instances == []


def test_paging_skips_nobody_and_shows_nobody_twice_while_others_come_and_go(store: Store, clock: Clock) -> None:
    chance = random.Random(1)
    stay = [enters(store, clock, f"user-{n:02d}") for n in range(30)]
    passing = [enters(store, clock, f"user-{n:02d}") for n in range(30)]
    seen: list[str] = []
    after, more = "", True
    while more:
        page = store.search(APP, Search(), after, 4)
        seen += [instance.id for instance in page.instances]
        after, more = page.next, bool(page.next)
        for tab in chance.sample(passing, 3):
            store.remove(tab.id, Gone(LOGGED_OUT, 0))
        enters(store, clock, f"user-{chance.randrange(30):02d}")
        tab = chance.choice(stay)
        store.attach(tab.id, NODES[0], 1000)
        store.sweep()
    assert len(seen) == len(set(seen))
    assert {tab.id for tab in stay} <= set(seen)


def test_who_goes_away_leaves_the_list_and_who_comes_back_is_on_it_again(store: Store, clock: Clock) -> None:
    tab = store.attach(enters(store, clock, "alice", Client("Firefox", "203.0.113.7")).id, NODES[0], 1).instance
    wheres: tuple[Search, ...] = (Search(), Search("al"), Search(address="203.0.113.7"), Search(browser="F"))
    wheres = (*wheres, Search(since=tab.since))
    store.detach(tab.id, tab.stream)
    for swept in (False, True):
        clock.advance(GRACE)
        if swept:
            store.sweep()
        assert [(every(store, where), store.number(APP, where)) for where in wheres] == [([], 0)] * len(wheres)
    back = store.attach(tab.id, NODES[1], 1).instance
    wheres = (*wheres, Search(node=NODES[1]), Search(state=ONLINE))
    assert [(every(store, where), store.number(APP, where)) for where in wheres] == [([back], 1)] * len(wheres)
    assert every(store, Search(node=NODES[0])) == []
    store.delete_account(APP, "alice")
    assert every(store, Search()) == []


def test_an_instance_tells_which_node_has_its_stream(store: Store, clock: Clock) -> None:
    tab = enters(store, clock, "alice")
    assert tab.node == ""
    for node in NODES:
        tab = store.attach(tab.id, node, 1).instance
        assert every(store, Search()) == [replace(tab, node=node)]
    store.detach(tab.id, tab.stream)
    assert every(store, Search()) == [replace(tab, node="", detached_at=clock())]


def test_the_instances_of_a_node_are_counted_without_those_of_another_app(store: Store, clock: Clock) -> None:
    for _ in range(2):
        store.attach(enters(store, clock, "alice").id, NODES[0], 1000)
    enters(store, clock, "alice")  # detached
    here = Search(node=NODES[0])
    assert store.number(APP, here) == 2
    neighbour = next(name for name in map(str, count()) if shard_of(APP + 1, name) == shard_of(APP, "alice"))
    store.attach(enters(store, clock, neighbour, app=APP + 1).id, NODES[0], 1000)
    assert (store.number(APP, here), store.number(APP + 1, here)) == (2, 1)


def test_accounts_that_have_a_live_instance_are_counted(store: Store, clock: Clock) -> None:
    first, second = enters(store, clock, "alice"), enters(store, clock, "alice")
    bob = store.attach(enters(store, clock, "bob").id, NODES[0], 1).instance
    enters(store, clock, "carol", app=APP + 1)
    assert (store.live_accounts(APP), store.live_accounts(APP + 1)) == (2, 1)
    store.remove(first.id, Gone(LOGGED_OUT, 0))
    assert store.live_accounts(APP) == 2
    store.remove(second.id, Gone(LOGGED_OUT, 0))
    assert store.live_accounts(APP) == 1
    store.detach(bob.id, bob.stream)
    clock.advance(GRACE)
    store.sweep()
    assert store.live_accounts(APP) == 0
    store.attach(bob.id, NODES[0], 1)
    assert store.live_accounts(APP) == 1
    store.kick_account(APP, "bob", "console admin")
    assert store.live_accounts(APP) == 0


# Accounts with too many


def crowded(store: Store, limit: int, many: int) -> dict[str, int]:
    """Every account with more than `limit` live instances, and how many."""
    found = [store.crowded(APP, limit, many=many)]
    while found[-1].next:
        found.append(store.crowded(APP, limit, found[-1].next, many))
    accounts = [account for each in found for account in each.accounts]
    assert len(accounts) == len(dict(accounts)), "an account comes once"
    assert all(len(each.accounts) <= many for each in found)
    return dict(accounts)


@pytest.mark.parametrize("many", [1, 3, 1000])
def test_accounts_with_too_many_instances_are_found_with_their_number(crowd: Crowd, many: int) -> None:
    numbers = Counter(instance.user for instance in crowd.live)
    for limit in (1, 2, 4, 1000):
        expected = {user: number for user, number in numbers.items() if number > limit}
        assert crowded(crowd.store, limit, many) == expected


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_to_enforce_a_limit_ends_the_surplus_in_the_order_of_leaving(crowd: Crowd, clock: Clock, limit: int) -> None:
    store = crowd.store
    user, _ = Counter(instance.user for instance in crowd.live).most_common(1)[0]
    live = store.instances(APP, user)
    gone = Gone(TYPES.KICKED_OUT_MULT_ACCOUNT, clock())
    out = leaving(live, limit + 1)
    assert [replace(each, node="") for each in store.enforce(APP, user, limit, "console admin")] == [
        replace(each, gone=gone, node="") for each in out
    ]
    assert store.instances(APP, user) == [each for each in live if each not in out]
    assert store.enforce(APP, user, limit, "console admin") == []
    assert user not in crowded(store, limit, 1000)
