"""The errors of the service, as one tree. Each error carries the values that a handler needs.

    IMError                     code, message: what the vendor's SDK calls an IMError
    ├── UserSigRefused          70001 … 70014: this UserSig does not open this account
    │   └── UserSigRevoked      70052: revoked since it was made
    ├── UnknownApp              70020: no such SDKAppID here
    ├── TooManyFailures         70050: .retry_after, seconds
    ├── AccountBlocked          70051: .block, until when and why
    ├── AtLimit                 70053: .instances, where the account is online, and .limit; in `tim.seat_errors`
    │   └── MustChoose          70053: the user may choose which instances end; in `tim.seat_errors`
    ├── BadParameter            70402, or 90001 … 90011 for a field of a JSON body: .name, what is malformed
    │   ├── BlockChanged        70402: the account has another block than the one that was shown
    │   └── NoSuchInstance      70402: the account has none with this id. Beside it `tim.seat_errors`: NotDisplaced
    ├── BadFrame                20001: not a request of the vendor's SDK
    ├── NotAdministrator        70403: only an administrator of the app has this permission
    ├── TokenRefused            70403: no token of the console
    ├── NoSuchAccount           20003: .user_id
    ├── MessageTooLong          80002: .size and .limit, bytes
    ├── NotLoggedIn             2024
    │   └── InstanceGone        2024: .instance, and .gone, how it ended
    ├── NotReady                2999
    ├── TooManyRequests         60007: .retry_after, seconds
    │   └── TooManyMessages     60007: of one instance in a minute
    └── StoreUnavailable        60008: it did not reply in time; retry the same call later
        └── NodeForgotten       60008: the lease of this node has expired; it has to join again
    SettingError (ValueError)   .name, the setting that has a bad value; stops the start
    SettingsChanged             .current, the settings of the app that were saved meanwhile

The codes, and what the range of each tells the client to do, are in `tim/codes.py`.
"""

from __future__ import annotations

import math
from typing import Final

from tim.codes import (
    ACCOUNT_BLOCKED,
    BAD_FRAME,
    BAD_PARAMETER,
    MESSAGE_TOO_LONG,
    NO_SUCH_ACCOUNT,
    NOT_ADMINISTRATOR,
    NOT_LOGGED_IN,
    NOT_READY,
    STORE_UNAVAILABLE,
    TOO_MANY_FAILURES,
    TOO_MANY_REQUESTS,
    UNKNOWN_APP,
    USERSIG_REVOKED,
)
from tim.error_texts import blocked
from tim.model import AppSettings, Block, Instance
from tim.text import text

_USERSIG_VERIFICATION: Final = text("UserSig verification")


class IMError(Exception):
    """A refused call.

    Attributes:
        code: one of `tim.codes`.
        message: what is wrong and what to do, in words for a user; a `Text` where pages can translate it.
        retry_after: seconds after which the same call may succeed; None where waiting does not help.
    """

    retry_after: int | None = None

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class UserSigRefused(IMError):
    """The UserSig does not open this account now."""


class UserSigRevoked(UserSigRefused):
    """The UserSigs of the account were revoked since this one was made."""

    def __init__(self) -> None:
        super().__init__(USERSIG_REVOKED, text("this UserSig was revoked; get a new one"))


class UnknownApp(IMError):
    """No app with this SDKAppID is served here."""

    def __init__(self, sdk_app_id: int) -> None:
        super().__init__(UNKNOWN_APP, text("no app with SDKAppID %(app)s is served here", app=sdk_app_id))


class TooManyFailures(IMError):
    """UserSigs of this account, or secrets from this address, failed too often. The next attempt has to wait."""

    def __init__(self, retry_after: int, what: str = _USERSIG_VERIFICATION) -> None:
        super().__init__(
            TOO_MANY_FAILURES,
            text("%(what)s failed too often; try again in %(seconds)s seconds", what=what, seconds=retry_after),
        )
        self.retry_after = retry_after


class TokenRefused(IMError):
    """The token is no token of the console."""

    def __init__(self) -> None:
        super().__init__(
            NOT_ADMINISTRATOR,
            text(
                "this token does not open the console; type the value of TIM_ADMIN_TOKEN or TIM_VIEWER_TOKEN, or open "
                "the address that the demo app prints at its start"
            ),
        )


class AccountBlocked(IMError):
    """An operator has blocked the account.

    Attributes:
        block: until when, and why.
    """

    def __init__(self, block: Block) -> None:
        super().__init__(ACCOUNT_BLOCKED, blocked(block))
        self.block = block


class BadParameter(IMError):
    """A parameter breaks its rule.

    Attributes:
        name: the parameter.
    """

    def __init__(self, name: str, message: str, code: int = BAD_PARAMETER) -> None:
        super().__init__(code, message)
        self.name = name


class BlockChanged(BadParameter):
    """The account was blocked, or unblocked, since the caller looked at it."""

    def __init__(self) -> None:
        super().__init__("shown", text("not done: the block was changed meanwhile; look at it, and send yours again"))


class NoSuchInstance(BadParameter):
    """The account has no such instance."""

    def __init__(self) -> None:
        super().__init__("instance", text("this account has no such instance; reload the page"))


class BadFrame(IMError):
    """A frame on the socket is not a request, so there is nothing to reply to."""

    def __init__(self, why: str) -> None:
        super().__init__(BAD_FRAME, f"this frame is no request of the SDK: {why}")


class NotAdministrator(IMError):
    """The calling account is not an administrator of the app."""

    def __init__(self, administrator: str) -> None:
        super().__init__(NOT_ADMINISTRATOR, f"only the account {administrator} may ask for this")


class NoSuchAccount(IMError):
    """The account has never logged in and was not imported."""

    def __init__(self, user_id: str) -> None:
        super().__init__(
            NO_SUCH_ACCOUNT,
            text("there is no account %(user)s here; it exists once it has logged in or was imported", user=user_id),
        )
        self.user_id = user_id


class MessageTooLong(IMError):
    """The text does not fit into one message.

    Attributes:
        size: bytes of the text as UTF-8.
        limit: bytes that fit.
    """

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            MESSAGE_TOO_LONG,
            text("the text has %(size)s bytes, a message holds %(limit)s; send it in parts", size=size, limit=limit),
        )
        self.size = size
        self.limit = limit


class NotLoggedIn(IMError):
    """The call needs a login first."""

    def __init__(self, message: str = "not logged in; call login first") -> None:
        super().__init__(NOT_LOGGED_IN, message)


class InstanceGone(NotLoggedIn):
    """The instance has ended, or the store does not know it.

    Attributes:
        instance: the ended instance.
        gone: its end: the reason, the time, and the client that caused it.
    """

    def __init__(self, instance: Instance) -> None:
        if instance.gone is None:
            raise ValueError(f"instance {instance.id} has not ended")
        super().__init__(f"this instance has ended ({instance.gone.reason}); log in again")
        self.instance = instance
        self.gone = instance.gone


class NotReady(IMError):
    """The call needs SDK_READY first."""

    retry_after = 5

    def __init__(self) -> None:
        super().__init__(NOT_READY, text("the SDK is not ready; wait for SDK_READY, or try again in 5 seconds"))


class TooManyRequests(IMError):
    """The instance has reached its rate limit. The same call may succeed after `retry_after` seconds."""

    retry_after: int

    def __init__(self, what: str, retry_after: int) -> None:
        super().__init__(
            TOO_MANY_REQUESTS,
            text("%(what)s; try again in %(seconds)s seconds", what=what, seconds=retry_after),
        )
        self.retry_after = retry_after


class TooManyMessages(TooManyRequests):
    """The instance has sent `most` messages within a minute, which is what the app allows."""

    def __init__(self, seconds: float, most: int) -> None:
        super().__init__(
            text("this instance has sent as many messages as it may in a minute: %(most)s", most=most),
            math.ceil(seconds),
        )


class StoreUnavailable(IMError):
    """The store did not reply in time. The call had no effect, unless only its reply was lost.

    `message` is for users; `str` adds the reason, for the log.
    """

    retry_after = 5

    def __init__(self, why: str) -> None:
        super().__init__(
            STORE_UNAVAILABLE,
            text("the service cannot reach its store now; try again in %(seconds)s seconds", seconds=self.retry_after),
        )
        self.args = (f"{STORE_UNAVAILABLE}: the store is not available: {why}",)


class NodeForgotten(StoreUnavailable):
    """The lease of this node has expired, or the store has lost its data. The node has to join again."""

    def __init__(self) -> None:
        super().__init__("it has to get to know this server again")


class SettingError(ValueError):
    """A setting has an unusable value.

    Attributes:
        name: the setting, as the caller spells it.
        message: the rule that it breaks; a `Text` where pages can translate it.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


class SettingsChanged(Exception):
    """The settings of the app were not saved, as others were saved since the ones on which they are based.

    Attributes:
        current: the saved ones.
    """

    def __init__(self, current: AppSettings) -> None:
        by = f" by {current.saved_by}" if current.saved_by else ""
        super().__init__(f"other settings were saved{by} meanwhile; look at them and save again")
        self.current = current
