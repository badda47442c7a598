"""How often a UserSig may fail: 20 times a minute for one account from one address, 100 from one address."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.support.actors import APP, Clock, Person
from tim import Backend, Client, IMError
from tim.attempts import REMEMBERED_PAUSES, Attempts
from tim.errors import TooManyFailures
from tim.model import Limits
from tim.store.base import Store
from tim.store.redis.engine import RedisStore

HERE = "203.0.113.7"
ELSEWHERE = "198.51.100.1"
NETWORK = "2001:db8:1:2"


@pytest.fixture
def attempt(store: Store, clock: Clock) -> Callable[..., int]:
    """`attempt("alice", HERE)` fails once more, and returns 0 or the seconds to wait."""
    counted = Attempts(store, Limits)
    if isinstance(store, RedisStore):
        clock.leads(lambda _: store.look_at_clock())

    def attempt(user: str = "alice", address: str = HERE, *, app: int = APP) -> int:
        try:
            counted.failed(app, user, address)
        except TooManyFailures as refused:
            assert refused.code == 70050
            assert refused.retry_after is not None
            assert str(refused.retry_after) in refused.message
            return refused.retry_after
        return 0

    return attempt


def test_twenty_failures_of_an_account_from_one_address_are_borne_and_one_more_is_not(
    attempt: Callable[..., int],
) -> None:
    assert [attempt() for _ in range(20)] == [0] * 20
    assert attempt() == 60


def test_nobody_can_keep_an_owner_out_from_elsewhere(attempt: Callable[..., int]) -> None:
    for _ in range(90):
        attempt("alice", HERE)
    assert [attempt("alice", ELSEWHERE) for _ in range(20)] == [0] * 20
    assert attempt("bob", HERE) == 0


def test_a_hundred_failures_from_one_address_are_borne_and_one_more_is_not(attempt: Callable[..., int]) -> None:
    assert [attempt(f"user-{n}") for n in range(100)] == [0] * 100
    assert attempt("user-100") == 60
    assert attempt("somebody-else") == 60, "the address waits, whichever account is tried from it"
    assert attempt("somebody-else", ELSEWHERE) == 0


def test_addresses_of_one_network_of_ipv6_are_one(attempt: Callable[..., int]) -> None:
    assert [attempt(address=f"{NETWORK}::{n:x}") for n in range(20)] == [0] * 20
    assert attempt(address=f"{NETWORK}:ffff::1") == 60
    assert attempt(address="2001:db8:1:3::1") == 0


def test_an_account_of_another_app_is_another_account(attempt: Callable[..., int]) -> None:
    for _ in range(21):
        attempt("alice", HERE)
    assert attempt("alice", HERE, app=APP + 1) == 0


def test_names_cannot_be_made_to_look_like_those_of_others(attempt: Callable[..., int]) -> None:
    for _ in range(21):
        attempt(f"/{ELSEWHERE}/bob", HERE)
    assert attempt("bob", ELSEWHERE) == 0


def test_the_pause_is_a_minute_and_says_how_much_of_it_is_left(attempt: Callable[..., int], clock: Clock) -> None:
    for _ in range(21):
        attempt()
    clock.advance(20)
    assert attempt() in (40, 41), "real time passes as well where the store is a Redis"
    clock.advance(39)
    assert attempt() in (1, 2)
    clock.advance(1.5)
    assert [attempt() for _ in range(20)] == [0] * 20
    assert attempt() == 60


def test_a_clock_that_is_set_back_makes_nobody_wait_longer_than_a_minute(
    attempt: Callable[..., int], clock: Clock
) -> None:
    for _ in range(21):
        attempt()
    clock.advance(-3600)
    assert attempt() <= 60
    for _ in range(5):
        clock.advance(61)
        assert attempt() == 0, "failures of the future are forgotten"


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


def test_a_process_asks_the_store_no_more_about_who_waits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    counts = store.count_failure

    def count(name: str, most: int) -> int:
        asked.append(name)
        return counts(name, most)

    monkeypatch.setattr(store, "count_failure", count)
    counted = Attempts(store, Limits)
    for _ in range(50):
        with suppress(TooManyFailures):
            counted.failed(APP, "alice", HERE)
    assert len(asked) == 2 * 21
    assert len(counted._pauses) <= REMEMBERED_PAUSES


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


def test_after_too_many_wrong_ones_a_good_user_sig_is_let_in_all_the_same(
    login: Callable[[str, str, str], int], person: Callable[[str], Person], clock: Clock
) -> None:
    alice, bob = person("alice"), person("bob")
    assert [login("alice", "wrong", HERE) for _ in range(20)] == [70003] * 20
    assert login("alice", alice.user_sig(), HERE) == 0, "the twentieth is borne"
    assert login("alice", "wrong", HERE) == 70050
    assert login("alice", alice.user_sig(), HERE) == 0
    assert login("alice", alice.user_sig(), ELSEWHERE) == 0
    assert login("bob", bob.user_sig(), HERE) == 0
    assert login("alice", "wrong", HERE) == 70050, "only failures wait"
    clock.advance(61)
    assert login("alice", "wrong", HERE) == 70003


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


def test_a_clock_that_is_set_back_refuses_no_user_sig_that_was_good(
    login: Callable[[str, str, str], int], person: Callable[[str], Person], clock: Clock
) -> None:
    user_sig = person("alice").user_sig()
    clock.advance(-3600)
    assert login("alice", user_sig, HERE) == 0
