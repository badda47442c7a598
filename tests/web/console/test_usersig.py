"""The page that explains a UserSig: its verdict is that of a login, and the UserSig stays between the two."""

from __future__ import annotations

import re
import time

import pytest

from tests.support.administrator import Administrator
from tests.support.console import sign_in
from tests.support.server import ADMINISTRATOR, APP, SDK_KEY, VIEWER_TOKEN, Server
from tests.support.wire import Answer, element, post_login
from tests.web.conftest import MakeServer
from tim import usersig

NOW = time.time()
OTHER_KEY = "another-key-of-decent-length-0123456789"

SIGS: dict[str, tuple[str, int]] = {
    "valid": (usersig.make(SDK_KEY, APP, "carol-console", now=NOW), 0),
    "expired": (usersig.make(SDK_KEY, APP, "carol-console", now=NOW - 7200, expire=3600), 70001),
    "of the future": (usersig.make(SDK_KEY, APP, "carol-console", now=NOW + 7200), 70001),
    "empty": ("", 70002),
    "truncated": (usersig.make(SDK_KEY, APP, "carol-console", now=NOW)[:-9], 70003),
    "too large": ("x" * 5000, 70003),
    "of another key": (usersig.make(OTHER_KEY, APP, "carol-console", now=NOW), 70009),
    "of another app": (usersig.make(SDK_KEY, APP + 1, "carol-console", now=NOW), 70014),
    "with a bad UserID": (usersig.make(SDK_KEY, APP, "carol console", now=NOW), 70402),
    "with large numbers": (usersig.make(SDK_KEY, APP, "carol-console", now=2**52, expire=2**52), 70001),
    "of a time before 1970": (usersig.make(SDK_KEY, APP, "carol-console", now=-(2**52), expire=1), 70001),
}


def verdict(answer: Answer) -> int:
    """The code that the page shows; 0 for a valid one."""
    assert answer.status == 200, answer.body
    shown = element(answer.body, "verdict")
    assert shown
    return int(shown.attributes["data-code"] or "")


@pytest.mark.parametrize("which", SIGS)
def test_the_verdict_is_that_of_a_login(which: str, server: Server) -> None:
    user_sig, code = SIGS[which]
    answer = sign_in(server).posts("/usersig", {"userSig": user_sig})
    assert verdict(answer) == code
    if which not in ("empty", "truncated", "too large"):
        shown = element(answer.body, "claims-user")
        assert shown and shown.text.strip() == ("carol console" if "bad" in which else "carol-console")
    if code:
        assert element(answer.body, "way-out")
    typed = element(answer.body, "userSig")
    assert typed and typed.text == user_sig, "what was typed is kept"


def test_the_verdict_is_for_the_account_that_wants_to_log_in(server: Server) -> None:
    operator = sign_in(server)
    form = {"userSig": SIGS["valid"][0], "userID": "carol-console"}
    assert verdict(operator.posts("/usersig", form)) == 0
    assert verdict(operator.posts("/usersig", form | {"userID": "Carol-console"})) == 70013
    assert verdict(operator.posts("/usersig", form | {"userID": "car ol"})) == 70402


def test_a_revoked_one_and_one_of_a_blocked_account_are_told_apart(make_server: MakeServer) -> None:
    server = make_server()
    user_sig = server.user_sig("kicked")
    assert post_login(server, "kicked", user_sig).status == 303
    Administrator(server).kicks("kicked")
    assert verdict(sign_in(server).posts("/usersig", {"userSig": user_sig})) == 70052


def test_nothing_is_counted_and_nothing_stands_in_the_log(make_server: MakeServer) -> None:
    server = make_server()
    operator = sign_in(server)
    for _ in range(21):
        assert verdict(operator.posts("/usersig", {"userSig": SIGS["of another key"][0]})) == 70009
    made = operator.posts("/usersig/test", {"for": "carol-console", "life": "3600"})
    sig = element(made.body, "made")
    assert sig and len(sig.text) > 100
    server.terminate()
    for secret in (SIGS["of another key"][0], sig.text):
        assert secret not in server.log()
        assert secret[:60] not in server.log()


def test_one_that_is_made_here_logs_in(server: Server) -> None:
    operator = sign_in(server)
    answer = operator.posts("/usersig/test", {"for": "made-by-console", "life": "3600"})
    made = element(answer.body, "made")
    assert made
    assert verdict(operator.posts("/usersig", {"userSig": made.text})) == 0
    assert post_login(server, "made-by-console", made.text).status == 303


@pytest.mark.parametrize(("form", "field"), [({"for": "no body", "life": "3600"}, "userID"), ({"for": "a"}, "lives")])
def test_what_cannot_be_made_is_refused_and_kept(form: dict[str, str], field: str, server: Server) -> None:
    answer = sign_in(server).posts("/usersig/test", form)
    assert answer.status == 400
    problem, typed = element(answer.body, "problem"), element(answer.body, "for")
    assert problem and field in problem.text
    assert typed and typed.attributes["value"] == form["for"]


def test_without_the_test_generator_none_is_made(make_server: MakeServer) -> None:
    server = make_server(TEST_USERSIG="0")
    operator = sign_in(server)
    assert "make-form" not in operator.gets("/usersig").body
    assert operator.posts("/usersig/test", {"for": "a", "life": "3600"}).status == 404


def test_a_viewer_has_no_form_there(server: Server) -> None:
    page = sign_in(server, VIEWER_TOKEN).gets("/usersig")
    assert page.status == 200
    assert re.findall(r'<form[^>]*action="([^"]*)"', page.body) == ["/console/sign-out", "/language"]
    assert "admin token" in page.body
    assert ADMINISTRATOR not in page.body
