"""Browsers that tests share: whoever takes one finds nothing of who had it before."""

from __future__ import annotations

from tests.support.browser import Person
from tests.support.server import Server
from tests.support.windows import Windows
from tests.web.conftest import NewWindow


def test_a_browser_that_was_given_back_has_forgotten_all(
    windows: Windows, new_window: NewWindow, server: Server
) -> None:
    window = new_window()
    empty = len(window.pages)
    tab = Person(server, window, "before").logs_in()
    address = tab.page.url
    tab.page.evaluate("localStorage.setItem('kept', 'something')")
    # An answer of 304 counts 300 bytes.
    loaded = "performance.getEntriesByType('resource').filter(it => it.transferSize > 300).map(it => it.name)"
    tab.page.goto(f"{server.address}/login")
    assert tab.page.evaluate(loaded) == [], "what it has loaded once, it has"
    windows.take_back()

    again = new_window()
    assert again is window
    assert len(again.pages) == empty
    assert again.cookies() == []
    page = again.new_page()
    page.goto(f"{server.address}/login")
    assert page.evaluate("localStorage.length") == 0
    assert page.evaluate(loaded) != []
    page.goto(address)
    assert page.url.startswith(f"{server.address}/login")


def test_one_that_a_test_has_closed_is_not_given_out_again(windows: Windows, new_window: NewWindow) -> None:
    window = new_window()
    window.close()
    windows.take_back()
    assert new_window() is not window
