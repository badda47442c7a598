"""What one process tells another that has streams of the same account: a word that may be lost.

Whoever misses it learns the same from the store when he renews.
"""

from __future__ import annotations

from dataclasses import dataclass

from tim.ends import Gone
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
