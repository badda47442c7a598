"""UserSigs that fail at one server count at all of them, for their account and for their address."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

from tests.many.fleet import Fleet, tries
from tests.web.wire import Answer, element

Account = Callable[[str], str]


def assert_waits(answer: Answer) -> None:
    assert answer.status == 429
    assert 0 < int(answer.header("Retry-After")) <= 60
    shown = element(answer.body, "login-error")
    assert shown is not None
    assert "70050" in shown.text


def test_twenty_failures_of_one_account_spread_over_all_and_it_waits_at_each(fleet: Fleet, account: Account) -> None:
    alice = account("alice")
    for n, server in zip(range(20), cycle(fleet), strict=False):
        assert tries(server, alice, f"198.51.100.{n}").status == 401
    # Not yet: the twenty are borne, wherever it is asked.
    assert tries(fleet[0], alice, "203.0.113.1", fleet[0].user_sig(alice)).status == 303
    assert_waits(tries(fleet[1], alice, "203.0.113.2"))
    for server in fleet:
        assert_waits(tries(server, alice, "203.0.113.3", server.user_sig(alice)))
        assert tries(server, account("bob"), "198.51.100.1").status == 401


def test_a_hundred_failures_from_one_address_spread_over_all_and_it_waits_at_each(
    fleet: Fleet, account: Account
) -> None:
    for n, server in zip(range(100), cycle(fleet), strict=False):
        assert tries(server, f"somebody-{n}", "192.0.2.1").status == 401
    assert_waits(tries(fleet[2], "somebody-else", "192.0.2.1"))
    for server in fleet:
        alice = account("alice")
        assert_waits(tries(server, alice, "192.0.2.1", server.user_sig(alice)))
        assert tries(server, alice, "192.0.2.2", server.user_sig(alice)).status == 303
