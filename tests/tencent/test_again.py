"""A page that logs out and in again at once is ready each time, with each of the vendor's SDKs."""

from __future__ import annotations

from typing import Final

from tests.support.sdk_page import READY
from tests.support.sdk_site import SDK
from tests.tencent.conftest import Account, OpenPage

# Both packages notice that a login or its lists were answered in a timer of one millisecond. One who logs out and in
# again before it has run takes the next login's notice away, whatever the server answers to that.
AGAIN: Final = """async ([userID, userSig, READY, number, waits]) => {
    for (let n = 0; n < number; n++) {
        if (n) await sdk.logout();
        if (!waits) {
            await sdk.login({userID, userSig});
            await sdk.logout();
        }
        const ready = new Promise((heard, never) => {
            setTimeout(never, 20_000, new Error(`login ${n} is never ready`));
            sdk.on(READY, function once() { sdk.off(READY, once); heard(); });
        });
        await sdk.login({userID, userSig});
        await ready;
    }
}"""
SLOW: Final = {"rate": 8}
"""A page on a processor that is so many times slower than this one, in the browser's own terms."""


def test_a_page_that_logs_in_again_at_once_becomes_ready(
    sdk: SDK, open_page: OpenPage, account: Account, rounds: int
) -> None:
    for _ in range(rounds):
        page, alice = open_page(sdk), account("alice")
        page.page.evaluate(AGAIN, [alice, page.server.user_sig(alice), READY, 6, True])
        assert page.sends(alice, "ready")["code"] == 0


def test_a_slow_page_that_logs_out_before_it_is_ready_becomes_ready_at_its_next_login(
    sdk: SDK, open_page: OpenPage, account: Account, rounds: int
) -> None:
    page, alice = open_page(sdk), account("alice")
    page.page.context.new_cdp_session(page.page).send("Emulation.setCPUThrottlingRate", SLOW)
    page.page.evaluate(AGAIN, [alice, page.server.user_sig(alice), READY, 8 * rounds, False])
