"""What a tab hears: the names of its events, the kinds of a kick, and the codes its socket closes with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final


class EVENT:
    """Names of the events of one SDK instance, as the vendor's Web SDK spells them."""

    SDK_READY: Final = "sdkStateReady"
    SDK_NOT_READY: Final = "sdkStateNotReady"
    KICKED_OUT: Final = "kickedOut"
    MESSAGE_RECEIVED: Final = "onMessageReceived"
    NET_STATE_CHANGE: Final = "netStateChange"
    ERROR: Final = "error"


EVENT_WORDS: Final = {value: name for name, value in vars(EVENT).items() if not name.startswith("_")}
"""The constant's name for each event's name, as documentation and logs write it: SDK_READY, KICKED_OUT, …"""


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


@dataclass(frozen=True, slots=True)
class Event:
    """One event of one instance; `data` is what the vendor documents for `name`."""

    name: str
    data: dict[str, Any] | list[Any] = field(default_factory=dict)


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
