"""What scripts reply and publish, as values of the model. All of it arrives as strings."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from tim.audit import Entry
from tim.ends import Client, Gone
from tim.errors import (
    AccountBlocked,
    BlockChanged,
    IMError,
    InstanceGone,
    NodeForgotten,
    NoSuchAccount,
    NoSuchInstance,
    NotReady,
    SettingsChanged,
    TooManyMessages,
    UserSigRevoked,
)
from tim.model import TAB, AppSettings, Block, Instance, Limits, Message, View, unknown_instance
from tim.seat_errors import AtLimit, NotDisplaced
from tim.store.hints import AccountChanged, Attached, Cut, Ended, Hint, SettingsSaved, Written


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
        case ["not-displaced", late]:
            raise NotDisplaced(late=bool(late))
        case ["not-ready"]:
            raise NotReady
        case ["too-many", left, most]:
            raise TooManyMessages(seconds(left), int(most))
        case ["changed", settings]:
            raise SettingsChanged(settings_of(fields_of(settings)) if settings else AppSettings())
        case ["other-block"]:
            raise BlockChanged
        case ["forgotten"]:
            raise NodeForgotten
    if (refusal := _login_refused(reply)) is not None:
        raise refusal
    kind = reply[0] if isinstance(reply, list) and reply else reply
    raise UnknownReply(f"the script {verb} gave an unknown reply: {kind!r}")


def _login_refused(reply: list[Any]) -> IMError | None:
    """Why the reply refuses a login; None where it is another reply."""
    match reply:
        case ["revoked"]:
            return UserSigRevoked()
        case ["blocked", block]:
            return AccountBlocked(block_of(fields_of(block)))
        case ["at-limit", limit, instances]:
            return AtLimit(instances_of(instances), int(limit))
    return None


def hint_of(published: str) -> Hint:
    """The hint that a script has published.

    Raises:
        UnknownReply: it is of no known kind.
    """
    of: dict[str, Any] = json.loads(published)
    app, user = int(of["app"]), of.get("user", "")
    match of["kind"]:
        case "account-changed":
            return AccountChanged(app, user)
        case "written":
            return Written(app, user, message_of(of, of["seq"]))
        case "ended":
            by = of.get("by_browser"), of.get("by_address")
            return Ended(app, user, of["instance"], gone_of(of["reason"], of["at"], *by, of.get("words")))
        case "attached":
            return Attached(app, user, of["instance"], int(of["stream"]))
        case "cut":
            return Cut(app, user, of["instance"], int(of["stream"]))
        case "settings-saved":
            return SettingsSaved(app)
        case kind:
            raise UnknownReply(f"a script published a hint of an unknown kind: {kind!r}")


def fields_of(flat: list[str]) -> dict[str, str]:
    """Names and values in turn, as a table."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def instance_of(reply: list[Any]) -> Instance:
    """The instance of which a script replies the fields, in this order; None stands for one that is absent."""
    # fmt: off
    (
        id, app, user, browser, address, since, expires, generation, stream, detached_at, node,
        reason, at, by_browser, by_address, words,
        ordinal, kind, name, vouched, disowned, lasts_until, idle_life, active_at,
    ) = reply
    # fmt: on
    return Instance(
        id=id,
        app=int(app),
        user=user,
        client=Client(browser, address),
        since=seconds(since),
        expires=seconds(expires),
        generation=int(generation),
        stream=int(stream),
        detached_at=seconds(detached_at) if detached_at else None,
        gone=gone_of(reason, at, by_browser, by_address, words) if reason else None,
        node=node or "",
        # The ordinal is absent where an older version has admitted it; each other field while it has its default.
        ordinal=int(ordinal or generation),
        kind=kind or TAB,
        name=name or "",
        vouched=int(vouched or 0),
        disowned=disowned is not None,
        lasts_until=seconds(lasts_until or "0"),
        idle_life=int(idle_life or 0),
        active_at=seconds(active_at or "0"),
    )


def instances_of(found: list[list[str]]) -> list[Instance]:
    return [instance_of(flat) for flat in found]


def block_of(of: dict[str, str]) -> Block:
    """The block of an account in its fields."""
    return Block(seconds(of["until"]) if of["until"] else None, of["words"], seconds(of["at"]), of["by"])


def settings_of(of: dict[str, str]) -> AppSettings:
    """The settings in the fields of their hash."""
    return AppSettings(
        # Settings that an older version has saved lack some.
        limits=Limits(**{field.name: int(of[field.name]) for field in fields(Limits) if field.name in of}),
        policy=of["policy"],
        not_me=of.get("not_me", "1") == "1",
        help_text=of.get("help_text", ""),
        help_url=of.get("help_url", ""),
        session_life=int(of.get("session_life", 0)),
        idle_life=int(of.get("idle_life", 0)),
        webhook_url=of["webhook_url"],
        webhook_token=of["webhook_token"],
        version=int(of["version"]),
        saved_at=seconds(of["saved_at"]),
        saved_by=of["saved_by"],
    )


def message_of(of: dict[str, str], seq: str) -> Message:
    """The message in the fields of its entry in a log."""
    return Message(
        seq=int(seq),
        id=of["id"],
        sender=of["sender"],
        to=of["to"],
        text=of["text"],
        time=seconds(of["time"]),
        instance=of["instance"],
    )


def messages_of(since: str, entries: list[tuple[str, list[str]]]) -> list[Message]:
    """The messages in the entries of a log, which come newest first, oldest first; without those before `since`."""
    newest_first = (message_of(fields_of(entry), number.partition("-")[0]) for number, entry in entries)
    return [message for message in newest_first if message.time >= seconds(since)][::-1]


def view_of(found: list[Any], *, returned: bool = False) -> View:
    """The view that the scripts' function `view` has returned."""
    instance, listed, newest, read_seq, since, entries = found
    instances = instances_of(listed)
    its = instances[instance - 1] if isinstance(instance, int) else instance_of(instance)
    return View(its, instances, int(newest), int(read_seq), messages_of(since, entries), returned)


def gone_of(reason: str, at: str, browser: str | None, address: str | None, words: str | None) -> Gone:
    """The end of an instance. Without a browser no client caused it; the name of a browser may be empty."""
    by = None if browser is None or address is None else Client(browser, address)
    return Gone(reason, seconds(at), by, words or "")


def entry_of(id: str, flat: list[str]) -> Entry:
    """The entry of the audit with this id. One that was written when it happened has no time of its own."""
    fields = fields_of(flat)
    del fields["app"]
    at = fields.pop("at") or id.partition("-")[0]
    return Entry(id=id, at=seconds(at), **fields)
