"""How often a UserSig may fail: 20 times a minute for one account, 100 for one address, then a minute's pause."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.actors import APP, Clock, Person
from tim import Backend, Client, IMError
from tim.attempts import Attempts
from tim.errors import TooManyFailures
from tim.rules import Limits
from tim.store import Store

HERE = "203.0.113.7"
ELSEWHERE = "198.51.100.1"


@pytest.fixture
def attempt(store: Store) -> Callable[..., int]:
    """`attempt("alice", HERE)` fails once more, and says what it is answered: 0, or the seconds to wait."""
    counted = Attempts(store, Limits)

    def attempt(user: str = "alice", address: str = HERE, *, app: int = APP, good: bool = False) -> int:
        try:
            counted.check(app, user, address)
            if not good:
                counted.failed(app, user, address)
        except TooManyFailures as refused:
            assert refused.code == 70050
            assert str(refused.retry_after) in refused.message
            return refused.retry_after
        return 0

    return attempt


def test_twenty_failures_of_one_account_are_borne_and_one_more_is_not(attempt: Callable[..., int]) -> None:
    assert [attempt(address=f"203.0.113.{n}") for n in range(20)] == [0] * 20
    assert attempt() == 60
    assert attempt(address=ELSEWHERE) == 60, "the account waits, wherever it is tried from"
    assert attempt(address=ELSEWHERE, good=True) == 60, "also with a good UserSig"


def test_a_hundred_failures_from_one_address_are_borne_and_one_more_is_not(attempt: Callable[..., int]) -> None:
    assert [attempt(f"user-{n}") for n in range(100)] == [0] * 100
    assert attempt("user-100") == 60
    assert attempt("somebody-else", good=True) == 60, "the address waits, whoever is tried from it"


def test_nobody_else_waits(attempt: Callable[..., int]) -> None:
    for _ in range(21):
        attempt("alice", HERE)
    assert attempt("bob", HERE) == 0
    assert attempt("bob", ELSEWHERE) == 0
    assert attempt("alice", ELSEWHERE, app=APP + 1) == 0, "an account of another app is another account"


def test_another_account_from_elsewhere_is_unhindered_by_an_address_that_waits(attempt: Callable[..., int]) -> None:
    for n in range(101):
        attempt(f"user-{n}", HERE)
    assert attempt("user-100", HERE) > 0
    assert attempt("bob", ELSEWHERE) == 0
    assert attempt("user-5", ELSEWHERE) == 0


def test_only_failures_count(attempt: Callable[..., int]) -> None:
    assert [attempt(good=True) for _ in range(500)] == [0] * 500
    assert [attempt() for _ in range(20)] == [0] * 20
    assert [attempt(good=True) for _ in range(500)] == [0] * 500


def test_the_pause_is_a_minute_and_says_how_much_of_it_is_left(attempt: Callable[..., int], clock: Clock) -> None:
    for _ in range(21):
        attempt()
    clock.advance(20)
    assert attempt(good=True) == 40
    clock.advance(39.5)
    assert attempt(good=True) == 1
    clock.advance(1)
    assert attempt(good=True) == 0
    assert [attempt() for _ in range(20)] == [0] * 20
    assert attempt() == 60


def test_who_goes_on_trying_does_not_wait_longer(attempt: Callable[..., int], clock: Clock) -> None:
    for _ in range(21):
        attempt()
    for _ in range(59):
        clock.advance(1)
        assert attempt() > 0
    clock.advance(1.5)
    assert attempt() == 0


def test_failures_of_more_than_a_minute_ago_are_forgotten(attempt: Callable[..., int], clock: Clock) -> None:
    for _ in range(200):
        assert attempt() == 0, "twenty a minute may go on for ever"
        clock.advance(3.01)


def test_one_more_than_twenty_a_minute_may_not_go_on(attempt: Callable[..., int], clock: Clock) -> None:
    answers = []
    for _ in range(30):
        answers.append(attempt())
        clock.advance(2.9)
    assert 60 in answers


# As the backend uses it


@pytest.fixture
def login(backend: Backend) -> Callable[[str, str, str], int]:
    """`login("alice", sig, HERE)` says the code it is answered."""

    def login(user: str, sig: str, address: str) -> int:
        try:
            backend.login(APP, user, sig, Client("Firefox", address))
        except IMError as refused:
            return refused.code
        return 0

    return login


def test_a_login_after_too_many_wrong_ones_waits_though_its_user_sig_is_good(
    login: Callable[[str, str, str], int], person: Callable[[str], Person], clock: Clock
) -> None:
    alice, bob = person("alice"), person("bob")
    assert [login("alice", "wrong", HERE) for _ in range(20)] == [70003] * 20
    assert login("alice", alice.user_sig(), HERE) == 0, "the twentieth is borne"
    assert login("alice", "wrong", HERE) == 70050
    assert login("alice", alice.user_sig(), ELSEWHERE) == 70050
    assert login("bob", bob.user_sig(), ELSEWHERE) == 0
    clock.advance(61)
    assert login("alice", alice.user_sig(), HERE) == 0


@pytest.mark.parametrize("sig", ["", "wrong", "of somebody else"])
def test_every_kind_of_wrong_user_sig_counts(
    login: Callable[[str, str, str], int], person: Callable[[str], Person], sig: str
) -> None:
    wrong = person("bob").user_sig() if sig == "of somebody else" else sig
    codes = [login("alice", wrong, HERE) for _ in range(21)]
    assert 70050 not in codes[:20]
    assert codes[20] == 70050


def test_what_says_nothing_about_a_user_sig_does_not_count(
    login: Callable[[str, str, str], int], backend: Backend, person: Callable[[str], Person]
) -> None:
    alice = person("alice")
    for _ in range(200):
        assert login("not a user id", alice.user_sig(), HERE) == 70402
        with pytest.raises(IMError, match="70020"):
            backend.login(APP + 1, "alice", alice.user_sig(), Client("Firefox", HERE))
    assert login("alice", alice.user_sig(), HERE) == 0


def test_the_account_that_waits_keeps_the_tabs_it_has(
    login: Callable[[str, str, str], int], person: Callable[[str], Person]
) -> None:
    alice = person("alice")
    tab = alice.logs_in("A")
    for _ in range(30):
        login("alice", "wrong", ELSEWHERE)
    tab.is_ready()
    alice.has_tabs("A")
