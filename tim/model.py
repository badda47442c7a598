"""What the service keeps: instances, messages, and the limits of an app."""

from __future__ import annotations

from dataclasses import dataclass

from tim.ends import Client, Gone


@dataclass(frozen=True, slots=True)
class Limits:
    """What an app allows.

    Attributes:
        online_web_instances: of one account at a time, 1 to MAX_INSTANCES.
        failures_per_account: UserSigs of one account that may fail in a minute, before it has to wait.
        failures_per_address: the same for one address.
    """

    online_web_instances: int = 1
    failures_per_account: int = 20
    failures_per_address: int = 100


@dataclass(frozen=True, slots=True)
class Instance:
    """One logged-in SDK of one account.

    Attributes:
        id: 128 random bits as 32 hex digits, and two more that say in which part of the store its account
            lives; says who it is, opens nothing.
        since: unix seconds of its login.
        expires: unix seconds; the end of its UserSig.
        generation: grows with every admission of its account; the order of eviction.
        stream: the number of its newest stream; grows with every attach, 0 before the first.
        detached_at: unix seconds since when its stream is closed; None while it is open.
        gone: None while it is logged in.
    """

    id: str
    app: int
    user: str
    client: Client
    since: float
    expires: float
    generation: int = 0
    stream: int = 0
    detached_at: float | None = None
    gone: Gone | None = None

    @property
    def online(self) -> bool:
        return self.gone is None and self.detached_at is None


@dataclass(frozen=True, slots=True)
class Message:
    """One text from one account to another, as it stands in the log of one of the two.

    Attributes:
        seq: its number in that account's log: 1, 2, 3, … without gaps.
        time: unix seconds.
        instance: the id of the instance that sent it.
    """

    seq: int
    id: str
    sender: str
    to: str
    text: str
    time: float
    instance: str
