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


@dataclass(frozen=True, slots=True)
class Event:
    """One event of one instance; `data` is what the vendor documents for `name`."""

    name: str
    data: dict[str, Any] | list[Any] = field(default_factory=dict)
