"""What one process tells another that has streams of the same account: a word that may be lost.

Whoever misses it learns the same from the store when he renews.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tim.ends import Client, Gone
from tim.model import Message


@dataclass(frozen=True, slots=True)
class Hint:
    """What has happened to an account: a message has come, or else its list of instances is another one. Or to an app,
    and then there is no account: its limits were saved.

    Attributes:
        message: has been written into the account's log.
        instance: what the two below are about.
        gone: how it has ended.
        stream: the number of the stream that it has opened elsewhere.
        limits: whether the limits of the app were saved.
    """

    app: int
    user: str
    message: Message | None = None
    instance: str = ""
    gone: Gone | None = None
    stream: int | None = None
    limits: bool = False


def seconds(microseconds: str) -> float:
    return int(microseconds) / 1e6


def message_of(fields: dict[str, str], seq: str) -> Message:
    """A message from the fields of its entry in a log."""
    return Message(
        seq=int(seq),
        id=fields["id"],
        sender=fields["sender"],
        to=fields["to"],
        text=fields["text"],
        time=seconds(fields["time"]),
        instance=fields["instance"],
    )


def gone_of(reason: str, at: str, browser: str | None, address: str | None) -> Gone:
    """The end of an instance; it was displaced by nobody where there is no browser, though its name may be empty."""
    by = None if browser is None or address is None else Client(browser, address)
    return Gone(reason, seconds(at), by)


def read(words: str) -> Hint:
    """The hint in the words of a script."""
    told: dict[str, Any] = json.loads(words)
    if "limits" in told:
        return Hint(int(told["app"]), "", limits=True)
    app, user = int(told["app"]), told["user"]
    if "text" in told:
        return Hint(app, user, message=message_of(told, told["seq"]))
    if "reason" in told:
        gone = gone_of(told["reason"], told["at"], told.get("by_browser"), told.get("by_address"))
        return Hint(app, user, instance=told["instance"], gone=gone)
    if "stream" in told:
        return Hint(app, user, instance=told["instance"], stream=int(told["stream"]))
    return Hint(app, user)
