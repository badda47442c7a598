"""Makes the pictures of docs/console.md: `.venv/bin/python -m tests.support.pictures`."""

from __future__ import annotations

import math
import random
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from playwright.sync_api import Page, sync_playwright

from tests.support.actors import APP, DAY, Clock, new_id
from tests.support.browser import CHROMIUM, FLAGS
from tests.support.console import open_console
from tests.support.server import ROOT, Server
from tests.support.wire import Socket, log_in, post_login
from tim.audit import REFUSED, Entry
from tim.ends import LOGGED_OUT, TYPES, Client, Gone
from tim.measures import BOUNDS, KICK, ONLINE
from tim.model import Instance
from tim.rules import ASK, instance_id
from tim.store import open_store

SEATS: Final = 3
"""How many instances each account may have."""
ACCOUNTS: Final = (
    "alice",
    "bob",
    "carol",
    "dave",
    "erin",
    "frank",
    "grace",
    "heidi",
    "ivan",
    "judy",
    "mallory",
    "niaj",
)
AGENTS: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Mobile/15E148 Safari/604.1",
)
HERE: Final = Client("Firefox 147 on Linux", "198.51.100.4")


def happens(file: Path) -> None:
    """An hour of logins, ends and refusals in a store, up to a minute ago."""
    chance, clock = random.Random(4), Clock(time.time() - 3600)
    with closing(open_store(f"sqlite:///{file}", grace=60, clock=clock)) as store:
        live: list[Instance] = []
        for minute in range(58):
            clock.advance(60)
            for _ in range(round(6 + 4 * math.sin(minute / 8) + 2 * chance.random())):
                user = f"user-{chance.randrange(30)}"
                asked = Instance(instance_id(APP, user, new_id()), APP, user, HERE, 0, clock() + DAY)
                admitted, evicted = store.admit(asked, SEATS)
                store.attach(admitted.id, "a-node", SEATS)
                left = {each.id for each in evicted}
                live = [each for each in (*live, admitted) if each.id not in left]
                for _ in evicted:
                    bound = chance.choice([bound for bound in BOUNDS if 0.01 < bound < 0.5])
                    store.count(APP, {f"{KICK}:{TYPES.KICKED_OUT_MULT_ACCOUNT}/{bound:g}": 1})
            for _ in range(min(len(live), chance.randrange(9))):
                store.remove(live.pop(chance.randrange(len(live))).id, Gone(LOGGED_OUT, 0))
            for _ in range(chance.randrange(4)):
                store.note(APP, Entry("", 0, REFUSED, code=chance.choice(["70001", "70001", "70003", "70009"])))
            store.count(APP, {f"{ONLINE}:": round(0.9 * len(live))})
        clock.advance(1)
        for instance in live:
            store.remove(instance.id, Gone(LOGGED_OUT, 0))


def is_used(server: Server) -> list[Socket]:
    """Accounts log in now, and some instances are evicted. The streams that are open."""
    streams = []
    for n in range(16):
        headers = {"User-Agent": AGENTS[n % 3]}
        streams.append(log_in(server, ACCOUNTS[n % 9 if n < 12 else 0], headers=headers).goes_online())
    for user_sig in ("nonsense", "", server.user_sig("another")):
        post_login(server, "alice", user_sig)
    return streams


def shows_settings(page: Page, address: str) -> None:
    """The form of the settings, with a lower limit and another policy typed."""
    page.goto(f"{address}/console/settings")
    page.fill("#online-web-instances", "1")
    page.select_option("#policy", ASK)
    page.fill("#idle-life", "3600")


def take(folder: Path) -> None:
    """Writes one PNG for each picture."""
    with TemporaryDirectory() as home, sync_playwright() as playwright:
        happens(Path(home) / "tim.db")
        server = Server(Path(home), ONLINE_WEB_INSTANCES=str(SEATS)).start()
        try:
            streams = is_used(server)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = open_console(browser.new_context(viewport={"width": 1120, "height": 860}), server)
            for name, path in {"overview": "", "instances": "/instances", "account": "/accounts/alice"}.items():
                page.goto(f"{server.address}/console{path}")
                page.screenshot(path=folder / f"console-{name}.png")
            shows_settings(page, server.address)
            page.screenshot(path=folder / "console-settings.png")
            page.click("#review")
            page.screenshot(path=folder / "console-review.png")
            browser.close()
            assert any(stream.code is None for stream in streams)
        finally:
            server.stop()


if __name__ == "__main__":
    take(ROOT / "docs")
