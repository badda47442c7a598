"""The events of the SDK: their names, and the event itself."""

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
"""Name of the constant by name of the event, for documents and logs: SDK_READY, KICKED_OUT, …"""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of one instance. `data` has the form that the vendor documents for `name`."""

    name: str
    data: dict[str, Any] | list[Any] = field(default_factory=dict)
