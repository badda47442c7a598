"""The promise of a store on messages; see `tim.store.base`, whose `Store` includes all of it."""

from __future__ import annotations

from typing import Protocol

from tim.model import MESSAGES_A_MINUTE, Message
from tim.rules import NEWEST


class Messages(Protocol):
    """Each account has a log, numbered from 1. A message stands in its sender's log and in its receiver's.

    A log holds at most MAX_LOG bytes and REMEMBERED seconds; its oldest messages make room.
    """

    def append(
        self, app: int, id: str, to: str, text: str, message_id: str, *, most: int = MESSAGES_A_MINUTE
    ) -> tuple[Message, Message | None]:
        """Write a message into the logs of its sender and its receiver, if the instance `id` of the sender is online.

        Returns the sender's copy and the receiver's. The latter is None for a message to the sender itself, for a
        receiver that was deleted meanwhile, and for a copy that is written later (see below). Idempotent by instance,
        `message_id`, receiver and text; another message with the same id is written under an id of its own.

        A store whose logs lie on several servers writes the sender's copy first, and notes in the same step that the
        receiver's is missing. Where the node dies in between, a sweep of any node writes it.

        Raises:
            InstanceGone: the sender's instance has ended for good.
            NotReady: its stream is not open; it may come back.
            NoSuchAccount: the receiver does not exist.
            TooManyMessages: the instance has sent `most` within a MINUTE. A repeated message does not count.
        """

    def deliver(
        self, app: int, sender: str, to: str, text: str, message_id: str, *, copy: bool
    ) -> tuple[Message | None, Message | None]:
        """Write a message that no instance sends into the log of its receiver, and with `copy` also of its sender.

        Returns the sender's copy and the receiver's. The sender's is None where it has none, or where it will be
        written a moment later; the receiver's is None where it is the sender itself. Idempotent within a MINUTE by
        `message_id`, sender, receiver and text; another message with the same id gets one of its own.

        A store whose logs lie on several servers writes the receiver's copy first, and notes in the same step that the
        sender's is missing. Where the node dies in between, a sweep of any node writes it.

        Raises:
            NoSuchAccount: the receiver does not exist. A sender that does not exist has no log.
        """

    def history(self, app: int, user: str, after: int, limit: int, up_to: int = NEWEST) -> list[Message]:
        """The newest `limit` messages of an account's log numbered above `after` and at most `up_to`, oldest first."""

    def mark_read(self, app: int, user: str, seq: int) -> None:
        """Note that the account has read its messages up to `seq`."""
