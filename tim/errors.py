"""Everything that can go wrong, as one tree whose errors carry their evidence.

    IMError                     code, message: what the vendor's SDK calls an IMError
    ├── UserSigRefused          70001 … 70014: this UserSig does not open this account
    │   └── UserSigRevoked      70052: an administrator has kicked the account since it was made
    ├── UnknownApp              70020: no such SDKAppID here
    ├── TooManyFailures         70050: .retry_after, seconds
    ├── BadParameter            70402, or 90001 … 90011 for a field of a JSON body: .name, what is malformed
    │   └── NoSuchInstance      70402: the account has none with this id
    ├── BadFrame                20001: no request of the vendor's SDK
    ├── NotAdministrator        70403: only an administrator of the app may ask for this
    ├── NoSuchAccount           20003: .user_id
    ├── MessageTooLong          80002: .size and .limit, bytes
    ├── NotLoggedIn             2024
    │   └── InstanceGone        2024: .gone, what ended the instance
    ├── NotReady                2999
    ├── TooManyRequests         60007: .retry_after, seconds
    │   └── TooManyMessages     60007: of one instance in a minute
    └── StoreUnavailable        60008: it did not answer in time; the same call may be made again later
        └── NodeForgotten       60008: the store holds this process to be dead, until it joins again
    SettingError (ValueError)   .name, the setting that has a bad value; stops the start

The code tells a client what to do: below 10000 it is the client's own state (log in, wait for ready); 20000
to 29999 and 80000 to 99999 the request is refused for what it is; 60000 to 69999 try again later; 70000 to
79999 the login is refused and needs other credentials or other parameters. The numbers are the vendor's.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tim.ends import Gone

NOT_LOGGED_IN: Final = 2024
NOT_READY: Final = 2999
BAD_FRAME: Final = 20001
NO_SUCH_ACCOUNT: Final = 20003
UNREADABLE_JSON: Final = 60003
TOO_MANY_REQUESTS: Final = 60007
STORE_UNAVAILABLE: Final = 60008
NO_SUCH_COMMAND: Final = 60009
USERSIG_EXPIRED: Final = 70001
USERSIG_EMPTY: Final = 70002
USERSIG_MALFORMED: Final = 70003
USERSIG_FORGED: Final = 70009
USERSIG_OTHER_USER: Final = 70013
USERSIG_OTHER_APP: Final = 70014
UNKNOWN_APP: Final = 70020
TOO_MANY_FAILURES: Final = 70050
USERSIG_REVOKED: Final = 70052
ACCOUNT_NOT_IMPORTED: Final = 70107
BAD_PARAMETER: Final = 70402
NOT_ADMINISTRATOR: Final = 70403
MESSAGE_TOO_LONG: Final = 80002
BAD_BODY: Final = 90001
BAD_RECEIVER: Final = 90003
BAD_MSG_SEQ: Final = 90004
BAD_MSG_RANDOM: Final = 90005
BAD_TIME: Final = 90006
BAD_MSG_BODY: Final = 90007
BAD_SENDER: Final = 90008
BAD_ELEMENT: Final = 90010
TOO_MANY_ACCOUNTS: Final = 90011
BAD_SYNC: Final = 90031
BODY_TOO_LARGE: Final = 93000


class IMError(Exception):
    """A refused call.

    Attributes:
        code: one of the numbers above.
        message: what is wrong and what to do, for a person.
        retry_after: seconds after which the same call may succeed, where time is all that helps.
    """

    retry_after: int | None = None

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class UserSigRefused(IMError):
    """The UserSig does not open this account now."""


class UserSigRevoked(UserSigRefused):
    """An administrator has kicked the account since this UserSig was made: the vendor's kick revokes all before it."""

    def __init__(self) -> None:
        super().__init__(USERSIG_REVOKED, "this UserSig was revoked by an administrator's kick; get a new one")


class UnknownApp(IMError):
    """No app with this SDKAppID is served here."""

    def __init__(self, sdk_app_id: int) -> None:
        super().__init__(UNKNOWN_APP, f"no app with SDKAppID {sdk_app_id} is served here")


class TooManyFailures(IMError):
    """UserSigs of this account or from this address failed too often; only time helps."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            TOO_MANY_FAILURES, f"UserSig verification failed too often; try again in {retry_after} seconds"
        )
        self.retry_after = retry_after


class BadParameter(IMError):
    """A parameter breaks its rule.

    Attributes:
        name: the parameter.
    """

    def __init__(self, name: str, message: str, code: int = BAD_PARAMETER) -> None:
        super().__init__(code, message)
        self.name = name


class NoSuchInstance(BadParameter):
    """The account has no such instance."""

    def __init__(self) -> None:
        super().__init__("instance", "this account has no such instance; reload the page")


class BadFrame(IMError):
    """What came over the socket is no request: nobody can answer it."""

    def __init__(self, why: str) -> None:
        super().__init__(BAD_FRAME, f"this frame is no request of the SDK: {why}")


class NotAdministrator(IMError):
    """The account that asks is no administrator of the app."""

    def __init__(self, administrator: str) -> None:
        super().__init__(NOT_ADMINISTRATOR, f"only the account {administrator} may ask for this")


class NoSuchAccount(IMError):
    """The account has never logged in and was not imported."""

    def __init__(self, user_id: str) -> None:
        super().__init__(
            NO_SUCH_ACCOUNT, f"there is no account {user_id} here; it exists once it has logged in or was imported"
        )
        self.user_id = user_id


class MessageTooLong(IMError):
    """The text does not fit into one message.

    Attributes:
        size: bytes of the text as UTF-8.
        limit: bytes that fit.
    """

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(MESSAGE_TOO_LONG, f"the text has {size} bytes, a message holds {limit}; send it in parts")
        self.size = size
        self.limit = limit


class NotLoggedIn(IMError):
    """The call needs a login first."""

    def __init__(self, message: str = "not logged in; call login first") -> None:
        super().__init__(NOT_LOGGED_IN, message)


class InstanceGone(NotLoggedIn):
    """The instance has ended, or was never known.

    Attributes:
        gone: why, when and by whom.
    """

    def __init__(self, gone: Gone) -> None:
        super().__init__(f"this instance has ended ({gone.reason}); log in again")
        self.gone = gone


class NotReady(IMError):
    """The call needs SDK_READY first."""

    retry_after = 5

    def __init__(self) -> None:
        super().__init__(NOT_READY, "the SDK is not ready; wait for SDK_READY, or try again in 5 seconds")


class TooManyRequests(IMError):
    """The instance has sent as much as it may for now; the same call may be made again later."""

    retry_after: int

    def __init__(self, what: str, retry_after: int) -> None:
        super().__init__(TOO_MANY_REQUESTS, f"{what}; try again in {retry_after} seconds")
        self.retry_after = retry_after


class TooManyMessages(TooManyRequests):
    """The instance has sent as many messages as it may in a minute."""

    def __init__(self, seconds: float) -> None:
        super().__init__("this instance has sent as many messages as it may in a minute", math.ceil(seconds))


class StoreUnavailable(IMError):
    """The store did not answer in time. What it was asked for was not done, unless only the answer was lost.

    `message` is for everybody; `str` has the reason as well, which is for the log.
    """

    retry_after = 5

    def __init__(self, why: str) -> None:
        super().__init__(
            STORE_UNAVAILABLE, f"the service cannot reach its store now; try again in {self.retry_after} seconds"
        )
        self.args = (f"{STORE_UNAVAILABLE}: the store is not available: {why}",)


class NodeForgotten(StoreUnavailable):
    """The store did not hear of this process for long, or has lost what it knew. It is to join again."""

    def __init__(self) -> None:
        super().__init__("it has to get to know this server again")


class SettingError(ValueError):
    """A setting has a value that cannot be used.

    Attributes:
        name: the setting, as its owner spells it.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
