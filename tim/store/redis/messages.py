"""The logs of messages, and how a message gets into two of them.

On a single Redis, a message of an instance is written into both logs in one step. In a cluster, the logs of sender and
receiver may lie on two servers, so it is written in two steps, as one by REST always is. The first step writes one copy
and, in the same script, an entry of the outbox. The second step writes the other copy, and then the entry is removed.
Where the node dies in between, or the other shard does not answer, the next sweep of any node finishes it.
"""

from __future__ import annotations

import random
import time
from contextlib import suppress
from typing import Any

from tim.errors import NoSuchAccount, StoreUnavailable
from tim.model import MESSAGES_A_MINUTE, Message
from tim.rules import NEWEST, shard_of
from tim.store.redis.connection import Connection
from tim.store.redis.decode import fields_of, message_of, messages_of
from tim.store.redis.scripts import Scripts
from tim.store.redis.shards import account_key, key, shard_of_instance
from tim.timing import Timing


class Messages:
    """The verbs on messages of a store on Redis."""

    def __init__(self, connection: Connection, scripts: Scripts, timing: Timing) -> None:
        self._timing = timing
        self._connection = connection
        self._scripts = scripts

    def append(
        self, app: int, id: str, to: str, text: str, message_id: str, *, most: int = MESSAGES_A_MINUTE
    ) -> tuple[Message, Message | None]:
        """The verb `append`: one step where one server has both logs."""
        shard, other = shard_of_instance(id), shard_of(app, to)
        together = self._connection.joins_shards
        exists = together or self.exists(app, to)
        words = (app, id, to, int(exists), text, message_id, most)
        seq, written, entry, pending, second = self._scripts.call(
            shard, "append", *words, other=other if together else None
        )
        sent = message_of(fields_of(written), seq)
        if to == sent.sender:
            return sent, None
        if together:
            return sent, message_of(fields_of(second[1]), second[0]) if second else None
        received = None
        with suppress(StoreUnavailable):
            received = self._copy(app, to, written, may_write=bool(pending))
            if pending:
                self._done(shard, entry)
        return sent, received

    def exists(self, app: int, user: str) -> bool:
        return bool(self._connection.command(shard_of(app, user), "HEXISTS", account_key(app, user), "exists"))

    def deliver(
        self, app: int, sender: str, to: str, text: str, message_id: str, *, copy: bool
    ) -> tuple[Message | None, Message | None]:
        """The verb `deliver`."""
        message = ["id", message_id, "sender", sender, "to", to, "text", text, "instance", ""]
        two = copy and sender != to
        shard = shard_of(app, to)
        seq, written, entry = self._scripts.call(shard, "deliver", app, to, 1, int(two), *message)
        received = message_of(fields_of(written), seq)
        if to == sender:
            return received, None
        sent = None
        if two:
            with suppress(StoreUnavailable):
                sent = self._copy(app, sender, written)
                self._done(shard, entry)
        return sent, received

    def history(self, app: int, user: str, after: int, limit: int, up_to: int = NEWEST) -> list[Message]:
        """The verb `history`."""
        since, entries = self._scripts.call(shard_of(app, user), "history", app, user, after, limit, up_to)
        return messages_of(since, entries)

    def finish(self, unfinished: list[tuple[int, list[Any]]]) -> None:
        """Write second copies that are still missing. Each has its shard and its entry in the reply of `sweep`.

        A copy that cannot be written now stays for the next time. It holds up neither the others nor a renewal.
        """
        random.shuffle(unfinished)
        enough = time.monotonic() + self._timing.redis_timeout
        for shard, (entry, *missing) in unfinished:
            with suppress(StoreUnavailable):
                if missing:
                    app, user, written = missing
                    self._copy(int(app), user, written, me="")
                self._done(shard, entry)
            if time.monotonic() > enough:
                break

    def _copy(
        self, app: int, user: str, written: list[str], *, may_write: bool = True, me: str | None = None
    ) -> Message | None:
        """Write into the log of `user` the copy of a message that another log has, once.

        Returns the copy. None without `may_write` if there is none, or if the account does not exist: it was deleted
        meanwhile, or the sender never was an account.
        """
        try:
            seq, *copy = self._scripts.call(
                shard_of(app, user), "deliver", app, user, int(may_write), 0, *written, me=me
            )
        except NoSuchAccount:
            return None
        return message_of(fields_of(copy[0]), seq) if seq else None

    def _done(self, shard: int, entry: str) -> None:
        self._connection.command(shard, "ZREM", key(shard, "outbox"), entry)
