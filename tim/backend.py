"""The service of one app: each call is one verb of the store, and then the notifications of what it did."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from tim.admin import Admin
from tim.app_settings import SavedSettings
from tim.attempts import Attempts
from tim.audit import AUDIT_DAYS, Retention
from tim.ends import AWAY, LOGGED_OUT, Client, Gone
from tim.errors import InstanceGone, SettingError, StoreUnavailable
from tim.faults import Faults
from tim.hub import Hub
from tim.input_rules import check_text, check_user_id
from tim.jobs import Jobs
from tim.listing import Listing
from tim.logins import Logins
from tim.mailbox import InstancesChanged, Stream
from tim.measures import OVERFLOWED, Measures, timed
from tim.model import DEMO_APP, AppSettings, Instance, Limits, Message, View, unknown_instance
from tim.node import Node
from tim.operators import Operators, Role
from tim.overview import Overview
from tim.peers import Peers
from tim.receiver import Receiver
from tim.rules import ADMINISTRATOR, NEWEST
from tim.sdk import TIM
from tim.secret_file import secret_beside
from tim.setting_rules import check_limits
from tim.status import Status, read_status
from tim.store import open_store
from tim.timing import DEFAULT, DETACH_GRACE, Timing
from tim.usersig import Ticket
from tim.usersigs import UserSigs
from tim.webhook import Webhook


class Backend:
    """The login and session service of one app on one store.

    Args:
        url: the store, as `tim.store.open_store` takes it.
        sdk_app_id: the app.
        secret_key: the app's key, which signs its UserSigs. A store on Redis needs one. Without one, a random key is
            made: beside the file of the store, or for the life of a store in memory.
        online_web_instances: how many instances one account may have, 1 to 10, until `save_limits` is called.
        detach_grace: seconds a detached instance keeps its seat.
        audit_days: how long the audit is kept.
        webhook: where logins and ends are reported while no other receiver is saved.
        webhook_local: whether a saved one may be at a loopback or link-local address.
        clock: returns unix seconds; the only source of time, but for a store on Redis, which has its own.
        timing: how long this node waits.

    Attributes:
        settings: of the app, as any node saved them last.
        usersigs, logins, overview, measures, listing, peers, jobs: of the app; `measures` is what this node counts and
            times.

    Raises:
        SettingError: the store or another argument cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        sdk_app_id: int = DEMO_APP,
        secret_key: str | None = None,
        online_web_instances: int = 1,
        detach_grace: float = DETACH_GRACE,
        audit_days: float = AUDIT_DAYS,
        webhook: Receiver | None = None,
        webhook_local: bool = False,
        clock: Callable[[], float] = time.time,
        timing: Timing = DEFAULT,
    ) -> None:
        self._timing = timing
        default = AppSettings(check_limits(Limits(online_web_instances)))
        if secret_key == "":
            raise SettingError("secret_key", "must not be empty; leave it out to have one made")
        self.sdk_app_id = sdk_app_id
        self.detach_grace = detach_grace
        self.measures = Measures(sdk_app_id)
        self._hub = Hub(lambda: self.measures.count(OVERFLOWED))
        kept = Retention(age=audit_days * 86400)
        store = open_store(url, grace=detach_grace, clock=clock, timing=timing, retention=kept)
        self._store = timed(store, self.measures)
        self.webhook = Webhook(self._store, sdk_app_id, webhook, self.measures, timing, local=webhook_local)
        self.settings = SavedSettings(self._store, sdk_app_id, default, timing.settings_age, self._settings_changed)
        self._attempts = Attempts(self._store, self.limits)
        try:
            key = secret_key or secret_beside(url)
            self.overview = Overview(sdk_app_id, self._store)
            self.usersigs = UserSigs(sdk_app_id, key, self._store, self._attempts)
            if not self._store.accounts(sdk_app_id, [ADMINISTRATOR]):  # a full store could not write
                self._store.import_account(sdk_app_id, ADMINISTRATOR)
            self.webhook.follow(self.settings.now())
            self._node = Node(self._store, self._hub, self.settings, self.measures, self.webhook.wake, timing=timing)
            self.logins = Logins(self._store, self.settings, self._attempts, self._node)
            self.listing = Listing(self._store, sdk_app_id, self._node)
            self.peers = Peers(sdk_app_id, self._store, self._node)
            self.jobs = Jobs(self._store, sdk_app_id, self._node, timing)
        except SettingError:
            self._store.close()
            raise
        except StoreUnavailable as error:
            self._store.close()
            raise SettingError("TIM_STORE", str(error)) from None

    def _settings_changed(self, settings: AppSettings) -> None:
        self.webhook.follow(settings)
        self._hub.post_to_all(InstancesChanged())  # each list shows the number of seats

    def clock(self) -> float:
        """Return the time of the store in unix seconds."""
        return self._store.now()

    def limits(self) -> Limits:
        """Return the limits that any node saved last, at most half a second old. Raises StoreUnavailable."""
        return self.settings.limits()

    def save_limits(self, limits: Limits) -> None:
        """Save what the app allows, for calls that begin a second later. Raises SettingError, StoreUnavailable."""
        self.settings.change(lambda settings: replace(settings, limits=limits), "API")

    def create(self, sdk_app_id: int, client: Client | None = None) -> TIM:
        """Return one SDK instance, as `TIM.create({SDKAppID})` does in a page."""
        return TIM(self, sdk_app_id, client or Client("Python", "this machine"), self._timing)

    def user_sig(self, user_id: str, expire: int = 7 * 86400) -> str:
        """Return a UserSig for `user_id` that is valid for `expire` seconds, for tests. Raises BadParameter."""
        return self.usersigs.make(user_id, expire)

    def verify(self, sdk_app_id: int, user_id: str, user_sig: str, address: str) -> Ticket:
        """Verify the signature and the dates of a UserSig. Whether it was revoked, `logins.admit` checks.

        A failure counts for the `address` of the client; a valid UserSig never waits. Raises BadParameter, UnknownApp,
        UserSigRefused, TooManyFailures, StoreUnavailable.
        """
        return self.usersigs.verify(sdk_app_id, user_id, user_sig, address)

    def login(self, sdk_app_id: int, user_id: str, user_sig: str, client: Client) -> Instance:
        """Call `verify` and `logins.admit`, which asks nobody; raises what they raise."""
        return self.logins.admit(self.verify(sdk_app_id, user_id, user_sig, client.address), client)

    def attach(self, id: str, wake: Callable[[], None], after: int = NEWEST, most: int = 0) -> tuple[View, Stream]:
        """Open a stream of an instance. An older stream of the same instance ends with CLOSE_MOVED.

        Returns the view of that moment, and the stream, which gets all that happens later. Messages that arrive from
        now on count as read.

        Args:
            wake: called, from any thread, when the stream has an item.
            after, most: which messages the view has, as `tim.store.base` describes them.

        Raises InstanceGone, StoreUnavailable.
        """
        view, stream = self._node.attach(id, wake, after, most)
        try:
            self._own(view.instance)
        except InstanceGone:
            self.detach(stream)
            raise
        return view, stream

    def open_anonymous(self, wake: Callable[[], None]) -> Stream:
        """Return a stream for a connection without a login: it counts as a stream, and ends when the node stops."""
        return self._hub.open(f"anonymous-{secrets.token_hex(8)}", wake, (0, ""))

    def detach(self, stream: Stream) -> None:
        """Close a stream. Its instance keeps the seat for the grace time."""
        self._node.detach(stream)

    def find(self, id: str) -> Instance:
        """Return the instance, live or ended; UNKNOWN where the store does not have it. Raises StoreUnavailable."""
        return self._store.get(id)

    def get(self, id: str) -> Instance:
        """Return the instance with this id, live or AWAY. Raises InstanceGone, StoreUnavailable."""
        instance = self.find(id)
        if instance.gone is not None and instance.gone.reason != AWAY:
            raise InstanceGone(instance)
        return self._own(instance)

    def view(self, id: str, most: int) -> View:
        """Return what the page of an instance, live or AWAY, shows. Raises InstanceGone, StoreUnavailable."""
        view = self._store.view(id, most)
        self._own(view.instance)
        return view

    def _own(self, instance: Instance) -> Instance:
        """Return the instance if it is one of this app; otherwise raise InstanceGone, as if there were none."""
        if instance.app != self.sdk_app_id:
            raise InstanceGone(unknown_instance(instance.id, self.clock()))
        return instance

    def instances(self, user_id: str) -> list[Instance]:
        """Return all live instances of an account, oldest first."""
        return self._store.instances(self.sdk_app_id, user_id)

    def history(self, instance: Instance, after: int, limit: int, up_to: int = NEWEST) -> list[Message]:
        """Return the newest `limit` messages, after number `after`, of the log of the instance's account."""
        return self._store.history(instance.app, instance.user, after, limit, up_to)

    def mark_read(self, instance: Instance, seq: int) -> None:
        """Set the read cursor of the instance's account to `seq`, unless it is there or further."""
        self._store.mark_read(instance.app, instance.user, seq)

    def logout(self, id: str, stream: int | None = None) -> Instance | None:
        """End one instance; with `stream`, only where that is its newest one. Returns it; None where it had ended."""
        ended = self._store.remove(id, Gone(LOGGED_OUT, 0), stream)
        self._node.notify(self.sdk_app_id, ended=[ended])
        return ended

    def send(self, id: str, to: str, text: str, message_id: str | None = None) -> Message:
        """Write a text message into the logs of both accounts, and notify their streams.

        A repeated `message_id`, random by default, is the same message. Raises BadParameter, MessageTooLong,
        NoSuchAccount, NotReady, InstanceGone, TooManyMessages, StoreUnavailable.
        """
        message_id = message_id or secrets.token_hex(16)
        most = self.settings.limits().messages_a_minute
        sent, received = self._store.append(
            self.sdk_app_id, id, check_user_id(to, "to"), check_text(text), message_id, most=most
        )
        self._node.notify(self.sdk_app_id, written=[(sent.sender, sent), (to, received)])
        return sent

    def admin(self, actor: str = f"REST {ADMINISTRATOR}") -> Admin:
        """Return what an administrator of the app can do to its accounts; `actor` is its name in the audit."""
        return Admin(self.sdk_app_id, self._store, self._node, self.verify, actor)

    def operators(self, tokens: Mapping[Role, str]) -> Operators:
        """Return the operators of the console, who hold these tokens."""
        return Operators(self.sdk_app_id, self._store, self._attempts, tokens)

    def faults(self) -> Faults:
        """Return what a test of a client causes on purpose."""
        return Faults(self.sdk_app_id, self._store, self._node)

    def online(self) -> dict[str, int]:
        """Return the number of online instances by node, without nodes that have none. Raises StoreUnavailable."""
        return self._store.online()

    def status(self) -> Status:
        """Return the numbers of all nodes. Raises StoreUnavailable."""
        return read_status(self._store, self.sdk_app_id, self.measures)

    @property
    def streams(self) -> int:
        """How many streams are open at this node."""
        return len(self._hub)

    @property
    def full(self) -> bool:
        """Whether this node has the largest number of streams."""
        return self._hub.full

    def renew(self) -> None:
        """Renew the lease of this node, and apply what notifications have not brought. Raises StoreUnavailable."""
        self._node.renew()

    def drain(self) -> None:
        """End all streams with CLOSE_RESTART, as this node is about to stop, and those that open later."""
        self._hub.drain()

    def close(self) -> None:
        """End all streams, stop the renewal and close the store."""
        self.jobs.close()
        self._node.stop()
        self.drain()
        deadline = time.monotonic() + self._timing.streams_close
        while self.streams and time.monotonic() < deadline:
            time.sleep(self._timing.poll)
        self.webhook.stop()
        self._store.close()
