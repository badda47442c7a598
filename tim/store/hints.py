"""What one node notifies another of. A hint may be lost; the other node then learns of it when it renews."""

from __future__ import annotations

from dataclasses import dataclass

from tim.ends import Gone
from tim.model import Message


@dataclass(frozen=True, slots=True)
class AccountChanged:
    """The list of the account's instances has changed."""

    app: int
    user: str


@dataclass(frozen=True, slots=True)
class Ended:
    """An instance of the account has ended; so its list has changed too."""

    app: int
    user: str
    instance: str
    gone: Gone


@dataclass(frozen=True, slots=True)
class Attached:
    """An instance of the account has opened the stream of this number at another node; so its list has changed too."""

    app: int
    user: str
    instance: str
    stream: int


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection of the stream of this number is to be cut."""

    app: int
    user: str
    instance: str
    stream: int


@dataclass(frozen=True, slots=True)
class Written:
    """A message was written into the account's log; `message` is the copy there."""

    app: int
    user: str
    message: Message


@dataclass(frozen=True, slots=True)
class SettingsSaved:
    """The settings of the app were saved."""

    app: int


Hint = AccountChanged | Ended | Attached | Cut | Written | SettingsSaved
