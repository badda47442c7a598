"""UserSigs that fail at one server count at all of them, for their account and for their address."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

from tests.support.fleet import Fleet, tries
from tests.support.wire import Answer, element

Account = Callable[[str], str]


def assert_waits(answer: Answer) -> None:
    assert answer.status == 429
    assert 0 < int(answer.header("Retry-After")) <= 60
    shown = element(answer.body, "login-error")
    assert shown is not None
    assert "70050" in shown.text


def test_twenty_failures_spread_over_all_and_the_pair_waits_at_each(fleet: Fleet, account: Account) -> None:
    alice, here, elsewhere = account("alice"), "198.51.100.1", "203.0.113.1"
    for _, server in zip(range(20), cycle(fleet), strict=False):
        assert tries(server, alice, here).status == 401
    for server in fleet:
        assert_waits(tries(server, alice, here))
        assert_waits(tries(server, alice, f"{here}:2000{fleet.index(server)}"))
        assert tries(server, alice, elsewhere).status == 401
        assert tries(server, account("bob"), here).status == 401
        for address in (here, elsewhere):
            assert tries(server, alice, address, server.user_sig(alice)).status == 303


def test_a_hundred_failures_from_one_address_spread_over_all_and_it_waits_at_each(
    fleet: Fleet, account: Account
) -> None:
    for n, server in zip(range(100), cycle(fleet), strict=False):
        assert tries(server, f"somebody-{n}", "192.0.2.1").status == 401
    for server in fleet:
        assert_waits(tries(server, "somebody-else", "192.0.2.1"))
        alice = account("alice")
        assert tries(server, alice, "192.0.2.1", server.user_sig(alice)).status == 303
        assert tries(server, "somebody-else", "192.0.2.2").status == 401
