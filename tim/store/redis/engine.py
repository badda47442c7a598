"""The distributed store: one Redis or a cluster, any number of processes on any number of machines.

Every verb that decides is one script in `lua/`, run by the one server that holds the part of the account. A script
runs alone, so verbs on an account happen one after the other. What each verb promises stands in `tim.store.Store`.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import asdict, astuple, fields
from typing import Final

from tim.ends import UNKNOWN, Client, Gone
from tim.errors import NodeForgotten, NoSuchAccount, StoreUnavailable
from tim.model import Instance, Limits, Message
from tim.rules import (
    MAX_LOG,
    MESSAGE_OVERHEAD,
    MESSAGES_A_MINUTE,
    MINUTE,
    NEWEST,
    PAUSE,
    REMEMBERED,
    SHARDS,
    WINDOW,
    shard_of,
)
from tim.store.hints import Hint, message_of, seconds
from tim.store.redis.connection import NEVER, PREFIXES, TIMEOUT, Connection, Reply
from tim.store.redis.decode import call_id, checked, fields_of, instance_of, us
from tim.store.redis.listener import Listener

LEASE: Final = 30.0
"""Seconds after which a node that does not renew is held to be dead, and its instances to be detached."""
UNSENT: Final = 10.0
"""Seconds after which a message that has not got to its receiver's log is written there by another process."""
LOG: Final = (MAX_LOG, MESSAGE_OVERHEAD)
"""What bounds a log, as the scripts that write to one take it."""


class RedisStore:
    """The verbs of `tim.store.Store` on the Redis at `url`, a single server or one of a cluster.

    Raises:
        SettingError: it cannot be reached, or could not keep the promises of a store.
    """

    def __init__(self, url: str, *, grace: float) -> None:
        self._connection = Connection(url)
        self._grace = grace
        self._node = ""  # who needs no hints of what this store does; set once, by `listen`
        self._listener: Listener | None = None

    def now(self) -> float:
        return self._connection.now()

    def look_at_clock(self) -> None:
        """Make `now` right again after a clock of Redis was set, and before our own has drifted away from it."""
        self._connection.look_at_clocks()

    def join(self, node: str) -> None:
        if None in self._everywhere("renew", node, us(LEASE), 1):
            raise StoreUnavailable("a part of it does not answer")

    def renew(self, node: str) -> list[Instance]:
        ended: list[Instance] = []
        forgotten = False
        self.look_at_clock()
        for reply in self._everywhere("renew", node, us(LEASE), 0):
            if reply is None:
                continue  # the other parts must not suffer for it; it counts as forgotten when it is back
            forgotten = forgotten or not reply[1]
            ended += map(instance_of, reply[2])
        if forgotten:
            raise NodeForgotten
        return ended

    def listen(self, node: str, hear: Callable[[Hint], None], missed: Callable[[], None]) -> None:
        self._node = node
        self._listener = Listener(self._connection, node, hear, missed)

    def attached(self, node: str) -> dict[str, int]:
        streams: dict[str, int] = {}
        for reply in self._everywhere("attached", node):
            if reply is None:
                raise StoreUnavailable("a part of it does not answer")
            streams.update((id, int(stream)) for id, stream in reply[1])
        return streams

    def online(self) -> dict[str, int]:
        counted: Counter[str] = Counter()
        for reply in self._everywhere("online"):
            if reply is None:
                raise StoreUnavailable("a part of it does not answer")
            counted.update({node: int(number) for node, number in reply[1]})
        return dict(+counted)

    def admit(self, newcomer: Instance, limit: int, made: float = NEVER) -> tuple[Instance, list[Instance]]:
        app, user, client = newcomer.app, newcomer.user, newcomer.client
        who = (newcomer.id, app, user, client.browser, client.address, us(newcomer.expires))
        _, admitted, evicted = self._call(shard_of(app, user), "admit", *who, limit, int(min(made, NEVER)))
        return instance_of(admitted), [instance_of(each) for each in evicted]

    def attach(self, id: str, node: str, limit: int) -> Instance:
        return instance_of(self._call(_shard_in(id), "attach", id, node, limit)[1])

    def attach_again(self, id: str, node: str, limit: int, after: int) -> Instance | None:
        again = self._call(_shard_in(id), "attach", id, node, limit, after, call_id())[1]
        return None if again is None else instance_of(again)

    def detach(self, id: str, stream: int) -> bool:
        return bool(self._call(_shard_in(id), "detach", id, stream)[1])

    def remove(self, id: str, gone: Gone, stream: int | None = None) -> Instance | None:
        by = () if gone.by is None else astuple(gone.by)
        fence = "" if stream is None else stream
        removed = self._call(_shard_in(id), "remove", id, gone.reason, fence, *by)[1]
        return None if removed is None else instance_of(removed)

    def sign_out(self, id: str, other: str) -> Instance | None:
        ended = self._call(_shard_in(id), "sign_out", id, other)[1]
        return None if ended is None else instance_of(ended)

    def sweep(self) -> list[Instance]:
        ended: list[Instance] = []
        unsent: list[tuple[int, str, str, list[str]]] = []
        again = True
        while again:
            again = False
            unsent.clear()
            for part, reply in enumerate(self._everywhere("sweep", us(LEASE), us(UNSENT))):
                if reply is not None:
                    again = again or bool(reply[1])
                    ended += map(instance_of, reply[2])
                    unsent += [(part, *each) for each in reply[3]]
        self._send_on(unsent)
        return ended

    def get(self, id: str) -> Instance:
        _, now, found = self._call(_shard_in(id), "get", id)
        if not found:
            return Instance(id, 0, "", Client("", ""), 0, 0, gone=Gone(UNKNOWN, seconds(now)))
        return instance_of(found)

    def instances(self, app: int, user: str) -> list[Instance]:
        return [instance_of(each) for each in self._call(shard_of(app, user), "instances", app, user)[1]]

    def append(self, app: int, id: str, to: str, text: str, message_id: str) -> tuple[Message, Message | None]:
        exists = int(bool(self.accounts(app, [to])))
        part = _shard_in(id)
        message, bounds = (app, id, to, exists, text, message_id), (*LOG, MESSAGES_A_MINUTE, us(MINUTE))
        _, seq, written, entry, undelivered = self._call(part, "append", *message, *bounds)
        sent = message_of(fields_of(written), seq)
        if to == sent.sender:
            return sent, None
        # The script above has noted what is to be done here: where this process dies now, or the receiver's part of
        # the store does not answer, another one does it. So from here on the message counts as sent.
        received = None
        with suppress(StoreUnavailable):
            with suppress(NoSuchAccount):  # deleted since it was asked for: then there is nobody to write to
                received = self._receive(app, to, written, may_write=bool(undelivered))
            if undelivered:
                self._connection.command(part, "ZREM", f"{PREFIXES[part]}:outbox", entry)
        return sent, received

    def deliver(
        self, app: int, sender: str, to: str, text: str, message_id: str, *, copy: bool
    ) -> tuple[Message | None, Message | None]:
        message = ["id", message_id, "sender", sender, "to", to, "text", text, "instance", ""]
        received = self._receive(app, to, message)
        assert received is not None, "what may be written is there afterwards"
        if to == sender:
            return received, None
        sent = None
        if copy:
            message[1] = received.id
            with suppress(NoSuchAccount):
                sent = self._receive(app, sender, [*message, "time", us(received.time)])
        return sent, received

    def history(self, app: int, user: str, after: int, limit: int, up_to: int = NEWEST) -> list[Message]:
        _, oldest, entries = self._call(shard_of(app, user), "history", app, user, after, limit, up_to)
        newest_first = (message_of(fields_of(entry), number.partition("-")[0]) for number, entry in entries)
        return [message for message in newest_first if message.time >= seconds(oldest)][::-1]

    def read_seq(self, app: int, user: str) -> int:
        return self._number(app, user, "shown")

    def mark_read(self, app: int, user: str, seq: int) -> None:
        self._call(shard_of(app, user), "mark_read", app, user, seq)

    def import_account(self, app: int, user: str) -> None:
        self._connection.command(shard_of(app, user), "HSET", _account(app, user), "exists", 1)

    def accounts(self, app: int, users: Collection[str]) -> set[str]:
        known = self._connection.command
        return {user for user in users if known(shard_of(app, user), "HEXISTS", _account(app, user), "exists")}

    def kick_account(self, app: int, user: str) -> tuple[float, list[Instance]]:
        _, left, kicked = self._call(shard_of(app, user), "kick_account", app, user)
        return seconds(left), [instance_of(each) for each in kicked]

    def delete_account(self, app: int, user: str) -> list[Instance]:
        return [
            instance_of(each) for each in self._call(shard_of(app, user), "delete_account", app, user, call_id())[1]
        ]

    def revoked_before(self, app: int, user: str) -> int:
        return self._number(app, user, "void")

    def limits(self, app: int) -> Limits | None:
        saved = self._connection.command(0, "HMGET", _limits(app), *(field.name for field in fields(Limits)))
        return None if None in saved else Limits(*map(int, saved))

    def save_limits(self, app: int, limits: Limits) -> None:
        pairs = (word for pair in asdict(limits).items() for word in pair)
        self._call(0, "save_limits", app, *pairs)

    def count_failure(self, name: str, most: int) -> int:
        left: int = self._call(shard_of(0, name), "count_failure", name, most, us(WINDOW), us(PAUSE), call_id())[1]
        return math.ceil(left / 1000)

    def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        self._connection.close()

    def _call(self, part: int, verb: str, *words: object, me: str | None = None) -> Reply:
        """What a script answers that has decided; what it refuses is raised. `me` needs no hint of it."""
        node = self._node if me is None else me
        reply = self._connection.call(part, verb, us(self._grace), us(REMEMBERED), node, *words)
        return checked(reply)

    def _everywhere(self, verb: str, *words: object) -> list[Reply | None]:
        return self._connection.everywhere(verb, us(self._grace), us(REMEMBERED), self._node, *words)

    def _receive(
        self, app: int, user: str, fields: list[str], me: str | None = None, *, may_write: bool = True
    ) -> Message | None:
        """Write a message into the log of `user`, once, and notify every other node that has a stream of the account.

        Returns the copy in the log; None where there is none and `may_write` does not allow one.

        Raises:
            NoSuchAccount.
        """
        rules = (int(may_write), us(MINUTE), *LOG)
        _, *copy = self._call(shard_of(app, user), "receive", app, user, *rules, *fields, me=me)
        return message_of(fields_of(copy[1]), copy[0]) if copy[0] else None

    def _send_on(self, unsent: list[tuple[int, str, str, list[str]]]) -> None:
        """Finish what a process had begun that died before it had written a message to its receiver.

        One that cannot be written now stays for the next time, and holds up neither the others nor a renewal.
        """
        random.shuffle(unsent)
        enough = time.monotonic() + TIMEOUT
        for part, entry, app, written in unsent:
            message = fields_of(written)
            with suppress(StoreUnavailable):
                if message:
                    with suppress(NoSuchAccount):
                        self._receive(int(app), message["to"], written, me="")
                self._connection.command(part, "ZREM", f"{PREFIXES[part]}:outbox", entry)
            if time.monotonic() > enough:
                break

    def _number(self, app: int, user: str, name: str) -> int:
        return int(self._connection.command(shard_of(app, user), "HGET", _account(app, user), name) or 0)


def _limits(app: int) -> str:
    return f"{PREFIXES[0]}:limits:{app}"


def _account(app: int, user: str) -> str:
    return f"{PREFIXES[shard_of(app, user)]}:account:{app}:{user}"


def _shard_in(id: str) -> int:
    """The part of the store that an id says it is of; whatever is no id of ours is in none and not found in any."""
    try:
        return int(id[-2:], 16) % SHARDS
    except ValueError:
        return 0
