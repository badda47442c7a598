"""What the webhook sends, where it may send to, and which answer acknowledges an event."""

from __future__ import annotations

import hashlib
import hmac
import json
from urllib.parse import parse_qsl, urlsplit

import pytest

from tim.errors import SettingError
from tim.receiver import failure_of, is_local, receiver_at, request_to, sign
from tim.state_change import DISCONNECT, LOGIN, LOGOUT, StateChange

TOKEN = "xxxxyyyy"
EVENT = StateChange("d" * 32, 1400000000, "alice", LOGIN, 1750000000.123, "203.0.113.7", kicked=2)


def test_the_vendors_signature_of_its_own_example() -> None:
    assert sign(TOKEN, "1669872112") == "17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061"


def test_a_request_is_the_vendors_and_has_two_headers_of_ours() -> None:
    request = request_to(receiver_at("https://example.com/hook?key=1", TOKEN), EVENT, 1669872112.9)
    parts = urlsplit(request.target)
    assert parts.path == "/hook"
    assert parse_qsl(parts.query, keep_blank_values=True) == [
        ("key", "1"),
        ("SdkAppid", "1400000000"),
        ("CallbackCommand", "State.StateChange"),
        ("contenttype", "json"),
        ("ClientIP", "203.0.113.7"),
        ("OptPlatform", "Web"),
        ("RequestTime", "1669872112"),
        ("Sign", "17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061"),
    ]
    assert json.loads(request.body) == {
        "CallbackCommand": "State.StateChange",
        "EventTime": 1750000000123,
        "Info": {"Action": "Login", "To_Account": "alice", "Reason": "Register"},
        "KickedDevice": [{"Platform": "Web"}, {"Platform": "Web"}],
    }
    assert request.headers["X-Tim-Signature"] == hmac.new(TOKEN.encode(), request.body, hashlib.sha256).hexdigest()
    assert request.headers["X-Tim-Delivery"] == EVENT.id
    assert request_to(receiver_at("http://example.com", TOKEN), EVENT, 0).target.startswith("/?SdkAppid=")


@pytest.mark.parametrize(
    ("action", "reason"), [(LOGIN, "Register"), (LOGOUT, "Unregister"), (DISCONNECT, "LinkClose"), ("Test", "Test")]
)
def test_each_action_has_the_vendors_reason(action: str, reason: str) -> None:
    event = StateChange("e", 1, "alice", action, 1.0, "")
    body = json.loads(request_to(receiver_at("http://example.com", TOKEN), event, 0).body)
    assert body["Info"]["Reason"] == reason
    assert body["KickedDevice"] == []


def test_the_token_and_the_path_are_in_no_representation() -> None:
    receiver = receiver_at("https://example.com/secret-path", "secret-token")
    assert "secret" not in receiver.name
    assert "secret-token" not in repr(receiver)


@pytest.mark.parametrize(
    ("url", "token", "words"),
    [
        ("", TOKEN, "webhook_url: must be ASCII"),
        ("example.com/hook", TOKEN, "webhook_url: must begin with https:// or http://"),
        ("ftp://example.com", TOKEN, "webhook_url: must begin with"),
        ("https://", TOKEN, "name a host"),
        ("http://example.com:99999/", TOKEN, "name a host"),
        ("http://[::1/", TOKEN, "name a host"),
        ("http://example.com/a b", TOKEN, "without blanks"),
        ("http://example.com/\r\nX: y", TOKEN, "without blanks"),
        ("http://user:word@example.com/", TOKEN, "neither a user nor a #"),
        ("http://example.com/#part", TOKEN, "neither a user nor a #"),
        ("https://example.com/", "", "webhook_token: is needed"),
        ("https://example.com/", "two words", "webhook_token"),
        ("http://127.0.0.1:8000/", TOKEN, "TIM_WEBHOOK_ALLOW_LOCAL=1"),
        ("http://localhost/", TOKEN, "loopback or link-local"),
        ("http://LOCALHOST/", TOKEN, "loopback or link-local"),
        ("http://localhost./", TOKEN, "loopback or link-local"),
        ("http://tim.localhost/", TOKEN, "loopback or link-local"),
        ("http://2130706433/", TOKEN, "loopback or link-local"),
        ("http://[::1]/", TOKEN, "loopback or link-local"),
        ("http://169.254.169.254/latest/meta-data", TOKEN, "loopback or link-local"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_with_the_reason(url: str, token: str, words: str) -> None:
    with pytest.raises(SettingError) as refused:
        receiver_at(url, token)
    assert words in str(refused.value)
    assert "word" not in str(refused.value).replace("words", "")


@pytest.mark.parametrize("url", ["http://10.0.0.5/hook", "https://192.168.1.1", "https://hooks.example.com:8443/x?y=z"])
def test_a_private_network_is_no_loopback(url: str) -> None:
    assert receiver_at(url, TOKEN).host


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "0.0.0.0", "0.0.0.1", "::1", "::", "169.254.1.1", "fe80::1", "fe80::1%eth0",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "224.0.0.1", "ff02::1",
        "127.1", "0", "0x7f000001", "2130706433", "017700000001", "::127.0.0.1", "::ffff:0:127.0.0.1", "2002:7f00:1::",
    ],
)  # fmt: skip
def test_an_address_of_this_machine_or_its_link_is_local_in_each_spelling(address: str) -> None:
    assert is_local(address)


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "10.1.2.3", "2606:2800:220:1::1", "::ffff:8.8.8.8", "2002:808:808::", "a.name"],
)
def test_any_other_address_is_not(address: str) -> None:
    assert not is_local(address)


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (200, b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}', ""),
        (200, b'{"ErrorCode": 1, "ErrorInfo": "secret"}', "ErrorCode 1"),
        (200, b'{"ErrorCode": false}', "the answer is no JSON object with an ErrorCode"),
        (200, b'{"ErrorCode": "0"}', "the answer is no JSON object with an ErrorCode"),
        (200, b"{}", "the answer is no JSON object with an ErrorCode"),
        (200, b"[0]", "the answer is no JSON object with an ErrorCode"),
        (200, b"OK", "the answer is no JSON object with an ErrorCode"),
        (200, b"\xff\xfe", "the answer is no JSON object with an ErrorCode"),
        (200, b"[" * 60000, "the answer is no JSON object with an ErrorCode"),
        (201, b'{"ErrorCode":0}', "HTTP 201"),
        (302, b"", "HTTP 302: redirects are not followed"),
        (500, b'{"ErrorCode":0}', "HTTP 500"),
    ],
)
def test_only_200_with_error_code_0_acknowledges_an_event(status: int, body: bytes, failure: str) -> None:
    assert failure_of(status, body) == failure
