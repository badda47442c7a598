"""How an instance ends: the types of a kick, the other reasons, and the close codes of a socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


class TYPES:
    """The values of `event.data["type"]` of a KICKED_OUT event, as the vendor's SDK spells them."""

    KICKED_OUT_MULT_ACCOUNT: Final = "multipleAccount"
    KICKED_OUT_MULT_DEVICE: Final = "multipleDevice"
    KICKED_OUT_USERSIG_EXPIRED: Final = "userSigExpired"
    KICKED_OUT_REST_API: Final = "REST_API_Kick"


KICKS: Final = frozenset(
    {
        TYPES.KICKED_OUT_MULT_ACCOUNT,
        TYPES.KICKED_OUT_MULT_DEVICE,
        TYPES.KICKED_OUT_USERSIG_EXPIRED,
        TYPES.KICKED_OUT_REST_API,
    }
)
"""The reasons that make a KICKED_OUT event."""

LOGGED_OUT: Final = "loggedOut"
"""The instance logged out, or another instance of its account signed it out."""
AWAY: Final = "away"
"""Its stream stayed closed for longer than the grace time, so the seat was released."""
UNKNOWN: Final = "unknown"
"""The store does not know the instance, or no longer."""

USERSIG: Final = "usersig"
LIFE: Final = "life"
IDLE: Final = "idle"
EXPIRY_WORDS: Final = {USERSIG: "", LIFE: "its session life was over", IDLE: "it was idle for too long"}
"""Why an instance ends with KICKED_OUT_USERSIG_EXPIRED: its UserSig, the app's session life or idle life is over. With
each, what the audit says of it."""

CLOSE_CODES: Final = {
    TYPES.KICKED_OUT_MULT_ACCOUNT: 4001,
    TYPES.KICKED_OUT_MULT_DEVICE: 4002,
    TYPES.KICKED_OUT_USERSIG_EXPIRED: 4003,
    TYPES.KICKED_OUT_REST_API: 4004,
    LOGGED_OUT: 4005,
    AWAY: 4006,
    UNKNOWN: 4007,
}
"""Close code of a stream by the reason of its instance's end. 4000 to 4999: do not reconnect."""
CLOSE_MOVED: Final = 4008
"""Another page of the same tab has opened a newer stream. The instance lives; this page must not reconnect."""
CLOSE_RESTART: Final = 1012
"""This node stops. 1000 to 1999: reconnect after a pause."""
CLOSE_LATER: Final = 1013
"""The reader is too slow, or the store does not reply. A reconnect gets the whole state again."""
CLOSE_CUT: Final = 1006
"""The connection is cut: no close frame is sent, so the peer sees what it sees of a broken network, and reconnects."""
CLOSE_FAILED: Final = 1011
"""The handler of the socket has failed. The log has the reason."""
CLOSE_TOO_MANY: Final = 1008
"""The peer has sent more control frames than a browser ever does."""
CLOSE_NOT_A_REQUEST: Final = 1007
"""A frame that is no request of the vendor's SDK."""
CLOSE_PAGE: Final = 1001
"""Sent by a browser whose page is closed or reloaded."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client: browser and operating system in words, and the network address."""

    browser: str
    address: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The end of an instance.

    Attributes:
        reason: one of TYPES, or LOGGED_OUT, AWAY, UNKNOWN.
        at: unix seconds.
        by: the client that evicted it or signed it out; None where no other client did.
        words: an operator's reason, for the account to read; "" where none was given.
    """

    reason: str
    at: float
    by: Client | None = None
    words: str = ""
