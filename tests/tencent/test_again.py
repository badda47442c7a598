"""A page that logs out and in again at once is ready each time, with each of the vendor's SDKs."""

from __future__ import annotations

from tests.support.sdk_page import READY
from tests.support.sdk_site import SDK
from tests.tencent.conftest import Account, OpenPage

# It logs out when it is ready, not when it is logged in. Both packages notice that their lists are there in a timer of
# one millisecond; one who logs out within it takes the next login's notice away, whatever the server answers.
AGAIN = """async ([userID, userSig, READY]) => {
    for (let n = 0; n < 6; n++) {
        if (n) await sdk.logout();
        const ready = new Promise((heard, never) => {
            setTimeout(never, 20_000, new Error(`login ${n} is never ready`));
            sdk.on(READY, function once() { sdk.off(READY, once); heard(); });
        });
        await sdk.login({userID, userSig});
        await ready;
    }
}"""


def test_a_page_that_logs_in_again_at_once_becomes_ready(
    sdk: SDK, open_page: OpenPage, account: Account, rounds: int
) -> None:
    for _ in range(rounds):
        page, alice = open_page(sdk), account("alice")
        page.page.evaluate(AGAIN, [alice, page.server.user_sig(alice), READY])
        assert page.sends(alice, "ready")["code"] == 0
