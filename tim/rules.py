"""Who is admitted, who leaves, and in which order: decided from values alone.

No clock, socket, lock or Flask here. Every store decides by these functions, or by a script that the tests
compare with them.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Final

from tim.ends import AWAY, TYPES, Gone
from tim.errors import BadParameter, MessageTooLong, SettingError
from tim.model import Instance, Limits, Message

USER_ID: Final = re.compile(r"[\x21-\x7e]{1,32}")
"""Printable ASCII without the space, as the vendor's SDKs let it through; case counts."""
MAX_USER_ID: Final = 32
UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
ADMINISTRATOR: Final = "administrator"
"""The account whose UserSig opens the REST API; the vendor's default name. Each app has it from the start."""
MAX_TEXT: Final = 12 * 1024
"""Bytes of UTF-8 in one message, the figure the vendor documents."""
MAX_INSTANCES: Final = 10
"""The largest "Online Web Instances" an app may have."""
MOST_FAILURES: Final = 1_000_000
"""The largest number of failures that can be allowed."""
SHARDS: Final = 64
"""Shards of a store. Each account lies in one, and each shard may lie on a server of its own."""
REMEMBERED: Final = 7 * 86400
"""Seconds that the end of an instance, and a message, are kept: the vendor's default life of a message, and
the longest that a tab's cookie goes on living without being renewed."""


ENDS_KEPT: Final = 500
"""Ends of instances that are kept of one account, the newest; of an older one nobody can say any more what it was.
As many are kept of instances that are away, which logins and logouts of others do not push out."""
EARLY_KEPT: Final = 100
"""UserSigs of one account that were used before the second in which they say they were made, and that a kick revokes
one by one; the newest."""
WINDOW: Final = 60
"""Seconds within which failed attempts are counted together."""
PAUSE: Final = 60
"""Seconds that an account or address waits after one failure too many."""

MESSAGES_A_MINUTE: Final = 100
"""Messages that one instance may send within any MINUTE."""
NEWEST: Final = 2**53 - 1
"""Stands for the number of the newest message of a log, whichever that is."""
MINUTE: Final = 60
"""Seconds in which the messages of one instance are counted together, and in which the same message sent again
without an instance, by REST, is the same message."""
MAX_LOG: Final = 4 * 1024 * 1024
"""Bytes that the log of one account holds; the oldest messages make room for a new one."""
MESSAGE_OVERHEAD: Final = 256
"""Bytes that a message counts for in a log beside its text."""


def leaving(live: Iterable[Instance], limit: int) -> list[Instance]:
    """The instances that must leave so that one more fits under `limit`, in the order of leaving.

    Detached ones go first, as a closed or sleeping tab must never outrank a live one; then the oldest
    generation. The newcomer is not among them: it is always in.
    """
    order = sorted(live, key=lambda instance: (instance.detached_at is None, instance.generation))
    return order[: max(0, len(order) + 1 - limit)]


def ended(instance: Instance, *, now: float, grace: float) -> Gone | None:
    """What has become of an instance by `now`, even where nobody has written it down yet.

    `grace` is how many seconds a detached instance keeps its seat.
    """
    if instance.gone is not None:
        return instance.gone
    away_at = float("inf") if instance.detached_at is None else instance.detached_at + grace
    if min(instance.expires, away_at) > now:
        return None
    if instance.expires <= away_at:
        return Gone(TYPES.KICKED_OUT_USERSIG_EXPIRED, instance.expires)
    return Gone(AWAY, away_at)


def displaced_by(live: Sequence[Instance], away_at: float) -> Gone:
    """Why an instance that gave up its seat at `away_at` finds none now: the newest of `live` has it."""
    newest = max(live, key=lambda instance: instance.generation)
    return Gone(TYPES.KICKED_OUT_MULT_ACCOUNT, max(newest.since, away_at), newest.client)


def log_size(text: str) -> int:
    """Bytes that a message with this text counts for in a log."""
    return len(text.encode()) + MESSAGE_OVERHEAD


def distinct_id(message: Message) -> str:
    """The id of a message whose own id another message of the same instance has already.

    It is made of all that tells the two apart, so that the same message sent again gets the same one.
    """
    content = "\0".join((message.sender, message.to, message.text)).encode()
    return f"{message.id}~{hashlib.sha1(content, usedforsecurity=False).hexdigest()[:16]}"


def shard_of(app: int, user: str) -> int:
    """The shard in which an account lies: 0 to SHARDS - 1."""
    return zlib.crc32(f"{app}:{user}".encode()) % SHARDS


def instance_id(app: int, user: str, unique: str) -> str:
    """The id of an instance of this account; `unique` is 128 bits as hex digits that no other one has."""
    return f"{unique}{shard_of(app, user):02x}"


def check_user_id(user_id: str, name: str = "userID") -> str:
    """`user_id`, if it may be a UserID; raises BadParameter otherwise."""
    if not isinstance(user_id, str):
        raise BadParameter(name, f"{name} must be a string of 1 to {MAX_USER_ID} characters")
    if not USER_ID.fullmatch(user_id):
        raise BadParameter(name, f"{name} must be {_what_is_wrong(user_id)}")
    return user_id


def _what_is_wrong(user_id: str) -> str:
    """The rule that this breaks, and the way out."""
    rule = f"1 to {MAX_USER_ID} letters, digits or ASCII signs"
    if not user_id:
        return f"{rule}; it is empty"
    if UUID.fullmatch(user_id):
        return f"{rule}; this UUID has 36 characters: remove the dashes"
    if user_id != user_id.strip():
        return f"{rule}; remove the blank at its beginning or end"
    if not user_id.isascii() or not user_id.isprintable() or " " in user_id:
        return f"{rule}, without blanks and other characters; use the account's number or mail address, for example"
    return f"{rule}; this one has {len(user_id)}: use a shorter one"


def check_text(text: str) -> str:
    """`text`, if it fits into a message; raises BadParameter or MessageTooLong otherwise."""
    if not isinstance(text, str) or not text.strip():
        raise BadParameter("text", "the text is empty; write something")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise BadParameter("text", "the text has half of a surrogate pair, which is no character") from None
    if size > MAX_TEXT:
        raise MessageTooLong(size, MAX_TEXT)
    return text


def check_limits(limits: Limits) -> Limits:
    """`limits`, if an app may have them.

    Raises:
        SettingError: one of them is out of range.
    """
    for field, most in zip(fields(limits), (MAX_INSTANCES, MOST_FAILURES, MOST_FAILURES), strict=True):
        value = getattr(limits, field.name)
        if not (isinstance(value, int) and 1 <= value <= most):
            raise SettingError(field.name, f"must be a whole number from 1 to {most}")
    return limits
