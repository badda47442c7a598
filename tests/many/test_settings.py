"""Processes that save the settings of one app at the same moment: none undoes unseen what another has saved."""

from __future__ import annotations

from functools import partial
from itertools import count

from tests.support.server import APP
from tests.support.team import Team
from tests.support.work import raises_failures, saves_settings
from tim.model import AppSettings, Limits
from tim.store.base import Store

apps = count(APP + 1)
"""Apps that no other test saves settings of."""


def test_of_processes_that_save_at_once_one_does_and_each_other_receives_what_it_saved(
    team: Team, store: Store, rounds: int
) -> None:
    for _ in range(10 * rounds):
        app = next(apps)
        replies = team.does(*(partial(saves_settings, app=app, seats=nth + 1) for nth in range(team.size)))
        saved = store.settings(app)
        assert saved is not None
        assert (saved.version, saved.limits) == (1, Limits(replies.index(None) + 1))
        assert [reply for reply in replies if reply is not None] == [saved] * (team.size - 1)


def test_processes_that_change_settings_at_once_lose_no_change(team: Team, store: Store, rounds: int) -> None:
    app, times = next(apps), 5 * rounds
    team.does(*(partial(raises_failures, app=app, times=times) for _ in range(team.size)))
    saved = store.settings(app)
    assert saved is not None
    changes = team.size * times
    assert saved == AppSettings(
        Limits(failures_per_account=Limits().failures_per_account + changes),
        version=changes,
        saved_at=saved.saved_at,
        saved_by="API",
    )
