"""What every page must be: without a fault that axe finds, and no wider than its window."""

from __future__ import annotations

from typing import Final, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize

Scheme = Literal["light", "dark"]
WIDTHS: Final = (320, 360, 390, 768, 1024, 1920)


def passes_axe(page: Page, where: str, light: ViewportSize | None, dark: ViewportSize | None) -> None:
    """Axe finds nothing on the page as it is now: in a window of one size in the light, of another in the dark.

    No rule of the style sheets depends on both.
    """
    looks: tuple[tuple[ViewportSize | None, Scheme], ...] = ((light, "light"), (dark, "dark"))
    for size, scheme in looks:
        if size is not None:
            page.set_viewport_size(size)
            page.emulate_media(color_scheme=scheme)
            fits(page, where)
            # Nothing is waived; what axe cannot decide by itself it lists elsewhere.
            found = Axe().run(page)
            assert found.violations_count == 0, f"{where}, {size}, {scheme}\n{found.generate_report()}"


def fits(page: Page, where: str) -> None:
    """Nothing makes the page wider than its window."""
    width, window = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= window, f"{where}: {width} pixels in a window of {window}"


def fits_everywhere(page: Page, where: str) -> None:
    """The same in windows from a telephone's to a large screen's."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 640})
        fits(page, where)


def reaches_every_control(page: Page, where: str) -> None:
    """On a telephone, each link and field of the content is within the window without scrolling sideways."""
    page.set_viewport_size({"width": WIDTHS[1], "height": 640})
    outside: list[str] = page.evaluate(
        """[...document.querySelectorAll("main :is(a, button, input, select, textarea):not([type=hidden])")]
        .filter(each => each.checkVisibility() && each.getBoundingClientRect().right > innerWidth)
        .map(each => each.outerHTML)"""
    )
    assert not outside, f"{where}: {outside}"
