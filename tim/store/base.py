"""The promise of a store. Each verb is one atomic step; `tests/store` holds every engine to it.

Time inside a verb is the store's own: a caller's clock decides nothing. Any verb may raise StoreUnavailable. It
has then changed nothing, unless only its reply was lost; the same call may be made again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Protocol

from tim.ends import Gone
from tim.model import Choice, Disowned, Instance, View
from tim.rules import EVICT, NEWEST
from tim.store.audit import Audit, Counters
from tim.store.hints import Hint
from tim.store.messages import Messages
from tim.store.operating import Blocks, Events, Jobs, Listing, Sessions, Settings


class Nodes(Protocol):
    """The server processes on this store. A node joins before it attaches streams, and renews every few seconds."""

    def join(self, node: str) -> None:
        """Give the node a lease."""

    def renew(self, node: str, delivered: Collection[str] = ()) -> list[Instance]:
        """Extend the lease of the node.

        Returns its pending notices: the instances with a stream at this node that have ended, until each is detached
        or `delivered`.

        Args:
            delivered: ids of instances whose end for good has arrived at the node; their streams are closed here.

        Raises:
            NodeForgotten: the node has no lease; it has to join again, and to attach its streams again.
        """

    def listen(self, node: str, receive: Callable[[Hint], None], missed: Callable[[], None]) -> None:
        """Receive hints for the node: what other nodes decide about accounts that have streams open at it.

        Hints may be lost. Where that may have happened, `missed` is called. Both run on a thread of the store.
        """

    def attached(self, node: str) -> dict[str, int]:
        """Stream numbers by instance id, of the live instances whose stream is open at the node."""

    def online(self) -> dict[str, int]:
        """How many instances are online, by node; nodes without any are left out."""

    def sweep(self) -> list[Instance]:
        """End the instances that have expired or stayed detached too long, and delete what is older than REMEMBERED.

        Finishes what a dead node has left half done, such as the second copy of a message. Returns the ended instances.
        """


class Instances(Protocol):
    """The logins of accounts, from admission to end.

    `admit`, `attach`, `append`, `sign_out`, `sign_out_others`, `rename` and `vouch` are actions of the instance `id`:
    they move its `active_at`, where it has an `idle_life`. What a node does by itself, as in `attach_again`, is none.
    """

    def admit(
        self,
        newcomer: Instance,
        limit: int,
        made: float = math.inf,
        policy: str = EVICT,
        choice: Choice | None = None,
    ) -> tuple[Instance, list[Instance]]:
        """Count, evict and admit.

        Returns the newcomer with its `since` and `generation`, and the evicted instances, which and in which order
        `rules.making_room` says. Its `lasts_until` is as long after its `since` as in `newcomer`. Idempotent by
        `newcomer.id`: admitting it again changes nothing and evicts nothing.

        Args:
            limit: how many instances the account may have, with the newcomer.
            made: when the UserSig of the login was made, in unix seconds.
            policy: what happens at the limit, one of `rules.POLICIES`.
            choice: with ASK, which instances leave.

        Raises:
            UserSigRevoked: the UserSigs of the account were revoked since that one was made.
            AccountBlocked: the account is blocked.
            AtLimit: the newcomer does not fit. Nobody has left.
        """

    def enter(
        self,
        newcomer: Instance,
        limit: int,
        made: float = math.inf,
        policy: str = EVICT,
        *,
        node: str,
        most: int = 0,
    ) -> tuple[View, list[Instance]]:
        """`admit`, and `attach` of the same instance at the node, as one step. Its user is not asked who leaves.

        Returns the view of `attach` and the evicted instances. An id that is known is attached again, and evicts
        nothing. Raises what both raise.
        """

    def attach(self, id: str, node: str, limit: int, after: int = NEWEST, most: int = 0) -> View:
        """Open a stream of the instance at the node.

        Returns the view of the same moment. Its instance has a stream number above all it had; its older streams are
        no longer valid. An instance that was AWAY takes a seat again if its account has one free, with a new
        generation; it never evicts. The read cursor stays: the caller moves it when it has delivered the messages.

        Args:
            after: number of the newest message that the caller needs no more. The view has the unread ones anyway: its
                messages are numbered above `after` or above the read cursor, whichever is lower.
            most: number of messages in the view; the newest ones.

        Raises:
            InstanceGone: it has ended; its reason never changes.
        """

    def attach_again(self, id: str, node: str, limit: int, after: int) -> Instance | None:
        """`attach` without messages, if stream `after` is still the newest one; otherwise None, and nothing changes.

        Raises:
            InstanceGone: it has ended, whichever stream is the newest.
        """

    def detach(self, id: str, stream: int) -> bool:
        """Close a stream; the seat is kept for the grace time. False, and nothing changes, for an older stream."""

    def cut(self, id: str) -> Instance | None:
        """Notify the node that has the stream of the instance open to cut its connection.

        Returns the instance, or None where its stream is closed or it has ended. The seat is kept for the grace time.
        No hint is sent to the calling node, and a hint that is lost cuts nothing.
        """

    def remove(self, id: str, gone: Gone, stream: int | None = None, actor: str = "") -> Instance | None:
        """End an instance; where `stream` is given, only if that is still its newest stream.

        Returns it, or None, and nothing changes, where it had ended before or has a later stream.
        """

    def sign_out(self, id: str, other: str) -> Instance | None:
        """End the instance `other` of the same account at the request of the instance `id`, which must hold its seat.

        Returns the other one, or None where it had ended before.

        Raises:
            InstanceGone: the instance `id` has ended, or is away.
            NoSuchInstance: its account has no instance `other`.
        """

    def sign_out_others(self, id: str) -> list[Instance]:
        """End all other instances of the account, live or AWAY, at the request of the instance `id`. Returns them.

        Raises:
            InstanceGone: the instance `id` has ended, or is away.
        """

    def rename(self, id: str, name: str) -> Instance:
        """Give the instance, which must hold its seat, a name; an empty one takes it away. Returns the instance.

        Raises:
            InstanceGone: it has ended, or is away.
        """

    def vouch(self, id: str, other: str) -> Instance | None:
        """Note that the instance `id`, which must hold its seat, says "it was me" of the login `other` of its account.

        Returns the other one, or None where it has ended or is away, and stays as it is.

        Raises:
            InstanceGone: the instance `id` has ended, or is away.
            NoSuchInstance: its account has no instance `other`.
        """

    def disown(self, id: str) -> Disowned:
        """Say "that wasn't me" of the login that has displaced the evicted instance `id`: works once.

        Ends the instances of the account that logged in later than this one did, also those that are AWAY, for
        KICKED_OUT_REST_API with its client as `by`, and revokes UserSigs as `kick_account` does. An older one stays,
        whatever has displaced this one. Said before, it changes nothing. Where another one has said so since it was
        evicted, it ends only those that had logged in until then, and revokes nothing; see `rules.disowned`.

        Raises:
            NotDisplaced: no other login has evicted it, or that was NOT_ME_LIFE ago.
            InstanceGone: the store does not know it.
        """

    def get(self, id: str) -> Instance:
        """The instance, live or ended; with reason UNKNOWN where the store does not have it."""

    def view(self, id: str, most: int) -> View:
        """The instance, live or AWAY, its account's live instances, and the newest `most` messages of the log.

        Raises:
            InstanceGone: it has ended for good, or the store does not have it.
        """

    def instances(self, app: int, user: str) -> list[Instance]:
        """The live instances of an account, oldest generation first."""


class Accounts(Protocol):
    """An account exists once it has logged in or was imported."""

    def import_account(self, app: int, user: str) -> None:
        """Make the account exist, as if it had logged in once."""

    def accounts(self, app: int, users: Collection[str]) -> set[str]:
        """Those of `users` that exist."""

    def kick_account(self, app: int, user: str, actor: str = "") -> tuple[float, list[Instance]]:
        """End every instance of an account for good, and revoke the UserSigs made or used until now.

        A UserSig is dated in whole seconds, so each one made before the next whole second is revoked. Each one that was
        used before and has a later date is revoked as well.

        Returns the seconds until that whole second (the caller must wait them before replying) and the ended instances.

        Raises:
            NoSuchAccount: the account does not exist.
        """

    def delete_account(self, app: int, user: str, actor: str = "") -> list[Instance]:
        """End every instance of an account, and delete the account and its log. Returns the ended instances.

        Its revoked UserSigs stay revoked, and it stays blocked if it was.

        Raises:
            NoSuchAccount: the account does not exist.
        """


class Store(
    Nodes, Instances, Listing, Jobs, Messages, Accounts, Blocks, Events, Settings, Sessions, Audit, Counters, Protocol
):
    """All that an engine has to do."""

    def now(self) -> float:
        """Unix seconds, the same for all nodes on this store, whatever their own clocks say."""

    def forget(self) -> list[Instance] | None:
        """Delete everything, where the store is in memory, for tests of clients.

        Returns the instances that were live, ended with reason UNKNOWN. None, and nothing changes, in any other store.
        """

    def close(self) -> None:
        """Release files, locks and connections."""
