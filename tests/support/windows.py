"""Browsers to test in, of one Chromium: each looks new, and most have been used before."""

from __future__ import annotations

from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, CDPSession, Frame, Page, Route, ViewportSize

from tests.support.browser import RECORDER

KEPT: Final = 3
"""How many are kept for the next test; most take one or two."""
SMALL: Final = ViewportSize(width=1040, height=520)
"""Wide enough for every column, and half as much to draw as the window that Playwright makes by itself."""
HERE: Final = "http://127.0.0.1/"
"""Of the site on which all servers under test are."""


class Windows:
    """Browsers whose cookies no other has.

    The first page of a browser costs much, because Chromium starts a process for it. So a browser that was given back
    is used again, with its page at `HERE` still open, and without what it knew of any other.
    """

    def __init__(self, chromium: Browser) -> None:
        self._chromium = chromium
        self._free: list[_Window] = []
        self._taken: list[_Window] = []

    def take(self) -> BrowserContext:
        """One that knows nothing. It must not get a listener, a route or a script of its own."""
        self._taken.append(self._free.pop() if self._free else _Window(self.make()))
        return self._taken[-1].context

    def make(self, **options: Any) -> BrowserContext:
        """A new one, which is the caller's to close."""
        context = self._chromium.new_context(**{"viewport": SMALL} | options)
        context.add_init_script(RECORDER)
        return context

    def take_back(self) -> None:
        """Close the pages of all that were taken, and make them forget."""
        taken, self._taken = self._taken, []
        for window in taken:
            if window.closed or len(self._free) == KEPT:
                window.context.close()
            else:
                window.forgets()
                self._free.append(window)


class _Window:
    """One browser, and the page that keeps its process alive.

    Attributes:
        closed: whether a test has closed it, as somebody does who leaves all of its tabs at once.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.closed = False
        self._origins: set[str] = set()
        self._keeper: Page = context.new_page()
        self._keeper.route(HERE, _answer)
        self._keeper.goto(HERE)
        self._line: CDPSession = context.new_cdp_session(self._keeper)
        context.on("close", self._note_end)
        context.on("page", lambda page: page.on("framenavigated", self._note))

    def _note_end(self, _: BrowserContext) -> None:
        self.closed = True

    def _note(self, frame: Frame) -> None:
        if frame.url.startswith("http"):
            self._origins.add("/".join(frame.url.split("/", 3)[:3]))

    def forgets(self) -> None:
        for page in self.context.pages:
            if page is not self._keeper:
                page.close()
        self._line.send("Network.clearBrowserCache")
        for origin in self._origins:
            self._line.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
        self._origins.clear()


def _answer(route: Route) -> None:
    route.fulfill(body="")
