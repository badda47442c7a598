"""The promise of a store: its verbs, each one atomic step.

Time inside a verb is the store's own; a caller's clock decides nothing. A verb that raises StoreUnavailable
changed nothing that the caller may not ask for again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Protocol

from tim.ends import Gone
from tim.model import Instance, Limits, Message
from tim.rules import NEWEST
from tim.store.hints import Hint


class Store(Protocol):
    """What the service asks of a store. `tests/test_store.py` holds each engine to it.

    A node is one process. It joins before it attaches, and renews every few seconds.
    """

    def now(self) -> float:
        """Unix seconds, the same for all processes on this store, whatever their own clocks say."""

    def join(self, node: str) -> None:
        """The node is there from now on."""

    def listen(self, node: str, hear: Callable[[Hint], None], missed: Callable[[], None]) -> None:
        """Tell this process, which is `node`, what others decide about accounts that have streams open at it.

        Hints may be lost. Where that may have happened, `missed` is called. Both come on a thread of the store.
        """

    def attached(self, node: str) -> dict[str, int]:
        """The live instances whose stream is open at the node, and its number."""

    def online(self) -> dict[str, int]:
        """How many instances are online, by the node that has their stream open; a node that has none is left out."""

    def admit(self, newcomer: Instance, limit: int, made: float = math.inf) -> tuple[Instance, list[Instance]]:
        """Count, evict and admit in one step.

        Returns the newcomer with its `since` and `generation`, and the evicted ones as `rules.leaving` orders
        them. Idempotent by `newcomer.id`: admitting it again changes nothing and evicts nobody. `made`, in unix
        seconds, says when the UserSig was made that asks for it.

        Raises:
            UserSigRevoked: an administrator has kicked the account since that UserSig was made.
        """

    def attach_again(self, id: str, node: str, limit: int, after: int) -> Instance | None:
        """`attach`, if stream `after` is still the newest one; None, and nothing done, where a later one was opened.

        Raises:
            InstanceGone: it has ended, whichever stream is the newest.
        """

    def attach(self, id: str, node: str, limit: int) -> Instance:
        """Open a stream: the instance with a stream number larger than any it had; older streams are void.

        An instance that was AWAY takes a seat again if its account has one free, as its newest generation;
        it never evicts.

        Raises:
            InstanceGone: it has ended; the reason stays the same for ever after.
        """

    def detach(self, id: str, stream: int) -> bool:
        """The stream is closed; the seat is kept for the grace time. False, and nothing done, for an older stream."""

    def renew(self, node: str) -> list[Instance]:
        """The node lives. Returns those of its attached instances that have ended, until each is detached.

        Raises:
            NodeForgotten: it has to join again, and to attach its streams again.
        """

    def remove(self, id: str, gone: Gone, stream: int | None = None) -> Instance | None:
        """End an instance; where `stream` is given, only if that is still its newest stream.

        Returns it, or None, and nothing done, where it had ended before or has a later stream.
        """

    def sign_out(self, id: str, other: str) -> Instance | None:
        """End another instance of the same account, by the instance `id`, which must hold at that instant.

        Returns the other one, or None where it had ended before.

        Raises:
            InstanceGone: the instance `id` has ended, or is away.
            NoSuchInstance: its account has no instance `other`.
        """

    def sweep(self) -> list[Instance]:
        """End what has expired or stayed away, forget what nobody can ask for any more. Returns the ended."""

    def get(self, id: str) -> Instance:
        """The instance, ended or not; with reason UNKNOWN where the store does not have it."""

    def instances(self, app: int, user: str) -> list[Instance]:
        """The live instances of an account, oldest generation first."""

    def append(self, app: int, id: str, to: str, text: str, message_id: str) -> tuple[Message, Message | None]:
        """Write a message into the logs of its sender and its receiver, if the sender's instance still holds.

        Returns the sender's copy and the receiver's; None where somebody writes to himself, or where it will be
        written a moment later, as it is sure to be, or is not there any more. Idempotent by instance, `message_id`,
        receiver and text: another message with the same id is written under an id of its own.

        A log has at most MAX_LOG bytes; its oldest messages make room.

        Raises:
            InstanceGone: the sender's instance has ended for good.
            NotReady: its stream is not open; it may come back.
            NoSuchAccount: the receiver does not exist.
            TooManyMessages: the instance has sent MESSAGES_A_MINUTE. One that is sent again does not count.
        """

    def deliver(
        self, app: int, sender: str, to: str, text: str, message_id: str, *, copy: bool
    ) -> tuple[Message | None, Message | None]:
        """Write a message that no instance sends into the log of its receiver, and where `copy` of its sender.

        Returns the sender's copy and the receiver's. The sender's is None where it has none, or where it will be
        written a moment later; the receiver's is None where it is the sender itself. Idempotent within a MINUTE by
        `message_id`, sender, receiver and text; another message with the same id gets one of its own.

        A store whose logs lie on several servers writes the receiver's copy first, and notes in the same step that the
        sender's is missing. Where the node dies in between, a sweep of any node writes it.

        Raises:
            NoSuchAccount: the receiver does not exist. A sender that does not has no log.
        """

    def history(self, app: int, user: str, after: int, limit: int, up_to: int = NEWEST) -> list[Message]:
        """The newest `limit` messages of an account's log numbered above `after` and at most `up_to`, oldest first.

        Those that are older than REMEMBERED, or had to make room for newer ones, are not there any more.
        """

    def read_seq(self, app: int, user: str) -> int:
        """The number of the newest message the account has been shown."""

    def mark_read(self, app: int, user: str, seq: int) -> None:
        """The account has been shown its messages up to `seq`."""

    def import_account(self, app: int, user: str) -> None:
        """The account exists from now on, as if it had logged in once."""

    def accounts(self, app: int, users: Collection[str]) -> set[str]:
        """Those of `users` that exist."""

    def kick_account(self, app: int, user: str) -> tuple[float, list[Instance]]:
        """End every instance of an account for good, and make void each UserSig made before the coming second, and
        each that was used before and says that it was made later.

        A UserSig says only in which second it was made. Returns how many seconds are left until that coming one,
        which the caller lets pass before he tells of it, and the ended instances.

        Raises:
            NoSuchAccount: there is none.
        """

    def delete_account(self, app: int, user: str) -> list[Instance]:
        """End every instance of an account, and forget it and its log. Returns the ended.

        Raises:
            NoSuchAccount: there is none.
        """

    def revoked_before(self, app: int, user: str) -> int:
        """Unix seconds: the account's UserSigs that were made earlier are void. 0 where none is."""

    def limits(self, app: int) -> Limits | None:
        """What was saved last as the limits of the app."""

    def save_limits(self, app: int, limits: Limits) -> None:
        """Save what the app allows, for every node."""

    def count_failure(self, name: str, most: int) -> int:
        """Count one failure of `name`. Where it is one more than `most` in a WINDOW, it waits for a PAUSE.

        Returns the seconds it has to wait, 0 where it has not to; never more than a PAUSE, wherever a clock was set.
        """

    def close(self) -> None:
        """Let go of files, locks and connections."""
