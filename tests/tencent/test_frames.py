"""The codec of the vendor's SDK: every frame is a request or a refusal, and nothing else ever comes of one."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tim.codes import (
    BAD_ELEMENT,
    BAD_MSG_BODY,
    BAD_MSG_RANDOM,
    BAD_MSG_SEQ,
    BAD_RECEIVER,
    BAD_TIME,
    NO_SUCH_COMMAND,
)
from tim.errors import BadFrame, BadParameter
from tim.model import Message
from tim.web.framing import Beginning
from tim.web.tencent import frames, stubs

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
HEADS = st.fixed_dictionaries({}, optional={"servcmd": JSON | st.just("a.b"), "seq": JSON | st.integers(0, 99)})
HEAD = {"servcmd": "a.b", "seq": 9, "a2": "key"}
SEQ, RANDOM = 4_000_000_000, 12


def frame(command: Any = "heartbeat.alive", seq: Any = 7, body: Any = None, **head: Any) -> str:
    return json.dumps({"head": {"servcmd": command, "seq": seq, **head}, "body": body})


def request(command: str = "openim.sendmsg", body: Any = None, **head: Any) -> frames.Request:
    return frames.parse(frame(command, 7, {} if body is None else body, **head))


def body_of(answer: str) -> dict[str, Any]:
    packet = json.loads(answer)
    assert packet["head"]["seq"] == 7
    body: dict[str, Any] = packet["body"]
    return body


def message(**changes: Any) -> Message:
    values = {"seq": 5, "id": "x", "sender": "alice", "to": "bob", "text": "hi", "time": 1.75e9 + 0.9, "instance": "i"}
    return Message(**{**values, **changes})


def row(push: str) -> dict[str, Any]:
    """The message in a push."""
    packet = json.loads(push)
    assert packet["head"]["servcmd"] == "im_open_push.msg_push"
    found: dict[str, Any] = packet["body"]["EventArray"][0]["C2cMsgArray"][0]
    return found


# Frames that come


@given(st.binary() | st.text())
def test_any_bytes_are_a_request_or_refused(raw: bytes | str) -> None:
    with suppress(BadFrame):
        frames.parse(raw)


@given(st.fixed_dictionaries({}, optional={"head": HEADS | JSON, "body": JSON}) | JSON)
def test_any_json_is_a_request_with_a_command_and_a_number_or_refused(packet: Any) -> None:
    try:
        asked = frames.parse(json.dumps(packet))
    except BadFrame:
        return
    assert frames.COMMAND.fullmatch(asked.command)
    assert 0 <= asked.seq <= frames.MAX_SEQ
    assert isinstance(asked.body, dict)
    json.loads(stubs.reply(asked, 1))
    with suppress(BadParameter):
        frames.parse_message(asked.body)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"\xff\xfe\xfd", "not JSON"),
        ("{", "not JSON"),
        ("[" * 30_000, "not JSON"),
        ("1" * 5_000, "not JSON"),
        ('{"head": NaN}', "not JSON"),
        ("null", "no head"),
        ("[]", "no head"),
        ('{"head": []}', "no head"),
        ('{"head": {"seq": 1}}', "no servcmd"),
        (frame(command=3), "no servcmd"),
        (frame(command="alive"), "no servcmd"),
        (frame(command="a.b" * 100), "no servcmd"),
        (frame(seq="7"), "no seq"),
        (frame(seq=True), "no seq"),
        (frame(seq=7.0), "no seq"),
        (frame(seq=-1), "no seq"),
        (frame(seq=2**60), "no seq"),
        ("x" * (frames.MAX_FRAME + 1), "longer than"),
    ],
)
def test_what_is_no_request_is_refused_with_the_reason(raw: bytes | str, why: str) -> None:
    with pytest.raises(BadFrame, match=why):
        frames.parse(raw)


def test_a_request_is_read_whole_from_text_and_from_bytes() -> None:
    text = frame("openim.getmsg", 9, {"Cookie": "3"}, a2="key", tinyid=5)
    asked = frames.parse(text)
    assert (asked.command, asked.seq, asked.body) == ("openim.getmsg", 9, {"Cookie": "3"})
    assert (asked.text("a2"), asked.text("tinyid"), asked.text("usersig")) == ("key", "", "")
    assert frames.parse(text.encode()) == asked


LONG = {"x": "é" * frames.MAX_FRAME}


def beginning(sent: str) -> Beginning:
    data = sent.encode()
    return Beginning.of(data, len(data))


@pytest.mark.parametrize("padding", range(4))
def test_the_head_of_a_request_that_is_too_long_is_read_in_its_beginning(padding: int) -> None:
    asked = frames.parse(beginning(" " * padding + json.dumps({"head": HEAD, "body": LONG}, ensure_ascii=False)))
    assert (asked.command, asked.seq, asked.text("a2")) == ("a.b", 9, "key")
    assert (asked.body, asked.is_cut) == ({}, True)


@pytest.mark.parametrize(
    "sent",
    [
        json.dumps({"body": LONG, "head": HEAD}),
        json.dumps({"head": {"x": "y" * 9000, **HEAD}, "body": LONG}),
        json.dumps({"head": [HEAD], "body": LONG}),
        json.dumps([{"head": HEAD, "body": LONG}]),
        '{"head":' * 9000,
    ],
)
def test_one_whose_beginning_has_no_head_is_refused(sent: str) -> None:
    with pytest.raises(BadFrame, match="no head"):
        frames.parse(beginning(sent))


def test_a_body_that_is_no_object_is_an_empty_one() -> None:
    assert frames.parse(frame(body=[1])).body == {}


# Frames that go


def test_an_answer_carries_the_command_and_the_number_of_its_request() -> None:
    asked = request()
    good, bad = json.loads(frames.answer(asked, MsgTime=3)), json.loads(frames.refusal(asked, 20003, "nobody"))
    assert good["head"] == bad["head"] == {"servcmd": "openim.sendmsg", "seq": 7}
    assert good["body"] == {"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": "", "MsgTime": 3}
    assert bad["body"] == {"ActionStatus": "FAIL", "ErrorCode": 20003, "ErrorInfo": "nobody"}


def test_a_kick_has_the_form_that_the_sdk_understands() -> None:
    packet = json.loads(frames.kick(2))
    assert packet["head"]["servcmd"] == "im_open_status.stat_forceoffline"
    notify = packet["body"]["EventArray"][0]["C2cNotifyMsgArray"][0]["KickoutMsgNotify"]
    assert notify["KickType"] == 2


def test_a_message_that_arrives() -> None:
    found = row(frames.arrival(message(), 1, "bob"))
    assert (found["From_Account"], found["To_Account"]) == ("alice", "bob")
    assert (found["MsgTimeStamp"], found["TinyId"]) == (1750000000, frames.tiny_id(1, "alice"))
    assert found["MsgBody"] == [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hi"}}]
    assert "IsSyncMsg" not in found


def test_a_message_of_ones_own_goes_out_with_its_ends_swapped() -> None:
    found = row(frames.arrival(message(), 1, "alice"))
    assert (found["From_Account"], found["To_Account"], found["IsSyncMsg"]) == ("bob", "alice", 1)


@given(st.text(), st.text())
def test_any_text_and_id_make_a_frame_that_reads_back(text: str, id: str) -> None:
    found = row(frames.arrival(message(text=text, id=id), 1, "bob"))
    assert found["MsgBody"][0]["MsgContent"]["Text"] == text
    assert 0 < found["MsgSeq"] <= frames.MAX_UINT32
    assert 0 < found["MsgRandom"] <= frames.MAX_UINT32


def test_the_numbers_of_the_sender_come_out_again() -> None:
    outgoing = frames.Outgoing("bob", "hi", SEQ, RANDOM, 1749999999)
    sent = message(id=frames.message_id("0" * 31 + "a", outgoing))
    assert frames.numbers(sent) == (SEQ, RANDOM, 1749999999)
    assert frames.message_key(sent) == f"{SEQ}_{RANDOM}_1750000000"


def test_a_message_from_elsewhere_has_numbers_that_stay() -> None:
    assert (
        frames.numbers(message(id="m1")) == frames.numbers(message(id="m1", seq=9)) != frames.numbers(message(id="m2"))
    )


def test_a_message_without_a_number_of_its_own_has_one_that_stays_and_is_not_0() -> None:
    ids = [frames.message_id("0" * 31 + "a", frames.Outgoing("bob", "hi", 0, random, 0)) for random in (RANDOM, 0)]
    (seq, random, time), other = (frames.numbers(message(id=id)) for id in ids)
    assert (seq, random, time) == frames.numbers(message(id=ids[0], seq=9))
    assert (random, time) == (RANDOM, 1750000000)
    assert seq > 0
    assert other[0] not in (0, seq)


def test_an_account_has_one_number_of_the_vendors_size() -> None:
    numbers = {frames.tiny_id(app, user) for app in (1, 2) for user in ("alice", "bob")}
    assert len(numbers) == 4
    assert all(2**57 <= int(number) < 2**63 for number in numbers)
    assert frames.tiny_id(1, "alice") in numbers


# Messages that are to be sent

TEXT = {"MsgType": "TIMTextElem", "MsgContent": {"Text": "hi"}}
GOOD = {"To_Account": "bob", "MsgSeq": SEQ, "MsgRandom": RANDOM, "MsgBody": [TEXT]}


def test_a_message_is_read_and_several_texts_are_one() -> None:
    assert frames.parse_message(GOOD) == frames.Outgoing("bob", "hi", SEQ, RANDOM, 0)
    assert frames.parse_message({**GOOD, "MsgBody": [TEXT, TEXT]}).text == "hihi"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"To_Account": None}, BAD_RECEIVER),
        ({"To_Account": ["bob"]}, BAD_RECEIVER),
        ({"MsgBody": None}, BAD_MSG_BODY),
        ({"MsgBody": []}, BAD_MSG_BODY),
        ({"MsgBody": TEXT}, BAD_MSG_BODY),
        ({"MsgBody": ["hi"]}, BAD_ELEMENT),
        ({"MsgBody": [TEXT, {"MsgType": "TIMFaceElem", "MsgContent": {"Index": 1}}]}, BAD_ELEMENT),
        ({"MsgBody": [{"MsgType": "TIMTextElem"}]}, BAD_ELEMENT),
        ({"MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": 3}}]}, BAD_ELEMENT),
        ({"MsgSeq": "1"}, BAD_MSG_SEQ),
        ({"MsgSeq": -1}, BAD_MSG_SEQ),
        ({"MsgRandom": None}, BAD_MSG_RANDOM),
        ({"MsgRandom": True}, BAD_MSG_RANDOM),
        ({"MsgRandom": 2**32}, BAD_MSG_RANDOM),
        ({"MsgClientTime": "now"}, BAD_TIME),
    ],
)
def test_a_message_with_a_bad_field_is_refused_with_its_code(change: dict[str, Any], code: int) -> None:
    with pytest.raises(BadParameter) as refused:
        frames.parse_message({**GOOD, **change})
    assert refused.value.code == code


# What the SDK asks for when it starts


@pytest.mark.parametrize(
    ("command", "field", "value"),
    [
        ("sns.black_list_get", "StartIndex", 0),
        ("recentcontact.page_get", "CompleteFlag", 1),
        ("recentcontact.get_contact_group", "CompleteFlag", 1),
        ("sns.friend_get", "CompleteFlag", 1),
        ("group_open_http_svc.get_joined_group_list", "TotalCount", 0),
        ("openim.never_heard_of", "ErrorInfo", ""),
    ],
)
def test_a_start_up_request_has_the_field_without_which_the_sdk_asks_again(
    command: str, field: str, value: Any
) -> None:
    body = body_of(stubs.reply(request(command), 1))
    assert (body["ErrorCode"], body[field]) == (0, value)


UNASKED = ("openim.msgreaded", "openim.get_peer_read_time", "openim.authkey", "sns.pendency_report")


@pytest.mark.parametrize("command", [*stubs.LISTS, *UNASKED, "im_open_status.wshello"])
def test_what_the_sdk_sends_by_itself_succeeds(command: str) -> None:
    assert body_of(stubs.reply(request(command), 1))["ErrorCode"] == 0


@pytest.mark.parametrize("command", ["openim.msgwithdraw", "group_open_http_svc.create_group", "follow.follow_add"])
def test_what_would_change_something_is_refused(command: str) -> None:
    body = body_of(stubs.reply(request(command), 1))
    assert (body["ErrorCode"], body["ErrorInfo"].startswith("this service ")) == (NO_SUCH_COMMAND, True)


@pytest.mark.parametrize("name", ["fetch_config", "fetch_imsdk_purchase_bitsv2"])
def test_the_configuration_keeps_its_own_field_names(name: str) -> None:
    body = body_of(stubs.reply(request(f"im_sdk_config_mgr.{name}"), 1))
    assert (body["int32_error_code"], body["uint32_expired_time"]) == (0, stubs.REFRESH)
    assert "ErrorCode" not in body


@given(JSON)
def test_profiles_are_answered_whatever_is_asked_for(asked: Any) -> None:
    body_of(stubs.reply(request("profile.portrait_get_all", {"UserItem": asked}), 1))


def test_profiles_are_those_that_were_asked_for_up_to_a_hundred() -> None:
    asked = [{"To_Account": f"u{i}"} for i in range(200)]
    body = body_of(stubs.reply(request("profile.portrait_get_all", {"UserItem": asked}), 1))
    assert [profile["To_Account"] for profile in body["UserProfileItem"]] == [f"u{i}" for i in range(100)]
