"""One POST: bounded in time and size, to a checked address, over verified TLS; each failure has its words."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.documents import ROOT
from tests.support.ports import free_port
from tests.support.receiver import TOKEN, AReceiver, Reply, running_receiver
from tests.support.waiting import PATIENCE
from tim.post import MAX_ANSWER, Poster, PostFailed
from tim.receiver import Receiver, Request, receiver_at

SECONDS = 0.3
REQUEST = Request("/hook?a=b", {"X-Tim-Delivery": "d"}, b'{"Info": {"To_Account": "alice"}}')


@pytest.fixture
def receiver() -> Iterator[AReceiver]:
    with running_receiver() as running:
        yield running


def failure(url: str, *, local: bool = True, seconds: float = SECONDS) -> str:
    with pytest.raises(PostFailed) as failed:
        Poster(receiver_at(url, TOKEN, local=local), seconds).post(REQUEST)
    return str(failed.value)


@contextmanager
def answering(*parts: bytes, end: bool = False) -> Iterator[int]:
    """A server that answers anybody with these bytes and then says nothing, or closes; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            line, _ = listening.accept()
            line.recv(65536)
            for part in parts:
                line.sendall(part)
            if not end:
                threading.Event().wait(2)
            line.close()

        threading.Thread(target=answer, daemon=True).start()
        yield listening.getsockname()[1]


def test_it_sends_what_it_is_given_and_returns_the_answer(receiver: AReceiver) -> None:
    status, body = Poster(receiver_at(receiver.url, TOKEN, local=True), 5).post(REQUEST)
    assert (status, body) == (200, Reply().body)
    [call] = receiver.calls()
    assert (call.path, call.query, call.body) == ("/hook", {"a": "b"}, REQUEST.body)
    assert call.headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert call.headers["X-Tim-Delivery"] == "d"


def test_a_redirect_is_not_followed(receiver: AReceiver) -> None:
    receiver.reply = lambda _: Reply(307, b"", (("Location", f"http://127.0.0.1:{receiver.port}/elsewhere"),))
    status, _ = Poster(receiver_at(receiver.url, TOKEN, local=True), 5).post(REQUEST)
    assert status == 307
    assert [call.path for call in receiver.calls()] == ["/hook"]


@pytest.mark.parametrize("reply", [Reply(after=3), Reply(pause=0.05)], ids=["silent", "byte by byte"])
def test_the_time_is_that_of_the_whole_exchange(receiver: AReceiver, reply: Reply) -> None:
    receiver.reply = lambda _: reply
    assert failure(receiver.url) == "no answer within 0.3 s"


def test_an_endless_body_is_cut_off_at_its_end(receiver: AReceiver) -> None:
    receiver.reply = lambda _: Reply(body=b" " * (MAX_ANSWER + 1))
    assert failure(receiver.url, seconds=5) == "the answer is longer than 64 KiB"


@pytest.mark.parametrize(
    "answer",
    [
        b"\x00\x01nonsense\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_not_http_is_no_answer(answer: bytes) -> None:
    with answering(answer) as port:
        assert failure(f"http://127.0.0.1:{port}/") == "the answer is not HTTP"


def test_a_connection_that_is_closed_without_an_answer_is_none() -> None:
    with answering(end=True) as port:
        assert failure(f"http://127.0.0.1:{port}/") == "it closed the connection without an answer"


def test_endless_headers_are_no_answer() -> None:
    with answering(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 500) as port:
        assert failure(f"http://127.0.0.1:{port}/") == "the answer is not HTTP"


def test_nobody_listens() -> None:
    assert failure(f"http://127.0.0.1:{free_port()}/") == "Connection refused"


def test_a_name_that_leads_to_this_machine_is_refused(receiver: AReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    url = f"http://innocent.example:{receiver.port}/"
    assert failure(url, local=False) == "innocent.example is a loopback or link-local address"
    assert receiver.calls() == []


def test_an_address_by_number_is_refused_in_each_spelling(receiver: AReceiver) -> None:
    for host in ("2130706433", "0x7f.1", "127.1"):
        numbered = replace(receiver_at(f"http://{host}:{receiver.port}/", TOKEN, local=True), local=False)
        with pytest.raises(PostFailed, match="loopback"):
            Poster(numbered, SECONDS).post(REQUEST)
    assert receiver.calls() == []


def test_the_address_that_was_checked_is_the_one_it_connects_to(
    receiver: AReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = "192.0.2.1" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, receiver.port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    failure(f"http://rebinding.example:{receiver.port}/", local=False)
    assert asked == ["rebinding.example"]
    assert receiver.calls() == []


def test_a_name_server_that_does_not_answer_costs_no_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def resolve(*_: Any, **__: Any) -> list[Any]:
        over.wait(5)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert failure("http://slow.example/") == "no answer within 0.3 s"
    over.set()


def test_a_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert failure("http://no.example/") == "there is no host no.example"


@pytest.fixture
def secure(certificate: Path) -> Iterator[AReceiver]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with running_receiver(context) as running:
        yield running


def test_a_certificate_of_an_unknown_authority_is_refused(secure: AReceiver) -> None:
    assert failure(secure.url, seconds=5).startswith("its certificate is not valid: ")
    assert secure.calls() == []


def test_a_certificate_of_a_trusted_authority_for_this_name_is_accepted(
    secure: AReceiver, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", os.fspath(f"{certificate}.crt"))
    assert Poster(receiver_at(secure.url, TOKEN, local=True), 5).post(REQUEST)[0] == 200
    other = Receiver(True, "127.0.0.1", secure.port, "/", TOKEN, local=True)
    with pytest.raises(PostFailed, match="its certificate is not valid"):
        Poster(other, 5).post(REQUEST)


def test_a_server_without_tls_is_no_answer(receiver: AReceiver) -> None:
    assert failure(f"https://127.0.0.1:{receiver.port}/", seconds=5) == "no TLS connection"


GREENLETS = """
from gevent import monkey; monkey.patch_all()
import sys
from tests.support.waiting import PATIENCE
from tim.post import Poster, PostFailed
from tim.receiver import Request, receiver_at
try:
    Poster(receiver_at(f"https://127.0.0.1:{sys.argv[1]}/", "t", local=True), 0.5).post(Request("/", {}, b""))
except PostFailed as failed:
    print(failed)
"""


@pytest.mark.usefixtures("not_quick")
def test_with_greenlets_a_tls_record_that_comes_byte_by_byte_takes_no_more_time() -> None:
    half = b"\x16\x03\x03\x3e\x80\x02\x00\x3e\x7c"  # of 16 KiB, the beginning of a ServerHello
    with socket.create_server(("127.0.0.1", 0)) as listening:
        over = threading.Event()

        def drip() -> None:
            line, _ = listening.accept()
            with line, suppress(OSError):
                line.recv(65536)
                line.sendall(half)
                while not over.wait(0.05):
                    line.sendall(b"x")

        threading.Thread(target=drip, daemon=True).start()
        try:
            port = str(listening.getsockname()[1])
            command = [sys.executable, "-c", GREENLETS, port]
            run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT, check=True)
        finally:
            over.set()
    assert run.stdout == "no answer within 0.5 s\n"
