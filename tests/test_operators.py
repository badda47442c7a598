"""Who may use the console: the right token, compared in constant time, and the session that it opens."""

from __future__ import annotations

import hmac
from collections.abc import Callable

import pytest

from tests.support.actors import Clock
from tests.support.inside import store_of
from tim import Backend
from tim.errors import TokenRefused, TooManyFailures
from tim.operators import Operators, Role, Session
from tim.rules import PAUSE, SIGN_IN_FAILURES

HERE, ELSEWHERE = "203.0.113.7", "198.51.100.1"
TOKENS = {Role.ADMIN: "the-admin-s-token", Role.VIEWER: "the-viewer-s-token"}


@pytest.fixture
def operators(backend: Backend) -> Operators:
    return backend.operators(TOKENS)


def test_each_token_opens_its_role_and_no_other_string_opens_one(operators: Operators) -> None:
    assert [operators.check(token, HERE) for token in TOKENS.values()] == list(TOKENS)
    for wrong in ("", "the-admin-s-toke", "the-admin-s-token ", "THE-ADMIN-S-TOKEN", "\ud800"):
        with pytest.raises(TokenRefused):
            operators.check(wrong, ELSEWHERE)


def test_every_token_is_compared_whole_whichever_is_right(
    operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[int, int]] = []
    same = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return same(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for token in TOKENS.values():
        operators.check(token, HERE)
    with pytest.raises(TokenRefused):
        operators.check("x", HERE)
    assert compared == [(32, 32)] * 6


def test_after_ten_failures_even_the_right_token_waits_at_that_address(operators: Operators, clock: Clock) -> None:
    for _ in range(SIGN_IN_FAILURES):
        with pytest.raises(TokenRefused):
            operators.check("wrong", HERE)
    assert operators.check(TOKENS[Role.ADMIN], HERE) is Role.ADMIN, "the failures that are borne"
    for token in ("wrong", TOKENS[Role.ADMIN]):
        with pytest.raises(TooManyFailures) as refused:
            operators.check(token, HERE)
        assert refused.value.retry_after == PAUSE
    assert operators.check(TOKENS[Role.ADMIN], ELSEWHERE) is Role.ADMIN
    clock.advance(PAUSE + 1)
    assert operators.check(TOKENS[Role.ADMIN], HERE) is Role.ADMIN


def test_the_store_has_nothing_that_signs_in(operators: Operators, backend: Backend) -> None:
    session = operators.sign_in(TOKENS[Role.ADMIN], HERE)
    store = store_of(backend)
    assert operators.is_open(session)
    assert store.session(backend.sdk_app_id, session.number) is None, "its handle is a hash"


def test_a_session_has_the_role_that_it_was_opened_with(operators: Operators) -> None:
    viewer = operators.sign_in(TOKENS[Role.VIEWER], HERE)
    assert not operators.is_open(Session(Role.ADMIN, viewer.number))
    operators.sign_out(Session(Role.ADMIN, viewer.number))
    assert operators.is_open(viewer)
    operators.sign_out(viewer)
    assert not operators.is_open(viewer)


def test_a_session_is_over_when_its_token_is_another_or_is_none(operators: Operators, backend: Backend) -> None:
    session = operators.sign_in(TOKENS[Role.ADMIN], HERE)
    with_another: Callable[[dict[Role, str]], Operators] = backend.operators
    assert not with_another({Role.ADMIN: "another-token"}).is_open(session)
    assert not with_another({Role.VIEWER: TOKENS[Role.VIEWER]}).is_open(session)
    assert not with_another({}).expected
    assert with_another(TOKENS).is_open(session)
