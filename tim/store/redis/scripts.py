"""The scripts in `lua/`: how they are loaded, and how they are called on one shard or on all of them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from redis import Redis
from redis.exceptions import ConnectionError, NoScriptError

from tim.errors import StoreUnavailable
from tim.rules import (
    ACCOUNT_EVENTS,
    AUDITED_KEPT,
    EARLY_KEPT,
    ENDS_KEPT,
    EVENT_LIFE,
    EVENTS_KEPT,
    LONGEST_PAUSE,
    MAX_LOG,
    MESSAGE_OVERHEAD,
    MINUTE,
    MINUTES_KEPT,
    NOT_ME_LIFE,
    PAUSE,
    REMEMBERED,
    SHARDS,
    SIGN_IN_LIFE,
    WINDOW,
)
from tim.store.redis.connection import Connection
from tim.store.redis.decode import checked, us
from tim.store.redis.shards import PREFIXES
from tim.store.redis.sockets import Words

EXACT: Final = 2**53 - 1
"""Largest integer that is exact in a Lua double; stands for "no limit"."""
COMMON: Final = ("common", "record", "events")
"""The files that every script begins with, in this order."""
PARTS: Final = ("usersigs", "log", "reading", "listing", "admission", "streams")
"""Files of which a script has those that its line USES names, in this order, after the common ones. Each call of a
script makes all its functions anew, so it has no file that it does not use."""
CONSTANTS: Final = {
    "remembered": us(REMEMBERED),
    "minute": us(MINUTE),
    "window": us(WINDOW),
    "sign_in_life": us(SIGN_IN_LIFE),
    "pause": us(PAUSE),
    "not_me_life": us(NOT_ME_LIFE),
    "ends_kept": ENDS_KEPT,
    "early_kept": EARLY_KEPT,
    "max_log": MAX_LOG,
    "log_slack": us(3600),
    "message_overhead": MESSAGE_OVERHEAD,
    "event_life": us(EVENT_LIFE),
    "longest_pause": us(LONGEST_PAUSE),
    "account_events": ACCOUNT_EVENTS,
    "shard_events": EVENTS_KEPT // SHARDS,
    "audited_kept": AUDITED_KEPT,
    "minutes_kept": us(MINUTES_KEPT),
    "exact": EXACT,
}
"""What the scripts know of `tim.rules`; times are microseconds."""

Reply = list[Any]
NOTHING: Final[Mapping[int, Sequence[str]]] = {}


@dataclass(frozen=True, slots=True)
class Script:
    """A script.

    Attributes:
        sha: the hash of its text, by which EVALSHA calls it.
        first: commands that are sent in front of it.
    """

    text: str
    sha: str
    first: tuple[Words, ...]

    @classmethod
    def of(cls, flags: str, text: str) -> Script:
        whole = f"{flags}\n{text}"
        sha = hashlib.sha1(whole.encode(), usedforsecurity=False).hexdigest()
        # What writes may publish hints, and these should leave before the reply: the caller that it wakes may take the
        # core on which Redis runs. Redis 7 writes first to the client that was the last to get something to be written.
        # After the reply to a PING, that is a client that gets a hint. Nothing but speed depends on this order.
        return cls(whole, sha, () if "no-writes" in flags else (("PING",),))


class Scripts:
    """Calls scripts over `connection`.

    Each call carries a deadline by the clock of its server. So a paused server or a slow network that goes on does not
    carry out a call that was given up.

    """

    def __init__(self, connection: Connection, grace: float) -> None:
        self._connection = connection
        self._grace = us(grace)
        self._me = ""  # both set once
        self._missed: Callable[[], None] = lambda: None
        self._events = False

    def set_node(self, node: str, missed: Callable[[], None]) -> None:
        """From now on `node` gets no hints of what these calls do.

        `missed` is called after one that was sent again: what the first attempt has done, nobody has told the node.
        """
        self._me, self._missed = node, missed

    def queue_events(self, on: bool) -> None:
        """From now on these calls queue the events of a webhook, or do not."""
        self._events = on

    def call(
        self, shard: int, verb: str, *words: str | float, me: str | None = None, other: int | None = None
    ) -> Reply:
        """The values that the script `verb` replies with on `shard`. After a broken connection it is called once more.

        `me` stands for another node than the caller's. `other` is a second shard, which the same server has to hold.

        Raises:
            StoreUnavailable; and what `checked` raises where the script refuses.
        """
        return checked(verb, self._call(shard, verb, self._given(words, me), other))

    def everywhere(
        self, verb: str, *words: str | float, more: Mapping[int, Sequence[str]] = NOTHING
    ) -> list[Reply | None]:
        """The values that the script replies with on each shard, in their order; None for a shard without a reply.

        `more` has, by shard, what it is given in addition.

        Raises:
            StoreUnavailable: there is no reply at all. And what `checked` raises where the script refuses.
        """
        given = self._given(words)
        replies = self._replies(verb, {shard: (*given, *more.get(shard, ())) for shard in range(SHARDS)})
        return [replies.get(shard) for shard in range(SHARDS)]

    def everywhere_or_fail(self, verb: str, *words: str | float) -> list[Reply]:
        """The same, where each shard has to reply.

        Raises:
            StoreUnavailable: one does not.
        """
        replies = [reply for reply in self.everywhere(verb, *words) if reply is not None]
        if len(replies) < SHARDS:
            raise StoreUnavailable("a shard of it does not answer")
        return replies

    def several(self, verb: str, words: dict[int, Words]) -> dict[int, Reply]:
        """The values that the script replies with on each of these shards, which is given the words of its own.

        Raises:
            StoreUnavailable: a shard does not reply.
        """
        replies = self._replies(verb, {shard: self._given(its) for shard, its in words.items()})
        if len(replies) < len(words):
            raise StoreUnavailable("a shard of it does not answer")
        return replies

    def _replies(self, verb: str, given: dict[int, Words]) -> dict[int, Reply]:
        """The values that the script replies with, by shard; a shard without a reply is left out."""
        replies: dict[int, Reply] = {}
        failure = StoreUnavailable("no shard of it answers")
        for server, shards in self._connection.servers().items():
            asked = [shard for shard in shards if shard in given]
            if not asked:
                continue
            try:
                with self._connection.reaching:
                    found = self._evaluate_all(server, verb, {shard: given[shard] for shard in asked})
            except StoreUnavailable as error:
                failure = error
                continue
            for shard, reply in zip(asked, found, strict=True):
                done = isinstance(reply, list) and reply[:1] != ["late"]
                try:
                    replies[shard] = reply if done else self._call(shard, verb, given[shard])
                except StoreUnavailable as error:
                    failure = error
        if not replies:
            raise failure
        return {shard: checked(verb, reply) for shard, reply in replies.items()}

    def _given(self, words: Words, me: str | None = None) -> Words:
        events = " events" if self._events else ""
        return (self._grace, (self._me if me is None else me) + events, *words)

    def _call(self, shard: int, verb: str, given: Words, other: int | None = None) -> Reply:
        keys: Words = (1, PREFIXES[shard]) if other is None else (2, PREFIXES[shard], PREFIXES[other])
        with self._connection.reaching:
            try:
                return self._evaluate(shard, keys, verb, given)
            except ConnectionError:
                reply = self._evaluate(shard, keys, verb, given)
        self._missed()
        return reply

    def _evaluate(self, shard: int, keys: Words, verb: str, given: Words) -> Reply:
        script = SCRIPTS[verb]
        for _ in range(3):
            words = (*keys, self._connection.deadline(shard), *given)
            try:
                reply: Reply = self._connection.execute(shard, *script.first, ("EVALSHA", script.sha, *words))
            except NoScriptError:
                reply = self._connection.execute(shard, ("EVAL", script.text, *words))
            if reply[:1] != ["late"]:
                return reply
            # The reply is here in time, so the clock of the server was set.
            self._connection.set_clock(shard, int(reply[1]))
        raise StoreUnavailable("its clock keeps changing")

    def _evaluate_all(self, server: Redis, verb: str, given: dict[int, Words]) -> list[Any]:
        """The replies of one server, or the errors in place of replies."""
        try:
            return self._pipelined(server, verb, given)
        except ConnectionError:
            pass
        try:
            replies = self._pipelined(server, verb, given)
        except ConnectionError:
            self._connection.look_again()
            raise
        self._missed()
        return replies

    def _pipelined(self, server: Redis, verb: str, given: dict[int, Words]) -> list[Any]:
        sha, deadline = SCRIPTS[verb].sha, self._connection.deadline
        return self._connection.sockets(server).exchange(
            [("EVALSHA", sha, 1, PREFIXES[shard], deadline(shard), *its) for shard, its in given.items()]
        )


def call_id() -> str:
    """The id of a call that must not be carried out twice; a repetition after a lost reply has the same id."""
    return secrets.token_hex(8)


def _load() -> dict[str, Script]:
    """Each script by its name. Its first line has the flags, which Redis reads nowhere else."""
    folder = resources.files("tim.store.redis").joinpath("lua")
    texts = {
        file.name.removesuffix(".lua"): file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".lua")
    }
    constants = f"local {', '.join(CONSTANTS)} = {', '.join(map(str, CONSTANTS.values()))}\n"
    found: dict[str, Script] = {}
    for name in sorted(texts.keys() - {*COMMON, *PARTS}):
        flags, _, verb = texts[name].partition("\n")
        _, _, uses = verb.partition("\n-- USES: ")
        used = uses.partition("\n")[0].split(", ")
        files = (*COMMON, *(part for part in PARTS if part in used))
        found[name] = Script.of(flags, constants + "".join(texts[file] for file in files) + verb)
    return found


SCRIPTS: Final = _load()
