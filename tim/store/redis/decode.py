"""What the scripts of a store on Redis are given and answer with: a refusal, or values that are all strings."""

from __future__ import annotations

import secrets

from tim.ends import Client
from tim.errors import (
    InstanceGone,
    NodeForgotten,
    NoSuchAccount,
    NoSuchInstance,
    NotReady,
    TooManyMessages,
    UserSigRevoked,
)
from tim.model import Instance
from tim.store.hints import gone_of, seconds
from tim.store.redis.connection import Reply


def call_id() -> str:
    """What tells a call that is sent again, as its answer was lost, from another one."""
    return secrets.token_hex(8)


def us(seconds_: float) -> str:
    """Seconds as a script counts time: in whole microseconds."""
    return str(round(seconds_ * 1e6))


def checked(reply: Reply) -> Reply:
    """The reply of a script that has decided; what it refuses is raised."""
    match reply:
        case ["ok", *_]:
            return reply
        case ["gone", reason, at, browser, address]:
            raise InstanceGone(gone_of(reason, at, browser, address))
        case ["no-account", user]:
            raise NoSuchAccount(user)
        case ["no-instance"]:
            raise NoSuchInstance
        case ["not-ready"]:
            raise NotReady
        case ["too-many", left]:
            raise TooManyMessages(seconds(left))
        case ["void"]:
            raise UserSigRevoked
        case _:
            raise NodeForgotten


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
        detached_at=seconds(of["detached"]) if "detached" in of else None,
        gone=gone,
    )
