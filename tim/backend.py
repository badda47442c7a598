"""The service of one app: rules, store and hub put together.

Each method decides in the store, by one of its verbs, and tells the hub afterwards.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tim import usersig
from tim.attempts import Attempts
from tim.ends import AWAY, LOGGED_OUT, UNKNOWN, Client, Gone
from tim.errors import IMError, InstanceGone, SettingError, StoreUnavailable, UnknownApp, UserSigRefused, UserSigRevoked
from tim.hub import Hub, InstancesChanged, Stream
from tim.latest import Latest
from tim.model import Instance, Limits, Message
from tim.node import Node
from tim.rules import ADMINISTRATOR, check_text, check_user_id, instance_id
from tim.sdk import TIM
from tim.secret_file import kept_secret
from tim.store import open_store
from tim.timing import DEFAULT, Timing

DEMO_APP: Final = 1400000000
DETACH_GRACE: Final = 60.0
"""Seconds a detached instance keeps its seat: what the vendor documents for a lost web network."""


class Backend:
    """The login and session service of one app on one store.

    Args:
        url: the store, as `tim.store.open_store` takes it.
        sdk_app_id: the app.
        secret_key: the app's key, which signs its UserSigs. Without one, a random key is made and kept beside
            the store's file, for as long as the process where the store is in memory.
        online_web_instances: how many instances one account may have at a time, 1 to 10, as long as nothing else
            was saved by `save_limits`.
        detach_grace: seconds a detached instance keeps its seat.
        clock: unix seconds; the only door by which time enters. A store on Redis has its own, the same for all
            processes, and does not ask this one.
        timing: how long this process waits, for whatever it waits.

    Raises:
        SettingError: the store cannot be used, or another argument cannot.
    """

    def __init__(
        self,
        url: str,
        *,
        sdk_app_id: int = DEMO_APP,
        secret_key: str | None = None,
        online_web_instances: int = 1,
        detach_grace: float = DETACH_GRACE,
        clock: Callable[[], float] = time.time,
        timing: Timing = DEFAULT,
    ) -> None:
        self._timing = timing
        self._default_limits = self._limits = Limits(online_web_instances)
        if secret_key == "":
            raise SettingError("secret_key", "must not be empty; leave it out to have one made")
        self.sdk_app_id = sdk_app_id
        self.detach_grace = detach_grace
        self.hub = Hub()
        self.store = open_store(url, grace=detach_grace, clock=clock, timing=timing)
        self.clock = self.store.now
        self._latest = Latest(self.clock)
        self._key = secret_key or _key_beside(url)
        self._attempts = Attempts(self.store, self.limits)
        self._limits_read = -math.inf  # when, by the monotonic clock
        try:
            if not self.store.accounts(sdk_app_id, [ADMINISTRATOR]):  # which may be full
                self.store.import_account(sdk_app_id, ADMINISTRATOR)
            self._node = Node(
                self.store, self.hub, lambda: self.limits().online_web_instances, self._look_at_limits, timing
            )
        except StoreUnavailable as error:
            self.store.close()
            raise SettingError("TIM_STORE", str(error)) from None
        self.notify_ended = self._node.notify_ended

    def limits(self) -> Limits:
        """What the app allows now: what was saved last, by any process, half a second ago or longer.

        Raises:
            StoreUnavailable.
        """
        if time.monotonic() >= self._limits_read + self._timing.limits_age:
            limits = self.store.limits(self.sdk_app_id) or self._default_limits
            self._limits_read = time.monotonic()
            if limits != self._limits:
                self._limits = limits
                self.hub.post_to_all(InstancesChanged())  # each list says how many instances there may be
        return self._limits

    def save_limits(self, limits: Limits) -> None:
        """Save what the app allows. It holds in every process for what begins a second later; open tabs show it
        at once, or within the renewal period where the notification is lost.

        Raises:
            StoreUnavailable.
        """
        self.store.save_limits(self.sdk_app_id, limits)
        self._look_at_limits()

    def _look_at_limits(self) -> None:
        self._limits_read = -math.inf
        self.limits()

    def create(self, sdk_app_id: int, client: Client | None = None) -> TIM:
        """One SDK instance, as `TIM.create({SDKAppID})` makes one in a page."""
        return TIM(self, sdk_app_id, client or Client("Python", "this machine"), self._timing)

    def user_sig(self, user_id: str, expire: int = 7 * 86400) -> str:
        """A UserSig for `user_id` that lives `expire` seconds; for tests and trying things out.

        Raises:
            BadParameter: no such UserID can be.
        """
        return usersig.make(self._key, self.sdk_app_id, check_user_id(user_id), now=self.clock(), expire=expire)

    def verify(self, sdk_app_id: int, user_id: str, user_sig: str, address: str) -> usersig.Ticket:
        """What the UserSig says, if its signature opens the account now; whether it was revoked, the store knows.

        Args:
            address: where the request comes from. Failures from it are counted; one that verifies never waits.

        Raises:
            BadParameter, UnknownApp, UserSigRefused, TooManyFailures.
        """
        check_user_id(user_id)
        if sdk_app_id != self.sdk_app_id:
            raise UnknownApp(sdk_app_id)
        try:
            return usersig.verify(user_sig, self._key, sdk_app_id, user_id, now=self.clock(), latest=self._latest())
        except UserSigRefused:
            self._attempts.failed(sdk_app_id, user_id, address)
            raise

    def login(self, sdk_app_id: int, user_id: str, user_sig: str, client: Client, id: str | None = None) -> Instance:
        """`verify` and `admit` in one.

        Raises:
            BadParameter, UnknownApp, UserSigRefused, TooManyFailures, StoreUnavailable.
        """
        return self.admit(self.verify(sdk_app_id, user_id, user_sig, client.address), client, id)

    def admit(self, ticket: usersig.Ticket, client: Client, id: str | None = None) -> Instance:
        """Admit an instance of the account that `verify` has opened, and send away whoever had to leave.

        The instance is detached until it is attached.

        Args:
            id: of the instance; the same one again is the same login again. Made at random where none is given.

        Raises:
            UserSigRevoked, TooManyFailures, StoreUnavailable.
        """
        app, user = ticket.sdk_app_id, ticket.user_id
        id = id or instance_id(app, user, secrets.token_hex(16))
        newcomer = Instance(id, app, user, client, self.clock(), ticket.expires)
        try:
            instance, evicted = self.store.admit(newcomer, self.limits().online_web_instances, ticket.made)
        except UserSigRevoked:
            self._attempts.failed(app, user, client.address)
            raise
        self.notify_ended(evicted)
        self.hub.post(instance.app, instance.user, InstancesChanged())
        return instance

    def attach(self, id: str, wake: Callable[[], None]) -> tuple[Instance, Stream, int]:
        """Open the stream of an instance; an older one of the same instance learns that it has moved.

        Returns the instance, its stream, and the number of the newest message that its account had been shown
        before: from here on, whatever comes counts as shown.

        Args:
            wake: called, from any thread, when something waits in the stream.

        Raises:
            InstanceGone: it has ended; why is in the error.
        """
        before = self.get(id, or_away=True)
        # In the hub first: whoever ends the instance from here on finds the stream.
        stream = self.hub.open(before.app, before.user, id, wake)
        try:
            shown = self.store.read_seq(before.app, before.user)
            instance = self.store.attach(id, self._node.name, self.limits().online_web_instances)
        except IMError as error:
            self.hub.close(stream)
            if isinstance(error, StoreUnavailable):
                # The store may have it open though nobody was told; or it has to get to know this process again.
                self._node.mark_stale()
            raise
        stream.number = instance.stream
        self.hub.attached(id, instance.stream)
        self.hub.post(instance.app, instance.user, InstancesChanged())
        return instance, stream, shown

    def detach(self, stream: Stream) -> None:
        """The stream's line is closed. Its instance keeps the seat for the grace time."""
        self.hub.close(stream)
        try:
            if stream.number is not None:
                # Whether this has closed it or an attempt before that was not answered: the list may have changed.
                self.store.detach(stream.instance, stream.number)
                self.hub.post(stream.app, stream.user, InstancesChanged())
        except StoreUnavailable:
            self._node.mark_stale()  # it is detached as soon as the store is back

    def get(self, id: str, *, or_away: bool = False) -> Instance:
        """The live instance with this id; with `or_away` also one that may still come back.

        Raises:
            InstanceGone: it has ended; why is in the error.
        """
        instance = self.store.get(id)
        if instance.app != self.sdk_app_id and instance.gone is None:
            raise InstanceGone(Gone(UNKNOWN, self.clock()))
        if instance.gone is None or (or_away and instance.gone.reason == AWAY):
            return instance
        raise InstanceGone(instance.gone)

    def instances(self, instance: Instance) -> list[Instance]:
        """All live instances of the same account, oldest first."""
        return self.store.instances(instance.app, instance.user)

    def logout(self, id: str, stream: int | None = None) -> None:
        """End one instance; twice is once. Where `stream` is given, only if no later stream of it was opened."""
        self.notify_ended([self.store.remove(id, Gone(LOGGED_OUT, 0), stream)])

    def sign_out(self, id: str, other: str) -> None:
        """End another instance of the same account; one that has ended already stays as it is.

        Raises:
            InstanceGone: the caller has ended itself.
            NoSuchInstance: `other` is no instance of its account.
        """
        self.notify_ended([self.store.sign_out(id, other)])

    def send(self, id: str, to: str, text: str, message_id: str | None = None) -> Message:
        """Write a text message into both logs and tell all streams of both accounts.

        Args:
            message_id: the same one again is the same message again.

        Raises:
            BadParameter, MessageTooLong, NoSuchAccount, NotReady, InstanceGone, StoreUnavailable.
        """
        sent, received = self.store.append(
            self.sdk_app_id, id, check_user_id(to, "to"), check_text(text), message_id or secrets.token_hex(16)
        )
        self.hub.post(self.sdk_app_id, sent.sender, sent)
        if received is not None:
            self.hub.post(self.sdk_app_id, to, received)
        return sent

    def renew(self) -> None:
        """Tell the store that this process lives, and learn from it what no hint has said.

        Raises:
            StoreUnavailable.
        """
        self._node.renew()

    def drain(self) -> None:
        """This process is about to stop: all streams are to come back elsewhere, or later."""
        self.hub.drain()

    def close(self) -> None:
        """Send all streams away, stop the renewal and let go of the store."""
        self._node.stop()
        self.drain()
        deadline = time.monotonic() + self._timing.streams_close
        while len(self.hub) and time.monotonic() < deadline:
            time.sleep(self._timing.poll)
        self.store.close()


def _key_beside(url: str) -> str:
    """The app's key where none is given: beside the file of the store, or in `instance/` where it is no file."""
    scheme, _, path = url.partition("://")
    if scheme != "sqlite":
        return kept_secret(Path("instance") / "sdk_secret_key")
    return kept_secret(Path(path[1:]).parent / "sdk_secret_key") if path else secrets.token_hex(32)
