"""How soon a kick that one server decides is heard at another, with hundreds of tabs online: the bounds we promise."""

from __future__ import annotations

import statistics

from tests.support.fleet import Fleet
from tests.support.kicks import audience, come_online, kicks
from tim.store.base import Store


def test_with_hundreds_of_tabs_online_an_evicted_one_hears_it_at_once_and_has_its_login_page_within_a_second(
    fleet: Fleet, store: Store, rounds: int
) -> None:
    with audience() as listening:
        crowd = come_online(fleet, listening, 300 if rounds == 1 else 1000)
        told: list[float] = []
        late = 0
        for kick in kicks(fleet, store, listening, 50 * rounds, tabs=2):
            told.append(kick.told)
            late += kick.shown > 1
            assert late <= rounds, "more than one in fifty"
        assert statistics.median(told) < 0.1
        assert [stream.code for stream in crowd] == [None] * len(crowd)
