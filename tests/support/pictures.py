"""Makes the pictures of docs/console.md: `.venv/bin/python -m tests.support.pictures`."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from playwright.sync_api import sync_playwright

from tests.support.browser import CHROMIUM, FLAGS
from tests.support.console import open_console
from tests.support.server import ROOT, Server
from tests.support.wire import Socket, log_in, post_login

PAGES: Final = {"overview": ""}
"""The address of each picture, below /console."""
AGENTS: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Mobile/15E148 Safari/604.1",
)


def is_used(server: Server) -> list[Socket]:
    """People log in, and some are evicted; some UserSigs fail. The streams that are open."""
    streams = []
    for n in range(40):
        streams.append(log_in(server, f"user-{n % 13}", headers={"User-Agent": AGENTS[n % 3]}).goes_online())
    for n in range(9):
        user_sig = ("nonsense", "", server.user_sig("another"))[n % 3]
        post_login(server, f"user-{n}", user_sig)
    return streams


def take(folder: Path) -> None:
    """Writes one PNG for each of PAGES."""
    with TemporaryDirectory() as home, sync_playwright() as playwright:
        server = Server(Path(home), ONLINE_WEB_INSTANCES="2").start()
        try:
            streams = is_used(server)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = open_console(browser.new_context(viewport={"width": 1120, "height": 700}), server)
            for name, path in PAGES.items():
                page.goto(f"{server.address}/console{path}")
                page.screenshot(path=folder / f"console-{name}.png")
            browser.close()
            assert any(stream.code is None for stream in streams)
        finally:
            server.stop()


if __name__ == "__main__":
    take(ROOT / "docs")
