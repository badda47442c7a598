"""Redis has lost everything: each tab is told, and gets in again only through a login."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.faults.conftest import Browses, MakeGunicorn, Opens
from tests.support.redis_server import RedisServer
from tests.support.site import HEALED
from tim.ends import CLOSE_CODES, UNKNOWN


def test_everything_is_lost_and_each_tab_has_to_log_in_again(
    make_redis: Callable[..., RedisServer], make_gunicorn: MakeGunicorn, opens: Opens, browses: Browses
) -> None:
    redis = make_redis()  # keeps nothing on the disk
    server = make_gunicorn(redis.port)
    alice = browses(server, "alice")

    def is_killed_and_started() -> None:
        redis.kill()
        redis.start()

    for loses_everything in (redis.forgets_everything, is_killed_and_started):
        page, bob, carol = alice.logs_in(), opens(server, "bob"), opens(server, "carol")
        his = bob.script
        loses_everything()
        lost = time.monotonic()
        assert his.gets().location.startswith("/login"), "who asks before being told is in again"
        for tab in (bob, carol):
            tab.is_told(UNKNOWN, HEALED)
        page.is_on_the_login_page()
        assert time.monotonic() - lost < HEALED + 1
        again = opens(server, "bob")
        assert his.posts("messages", {"to": "bob", "text": "from the past"}, htmx=True).header("HX-Redirect")
        assert his.gets().location.startswith("/login")
        assert his.attaches().is_closed() == CLOSE_CODES[UNKNOWN]
        assert again.script.instances() == {again.id: "online"}
        again.says("bob", "a new start")
        again.reads("a new start")
        again.leaves()
    server.has_no_traceback()
