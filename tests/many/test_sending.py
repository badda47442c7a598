"""Once a login has returned, whoever it has evicted says nothing more: on no node, however fast he tries."""

from __future__ import annotations

import random
import secrets
from functools import partial

from tests.support.server import APP
from tests.support.team import Task, Team
from tests.support.work import Login, Sending, sends, takes_over
from tim.ends import TYPES
from tim.store.base import Store

LOGINS = 8
"""In one round."""


def test_nothing_is_accepted_that_an_evicted_tab_began_to_send_after_the_login_had_returned(
    team: Team, store: Store, rounds: int
) -> None:
    user, friend = (f"{name}-{secrets.token_hex(4)}" for name in ("alice", "bob"))
    store.import_account(APP, friend)
    accepted: list[str] = []
    tried_late = 0
    [login] = team.does(partial(takes_over, user=user, after=0))
    for n in range(LOGINS * rounds):
        old = login.instance
        tasks: list[Task[Login | list[Sending]]] = [partial(sends, id=old, to=friend)] * (team.size - 1)
        tasks.insert(n % team.size, partial(takes_over, user=user, after=random.uniform(0.02, 0.06)))
        did = team.does(*tasks)
        [login] = [each for each in did if isinstance(each, Login)]
        gone = store.get(old).gone
        assert gone is not None
        assert gone.reason == TYPES.KICKED_OUT_MULT_ACCOUNT
        for tries in did:
            if isinstance(tries, Login):
                continue
            late = [each for each in tries if each.began > login.returned]
            tried_late += len(late)
            assert {each.refused for each in late} <= {gone}
            for each in tries:
                assert each.refused == gone if each.accepted is None else each.accepted.time <= gone.at
            accepted += [each.text for each in tries if each.accepted]
    assert len(accepted) > LOGINS, "hardly anything was sent"
    assert tried_late > LOGINS, "hardly anything was tried afterwards"
    for account in (user, friend):
        log = store.history(APP, account, 0, 2 * len(accepted))
        assert sorted(message.text for message in log) == sorted(accepted)
        assert [message.seq for message in log] == list(range(1, len(accepted) + 1))
