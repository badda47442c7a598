"""What scripts reply and publish, as values of the model. All of it arrives as strings."""

from __future__ import annotations

import json
from typing import Any

from tim.ends import Client, Gone
from tim.errors import (
    InstanceGone,
    NodeForgotten,
    NoSuchAccount,
    NoSuchInstance,
    NotReady,
    TooManyMessages,
    UserSigRevoked,
)
from tim.model import Instance, Message, unknown_instance
from tim.store.hints import AccountChanged, Attached, Ended, Hint, LimitsSaved, Written


class UnknownReply(RuntimeError):
    """A reply or a hint that this version does not know: the script and its caller do not match."""


def us(seconds_: float) -> str:
    """Seconds as whole microseconds, in which scripts count time."""
    return str(round(seconds_ * 1e6))


def seconds(microseconds: str) -> float:
    return int(microseconds) / 1e6


def checked(verb: str, reply: list[Any]) -> list[Any]:
    """The values in the reply of the script `verb`, if the script has succeeded.

    Raises:
        IMError: the script refuses; the class is the reason.
        UnknownReply: the reply is of no known kind.
    """
    match reply:
        case ["ok", *values]:
            return values
        case ["gone", instance]:
            raise InstanceGone(instance_of(instance))
        case ["unknown", id, at]:
            raise InstanceGone(unknown_instance(id, seconds(at)))
        case ["no-account", user]:
            raise NoSuchAccount(user)
        case ["no-instance"]:
            raise NoSuchInstance
        case ["not-ready"]:
            raise NotReady
        case ["too-many", left]:
            raise TooManyMessages(seconds(left))
        case ["revoked"]:
            raise UserSigRevoked
        case ["forgotten"]:
            raise NodeForgotten
    kind = reply[0] if isinstance(reply, list) and reply else reply
    raise UnknownReply(f"the script {verb} gave an unknown reply: {kind!r}")


def hint_of(published: str) -> Hint:
    """The hint that a script has published.

    Raises:
        UnknownReply: it is of no known kind.
    """
    fields: dict[str, Any] = json.loads(published)
    app, user = int(fields["app"]), fields.get("user", "")
    match fields["kind"]:
        case "account-changed":
            return AccountChanged(app, user)
        case "written":
            return Written(app, user, message_of(fields, fields["seq"]))
        case "ended":
            gone = gone_of(fields["reason"], fields["at"], fields.get("by_browser"), fields.get("by_address"))
            return Ended(app, user, fields["instance"], gone)
        case "attached":
            return Attached(app, user, fields["instance"], int(fields["stream"]))
        case "limits-saved":
            return LimitsSaved(app)
        case kind:
            raise UnknownReply(f"a script published a hint of an unknown kind: {kind!r}")


def fields_of(flat: list[str]) -> dict[str, str]:
    """Names and values in turn, as a table."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def instance_of(flat: list[str]) -> Instance:
    """The instance in the fields of its hash."""
    of = fields_of(flat)
    gone = None
    if "reason" in of:
        gone = gone_of(of["reason"], of["at"], of.get("by_browser"), of.get("by_address"))
    return Instance(
        id=of["id"],
        app=int(of["app"]),
        user=of["user"],
        client=Client(of["browser"], of["address"]),
        since=seconds(of["since"]),
        expires=seconds(of["expires"]),
        generation=int(of["generation"]),
        stream=int(of["stream"]),
        detached_at=seconds(of["detached_at"]) if "detached_at" in of else None,
        gone=gone,
    )


def instances_of(found: list[list[str]]) -> list[Instance]:
    return [instance_of(flat) for flat in found]


def message_of(fields: dict[str, str], seq: str) -> Message:
    """The message in the fields of its entry in a log."""
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
    """The end of an instance. Without a browser no client caused it; the name of a browser may be empty."""
    by = None if browser is None or address is None else Client(browser, address)
    return Gone(reason, seconds(at), by)
