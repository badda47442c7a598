"""How an instance ends: the types of a kick, the other reasons, and the codes that a socket closes with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


class TYPES:
    """What `event.data["type"]` of a KICKED_OUT can be."""

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
LOGGED_OUT: Final = "loggedOut"
"""The instance, or another one of its account, logged it out."""
AWAY: Final = "away"
"""Its stream stayed closed for longer than the grace time, so its seat was given up."""
UNKNOWN: Final = "unknown"
"""The store has never heard of it, or has forgotten it."""
CLOSE_CODES: Final = {
    TYPES.KICKED_OUT_MULT_ACCOUNT: 4001,
    TYPES.KICKED_OUT_MULT_DEVICE: 4002,
    TYPES.KICKED_OUT_USERSIG_EXPIRED: 4003,
    TYPES.KICKED_OUT_REST_API: 4004,
    LOGGED_OUT: 4005,
    AWAY: 4006,
    UNKNOWN: 4007,
}
"""How a stream closes when its instance has ended. 4000 to 4999 says: stop, do not come back."""
CLOSE_MOVED: Final = 4008
"""Another page of the same tab has the stream now. The instance lives, this page must not fight for it."""
CLOSE_RESTART: Final = 1012
"""This server stops. 1000 to 1999 says: come back, with a pause."""
CLOSE_LATER: Final = 1013
"""Try again later: the reader does not keep up, or the store does not answer. Who comes back gets the whole
state anew."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who is at the other end: browser and system in words, and the network address."""

    browser: str
    address: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The end of an instance.

    Attributes:
        reason: one of TYPES, or LOGGED_OUT, AWAY, UNKNOWN of `tim.events`.
        at: unix seconds.
        by: who displaced it or logged it out from elsewhere, if anybody did.
    """

    reason: str
    at: float
    by: Client | None = None
