"""Each row of "to see, run" in docs/official-sdk.md, run as it stands there, before the vendor's SDKs and our page."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from typing import Final

import pytest

from tests.support.browser import Person
from tests.support.documents import block, row
from tests.support.sdk_page import KICKED_OUT, READY
from tests.support.sdk_site import NEW, SDK
from tests.support.server import ADMIN_TOKEN, Server, clean_environment
from tests.support.waiting import until
from tests.tencent.conftest import OpenPage
from tests.web.conftest import MakeServer, NewWindow
from tests.web.test_metrics import samples
from tim.ends import KICKS

DOCUMENT: Final = "docs/official-sdk.md"
API: Final = re.search(r"^api\(\).*?^\}\n", block(DOCUMENT, "sh", "site="), re.DOTALL | re.MULTILINE)
HELLO: Final = 12
"""Seconds after which a page of the SDK has asked again."""
Run = Callable[..., str]
pytestmark = pytest.mark.parametrize("sdk", [NEW], ids=str)
"""What each SDK does at each end, test_kick.py tells; here it is the commands that count."""


@pytest.fixture
def memory(make_server: MakeServer) -> Server:
    """A server as the script of the document starts it."""
    return make_server(STORE="sqlite://", ONLINE_WEB_INSTANCES="3")


@pytest.fixture
def runs(memory: Server) -> Run:
    """`runs("a kick `multipleDevice`", "alice-1")`: the command of this row, for this account; what it prints."""

    def run(row_: str, user: str, number: int = 1) -> str:
        assert API is not None
        command = row(DOCUMENT, row_)[0].strip("`").replace('"alice"', f'"{user}"').replace(": 1}", f": {number}}}")
        script = f"site={memory.address}\n{API[0]}\n{command}"
        done = subprocess.run(
            ["sh", "-c", script],
            env=clean_environment(TIM_ADMIN_TOKEN=ADMIN_TOKEN),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    return run


def test_each_type_of_kick(sdk: SDK, open_page: OpenPage, memory: Server, new_window: NewWindow, runs: Run) -> None:
    people = {type: Person(memory, new_window(), "kicked") for type in sorted(KICKS)}
    tabs = {type: person.logs_in() for type, person in people.items()}
    pages = {type: open_page(sdk, on=memory) for type in people}
    for type, page in pages.items():
        page.logs_in(people[type].user_id)
        assert json.loads(runs(f"a kick `{type}`", people[type].user_id)) == {"kicked": 2}
    for type, page in pages.items():
        notice = tabs[type].is_kicked_out(type)
        page.is_kicked_out(type, patience=HELLO)
        displaced = type in ("multipleAccount", "multipleDevice")
        assert ("curl" in notice.inner_text().lower()) == displaced
    counts = {f"tim_kick_latency_seconds_count{{type={type}}}": 2.0 for type in people}
    until(lambda: counts.items() <= samples(memory).items(), lambda: f"{samples(memory)}", HELLO)
    page = pages["multipleAccount"]
    page.logs_in(page.user_id)


def test_one_page_of_several(sdk: SDK, open_page: OpenPage, memory: Server, runs: Run) -> None:
    one, other = open_page(sdk, on=memory), open_page(sdk, on=memory)
    number = one.logs_in("one-of-two")["instanceID"]
    other.logs_in("one-of-two")
    runs("a kick of one page only", "one-of-two", number)
    one.is_kicked_out("multipleDevice")
    assert other.heard(KICKED_OUT) == []


def test_a_lost_connection(sdk: SDK, open_page: OpenPage, memory: Server, new_window: NewWindow, runs: Run) -> None:
    alice, friend = Person(memory, new_window(), "cut-off"), open_page(sdk, on=memory)
    tab, page = alice.logs_in(), open_page(sdk, on=memory)
    page.logs_in(alice.user_id)
    friend.logs_in("friend-of-cut-off")
    assert json.loads(runs("a lost connection", alice.user_id)) == {"cut": 2}
    assert friend.sends(alice.user_id, "meanwhile")["code"] == 0
    page.reads("meanwhile")
    tab.reads("meanwhile")
    assert len(page.sockets) >= 2
    assert page.heard(KICKED_OUT) == []
    tab.is_ready()
    assert tab.states()[-3:] == ["ready", "reconnecting", "ready"]


def test_two_pages_online_and_a_usersig_that_ends(sdk: SDK, open_page: OpenPage, memory: Server, runs: Run) -> None:
    runs("two pages online", "")
    pages = [open_page(sdk, on=memory) for _ in range(3)]
    for page in pages:
        page.logs_in("two-pages")
    pages[0].is_kicked_out("multipleAccount")
    made = json.loads(runs("a UserSig that ends", "short-lived"))
    page = open_page(sdk, on=memory)
    assert page.tries_to_log_in(made["userID"], made["userSig"])["code"] == 0
    page.hears(READY)
    page.is_kicked_out("userSigExpired", patience=5 + HELLO)
    assert pages[1].heard(KICKED_OUT) == pages[2].heard(KICKED_OUT) == []


def test_a_service_that_knows_no_login(
    sdk: SDK, open_page: OpenPage, memory: Server, new_window: NewWindow, runs: Run
) -> None:
    alice = Person(memory, new_window(), "forgotten")
    tab, page = alice.logs_in(), open_page(sdk, on=memory)
    page.logs_in(alice.user_id)
    assert json.loads(runs("a service that knows no login", "")) == {"forgotten": True}
    tab.is_on_the_login_page()
    refused = page.sends(alice.user_id, "too late")
    assert refused["code"] != 0, refused
    page.is_kicked_out("userSigExpired")
    until(lambda: page.tries_to_log_in(alice.user_id, memory.user_sig(alice.user_id))["code"] == 0, "it cannot log in")
