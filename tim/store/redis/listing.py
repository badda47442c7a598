"""Searches among the live instances of an app. Each shard finds its own; here they become one list."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tim.job import Crowded
from tim.model import Instance
from tim.rules import SHARDS, shard_of
from tim.search import DETACHED, ONLINE, Page, Search, page_of, place
from tim.store.redis.decode import instances_of, us
from tim.store.redis.scripts import Scripts, call_id
from tim.store.redis.sockets import Words

MORE: Final = 4
"""How many times as many instances a shard is asked for when it is asked again."""


class Listing:
    """The verbs on the list of live instances of a store on Redis."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def search(self, app: int, where: Search, after: str = "", limit: int = 50) -> Page:
        """The verb `search`.

        Accounts are spread evenly over the shards, so each is asked for its share of the page at first. Those that may
        have more that belongs to the page are asked again, as a rule a few.
        """
        found: dict[str, Instance] = {}
        unread = dict.fromkeys(range(SHARDS), after)  # by shard: the place up to which it was read
        asked = list(unread)
        share = -(-2 * (limit + 1) // SHARDS)
        while asked:
            words: dict[int, Words] = {shard: (app, *_words(where), share, unread.pop(shard)) for shard in asked}
            for shard, [flat, read] in self._scripts.several("search", words).items():
                found |= {place(instance): instance for instance in instances_of(flat)}
                if read:
                    unread[shard] = read
            places = sorted(found)
            asked = [shard for shard, read in unread.items() if len(places) <= limit or read < places[limit]]
            share *= MORE
        return page_of([found[each] for each in places], limit)

    def number(self, app: int, where: Search) -> int:
        """The verb `number`."""
        if where.state == ONLINE:  # most are, and there is no index of them
            every, detached = (self.number(app, replace(where, state=state)) for state in ("", DETACHED))
            return max(0, every - detached)
        total, unread = 0, dict.fromkeys(range(SHARDS), "")
        while unread:
            words: dict[int, Words] = {shard: (app, *_words(where), read) for shard, read in unread.items()}
            replies = self._scripts.several("number", words)
            total += sum(int(counted) for counted, _ in replies.values())
            unread = {shard: read for shard, [_, read] in replies.items() if read}
        return total

    def live_accounts(self, app: int) -> int:
        """The verb `live_accounts`."""
        return sum(int(number) for [number] in self._scripts.everywhere_or_fail("live_accounts", app))

    def crowded(self, app: int, limit: int, after: str = "", many: int = 100) -> Crowded:
        """The verb `crowded`, one shard after the other; a place begins with its shard."""
        first, _, read = after.partition("/")
        for shard in range(int(first or 0), SHARDS):
            found, read = self._scripts.call(shard, "crowded", app, limit, read, many)
            accounts = [(user, int(number)) for user, number in found]
            if accounts or read:
                more = f"{shard}/{read}" if read else f"{shard + 1}/"
                return Crowded(accounts, "" if more == f"{SHARDS}/" else more)
        return Crowded([], "")

    def enforce(self, app: int, user: str, limit: int, actor: str) -> list[Instance]:
        [ended] = self._scripts.call(shard_of(app, user), "enforce", app, user, limit, actor, call_id())
        return instances_of(ended)


def _words(where: Search) -> tuple[str, ...]:
    """What the scripts are given of a search."""
    since = "-inf" if where.since is None else us(where.since)
    return (where.user, where.address, where.browser, where.state, where.node, since)
