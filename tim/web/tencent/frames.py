"""The frames of the vendor's Web SDK: JSON texts in, JSON texts out. No socket, clock or store.

    request   {"head": {"servcmd": "service.command", "seq": 7, …}, "body": {…}}
    answer    {"head": {"servcmd": <the same>, "seq": <the same>}, "body": {"ErrorCode": 0, …}}
    push      {"head": {"servcmd": "im_open_push.msg_push", "seq": <any>}, "body": {"EventArray": […]}}

Source of the rules: the observed traffic of tim-js-sdk 2.27.6 and @tencentcloud/chat 3.6.6.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from tim.codes import (
    BAD_ELEMENT,
    BAD_MSG_BODY,
    BAD_MSG_RANDOM,
    BAD_MSG_SEQ,
    BAD_RECEIVER,
    BAD_TIME,
)
from tim.ends import TYPES
from tim.errors import BadFrame, BadParameter
from tim.model import Message
from tim.web.framing import Beginning
from tim.web.inbound import Sizes

MAX_FRAME: Final = 64 * 1024
"""Largest size of a frame that is kept, in bytes. The largest one that this service accepts is a message of 12 KiB with
every character escaped."""
LONGEST_FRAME: Final = 16 * 1024 * 1024
"""Longest size of a frame that is refused with an answer, in bytes; one that is longer closes its connection. The SDK
bounds no text and no data of a custom message: a photo in one has some MiB, and 300 messages that are forwarded as one
have 4 MiB. It repeats a request without an answer on each new connection, before its login."""
SIZES: Final = Sizes(MAX_FRAME, LONGEST_FRAME)
COMMAND: Final = re.compile(r"[a-zA-Z0-9_]{1,64}\.[a-zA-Z0-9_]{1,64}")
MAX_SEQ: Final = 2**53
"""Largest seq: the SDK counts in doubles."""
HEAD: Final = re.compile(r'[ \t\n\r]*\{[ \t\n\r]*"head"[ \t\n\r]*:[ \t\n\r]*')
"""How a frame begins whose head comes first, up to the head."""
JSON_SPACE: Final = " \t\n\r"
"""What may stand around a JSON value."""
MAX_UINT32: Final = 2**32 - 1
TINY_ID_BASE: Final = 144115188075855872
"""2^57: the vendor's account numbers begin here."""

KICK_TYPES: Final = {
    TYPES.KICKED_OUT_MULT_ACCOUNT: 1,
    TYPES.KICKED_OUT_MULT_DEVICE: 2,
    TYPES.KICKED_OUT_REST_API: 3,
}
"""KickType by type of KICKED_OUT. The fourth type, userSigExpired, has none: the error code 70001 stands for it."""
KICKED: Final = 1002
"""ErrorCode of an answer that reports a kick; it comes with a KickType."""

OK: Final[dict[str, Any]] = {"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": ""}

_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))
_OK: Final = _ENCODER.encode(OK)
_SDK_MESSAGE = re.compile(r"[0-9a-f]{32,34}-([0-9]{1,10})-([0-9]{1,10})-([0-9]{1,10})")

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One request of the SDK.

    Attributes:
        command: `service.command`.
        seq: its number on the connection; the answer repeats it.
        is_cut: whether it was too long to be kept. Its body is empty.
    """

    command: str
    seq: int
    head: Body
    body: Body
    is_cut: bool = False

    def text(self, name: str) -> str:
        """The string `name` of the head; empty where there is none."""
        value = self.head.get(name)
        return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A text message to send.

    Attributes:
        seq, random: numbers of 32 bits that the sender chooses; together they identify the message.
        client_time: unix seconds by the sender's clock; 0 if it is not given.
    """

    to: str
    text: str
    seq: int
    random: int
    client_time: int


def parse(frame: bytes | str) -> Request:
    """The request in a frame.

    Raises:
        BadFrame: the frame has no request that can be answered.
    """
    if isinstance(frame, Beginning):
        return _request(_head_in(frame), {}, is_cut=True)
    if len(frame) > MAX_FRAME:
        raise BadFrame(f"it is longer than {MAX_FRAME} bytes")
    try:
        text = (frame if isinstance(frame, str) else frame.decode("utf-8", "surrogatepass")).strip(JSON_SPACE)
        packet, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        raise BadFrame("it is not JSON") from None
    if end < len(text):
        raise BadFrame("it is more than one JSON value")
    if not isinstance(packet, dict):
        raise BadFrame("it has no head")
    return _request(packet.get("head"), packet.get("body"))


def _head_in(frame: Beginning) -> Any:
    """The head in the beginning of a frame. Both packages write it before the body."""
    text = frame.decode("utf-8", "replace")
    begins = HEAD.match(text)
    try:
        return _DECODER.raw_decode(text, begins.end())[0] if begins else None
    except (ValueError, RecursionError):
        return None


def _request(head: Any, body: Any, *, is_cut: bool = False) -> Request:
    if not isinstance(head, dict):
        raise BadFrame("it has no head")
    command, seq = head.get("servcmd"), head.get("seq")
    if not isinstance(command, str) or not COMMAND.fullmatch(command):
        raise BadFrame("its head has no servcmd")
    if type(seq) is not int or not 0 <= seq <= MAX_SEQ:
        raise BadFrame("its head has no seq")
    return Request(command, seq, head, body if isinstance(body, dict) else {}, is_cut)


def parse_message(body: Body) -> Outgoing:
    """The message in the body of an openim.sendmsg, over the socket or by REST.

    Several text elements are joined. Sending the message checks the receiver and the text.

    Raises:
        BadParameter: with the code that the vendor documents for the field.
    """
    to = body.get("To_Account")
    if not isinstance(to, str):
        raise BadParameter("To_Account", "To_Account must be the UserID of the receiver", BAD_RECEIVER)
    elements = body.get("MsgBody")
    if not isinstance(elements, list) or not elements:
        raise BadParameter("MsgBody", "MsgBody must be a list with at least one element", BAD_MSG_BODY)
    return Outgoing(
        to,
        "".join(_text(element) for element in elements),
        _uint32(body.get("MsgSeq", 0), "MsgSeq", BAD_MSG_SEQ),
        _uint32(body.get("MsgRandom"), "MsgRandom", BAD_MSG_RANDOM),
        _uint32(body.get("MsgClientTime", 0), "MsgClientTime", BAD_TIME),
    )


def answer(request: Request, **fields: Any) -> str:
    """A successful answer to `request`."""
    return bare(request, encoded({**OK, **fields}) if fields else _OK)


def refusal(request: Request, code: int, why: str, **fields: Any) -> str:
    """The answer that makes the SDK reject with `code` and, as the message, `why`."""
    return bare(request, encoded({"ActionStatus": "FAIL", "ErrorCode": code, "ErrorInfo": why, **fields}))


def bare(request: Request, body: str) -> str:
    """An answer with this encoded body."""
    return _frame(request.command, request.seq, body)


def encoded(body: Body) -> str:
    """The text of a body, for frames that are sent often."""
    return _ENCODER.encode(body)


@cache
def kick(kick_type: int) -> str:
    """The push that makes the SDK fire KICKED_OUT."""
    notify = {"KickoutMsgNotify": {"KickType": kick_type, "NewInstInfo": {}}}
    body = {"EventArray": [{"Event": 10, "C2cNotifyMsgArray": [notify]}]}
    return _frame("im_open_status.stat_forceoffline", 0, encoded(body))


def arrival(message: Message, app: int, user: str) -> str:
    """The push that makes the SDK of `user` fire MESSAGE_RECEIVED. A repeated push makes no second event.

    A message that another instance of `user` has sent goes out with sender and receiver swapped; the SDK swaps them
    back.
    """
    own = message.sender == user
    seq, random, client_time = numbers(message)
    row = {
        "From_Account": message.to if own else message.sender,
        "To_Account": user,
        "TinyId": tiny_id(app, message.sender),  # a part of the ID that the SDK gives the message
        "MsgSeq": seq,
        "MsgRandom": random,
        "MsgTimeStamp": int(message.time),
        "MsgClientTime": client_time,
        "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": message.text}}],
        "From_AccountNick": "",
        "From_AccountHeadurl": "",
        **({"IsSyncMsg": 1} if own else {}),
    }
    return _frame("im_open_push.msg_push", message.seq, encoded({"EventArray": [{"Event": 9, "C2cMsgArray": [row]}]}))


def message_id(instance: str, outgoing: Outgoing) -> str:
    """The id of a message that this instance sends by the SDK; a repeated message has the same id."""
    return f"{instance}-{outgoing.seq}-{outgoing.random}-{outgoing.client_time}"


def numbers(message: Message) -> tuple[int, int, int]:
    """MsgSeq, MsgRandom and MsgClientTime: the sender's own, or numbers derived from the id of the message.

    The SDK derives its own ID of the message from them, and recognises a repeated message by it. None of them is 0,
    because the SDK replaces a 0 by another number each time.
    """
    digest = hashlib.blake2b(message.id.encode(), digest_size=8).digest()
    seq, random = (int.from_bytes(half) % MAX_UINT32 + 1 for half in (digest[:4], digest[4:]))
    client_time = 0
    sent_with_numbers = _SDK_MESSAGE.fullmatch(message.id)
    if sent_with_numbers:
        own_seq, random, client_time = map(int, sent_with_numbers.groups())
        seq = own_seq or seq
    return seq, random, client_time or int(message.time)


def message_key(message: Message) -> str:
    """MsgKey, in the vendor's form."""
    seq, random, _ = numbers(message)
    return f"{seq}_{random}_{int(message.time)}"


def tiny_id(app: int, user: str) -> str:
    """The account's number, derived from its UserID; a string, because a double cannot hold it exactly."""
    digest = hashlib.blake2b(f"{app}/{user}".encode(), digest_size=7, person=b"tim.tiny").digest()
    return str(TINY_ID_BASE + int.from_bytes(digest))


def _frame(command: str, seq: int, body: str) -> str:
    """A frame with this encoded body. The names of commands have no character that JSON escapes."""
    return f'{{"head":{{"servcmd":"{command}","seq":{seq}}},"body":{body}}}'


def _text(element: Any) -> str:
    kind = element.get("MsgType") if isinstance(element, dict) else None
    if kind != "TIMTextElem":
        raise BadParameter("MsgBody", f"only TIMTextElem can be sent here, not {str(kind)[:40]!r}", BAD_ELEMENT)
    content = element.get("MsgContent")
    text = content.get("Text") if isinstance(content, dict) else None
    if not isinstance(text, str):
        raise BadParameter("MsgBody", "a TIMTextElem needs a MsgContent with a Text", BAD_ELEMENT)
    return text


def _uint32(value: Any, name: str, code: int) -> int:
    if type(value) is not int or not 0 <= value <= MAX_UINT32:
        raise BadParameter(name, f"{name} must be a whole number from 0 to {MAX_UINT32}", code)
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant)
