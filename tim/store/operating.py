"""The promise of a store to operators; see `tim.store.base`, whose `Store` includes all of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tim.job import Crowded, Job
from tim.model import Account, AppSettings, Instance
from tim.search import Page, Search
from tim.state_change import Delivery, EventQueue, StateChange


class Listing(Protocol):
    """The live instances of all accounts of an app.

    Each call looks at all accounts one after the other, so what changes meanwhile may show or not. An instance that is
    live throughout is found.
    """

    def search(self, app: int, where: Search, after: str = "", limit: int = 50) -> Page:
        """The first `limit` live instances that match, by UserID, then id, after the place `after`.

        From page to page, no instance comes twice, and none is left out that is live and matches all the time.
        """

    def number(self, app: int, where: Search) -> int:
        """How many live instances match."""

    def live_accounts(self, app: int) -> int:
        """How many accounts have a live instance. One whose last instance has just expired may count until a sweep."""

    def crowded(self, app: int, limit: int, after: str = "", many: int = 100) -> Crowded:
        """Accounts that have more than `limit` live instances, `many` at most, after the place `after`.

        One call does a bounded amount of work. So it may return few accounts, or none, and still a `next`.
        """

    def enforce(self, app: int, user: str, limit: int, actor: str) -> list[Instance]:
        """End what the account has beyond `limit` instances, in the order of `rules.leaving`. Returns the ended ones.

        Args:
            actor: who does, as the audit has it.
        """


class Jobs(Protocol):
    """The job of each app: one at a time. A node runs it while it has the lease of it."""

    def job(self, app: int) -> Job | None:
        """The job that was started last."""

    def start_job(self, app: int, job: Job) -> Job:
        """Start the job, unless one runs. Returns the job that runs: this one, or the one that has run before.

        Idempotent by `job.id`.
        """

    def take_job(self, app: int, node: str, lease: float) -> Job | None:
        """Lease the running job to the node for `lease` seconds. None where none runs, or another node has it."""

    def save_job(self, app: int, job: Job, node: str, lease: float) -> Job | None:
        """Save `ended`, `after` and `state` of the job, and extend the lease of the node.

        Returns the job. None, and nothing changes, where it runs no more, or another node has taken it.
        """

    def stop_job(self, app: int, id: str, actor: str) -> Job | None:
        """Stop the job with this id, if it runs. Returns the job that was started last."""


class Blocks(Protocol):
    """What operators decide about an account, whether it exists or not."""

    def block(
        self, app: int, user: str, until: float | None, words: str, actor: str, *, shown: float | None = None
    ) -> list[Instance]:
        """End every instance of an account for good, and refuse its logins, in place of a block before.

        Returns the ended instances.

        Args:
            until: unix seconds of the end of the block; None for no end.
            words: the reason for the user to read; "" for none.
            actor: what blocks it.
            shown: when the block that is to be replaced was made, 0 for none; None for whichever there is.

        Raises:
            BlockChanged: the account has another block than `shown`.
        """

    def unblock(self, app: int, user: str, actor: str, *, shown: float | None = None) -> bool:
        """End the block of an account. Returns whether it was blocked.

        Raises:
            BlockChanged: it has another block than the one that was made at `shown`.
        """

    def revoke(self, app: int, user: str, actor: str) -> float:
        """Revoke the UserSigs that `kick_account` would revoke; the instances of the account stay.

        Returns the seconds until new UserSigs are accepted; the caller must wait them before replying.
        """

    def account(self, app: int, user: str) -> Account:
        """What an operator is shown of the account."""


class Events(Protocol):
    """What the webhook is to be notified of: a queue for each account, the oldest event first.

    While events are queued, each login and each end queues one in its own atomic step; see `tim.state_change`. Of one
    account at most ACCOUNT_EVENTS wait, of an app EVENTS_KEPT: the oldest event of the same account is dropped for one
    more.
    """

    def queue_events(self, app: int, on: bool) -> None:
        """From now on the calls of this process queue events, or do not; at first they do not."""

    def due_events(self, app: int, many: int) -> list[str]:
        """Accounts whose oldest event is due, and that no sender has a lease for; about `many`."""

    def take_event(self, app: int, user: str, sender: str, lease: float) -> StateChange | None:
        """Lease the account's events to a sender, and return the oldest.

        None where no event is due, or another sender has the lease. An event that has waited for EVENT_LIFE is dropped.

        Args:
            lease: seconds after which the lease ends by itself.
        """

    def event_sent(self, app: int, user: str, sender: str, id: str) -> bool:
        """Remove an event that was delivered, and end the lease. Returns whether the account has another event.

        Removed already, it changes nothing.
        """

    def event_failed(self, app: int, user: str, sender: str, id: str, pause: float) -> None:
        """Count a failed attempt, end the lease, and make the account's events wait for `pause` seconds.

        Changes nothing for a sender whose lease has ended.
        """

    def retry_events(self, app: int) -> None:
        """Make every event due at once."""

    def event_queue(self, app: int) -> EventQueue:
        """How many events wait, and how many were dropped."""

    def log_deliveries(self, app: int, deliveries: Sequence[Delivery]) -> None:
        """Add attempts, the oldest first, to the log, which keeps the newest DELIVERIES_KEPT."""

    def deliveries(self, app: int) -> list[Delivery]:
        """The log of attempts, the newest first."""


class Settings(Protocol):
    """What an app allows."""

    def settings(self, app: int) -> AppSettings | None:
        """The settings that were saved last; None where none were."""

    def save_settings(self, app: int, new: AppSettings, actor: str, words: str = "") -> None:
        """Save the settings for every node, under the version that follows `new.version`.

        Args:
            new: `version` is that of the settings on which it is based, 0 where none were saved. `saved_at` and
                `saved_by` of it are not used.
            actor: what saves them.
            words: what changes, for the audit.

        Raises:
            SettingsChanged: the saved settings have another version than `new`; it carries them.
        """

    def count_failure(self, name: str, most: int) -> int:
        """Count one failure of `name`. Where it is one more than `most` in a WINDOW, `name` is paused for a PAUSE.

        Returns the seconds left of the pause, 0 without one. Never more than a PAUSE, also where a clock was set.
        """


class Sessions(Protocol):
    """The operators that are signed in to the console.

    A handle is a keyed hash of what the operator's browser has. So the content of the store signs nobody in.
    """

    def open_session(self, app: int, handle: str, role: str, address: str = "") -> None:
        """Keep the session for SIGN_IN_LIFE."""

    def session(self, app: int, handle: str) -> str | None:
        """The role of the open session; None where there is none with this handle."""

    def close_session(self, app: int, handle: str) -> None:
        """End the session, if it is open."""
